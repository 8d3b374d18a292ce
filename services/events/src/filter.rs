//! Owns which events a reader asks for, and reading them in bounded steps. Never waits for any.

use std::ops::{ControlFlow, Range};

use domain::{EntityKind, EventType, Key, Namespace};
use proto::{convert::entity_kind_to_wire, events::v1 as wire};
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    index::{Location, Order, Row, TenantNo},
    log,
    visibility::{Asked, Sight},
};

/// Rows looked at while the index is held: some 100 µs.
const STEP_ROWS: u32 = 65_536;
/// Events read in one step.
const STEP_EVENTS: usize = 256;

/// Which events; every condition that is given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// One of these types; empty is any.
    pub(crate) event_types: Vec<EventType>,
    pub(crate) about: About,
    pub(crate) kind: Option<EntityKind>,
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
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
    /// Whether an event was found that did not fit.
    pub(crate) is_full: bool,
}

impl Page {
    /// An empty page of so many events and bytes; one event always fits.
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: Vec::new(), bytes: 0, max_events, max_bytes, is_full: false }
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
        let (hits, rest) = self.hits(tenant, filter, offsets.clone(), order);
        let mut sight = Sight::new(self, caller, tenant);
        let mut reader = self.journal.reader();
        for location in hits {
            let event = log::read(&mut reader, location)?;
            if !filter.holds(caller, &event) {
                continue;
            }
            let Some(event) = sight.of_event(event, filter.asked())? else { continue };
            if !page.fits(location.length as usize) {
                page.is_full = true;
                return Ok(match order {
                    Order::OldestFirst => location.offset..offsets.end,
                    Order::NewestFirst => offsets.start..location.offset + 1,
                });
            }
            page.bytes += location.length as usize;
            page.events.push((location.offset, event));
        }
        Ok(rest)
    }

    /// Where the next events are whose rows pass the filter, and what is left over.
    fn hits(
        &self,
        tenant: TenantNo,
        filter: &Filter,
        offsets: Range<u64>,
        order: Order,
    ) -> (Vec<Location>, Range<u64>) {
        let wanted = Wanted::new(self, tenant, filter);
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

/// The filter in the words of the index. It lets too much through where hashes are equal, never too little.
struct Wanted {
    tenant: TenantNo,
    event_types: Vec<u32>,
    ns: Option<u32>,
    entities: Vec<u64>,
}

impl Wanted {
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
        Self { tenant, event_types, ns, entities }
    }

    fn has(&self, row: &Row) -> bool {
        row.tenant() == self.tenant
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
        is_about && is_kind && is_type && event.tenant == caller.tenant.as_str()
    }

    fn asked(&self) -> Asked {
        if matches!(self.about, About::Entity(_)) { Asked::ByName } else { Asked::InList }
    }
}
