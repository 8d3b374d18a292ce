//! Figures of events in groups.

use std::sync::Arc;

use domain::EntityKind;
use proto::{common::v1::Reason, events::v1::Event};
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    archive::{self, Aggregate, Aggregated, Condition, Recent},
    filter::{About, Filter},
    index::Order,
    log,
};

/// Bytes of events that are read from the journal in one step (or one event).
const STEP_BYTES: u64 = 4 << 20;

/// When it is worth to ask again.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

impl EventLog {
    /// The figures of the events that pass the filter, of journal and archive in one moment. `without_mutations` leaves
    /// these out.
    pub(crate) async fn aggregate(
        self: &Arc<Self>,
        caller: &Caller,
        filter: Filter,
        without_mutations: bool,
        mut aggregate: Aggregate,
    ) -> Result<Aggregated, Refusal> {
        caller.require_read_events()?;
        if !without_mutations {
            require_every_mutation(caller, &filter)?;
        }
        aggregate.conditions.extend(filter.conditions());
        if without_mutations {
            aggregate.conditions.push(Condition::IsNot("event_type".into(), "mutation".into()));
        }
        self.figures(caller, filter, &aggregate).await.map_err(|error| match error {
            archive::Error::TooLarge(what) => {
                tracing::info!(tenant.id = %caller.tenant, what, "an aggregate is too large");
                let message = "the groups need more memory than a query may have: ask for less time, fewer events or \
                               fewer groups";
                Refusal::new(Reason::QueryTooLarge, message)
            }
            archive::Error::Busy => Refusal::overloaded("the queue of aggregates", RETRY),
            error => error.into(),
        })
    }

    async fn figures(
        self: &Arc<Self>,
        caller: &Caller,
        filter: Filter,
        aggregate: &Aggregate,
    ) -> Result<Aggregated, archive::Error> {
        // First, so that who waits holds no view.
        let turn = self.archive.turn().await?;
        // In this order: what is archived in between is in the journal as long as the view is held.
        let view = self.archive.view();
        let offsets = self.index().taken_in(filter.times.start, filter.times.end);
        let wanted = filter.wanted(&caller.tenant);
        let snapshot = self.archive.snapshot(view, &wanted, offsets, self.not_archived(caller, filter))?;
        self.archive.aggregate(turn, snapshot, aggregate).await
    }

    /// Reads what may pass the filter from the journal.
    fn not_archived(self: &Arc<Self>, caller: &Caller, filter: Filter) -> Recent {
        let (log, tenant) = (Arc::clone(self), self.tenant_number(&caller.tenant));
        Arc::new(move |offsets| {
            let (locations, rest) = log.hits(tenant, &filter, offsets, Order::OldestFirst);
            let mut reader = log.journal.reader();
            let (mut events, mut bytes): (Vec<Event>, _) = (Vec::new(), 0);
            for location in locations {
                bytes += u64::from(location.length);
                if bytes > STEP_BYTES && !events.is_empty() {
                    return Ok((events, location.offset..rest.end));
                }
                events.push(log::read(&mut reader, location)?);
            }
            Ok((events, rest))
        })
    }
}

/// Refuses a caller who would not be shown every mutation that passes the filter: figures must not tell what a query hides.
fn require_every_mutation(caller: &Caller, filter: &Filter) -> Result<(), Refusal> {
    let ns = match &filter.about {
        About::Anything => None,
        About::Namespace(ns) => Some(ns),
        About::Entity(key) => Some(&key.ns),
    };
    // A relationship is shown to who sees both ends, which may be elsewhere.
    let is_of_things = filter.kind == Some(EntityKind::Thing);
    let may_be_mutations =
        filter.event_types.is_empty() || filter.event_types.iter().any(|word| word.as_str() == "mutation");
    if !may_be_mutations || caller.may_read_all() || is_of_things && ns.is_some_and(|ns| caller.may_read(ns)) {
        return Ok(());
    }
    Err(Refusal::permission_denied(
        "the scope read:* to count mutations: leave them out (without_mutations), or ask for those of things \
         (entity_kind) in a namespace (entity_ns) that it reads",
    ))
}

impl Filter {
    /// The filter as conditions on columns.
    fn conditions(&self) -> Vec<Condition> {
        // The snapshot is of one tenant.
        let Self { event_types, all_tenants: _, about, kind, times } = self;
        let is = |column: &str, text: &str| Condition::OneOf(column.into(), vec![text.into()]);
        let mut conditions = vec![Condition::During("timestamp".into(), times.clone())];
        if !event_types.is_empty() {
            let words = event_types.iter().map(|word| word.as_str().into()).collect();
            conditions.push(Condition::OneOf("event_type".into(), words));
        }
        match about {
            About::Anything => {}
            About::Namespace(ns) => conditions.push(is("entity_ns", ns.as_str())),
            About::Entity(key) => {
                conditions.extend([is("entity_ns", key.ns.as_str()), is("entity_id", &key.entity_id())]);
            }
        }
        conditions.extend(kind.map(|kind| is("entity_kind", kind.as_str())));
        conditions
    }
}

#[cfg(test)]
#[path = "aggregate_model_test.rs"]
mod model;
#[cfg(test)]
#[path = "aggregate_test.rs"]
mod tests;
