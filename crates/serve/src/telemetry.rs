//! What the process tells about itself: the log on standard error, and metrics for Prometheus.
//!
//! Owns the two global recorders. Never logs bodies, keys or e-mail addresses; nor does anything that uses it.

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// How often observed values are folded into their buckets; between, each takes a few bytes.
const UPKEEP: Duration = Duration::from_secs(5);

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// The log filter is not one: `info`, `things=debug,info`.
#[derive(Debug, thiserror::Error)]
#[error("log: `{filter}` is not a filter such as info or things=debug,info")]
pub struct FilterError {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Starts the log and the metrics of this process; once, before anything else. A second call changes nothing.
/// Lines are written at once, so there is nothing to flush at the end.
pub fn init(filter: &str) -> Result<(), FilterError> {
    let parsed =
        EnvFilter::builder().parse(filter).map_err(|source| FilterError { filter: filter.to_owned(), source })?;
    let is_terminal = std::io::stderr().is_terminal();
    // An error means that a subscriber is set already, by a test or an earlier call.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .try_init();
    METRICS.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("the list of buckets is not empty")
            .build_recorder();
        let handle = recorder.handle();
        let _ = metrics::set_global_recorder(recorder);
        handle
    });
    Ok(())
}

/// Every metric in Prometheus' text format; nothing before [`init`].
pub fn metrics() -> String {
    METRICS.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// Folds observed values until `cancel`.
pub(crate) async fn upkeep(cancel: CancellationToken) {
    while cancel.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        if let Some(metrics) = METRICS.get() {
            metrics.run_upkeep();
        }
    }
}
