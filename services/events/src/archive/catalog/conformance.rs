//! What every catalog promises, executed: one list of cases on SQLite, PostgreSQL and a REST catalog.

use std::{
    collections::{BTreeSet, HashMap},
    env,
    path::PathBuf,
    sync::LazyLock,
};

use domain::Clock;
use iceberg::spec::{MAIN_BRANCH, Operation, Snapshot, Summary};
use serde_json::json;
use serve::config::{Secret, Setting as _};
use tokio::runtime::Runtime;
use ulid::Ulid;

use super::{Address, Catalog, Choice, Current, Next, Outcome};
use crate::{
    archive::{
        Error, Table,
        commit::{Change, Committer, Loaded, UNANSWERED_TRIES},
        expire::referred,
        store::Store,
    },
    journal::Identity,
};

#[expect(unreachable_pub, reason = "the harness has it too")]
#[allow(dead_code, reason = "the harness uses the rest")]
#[path = "../../../../../tests/harness/catalogs.rs"]
mod catalogs;

use self::catalogs::CatalogServer;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

type Case = fn(&Scene);

const CASES: [(&str, Case); 6] = [
    ("of two commits to one state one is done", of_two_commits_one_is_done),
    ("a table that two make is made once", made_once),
    ("a change that is made twice has taken effect once", effective_once),
    ("a restart goes on where the table ends", reopened),
    ("an expired snapshot is gone", expired),
    ("a change on another state is a conflict", conflict),
];

