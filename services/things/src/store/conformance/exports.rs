//! Exporting everything, and importing that again.

use domain::{Condition, Embedding, Key, Reference, RelationshipBody, Style, ThingBody, Visibility};
use futures::{StreamExt as _, stream};
use proto::common::v1::Reason;
use proto::convert::NewRelationship;
use serve::Refusal;
use serve::deadline::Deadline;
use tokio::time::Duration;

use super::bed::{Bed, anonymous, call, edge, foreigner, keyed, note, ns, owner, private, unlisted};
use crate::change::Change;
use crate::export::{Exported, Row};
use crate::import::Rows;
use crate::list::PageRequest;
use crate::store::Scope;

/// All from the beginning.
const FIRST: PageRequest = PageRequest { size: 1_000, token: String::new(), question: Vec::new() };

/// A literal namespace, things with a variant and an embedding, hidden ones, and relationships.
async fn furnish(bed: &Bed) {
    bed.register("git/repos", Style::Literal).await.unwrap();
    let embedding = Some(Embedding::try_from(vec![0.5, -1.0]).unwrap());
    bed.put_as(&owner(), "git/repos/a_b", ThingBody { embedding, ..note("one") }).await.unwrap();
    bed.put("onet/a", "one").await;
    bed.put("onet/a#es", "uno").await;
    bed.put_as(&owner(), "onet/hidden", private("one")).await.unwrap();
    bed.put_as(&owner(), "onet/named", unlisted("one")).await.unwrap();
    bed.link("onet/r", "onet/a", "git/repos:a_b").await.unwrap();
    bed.link("onet/s", "onet/hidden", "onet/a").await.unwrap();
    let hidden = NewRelationship { visibility: Visibility::Private, ..edge("onet/t", "onet/a", "onet/a") };
    bed.things.put_relationship(call(&owner()), hidden, Condition::None).await.unwrap();
}

fn told(parts: &[Exported]) -> Vec<String> {
    let row = |row: &Row| match row {
        Row::Namespace(ns, ..) => format!("{ns}/"),
        Row::Thing(thing, _) => thing.key.to_string(),
        Row::Relationship(found, _) => format!("{}: {}", found.name, found.body.from),
    };
    parts.iter().flat_map(|part| &part.rows).map(row).collect()
}

/// What a row puts.
fn change(row: &Row) -> Change {
    let named = |Key { ns, id, variant }: Key| Reference::Parts { ns, id: id.as_str().into(), variant };
    match row.clone() {
        Row::Namespace(ns, style, _) => Change::RegisterNamespace { ns, style },
        Row::Thing(thing, _) => {
            Change::PutThing { reference: named(thing.key), body: thing.body, condition: Condition::None }
        }
        Row::Relationship(found, _) => {
            let RelationshipBody { relationship_type, from, to, visibility, data } = found.body;
            let [reference, from, to] = [found.name, from, to].map(|name| named(name.into()));
            let relationship = NewRelationship { reference, relationship_type, from, to, visibility, data };
            Change::PutRelationship { relationship, condition: Condition::None }
        }
    }
}

pub(crate) async fn an_export_that_is_imported_again_makes_the_same(bed: Bed) {
    furnish(&bed).await;
    let exported = bed.export(&owner(), Scope::All, "").await.unwrap();
    let rows = || exported.iter().flat_map(|part| &part.rows);
    let message = || {
        let rows = rows().map(|row| Ok(change(row))).collect();
        stream::iter([Ok::<_, Refusal>(Rows { each: rows, provenance: call(&owner()).provenance, course: None })])
    };
    let again = bed.things.import(&owner(), message()).await.unwrap();
    assert_eq!((again.unchanged, again.failed), (10, 0), "{again:?}");
    let elsewhere = bed.things.import(&foreigner(), message()).await.unwrap();
    assert_eq!((elsewhere.created, elsewhere.failed), (10, 0), "{elsewhere:?}");
    let copied = bed.export(&foreigner(), Scope::All, "").await.unwrap();
    let states = |parts: &[Exported]| {
        let state = |row: &Row| match row {
            Row::Namespace(ns, style, _) => format!("{ns} {style:?}"),
            Row::Thing(thing, style) => format!("{} {:?} {style:?}", thing.key, thing.body),
            Row::Relationship(found, style) => format!("{} {:?} {style:?}", found.name, found.body),
        };
        parts.iter().flat_map(|part| &part.rows).map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(&copied), states(&exported));
}

