//! Writing many changes together.

use domain::Condition;
use proto::common::v1::Reason;
use proto::convert::{Effect, WriteResult};
use serve::{Caller, Refusal};

use super::bed::{Bed, call, edge, keyed, name, note, owner};
use crate::atomic::{Idempotency, REMEMBERED_MILLIS, Terms};
use crate::change::Change;

fn thing(named: &str, text: &str) -> Change {
    thing_if(named, text, Condition::None)
}

fn thing_if(named: &str, text: &str, condition: Condition) -> Change {
    Change::PutThing { reference: name(named), body: note(text), condition }
}

fn link(named: &str, from: &str, to: &str) -> Change {
    Change::PutRelationship { relationship: edge(named, from, to), condition: Condition::None }
}

fn deletion(named: &str) -> Change {
    Change::DeleteThing { reference: name(named), condition: Condition::None }
}

/// Asked by this id.
fn once(request_id: &str, asked: u8) -> Terms {
    Terms {
        validate_only: false,
        idempotency: Some(Idempotency { request_id: request_id.into(), digest: [asked; 32] }),
    }
}

async fn write(bed: &Bed, changes: Vec<Change>) -> Result<Vec<WriteResult>, Refusal> {
    write_as(bed, &owner(), changes, Terms::default()).await
}

async fn write_as(bed: &Bed, who: &Caller, changes: Vec<Change>, terms: Terms) -> Result<Vec<WriteResult>, Refusal> {
    bed.things.write_things(call(who), changes, terms).await
}

fn effects(done: &[WriteResult]) -> Vec<(String, Effect)> {
    done.iter().map(|done| (done.key.to_string(), done.effect)).collect()
}

pub(crate) async fn a_write_changes_things_and_relationships_in_order(bed: Bed) {
    bed.put("onet/old", "text").await;
    bed.put("onet/gone", "text").await;
    let changes = vec![
        thing("onet/a", "one"),
        thing("onet/b", "two"),
        link("onet/r", "onet/a", "onet/b"),
        thing("onet/a", "three"),
        thing("onet/old", "text"),
        deletion("onet/gone"),
        deletion("onet/b"),
    ];
    let done = write(&bed, changes).await.unwrap();
    let deleted = |relationships| Effect::Deleted { variants: 0, relationships };
    let expected = [
        ("onet/a", Effect::Created),
        ("onet/b", Effect::Created),
        ("onet/r", Effect::Created),
        ("onet/a", Effect::Replaced),
        ("onet/old", Effect::Unchanged),
        ("onet/gone", deleted(0)),
        ("onet/b", deleted(1)),
    ];
    assert_eq!(effects(&done), expected.map(|(key, effect)| (key.to_owned(), effect)));
    assert_eq!(bed.list(&owner(), "onet").await, ["onet/a", "onet/old"]);
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap().etag.0, done[3].ulid.unwrap());
    let mutations = bed.mutations().await;
    // Two puts before, four here, one deletion, and one with its relationship before it.
    assert_eq!(mutations.len(), 9);
    assert_eq!(mutations.last().map(|last| last.ulid), done[6].ulid);
}

pub(crate) async fn a_write_of_which_one_change_is_refused_leaves_nothing(bed: Bed) {
    bed.put("onet/old", "text").await;
    assert_eq!(bed.mutations().await.len(), 1);
    let refused = [
        (thing_if("onet/a", "new", Condition::CreateOnly), Reason::AlreadyExists),
        (link("onet/r", "onet/a", "onet/absent"), Reason::EndMissing),
        (deletion("onet/absent"), Reason::NotFound),
        (thing("some/where/else", "new"), Reason::NamespaceUnregistered),
    ];
    for (bad, reason) in refused {
        let changes =
            vec![thing("onet/a", "one"), thing("fresh/a", "one"), deletion("onet/old"), bad, thing("onet/z", "")];
        let refusal = write(&bed, changes).await.unwrap_err();
        assert_eq!(refusal.reason, reason);
        assert!(refusal.message.starts_with("changes[3]: "), "{}", refusal.message);
    }
    assert_eq!(bed.list(&owner(), "onet").await, ["onet/old"]);
    assert_eq!(bed.list(&owner(), "fresh").await, Vec::<String>::new());
    assert_eq!(bed.mutations().await.len(), 0);
    // Nor is the namespace there that would have been registered on the way.
    bed.register("fresh", domain::Style::Literal).await.unwrap();
}

