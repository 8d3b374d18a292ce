//! The service on the wire: decode, verb, encode. Decides nothing.

use domain::{Invalid, Namespace, Timestamp};
use http::HeaderMap;
use proto::{
    convert::timestamp,
    events::v1::events_service_client::EventsServiceClient,
    search::v1::{self as wire, search_service_server::SearchService},
    things::v1::things_service_client::ThingsServiceClient,
};
use serve::{Caller, Peer, Refusal, deadline::Deadline};
use tonic::{Request, Response, Status};

use crate::{Search, find::Asked, index::Filter, query};

/// Hits where nobody says how many.
const TOP_K: i32 = 10;
const MOST_TOP_K: i32 = 1_000;
/// Types in one filter.
const MOST_TYPES: usize = 16;

#[tonic::async_trait]
impl SearchService for Search {
    async fn search(&self, request: Request<wire::SearchRequest>) -> Result<Response<wire::SearchResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let (caller, headers) = (Caller::of(&extensions)?, metadata.into_headers());
        let deadline = Deadline::of(&extensions).unwrap_or_else(|| Deadline::after(serve::deadline::UNARY));
        let (asked, wait_for) = asked(message).map_err(Refusal::from)?;
        self.wait_for(caller, wait_for, deadline).await?;
        let hits = self.find(caller, &headers, asked, deadline).await?;
        Ok(Response::new(wire::SearchResponse { hits }))
    }
}

impl Search {
    /// Things, in the name of whoever sent these headers.
    pub(crate) fn things(&self, headers: &HeaderMap, deadline: Deadline) -> ThingsServiceClient<Peer> {
        ThingsServiceClient::new(self.things.clone().for_call(headers, deadline))
            .max_decoding_message_size(crate::MAX_MESSAGE)
    }

    /// Events, in the name of whoever sent these headers.
    pub(crate) fn events(&self, headers: &HeaderMap, deadline: Deadline) -> EventsServiceClient<Peer> {
        EventsServiceClient::new(self.events.clone().for_call(headers, deadline))
    }
}

/// What is looked for, and what is waited for before.
fn asked(message: wire::SearchRequest) -> Result<(Asked, String), Invalid> {
    let wire::SearchRequest { query, mode, ns, ns_prefix, types, updated_from, updated_until, top_k, wait_for } =
        message;
    if wire::Mode::try_from(mode).is_err() {
        return Err(Invalid::new("mode", "must be lexical"));
    }
    if types.len() > MOST_TYPES {
        return Err(Invalid::new("types", "must be at most 16"));
    }
    let top_k = if top_k == 0 { TOP_K } else { top_k };
    if !(1..=MOST_TOP_K).contains(&top_k) {
        return Err(Invalid::new("top_k", "must be 1 to 1,000"));
    }
    let namespace = |field: &str, text: &str| -> Result<Option<Namespace>, Invalid> {
        let given = (!text.is_empty()).then(|| text.parse());
        given.transpose().map_err(|invalid: Invalid| Invalid::new(field, invalid.rule))
    };
    let types = types
        .iter()
        .enumerate()
        .map(|(at, name)| name.parse().map_err(|invalid: Invalid| Invalid::new(format!("types[{at}]"), invalid.rule)));
    let millis = |field, moment| Ok(timestamp(field, moment)?.map(Timestamp::millis));
    let filter = Filter {
        ns: namespace("ns", &ns)?,
        ns_prefix: namespace("ns_prefix", &ns_prefix)?,
        types: types.collect::<Result<_, _>>()?,
        updated_from: millis("updated_from", updated_from)?,
        updated_until: millis("updated_until", updated_until)?,
    };
    Ok((Asked { clauses: query::parse(&query)?, filter, top_k: top_k as usize }, wait_for))
}
