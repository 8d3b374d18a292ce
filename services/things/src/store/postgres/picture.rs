//! Owns what is known of one tenant while changes are planned: what was read of the tables, and what the changes before did
//! to it. Never runs a statement: `load` fills it, `save` stores what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::{
    Entity, EntityKind, Key, Mutation, Name, Namespace, Relationship, State, Style, Thing, Timestamp, TypeName,
    Visibility,
};
use ulid::Ulid;

use super::failure::Failure;
use crate::change::{Applied, Plan, SchemaChange};
use crate::delete::Dependents;
use crate::namespaces::Registration;
use crate::schema::{Registered, Schema};
use crate::store::facts::{Facts, Linked};

/// What every lookup of what was not loaded says.
const LOADED: &str = "what a plan depends on is loaded before";

/// The newest mutation of a name, and what it left.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) ulid: Ulid,
    pub(super) visibility: Visibility,
    /// Of a deleted relationship.
    pub(super) ends: Option<(Name, Name)>,
}

/// What is known of a tenant. A name that is known with nothing has nothing.
#[derive(Default)]
pub(super) struct Picture {
    pub(super) namespaces: HashMap<Namespace, Option<Registration>>,
    pub(super) schemas: HashMap<(Namespace, TypeName), Option<Arc<Schema>>>,
    pub(super) things: HashMap<Key, Option<Thing>>,
    /// Of canonical things, also where these are not known whole.
    pub(super) canonical: HashMap<Name, Option<Visibility>>,
    pub(super) names: HashMap<(EntityKind, Key), Option<Last>>,
    pub(super) relationships: HashMap<Name, Option<Linked>>,
    pub(super) outgoing: HashMap<Name, usize>,
    pub(super) dependents: HashMap<Name, Dependents>,
    /// Whether a namespace has or had a name that begins so.
    pub(super) below: HashMap<(Namespace, String), bool>,
    pub(super) changed: Changed,
}

/// What is not stored yet.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) namespaces: Vec<(Namespace, Style, Timestamp)>,
    pub(super) unregistered: Vec<Namespace>,
    pub(super) schemas: Vec<SchemaChange>,
    pub(super) things: BTreeSet<Key>,
    pub(super) relationships: BTreeSet<Name>,
    pub(super) names: BTreeSet<(EntityKind, Key)>,
    /// In order.
    pub(super) mutations: Vec<Mutation>,
}

impl Changed {
    pub(super) fn is_empty(&self) -> bool {
        let Self { namespaces, unregistered, schemas, mutations, things: _, relationships: _, names: _ } = self;
        namespaces.is_empty() && unregistered.is_empty() && schemas.is_empty() && mutations.is_empty()
    }
}

impl Picture {
    /// Takes over what a plan does, and gives what the caller is told.
    pub(super) fn apply(&mut self, plan: Plan) -> Applied {
        let Plan { register, unregister, schema, mutations, applied } = plan;
        if let Some(change) = schema {
            self.change_schema(&change);
            self.changed.schemas.push(change);
        }
        if let Some(ns) = unregister {
            self.namespaces.insert(ns.clone(), None);
            self.schemas.retain(|(of, _), _| *of != ns);
            self.changed.unregistered.push(ns);
        }
        if let Some((ns, style, created_at)) = register {
            self.namespaces.insert(ns.clone(), Some(Registration { style, created_at, schemas: 0 }));
            self.changed.namespaces.push((ns, style, created_at));
        }
        for mutation in mutations {
            self.carry_out(mutation);
        }
        applied
    }

    /// A schema is looked up again by whoever needs it next.
    fn change_schema(&mut self, change: &SchemaChange) {
        let (ns, thing_type, count) = match change {
            SchemaChange::Put(Registered { ns, thing_type, .. }, count)
            | SchemaChange::Delete(ns, thing_type, count) => (ns, thing_type, *count),
        };
        self.schemas.remove(&(ns.clone(), thing_type.clone()));
        if let Some(Some(registration)) = self.namespaces.get_mut(ns) {
            registration.schemas = count;
        }
    }

    /// Takes over the state that a mutation made.
    pub(super) fn carry_out(&mut self, mutation: Mutation) {
        let Mutation { ulid, entity: Entity { kind, key, .. }, before, after, .. } = &mutation;
        let latest = mutation.latest().expect("a mutation has a state");
        let ends = match (after, latest) {
            (None, State::Relationship(gone)) => Some((gone.body.from.clone(), gone.body.to.clone())),
            _ => None,
        };
        let last = Last { ulid: *ulid, visibility: latest.visibility(), ends };
        self.names.insert((*kind, key.clone()), Some(last));
        self.changed.names.insert((*kind, key.clone()));
        match kind {
            EntityKind::Thing => {
                let thing = after.as_ref().map(|state| thing_of(state).clone());
                if key.variant.is_canonical() {
                    self.canonical.insert(key.name(), thing.as_ref().map(|thing| thing.body.visibility));
                }
                self.things.insert(key.clone(), thing);
                self.changed.things.insert(key.clone());
            }
            EntityKind::Relationship => {
                let [before, after] =
                    [before, after].map(|state| state.as_ref().map(|state| relationship_of(state).clone()));
                self.put_relationship(key.name(), before.as_ref(), after);
            }
        }
        self.changed.mutations.push(mutation);
    }