pub(crate) async fn a_change_sees_those_before_it(bed: Bed) {
    let etag = bed.put("onet/a", "one").await.state.etag;
    let stale = vec![thing("onet/a", "two"), thing_if("onet/a", "three", Condition::Etags(vec![etag]))];
    assert_eq!(write(&bed, stale).await.unwrap_err().reason, Reason::EtagStale);
    let created = vec![deletion("onet/a"), thing_if("onet/a", "three", Condition::CreateOnly)];
    let done = write(&bed, created).await.unwrap();
    assert_eq!(done[1].effect, Effect::Created);
    assert!(done[0].ulid < done[1].ulid && etag.0 < done[0].ulid.unwrap());
}

pub(crate) async fn a_write_that_is_only_validated_keeps_nothing(bed: Bed) {
    bed.put("onet/a", "one").await;
    let terms = || Terms { validate_only: true, idempotency: None };
    let changes = || vec![thing("onet/b", "two"), link("onet/r", "onet/a", "onet/b"), deletion("onet/a")];
    let trial = write_as(&bed, &owner(), changes(), terms()).await.unwrap();
    assert!(trial.iter().all(|done| done.ulid.is_none()));
    let bad = vec![thing("onet/c", "new"), deletion("onet/absent")];
    assert_eq!(write_as(&bed, &owner(), bad, terms()).await.unwrap_err().reason, Reason::NotFound);
    assert_eq!((bed.list(&owner(), "onet").await, bed.mutations().await.len()), (vec!["onet/a".to_owned()], 1));
    let done = write(&bed, changes()).await.unwrap();
    assert_eq!(effects(&done), effects(&trial));
}

pub(crate) async fn a_repeated_request_is_carried_out_once(bed: Bed) {
    let ask = async |asked| write_as(&bed, &owner(), vec![thing("onet/a", "one")], once("r1", asked)).await;
    let first = ask(1).await.unwrap();
    bed.put("onet/a", "two").await;
    assert_eq!(ask(1).await.unwrap(), first);
    assert_eq!(ask(2).await.unwrap_err().reason, Reason::RequestIdReused);
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap().body, note("two"));
    let bed = bed.reopened().await;
    let again = write_as(&bed, &owner(), vec![thing("onet/a", "one")], once("r1", 1)).await.unwrap();
    assert_eq!((again, bed.mutations().await.len()), (first, 2));
}

pub(crate) async fn a_request_id_is_its_principals_and_for_a_day(bed: Bed) {
    let (somebody, changes) = (keyed(&["write:onet"]), || vec![thing("onet/a", "one")]);
    let first = write_as(&bed, &owner(), changes(), once("r1", 1)).await.unwrap();
    bed.put("onet/a", "two").await;
    let others = write_as(&bed, &somebody, changes(), once("r1", 2)).await.unwrap();
    assert_eq!(others[0].effect, Effect::Replaced);
    bed.put("onet/a", "two").await;
    bed.clock.advance(REMEMBERED_MILLIS - 2_000);
    assert_eq!(write_as(&bed, &owner(), changes(), once("r1", 1)).await.unwrap(), first);
    bed.clock.advance(4_000);
    let later = write_as(&bed, &owner(), changes(), once("r1", 3)).await.unwrap();
    assert_eq!(later[0].effect, Effect::Replaced);
}

pub(crate) async fn a_refused_request_is_not_remembered(bed: Bed) {
    let ask = async || write_as(&bed, &owner(), vec![deletion("onet/a")], once("r1", 1)).await;
    assert_eq!(ask().await.unwrap_err().reason, Reason::NotFound);
    bed.put("onet/a", "one").await;
    assert_eq!(ask().await.unwrap()[0].effect, Effect::Deleted { variants: 0, relationships: 0 });
}

pub(crate) async fn of_racing_requests_with_one_id_one_is_carried_out(bed: Bed) {
    let ask = async || write_as(&bed, &owner(), vec![thing("onet/a", "one")], once("r1", 1)).await;
    let same = futures::future::join_all((0..8).map(|_| ask())).await;
    let first = same[0].as_ref().unwrap();
    assert!(same.iter().all(|done| done.as_ref() == Ok(first)));
    assert_eq!(bed.mutations().await.len(), 1);
}

pub(crate) async fn who_may_not_write_one_of_the_names_writes_none(bed: Bed) {
    let somebody = keyed(&["write:onet"]);
    let changes = vec![thing("onet/a", "one"), thing("other/a", "one")];
    let refusal = write_as(&bed, &somebody, changes, Terms::default()).await.unwrap_err();
    assert_eq!((refusal.reason, bed.mutations().await.len()), (Reason::PermissionDenied, 0));
}

pub(crate) async fn a_thousand_changes_are_one_write(bed: Bed) {
    let changes = |count| (0..count).map(|number| thing(&format!("onet/{number}"), "one")).collect();
    assert_eq!(write(&bed, changes(1_000)).await.unwrap().len(), 1_000);
    assert_eq!(bed.mutations().await.len(), 1_000);
}
