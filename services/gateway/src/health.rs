//! Whether the services behind the gateway can serve: part of whether it can itself.
//!
//! Owns the asking; the answer is kept in the process's readiness.

use std::time::Duration;

use serve::{Context, Peer, Tasks};
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// How often a service is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long it may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Keeps `context` from being ready while the service `name` is not. A service in this process tells by itself.
pub(crate) fn follow(name: &'static str, peer: &Peer, context: &Context, tasks: &Tasks) {
    let readiness = context.readiness.clone();
    let mut client = HealthClient::new(peer.clone().signed(context.credentials()));
    readiness.block(name, "has not answered yet");
    tasks.spawn(name, async move |cancel| {
        loop {
            let asked = tokio::time::timeout(ANSWER_WITHIN, client.check(HealthCheckRequest::default()));
            match asked.await {
                Ok(Ok(answer)) if answer.get_ref().status == ServingStatus::Serving as i32 => readiness.clear(name),
                Ok(Ok(_)) => readiness.block(name, "is not ready"),
                // Only a process of its own has health: in this one the store, the relay and the journal block the same readiness.
                Ok(Err(status)) if status.code() == Code::Unimplemented => return readiness.clear(name),
                Ok(Err(status)) => readiness.block(name, status.message()),
                Err(_) => readiness.block(name, "does not answer"),
            }
            if cancel.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await.is_none() {
                return;
            }
        }
    });
}
