//! Who may not see it cannot tell that it is there: every string of every request × everything that a tenant has ×
//! everybody who may see less of it, made from the descriptors.

mod asks;
mod callers;
mod furnish;
mod matrix;
mod over_http;
mod owner;
mod requests;
mod rpcs;
mod sight;
mod spoofs;
mod wire;
mod world;

use harness::cluster::{Cluster, Topology};
use proto::things::v1::{PutThingRequest, Thing};

use callers::{Caller, Keys, signed};
use matrix::{Doors, Matrix};
use over_http::OverHttp;
use requests::Given;
use world::World;

#[test]
fn every_method_has_a_good_request() {
    let secret = world::Secret::example();
    let given = Given::example();
    for method in rpcs::methods() {
        for path in rpcs::strings(&method.input()) {
            let request = requests::request(&method, &path, &secret, &given, None);
            assert!(request.is_some(), "say in requests.rs what a good {} is", method.full_name());
        }
    }
}

#[test]
fn every_string_of_the_descriptors_is_in_the_matrix() {
    let strings: usize = rpcs::methods().iter().map(|method| rpcs::strings(&method.input()).len()).sum();
    assert_eq!(strings, rpcs::count_strings());
}

struct Scene {
    cluster: Cluster,
    keys: Keys,
    world: World,
    given: Given,
    before: String,
}

