//! Differences of states: of which two, and who sees them.

use domain::{Difference, EntityKind, Mutation, Timestamp, Visibility};
use proto::common::v1::Reason;

use super::*;
use crate::fixture::{Fixture, after, entity, event_reader, reader_of, thing};

fn diff(fixture: &Fixture, caller: &Caller, from: AsOf, to: Option<AsOf>) -> Result<Compared, Refusal> {
    fixture.log.diff(caller, &Diff { entity: entity(EntityKind::Thing, "onet/a"), from, to })
}

fn paths(compared: &Compared) -> Vec<&str> {
    compared.changes.iter().map(|change| change.path.as_str()).collect()
}

async fn put(fixture: &mut Fixture, before: Option<&Mutation>, visibility: Visibility, content: &str) -> Mutation {
    let mutation = fixture.put(before.map(after).as_ref(), thing("onet/a", visibility, content));
    fixture.relay(std::slice::from_ref(&mutation)).await;
    mutation
}

#[tokio::test]
async fn two_moments_are_compared_in_either_order_and_now_is_the_default() {
    let mut fixture = Fixture::new();
    let first = put(&mut fixture, None, Visibility::Public, "a\nb\n").await;
    let second = put(&mut fixture, Some(&first), Visibility::Public, "a\nc\n").await;
    let [from, to] = [&first, &second].map(|mutation| AsOf::Ulid(mutation.ulid));
    let local = Caller::local();
    for to in [None, Some(to), Some(AsOf::Time(Timestamp::of_ulid(second.ulid)))] {
        let compared = diff(&fixture, &local, from, to).unwrap();
        assert_eq!((compared.before.as_ref(), compared.after.as_ref()), (first.after.as_ref(), second.after.as_ref()));
        assert_eq!(paths(&compared), ["/content"]);
        let Difference::ContentReplaced(hunks) = &compared.changes[0].difference else { panic!("{compared:?}") };
        assert_eq!((hunks[0].before_line, &*hunks[0].removed, &*hunks[0].added), (2, "b\n", "c\n"));
    }
    let back = diff(&fixture, &local, to, Some(from)).unwrap();
    assert_eq!((back.before, back.after), (second.after.clone(), first.after.clone()));
    assert!(diff(&fixture, &local, to, None).unwrap().changes.is_empty());
}

#[tokio::test]
async fn where_there_was_no_state_everything_is_new_and_at_neither_moment_it_is_not_found() {
    let mut fixture = Fixture::new();
    let before = AsOf::Time(fixture.clock.now());
    let first = put(&mut fixture, None, Visibility::Public, "1").await;
    let deleted = fixture.delete(&after(&first));
    fixture.relay(std::slice::from_ref(&deleted)).await;
    let local = Caller::local();
    let compared = diff(&fixture, &local, before, Some(AsOf::Ulid(first.ulid))).unwrap();
    assert_eq!((&compared.before, paths(&compared)), (&None, vec!["/type", "/visibility", "/content"]));
    let compared = diff(&fixture, &local, AsOf::Ulid(first.ulid), None).unwrap();
    assert!(matches!(compared.changes[2].difference, Difference::ContentRemoved(_)));
    assert_eq!(diff(&fixture, &local, before, None).unwrap_err().reason, Reason::NotFound);
}

#[tokio::test]
async fn a_hidden_state_counts_as_absent_and_the_future_is_refused() {
    let mut fixture = Fixture::new();
    let private = put(&mut fixture, None, Visibility::Private, "1").await;
    let public = put(&mut fixture, Some(&private), Visibility::Public, "2").await;
    let from = AsOf::Ulid(private.ulid);
    let compared = diff(&fixture, &event_reader(), from, Some(AsOf::Ulid(public.ulid))).unwrap();
    assert_eq!((compared.before, compared.after), (None, public.after.clone()));
    assert!(diff(&fixture, &reader_of("onet"), from, None).unwrap().before.is_some());
    put(&mut fixture, Some(&public), Visibility::Private, "3").await;
    assert_eq!(diff(&fixture, &event_reader(), from, None).unwrap_err().reason, Reason::NotFound);
    let ahead = AsOf::Time(fixture.clock.now().plus_millis(1));
    for (from, to) in [(ahead, None), (from, Some(ahead))] {
        assert_eq!(diff(&fixture, &Caller::local(), from, to).unwrap_err().reason, Reason::AsOfInFuture);
    }
}
