//! Owns going through the names of a namespace in their order, wherever their mutations are: each is in the journal, in
//! the archive or in both. Never decides who may see one.

use std::{
    collections::{BTreeSet, HashSet},
    ops::ControlFlow,
};

use domain::{Entity, EntityKind, Id, Invalid, Key, Mutation, Namespace, TypeName, Variant};
use prost::Message as _;
use proto::convert::entity_kind_to_wire;
use serve::{deadline::Deadline, refusal::Refusal};
use ulid::Ulid;

use super::{Past, mutations};
use crate::{
    archive::{self, Archived, Table, Wanted},
    index::{Location, Order, Stored, TenantNo},
    log,
};

/// Rows of the index that are looked at while it is held: some 100 µs.
const STEP_ROWS: u32 = 65_536;
/// Names of the journal that are kept for one page; where there are more, the page ends at the last of these.
const MAX_RECENT: usize = 4_096;

/// Which names.
#[derive(Clone, Debug)]
pub(crate) struct NamesOf {
    pub(crate) ns: Namespace,
    pub(crate) kind: EntityKind,
    /// Those with states of this type; all without.
    pub(crate) entity_type: Option<TypeName>,
    /// Of the id with its variant.
    pub(crate) prefix: String,
    /// Where the page before ended.
    pub(crate) after: Option<String>,
    /// The moment whose states are asked for.
    pub(crate) until: Ulid,
    /// Whether the newest mutation of each is needed too.
    pub(crate) with_latest: bool,
    pub(crate) deadline: Deadline,
}

/// Names in their order: by id with variant, as bytes.
pub(crate) struct Names {
    of: NamesOf,
    tenant: TenantNo,
    archived: archive::Names,
    /// With mutations in the journal.
    recent: BTreeSet<String>,
    /// Whether the journal has more names behind these.
    is_cut: bool,
}

/// A name, with what made its state of then and its newest one.
#[derive(Debug)]
pub(crate) struct Name {
    /// With the variant.
    pub(crate) id: String,
    pub(crate) entity: Entity,
    then: Option<At>,
    latest: Option<At>,
}

/// Where a mutation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Archive(Archived),
    Journal(Location),
}

/// The mutations of a name, as far as they were needed.
#[derive(Clone, Default, Debug)]
pub(crate) struct Read {
    /// What made the state of then; nothing where there is none, or none of the type that was asked for.
    pub(crate) then: Option<Mutation>,
    /// The newest mutation, if that was asked for.
    pub(crate) latest: Option<Mutation>,
}

impl NamesOf {
    /// Whether a name of the journal is one of these.
    fn have(&self, kind: i32, ns: &str, id: &str) -> bool {
        kind == i32::from(entity_kind_to_wire(self.kind))
            && ns == self.ns.as_str()
            && id.starts_with(&self.prefix)
            && self.after.as_deref().is_none_or(|after| after < id)
    }

    fn check_deadline(&self) -> Result<(), Refusal> {
        if self.deadline.remaining().is_zero() { Err(Refusal::deadline_exceeded()) } else { Ok(()) }
    }
}

impl Past<'_> {
    /// Begins to go through names.
    pub(crate) fn names(&mut self, tenant: TenantNo, of: NamesOf) -> Result<Names, Refusal> {
        let first = of.after.iter().chain([&of.prefix]).max().cloned().unwrap_or_default();
        // No id has a character behind this one.
        let last = format!("{}\u{10ffff}", of.prefix);
        let wanted = Wanted {
            entity_ns: Some(of.ns.as_str().into()),
            entity_ids: Some(first..=last),
            entity_kind: Some(of.kind.as_str()),
            ulids: Ulid(0)..=if of.with_latest { Ulid(u128::MAX) } else { of.until },
            offsets: 0..self.position(Table::History),
            ..Wanted::of(self.log.index().tenant_of(tenant).clone())
        };
        let entity_type = of.entity_type.as_ref().map(|name| name.as_str().to_owned());
        let files = self.view.table(Table::History).files.iter().cloned();
        let archived = archive::Names::open(&mut self.scan, files, wanted, entity_type)?;
        let (recent, is_cut) = self.recent(tenant, &of)?;
        Ok(Names { of, tenant, archived, recent, is_cut })
    }

    /// The first names with mutations in the journal, and whether there are more. One mutation of each name is read, so
    /// two names of one hash are taken for one: that there are any among 4,000,000 has a chance of one in two millions.
    fn recent(&mut self, tenant: TenantNo, of: &NamesOf) -> Result<(BTreeSet<String>, bool), Refusal> {
        let (mutation, ns) = (self.log.keys.word("mutation"), self.log.keys.word(of.ns.as_str()));
        let (mut names, mut is_cut, mut seen) = (BTreeSet::new(), false, HashSet::new());
        let mut rest = self.position(Table::History)..self.log.index().end();
        while !rest.is_empty() {
            of.check_deadline()?;
            let (mut unread, mut rows) = (Vec::new(), 0);
            let index = self.log.index();
            let _ = index.scan(rest.clone(), Order::OldestFirst, |offset, row| {
                if rows == STEP_ROWS {
                    return ControlFlow::Break(());
                }
                rows += 1;
                rest.start = offset + 1;
                let is_wanted = row.tenant() == tenant && row.event_type == mutation && row.ns == ns;
                if is_wanted && seen.insert(row.entity) {
                    unread.push(index.locate(offset));
                }
                ControlFlow::Continue(())
            });
            drop(index);
            for location in unread {
                let bytes = self.reader.read(location).map_err(Refusal::internal)?;
                let stored = Stored::decode(bytes).map_err(Refusal::internal)?;
                let entity = stored.entity();
                if of.have(entity.kind.into(), entity.ns, entity.id) {
                    names.insert(entity.id.to_owned());
                }
                if names.len() > MAX_RECENT {
                    names.pop_last();
                    is_cut = true;
                }
            }
        }
        Ok((names, is_cut))
    }
}

