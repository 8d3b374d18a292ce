//! Whether this process can serve: named conditions, told over gRPC health and `/_/readyz`.
//!
//! Owns the state and its faces; the services block and clear it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::StatusCode;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::refusal::Refusal;
use crate::{reflection, telemetry};

/// What keeps this process from serving, shared by all its services. Ready when nothing does.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<watch::Sender<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// Says that `condition` keeps this process from serving, and why, until it is cleared.
    pub fn block(&self, condition: &'static str, why: impl Into<String>) {
        self.0.send_modify(|blocked| drop(blocked.insert(condition, why.into())));
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
        self.0.borrow().clone()
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