/// What is to go wrong, and what it must come to.
type Fault = (&'static str, fn(&Scene, &str));

/// What every server does.
const FAULTS: [Fault; 6] = [
    ("refused", is_refused),
    ("failed", is_done_once),
    ("lost", is_done_once),
    ("late", is_done_once),
    ("failed", keeps_what_it_wrote),
    ("away", is_found_again),
];
/// What a REST catalog says beside it.
const ANSWERS: [Fault; 2] = [("conflict", is_done_once), ("gateway", is_done_once)];

#[test]
fn sqlite_is_a_catalog() {
    for (case, run) in CASES {
        println!("{case}");
        run(&Scene::new(Choice::default(), None));
    }
}

#[test]
fn postgres_is_a_catalog_whatever_goes_wrong() {
    run_on(CatalogServer::postgres(&python()), &FAULTS);
}

#[test]
fn a_rest_catalog_is_one_whatever_goes_wrong() {
    run_on(CatalogServer::rest(&python(), &json!({})), &[FAULTS.as_slice(), &ANSWERS].concat());
}

fn run_on(mut server: CatalogServer, faults: &[Fault]) {
    for (case, run) in CASES {
        println!("{case}");
        server = run_scene(server, run);
    }
    for (fault, run) in faults {
        println!("{fault}");
        server = run_scene(server, |scene| run(scene, fault));
    }
}

fn run_scene(mut server: CatalogServer, run: impl FnOnce(&Scene)) -> CatalogServer {
    server.forget();
    let scene = Scene::new(choice_of(&server), Some(server));
    run(&scene);
    scene.server.expect("it was given")
}

/// An archive's directory and its catalog, opened twice.
struct Scene {
    dir: tempfile::TempDir,
    store: Store,
    choice: Choice,
    one: Catalog,
    other: Catalog,
    identity: Identity,
    clock: Clock,
    server: Option<CatalogServer>,
}

fn of_two_commits_one_is_done(scene: &Scene) {
    let table = scene.load(&scene.one);
    let previous = Current { metadata: table.metadata.as_ref().clone(), location: table.location };
    let done = scene.one.commit(&scene.store, "events", &previous, scene.next(&previous, 1)).unwrap();
    assert!(matches!(&done, Outcome::Done(current) if current.metadata.current_snapshot_id() == Some(1)));
    let lost = scene.other.commit(&scene.store, "events", &previous, scene.next(&previous, 2)).unwrap();
    assert!(matches!(lost, Outcome::Lost));
    let now = scene.other.load(&scene.store, "events").unwrap().unwrap();
    assert_eq!(now.metadata.current_snapshot_id(), Some(1));
    let done = scene.other.commit(&scene.store, "events", &now, scene.next(&now, 3)).unwrap();
    assert!(matches!(done, Outcome::Done(_)));
    assert_eq!(scene.load(&scene.one).metadata.current_snapshot_id(), Some(3));
}

fn made_once(scene: &Scene) {
    assert!(scene.one.load(&scene.store, "history").unwrap().is_none());
    let metadata = || Table::History.create(scene.store.base(), scene.identity).unwrap();
    scene.one.create(&scene.store, "history", &metadata()).unwrap();
    let first = scene.one.load(&scene.store, "history").unwrap().unwrap();
    scene.other.create(&scene.store, "history", &metadata()).unwrap();
    let now = scene.other.load(&scene.store, "history").unwrap().unwrap();
    assert_eq!((now.metadata.uuid(), now.location), (first.metadata.uuid(), first.location));
}

fn effective_once(scene: &Scene) {
    let change = scene.change(0, 10);
    scene.commit(&scene.one, &change).unwrap();
    let again = scene.commit(&scene.other, &change).unwrap();
    assert_eq!((again.metadata.snapshots().len(), again.position()), (1, 10));
    scene.assert_whole(0);
}

fn reopened(scene: &Scene) {
    scene.commit(&scene.one, &scene.change(0, 10)).unwrap();
    let reopened = Catalog::open(&scene.choice, scene.dir.path(), RUNTIME.handle()).unwrap();
    assert_eq!(scene.load(&reopened).position(), 10);
    scene.commit(&reopened, &scene.change(10, 15)).unwrap();
    assert_eq!(scene.load(&scene.other).position(), 15);
}

fn expired(scene: &Scene) {
    scene.commit(&scene.one, &scene.change(0, 10)).unwrap();
    let first = scene.load(&scene.one).metadata.current_snapshot_id().unwrap();
    scene.commit(&scene.one, &scene.change(10, 15)).unwrap();
    let expiry = Change { positions: None, expire: vec![first], ..scene.change(0, 0) };
    scene.commit(&scene.one, &expiry).unwrap();
    let now = scene.commit(&scene.other, &expiry).unwrap();
    assert!(now.metadata.snapshot_by_id(first).is_none());
    assert_eq!((now.metadata.snapshots().len(), now.position()), (1, 15));
}

fn conflict(scene: &Scene) {
    scene.commit(&scene.one, &scene.change(0, 10)).unwrap();
    let refused = scene.commit(&scene.other, &scene.change(0, 12)).unwrap_err();
    assert!(matches!(refused, Error::Conflict { table: "events" }), "{refused}");
    assert_eq!(scene.load(&scene.one).position(), 10);
}

fn is_done_once(scene: &Scene, fault: &str) {
    scene.commit(&scene.one, &scene.change(0, 10)).unwrap();
    scene.server().fail(fault, 1);
    let done = scene.commit(&scene.one, &scene.change(10, 20)).unwrap();
    let now = scene.load(&scene.other);
    assert_eq!((now.position(), now.metadata.snapshots().len(), now.location), (20, 2, done.location));
    scene.server().settle();
    assert!(scene.server().met(fault) > 0);
    scene.commit(&scene.one, &scene.change(20, 25)).unwrap();
    assert_eq!(scene.load(&scene.other).metadata.snapshots().len(), 3);
    scene.assert_whole(0);
}

fn is_refused(scene: &Scene, fault: &str) {
    scene.commit(&scene.one, &scene.change(0, 10)).unwrap();
    scene.server().fail(fault, 1);
    let refused = scene.commit(&scene.one, &scene.change(10, 20)).unwrap_err();
    assert!(
        matches!(&refused, Error::CatalogRefused { said, .. } if said.contains("refused by the test")),
        "{refused}"
    );
    assert_eq!(scene.load(&scene.other).position(), 10);
    scene.assert_whole(0);
    scene.commit(&scene.one, &scene.change(10, 20)).unwrap();
}

fn keeps_what_it_wrote(scene: &Scene, fault: &str) {
    scene.commit(&scene.one, &scene.change(0, 10)).unwrap();
    scene.server().fail(fault, UNANSWERED_TRIES);
    scene.commit(&scene.one, &scene.change(10, 20)).unwrap_err();
    // A manifest list for each try.
    scene.assert_whole(UNANSWERED_TRIES);
    scene.commit(&scene.one, &scene.change(10, 20)).unwrap();
    assert_eq!(scene.load(&scene.other).position(), 20);
}

fn is_found_again(scene: &Scene, fault: &str) {
    scene.commit(&scene.one, &scene.change(0, 10)).unwrap();
    scene.server().fail(fault, 1);
    let away = scene.commit(&scene.one, &scene.change(10, 20)).unwrap_err();
    let told = away.to_string();
    assert!(told.contains("does not answer: start it, or give another --archive-catalog"), "{told}");
    let closed = Catalog::open(&scene.choice, scene.dir.path(), RUNTIME.handle()).err().expect("it is away");
    assert!(matches!(closed, Error::CatalogAway { .. }), "{closed}");
    scene.server().fail(fault, 0);
    scene.commit(&scene.one, &scene.change(10, 20)).unwrap();
    assert_eq!(scene.load(&scene.other).position(), 20);
    scene.assert_whole(0);
}

impl Scene {
    fn new(choice: Choice, server: Option<CatalogServer>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("archive")).unwrap();
        let store = Store::directory(&dir.path().join("archive"), RUNTIME.handle().clone()).unwrap();
        let open = || Catalog::open(&choice, dir.path(), RUNTIME.handle()).unwrap();
        let (one, other) = (open(), open());
        let (identity, clock) = (Identity { id: Ulid(7), epoch: 1 }, Clock::system());
        Self { dir, store, choice, one, other, identity, clock, server }
    }

    fn server(&self) -> &CatalogServer {
        self.server.as_ref().expect("a server fails")
    }

    fn committer<'a>(&'a self, catalog: &'a Catalog) -> Committer<'a> {
        Committer { store: &self.store, catalog, identity: self.identity, clock: &self.clock }
    }

    fn load(&self, catalog: &Catalog) -> Loaded {
        self.committer(catalog).load(Table::Events).unwrap()
    }

    fn commit(&self, catalog: &Catalog, change: &Change) -> Result<Loaded, Error> {
        self.committer(catalog).commit(Table::Events, change)
    }

    /// A change that moves the table's position.
    fn change(&self, from: u64, to: u64) -> Change {
        Change {
            id: self.clock.ulid(),
            operation: Operation::Append,
            add: Vec::new(),
            remove: BTreeSet::new(),
            positions: Some((from, to)),
            expire: Vec::new(),
            properties: HashMap::new(),
        }
    }

    /// The state after one with another snapshot.
    fn next(&self, previous: &Current, id: i64) -> Next {
        let metadata = &previous.metadata;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(metadata.current_snapshot_id())
            .with_sequence_number(metadata.next_sequence_number())
            .with_timestamp_ms(self.clock.now().millis().max(metadata.last_updated_ms()))
            .with_manifest_list(format!("{}/metadata/snap-{id}.avro", metadata.location()))
            .with_summary(Summary { operation: Operation::Append, additional_properties: HashMap::new() })
            .with_schema_id(metadata.current_schema_id())
            .build();
        let builder = metadata.clone().into_builder(Some(previous.location.clone()));
        let built = builder.set_branch_snapshot(snapshot, MAIN_BRANCH).unwrap().build().unwrap();
        Next { metadata: built.metadata, updates: built.changes }
    }

    /// Everything that the table refers to is there, and of what commits write beside the metadata so much else.
    #[track_caller]
    fn assert_whole(&self, left: usize) {
        let loaded = self.load(&self.other);
        let listed = self.store.list(loaded.metadata.location()).unwrap();
        let listed: BTreeSet<_> = listed.into_iter().map(|file| file.location).collect();
        let referred = referred(&self.store, &loaded).unwrap();
        let missing: Vec<_> = referred.iter().filter(|file| !listed.contains(*file)).collect();
        assert_eq!(missing, [""; 0]);
        let rest: Vec<_> = listed.iter().filter(|file| file.contains(".avro") && !referred.contains(*file)).collect();
        assert_eq!(rest.len(), left, "{rest:?}");
    }
}

/// How the archive is told of a server.
pub(crate) fn choice_of(server: &CatalogServer) -> Choice {
    Choice {
        address: Some(Address::from_text(server.told("url").unwrap()).unwrap()),
        token: server.told("token").map(|token| Secret::from_text(token).unwrap()),
        warehouse: server.told("warehouse").map(str::to_owned),
        is_vending: false,
    }
}

/// What `cargo xtask backends` has installed.
pub(crate) fn python() -> PathBuf {
    let test = env::current_exe().unwrap();
    let mut pythons = test.ancestors().map(|directory| directory.join("backends/venv/bin/python"));
    pythons.find(|python| python.exists()).expect("run `cargo xtask backends`")
}
