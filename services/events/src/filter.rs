//! Owns which events a reader asks for, and reading them in bounded steps. Never waits for any.

use std::ops::{ControlFlow, Range};

use domain::{EntityKind, EventType, Key, Namespace, TenantId};
use prost::Message as _;
use proto::{convert::entity_kind_to_wire, events::v1 as wire};
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    archive::{Cost, Found, Table, Wanted},
    index::{Location, Order, Row, TenantNo},
    past::Past,
    visibility::{Asked, Sight},
};

/// Rows looked at while the index is held: some 100 µs.
const STEP_ROWS: u32 = 65_536;
/// Events read in one step.
const STEP_EVENTS: usize = 256;

/// Events of the archive found in one step.
const MOST_EVENTS: usize = 1_001;

/// Which events; every condition that is given must hold.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// One of these types; empty is any.
    pub(crate) event_types: Vec<EventType>,
    /// Of every tenant, not of the caller's alone.
    pub(crate) all_tenants: bool,
    pub(crate) about: About,
    pub(crate) kind: Option<EntityKind>,
    /// Taken in within, in milliseconds.
    pub(crate) times: Range<i64>,
}

impl Default for Filter {
    fn default() -> Self {
        let (event_types, all_tenants, about, kind) = Default::default();
        Self { event_types, all_tenants, about, kind, times: i64::MIN..i64::MAX }
    }
}

/// What events are about.
#[derive(Clone, Debug, Default)]
pub(crate) enum About {
    /// Anything or nothing.
    #[default]
    Anything,
    /// Entities of a namespace.
    Namespace(Namespace),
    /// One name.
    Entity(Key),
}

/// Events that are returned together.
#[derive(Debug)]
pub(crate) struct Page {
    /// With the offset of each.
    pub(crate) events: Vec<(u64, wire::Event)>,
    /// What they have cost.
    pub(crate) cost: Cost,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
    /// Whether an event was found that did not fit.
    pub(crate) is_full: bool,
}

impl Page {
    /// An empty page of so many events and bytes; one event always fits.
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: Vec::new(), cost: Cost::default(), bytes: 0, max_events, max_bytes, is_full: false }
    }

    /// Events that may still be looked for: one more than fit, so that it is known whether there are more.
    fn room(&self) -> usize {
        self.max_events.saturating_sub(self.events.len()).saturating_add(1).min(MOST_EVENTS)
    }

    fn fits(&self, length: usize) -> bool {
        self.events.is_empty() || self.events.len() < self.max_events && self.bytes + length <= self.max_bytes
    }
}

impl EventLog {
    /// Adds the next events of `offsets` that pass the filter and that the caller may see to the page, and answers
    /// what is still to be read, in the same order. Blocks for some hundred reads at most.
    pub(crate) fn step(
        &self,
        caller: &Caller,
        filter: &Filter,
        offsets: Range<u64>,
        order: Order,
        page: &mut Page,
    ) -> Result<Range<u64>, Refusal> {
        let tenant = self.tenant_number(&caller.tenant);
        let mut sight = Sight::new(self, caller, tenant);
        let position = sight.past.position(Table::Events);
        let is_archived = match order {
            Order::OldestFirst => offsets.start < position,
            Order::NewestFirst => offsets.end <= position,
        };
        let (hits, rest) = if is_archived {
            archived(&mut sight.past, caller, filter, offsets.clone(), order, page.room())?
        } else {
            self.recent(tenant, filter, offsets.clone(), order, position)
        };
        for hit in hits {
            let (offset, event) = match hit {
                Hit::Archived(event) => (event.journal_offset as u64, *event),
                Hit::Recent(location) => (location.offset, sight.past.read(location)?),
            };
            if !filter.holds(caller, &event) {
                continue;
            }
            let length = event.encoded_len();
            let Some(event) = sight.of_event(event, filter.asked())? else { continue };
            if !page.fits(length) {
                page.is_full = true;
                page.cost.add(sight.past.cost());
                return Ok(match order {
                    Order::OldestFirst => offset..offsets.end,
                    Order::NewestFirst => offsets.start..offset + 1,
                });
            }
            page.bytes += length;
            page.events.push((offset, event));
        }
        page.cost.add(sight.past.cost());
        Ok(rest)
    }

    /// Where the next events of the journal are whose rows pass the filter, and what is left over.
    fn recent(
        &self,
        tenant: TenantNo,
        filter: &Filter,
        offsets: Range<u64>,
        order: Order,
        position: u64,
    ) -> (Vec<Hit>, Range<u64>) {
        let (hits, left) = self.hits(tenant, filter, offsets.start.max(position)..offsets.end, order);
        let rest = match order {
            Order::OldestFirst => left,
            Order::NewestFirst => offsets.start..left.end,
        };
        (hits.into_iter().map(Hit::Recent).collect(), rest)
    }