impl Scene {
    async fn open(topology: Topology) -> Self {
        let (cluster, keys) = Keys::cluster(topology).await;
        let world = world::furnish(&cluster, &keys).await;
        let given = owner::given(&cluster, &keys, &world).await;
        let before = owner::dump(&cluster, &keys, &world).await;
        for (key, ns) in [(&keys.stranger, world::VAULT), (&keys.writer, world::YARD)] {
            for id in ["from", "to"] {
                let own = Some(proto::common::v1::Key { ns: ns.into(), id: id.into(), ..Default::default() });
                let thing = Some(Thing { key: own, r#type: "T".into(), ..Thing::default() });
                let request = PutThingRequest { thing, ..Default::default() };
                cluster.things().await.put_thing(signed(key, request)).await.expect("their own");
            }
        }
        if matches!(topology, Topology::Separate) {
            owner::archive(&cluster, &keys).await;
        }
        Self { cluster, keys, world, given, before }
    }

    async fn through_the_gateway(&self, caller: &Caller) -> Doors {
        let door = caller.door(self.cluster.gateway).await;
        Doors { things: door.clone(), events: door.clone(), search: door }
    }

    async fn direct(&self, caller: &Caller) -> Doors {
        let [things, events, search] = [self.cluster.things, self.cluster.events, self.cluster.search];
        Doors {
            things: caller.door(things).await,
            events: caller.door(events).await,
            search: caller.door(search).await,
        }
    }

    /// The whole matrix as `caller`: nothing leaks, and what they may see they do see.
    async fn check(&self, caller: &Caller, doors: Doors) {
        let (reads, writes): (Vec<_>, Vec<_>) = rpcs::methods().into_iter().partition(requests::is_read);
        let read = Matrix::new(&self.world, &self.given, caller, doors.clone()).run(&reads).await;
        read.assert_right();
        let visible = self.world.markers.visible(&caller.eyes);
        let unseen: Vec<_> = visible.difference(&read.seen).collect();
        assert!(unseen.is_empty(), "{} never sees {unseen:?}", caller.name);
        let written = Matrix::new(&self.world, &self.given, caller, doors).run(&writes).await;
        written.assert_right();
        let cells = rpcs::count_strings() * self.world.secrets.len();
        assert_eq!(read.cells + written.cells, cells);
        println!("{}: {cells} cells, {} texts seen of {}", caller.name, visible.len(), self.world.markers.len());
    }

    /// The writes of the matrix as somebody who may write in a namespace of their own: into that, about the owner's.
    async fn check_writes(&self, caller: &Caller, doors: Doors) {
        let writes: Vec<_> = rpcs::methods().into_iter().filter(|method| !requests::is_read(method)).collect();
        let written = Matrix::new(&self.world, &self.given, caller, doors).run(&writes).await;
        written.assert_right();
        assert!(written.taken > 0, "{} may write nothing", caller.name);
        println!("{}: {} cells, {} taken", caller.name, written.cells, written.taken);
    }

    async fn nothing_has_changed(&self) {
        let after = owner::dump(&self.cluster, &self.keys, &self.world).await;
        assert!(self.before == after, "the owner's things have changed\n{}\n{after}", self.before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_process_nobody_sees_what_they_may_not() {
    let scene = Scene::open(Topology::AllInOne).await;
    the_owner_sees_everything(&scene).await;
    for caller in [Keys::anonymous(), scene.keys.neighbour(), scene.keys.stranger()] {
        scene.check(&caller, scene.through_the_gateway(&caller).await).await;
    }
    let writer = scene.keys.writer();
    scene.check_writes(&writer, scene.through_the_gateway(&writer).await).await;
    scene.nothing_has_changed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_separate_processes_nobody_sees_what_they_may_not() {
    let scene = Scene::open(Topology::Separate).await;
    let anonymous = Keys::anonymous();
    scene.check(&anonymous, scene.through_the_gateway(&anonymous).await).await;
    for caller in [scene.keys.neighbour(), scene.keys.stranger()] {
        scene.check(&caller, scene.direct(&caller).await).await;
    }
    let writer = scene.keys.writer();
    scene.check_writes(&writer, scene.direct(&writer).await).await;
    scene.nothing_has_changed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_in_one_process_nobody_sees_what_they_may_not() {
    over_http(Topology::AllInOne).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_in_separate_processes_nobody_sees_what_they_may_not() {
    over_http(Topology::Separate).await;
}

async fn over_http(topology: Topology) {
    let scene = Scene::open(topology).await;
    let document = scene.cluster.http().get("/_/openapi.json").await.expect(200).json();
    over_http::assert_asks_have_all(&document, &scene.world.secrets, &scene.given);
    let others = [Keys::anonymous(), scene.keys.neighbour(), scene.keys.stranger()];
    for (caller, is_owner) in [(scene.keys.owner(), true)].into_iter().chain(others.map(|other| (other, false))) {
        let (http, world, given, caller) = (scene.cluster.http(), &scene.world, &scene.given, &caller);
        let over_http = OverHttp { http, world, given, caller };
        let read = over_http.read().await;
        let visible = world.markers.visible(&caller.eyes);
        let unseen: Vec<_> = visible.difference(&read.seen).collect();
        assert!(unseen.is_empty(), "{} never sees {unseen:?} over HTTP", caller.name);
        let mut cells = read.cells;
        if !is_owner {
            read.assert_right();
            let written = over_http.write().await;
            written.assert_right();
            cells += written.cells;
        }
        println!("{} over HTTP: {cells} requests, {} texts seen", caller.name, visible.len());
    }
    let metrics = scene.cluster.http().get("/_/metrics").await.expect(200);
    assert!(scene.world.markers.found(&metrics.body).is_empty());
    scene.nothing_has_changed().await;
}

/// The matrix has teeth: asked by the owner, the same calls show every text that there is.
async fn the_owner_sees_everything(scene: &Scene) {
    let owner = scene.keys.owner();
    let reads: Vec<_> = rpcs::methods().into_iter().filter(requests::is_read).collect();
    let doors = scene.through_the_gateway(&owner).await;
    let seen = Matrix::new(&scene.world, &scene.given, &owner, doors).run(&reads).await.seen;
    let unseen: Vec<_> = scene.world.markers.visible(&owner.eyes).difference(&seen).cloned().collect();
    assert!(unseen.is_empty(), "the owner never sees {unseen:?}");
}
