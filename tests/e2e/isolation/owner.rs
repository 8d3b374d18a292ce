//! What the owner sees: everything there is, and what they are given to go on with.

use std::{collections::HashSet, time::Duration};

use harness::cluster::Cluster;
use prost::Message as _;
use proto::{
    events::v1::{
        AsOf, CompactArchiveRequest, Event, GetArchiveRequest, HistoryRequest, ListStatesAtRequest, QueryRequest,
        as_of, events_service_client::EventsServiceClient,
    },
    search::v1::{SearchRequest, SimilarRequest},
    things::v1::{
        ExportThingsRequest, ListNamespacesRequest, ListRelationshipsRequest, ListSchemasRequest, ListThingsRequest,
    },
};
use tonic::transport::Channel;

use super::{
    callers::{Keys, signed},
    requests::{self, Given},
    world::{Secret, VAULT, World, YARD},
};

const WHOLE: i32 = 1_000;

/// Every thing, relationship and event of the owner's tenant but what the writer wrote in their namespace or appended, as
/// text.
pub(crate) async fn dump(cluster: &Cluster, keys: &Keys, world: &World) -> String {
    let (mut things, mut events) = (cluster.things().await, cluster.events().await);
    let mut dump = Vec::new();
    let mut namespaces: Vec<_> = world.secrets.iter().map(|secret| secret.ns.clone()).collect();
    namespaces.dedup();
    for ns in namespaces {
        let request = ListSchemasRequest { ns: ns.clone() };
        if let Ok(listed) = things.list_schemas(signed(&keys.owner, request)).await {
            dump.extend(listed.into_inner().schemas.iter().map(|schema| format!("{schema:?}")));
        }
        let request = ListThingsRequest { ns, page_size: WHOLE, ..Default::default() };
        let listed = things.list_things(signed(&keys.owner, request)).await.expect("listed").into_inner();
        for thing in listed.things {
            dump.push(format!("{thing:?}"));
            if thing.key.as_ref().is_none_or(|key| !key.variant.is_empty()) {
                continue;
            }
            let request = ListRelationshipsRequest {
                thing: thing.key,
                page_size: WHOLE,
                include_others: true,
                ..Default::default()
            };
            let at = things.list_relationships(signed(&keys.owner, request)).await.expect("listed").into_inner();
            let others = at.relationships.iter().filter(|at| at.key.as_ref().is_none_or(|key| key.ns != YARD));
            dump.extend(others.map(|at| format!("{at:?}")));
        }
    }
    let appended = world.secrets.iter().filter(|secret| secret.event_type != "mutation");
    let appended: HashSet<_> = appended.map(|secret| secret.ulid.as_str()).collect();
    let mut page_token = String::new();
    loop {
        let request = QueryRequest { page_size: WHOLE, page_token, ..Default::default() };
        let page = events.query(signed(&keys.owner, request)).await.expect("queried").into_inner();
        let others = page.events.iter().filter(|event| {
            let is_mutation = event.event_type == "mutation";
            if is_mutation { event.entity_ns != YARD } else { appended.contains(event.ulid.as_str()) }
        });
        // In which flush it was is where it is kept.
        let kept_anywhere = others.map(|event| Event { pipeline_batch_id: 0, ..event.clone() });
        dump.extend(kept_anywhere.map(|event| format!("{event:?}")));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    dump.join("\n")
}

/// Waits until all of it is in the archive, in as few files as upkeep makes of it.
pub(crate) async fn archive(cluster: &Cluster, keys: &Keys) {
    let mut events = cluster.events().await;
    let pending = async |events: &mut EventsServiceClient<Channel>| {
        let told = events.get_archive(signed(&keys.operator, GetArchiveRequest {})).await.expect("an operator asks");
        told.into_inner().pending_bytes
    };
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    while pending(&mut events).await > 0 {
        tick.tick().await;
    }
    let merges = events.compact_archive(signed(&keys.operator, CompactArchiveRequest {})).await;
    let mut merges = merges.expect("an operator asks").into_inner();
    while merges.message().await.expect("merged").is_some() {}
}

/// A page token of every list, and a cursor in the middle.
pub(crate) async fn given(cluster: &Cluster, keys: &Keys, world: &World) -> Given {
    let (mut things, mut events) = (cluster.things().await, cluster.events().await);
    let named = |what: &str| -> &Secret { world.secrets.iter().find(|secret| secret.what == what).expect(what) };
    let mut given = Given::default();
    let mut keep = |method: &str, token: String| {
        assert_ne!(token, "", "{method} has a second page");
        given.page_tokens.insert(method.to_owned(), token);
    };
    let request = ListThingsRequest { ns: VAULT.into(), page_size: 1, ..Default::default() };
    let answer = things.list_things(signed(&keys.owner, request)).await.expect("listed");
    keep("ListThings", answer.into_inner().next_page_token);
    let request = ListNamespacesRequest { page_size: 1, ..Default::default() };
    let answer = things.list_namespaces(signed(&keys.owner, request)).await.expect("listed");
    keep("ListNamespaces", answer.into_inner().next_page_token);
    let request = ExportThingsRequest { ns: VAULT.into(), page_size: 1, ..Default::default() };
    let mut exported = things.export_things(signed(&keys.owner, request)).await.expect("exported").into_inner();
    keep("ExportThings", exported.message().await.expect("a message").expect("rows").next_page_token);
    let thing = Some(named("a public thing").key());
    let request = ListRelationshipsRequest { thing, page_size: 1, include_others: true, ..Default::default() };
    let answer = things.list_relationships(signed(&keys.owner, request)).await.expect("listed");
    keep("ListRelationships", answer.into_inner().next_page_token);
    let secret = named("a public thing that was private");
    let request = HistoryRequest {
        key: Some(secret.key()),
        kind: secret.kind.into(),
        page_size: 1,
        wait_for: world.secrets.last().expect("a secret").ulid.clone(),
        ..Default::default()
    };
    let answer = events.history(signed(&keys.owner, request)).await.expect("a history");
    keep("History", answer.into_inner().next_page_token);
    let request = QueryRequest { page_size: 1, ..Default::default() };
    let answer = events.query(signed(&keys.owner, request)).await.expect("queried");
    keep("Query", answer.into_inner().next_page_token);
    let then = Some(as_of::AsOf::Ulid(named("a private thing").ulid.clone()));
    let as_of = Some(AsOf { as_of: then });
    let request = ListStatesAtRequest { ns: VAULT.into(), as_of, page_size: 1, ..Default::default() };
    let answer = events.list_states_at(signed(&keys.owner, request)).await.expect("listed");
    keep("ListStatesAt", answer.into_inner().next_page_token);
    let (mut search, thing) = (cluster.search().await, named("a public thing"));
    let wait_for = world.secrets.last().expect("a secret").ulid.clone();
    let request = requests::good("Search", "page_token", thing, None).expect("a good search");
    let request = SearchRequest::decode(&*request).expect("a search");
    let request = SearchRequest { top_k: 1, wait_for: wait_for.clone(), ..request };
    keep("Search", search.search(signed(&keys.owner, request)).await.expect("found").into_inner().next_page_token);
    let request = requests::good("Similar", "page_token", thing, None).expect("a good search");
    let request = SimilarRequest::decode(&*request).expect("a search");
    let request = SimilarRequest { top_k: 1, wait_for, ..request };
    keep("Similar", search.similar(signed(&keys.owner, request)).await.expect("found").into_inner().next_page_token);
    given.cursor = middle(cluster, keys).await;
    given
}

/// The cursor after the third event.
async fn middle(cluster: &Cluster, keys: &Keys) -> String {
    use proto::events::v1::{Start, SubscribeRequest};
    let request = SubscribeRequest { start: Start::Beginning.into(), ..Default::default() };
    let mut signs =
        cluster.events().await.subscribe(signed(&keys.owner, request)).await.expect("followed").into_inner();
    let mut events = 0;
    loop {
        let sign = signs.message().await.expect("a sign").expect("a stream without end");
        events += usize::from(sign.event.is_some());
        if events == 3 {
            return sign.cursor;
        }
    }
}
