//! The things service: the present state of everything that has a name.
//!
//! Owns things, relationships, namespaces and the relay of their mutations to events. Never keeps history: that is
//! events. One file per group of verbs; each holds what is decided, as pure functions that every store shares.

mod atomic;
mod change;
mod condition;
mod config;
mod delete;
mod export;
mod grpc;
mod import;
mod list;
mod namespaces;
mod naming;
mod page;
mod patch;
mod put;
mod read;
mod refuse;
mod relationships;
mod relay;
mod resolve;
mod restore;
mod schema;
mod schemas;
mod settle;
mod sight;
mod store;
mod stream;
mod summary;
mod traverse;
mod weight;

use domain::{Clock, Provenance, Style};
use proto::events::v1::events_service_client::EventsServiceClient;
use proto::things::v1::things_service_server::ThingsServiceServer;
use serve::layers::Ring;
use serve::{Caller, Context, Peer, Refusal, Routes, Service, Tasks};

use change::{Applied, Change, Outcome, Sequence, Write};
pub use config::{Config, Peers};
use relay::Relay;
use store::Store;

/// The largest message taken: of a write of many changes. The ring refuses a larger one of any other verb before.
const MAX_MESSAGE_IN: usize = 16 << 20;
/// The largest message sent: a page ends at 8 MiB or one item.
const MAX_MESSAGE_OUT: usize = 16 << 20;

/// Opens the service on its store, and its relay to `events` (a peer that is signed with this process's credentials).
pub async fn open(config: Config, context: &Context, events: Peer) -> anyhow::Result<Service> {
    let tasks = Tasks::new("things");
    let Config { things_store } = config;
    let url = things_store.unwrap_or_else(|| format!("sqlite:{}", context.data_dir.join("things/things.db").display()));
    let (clock, readiness) = (context.clock.clone(), context.readiness.clone());
    let store = store::open(&url, clock.clone(), readiness.clone(), &tasks).await?;
    let relay =
        Relay { outbox: store.outbox.clone(), events: EventsServiceClient::new(events.clone()), clock, readiness };
    tasks.spawn("relay", |cancel| relay.run(cancel));
    let service = ThingsServiceServer::new(Things { store, clock: context.clock.clone(), events })
        .max_decoding_message_size(MAX_MESSAGE_IN)
        .max_encoding_message_size(MAX_MESSAGE_OUT);
    let routes = Ring::new("things", context).around(Routes::new(service));
    Ok(Service { name: "things", routes, http: None, tasks })
}

/// Brings the tables of the database that `url` names (`postgres://…`) to this version, and says how many migrations that took.
/// Its user must own them. What is up to date is left as it is.
pub async fn migrate(url: &str) -> anyhow::Result<usize> {
    store::migrate(url).await
}

/// The verbs, each in the file of its group.
struct Things {
    store: Store,
    clock: Clock,
    /// Signed with this process's credentials where a call has none.
    events: Peer,
}

/// Who asks for a change, and what its mutations say about that.
#[derive(Clone, Debug)]
struct Call {
    caller: Caller,
    provenance: Provenance,
}

/// A put state.
#[derive(Clone, PartialEq, Debug)]
struct Put<T> {
    state: T,
    /// Of its namespace.
    style: Style,
    outcome: Outcome,
}

impl Things {
    /// Has one change carried out.
    async fn change(&self, call: Call, change: Change) -> Result<Applied, Refusal> {
        let Call { caller, provenance } = call;
        let write = Write { caller, provenance, changes: vec![change], sequence: Sequence::default(), part: None };
        let answers = self.store.things.write(write).await?;
        answers.into_iter().next().expect("each change is answered")
    }
}
