//! Owns which facts a change or a read of one tenant needs, put together from few lookups. Never runs a statement, and
//! decides nothing: plans and `sight` do.

use std::sync::Arc;

use domain::{
    EntityKind, Invalid, Key, Name, Namespace, Reference, Relationship, Style, Thing, Timestamp, TypeName, Visibility,
};
use proto::convert::NewRelationship;
use serve::{Caller, Refusal};
use ulid::Ulid;

use super::filling::Filling;
use super::{Read, Resolved, Wanted};
use crate::change::{Change, Origin, Plan};
use crate::delete::{DeleteFacts, Dependents};
use crate::namespaces::{NamespaceFacts, Registration};
use crate::naming::{self, Place, Target};
use crate::put::ThingFacts;
use crate::relationships::{End, MAX_OUTGOING, RelationshipFacts, Standing};
use crate::schema::Schema;
use crate::sight::{Way, sees, sees_relationship};
use crate::{namespaces, patch, put, refuse, relationships, weight};

/// The lookups of one tenant: by statements, or in what was read before.
pub(super) trait Facts {
    /// Why a lookup stopped.
    type Failure: From<Refusal> + From<Invalid>;

    /// How a namespace is registered.
    fn registration(&self, ns: &Namespace) -> Result<Option<Registration>, Self::Failure>;

    /// The schema of a type, in a namespace that has some.
    fn schema(&self, ns: &Namespace, thing_type: &TypeName) -> Result<Option<Arc<Schema>>, Self::Failure>;

    /// Whether `ns` has or had a name, of a thing or relationship, whose id begins with `start`, which is empty or ends in a slash.
    fn has_name_below(&self, ns: &Namespace, start: &str) -> Result<bool, Self::Failure>;

    /// The thing of that key.
    fn thing(&self, key: &Key, with_embedding: bool) -> Result<Option<Thing>, Self::Failure>;

    /// Who may see the canonical thing of that name.
    fn canonical(&self, name: &Name) -> Result<Option<Visibility>, Self::Failure>;

    /// The newest mutation of a name that ever was, and the visibility of its latest state.
    fn last(&self, kind: EntityKind, key: &Key) -> Result<Option<(Ulid, Visibility)>, Self::Failure>;

    /// The ends of a deleted relationship's last state.
    fn last_ends(&self, name: &Name) -> Result<Vec<Name>, Self::Failure>;

    /// The relationship of that name.
    fn relationship(&self, name: &Name) -> Result<Option<Linked>, Self::Failure>;

    /// How many relationships start from a thing, counted up to `limit`.
    fn outgoing(&self, from: &Name, limit: usize) -> Result<usize, Self::Failure>;

    /// What depends on a canonical thing. Each part is counted until it alone is too many.
    fn dependents(&self, name: &Name) -> Result<Dependents, Self::Failure>;

    /// How and since when a namespace is registered.
    fn namespace(&self, ns: &Namespace) -> Result<Option<(Style, Timestamp)>, Self::Failure> {
        Ok(self.registration(ns)?.map(|found| (found.style, found.created_at)))
    }

    /// Where a reference stands among the registered namespaces.
    fn place(&self, reference: &Reference, field: &str) -> Result<Place, Self::Failure> {
        let (mut longest, mut schemas) = (None, 0);
        for candidate in naming::candidates(reference) {
            if let Some(found) = self.registration(&candidate)? {
                (longest, schemas) = (Some((candidate, found.style)), found.schemas);
                break;
            }
        }
        let mut place = naming::place(reference, longest, field)?;
        if let Place::In(target) = &mut place {
            target.has_schemas = schemas > 0;
        }
        Ok(place)
    }

    /// What data of a type must satisfy. Costs a lookup where the namespace has schemas.
    fn schema_at(&self, target: &Target, thing_type: &TypeName) -> Result<Option<Arc<Schema>>, Self::Failure> {
        if target.has_schemas { self.schema(&target.key.ns, thing_type) } else { Ok(None) }
    }

