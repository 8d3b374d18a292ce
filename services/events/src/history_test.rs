//! Histories: order, pages, and what each caller sees of them.

use domain::{EntityKind, MutationType, TenantId, Visibility};
use proto::common::v1::Reason;

use super::*;
use crate::fixture::{Fixture, after, entity, event_about, event_reader, reader_of, relationship, thing};

fn all(fixture: &Fixture, caller: &Caller, kind: EntityKind, name: &str) -> Result<Vec<Mutation>, Refusal> {
    let history = History { entity: entity(kind, name), page_size: 1_000, after: None };
    fixture.log.history(caller, &history).map(|page| page.mutations)
}

/// Puts states of these visibilities at `onet/a`, one after the other.
async fn with_states(fixture: &mut Fixture, visibilities: &[Visibility]) -> Vec<Mutation> {
    let mut mutations: Vec<Mutation> = Vec::new();
    for visibility in visibilities {
        let before = mutations.last().map(after);
        mutations.push(fixture.put(before.as_ref(), thing("onet/a", *visibility, &mutations.len().to_string())));
    }
    fixture.relay(&mutations).await;
    mutations
}

#[tokio::test]
async fn mutations_come_oldest_first_with_states_and_provenance() {
    let mut fixture = Fixture::new();
    let mut mutations = with_states(&mut fixture, &[Visibility::Public, Visibility::Public]).await;
    let deleted = fixture.delete(&after(&mutations[1]));
    fixture.relay(std::slice::from_ref(&deleted)).await;
    mutations.push(deleted);
    fixture = fixture.reopened();
    let read = all(&fixture, &Caller::local(), EntityKind::Thing, "onet/a").unwrap();
    assert_eq!(read, mutations);
    let types: Vec<_> = read.iter().map(Mutation::mutation_type).collect();
    assert_eq!(types, [MutationType::Created, MutationType::Updated, MutationType::Deleted]);
}

#[tokio::test]
async fn other_events_of_the_name_and_the_relationship_of_the_same_name_are_not_among_them() {
    let mut fixture = Fixture::new();
    let mutations = with_states(&mut fixture, &[Visibility::Public]).await;
    let edge = fixture.put(None, relationship("onet/a", "onet/a", "onet/a", Visibility::Public));
    fixture.relay(&[edge]).await;
    fixture.append(vec![event_about("log", "onet/a")]).await;
    assert_eq!(all(&fixture, &Caller::local(), EntityKind::Thing, "onet/a").unwrap(), mutations);
}

#[tokio::test]
async fn pages_meet_without_gap_or_overlap() {
    let mut fixture = Fixture::new();
    let mutations = with_states(&mut fixture, &[Visibility::Public; 7]).await;
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let history = History { entity: entity(EntityKind::Thing, "onet/a"), page_size: 3, after };
        let page = fixture.log.history(&Caller::local(), &history).unwrap();
        read.extend(page.mutations);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read, mutations);
}

#[tokio::test]
async fn an_absent_a_foreign_and_a_private_name_are_refused_with_the_same_bytes() {
    fn refusal(fixture: &Fixture, caller: &Caller) -> Refusal {
        all(fixture, caller, EntityKind::Thing, "onet/a").unwrap_err()
    }
    let mut fixture = Fixture::new();
    let absent = refusal(&fixture, &event_reader());
    assert_eq!((absent.reason, absent.message.as_str()), (Reason::NotFound, "thing onet/a does not exist"));
    with_states(&mut fixture, &[Visibility::Public, Visibility::Private]).await;
    assert_eq!(refusal(&fixture, &event_reader()), absent);
    let foreign = Caller::peer("foreign".parse::<TenantId>().unwrap());
    assert_eq!(refusal(&fixture, &foreign), absent);
}

#[tokio::test]
async fn who_does_not_read_the_namespace_sees_neither_private_states_nor_provenance() {
    let mut fixture = Fixture::new();
    let visibilities = [Visibility::Public, Visibility::Private, Visibility::Unlisted];
    let mutations = with_states(&mut fixture, &visibilities).await;
    let seen = all(&fixture, &event_reader(), EntityKind::Thing, "onet/a").unwrap();
    let ulids: Vec<_> = seen.iter().map(|mutation| mutation.ulid).collect();
    assert_eq!(ulids, [mutations[0].ulid, mutations[2].ulid]);
    assert_eq!(seen[1].before, None, "the state before was private");
    assert!(seen.iter().all(|mutation| mutation.provenance.actor.is_empty()));
    assert_eq!(all(&fixture, &reader_of("onet"), EntityKind::Thing, "onet/a").unwrap(), mutations);
}

#[tokio::test]
async fn a_variant_shows_only_where_its_canonical_thing_does() {
    let mut fixture = Fixture::new();
    let canonical = fixture.put(None, thing("onet/a", Visibility::Private, "x"));
    let variant = fixture.put(None, thing("onet/a#es", Visibility::Public, "y"));
    fixture.relay(&[canonical.clone(), variant.clone()]).await;
    assert!(all(&fixture, &event_reader(), EntityKind::Thing, "onet/a#es").is_err());
    let shown = fixture.put(Some(&after(&canonical)), thing("onet/a", Visibility::Public, "x"));
    fixture.relay(&[shown]).await;
    let then = all(&fixture, &event_reader(), EntityKind::Thing, "onet/a#es");
    assert!(then.is_err(), "the canonical thing was private then");
    let later = fixture.put(Some(&after(&variant)), thing("onet/a#es", Visibility::Public, "z"));
    fixture.relay(std::slice::from_ref(&later)).await;
    let seen = all(&fixture, &event_reader(), EntityKind::Thing, "onet/a#es").unwrap();
    assert_eq!(seen.iter().map(|mutation| mutation.ulid).collect::<Vec<_>>(), [later.ulid]);
}

#[tokio::test]
async fn a_relationship_shows_only_where_both_ends_do() {
    let mut fixture = Fixture::new();
    let ends = [
        fixture.put(None, thing("onet/a", Visibility::Public, "a")),
        fixture.put(None, thing("other/b", Visibility::Private, "b")),
    ];
    fixture.relay(&ends).await;
    let edge = fixture.put(None, relationship("onet/e", "onet/a", "other/b", Visibility::Public));
    fixture.relay(&[edge]).await;
    for (caller, sees) in [(event_reader(), false), (reader_of("onet"), false), (reader_of("other"), true)] {
        let seen = all(&fixture, &caller, EntityKind::Relationship, "onet/e");
        assert_eq!(seen.is_ok(), sees, "{}", caller.principal);
    }
}

#[tokio::test]
async fn a_deleted_relationship_shows_by_the_last_states_of_its_deleted_ends() {
    let mut fixture = Fixture::new();
    let end = fixture.put(None, thing("onet/a", Visibility::Public, "a"));
    let edge = fixture.put(None, relationship("onet/e", "onet/a", "onet/a", Visibility::Public));
    let gone = [fixture.delete(&after(&edge)), fixture.delete(&after(&end))];
    fixture.relay(&[end, edge]).await;
    fixture.relay(&gone).await;
    let seen = all(&fixture, &event_reader(), EntityKind::Relationship, "onet/e").unwrap();
    assert_eq!(seen.len(), 2);
}
