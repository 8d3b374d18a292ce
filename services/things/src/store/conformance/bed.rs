//! What the cases stand on: verbs over a store of their own, callers, and short ways to say what is put and read.

use domain::{
    Clock, Condition, Mutation, Namespace, Provenance, Reference, Relationship, Style, TenantId, Thing, ThingBody,
    Timestamp,
};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use prost::Message as _;
use proto::common::v1::Reason;
use proto::convert::{NewRelationship, ThingPatch, new_event};
use serve::deadline::Deadline;
use serve::health::Readiness;
use serve::{Caller, Peer, Refusal, Routes, Tasks};
use tempfile::TempDir;
use tokio::time::{Duration, timeout};

use super::server;
use crate::delete::Deleted;
use crate::export::Exported;
use crate::list::{Listed, PageRequest};
use crate::store::{Batch, Direction, Lease, Order, Resolved, Scope, Store, Taken, ThingFilter, migrate, open};
use crate::traverse::Traversal;
use crate::{Call, Put, Things};

/// Verbs over a store of their own, whose clock stands still.
pub(crate) struct Bed {
    pub(crate) things: Things,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    url: String,
    pub(crate) tasks: Tasks,
    dir: TempDir,
}

/// On SQLite.
pub(crate) async fn sqlite() -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("things.db").display());
    Bed::open(url, Clock::manual(start()), dir).await
}

/// When the clock stands still first.
pub(crate) fn start() -> Timestamp {
    "2026-01-31T09:30:00Z".parse().unwrap()
}

/// On PostgreSQL 16.
pub(crate) async fn postgres_16() -> Bed {
    postgres(16).await
}

/// On PostgreSQL 18.
pub(crate) async fn postgres_18() -> Bed {
    postgres(18).await
}

async fn postgres(version: u32) -> Bed {
    let url = tokio::task::spawn_blocking(move || server::fresh(version)).await.unwrap();
    migrate(&url).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    Bed::open(url, Clock::manual(start()), dir).await
}

pub(crate) type Refused<T> = Result<T, Reason>;

impl Bed {
    pub(crate) async fn open(url: String, clock: Clock, dir: TempDir) -> Self {
        let tasks = Tasks::new("things");
        let store = open(&url, clock.clone(), Readiness::default(), &tasks).await.unwrap();
        // No case asks events for anything.
        let events = Peer::local(Routes::default());
        let things = Things { store: store.clone(), clock: clock.clone(), events };
        Self { things, store, clock, url, tasks, dir }
    }

    /// The same store after a restart.
    pub(crate) async fn reopened(self) -> Self {
        let clock = self.clock.clone();
        self.reopened_with(clock).await
    }

    /// The same store after a restart on a machine with another clock.
    pub(crate) async fn reopened_with(self, clock: Clock) -> Self {
        let Self { things, store, clock: _, url, tasks, dir } = self;
        tasks.drain(Duration::from_secs(5)).await.unwrap();
        drop((things, store));
        Self::open(url, clock, dir).await
    }

    pub(crate) async fn put(&self, named: &str, text: &str) -> Put<Thing> {
        self.put_as(&owner(), named, note(text)).await.unwrap()
    }

    pub(crate) async fn put_as(&self, who: &Caller, named: &str, body: ThingBody) -> Refused<Put<Thing>> {
        reason(self.things.put_thing(call(who), name(named), body, Condition::None).await)
    }

    pub(crate) async fn put_if(&self, named: &str, text: &str, condition: Condition) -> Result<Put<Thing>, Refusal> {
        self.things.put_thing(call(&owner()), name(named), note(text), condition).await
    }

    pub(crate) async fn patch(&self, named: &str, patch: ThingPatch) -> Refused<Put<Thing>> {
        reason(self.things.patch_thing(call(&owner()), name(named), patch, Condition::None).await)
    }

    pub(crate) async fn delete(&self, named: &str) -> Refused<Deleted> {
        reason(self.things.delete_thing(call(&owner()), name(named), Condition::None).await)
    }

    pub(crate) async fn get(&self, who: &Caller, named: &str) -> Refused<Thing> {
        reason(self.things.get_thing(who, name(named), vec![], true).await).map(|(thing, _)| thing)
    }

