//! What is sent: for each method a request that is otherwise good, and the owner's text for each string in it.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, MethodDescriptor};
use proto::{
    common::v1::{EntityKind, Key},
    events::v1::{
        AggregateRequest, AppendRequest, AppendStreamRequest, AsOf, Column, DiffRequest, Event, Function,
        HistoryRequest, ListStatesAtRequest, Measure, QueryRequest, RelayBatch, ResolveCursorRequest, Start,
        StateAtRequest, SubscribeRequest, TextFilter, as_of,
    },
    search::v1::{CompleteRequest, Mode, SearchRequest, SimilarRequest},
    things::v1::{
        BatchGetThingsRequest, CountThingsRequest, DeleteNamespaceRequest, DeleteRelationshipRequest,
        DeleteSchemaRequest, DeleteThingRequest, ExportThingsRequest, GetNamespaceRequest, GetRelationshipRequest,
        GetSchemaRequest, GetThingRequest, ImportRow, ImportThingsRequest, ListNamespacesRequest,
        ListRelationshipsRequest, ListSchemasRequest, ListThingsRequest, Namespace, PatchThingRequest,
        PutRelationshipRequest, PutSchemaRequest, PutThingRequest, RegisterNamespaceRequest, Relationship,
        ResolveNameRequest, RestoreThingRequest, Thing, TraverseRequest, UndeleteThingRequest, WriteChange,
        WriteThingsRequest, import_row::Row, restore_thing_request, write_change::Change,
    },
};

use super::{
    rpcs,
    world::{Secret, VAULT},
};

/// The most that a page may have: what is hidden shall not only be on the next one.
const WHOLE: i32 = 1_000;
/// Where data has the owner's text.
const MARKED: &str = "/m";

/// What the owner was given to go on with.
#[derive(Clone, Default, Debug)]
pub(crate) struct Given {
    /// By the name of the method.
    pub(crate) page_tokens: BTreeMap<String, String>,
    pub(crate) cursor: String,
}

impl Given {
    /// Something for each that can be.
    pub(crate) fn example() -> Self {
        let lists = [
            "ListThings",
            "ListRelationships",
            "ListNamespaces",
            "ExportThings",
            "History",
            "Query",
            "ListStatesAt",
            "Search",
            "Similar",
        ];
        let page_tokens = lists.map(|list| (list.to_owned(), "token".to_owned())).into();
        Self { page_tokens, cursor: "cursor".into() }
    }
}

/// Whether a method answers for ever: one that streams both ways ends with its requests.
pub(crate) fn is_endless(method: &MethodDescriptor) -> bool {
    method.is_server_streaming()
        && !method.is_client_streaming()
        && !matches!(method.name(), "Traverse" | "ExportThings")
}

/// Whether a method changes nothing.
pub(crate) fn is_read(method: &MethodDescriptor) -> bool {
    let reads = [
        "Get",
        "BatchGet",
        "Count",
        "List",
        "Resolve",
        "Settle",
        "Traverse",
        "Export",
        "History",
        "StateAt",
        "Diff",
        "Query",
        "Aggregate",
        "Subscribe",
        "Search",
        "Similar",
        "Complete",
    ];
    reads.iter().any(|verb| method.name().starts_with(verb))
}

/// A good request about `secret` with the owner's text in the string at `path`; `None` for a method that has no such
/// request yet. Somebody with a `home` writes to that name where `path` is not itself a part of the name: so that
/// what is asked is not only whether they may write the owner's.
pub(crate) fn request(
    method: &MethodDescriptor,
    path: &[FieldDescriptor],
    secret: &Secret,
    given: &Given,
    home: Option<&Key>,
) -> Option<Vec<u8>> {
    let names_it = path.iter().rev().nth(1).is_some_and(|above| above.name() == "key");
    let home = home.filter(|_| !is_read(method) && !names_it);
    let good = good(method.name(), &rpcs::spell(path), secret, home)?;
    let mut request = DynamicMessage::decode(method.input(), &*good).expect("a good request is one");
    let (field, above) = path.split_last().expect("a string is somewhere");
    let parts = match field.parent_message().full_name() {
        "annals.common.v1.Key" => parts(field.name(), secret),
        "annals.common.v1.FieldFilter" => condition(field.name(), secret),
        _ => Vec::new(),
    };
    for (name, text) in &parts {
        let part = field.parent_message().get_field_by_name(name).expect("a part of the message");
        rpcs::set(&mut request, &[above, &[part]].concat(), text.clone());
    }
    if parts.is_empty() {
        let text = match field.name() {
            "page_token" => given.page_tokens.get(method.name()).expect("the owner has a token of every list").clone(),
            "cursor" => given.cursor.clone(),
            name => text(name, secret),
        };
        rpcs::set(&mut request, path, text);
    }
    Some(request.encode_to_vec())
}

