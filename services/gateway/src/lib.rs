//! The gateway: one port on which everything of Annals is reached, as URLs and as gRPC.
//!
//! Owns how HTTP spells names, states, conditions and refusals. Never keeps a state and never decides who may see what:
//! every request is put to the services in the caller's own name.

mod aggregate;
mod body;
mod call;
mod caller;
mod dispatch;
mod etag;
mod events;
mod export;
mod health;
mod html;
pub mod json;
mod language;
mod list;
mod name;
mod namespace;
mod negotiate;
mod openapi;
mod past;
mod problem;
mod query;
mod reason;
mod relationship;
mod relay;
mod reply;
mod restore;
mod route;
mod schema;
mod search;
mod tail;
mod thing;
mod view;
mod write;

use std::sync::Arc;

use axum::Router;
use proto::events::v1::events_service_client::EventsServiceClient;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::things::v1::things_service_client::ThingsServiceClient;
use serve::{Context, Peer, Service, Tasks};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

serve::settings! {
    /// Settings of the gateway, when it runs apart from the services.
    pub struct Config {
        /// Address of the things service.
        pub things: http::Uri = "http://127.0.0.1:8081",
        /// Address of the events service.
        pub events: http::Uri = "http://127.0.0.1:8082",
        /// Address of the search service.
        pub search: http::Uri = "http://127.0.0.1:8083",
    }
}

/// The largest answer of a service: 16 MiB.
const ANSWER_BYTES: usize = 16 << 20;

/// What every request is served with.
#[derive(Clone)]
struct Gateway(Arc<Shared>);

struct Shared {
    things: ThingsServiceClient<Peer>,
    events: EventsServiceClient<Peer>,
    search: SearchServiceClient<Peer>,
    relay: relay::Relay,
    callers: caller::Callers,
    draining: CancellationToken,
}

/// The gateway before these services, on `Service::http`. It has no gRPC methods of its own.
///
/// None of these may be [signed](Peer::signed): a call without a key is an anonymous one.
pub fn open(context: &Context, things: &Peer, events: &Peer, search: &Peer) -> Service {
    let tasks = Tasks::new("gateway");
    health::follow("things", things, context, &tasks);
    health::follow("events", events, context, &tasks);
    health::follow("search", search, context, &tasks);
    let callers = caller::Callers::new(context);
    let gateway = Gateway(Arc::new(Shared {
        things: ThingsServiceClient::new(things.clone()).max_decoding_message_size(ANSWER_BYTES),
        events: EventsServiceClient::new(events.clone()).max_decoding_message_size(ANSWER_BYTES),
        search: SearchServiceClient::new(search.clone()).max_decoding_message_size(ANSWER_BYTES),
        callers: callers.clone(),
        relay: relay::Relay::new([things, events, search].map(Clone::clone), callers, context),
        draining: context.draining.clone(),
    }));
    let urls = Router::new().fallback(dispatch::dispatch).with_state(gateway);
    let router = serve::health::pages(&context.readiness).merge(urls);
    Service { name: "gateway", routes: Routes::default(), http: Some(router), tasks }
}

impl Gateway {
    fn things(&self) -> ThingsServiceClient<Peer> {
        self.0.things.clone()
    }

    fn events(&self) -> EventsServiceClient<Peer> {
        self.0.events.clone()
    }

    fn search(&self) -> SearchServiceClient<Peer> {
        self.0.search.clone()
    }
}
