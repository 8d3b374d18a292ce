//! What the tests of the verbs share: a log on a real journal in a directory of its own, and events to put into it.

use std::sync::{Arc, LazyLock};

use domain::{
    Clock, Entity, EntityKind, Etag, Key, Mutation, Name, Provenance, Relationship, RelationshipBody, State, TenantId,
    Thing, ThingBody, Timestamp, Visibility,
};
use proto::{
    convert::{NewEvent, mutation_event, new_event},
    events::v1 as wire,
};
use serve::{
    Caller,
    auth::{Pattern, Right, Scope},
};
use tokio::runtime::Handle;
use ulid::Ulid;

use crate::{
    EventLog,
    archive::{self, Choice, Place, Site, Table},
    journal::{RelayBatch, Settings},
};

/// A log whose clock stands still.
pub(crate) struct Fixture {
    pub(crate) log: Arc<EventLog>,
    pub(crate) clock: Clock,
    dir: tempfile::TempDir,
    relayed: u64,
}

/// The directory of a log that nobody has open.
pub(crate) struct Closed {
    pub(crate) clock: Clock,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) relayed: u64,
}

pub(crate) const SETTINGS: Settings = Settings { segment_bytes: 1 << 16, queue_bytes: 1 << 20 };
pub(crate) const RELAY: Ulid = Ulid(42);