/// The parts of a key that say `part` of the secret's name, and what is needed beside it.
fn parts(part: &str, secret: &Secret) -> Vec<(&'static str, String)> {
    let none = |name| (name, String::new());
    let Secret { ns, id, variant, .. } = secret.clone();
    match part {
        "ns" | "variant" => vec![("ns", ns), ("id", id), ("variant", variant), none("path")],
        "id" => vec![("ns", ns), ("id", id), none("variant"), none("path")],
        "path" => vec![none("ns"), none("id"), none("variant"), ("path", format!("{ns}/{}", secret.entity_id()))],
        other => panic!("say here what of a name `{other}` is"),
    }
}

/// A condition that `part` of is about the secret's data.
fn condition(part: &str, secret: &Secret) -> Vec<(&'static str, String)> {
    let (path, data) = (("path", MARKED.to_owned()), format!("\"{}\"", secret.texts.data));
    match part {
        "path" => vec![path],
        "any_of" => vec![path, ("any_of", data)],
        // Of its text only.
        "from" | "until" => vec![path, ("from", data), ("until", format!("\"{}~\"", secret.texts.data))],
        other => panic!("say here what of a condition `{other}` is"),
    }
}

fn text(field: &str, secret: &Secret) -> String {
    let texts = &secret.texts;
    let object = |text: &str| format!(r#"{{"m":"{text}"}}"#);
    match field {
        "ns" | "ns_prefix" | "entity_ns" | "dispatch_namespace" => secret.ns.clone(),
        // In quotes: what is one letter away is another text.
        "query" => format!("\"{}\"", texts.content),
        "facets" => MARKED.to_owned(),
        "preferred_variants" => secret.variant.clone(),
        "event_type" | "event_types" => secret.event_type.clone(),
        "type" | "types" | "entity_type" => texts.r#type.clone(),
        "content" => texts.content.clone(),
        "code" => texts.code.clone(),
        "data" | "data_patch" | "metadata" => object(&texts.data),
        "schema" => format!(r#"{{"title":"{}"}}"#, texts.data),
        "logs" | "exceptions" => format!(r#"["{}"]"#, texts.data),
        "request_id" => texts.request_id.clone(),
        "cause" => texts.cause.clone(),
        "etag" | "etags" | "ulid" | "wait_for" | "relay_id" => secret.ulid.clone(),
        "mutation_type" => "created".to_owned(),
        "severity" => "error".to_owned(),
        "clear" => "content".to_owned(),
        "url" => format!("/{}/{}", secret.ns, secret.id),
        // Columns of events, and whatever comes: the name.
        _ => secret.entity_id(),
    }
}

/// A request of a method that is good when the string at `path` is set.
pub(crate) fn good(method: &str, path: &str, secret: &Secret, home: Option<&Key>) -> Option<Vec<u8>> {
    let key = || Some(home.cloned().unwrap_or_else(|| secret.key()));
    let home_ns = home.map_or(VAULT, |home| &home.ns);
    let own = |id: &str| Some(Key { ns: home_ns.into(), id: id.into(), ..Key::default() });
    let kind = secret.kind.into();
    let thing = || Thing { key: key(), r#type: "T".into(), ..Thing::default() };
    let relationship =
        || Relationship { key: key(), r#type: "T".into(), from: own("from"), to: own("to"), ..Relationship::default() };
    let ns = || secret.ns.clone();
    let then = || Some(AsOf { as_of: Some(as_of::AsOf::Ulid(secret.ulid.clone())) });
    Some(match method {
        "GetThing" => GetThingRequest { key: key(), ..Default::default() }.encode_to_vec(),
        "PutThing" => PutThingRequest { thing: Some(thing()), ..Default::default() }.encode_to_vec(),
        "PatchThing" => PatchThingRequest { key: key(), ..Default::default() }.encode_to_vec(),
        "DeleteThing" => DeleteThingRequest { key: key(), ..Default::default() }.encode_to_vec(),
        "ListThings" => ListThingsRequest {
            ns: ns(),
            page_size: if path == "page_token" { 1 } else { WHOLE },
            ..Default::default()
        }
        .encode_to_vec(),
        "RestoreThing" => {
            let as_of = Some(restore_thing_request::AsOf::Ulid(secret.ulid.clone()));
            RestoreThingRequest { key: key(), as_of, ..Default::default() }.encode_to_vec()
        }
        "UndeleteThing" => UndeleteThingRequest { key: key(), ..Default::default() }.encode_to_vec(),
        "CountThings" => CountThingsRequest { ns: ns(), ..Default::default() }.encode_to_vec(),
        "BatchGetThings" => BatchGetThingsRequest { keys: vec![secret.key()], ..Default::default() }.encode_to_vec(),
        "ImportThings" => {
            let row = match path.split('.').nth(1) {
                Some("relationship") => Row::Relationship(relationship()),
                Some("namespace") => Row::Namespace(Namespace { ns: home_ns.to_owned(), ..Default::default() }),
                _ => Row::Thing(thing()),
            };
            ImportThingsRequest { rows: vec![ImportRow { row: Some(row) }], ..Default::default() }.encode_to_vec()
        }
        "WriteThings" => {
            let change = match path.split('.').nth(1).unwrap_or_default() {
                "patch_thing" => Change::PatchThing(PatchThingRequest { key: key(), ..Default::default() }),
                "delete_thing" => Change::DeleteThing(DeleteThingRequest { key: key(), ..Default::default() }),
                "put_relationship" => Change::PutRelationship(PutRelationshipRequest {
                    relationship: Some(relationship()),
                    ..Default::default()
                }),
                "delete_relationship" => {
                    Change::DeleteRelationship(DeleteRelationshipRequest { key: key(), ..Default::default() })
                }
                _ => Change::PutThing(PutThingRequest { thing: Some(thing()), ..Default::default() }),
            };
            WriteThingsRequest { changes: vec![WriteChange { change: Some(change) }], ..Default::default() }
                .encode_to_vec()
        }
        "GetRelationship" => GetRelationshipRequest { key: key() }.encode_to_vec(),
        "PutRelationship" => {
            PutRelationshipRequest { relationship: Some(relationship()), ..Default::default() }.encode_to_vec()
        }
        "DeleteRelationship" => DeleteRelationshipRequest { key: key(), ..Default::default() }.encode_to_vec(),
        "ListRelationships" => ListRelationshipsRequest {
            thing: key(),
            page_size: if path == "page_token" { 1 } else { WHOLE },
            include_others: true,
            ..Default::default()
        }
        .encode_to_vec(),
        "ExportThings" => ExportThingsRequest {
            ns: if path == "ns_prefix" { String::new() } else { ns() },
            page_size: if path == "page_token" { 1 } else { WHOLE },
            ..Default::default()
        }
        .encode_to_vec(),
        "Traverse" => {
            TraverseRequest { thing: key(), max_depth: 6, max_things: 10_000, ..Default::default() }.encode_to_vec()
        }
        "RegisterNamespace" => RegisterNamespaceRequest { ns: ns(), ..Default::default() }.encode_to_vec(),
        "GetNamespace" => GetNamespaceRequest { ns: ns() }.encode_to_vec(),
        "ListNamespaces" => {
            ListNamespacesRequest { page_size: if path == "page_token" { 1 } else { WHOLE }, ..Default::default() }
                .encode_to_vec()
        }
        "DeleteNamespace" => DeleteNamespaceRequest { ns: ns() }.encode_to_vec(),
        "PutSchema" => PutSchemaRequest {
            ns: home.map_or_else(ns, |home| home.ns.clone()),
            r#type: "T".into(),
            schema: "true".into(),
        }
        .encode_to_vec(),
        "GetSchema" => GetSchemaRequest { ns: ns(), r#type: secret.texts.r#type.clone() }.encode_to_vec(),
        "ListSchemas" => ListSchemasRequest { ns: ns() }.encode_to_vec(),
        "DeleteSchema" => DeleteSchemaRequest { ns: ns(), r#type: secret.texts.r#type.clone() }.encode_to_vec(),
        "ResolveName" => ResolveNameRequest { key: key(), kind, as_of: None }.encode_to_vec(),
        "Append" => {
            let event =
                Event { event_type: "log".into(), entity_ns: ns(), entity_id: secret.entity_id(), ..Event::default() };
            let relay = path.starts_with("relay").then(|| RelayBatch { batch: 1, ..Default::default() });
            AppendRequest { events: vec![event], relay }.encode_to_vec()
        }
        "AppendStream" => {
            let event =
                Event { event_type: "log".into(), entity_ns: ns(), entity_id: secret.entity_id(), ..Event::default() };
            AppendStreamRequest { events: vec![event], batch: 0 }.encode_to_vec()
        }
        "History" => HistoryRequest {
            key: key(),
            kind,
            page_size: if path == "page_token" { 1 } else { WHOLE },
            ..Default::default()
        }
        .encode_to_vec(),
        "StateAt" => StateAtRequest { key: key(), kind, as_of: then(), ..Default::default() }.encode_to_vec(),
        "ListStatesAt" => ListStatesAtRequest {
            ns: ns(),
            // As over HTTP, whose tokens are the same.
            kind: if secret.kind == EntityKind::Thing { 0 } else { kind },
            as_of: then(),
            page_size: if path == "page_token" { 1 } else { WHOLE },
            ..Default::default()
        }
        .encode_to_vec(),
        "Diff" => DiffRequest { key: key(), kind, from: then(), ..Default::default() }.encode_to_vec(),
        "Query" => QueryRequest {
            page_size: if path == "page_token" { 1 } else { WHOLE },
            entity_ns: if path == "entity_id" { ns() } else { String::new() },
            ..Default::default()
        }
        .encode_to_vec(),
        "Aggregate" => AggregateRequest {
            entity_ns: if path == "entity_id" { ns() } else { String::new() },
            entity_kind: kind,
            filters: match path {
                "filters.values" => vec![TextFilter { column: Column::EntityId.into(), values: Vec::new() }],
                _ => Vec::new(),
            },
            // Everything that a group can tell.
            group_by: [Column::EventType, Column::EntityNs, Column::EntityId, Column::EntityType, Column::ErrorMessage]
                .map(i32::from)
                .to_vec(),
            measures: vec![Measure { function: Function::Count.into(), ..Measure::default() }],
            limit: 10_000,
            ..Default::default()
        }
        .encode_to_vec(),
        "Subscribe" => SubscribeRequest {
            start: Start::Beginning.into(),
            entity_ns: if path == "entity_id" { ns() } else { String::new() },
            ..Default::default()
        }
        .encode_to_vec(),
        "ResolveCursor" => ResolveCursorRequest::default().encode_to_vec(),
        "Search" => {
            // All texts begin so.
            let facets = ["ns", "type", MARKED].map(str::to_owned).to_vec();
            let request =
                SearchRequest { query: "mk*".into(), top_k: WHOLE, facets, explain: true, ..Default::default() };
            request.encode_to_vec()
        }
        "Complete" => CompleteRequest { text: "mk".into(), top_k: WHOLE, ..Default::default() }.encode_to_vec(),
        "Similar" => {
            let mode = Mode::Hybrid.into();
            SimilarRequest { key: key(), mode, top_k: WHOLE, explain: true, ..Default::default() }.encode_to_vec()
        }
        _ => return None,
    })
}