    pub(crate) async fn link(&self, named: &str, from: &str, to: &str) -> Refused<Put<Relationship>> {
        self.link_as(&owner(), named, from, to).await
    }

    pub(crate) async fn link_as(&self, who: &Caller, named: &str, from: &str, to: &str) -> Refused<Put<Relationship>> {
        reason(self.things.put_relationship(call(who), edge(named, from, to), Condition::None).await)
    }

    pub(crate) async fn unlink(&self, named: &str) -> Refused<Deleted> {
        reason(self.things.delete_relationship(call(&owner()), name(named), Condition::None).await)
    }

    pub(crate) async fn relationship(&self, who: &Caller, named: &str) -> Refused<Relationship> {
        reason(self.things.get_relationship(who, &name(named)).await).map(|(relationship, _)| relationship)
    }

    pub(crate) async fn register(&self, ns: &str, style: Style) -> Refused<()> {
        self.register_as(&owner(), ns, style).await
    }

    pub(crate) async fn register_as(&self, who: &Caller, named: &str, style: Style) -> Refused<()> {
        reason(self.things.register_namespace(call(who), ns(named), style).await).map(drop)
    }

    /// A page of a namespace: what is on it, and the token of the next.
    pub(crate) async fn page(&self, who: &Caller, named: &str, size: usize, token: &str) -> (Vec<String>, String) {
        let page = PageRequest { size, token: token.to_owned(), question: named.into() };
        let Listed { items, next_page_token } = self
            .things
            .list_things(who, ThingFilter::all_of(Scope::Exactly(ns(named))), Order::Name, &page)
            .await
            .unwrap();
        (items.iter().map(|(thing, _)| thing.key.to_string()).collect(), next_page_token)
    }

    /// What is listed of a namespace.
    pub(crate) async fn list(&self, who: &Caller, named: &str) -> Vec<String> {
        self.page(who, named, 1_000, "").await.0
    }

    /// The names of the relationships at a thing.
    pub(crate) async fn at(&self, who: &Caller, thing: &str, direction: Direction) -> Refused<Vec<String>> {
        let page = PageRequest { size: 1_000, token: String::new(), question: Vec::new() };
        let listed = self.things.list_relationships(who, name(thing), direction, None, false, &page).await;
        reason(listed).map(|(listed, _)| listed.items.iter().map(|(found, _)| found.name.to_string()).collect())
    }

    /// What is exported, in messages, and the token of each.
    pub(crate) async fn export(&self, who: &Caller, scope: Scope, token: &str) -> Refused<Vec<Exported>> {
        let deadline = Deadline::after(Duration::from_mins(1));
        let page = PageRequest { size: 1_000, token: token.to_owned(), question: Vec::new() };
        let parts = reason(self.things.export(who, scope, &page, deadline).await)?;
        reason(Box::pin(parts).try_collect().await)
    }

    /// What a walk reaches: the ids of things with their depths, and whether there is more.
    pub(crate) async fn walk(&self, who: &Caller, traversal: Traversal) -> Refused<(Vec<String>, bool)> {
        let deadline = Deadline::after(Duration::from_mins(1));
        let mut parts = Box::pin(reason(self.things.traverse(who, traversal, deadline).await)?);
        let (mut reached, mut is_truncated) = (Vec::new(), false);
        while let Some(part) = parts.next().await {
            let part = reason(part)?;
            assert!(!is_truncated, "the last part says so");
            is_truncated = part.is_truncated;
            reached.extend(
                part.things.iter().map(|reached| format!("{} {}", reached.thing.name.id.as_str(), reached.depth)),
            );
        }
        Ok((reached, is_truncated))
    }

    /// A resolution at the present moment, once that has passed.
    pub(crate) async fn resolve(&self, who: &Caller, named: &str, kind: domain::EntityKind) -> Refused<Resolved> {
        let now = self.clock.now();
        self.clock.advance(1);
        reason(self.things.resolve_name(who, name(named), kind, Some(now)).await)
    }

    /// Takes every batch there is, acknowledging each.
    pub(crate) async fn batches(&self) -> Vec<Batch> {
        let lease = self.lease().await;
        let (mut batches, mut acknowledged) = (Vec::new(), None);
        while let Taken::Batch(batch) = self.store.outbox.take(lease, acknowledged).await.unwrap() {
            acknowledged = Some(batch.number);
            batches.push(batch);
        }
        batches
    }