    /// What carries out a change; not of a deletion of a thing, with which others go, nor of a schema, which others must satisfy.
    fn plan(&self, origin: Origin<'_>, change: Change) -> Result<Plan, Self::Failure> {
        match change {
            Change::PutThing { reference, body, condition } => {
                let target = self.place(&reference, "thing.key")?.for_put(&reference, origin.caller)?;
                let facts = self.thing_facts(&target)?;
                let schema = self.schema_at(&target, &body.thing_type)?;
                Ok(put::plan(origin, &reference, target, body, &condition, facts, schema.as_deref())?)
            }
            Change::PatchThing { reference, patch, condition } => {
                let target = self.to_change(origin, &reference, refuse::thing_not_found)?;
                let before = self.thing(&target.key, true)?;
                let now = patch.thing_type.as_ref().or(before.as_ref().map(|before| &before.body.thing_type));
                let schema = now.map(|now| self.schema_at(&target, now)).transpose()?.flatten();
                Ok(patch::plan(origin, &reference, target.style, patch, &condition, before, schema.as_deref())?)
            }
            Change::DeleteThing { .. } => unreachable!("what goes with a thing is deleted before it"),
            Change::PutRelationship { relationship, condition } => {
                let reference = &relationship.reference;
                let target = self.place(reference, "relationship.key")?.for_put(reference, origin.caller)?;
                let facts = self.relationship_facts(&target, &relationship)?;
                Ok(relationships::plan_put(origin, target, relationship, &condition, facts)?)
            }
            Change::DeleteRelationship { reference, condition } => {
                let target = self.to_change(origin, &reference, refuse::relationship_not_found)?;
                let before = self.relationship(&target.key.name())?.map(Linked::into_standing);
                Ok(relationships::plan_delete(origin, &reference, &condition, before)?)
            }
            Change::RegisterNamespace { ns, style } => {
                let mut facts = NamespaceFacts { present: self.namespace(&ns)?, hides_name_of: None };
                for (outer, start) in namespaces::outer(&ns) {
                    if facts.present.is_none() && self.has_name_below(&outer, &start)? {
                        facts.hides_name_of = Some(outer);
                        break;
                    }
                }
                Ok(namespaces::plan(origin.caller, origin.clock.now(), ns, style, facts)?)
            }
            Change::PutSchema { .. } | Change::DeleteSchema { .. } => {
                unreachable!("what is there of a type is looked up before")
            }
            Change::DeleteNamespace { ns } => {
                let (present, has_names) = (self.namespace(&ns)?, self.has_name_below(&ns, "")?);
                Ok(namespaces::plan_delete(origin.caller, ns, present, has_names)?)
            }
        }
    }

    /// The name that is changed or deleted.
    fn to_change(
        &self,
        origin: Origin<'_>,
        reference: &Reference,
        not_found: impl FnOnce(&Reference) -> Refusal,
    ) -> Result<Target, Self::Failure> {
        let target = self.place(reference, "key")?.for_change(reference, origin.caller)?;
        Ok(target.ok_or_else(|| not_found(reference))?)
    }

    fn thing_facts(&self, target: &Target) -> Result<ThingFacts, Self::Failure> {
        let Target { key, is_registered, .. } = target;
        if !is_registered {
            return Ok(ThingFacts::default());
        }
        let before = self.thing(key, true)?;
        if before.is_some() {
            return Ok(ThingFacts { before, last: None, has_canonical: true });
        }
        let last = self.last(EntityKind::Thing, key)?.map(|(last, _)| last);
        let has_canonical = !key.variant.is_canonical() && self.canonical(&key.name())?.is_some();
        Ok(ThingFacts { before, last, has_canonical })
    }

    fn delete_facts(&self, target: &Target) -> Result<DeleteFacts, Self::Failure> {
        let before = self.thing(&target.key, false)?;
        if before.is_none() || !target.key.variant.is_canonical() {
            return Ok(DeleteFacts { before, ..DeleteFacts::default() });
        }
        Ok(DeleteFacts { before, dependents: self.dependents(&target.key.name())? })
    }

    fn relationship_facts(
        &self,
        target: &Target,
        relationship: &NewRelationship,
    ) -> Result<RelationshipFacts, Self::Failure> {
        let from = self.end(&relationship.from, "relationship.from")?;
        let to = self.end(&relationship.to, "relationship.to")?;
        let outgoing = match &from {
            Some(from) => self.outgoing(&from.name, MAX_OUTGOING)?,
            None => 0,
        };
        let (before, last) = if target.is_registered {
            let before = self.relationship(&target.key.name())?.map(Linked::into_standing);
            (before, self.last(EntityKind::Relationship, &target.key)?.map(|(last, _)| last))
        } else {
            (None, None)
        };
        Ok(RelationshipFacts { before, last, from, to, outgoing })
    }

    /// The thing at an end.
    fn end(&self, reference: &Reference, field: &str) -> Result<Option<End>, Self::Failure> {
        let Some(target) = self.place(reference, field)?.for_read() else { return Ok(None) };
        let name = target.key.name();
        Ok(self.canonical(&name)?.map(|visibility| End { name, visibility }))
    }

