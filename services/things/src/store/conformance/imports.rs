//! Importing.

use std::collections::BTreeSet;

use domain::{Clock, Condition, Style};
use futures::stream;
use proto::common::v1::Reason;
use serve::{Caller, Refusal};

use super::bed::{Bed, anonymous, call, edge, foreigner, keyed, name, note, owner, reason};
use crate::Call;
use crate::change::{Change, Part, Sequence, Write};
use crate::import::{Course, Report, Rows};

fn thing(named: &str, text: &str) -> Change {
    Change::PutThing { reference: name(named), body: note(text), condition: Condition::None }
}

fn link(named: &str, from: &str, to: &str) -> Change {
    Change::PutRelationship { relationship: edge(named, from, to), condition: Condition::None }
}

async fn import(bed: &Bed, messages: Vec<Vec<Change>>) -> Result<Report, Reason> {
    import_decoded(bed, messages.into_iter().map(|rows| rows.into_iter().map(Ok).collect()).collect()).await
}

async fn import_decoded(bed: &Bed, messages: Vec<Vec<Result<Change, Refusal>>>) -> Result<Report, Reason> {
    let numbered = messages.into_iter().enumerate().map(|(number, rows)| {
        let mut provenance = call(&owner()).provenance;
        provenance.request_id = format!("import-{number}").into();
        Ok::<_, Refusal>(Rows { each: rows, provenance, course: None })
    });
    reason(bed.things.import(&owner(), futures::stream::iter(numbered)).await)
}

pub(crate) async fn an_import_puts_things_and_relationships_in_order(bed: Bed) {
    let rows = vec![thing("onet/a", "one"), link("onet/r", "onet/a", "onet/a"), thing("onet/a", "two")];
    let report = import(&bed, vec![rows]).await.unwrap();
    assert_eq!((report.created, report.replaced, report.failed), (2, 1, 0));
    let mutations = bed.mutations().await;
    assert_eq!(report.last, mutations.last().map(|mutation| mutation.ulid));
    assert_eq!(mutations.len(), 3);
}

pub(crate) async fn an_import_that_is_repeated_writes_nothing(bed: Bed) {
    let rows = || vec![thing("onet/a", "one"), thing("onet/b", "two"), link("onet/r", "onet/a", "onet/b")];
    import(&bed, vec![rows()]).await.unwrap();
    let report = import(&bed, vec![rows()]).await.unwrap();
    assert_eq!((report.unchanged, report.last), (3, None));
    assert_eq!(bed.mutations().await.len(), 3);
}

pub(crate) async fn a_bad_row_is_left_out_and_reported(bed: Bed) {
    let undecodable = Err(Refusal::invalid_field("thing.type", "is required"));
    let first = vec![Ok(thing("onet/a", "one")), undecodable, Ok(link("onet/r", "onet/a", "onet/x"))];
    let second = vec![Ok(thing("onet/b", "two")), Ok(thing("a/b/c", "three")), Ok(thing("onet/c", "four"))];
    let report = import_decoded(&bed, vec![first, second]).await.unwrap();
    assert_eq!((report.created, report.failed), (3, 3));
    let failures: Vec<_> = report.failures.iter().map(|(row, refusal)| (*row, refusal.reason)).collect();
    assert_eq!(failures, [(1, Reason::FieldInvalid), (2, Reason::EndMissing), (4, Reason::NamespaceUnregistered)]);
}

pub(crate) async fn a_message_of_too_many_rows_is_refused(bed: Bed) {
    let rows = |count| (0..count).map(|number| thing(&format!("onet/{number}"), "one")).collect();
    assert_eq!(import(&bed, vec![rows(1_001)]).await.unwrap_err(), Reason::FieldInvalid);
    assert_eq!(import(&bed, vec![rows(1_000)]).await.unwrap().created, 1_000);
}

