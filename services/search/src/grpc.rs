//! The service on the wire: decode, verb, encode. Decides nothing.

use std::sync::Arc;

use domain::{Invalid, Namespace, Timestamp};
use http::HeaderMap;
use prost::Message as _;
use proto::{
    common::v1::FieldFilter,
    convert::{field_filter, timestamp},
    events::v1::events_service_client::EventsServiceClient,
    search::v1::{self as wire, search_service_server::SearchService},
    things::v1::things_service_client::ThingsServiceClient,
};
use serve::{Caller, Peer, Refusal, deadline::Deadline};
use tonic::{Request, Response, Status};

use crate::{
    Search,
    facts::Wanted,
    find::Call,
    index::{Embedder, Facet, Filter, Needs},
    look::{Asked, Mode},
    query,
    ranking::Question,
};

/// Hits where nobody says how many.
const TOP_K: usize = 10;
const MOST_TOP_K: i32 = 1_000;
/// Types in one filter.
const MOST_TYPES: usize = 16;
/// Conditions on fields in one filter.
const MOST_FIELDS: usize = 16;
/// What one answer counts by.
const MOST_FACETS: usize = 8;

#[tonic::async_trait]
impl SearchService for Search {
    async fn search(&self, request: Request<wire::SearchRequest>) -> Result<Response<wire::SearchResponse>, Status> {
        let (caller, headers, deadline, message) = taken(request)?;
        let wait_for = message.wait_for.clone();
        let mut question =
            wire::SearchRequest { page_token: String::new(), wait_for: String::new(), top_k: 0, ..message.clone() };
        // What means the same is the same question.
        question.mode = question.mode.max(wire::Mode::Lexical.into());
        let wire::SearchRequest { query, mode, vector, page_token, facets, explain, top_k, .. } = message;
        let semantic = self.semantic.now();
        let embedder = &semantic.model.embedder;
        let asked = || {
            let wire::SearchRequest { ns, ns_prefix, types, updated_from, updated_until, fields, .. } =
                question.clone();
            let filter = filter(&ns, &ns_prefix, &types, updated_from, updated_until, fields)?;
            let (mode, top_k) = (self::mode(mode)?, self::top_k(top_k)?);
            let vector = given(vector, mode, embedder)?;
            let has_no_words = query.is_empty() && mode == Mode::Semantic && !vector.is_empty();
            let clauses = if has_no_words { Vec::new() } else { query::parse("query", &query)? };
            let (semantic, facets) = (Arc::clone(&semantic), self::facets(facets)?);
            let needs = Needs::Any;
            Ok(Asked { semantic, mode, clauses, needs, vector, filter, top_k, but: None, facets, explain })
        };
        let mut asked = asked().map_err(|invalid: Invalid| Refusal::from(invalid))?;
        self.wait_for(&caller, wait_for, &asked, deadline).await?;
        if asked.vector.is_empty() {
            asked.vector = self.query_vector(&semantic.model, asked.mode, query).await?;
        }
        let question = Question { caller, text: question.encode_to_vec() };
        let call = Call { question, headers: &headers, page_token, deadline };
        Ok(Response::new(self.find(call, asked).await?))
    }

    async fn similar(&self, request: Request<wire::SimilarRequest>) -> Result<Response<wire::SearchResponse>, Status> {
        let (caller, headers, deadline, message) = taken(request)?;
        let mut question =
            wire::SimilarRequest { page_token: String::new(), wait_for: String::new(), top_k: 0, ..message.clone() };
        question.mode = question.mode.max(wire::Mode::Lexical.into());
        let wire::SimilarRequest {
            key,
            mode,
            ns,
            ns_prefix,
            types,
            updated_from,
            updated_until,
            fields,
            top_k,
            explain,
            wait_for,
            page_token,
        } = message;
        let semantic = self.semantic.now();
        let asked = || {
            let filter = filter(&ns, &ns_prefix, &types, updated_from, updated_until, fields)?;
            let (mode, top_k, semantic) = (self::mode(mode)?, self::top_k(top_k)?, Arc::clone(&semantic));
            let (needs, clauses, vector, facets) = (Needs::Any, Vec::new(), Vec::new(), Vec::new());
            Ok(Asked { semantic, mode, clauses, needs, vector, filter, top_k, but: None, facets, explain })
        };
        let asked = asked().map_err(|invalid: Invalid| Refusal::from(invalid))?;
        self.wait_for(&caller, wait_for, &asked, deadline).await?;
        let question = Question { caller, text: question.encode_to_vec() };
        let call = Call { question, headers: &headers, page_token, deadline };
        Ok(Response::new(self.like(call, key, asked).await?))
    }