impl Names {
    /// Archived rows that were looked at until now.
    pub(crate) fn rows(&self) -> usize {
        self.archived.rows
    }

    /// The next name. None also where the journal has more names than were kept: see [`Self::is_cut`].
    pub(crate) fn next(&mut self, past: &mut Past<'_>) -> Result<Option<Name>, Refusal> {
        self.of.check_deadline()?;
        loop {
            let recent = self.recent.first();
            if recent.is_none() && self.is_cut {
                return Ok(None);
            }
            let archived = self.archived.peek();
            let is_archived = archived.is_some_and(|archived| recent.is_none_or(|recent| archived <= recent.as_str()));
            let is_recent = recent.is_some_and(|recent| archived.is_none_or(|archived| recent.as_str() <= archived));
            let mut found = None;
            if is_archived {
                found = self.archived.next(&mut past.scan, self.of.until)?;
            }
            let recent = if is_recent { self.recent.pop_first() } else { None };
            let Some(id) = recent.or_else(|| found.as_ref().map(|found| found.id.clone())) else { return Ok(None) };
            if self.of.after.as_deref().is_some_and(|after| id.as_str() <= after) {
                continue;
            }
            let entity = Entity { kind: self.of.kind, key: self.key(&id)?, entity_type: None };
            let (then, latest) = match &found {
                Some(archive::Name { then, latest, .. }) => (then.map(At::Archive), Some(At::Archive(*latest))),
                None => (None, None),
            };
            let in_journal = |until| {
                let found = mutations(past.log, &past.log.index(), self.tenant, &entity, until).next();
                found.filter(|_| is_recent).map(At::Journal)
            };
            let (then, latest) = (in_journal(self.of.until).or(then), in_journal(Ulid(u128::MAX)).or(latest));
            return Ok(Some(Name { id, entity, then, latest }));
        }
    }

    /// Whether names may follow though there is no next one: the journal has more than were kept.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut && self.recent.is_empty()
    }

    /// Reads what is needed of some names, in their order; nothing if it has more than `max_bytes`.
    pub(crate) fn read(
        &self,
        past: &mut Past<'_>,
        names: &[Name],
        max_bytes: usize,
    ) -> Result<Option<Vec<Read>>, Refusal> {
        // Places that are asked for, in order; a name whose newest mutation made its state of then has one.
        let (mut archived, mut bytes) = (Vec::new(), 0);
        for name in names.iter().filter(|name| name.may_have_state()) {
            let latest = name.latest.filter(|_| self.of.with_latest && name.latest != name.then);
            for at in [name.then, latest].into_iter().flatten() {
                match at {
                    At::Archive(mutation) => archived.push(mutation),
                    At::Journal(location) => bytes += location.length as usize,
                }
            }
        }
        let Some(max_bytes) = max_bytes.checked_sub(bytes) else { return Ok(None) };
        let Some(read) = self.archived.read(&mut past.scan, &archived, max_bytes)? else { return Ok(None) };
        let mut read = read.into_iter();
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            if !name.may_have_state() {
                found.push(Read::default());
                continue;
            }
            let mut get = |at: Option<At>, until| -> Result<Option<Mutation>, Refusal> {
                match at {
                    None => Ok(None),
                    Some(At::Archive(_)) => {
                        let event = read.next().ok_or_else(|| Refusal::internal("a row of the archive is missing"))?;
                        log::mutation(event).map(Some)
                    }
                    Some(At::Journal(location)) => {
                        let found = log::mutation(past.read(location)?)?;
                        // Another name may have the same hash.
                        if log::is_same(&found.entity, &name.entity) {
                            return Ok(Some(found));
                        }
                        past.newest(self.tenant, &name.entity, until)
                    }
                }
            };
            let then = get(name.then, self.of.until)?;
            let latest = match name.latest {
                _ if !self.of.with_latest => None,
                latest if latest == name.then => then.clone(),
                latest => get(latest, Ulid(u128::MAX))?,
            };
            found.push(Read { then, latest });
        }
        Ok(Some(found))
    }

    fn key(&self, id: &str) -> Result<Key, Refusal> {
        let (bare, variant) = id.split_once('#').unwrap_or((id, ""));
        let parse = || {
            let variant = if variant.is_empty() { Ok(Variant::canonical()) } else { variant.parse() };
            Ok::<_, Invalid>(Key { ns: self.of.ns.clone(), id: Id::from_canonical(bare)?, variant: variant? })
        };
        parse().map_err(Refusal::internal)
    }
}

impl Name {
    /// Whether it may have a state of then, of the type that is asked for; what the journal has is not known unread.
    pub(crate) fn may_have_state(&self) -> bool {
        match self.then {
            None => false,
            Some(At::Archive(archived)) => archived.has_wanted,
            Some(At::Journal(_)) => true,
        }
    }
}