pub(crate) async fn the_first_request_id_counts_for_the_whole_import(bed: Bed) {
    import(&bed, vec![vec![thing("onet/a", "one")], vec![thing("onet/b", "two")]]).await.unwrap();
    for mutation in bed.mutations().await {
        assert_eq!(&*mutation.provenance.request_id, "import-0");
    }
}

pub(crate) async fn rows_are_counted_across_messages(bed: Bed) {
    let messages = (0..10).map(|message| (0..10).map(|row| thing(&format!("onet/{message}-{row}"), "one")).collect());
    let report = import(&bed, messages.collect()).await.unwrap();
    assert_eq!((report.created, bed.list(&keyed(&["read:onet"]), "onet").await.len()), (100, 100));
}

pub(crate) async fn an_earlier_clock_after_a_restart_gives_no_name_the_ulid_of_another(bed: Bed) {
    import(&bed, vec![vec![thing("onet/a", "one"), thing("onet/b", "two")]]).await.unwrap();
    let earlier = Clock::manual(bed.clock.now().plus_millis(-1_000));
    let bed = bed.reopened_with(earlier).await;
    bed.put("onet/a", "three").await;
    let ulids: BTreeSet<_> = bed.mutations().await.iter().map(|mutation| mutation.ulid).collect();
    assert_eq!(ulids.len(), 3, "{ulids:?}");
}

pub(crate) async fn a_write_whose_sequence_has_ended_is_refused(bed: Bed) {
    let sequence = Sequence::default();
    let write = |named: &str| Write {
        caller: owner(),
        provenance: call(&owner()).provenance,
        changes: vec![thing(named, "one")],
        sequence: sequence.clone(),
        part: None,
    };
    bed.store.things.write(write("onet/a")).await.unwrap();
    sequence.end();
    let refused = reason(bed.store.things.write(write("onet/b")).await);
    assert_eq!(refused.map(drop), Err(Reason::StoreUnavailable));
    bed.put("onet/c", "one").await;
    assert_eq!(bed.list(&owner(), "onet").await, ["onet/a", "onet/c"]);
}

/// Imports rows of which the first one that comes has this number.
async fn go_on(bed: &Bed, who: &Caller, first_row: u64, rows: Vec<Change>) -> Result<Report, Refusal> {
    let course = Some(Course { import_id: "all of it".into(), first_row });
    let rows = rows.into_iter().map(Ok).collect();
    let rows = Rows { each: rows, provenance: call(who).provenance, course };
    bed.things.import(who, stream::iter([Ok::<_, Refusal>(rows)])).await
}

pub(crate) async fn an_import_with_an_id_is_gone_on_with_where_it_ended(bed: Bed) {
    let rows = |text: &str| ["onet/a", "a/b/c", "onet/b", "onet/c"].map(|named| thing(named, text)).to_vec();
    // One is left out, and does not come again.
    let report = go_on(&bed, &owner(), 0, rows("one")[..2].to_vec()).await.unwrap();
    assert_eq!((report.created, report.failed, report.passed_over, report.next_row), (1, 1, 0, 2));
    bed.put("onet/a", "changed").await;
    let report = go_on(&bed, &owner(), 0, rows("two")).await.unwrap();
    assert_eq!((report.created, report.failed, report.passed_over, report.next_row), (2, 0, 2, 4));
    let report = go_on(&bed, &owner(), 3, rows("three")[3..].to_vec()).await.unwrap();
    assert_eq!((report.replaced, report.passed_over, report.next_row), (0, 1, 4));
    let report = go_on(&bed, &owner(), 4, vec![thing("onet/d", "one")]).await.unwrap();
    assert_eq!((report.created, report.next_row), (1, 5));
    let texts = async |named| bed.get(&owner(), named).await.unwrap().body.content.unwrap().as_str().to_owned();
    assert_eq!([texts("onet/a").await, texts("onet/b").await, texts("onet/c").await], ["changed", "two", "two"]);
}

