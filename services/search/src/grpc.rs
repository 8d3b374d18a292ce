//! The service on the wire: decode, verb, encode. Decides nothing.

use std::sync::Arc;

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

use crate::{
    Search,
    find::{Asked, Mode},
    index::{Embedder, Filter},
    query,
    similar::Like,
};

/// Hits where nobody says how many.
const TOP_K: usize = 10;
const MOST_TOP_K: i32 = 1_000;
/// Types in one filter.
const MOST_TYPES: usize = 16;

#[tonic::async_trait]
impl SearchService for Search {
    async fn search(&self, request: Request<wire::SearchRequest>) -> Result<Response<wire::SearchResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let (caller, headers) = (Caller::of(&extensions)?, metadata.into_headers());
        let deadline = Deadline::of(&extensions).unwrap_or_else(|| Deadline::after(serve::deadline::UNARY));
        let wire::SearchRequest {
            query,
            mode,
            ns,
            ns_prefix,
            types,
            updated_from,
            updated_until,
            top_k,
            wait_for,
            vector,
        } = message;
        let semantic = self.semantic.now();
        let embedder = &semantic.model.embedder;
        let asked = || {
            let filter = filter(&ns, &ns_prefix, &types, updated_from, updated_until)?;
            let (mode, top_k) = (self::mode(mode)?, self::top_k(top_k)?);
            let vector = given(vector, mode, embedder)?;
            let has_no_words = query.is_empty() && mode == Mode::Semantic && !vector.is_empty();
            let clauses = if has_no_words { Vec::new() } else { query::parse(&query)? };
            let (semantic, lexical_weight) = (Arc::clone(&semantic), embedder.lexical_weight());
            Ok(Asked { semantic, mode, clauses, vector, lexical_weight, filter, top_k, but: None })
        };
        let mut asked = asked().map_err(|invalid: Invalid| Refusal::from(invalid))?;
        self.wait_for(caller, wait_for, asked.mode, &semantic, deadline).await?;
        if asked.vector.is_empty() {
            asked.vector =
                self.vector(&semantic.model, asked.mode, move |embedder| embedder.embed_query(&query)).await?;
        }
        let hits = self.find(caller, &headers, asked, deadline).await?;
        Ok(Response::new(wire::SearchResponse { hits }))
    }

    async fn similar(&self, request: Request<wire::SimilarRequest>) -> Result<Response<wire::SearchResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let (caller, headers) = (Caller::of(&extensions)?, metadata.into_headers());
        let deadline = Deadline::of(&extensions).unwrap_or_else(|| Deadline::after(serve::deadline::UNARY));
        let wire::SimilarRequest { key, mode, ns, ns_prefix, types, updated_from, updated_until, top_k, wait_for } =
            message;
        let like = || {
            let filter = filter(&ns, &ns_prefix, &types, updated_from, updated_until)?;
            Ok(Like { mode: self::mode(mode)?, filter, top_k: self::top_k(top_k)? })
        };
        let like = like().map_err(|invalid: Invalid| Refusal::from(invalid))?;
        let semantic = self.semantic.now();
        self.wait_for(caller, wait_for, like.mode, &semantic, deadline).await?;
        let hits = self.like(caller, &headers, key, semantic, like, deadline).await?;
        Ok(Response::new(wire::SearchResponse { hits }))
    }
}

impl Search {
    /// Things, in the name of whoever sent these headers.
    pub(crate) fn things(&self, headers: &HeaderMap, deadline: Deadline) -> ThingsServiceClient<Peer> {
        ThingsServiceClient::new(self.sources.things.clone().for_call(headers, deadline))
            .max_decoding_message_size(crate::MAX_MESSAGE)
    }

    /// Events, in the name of whoever sent these headers.
    pub(crate) fn events(&self, headers: &HeaderMap, deadline: Deadline) -> EventsServiceClient<Peer> {
        EventsServiceClient::new(self.sources.events.clone().for_call(headers, deadline))
    }
}

fn mode(mode: i32) -> Result<Mode, Invalid> {
    match wire::Mode::try_from(mode) {
        Ok(wire::Mode::Hybrid) => Ok(Mode::Hybrid),
        Ok(wire::Mode::Unspecified | wire::Mode::Lexical) => Ok(Mode::Lexical),
        Ok(wire::Mode::Semantic) => Ok(Mode::Semantic),
        Err(_) => Err(Invalid::new("mode", "must be hybrid, lexical or semantic")),
    }
}

/// The vector that was given with a query, if one was.
fn given(vector: Vec<f32>, mode: Mode, embedder: &Embedder) -> Result<Vec<f32>, Invalid> {
    let invalid = |rule: String| Err(Invalid::new("vector", rule));
    match (vector.len(), mode) {
        (0, Mode::Semantic | Mode::Hybrid) if embedder.is_given() => {
            invalid("is required in this mode: clients give the vectors here".into())
        }
        (0, _) => Ok(vector),
        (_, Mode::Lexical) => invalid("does not go with a search by words".into()),
        (count, _) if count != embedder.dimension() => {
            invalid(format!("must have {} numbers, as the embedder {} makes", embedder.dimension(), embedder.name()))
        }
        _ if vector.iter().any(|number| !number.is_finite()) => invalid("must have finite numbers only".into()),
        _ if vector.iter().all(|number| *number == 0.0) => invalid("must have a number that is not zero".into()),
        _ => Ok(vector),
    }
}

fn top_k(top_k: i32) -> Result<usize, Invalid> {
    match top_k {
        0 => Ok(TOP_K),
        1..=MOST_TOP_K => Ok(top_k as usize),
        _ => Err(Invalid::new("top_k", "must be 1 to 1,000")),
    }
}

fn filter(
    ns: &str,
    ns_prefix: &str,
    types: &[String],
    updated_from: Option<prost_types::Timestamp>,
    updated_until: Option<prost_types::Timestamp>,
) -> Result<Filter, Invalid> {
    if types.len() > MOST_TYPES {
        return Err(Invalid::new("types", "must be at most 16"));
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
    Ok(Filter {
        ns: namespace("ns", ns)?,
        ns_prefix: namespace("ns_prefix", ns_prefix)?,
        types: types.collect::<Result<_, _>>()?,
        updated_from: millis("updated_from", updated_from)?,
        updated_until: millis("updated_until", updated_until)?,
    })
}