    fn put_relationship(&mut self, name: Name, before: Option<&Relationship>, after: Option<Relationship>) {
        let starts = [(before, false), (after.as_ref(), true)];
        for (relationship, is_more) in starts {
            if let Some(count) = relationship.and_then(|relationship| self.outgoing.get_mut(&relationship.body.from)) {
                *count = if is_more { *count + 1 } else { count.saturating_sub(1) };
            }
        }
        let linked = after.map(|relationship| {
            let seen = |end: &Name| self.canonical.get(end).copied().flatten().expect("an end is there");
            let (from, to) = (seen(&relationship.body.from), seen(&relationship.body.to));
            let found = self.namespaces.get(&name.ns).copied().flatten().expect("its namespace is registered");
            Linked { relationship, from, to, style: found.style }
        });
        self.changed.relationships.insert(name.clone());
        self.relationships.insert(name, linked);
    }

    /// The states that are to be stored, and the names that have none any more.
    pub(super) fn things_to_store(&self) -> (Vec<&Thing>, Vec<&Key>) {
        split(&self.changed.things, &self.things)
    }

    /// The states that are to be stored, and the names that have none any more.
    pub(super) fn relationships_to_store(&self) -> (Vec<&Linked>, Vec<&Name>) {
        split(&self.changed.relationships, &self.relationships)
    }

    /// The newest mutations that are to be stored.
    pub(super) fn names_to_store(&self) -> BTreeMap<&(EntityKind, Key), &Last> {
        let last = |name| self.names.get(name).and_then(Option::as_ref).expect("what changed has a last mutation");
        self.changed.names.iter().map(|name| (name, last(name))).collect()
    }
}

fn split<'a, K: Ord + std::hash::Hash, T>(
    changed: &'a BTreeSet<K>,
    states: &'a HashMap<K, Option<T>>,
) -> (Vec<&'a T>, Vec<&'a K>) {
    let (mut present, mut gone) = (Vec::new(), Vec::new());
    for name in changed {
        match states.get(name).expect(LOADED) {
            Some(state) => present.push(state),
            None => gone.push(name),
        }
    }
    (present, gone)
}

fn thing_of(state: &State) -> &Thing {
    match state {
        State::Thing(thing) => thing,
        State::Relationship(_) => unreachable!("a thing's mutation has a thing's states"),
    }
}

fn relationship_of(state: &State) -> &Relationship {
    match state {
        State::Relationship(relationship) => relationship,
        State::Thing(_) => unreachable!("a relationship's mutation has a relationship's states"),
    }
}

impl Facts for Picture {
    type Failure = Failure;

    fn registration(&self, ns: &Namespace) -> Result<Option<Registration>, Failure> {
        Ok(*self.namespaces.get(ns).expect(LOADED))
    }

    fn schema(&self, ns: &Namespace, thing_type: &TypeName) -> Result<Option<Arc<Schema>>, Failure> {
        Ok(self.schemas.get(&(ns.clone(), thing_type.clone())).expect(LOADED).clone())
    }

    fn has_name_below(&self, ns: &Namespace, start: &str) -> Result<bool, Failure> {
        Ok(*self.below.get(&(ns.clone(), start.to_owned())).expect(LOADED))
    }

    /// With what it was loaded with.
    fn thing(&self, key: &Key, _with_embedding: bool) -> Result<Option<Thing>, Failure> {
        Ok(self.things.get(key).expect(LOADED).clone())
    }

    fn canonical(&self, name: &Name) -> Result<Option<Visibility>, Failure> {
        Ok(*self.canonical.get(name).expect(LOADED))
    }

    fn last(&self, kind: EntityKind, key: &Key) -> Result<Option<(Ulid, Visibility)>, Failure> {
        let last = self.names.get(&(kind, key.clone())).expect(LOADED);
        Ok(last.as_ref().map(|last| (last.ulid, last.visibility)))
    }

    fn last_ends(&self, name: &Name) -> Result<Vec<Name>, Failure> {
        let last = self.names.get(&(EntityKind::Relationship, name.clone().into())).expect(LOADED);
        let ends = last.as_ref().and_then(|last| last.ends.clone());
        Ok(ends.into_iter().flat_map(|(from, to)| [from, to]).collect())
    }

    fn relationship(&self, name: &Name) -> Result<Option<Linked>, Failure> {
        let found = self.relationships.get(name).expect(LOADED).clone();
        Ok(found.map(|linked| {
            // As a change before this one left them.
            let now = |end: &Name, then| self.canonical.get(end).copied().flatten().unwrap_or(then);
            let body = &linked.relationship.body;
            let (from, to) = (now(&body.from, linked.from), now(&body.to, linked.to));
            Linked { from, to, ..linked }
        }))
    }

    fn outgoing(&self, from: &Name, limit: usize) -> Result<usize, Failure> {
        Ok((*self.outgoing.get(from).expect(LOADED)).min(limit))
    }

    fn dependents(&self, name: &Name) -> Result<Dependents, Failure> {
        Ok(*self.dependents.get(name).expect(LOADED))
    }
}
