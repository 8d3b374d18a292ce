//! Random appends, relay batches and restarts against a model: a list of what was taken.

use proptest::prelude::*;
use proto::convert::NewEvent;
use serve::Caller;
use ulid::Ulid;

use crate::{
    filter::{Filter, Page},
    fixture::{Fixture, RELAY, event, event_of, peer, thing},
    index::Order,
    journal::RelayBatch,
};

/// What happens to the log.
#[derive(Clone, Debug)]
enum Step {
    /// A client appends events of these ULIDs, out of a few, so that many are duplicates.
    Append(Vec<u8>),
    /// The relay sends a batch of this number with mutations of so many new ULIDs.
    Relay {
        number: u64,
        mutations: u8,
    },
    /// The journal is flushed, up to so many bytes.
    Flush(u64),
    /// The archive is kept up: every partition with a few files is merged, and what nothing refers to removed.
    KeepUp,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0..40_u8, 1..8).prop_map(Step::Append),
        3 => (1..12_u64, 1..4_u8).prop_map(|(number, mutations)| Step::Relay { number, mutations }),
        2 => (1..3_000_u64).prop_map(Step::Flush),
        1 => Just(Step::KeepUp),
        1 => Just(Step::Restart),
    ]
}

/// What the log must hold: the ULIDs in the order in which they were taken, and the relay's last batch.
#[derive(Default)]
struct Model {
    ulids: Vec<Ulid>,
    last_batch: u64,
}

impl Model {
    /// Which of these are duplicates; the others are taken.
    fn take(&mut self, ulids: &[Ulid]) -> Vec<u32> {
        let mut duplicates = Vec::new();
        for (place, ulid) in ulids.iter().enumerate() {
            if self.ulids.contains(ulid) {
                duplicates.push(place as u32);
            } else {
                self.ulids.push(*ulid);
            }
        }
        duplicates
    }
}

async fn run(steps: Vec<Step>) {
    let (mut fixture, mut model) = (Fixture::new(), Model::default());
    let start = fixture.clock.now().millis() as u64;
    for step in steps {
        match step {
            Step::Append(numbers) => {
                let ulids: Vec<_> = numbers.iter().map(|number| Ulid::from_parts(start, u128::from(*number))).collect();
                let events = ulids.iter().map(|ulid| NewEvent { ulid: Some(*ulid), ..event("log") }).collect();
                let stored = fixture.log.append(&Caller::local(), events).await.unwrap();
                assert_eq!(stored.appended.duplicates, model.take(&ulids));
            }
            Step::Relay { number, mutations } => {
                let mutations: Vec<_> = (0..mutations)
                    .map(|_| fixture.put(None, thing("onet/a", domain::Visibility::Public, "x")))
                    .collect();
                let ulids: Vec<_> = mutations.iter().map(|mutation| mutation.ulid).collect();
                let tenant = domain::TenantId::local();
                let events = mutations.iter().map(|mutation| event_of(mutation, &tenant)).collect();
                let relayed = fixture.log.append_relayed(&peer(), RelayBatch { relay: RELAY, number }, events).await;
                // Any other number was used for other mutations, or skips one.
                assert_eq!(relayed.is_ok(), number == model.last_batch + 1, "batch {number}");
                if number == model.last_batch + 1 {
                    model.last_batch = number;
                    model.take(&ulids);
                }
            }
            Step::Flush(bytes) => fixture.flush(bytes),
            Step::KeepUp => fixture.keep_up(),
            Step::Restart => fixture = fixture.reopened(),
        }
        check(&fixture, &model);
    }
}

fn check(fixture: &Fixture, model: &Model) {
    let mut page = Page::new(usize::MAX, usize::MAX);
    let end = fixture.log.index().end();
    let mut rest = 0..end;
    while !rest.is_empty() {
        rest = fixture.log.step(&Caller::local(), &Filter::default(), rest, Order::OldestFirst, &mut page).unwrap();
    }
    let ulids: Vec<_> = page.events.iter().map(|(_, event)| event.ulid.clone()).collect();
    assert_eq!(ulids, model.ulids.iter().map(ToString::to_string).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_holds_what_was_taken_whatever_happens_in_between(steps in prop::collection::vec(step(), 1..30)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(steps));
    }
}
