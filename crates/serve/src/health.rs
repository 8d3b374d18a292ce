//! Whether this process can serve: named conditions, told over gRPC health and `/_/readyz`.
//!
//! Owns the state and its faces; the services block and clear it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::refusal::Refusal;
use crate::{reflection, telemetry};

/// How long a failed try keeps this process from serving, if nobody tries again: it shows only in tries whether the
/// failure has passed, and whoever looks at readiness keeps callers away.
const RETRIED_AFTER: Duration = Duration::from_secs(5);

/// What keeps this process from serving, shared by all its services. Ready when nothing does.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<watch::Sender<BTreeMap<&'static str, Blocked>>>);

/// Why a condition is not met, and until when that is believed; for ever without a time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Blocked {
    why: String,
    until: Option<Instant>,
}

impl Readiness {
    /// Says that `condition` keeps this process from serving, and why, until it is cleared.
    pub fn block(&self, condition: &'static str, why: impl Into<String>) {
        self.insert(condition, Blocked { why: why.into(), until: None });
    }

    /// Says that a try of `condition` failed, and why: it keeps this process from serving until one succeeds, or for
    /// 5 s without any.
    pub fn failed(&self, condition: &'static str, why: impl Into<String>) {
        self.insert(condition, Blocked { why: why.into(), until: Some(Instant::now() + RETRIED_AFTER) });
    }

    fn insert(&self, condition: &'static str, why: Blocked) {
        self.0.send_modify(|blocked| drop(blocked.insert(condition, why)));
    }

    /// Forgets failed tries in time, until `cancel`.
    pub(crate) async fn upkeep(self, cancel: CancellationToken) {
        let mut state = self.0.subscribe();
        loop {
            let next = state.borrow_and_update().values().filter_map(|blocked| blocked.until).min();
            let expiry = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = expiry => self.0.send_modify(|blocked| {
                    blocked.retain(|_, blocked| blocked.until.is_none_or(|until| until > Instant::now()));
                }),
                changed = state.changed() => changed.expect("the readiness has the sender"),
            }
        }
    }

    /// Says that `condition` no longer keeps this process from serving.
    pub fn clear(&self, condition: &'static str) {
        self.0.send_if_modified(|blocked| blocked.remove(condition).is_some());
    }

    /// Whether nothing keeps this process from serving.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What does, and why.
    pub fn blocked(&self) -> BTreeMap<&'static str, String> {
        self.0.borrow().iter().map(|(condition, blocked)| (*condition, blocked.why.clone())).collect()
    }

    /// Waits until nothing does.
    pub async fn ready(&self) {
        let mut blocked = self.0.subscribe();
        // The sender lives as long as `self`.
        let _ = blocked.wait_for(BTreeMap::is_empty).await;
    }
}

/// `router` with `grpc.health.v1.Health`, which answers for the process and for each service by its full name.
pub fn register(router: Router, readiness: &Readiness) -> Router {
    let service =
        HealthServer::new(Checks { readiness: readiness.clone(), services: reflection::service_names().into() });
    router.merge(crate::layers::open_router(service))
}

/// The pages that machines look at: `/_/healthz` (alive), `/_/readyz` (can serve, or why not) and `/_/metrics`.
pub fn pages(readiness: &Readiness) -> Router {
    Router::new()
        .route("/_/healthz", get(async || "ok\n"))
        .route("/_/readyz", get(readyz))
        .route("/_/metrics", get(async || telemetry::metrics()))
        .with_state(readiness.clone())
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let blocked = readiness.blocked();
    if blocked.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let reasons: Vec<_> = blocked.iter().map(|(condition, why)| format!("{condition}: {why}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, reasons.concat())
}

struct Checks {
    readiness: Readiness,
    services: Arc<[String]>,
}

impl Checks {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.iter().any(|known| known == service)
    }
}

#[tonic::async_trait]
impl Health for Checks {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !self.knows(service) {
            return Err(Refusal::not_found("service", service).into());
        }
        Ok(Response::new(answer(self.readiness.is_ready())))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = &request.get_ref().service;
        if !self.knows(service) {
            return Err(Refusal::not_found("service", service).into());
        }
        let states = WatchStream::new(self.readiness.0.subscribe());
        Ok(Response::new(states.map(|blocked| Ok(answer(blocked.is_empty()))).boxed()))
    }
}

fn answer(serving: bool) -> HealthCheckResponse {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status as i32 }
}

#[cfg(test)]
#[path = "health_test.rs"]
mod tests;