pub(crate) async fn rows_that_do_not_follow_those_of_their_import_are_refused(bed: Bed) {
    go_on(&bed, &owner(), 0, vec![thing("onet/a", "one")]).await.unwrap();
    let refused = go_on(&bed, &owner(), 2, vec![thing("onet/b", "one")]).await.unwrap_err();
    assert_eq!((refused.reason, refused.metadata["next_row"].as_str()), (Reason::ImportOutOfOrder, "1"));
    let asked = go_on(&bed, &owner(), 0, Vec::new()).await.unwrap();
    assert_eq!((asked.next_row, asked.passed_over), (1, 0));
    // Of two calls that go on at the same time one is refused, whole.
    let part = |rows| Some(Part { import_id: "all of it".into(), rows });
    let write = |named: &str, rows| {
        let Call { caller, provenance } = call(&owner());
        let (changes, sequence) = (vec![thing(named, "one")], Sequence::default());
        bed.store.things.write(Write { caller, provenance, changes, sequence, part: part(rows) })
    };
    let (one, other) = tokio::join!(write("onet/b", 1..2), write("onet/c", 1..3));
    let refused: Vec<_> = [reason(one), reason(other)].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused, [Reason::ImportOutOfOrder]);
    assert_eq!(bed.mutations().await.len(), 2);
}

pub(crate) async fn what_follows_a_part_that_is_refused_is_refused(bed: Bed) {
    let sequence = Sequence::default();
    let write = |named: &str, rows| {
        let Call { caller, provenance } = call(&owner());
        let part = Some(Part { import_id: "all of it".into(), rows });
        let changes = vec![thing(named, "one")];
        bed.store.things.write(Write { caller, provenance, changes, sequence: sequence.clone(), part })
    };
    assert_eq!(reason(write("onet/a", 1..2).await).map(drop), Err(Reason::ImportOutOfOrder));
    assert_eq!(reason(write("onet/b", 0..1).await).map(drop), Err(Reason::StoreUnavailable));
    assert!(bed.mutations().await.is_empty());
}

pub(crate) async fn an_import_is_its_principals_and_is_known_for_a_day(bed: Bed) {
    go_on(&bed, &owner(), 0, vec![thing("onet/a", "one")]).await.unwrap();
    for who in [keyed(&["write:*"]), foreigner()] {
        assert_eq!(go_on(&bed, &who, 0, Vec::new()).await.unwrap().next_row, 0);
    }
    let refused = go_on(&bed, &anonymous(), 0, Vec::new()).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Unauthenticated);
    bed.clock.advance(23 * 3_600_000);
    assert_eq!(go_on(&bed, &owner(), 0, vec![thing("onet/a", "two"); 2]).await.unwrap().passed_over, 1);
    bed.clock.advance(23 * 3_600_000);
    assert_eq!(go_on(&bed, &owner(), 0, Vec::new()).await.unwrap().next_row, 2);
    bed.clock.advance(25 * 3_600_000);
    assert_eq!(go_on(&bed, &owner(), 0, vec![thing("onet/a", "three")]).await.unwrap().next_row, 1);
}

pub(crate) async fn a_namespace_is_imported_by_who_may_register_it(bed: Bed) {
    let register = |style| Change::RegisterNamespace { ns: super::bed::ns("git/repos"), style };
    let rows = vec![register(Style::Literal), register(Style::Literal), register(Style::Wiki)];
    let report = import(&bed, vec![rows]).await.unwrap();
    assert_eq!((report.created, report.unchanged, report.failed, report.last), (1, 1, 1, None));
    let rows = vec![Ok(register(Style::Literal))];
    let rows = Rows { each: rows, provenance: call(&owner()).provenance, course: None };
    let writer = keyed(&["write:*"]);
    let report = bed.things.import(&writer, stream::iter([Ok::<_, Refusal>(rows)])).await.unwrap();
    assert_eq!(report.failures[0].1.reason, Reason::PermissionDenied);
}