pub(crate) async fn an_export_tells_what_the_caller_may_see_listed(bed: Bed) {
    furnish(&bed).await;
    let all = [
        "git/repos/",
        "onet/",
        "git/repos/a_b",
        "onet/a",
        "onet/a#es",
        "onet/hidden",
        "onet/named",
        "onet/r: onet/a",
        "onet/s: onet/hidden",
        "onet/t: onet/a",
    ];
    assert_eq!(told(&bed.export(&owner(), Scope::All, "").await.unwrap()), all);
    let public = ["git/repos/a_b", "onet/a", "onet/a#es", "onet/r: onet/a"];
    assert_eq!(told(&bed.export(&anonymous(), Scope::All, "").await.unwrap()), public);
    let of_git = ["git/repos/", "git/repos/a_b", "onet/a", "onet/a#es", "onet/r: onet/a"];
    assert_eq!(told(&bed.export(&keyed(&["read:git/repos"]), Scope::All, "").await.unwrap()), of_git);
    assert_eq!(told(&bed.export(&foreigner(), Scope::All, "").await.unwrap()), [""; 0]);
}

pub(crate) async fn an_export_is_of_the_namespaces_that_are_asked_for(bed: Bed) {
    furnish(&bed).await;
    let of_git = ["git/repos/", "git/repos/a_b"];
    for scope in [Scope::Exactly(ns("git/repos")), Scope::Under(ns("git"))] {
        assert_eq!(told(&bed.export(&owner(), scope, "").await.unwrap()), of_git);
    }
    assert_eq!(told(&bed.export(&owner(), Scope::Exactly(ns("git")), "").await.unwrap()), [""; 0]);
}

pub(crate) async fn an_export_goes_on_behind_its_token(bed: Bed) {
    let large = "x".repeat(300 << 10);
    for number in 0..9 {
        bed.put(&format!("onet/{number}"), &large).await;
        bed.link(&format!("onet/{number}"), "onet/0", &format!("onet/{number}")).await.unwrap();
    }
    let whole = bed.export(&owner(), Scope::All, "").await.unwrap();
    assert!(whole.len() > 2, "it takes several messages");
    for (number, part) in whole.iter().enumerate() {
        let is_last = number + 1 == whole.len();
        assert_eq!(part.next_page_token.is_empty(), is_last);
        if !is_last {
            let rest = bed.export(&owner(), Scope::All, &part.next_page_token).await.unwrap();
            assert_eq!(told(&rest), told(&whole[number + 1..]));
        }
    }
    let token = &whole[0].next_page_token;
    assert_eq!(bed.export(&foreigner(), Scope::All, token).await.unwrap_err(), Reason::PageTokenInvalid);
    assert_eq!(bed.export(&owner(), Scope::All, "garbage").await.unwrap_err(), Reason::PageTokenInvalid);
}

pub(crate) async fn an_export_is_of_one_moment(bed: Bed) {
    let large = "x".repeat(600 << 10);
    for number in 0..12 {
        bed.put(&format!("onet/{number:02}"), &large).await;
    }
    let deadline = Deadline::after(Duration::from_mins(1));
    let mut parts = Box::pin(bed.things.export(&owner(), Scope::All, &FIRST, deadline).await.unwrap());
    let mut rows = parts.next().await.unwrap().unwrap().rows;
    bed.delete("onet/11").await.unwrap();
    bed.put("onet/10", "changed").await;
    bed.put("onet/99", "new").await;
    while let Some(part) = parts.next().await {
        rows.extend(part.unwrap().rows);
    }
    let contents = rows.iter().filter_map(|row| match row {
        Row::Thing(thing, _) => Some(thing.body.content.as_ref().unwrap().as_str().len()),
        _ => None,
    });
    assert_eq!(contents.collect::<Vec<_>>(), [600 << 10; 12]);
}

pub(crate) async fn a_client_that_goes_away_ends_its_export(bed: Bed) {
    let large = "x".repeat(600 << 10);
    for number in 0..12 {
        bed.put(&format!("onet/{number:02}"), &large).await;
    }
    // More than may be under way at a time.
    for _ in 0..12 {
        let deadline = Deadline::after(Duration::from_mins(1));
        let mut parts = Box::pin(bed.things.export(&owner(), Scope::All, &FIRST, deadline).await.unwrap());
        parts.next().await.unwrap().unwrap();
    }
}
