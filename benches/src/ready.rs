//! Time from start on an empty directory until ready; the floor is 1 s.

use std::time::{Duration, Instant};

use crate::{
    report::{Report, Row, median},
    server::Server,
};

const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(1);

pub(crate) async fn run() -> anyhow::Result<Report> {
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let server = Server::spawn()?;
        server.ready().await?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let ours = median(seconds);
    let mut report = Report::default();
    report.push(Row {
        what: "ready after start on an empty directory".into(),
        ours: format!("{:.0} ms", ours * 1e3),
        baseline: "limit 1,000 ms".into(),
        ratio: LIMIT.as_secs_f64() / ours,
        bounds: Some((1.0, 1.0)),
    });
    Ok(report)
}
