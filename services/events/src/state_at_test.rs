//! States of the past: which one counts as of a moment, and who sees it.

use domain::{EntityKind, Mutation, Timestamp, Visibility};
use ulid::Ulid;

use super::*;
use crate::fixture::{Fixture, after, entity, event_reader, relationship, thing};

fn at(fixture: &Fixture, caller: &Caller, name: &str, as_of: AsOf) -> Result<State, Refusal> {
    fixture.log.state_at(caller, &entity(EntityKind::Thing, name), as_of).map(|(state, _)| state)
}

fn time_of(mutation: &Mutation) -> Timestamp {
    Timestamp::of_ulid(mutation.ulid)
}

#[tokio::test]
async fn the_state_is_that_of_the_newest_mutation_up_to_the_moment_inclusive() {
    let mut fixture = Fixture::new();
    let first = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    let second = fixture.put(Some(&after(&first)), thing("onet/a", Visibility::Public, "2"));
    fixture.relay(&[first.clone(), second.clone()]).await;
    fixture = fixture.reopened();
    let local = Caller::local();
    for (moment, expected) in [
        (AsOf::Time(time_of(&first)), &first),
        (AsOf::Time(time_of(&second).plus_millis(-1)), &first),
        (AsOf::Time(time_of(&second)), &second),
        (AsOf::Ulid(first.ulid), &first),
        (AsOf::Ulid(Ulid(second.ulid.0 - 1)), &first),
        (AsOf::Ulid(second.ulid), &second),
    ] {
        assert_eq!(at(&fixture, &local, "onet/a", moment), Ok(after(expected)), "{moment}");
    }
}

#[tokio::test]
async fn before_its_creation_and_after_its_deletion_a_name_has_no_state() {
    let mut fixture = Fixture::new();
    let created = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    let deleted = fixture.delete(&after(&created));
    fixture.relay(&[created.clone(), deleted.clone()]).await;
    for moment in [AsOf::Time(time_of(&created).plus_millis(-1)), AsOf::Ulid(deleted.ulid)] {
        let refusal = at(&fixture, &Caller::local(), "onet/a", moment).unwrap_err();
        assert_eq!(refusal.reason, Reason::NotFound, "{moment}");
    }
    assert!(at(&fixture, &event_reader(), "onet/a", AsOf::Ulid(created.ulid)).is_ok());
}

#[tokio::test]
async fn the_future_is_refused_and_an_event_that_is_here_is_not_the_future() {
    let mut fixture = Fixture::new();
    let ahead = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    fixture.relay(std::slice::from_ref(&ahead)).await;
    fixture.clock.advance(-500);
    let now = fixture.clock.now();
    let local = Caller::local();
    for moment in [AsOf::Time(now.plus_millis(1)), AsOf::Ulid(Ulid(ahead.ulid.0 + 1))] {
        let refusal = at(&fixture, &local, "onet/a", moment).unwrap_err();
        assert_eq!(refusal.reason, Reason::AsOfInFuture, "{moment}");
    }
    assert!(at(&fixture, &local, "onet/a", AsOf::Ulid(ahead.ulid)).is_ok());
    assert_eq!(at(&fixture, &local, "onet/a", AsOf::Time(now)).unwrap_err().reason, Reason::NotFound);
}

#[tokio::test]
async fn a_past_state_shows_only_while_the_latest_does() {
    let mut fixture = Fixture::new();
    let public = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    fixture.relay(std::slice::from_ref(&public)).await;
    let moment = AsOf::Ulid(public.ulid);
    assert!(at(&fixture, &event_reader(), "onet/a", moment).is_ok());
    let private = fixture.put(Some(&after(&public)), thing("onet/a", Visibility::Private, "2"));
    fixture.relay(std::slice::from_ref(&private)).await;
    assert!(at(&fixture, &event_reader(), "onet/a", moment).is_err());
    let gone = fixture.delete(&after(&private));
    fixture.relay(&[gone]).await;
    assert!(at(&fixture, &event_reader(), "onet/a", moment).is_err(), "its last state was private");
}

#[tokio::test]
async fn a_relationship_is_hidden_at_a_time_when_one_of_its_ends_was() {
    let mut fixture = Fixture::new();
    let shown = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    let edge = fixture.put(None, relationship("onet/e", "onet/a", "onet/a", Visibility::Public));
    let hidden = fixture.put(Some(&after(&shown)), thing("onet/a", Visibility::Private, "2"));
    let again = fixture.put(Some(&after(&hidden)), thing("onet/a", Visibility::Public, "3"));
    fixture.relay(&[shown, edge.clone(), hidden.clone(), again.clone()]).await;
    let name = entity(EntityKind::Relationship, "onet/e");
    for (moment, sees) in [(edge.ulid, true), (hidden.ulid, false), (again.ulid, true)] {
        let seen = fixture.log.state_at(&event_reader(), &name, AsOf::Ulid(moment)).map(|(state, _)| state);
        assert_eq!(seen.is_ok(), sees, "{moment}");
    }
}
