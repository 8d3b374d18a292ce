//! Owns what a caller may see of the past. Never decides about the present: things does.
//!
//! A state shows if it *and* the latest state of its name are visible. A variant needs its canonical thing, a
//! relationship both ends, then and now. Readers of the namespace see every visibility; others see what is public,
//! and what is unlisted if they named it. The ends of a relationship are not named by who asks for it.

use std::collections::HashMap;

use domain::{Entity, EntityKind, Invalid, Key, Mutation, Name, Provenance, State, Visibility};
use proto::{common::v1::EntityKind as WireKind, events::v1 as wire};
use serve::{auth::Caller, refusal::Refusal};
use ulid::Ulid;

use crate::{EventLog, index::TenantNo, log, past::Past};

/// How the caller came to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// The caller gave it.
    ByName,
    /// It turned up in a list.
    InList,
}

/// One caller's sight, for one request.
pub(crate) struct Sight<'a> {
    /// What it looks into.
    pub(crate) past: Past<'a>,
    caller: &'a Caller,
    tenant: TenantNo,
    /// States of names in moments that are asked for again and again, as far as they matter here: now, and `kept`.
    known: HashMap<(Ulid, EntityKind, Key), Option<Seen>>,
    kept: Ulid,
    lookups: usize,
}

/// As much of a state as decides who sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    visibility: Visibility,
    ends: Option<[Name; 2]>,
}

/// After every mutation there is.
const NOW: Ulid = Ulid(u128::MAX);

impl EventLog {
    /// Whether the caller may know what reading the archive cost: an operator, and who sees everything of the tenant, where
    /// all of it is the tenant's. What bounds and Bloom filters leave unread tells which names there are, of everybody in a file.
    pub(crate) fn may_know_costs(&self, caller: &Caller) -> bool {
        caller.require_operator().is_ok() || caller.may_read_all() && self.archive.view().is_of(&caller.tenant)
    }
}

impl<'a> Sight<'a> {
    pub(crate) fn new(log: &'a EventLog, caller: &'a Caller, tenant: TenantNo) -> Self {
        Self { past: Past::new(log), caller, tenant, known: HashMap::new(), kept: NOW, lookups: 0 }
    }

    /// Keeps what is known of this moment too.
    pub(crate) fn keep(&mut self, moment: Ulid) {
        self.kept = moment;
    }

    /// How many names were looked up until now to see who may see something.
    pub(crate) fn lookups(&self) -> usize {
        self.lookups
    }

    /// Spares a look-up: this is the newest mutation of a name.
    pub(crate) fn remember(&mut self, entity: &Entity, latest: &Mutation) {
        self.remember_as_of(entity, NOW, latest);
    }

    /// Spares a look-up: this is the newest mutation of a name up to a moment that is kept.
    pub(crate) fn remember_as_of(&mut self, entity: &Entity, moment: Ulid, newest: &Mutation) {
        self.known.insert((moment, entity.kind, entity.key.clone()), newest.latest().map(Seen::of));
    }

    /// The state that the newest mutation up to `until` made of a name that the caller gave; nothing where there is none,
    /// or none that they may see both then and now.
    pub(crate) fn state(&mut self, entity: &Entity, until: Ulid) -> Result<Option<State>, Refusal> {
        let newest = self.past.newest(self.tenant, entity, until)?;
        let Some(state) = newest.and_then(|newest| newest.after) else { return Ok(None) };
        Ok(self.shows(entity, &state, until, Asked::ByName)?.then_some(state))
    }

    /// A mutation as the caller may see it: whole, without its state before, without provenance, or not at all.
    pub(crate) fn of_mutation(&mut self, mut mutation: Mutation, asked: Asked) -> Result<Option<Mutation>, Refusal> {
        let Mutation { ulid, entity, before, after, provenance } = &mut mutation;
        let shows_before = match before {
            Some(before) => self.shows(entity, before, *ulid, asked)?,
            None => false,
        };
        let shows = match after {
            Some(after) => self.shows(entity, after, *ulid, asked)?,
            None => shows_before,
        };
        if !shows {
            return Ok(None);
        }
        if !shows_before {
            *before = None;
        }
        if !self.caller.may_read(entity.ns()) {
            *provenance = Provenance { actor: "".into(), request_id: "".into(), cause: "".into() };
        }
        Ok(Some(mutation))
    }