    /// Where the next events are whose rows pass the filter, and what is left over.
    pub(crate) fn hits(
        &self,
        tenant: TenantNo,
        filter: &Filter,
        offsets: Range<u64>,
        order: Order,
    ) -> (Vec<Location>, Range<u64>) {
        let wanted = InIndex::new(self, tenant, filter);
        let index = self.index();
        let (mut hits, mut rows, mut rest) = (Vec::new(), 0, offsets.clone());
        let _ = index.scan(offsets, order, |offset, row| {
            if rows == STEP_ROWS || hits.len() == STEP_EVENTS {
                return ControlFlow::Break(());
            }
            rows += 1;
            if wanted.has(row) {
                hits.push(index.locate(offset));
            }
            match order {
                Order::OldestFirst => rest.start = offset + 1,
                Order::NewestFirst => rest.end = offset,
            }
            ControlFlow::Continue(())
        });
        (hits, rest)
    }
}

/// An event that may pass.
enum Hit {
    Recent(Location),
    Archived(Box<wire::Event>),
}

/// The next events of the archive that pass the filter, and what is left over, in the journal too.
fn archived(
    past: &mut Past<'_>,
    caller: &Caller,
    filter: &Filter,
    offsets: Range<u64>,
    order: Order,
    limit: usize,
) -> Result<(Vec<Hit>, Range<u64>), Refusal> {
    let position = past.position(Table::Events);
    let wanted = Wanted { offsets: offsets.start..offsets.end.min(position), ..filter.wanted(&caller.tenant) };
    let Found { events, rest } = past.archived(Table::Events, &wanted, order, limit)?;
    let rest = match order {
        Order::OldestFirst if rest.is_empty() => wanted.offsets.end..offsets.end,
        Order::OldestFirst => rest.start..offsets.end,
        Order::NewestFirst => rest,
    };
    Ok((events.into_iter().map(|event| Hit::Archived(Box::new(event))).collect(), rest))
}

/// The filter in the words of the index. It lets too much through where hashes are equal, never too little.
struct InIndex {
    tenant: Option<TenantNo>,
    event_types: Vec<u32>,
    ns: Option<u32>,
    entities: Vec<u64>,
}

impl InIndex {
    fn new(log: &EventLog, tenant: TenantNo, filter: &Filter) -> Self {
        let (ns, entities) = match &filter.about {
            About::Anything => (None, Vec::new()),
            About::Namespace(ns) => (Some(log.keys.word(ns.as_str())), Vec::new()),
            About::Entity(key) => {
                let kinds = filter.kind.map_or(vec![EntityKind::Thing, EntityKind::Relationship], |kind| vec![kind]);
                let hash = |kind| log.entity(tenant, kind, key.ns.as_str(), &key.entity_id());
                (None, kinds.into_iter().map(hash).collect())
            }
        };
        let event_types = filter.event_types.iter().map(|word| log.keys.word(word.as_str())).collect();
        Self { tenant: (!filter.all_tenants).then_some(tenant), event_types, ns, entities }
    }

    fn has(&self, row: &Row) -> bool {
        self.tenant.is_none_or(|tenant| row.tenant() == tenant)
            && (self.event_types.is_empty() || self.event_types.contains(&row.event_type))
            && self.ns.is_none_or(|ns| ns == row.ns)
            && (self.entities.is_empty() || self.entities.contains(&row.entity))
    }
}

impl Filter {
    /// Whether an event passes; this, not the index, decides.
    fn holds(&self, caller: &Caller, event: &wire::Event) -> bool {
        let is_about = match &self.about {
            About::Anything => true,
            About::Namespace(ns) => event.entity_ns == ns.as_str(),
            About::Entity(key) => event.entity_ns == key.ns.as_str() && event.entity_id == *key.entity_id(),
        };
        let is_kind = self.kind.is_none_or(|kind| event.entity_kind == i32::from(entity_kind_to_wire(kind)));
        let is_type =
            self.event_types.is_empty() || self.event_types.iter().any(|word| word.as_str() == event.event_type);
        let is_theirs = self.all_tenants || event.tenant == caller.tenant.as_str();
        is_about && is_kind && is_type && is_theirs
    }

    /// The filter in the words of the archive.
    pub(crate) fn wanted(&self, tenant: &TenantId) -> Wanted {
        let (entity_ns, entity_id) = match &self.about {
            About::Anything => (None, None),
            About::Namespace(ns) => (Some(ns.as_str().into()), None),
            About::Entity(key) => (Some(key.ns.as_str().into()), Some(key.entity_id().into())),
        };
        Wanted {
            event_types: self.event_types.iter().map(|word| word.as_str().into()).collect(),
            entity_ns,
            entity_id,
            entity_kind: self.kind.map(EntityKind::as_str),
            times: self.times.clone(),
            tenant: (!self.all_tenants).then(|| tenant.clone()),
            ..Wanted::of(tenant.clone())
        }
    }

    fn asked(&self) -> Asked {
        if matches!(self.about, About::Entity(_)) { Asked::ByName } else { Asked::InList }
    }
}
