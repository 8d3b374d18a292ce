//! Random operations against a model: the present is the fold of the mutations, whatever was done.

use std::collections::BTreeMap;

use domain::{Clock, Entity, EntityKind, Mutation, State, Visibility};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proto::convert::{Edit, ThingPatch};
use ulid::Ulid;

use super::bed::{Bed, Refused, note, owner};

/// Something that a client does.
#[derive(Clone, Debug)]
enum Operation {
    Put(String, u8, Visibility),
    Patch(String, u8),
    Delete(String),
    Link(String, String, String),
    Unlink(String),
    TimePasses(i64),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let thing = || {
        let ids = prop::sample::select(vec!["a", "b", "c", "d"]);
        let variants = prop::sample::select(vec!["", "", "#es", "#fr"]);
        (ids, variants).prop_map(|(id, variant)| format!("onet/{id}{variant}"))
    };
    let end = || prop::sample::select(vec!["onet/a", "onet/b", "onet/c", "onet/d"]).prop_map(str::to_owned);
    let link = || prop::sample::select(vec!["r/1", "r/2", "r/3", "onet/a"]).prop_map(str::to_owned);
    let visibility = prop::sample::select(vec![Visibility::Public, Visibility::Private, Visibility::Unlisted]);
    let operation = prop_oneof![
        4 => (thing(), 0..3_u8, visibility).prop_map(|(name, text, seen)| Operation::Put(name, text, seen)),
        2 => (thing(), 0..3_u8).prop_map(|(name, text)| Operation::Patch(name, text)),
        2 => thing().prop_map(Operation::Delete),
        3 => (link(), end(), end()).prop_map(|(name, from, to)| Operation::Link(name, from, to)),
        1 => link().prop_map(Operation::Unlink),
        1 => (-5_000..5_000_i64).prop_map(Operation::TimePasses),
    ];
    prop::collection::vec(operation, 1..60)
}

async fn perform(bed: &Bed, operation: &Operation) -> Refused<()> {
    match operation {
        Operation::Put(name, text, visibility) => {
            let body = domain::ThingBody { visibility: *visibility, ..note(&text.to_string()) };
            bed.put_as(&owner(), name, body).await.map(drop)
        }
        Operation::Patch(name, text) => {
            let content = Edit::Set(text.to_string().try_into().unwrap());
            bed.patch(name, ThingPatch { content, ..ThingPatch::default() }).await.map(drop)
        }
        Operation::Delete(name) => bed.delete(name).await.map(drop),
        Operation::Link(name, from, to) => bed.link(name, from, to).await.map(drop),
        Operation::Unlink(name) => bed.unlink(name).await.map(drop),
        Operation::TimePasses(millis) => {
            bed.clock.advance(*millis);
            Ok(())
        }
    }
}

/// What the mutations say that there is, and the last ULID of each name.
#[derive(Default)]
struct Model {
    states: BTreeMap<(EntityKind, String), State>,
    last: BTreeMap<(EntityKind, String), Ulid>,
}

impl Model {
    /// Applies a mutation, which must follow from what there is.
    fn apply(&mut self, mutation: Mutation) {
        let Mutation { ulid, entity: Entity { kind, key, .. }, before, after, .. } = mutation;
        let name = (kind, key.to_string());
        assert_eq!(self.states.remove(&name), before, "{name:?} was as the mutation says");
        assert!(self.last.insert(name.clone(), ulid).is_none_or(|last| last < ulid), "{name:?} never runs backwards");
        if let Some(after) = after {
            assert_eq!(after.etag().0, ulid);
            self.states.insert(name, after);
        }
        for state in self.states.values() {
            self.stands(state);
        }
    }

    /// Whether what a state needs is there.
    fn stands(&self, state: &State) {
        let needed = match state {
            State::Thing(thing) => vec![thing.key.to_canonical().to_string()],
            State::Relationship(found) => vec![found.body.from.to_string(), found.body.to.to_string()],
        };
        for name in needed {
            assert!(self.states.contains_key(&(EntityKind::Thing, name.clone())), "{state:?} needs {name}");
        }
    }

    /// Compares with the present, by every way of reading it.
    async fn compare(&self, bed: &Bed) {
        for (kind, name) in self.last.keys() {
            let expected = self.states.get(&(*kind, name.clone()));
            let present = match kind {
                EntityKind::Thing => bed.get(&owner(), name).await.ok().map(State::Thing),
                EntityKind::Relationship => bed.relationship(&owner(), name).await.ok().map(State::Relationship),
            };
            assert_eq!(present.as_ref(), expected, "{name}");
            let resolved = bed.resolve(&owner(), name, *kind).await.unwrap();
            assert_eq!((resolved.exists, resolved.last), (expected.is_some(), self.last[&(*kind, name.clone())]));
        }
        let things = self.states.values().filter(|state| matches!(state, State::Thing(_))).count();
        assert_eq!(bed.list(&owner(), "onet").await.len(), things);
    }
}

pub(crate) async fn random_operations_agree_with_a_model_and_with_the_fold_of_their_mutations(bed: Bed) {
    let seed = Clock::system().ulid().0;
    println!("seed: {seed:#x}");
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut model = Model::default();
    for _ in 0..64 {
        let sequence = operations().new_tree(&mut runner).unwrap().current();
        for operation in &sequence {
            let before = model.states.len();
            let outcome = perform(&bed, operation).await;
            let mutations = bed.mutations().await;
            assert!(outcome.is_ok() || mutations.is_empty(), "{operation:?} was refused, but did something");
            for mutation in mutations {
                model.apply(mutation);
            }
            if matches!((operation, outcome), (Operation::Delete(_), Ok(()))) {
                assert!(model.states.len() < before);
            }
        }
        model.compare(&bed).await;
    }
}