/// An archive in the directory of the service.
pub(crate) fn here() -> Site {
    Site { place: Place::Here, catalog: Choice::default() }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let clock = Clock::manual("2026-01-31T09:30:00Z".parse().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let log = open(&dir, &clock);
        Self { log, clock, dir, relayed: 0 }
    }

    /// The same directory after a restart.
    pub(crate) fn reopened(self) -> Self {
        self.closed().opened()
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The directory after the end.
    pub(crate) fn closed(self) -> Closed {
        let Self { log, clock, dir, relayed } = self;
        drop(Arc::into_inner(log).expect("nobody else holds the log"));
        Closed { clock, dir, relayed }
    }

    /// Moves up to so many bytes of the journal into the archive.
    pub(crate) fn flush(&self, bytes: u64) {
        self.log.flush(bytes).unwrap();
    }

    /// Merges files as long as there are many, and removes what nothing refers to, however young.
    pub(crate) fn keep_up(&self) {
        let rested = self.clock.now().millis() - archive::REST.as_millis() as i64;
        for table in Table::ALL {
            while self.log.archive.compact_once(table, rested).unwrap().is_some() {}
            self.log.archive.expire(table, i64::MAX).unwrap();
            assert_eq!(self.log.archive.verify(table).unwrap(), [""; 0]);
        }
    }

    /// In a test of a module `archived`, all that is there goes into the archive: what is appended next is in the
    /// journal, and what came before is not.
    fn archive_what_is_there(&self) {
        if std::thread::current().name().is_some_and(|test| test.contains("::archived::")) {
            self.flush(u64::MAX);
        }
    }

    /// Appends events for the local caller and answers their ULIDs.
    pub(crate) async fn append(&self, events: Vec<NewEvent>) -> Vec<Ulid> {
        self.archive_what_is_there();
        self.log.append(&Caller::local(), events).await.unwrap().ulids
    }

    /// Relays mutations, in one batch, as things would.
    pub(crate) async fn relay(&mut self, mutations: &[Mutation]) {
        self.archive_what_is_there();
        self.relayed += 1;
        let batch = RelayBatch { relay: RELAY, number: self.relayed };
        let events = mutations.iter().map(|mutation| event_of(mutation, &TenantId::local())).collect();
        self.log.append_relayed(&peer(), batch, events).await.unwrap();
    }

    /// A mutation of now that gives a name this state after `before`.
    pub(crate) fn put(&self, before: Option<&State>, mut after: State) -> Mutation {
        self.clock.advance(1_000);
        let ulid = self.clock.ulid();
        match &mut after {
            State::Thing(thing) => thing.etag = Etag(ulid),
            State::Relationship(relationship) => relationship.etag = Etag(ulid),
        }
        mutation(ulid, before.cloned(), Some(after))
    }

    /// A mutation of now that takes the state from a name.
    pub(crate) fn delete(&self, before: &State) -> Mutation {
        self.clock.advance(1_000);
        mutation(self.clock.ulid(), Some(before.clone()), None)
    }
}

impl Closed {
    /// Its log, open again.
    pub(crate) fn opened(self) -> Fixture {
        let Self { clock, dir, relayed } = self;
        Fixture { log: open(&dir, &clock), clock, dir, relayed }
    }
}

fn open(dir: &tempfile::TempDir, clock: &Clock) -> Arc<EventLog> {
    let open =
        |runtime: &Handle| EventLog::open(dir.path(), SETTINGS, &here(), clock.clone(), runtime.clone()).unwrap();
    Arc::new(apart(open))
}

/// Does what blocks on a thread of its own: the archive waits with a runtime, which a test's own thread may not do.
pub(crate) fn apart<T: Send>(work: impl FnOnce(&Handle) -> T + Send) -> T {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    std::thread::scope(|scope| scope.spawn(|| work(RUNTIME.handle())).join().unwrap())
}

fn mutation(ulid: Ulid, before: Option<State>, after: Option<State>) -> Mutation {
    let entity = match after.as_ref().or(before.as_ref()).unwrap() {
        State::Thing(thing) => Entity::thing(thing.key.clone(), thing.body.thing_type.clone()),
        State::Relationship(edge) => Entity::relationship(edge.name.clone(), edge.body.relationship_type.clone()),
    };
    let provenance = Provenance { actor: "ada".into(), request_id: "r-1".into(), cause: "test".into() };
    Mutation { ulid, entity, before, after, provenance }
}

pub(crate) fn peer() -> Caller {
    Caller::peer(TenantId::local())
}

/// Somebody who may query and follow events but reads no namespace.
pub(crate) fn event_reader() -> Caller {
    Caller::keyed(TenantId::local(), "eve", [Scope::ReadEvents])
}

/// Somebody who reads one namespace.
pub(crate) fn reader_of(ns: &str) -> Caller {
    Caller::keyed(
        TenantId::local(),
        "rita",
        [Scope::Things(Right::Read, Pattern::One(ns.parse().unwrap())), Scope::ReadEvents],
    )
}

/// `ns/id` or `ns/id#variant`.
pub(crate) fn key(text: &str) -> Key {
    let (ns, id) = text.split_once('/').unwrap();
    let (id, variant) = id.split_once('#').unwrap_or((id, ""));
    let mut key = Key::canonical(ns.parse().unwrap(), domain::Id::from_canonical(id).unwrap());
    if !variant.is_empty() {
        key.variant = variant.parse().unwrap();
    }
    key
}

pub(crate) fn thing(name: &str, visibility: Visibility, content: &str) -> State {
    let body = ThingBody {
        thing_type: "Note".parse().unwrap(),
        visibility,
        content: Some(content.to_owned().try_into().unwrap()),
        code: None,
        data: None,
        embedding: None,
    };
    State::Thing(Thing { key: key(name), body, created_at: Timestamp::MIN, etag: Etag(Ulid(0)) })
}

pub(crate) fn relationship(name: &str, from: &str, to: &str, visibility: Visibility) -> State {
    let bare = |text| -> Name { key(text).name() };
    let body = RelationshipBody {
        relationship_type: "uses".parse().unwrap(),
        from: bare(from),
        to: bare(to),
        visibility,
        data: None,
    };
    State::Relationship(Relationship { name: bare(name), body, created_at: Timestamp::MIN, etag: Etag(Ulid(0)) })
}

pub(crate) fn entity(kind: EntityKind, name: &str) -> Entity {
    Entity { kind, key: key(name), entity_type: None }
}

/// An event of a type.
pub(crate) fn event(event_type: &str) -> NewEvent {
    new_event(wire::Event { event_type: event_type.into(), ..wire::Event::default() }).unwrap()
}

/// An event of a type about a thing.
pub(crate) fn event_about(event_type: &str, name: &str) -> NewEvent {
    let key = key(name);
    new_event(wire::Event {
        event_type: event_type.into(),
        entity_ns: key.ns.to_string(),
        entity_id: key.entity_id().into(),
        ..wire::Event::default()
    })
    .unwrap()
}

/// The event that things makes of a mutation.
pub(crate) fn event_of(mutation: &Mutation, tenant: &TenantId) -> NewEvent {
    new_event(mutation_event(tenant, mutation)).unwrap()
}

/// The state that a mutation made.
pub(crate) fn after(mutation: &Mutation) -> State {
    mutation.after.clone().unwrap()
}
