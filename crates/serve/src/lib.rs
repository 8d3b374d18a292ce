//! All that a service of Annals needs to be served: settings, telemetry, authentication, deadlines, quotas, refusals,
//! peers, owned tasks, and an accept loop with limits.
//!
//! Owns what is the same for every service; never knows a verb of one. A service builds its `Routes`, puts the inner
//! [`ring`](layers::Ring) around them and hands a [`Service`] to [`run()`].

pub mod accept;
pub mod auth;
pub mod config;
pub mod deadline;
pub mod health;
pub mod layers;
pub mod leisure;
mod lock;
mod open_files;
pub mod page;
pub mod peer;
pub mod quota;
pub mod reflection;
pub mod refusal;
mod run;
pub mod tasks;
pub mod telemetry;

#[cfg(test)]
mod stub;

pub use auth::{Caller, Keyring};
pub use lock::{LockError, lock};
pub use peer::Peer;
pub use refusal::Refusal;
pub use run::{Config, Context, Error, Server, Service, run};
pub use tasks::Tasks;
pub use tonic::service::Routes;
