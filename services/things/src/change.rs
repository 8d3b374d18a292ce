//! Owns what verbs ask of the store and what it answers: changes, and the plan of mutations that carries one out.
//! Never reads or writes anything.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{
    Clock, Condition, Entity, EntityKind, Key, Mutation, Namespace, Provenance, Reference, Relationship, State, Style,
    Thing, ThingBody, Timestamp, TypeName,
};
use proto::convert::{NewRelationship, ThingPatch};
use serve::{Caller, Refusal};
use ulid::Ulid;

use crate::refuse;
use crate::schema::{Registered, Schema};

/// Changes of one caller that are committed together. Each stands for itself: one that is refused leaves nothing and
/// does not stop the others.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// Who asks; the changes are of their tenant.
    pub(crate) caller: Caller,
    /// What every mutation says about who and why.
    pub(crate) provenance: Provenance,
    /// Applied in order; each sees what those before it did.
    pub(crate) changes: Vec<Change>,
    /// The writes that it is one of.
    pub(crate) sequence: Sequence,
    /// Where it is part of an import that may be gone on with.
    pub(crate) part: Option<Part>,
}

/// The part of an import that a write is: carried out where it begins at what was committed of the import before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// What the principal calls the import.
    pub(crate) import_id: Arc<str>,
    /// The numbers of its rows, also of those that are left out.
    pub(crate) rows: Range<u64>,
}

impl Part {
    /// Refuses it where so many rows of the import are committed, and it does not begin there.
    pub(crate) fn check(&self, committed: u64) -> Result<(), Refusal> {
        if self.rows.start == committed {
            return Ok(());
        }
        Err(refuse::import_out_of_order(&self.import_id, self.rows.start, committed))
    }
}

/// Writes that follow each other, each of which is begun before those before it are answered: none is carried out after one
/// that failed as a whole. A new one has a single write.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sequence(Arc<AtomicBool>);

impl Sequence {
    /// One of its writes failed.
    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether one of its writes failed.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One change that a caller asks for.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Creates or replaces a thing.
    PutThing {
        /// Its name.
        reference: Reference,
        /// Its new state, whole.
        body: ThingBody,
        /// What must hold.
        condition: Condition,
    },
    /// Changes fields of a thing.
    PatchThing {
        /// Its name.
        reference: Reference,
        /// Which fields, and how.
        patch: ThingPatch,
        /// What must hold.
        condition: Condition,
    },
    /// Deletes a thing, and with a canonical one its variants and the relationships at it.
    DeleteThing {
        /// Its name.
        reference: Reference,
        /// What must hold.
        condition: Condition,
    },
    /// Creates or replaces a relationship.
    PutRelationship {
        /// Its name, ends and the rest.
        relationship: NewRelationship,
        /// What must hold.
        condition: Condition,
    },
    /// Deletes a relationship.
    DeleteRelationship {
        /// Its name.
        reference: Reference,
        /// What must hold.
        condition: Condition,
    },
    /// Registers a namespace.
    RegisterNamespace {
        /// Its name.
        ns: Namespace,
        /// How its ids are spelled.
        style: Style,
    },
    /// Takes back the registration of a namespace.
    DeleteNamespace {
        /// Its name.
        ns: Namespace,
    },
    /// Creates or replaces the schema of a type.
    PutSchema {
        /// Its namespace.
        ns: Namespace,
        /// The type.
        thing_type: TypeName,
        /// What data must satisfy.
        schema: Arc<Schema>,
        /// All things whose newest mutation is before this one satisfy it.
        since: Ulid,
    },
    /// Deletes the schema of a type.
    DeleteSchema {
        /// Its namespace.
        ns: Namespace,
        /// The type.
        thing_type: TypeName,
    },
}

impl Change {
    /// What it changes.
    pub(crate) fn kind(&self) -> EntityKind {
        match self {
            Self::PutThing { .. }
            | Self::PatchThing { .. }
            | Self::DeleteThing { .. }
            | Self::RegisterNamespace { .. }
            | Self::DeleteNamespace { .. }
            | Self::PutSchema { .. }
            | Self::DeleteSchema { .. } => EntityKind::Thing,
            Self::PutRelationship { .. } | Self::DeleteRelationship { .. } => EntityKind::Relationship,
        }
    }
}