    pub(crate) async fn lease(&self) -> Lease {
        self.store.outbox.lease().await.unwrap()
    }

    pub(crate) async fn take(&self, lease: Lease, acknowledged: Option<u64>) -> Batch {
        match self.store.outbox.take(lease, acknowledged).await.unwrap() {
            Taken::Batch(batch) => batch,
            other => panic!("there is a batch to take, not {other:?}"),
        }
    }

    /// Every mutation that has not been taken yet, with its tenant, as events would read it.
    pub(crate) async fn mutations(&self) -> Vec<Mutation> {
        let payloads = self.batches().await.into_iter().flat_map(|batch| batch.payloads);
        payloads.map(|payload| mutation(&payload)).collect()
    }

    /// Whether a relay that waits would go on.
    pub(crate) fn is_woken(&self) -> bool {
        self.store.outbox.wait().now_or_never().is_some()
    }

    pub(crate) async fn woken(&self) {
        timeout(Duration::from_secs(10), self.store.outbox.wait()).await.expect("a commit wakes the relay");
    }
}

pub(crate) fn mutation(payload: &[u8]) -> Mutation {
    let event = new_event(proto::events::v1::Event::decode(payload).unwrap()).unwrap();
    let text = |text: Option<domain::JsonText>| text.unwrap().as_str().to_owned();
    let (data, metadata) = (text(event.body.data), text(event.body.metadata));
    Mutation::from_event(event.ulid.unwrap(), event.body.entity.unwrap(), &data, &metadata).unwrap()
}

/// Everything, in the tenant `default`.
pub(crate) fn owner() -> Caller {
    Caller::local()
}

pub(crate) fn anonymous() -> Caller {
    Caller::anonymous(TenantId::local())
}

/// Somebody of the tenant `default` with these scopes.
pub(crate) fn keyed(scopes: &[&str]) -> Caller {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    Caller::keyed(TenantId::local(), "somebody", scopes)
}

/// Everything, in another tenant.
pub(crate) fn foreigner() -> Caller {
    Caller::keyed("foreign".parse().unwrap(), "foreigner", vec!["admin:*".parse().unwrap()])
}

pub(crate) fn call(who: &Caller) -> Call {
    let provenance =
        Provenance { actor: (*who.principal).into(), request_id: "request".into(), cause: "a case".into() };
    Call { caller: who.clone(), provenance }
}

/// `ns:id` or `ns:id#variant` is a key, anything else a path.
pub(crate) fn name(text: &str) -> Reference {
    let Some((ns, id)) = text.split_once(':') else { return Reference::Path(text.parse().unwrap()) };
    let (id, variant) = match id.split_once('#') {
        Some((id, variant)) => (id, variant.parse().unwrap()),
        None => (id, domain::Variant::canonical()),
    };
    Reference::Parts { ns: ns.parse().unwrap(), id: id.into(), variant }
}

pub(crate) fn ns(text: &str) -> Namespace {
    text.parse().unwrap()
}

/// A public note.
pub(crate) fn note(text: &str) -> ThingBody {
    ThingBody {
        thing_type: "Note".parse().unwrap(),
        visibility: domain::Visibility::Public,
        content: Some(text.to_owned().try_into().unwrap()),
        code: None,
        data: None,
        embedding: None,
    }
}

pub(crate) fn private(text: &str) -> ThingBody {
    ThingBody { visibility: domain::Visibility::Private, ..note(text) }
}

pub(crate) fn unlisted(text: &str) -> ThingBody {
    ThingBody { visibility: domain::Visibility::Unlisted, ..note(text) }
}

pub(crate) fn edge(named: &str, from: &str, to: &str) -> NewRelationship {
    NewRelationship {
        reference: name(named),
        relationship_type: "uses".parse().unwrap(),
        from: name(from),
        to: name(to),
        visibility: domain::Visibility::Public,
        data: None,
    }
}

/// Both ways, by all types.
pub(crate) fn from(thing: &str, max_depth: u32) -> Traversal {
    Traversal { thing: name(thing), direction: Direction::Both, types: Vec::new(), max_depth, max_things: 1_000 }
}

pub(crate) fn reason<T>(outcome: Result<T, Refusal>) -> Refused<T> {
    outcome.map_err(|refusal| refusal.reason)
}