    /// The relationship of that name, if the caller may see it.
    fn visible_relationship(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<Option<(Relationship, Style)>, Self::Failure> {
        let Some(target) = self.place(reference, "key")?.for_read() else { return Ok(None) };
        let found = self.relationship(&target.key.name())?;
        let seen = found.filter(|found| found.is_seen_by(caller, Way::ByName));
        Ok(seen.map(|found| (found.relationship, found.style)))
    }

    /// What became of each wanted thing.
    fn read(&self, caller: &Caller, wanted: &Wanted) -> Result<Vec<Read>, Self::Failure> {
        let Wanted { names, with_embedding, room } = wanted;
        let mut answers = Vec::with_capacity(names.len());
        let mut used = 0;
        for (reference, field) in names {
            let read = match self.visible_thing(caller, reference, field, *with_embedding)? {
                None => Read::Missing,
                Some((thing, style)) => {
                    let is_first = used == 0;
                    used += weight::of_thing(&thing);
                    if is_first || used <= *room { Read::Found(Box::new(thing), style) } else { Read::Unread }
                }
            };
            let is_full = read == Read::Unread;
            answers.push(read);
            if is_full {
                break;
            }
        }
        answers.resize(names.len(), Read::Unread);
        Ok(answers)
    }

    fn visible_thing(
        &self,
        caller: &Caller,
        reference: &Reference,
        field: &str,
        with_embedding: bool,
    ) -> Result<Option<(Thing, Style)>, Self::Failure> {
        let Some(Target { key, style, .. }) = self.place(reference, field)?.for_read() else { return Ok(None) };
        if !key.variant.is_canonical() {
            let canonical = self.canonical(&key.name())?;
            if !canonical.is_some_and(|visibility| sees(caller, Way::ByName, &key.ns, visibility)) {
                return Ok(None);
            }
        }
        let found = self.thing(&key, with_embedding)?;
        let seen = found.filter(|thing| sees(caller, Way::ByName, &key.ns, thing.body.visibility));
        Ok(seen.map(|thing| (thing, style)))
    }

    /// What a name stands for, if the caller may know of it.
    fn resolve(
        &self,
        caller: &Caller,
        reference: &Reference,
        kind: EntityKind,
    ) -> Result<Option<Resolved>, Self::Failure> {
        let Some(Target { key, style, .. }) = self.place(reference, "key")?.for_read() else { return Ok(None) };
        let Some((last, visibility)) = self.last(kind, &key)? else { return Ok(None) };
        let (exists, depends_on) = match kind {
            EntityKind::Thing => {
                let canonical = (!key.variant.is_canonical()).then(|| key.name());
                (self.thing(&key, false)?.is_some(), canonical.into_iter().collect())
            }
            EntityKind::Relationship => match self.relationship(&key.name())? {
                Some(found) => (true, vec![found.relationship.body.from, found.relationship.body.to]),
                None => (false, self.last_ends(&key.name())?),
            },
        };
        if !sees(caller, Way::ByName, &key.ns, visibility) {
            return Ok(None);
        }
        // Who names a variant names its thing; who names a relationship does not name its ends.
        let way = if kind == EntityKind::Thing { Way::ByName } else { Way::Listed };
        for name in depends_on {
            let ns = name.ns.clone();
            let latest = self.last(EntityKind::Thing, &Key::from(name))?;
            if !latest.is_some_and(|(_, visibility)| sees(caller, way, &ns, visibility)) {
                return Ok(None);
            }
        }
        Ok(Some(Resolved { key, style, exists, visibility, last }))
    }
}

/// A relationship with what decides who sees it, and the style of its namespace.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    pub(super) relationship: Relationship,
    pub(super) from: Visibility,
    pub(super) to: Visibility,
    pub(super) style: Style,
}

impl Linked {
    pub(super) fn into_standing(self) -> Standing {
        let Self { relationship, from, to, style: _ } = self;
        Standing { relationship, from, to }
    }

    pub(super) fn is_seen_by(&self, caller: &Caller, way: Way) -> bool {
        let Relationship { name, body, .. } = &self.relationship;
        let (from, to) = ((&body.from.ns, self.from), (&body.to.ns, self.to));
        sees_relationship(caller, way, (&name.ns, body.visibility), from, to)
    }

    /// Goes past the row of that name on a page, and takes the relationship there, if there is one of the type and the caller may see
    /// it listed. Whether there was room.
    pub(super) fn pass(
        found: Option<Self>,
        name: Name,
        (caller, only): (&Caller, Option<&TypeName>),
        page: &mut Filling<(Relationship, Style), Name>,
    ) -> bool {
        let bytes = found.as_ref().map_or(0, |found| weight::of_relationship(&found.relationship));
        let shown = found.filter(|found| {
            only.is_none_or(|only| *only == found.relationship.body.relationship_type)
                && found.is_seen_by(caller, Way::Listed)
        });
        let passed = if shown.is_some() { 0 } else { bytes };
        if let Some(Self { relationship, style, .. }) = shown
            && !page.takes(bytes, (relationship, style))
        {
            return false;
        }
        page.passes(name, passed);
        true
    }
}