    async fn complete(
        &self,
        request: Request<wire::CompleteRequest>,
    ) -> Result<Response<wire::SearchResponse>, Status> {
        let (caller, headers, deadline, message) = taken(request)?;
        let question = wire::CompleteRequest { wait_for: String::new(), top_k: 0, ..message.clone() };
        let wire::CompleteRequest { text, ns, ns_prefix, types, fields, top_k, wait_for } = message;
        let asked = || {
            let filter = filter(&ns, &ns_prefix, &types, None, None, fields)?;
            let (semantic, mode, needs) = (self.semantic.now(), Mode::Lexical, Needs::AllInNames);
            let (clauses, top_k) = (query::parse_unfinished("text", &text)?, self::top_k(top_k)?);
            let (vector, facets, explain) = (Vec::new(), Vec::new(), false);
            Ok(Asked { semantic, mode, clauses, needs, vector, filter, top_k, but: None, facets, explain })
        };
        let asked = asked().map_err(|invalid: Invalid| Refusal::from(invalid))?;
        self.wait_for(&caller, wait_for, &asked, deadline).await?;
        let question = Question { caller, text: question.encode_to_vec() };
        let call = Call { question, headers: &headers, page_token: String::new(), deadline };
        let answer = self.find(call, asked).await?;
        Ok(Response::new(wire::SearchResponse { next_page_token: String::new(), ..answer }))
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

/// Who calls, what says so, until when, and the message.
fn taken<T>(request: Request<T>) -> Result<(Caller, HeaderMap, Deadline, T), Refusal> {
    let (metadata, extensions, message) = request.into_parts();
    let deadline = Deadline::of(&extensions).unwrap_or_else(|| Deadline::after(serve::deadline::UNARY));
    Ok((Caller::of(&extensions)?.clone(), metadata.into_headers(), deadline, message))
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
    fields: Vec<FieldFilter>,
) -> Result<Filter, Invalid> {
    if types.len() > MOST_TYPES {
        return Err(Invalid::new("types", "must be at most 16"));
    }
    if fields.len() > MOST_FIELDS {
        return Err(Invalid::new("fields", "must be at most 16"));
    }
    let fields = (0..).zip(fields).map(|(at, wanted)| {
        let wanted = field_filter(wanted).map_err(|invalid: Invalid| invalid.within(&format!("fields[{at}]")))?;
        Ok(Wanted::of(&wanted))
    });
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
        fields: fields.collect::<Result<_, Invalid>>()?,
    })
}

/// Each with its name.
fn facets(names: Vec<String>) -> Result<Vec<(String, Facet)>, Invalid> {
    if names.len() > MOST_FACETS {
        return Err(Invalid::new("facets", "must be at most 8"));
    }
    let facet = |(at, name): (usize, String)| {
        let facet = match name.as_str() {
            "ns" => Facet::Namespace,
            "type" => Facet::Type,
            path => {
                let rule = "must be ns, type, or a JSON pointer into data such as /address/city";
                Facet::Field(path.parse().map_err(|_| Invalid::new(format!("facets[{at}]"), rule))?)
            }
        };
        Ok((name, facet))
    };
    names.into_iter().enumerate().map(facet).collect()
}