    /// An event as the caller may see it; only mutations say what not everybody may know.
    pub(crate) fn of_event(&mut self, mut event: wire::Event, asked: Asked) -> Result<Option<wire::Event>, Refusal> {
        if event.event_type != "mutation" {
            return Ok(Some(event));
        }
        let ns = event.entity_ns.parse().map_err(|error: Invalid| Refusal::internal(error))?;
        let may_read = self.caller.may_read(&ns);
        if may_read && event.entity_kind() == WireKind::Thing {
            return Ok(Some(event));
        }
        let mutation = log::mutation(event.clone())?;
        let Some(mutation) = self.of_mutation(mutation, asked)? else { return Ok(None) };
        // As it is told in a history: a state whose predecessor is hidden begins with it.
        event.mutation_type = mutation.mutation_type().as_str().into();
        event.data = mutation.data().as_str().into();
        if !may_read {
            event.metadata = String::new();
        }
        Ok(Some(event))
    }

    /// Whether a state that was in force at `then` shows.
    pub(crate) fn shows(&mut self, entity: &Entity, state: &State, then: Ulid, asked: Asked) -> Result<bool, Refusal> {
        let is_thing = entity.kind == EntityKind::Thing;
        if self.caller.may_read_all() || is_thing && self.caller.may_read(entity.ns()) {
            return Ok(true);
        }
        let state = Seen::of(state);
        if !self.is_visible(entity, &state, then, asked)? || !self.is_visible(entity, &state, NOW, asked)? {
            return Ok(false);
        }
        match self.known(entity, NOW)? {
            Some(latest) if latest != state => self.is_visible(entity, &latest, NOW, asked),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }

    /// Whether a state would be visible if everything it depends on were as it was at `at`.
    fn is_visible(&mut self, entity: &Entity, state: &Seen, at: Ulid, asked: Asked) -> Result<bool, Refusal> {
        if !self.may_see(entity, state.visibility, asked) {
            return Ok(false);
        }
        if entity.kind == EntityKind::Thing && !entity.key.variant.is_canonical() {
            return self.was_visible(entity.key.to_canonical(), at, asked);
        }
        for end in state.ends.iter().flatten() {
            if !self.was_visible(Key::from(end.clone()), at, Asked::InList)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a canonical thing was visible at a time, by its last state if it was deleted.
    fn was_visible(&mut self, key: Key, at: Ulid, asked: Asked) -> Result<bool, Refusal> {
        if self.caller.may_read(&key.ns) {
            return Ok(true);
        }
        let thing = Entity { kind: EntityKind::Thing, key, entity_type: None };
        let known = self.known(&thing, at)?;
        Ok(known.is_some_and(|known| self.may_see(&thing, known.visibility, asked)))
    }

    fn may_see(&self, entity: &Entity, visibility: Visibility, asked: Asked) -> bool {
        match visibility {
            Visibility::Public => true,
            Visibility::Unlisted if asked == Asked::ByName => true,
            Visibility::Unlisted | Visibility::Private => self.caller.may_read(entity.ns()),
        }
    }

    fn known(&mut self, entity: &Entity, at: Ulid) -> Result<Option<Seen>, Refusal> {
        let name = (at, entity.kind, entity.key.clone());
        if let Some(known) = self.known.get(&name) {
            return Ok(known.clone());
        }
        self.lookups += 1;
        let newest = self.past.newest(self.tenant, entity, at)?;
        let known = newest.as_ref().and_then(Mutation::latest).map(Seen::of);
        if at == NOW || at == self.kept {
            self.known.insert(name, known.clone());
        }
        Ok(known)
    }
}

impl Seen {
    fn of(state: &State) -> Self {
        let ends = match state {
            State::Thing(_) => None,
            State::Relationship(relationship) => Some([relationship.body.from.clone(), relationship.body.to.clone()]),
        };
        Self { visibility: state.visibility(), ends }
    }
}