/// What a change did.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Applied {
    /// A thing has this state.
    Thing {
        /// The state.
        thing: Thing,
        /// Of its namespace.
        style: Style,
        /// How it came to have it.
        outcome: Outcome,
    },
    /// A relationship has this state.
    Relationship {
        /// The state.
        relationship: Relationship,
        /// Of its namespace.
        style: Style,
        /// How it came to have it.
        outcome: Outcome,
    },
    /// A thing or relationship is gone.
    Deleted {
        /// Its name.
        key: Key,
        /// Its deletion.
        ulid: Ulid,
        /// How many variants went with it.
        variants: usize,
        /// How many relationships went with it.
        relationships: usize,
    },
    /// A namespace is registered, or was until now.
    Namespace {
        /// Its name.
        ns: Namespace,
        /// How its ids are spelled.
        style: Style,
        /// When it was registered.
        created_at: Timestamp,
        /// Whether this change registered it.
        is_new: bool,
    },
    /// A type has a schema, or had until now.
    Schema {
        /// The schema.
        schema: Registered,
        /// How the type came to have it.
        outcome: Outcome,
    },
}

/// How a put name came to have its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It had none before.
    Created,
    /// It had another one before.
    Replaced,
    /// It was so already; nothing was written.
    Unchanged,
}

impl Outcome {
    /// `created`, `replaced` or `unchanged`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What carries out one change: a backend stores all of it or nothing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Plan {
    /// A namespace that is registered first.
    pub(crate) register: Option<(Namespace, Style, Timestamp)>,
    /// A namespace that is registered no more.
    pub(crate) unregister: Option<Namespace>,
    /// What becomes of a schema.
    pub(crate) schema: Option<SchemaChange>,
    /// The new states, in order, each with its event.
    pub(crate) mutations: Vec<Mutation>,
    /// What the caller is told.
    pub(crate) applied: Applied,
}

impl Plan {
    /// Writes nothing.
    pub(crate) fn nothing(applied: Applied) -> Self {
        Self { register: None, unregister: None, schema: None, mutations: Vec::new(), applied }
    }
}

/// What becomes of the schema of a type, and how many its namespace has then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SchemaChange {
    /// It is this one.
    Put(Registered, usize),
    /// There is none.
    Delete(Namespace, TypeName, usize),
}

/// From whom a change comes, and the clock that gives it its ULIDs.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) provenance: &'a Provenance,
    pub(crate) clock: &'a Clock,
}

impl Origin<'_> {
    /// A new ULID of a name whose newest mutation is `last`.
    pub(crate) fn ulid_after(&self, last: Option<Ulid>) -> Ulid {
        self.clock.ulid_after(last)
    }

    /// The mutation of a thing.
    pub(crate) fn thing(&self, ulid: Ulid, before: Option<Thing>, after: Option<Thing>) -> Mutation {
        let latest = after.as_ref().or(before.as_ref()).expect("a mutation has a state");
        let entity = Entity::thing(latest.key.clone(), latest.body.thing_type.clone());
        self.mutation(ulid, entity, before.map(State::Thing), after.map(State::Thing))
    }

    /// The mutation of a relationship.
    pub(crate) fn relationship(
        &self,
        ulid: Ulid,
        before: Option<Relationship>,
        after: Option<Relationship>,
    ) -> Mutation {
        let latest = after.as_ref().or(before.as_ref()).expect("a mutation has a state");
        let entity = Entity::relationship(latest.name.clone(), latest.body.relationship_type.clone());
        self.mutation(ulid, entity, before.map(State::Relationship), after.map(State::Relationship))
    }

    fn mutation(&self, ulid: Ulid, entity: Entity, before: Option<State>, after: Option<State>) -> Mutation {
        Mutation { ulid, entity, before, after, provenance: self.provenance.clone() }
    }
}
