//! Schemas of types: no thing breaks the one of its type.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::{Condition, Data, Invalid, Style, ThingBody, TypeName};
use futures::stream;
use proto::common::v1::Reason;
use proto::convert::{Edit, ThingPatch};
use serve::{Caller, Refusal};

use super::bed::{Bed, Refused, anonymous, call, foreigner, keyed, name, note, ns, owner, reason};
use crate::atomic::Terms;
use crate::change::{Change, Outcome};
use crate::import::Rows;
use crate::schema::Schema;
use crate::schemas::{MAX_BROKEN, MAX_SCHEMAS};

/// A member `n` that is a number.
const NUMBER: &str = r#"{"properties":{"n":{"type":"number"}},"required":["n"]}"#;

impl Bed {
    async fn schema_as(&self, who: &Caller, named: &str, text: &str) -> Result<Outcome, Refusal> {
        let put = self.things.put_schema(call(who), ns(named), word("Note"), text.to_owned()).await;
        put.map(|(_, outcome)| outcome)
    }

    async fn schema(&self, text: &str) -> Refused<Outcome> {
        reason(self.schema_as(&owner(), "onet", text).await)
    }

    pub(crate) async fn try_put(&self, named: &str, data: &str) -> Result<Outcome, Refusal> {
        let put = self.things.put_thing(call(&owner()), name(named), body(data), Condition::None).await;
        put.map(|put| put.outcome)
    }
}

fn word(text: &str) -> TypeName {
    text.parse().unwrap()
}

fn body(data: &str) -> ThingBody {
    ThingBody { data: Some(Data::parse(data).unwrap()), ..note("") }
}

fn put(named: &str, data: &str) -> Change {
    Change::PutThing { reference: name(named), body: body(data), condition: Condition::None }
}

fn merge(patch: &str) -> ThingPatch {
    ThingPatch { data: Edit::Set(domain::json::parse(patch).unwrap()), ..ThingPatch::default() }
}

/// The fields that a refusal names.
fn fields(refusal: &Refusal) -> Vec<&str> {
    refusal.violations.iter().map(|broken| &*broken.field).collect()
}

pub(crate) async fn a_schema_is_read_back_as_it_was_given(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    assert_eq!(bed.schema(r#" {"title" : "é", "minProperties":1.0} "#).await, Ok(Outcome::Created));
    let found = bed.things.get_schema(&owner(), ns("onet"), word("Note")).await.unwrap();
    assert_eq!(&*found.text, r#"{"title":"é","minProperties":1.0}"#);
    assert_eq!((found.created_at, found.updated_at), (bed.clock.now(), bed.clock.now()));
    bed.clock.advance(1_000);
    assert_eq!(bed.schema(r#"{"title":"é","minProperties":1.0}"#).await, Ok(Outcome::Unchanged));
    assert_eq!(bed.things.get_schema(&owner(), ns("onet"), word("Note")).await.unwrap(), found);
    assert_eq!(bed.schema("true").await, Ok(Outcome::Replaced));
    let replaced = bed.things.get_schema(&owner(), ns("onet"), word("Note")).await.unwrap();
    assert_eq!((replaced.created_at, replaced.updated_at), (found.created_at, bed.clock.now()));
    assert!(bed.mutations().await.is_empty(), "a schema is no thing");
    let bed = bed.reopened().await;
    assert_eq!(bed.things.get_schema(&owner(), ns("onet"), word("Note")).await.unwrap(), replaced);
}

pub(crate) async fn what_is_no_schema_is_refused_with_its_place(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    for (text, place) in [
        (r#"{"properties":{"a":{"type":"nothing"}}}"#, "/properties/a/type: "),
        (r#"{"items":{"$ref":"https://example.com/schema"}}"#, "/items/$ref: "),
        (r#"{"items":{"$ref":"file:///etc/passwd"}}"#, "/items/$ref: "),
        (r#"{"pattern":"(?=a)"}"#, "/pattern: "),
        ("7", "must be a JSON object"),
        ("{", "must be JSON"),
    ] {
        let refusal = bed.schema_as(&owner(), "onet", text).await.unwrap_err();
        let [Invalid { field, rule }] = &*refusal.violations else { panic!("{refusal:?}") };
        assert_eq!((refusal.reason, &**field), (Reason::FieldInvalid, "schema"));
        assert!(rule.starts_with(place), "{text}: {rule}");
    }
}

pub(crate) async fn a_put_that_breaks_the_schema_is_refused_with_each_place(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    bed.schema(r#"{"properties":{"a":{"items":{"type":"string"}},"b":{"maximum":1}}}"#).await.unwrap();
    let refusal = bed.try_put("onet/x", r#"{"a":["",1,2],"b":2}"#).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::SchemaViolated);
    assert_eq!(fields(&refusal), ["thing.data/a/1", "thing.data/a/2", "thing.data/b"]);
    assert_eq!(bed.get(&owner(), "onet/x").await, Err(Reason::NotFound));
    let many = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(40));
    assert_eq!(bed.try_put("onet/x", &many).await.unwrap_err().violations.len(), 16);
    assert_eq!(bed.try_put("onet/x", r#"{"a":[""],"b":1}"#).await, Ok(Outcome::Created));
    assert_eq!(bed.mutations().await.len(), 1);
}

pub(crate) async fn absent_data_count_as_an_empty_object(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    assert_eq!(bed.put_as(&owner(), "onet/x", note("")).await.unwrap_err(), Reason::SchemaViolated);
    bed.schema(r#"{"type":"object"}"#).await.unwrap();
    bed.put("onet/x", "").await;
}

pub(crate) async fn a_patch_that_breaks_the_schema_is_refused(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    bed.try_put("onet/x", r#"{"n":1}"#).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    for patch in [merge(r#"{"n":"1"}"#), merge(r#"{"n":null}"#), ThingPatch { data: Edit::Clear, ..Default::default() }]
    {
        let patched = bed.things.patch_thing(call(&owner()), name("onet/x"), patch, Condition::None).await;
        let refusal = patched.unwrap_err();
        assert_eq!(refusal.reason, Reason::SchemaViolated);
        assert!(fields(&refusal)[0].starts_with("data_patch"), "{refusal:?}");
    }
    assert!(bed.patch("onet/x", merge(r#"{"n":2}"#)).await.is_ok());
}

pub(crate) async fn a_change_of_type_counts_against_the_new_types_schema(bed: Bed) {
    bed.put_as(&owner(), "onet/x", ThingBody { thing_type: word("Other"), ..body("{}") }).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    let retyped = |patch| ThingPatch { thing_type: Some(word("Note")), ..patch };
    assert_eq!(bed.patch("onet/x", retyped(ThingPatch::default())).await, Err(Reason::SchemaViolated));
    assert!(bed.patch("onet/x", retyped(merge(r#"{"n":1}"#))).await.is_ok());
    assert_eq!(bed.try_put("onet/x", "{}").await.unwrap_err().reason, Reason::SchemaViolated);
    let other = ThingBody { thing_type: word("Other"), ..body("{}") };
    assert!(bed.put_as(&owner(), "onet/x", other).await.is_ok());
}

pub(crate) async fn a_variant_satisfies_the_schema_too(bed: Bed) {
    bed.try_put("onet/x", r#"{"n":1}"#).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    assert_eq!(bed.try_put("onet/x#es", "{}").await.unwrap_err().reason, Reason::SchemaViolated);
    bed.try_put("onet/x#es", r#"{"n":2}"#).await.unwrap();
    let broken = bed.schema_as(&owner(), "onet", r#"{"properties":{"n":{"maximum":1}}}"#).await.unwrap_err();
    assert_eq!(fields(&broken), ["onet/x#es"]);
}

pub(crate) async fn rows_of_an_import_that_break_the_schema_are_left_out(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    let rows = vec![Ok(put("onet/x", r#"{"n":1}"#)), Ok(put("onet/y", "{}")), Ok(put("onet/z", r#"{"n":1}"#))];
    let rows = Rows { each: rows, provenance: call(&owner()).provenance, course: None };
    let report = bed.things.import(&owner(), stream::iter([Ok::<_, Refusal>(rows)])).await.unwrap();
    assert_eq!((report.created, report.failed), (2, 1));
    let [(1, refusal)] = &*report.failures else { panic!("{report:?}") };
    assert_eq!((refusal.reason, fields(refusal)), (Reason::SchemaViolated, vec!["thing.data"]));
}

pub(crate) async fn a_write_of_which_one_change_breaks_the_schema_leaves_nothing(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    let changes = vec![put("onet/x", r#"{"n":1}"#), put("onet/x", r#"{"n":""}"#)];
    let refusal = bed.things.write_things(call(&owner()), changes, Terms::default()).await.unwrap_err();
    assert_eq!((refusal.reason, fields(&refusal)), (Reason::SchemaViolated, vec!["changes[1].thing.data/n"]));
    assert_eq!(bed.get(&owner(), "onet/x").await, Err(Reason::NotFound));
    let retype = ThingPatch { thing_type: Some(word("Note")), ..ThingPatch::default() };
    let other = ThingBody { thing_type: word("Other"), ..body("{}") };
    let changes = vec![
        Change::PutThing { reference: name("onet/x"), body: other, condition: Condition::None },
        Change::PatchThing { reference: name("onet/x"), patch: retype, condition: Condition::None },
    ];
    let refused = bed.things.write_things(call(&owner()), changes, Terms::default()).await;
    assert_eq!(refused.unwrap_err().reason, Reason::SchemaViolated);
}

pub(crate) async fn a_schema_that_things_break_is_refused_and_names_them(bed: Bed) {
    for (named, data) in [("onet/b", "{}"), ("onet/a", r#"{"n":""}"#), ("onet/c", r#"{"n":1}"#), ("else/a", "{}")] {
        bed.try_put(named, data).await.unwrap();
    }
    bed.put_as(&owner(), "onet/d", ThingBody { thing_type: word("Other"), ..body("{}") }).await.unwrap();
    let refusal = bed.schema_as(&owner(), "onet", NUMBER).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::SchemaBroken);
    let told: Vec<_> = refusal.violations.iter().map(ToString::to_string).collect();
    assert_eq!(told, [r#"onet/a: /n: value is not of type "number""#, r#"onet/b: "n" is a required property"#]);
    assert_eq!(reason(bed.things.get_schema(&owner(), ns("onet"), word("Note")).await).err(), Some(Reason::NotFound));
    bed.try_put("onet/a", r#"{"n":0}"#).await.unwrap();
    bed.delete("onet/b").await.unwrap();
    assert_eq!(bed.schema(NUMBER).await, Ok(Outcome::Created));
}

pub(crate) async fn the_first_hundred_that_break_a_schema_are_named(bed: Bed) {
    let changes =
        (0..1_300).map(|number| put(&format!("onet/{number:04}"), if number < 1_100 { r#"{"n":1}"# } else { "{}" }));
    for step in changes.collect::<Vec<_>>().chunks(1_000) {
        bed.things.write_things(call(&owner()), step.to_vec(), Terms::default()).await.unwrap();
    }
    let refusal = bed.schema_as(&owner(), "onet", NUMBER).await.unwrap_err();
    let expected: Vec<_> = (1_100..1_100 + MAX_BROKEN).map(|number| format!("onet/{number}")).collect();
    assert_eq!(fields(&refusal), expected);
}

pub(crate) async fn a_schema_that_is_replaced_or_deleted_counts_no_more(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    let delete = async |who: Caller| reason(bed.things.delete_schema(call(&who), ns("onet"), word("Note")).await);
    assert_eq!(delete(owner()).await, Err(Reason::NotFound));
    bed.schema(NUMBER).await.unwrap();
    assert!(bed.try_put("onet/x", "{}").await.is_err());
    bed.schema(r#"{"maxProperties":0}"#).await.unwrap();
    bed.try_put("onet/x", "{}").await.unwrap();
    assert!(bed.try_put("onet/x", r#"{"n":1}"#).await.is_err());
    assert_eq!(delete(owner()).await, Ok(()));
    bed.try_put("onet/x", r#"{"n":""}"#).await.unwrap();
    assert_eq!(delete(owner()).await, Err(Reason::NotFound));
}

pub(crate) async fn an_equal_put_changes_nothing_where_a_schema_is(bed: Bed) {
    bed.try_put("onet/x", r#"{"n":1}"#).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    assert_eq!(bed.try_put("onet/x", r#"{"n":1}"#).await, Ok(Outcome::Unchanged));
    assert_eq!(bed.mutations().await.len(), 1);
}

pub(crate) async fn schemas_are_listed_by_type_and_are_a_hundred_at_most(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    let put = async |thing_type: &str| {
        reason(bed.things.put_schema(call(&owner()), ns("onet"), word(thing_type), "{}".into()).await)
    };
    for number in 0..MAX_SCHEMAS {
        put(&format!("T{number:02}")).await.unwrap();
    }
    assert_eq!(put("one more").await.err(), Some(Reason::FieldInvalid));
    assert!(put("T07").await.is_ok());
    let listed = bed.things.list_schemas(&owner(), ns("onet")).await.unwrap();
    let types: Vec<_> = listed.iter().map(|schema| schema.thing_type.as_str()).collect();
    assert_eq!(types, (0..MAX_SCHEMAS).map(|number| format!("T{number:02}")).collect::<Vec<_>>());
    bed.things.delete_schema(call(&owner()), ns("onet"), word("T50")).await.unwrap();
    assert!(put("one more").await.is_ok());
}

pub(crate) async fn schemas_are_for_readers_and_are_changed_by_admins(bed: Bed) {
    assert_eq!(bed.schema("{}").await, Err(Reason::NamespaceUnregistered));
    bed.register("onet", Style::Wiki).await.unwrap();
    for (who, refused) in [
        (keyed(&["write:onet"]), Reason::PermissionDenied),
        (keyed(&["admin:other"]), Reason::PermissionDenied),
        (anonymous(), Reason::Unauthenticated),
    ] {
        assert_eq!(reason(bed.schema_as(&who, "onet", "{}").await), Err(refused));
        assert_eq!(reason(bed.things.delete_schema(call(&who), ns("onet"), word("Note")).await), Err(refused));
    }
    assert_eq!(reason(bed.schema_as(&keyed(&["admin:onet"]), "onet", "{}").await), Ok(Outcome::Created));
    assert!(bed.things.get_schema(&keyed(&["read:onet"]), ns("onet"), word("Note")).await.is_ok());
    let of =
        async |who: &Caller, thing_type| bed.things.get_schema(who, ns("onet"), word(thing_type)).await.unwrap_err();
    let mut absent = Vec::new();
    for who in [anonymous(), keyed(&["read:other"]), foreigner()] {
        let (hidden, none) = (of(&who, "Note").await, of(&who, "none").await);
        assert_eq!(hidden.message.replace("Note", "none"), none.message);
        let listed = bed.things.list_schemas(&who, ns("onet")).await.unwrap_err();
        absent.push((hidden, listed));
    }
    assert!(absent.windows(2).all(|pair| pair[0] == pair[1]), "{absent:?}");
}

pub(crate) async fn another_tenants_schema_does_not_count(bed: Bed) {
    for who in [owner(), foreigner()] {
        bed.register_as(&who, "onet", Style::Wiki).await.unwrap();
    }
    bed.put_as(&foreigner(), "onet/f", body("{}")).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    bed.put_as(&foreigner(), "onet/g", body("{}")).await.unwrap();
    assert!(bed.things.list_schemas(&foreigner(), ns("onet")).await.unwrap().is_empty());
    assert_eq!(reason(bed.schema_as(&foreigner(), "onet", "{}").await), Ok(Outcome::Created));
    bed.things.delete_schema(call(&foreigner()), ns("onet"), word("Note")).await.unwrap();
    assert!(bed.try_put("onet/x", "{}").await.is_err());
}

pub(crate) async fn a_namespace_takes_its_schemas_along(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    bed.schema(NUMBER).await.unwrap();
    bed.things.delete_namespace(call(&owner()), ns("onet")).await.unwrap();
    assert_eq!(reason(bed.things.list_schemas(&owner(), ns("onet")).await).err(), Some(Reason::NotFound));
    bed.try_put("onet/x", "{}").await.unwrap();
    assert_eq!(bed.things.list_schemas(&owner(), ns("onet")).await.unwrap(), []);
}

pub(crate) async fn a_hostile_pattern_or_schema_takes_no_long_time(bed: Bed) {
    bed.register("onet", Style::Wiki).await.unwrap();
    bed.schema(r#"{"properties":{"a":{"pattern":"^(a+)+$"}}}"#).await.unwrap();
    let long = format!(r#"{{"a":"{}b"}}"#, "a".repeat(100_000));
    assert_eq!(bed.try_put("onet/x", &long).await.unwrap_err().reason, Reason::SchemaViolated);
    let mut parts = String::new();
    for number in 0..40 {
        let next = number + 1;
        write!(parts, r##""{number}":{{"allOf":[{{"$ref":"#/$defs/{next}"}},{{"$ref":"#/$defs/{next}"}}]}},"##)
            .unwrap();
    }
    let doubling = format!(r##"{{"$ref":"#/$defs/0","$defs":{{{parts}"40":{{}}}}}}"##);
    assert_eq!(bed.schema(&doubling).await, Err(Reason::FieldInvalid));
}

pub(crate) async fn what_is_written_while_things_are_looked_at_refuses_the_schema(bed: Bed) {
    for named in ["onet/a", "onet/b"] {
        bed.try_put(named, r#"{"n":1}"#).await.unwrap();
    }
    let schema = Arc::new(Schema::parse(NUMBER).unwrap());
    let (broken, since) =
        bed.store.schemas.check(&owner(), ns("onet"), word("Note"), Arc::clone(&schema)).await.unwrap();
    assert_eq!(broken, []);
    let put = || Change::PutSchema { ns: ns("onet"), thing_type: word("Note"), schema: Arc::clone(&schema), since };
    bed.patch("onet/b", merge(r#"{"n":null}"#)).await.unwrap();
    bed.try_put("onet/c", "{}").await.unwrap();
    let refusal = bed.things.change(call(&owner()), put()).await.unwrap_err();
    assert_eq!((refusal.reason, fields(&refusal)), (Reason::SchemaBroken, vec!["onet/b", "onet/c"]));
    bed.delete("onet/c").await.unwrap();
    bed.try_put("onet/b", r#"{"n":2}"#).await.unwrap();
    assert!(bed.things.change(call(&owner()), put()).await.is_ok());
}

/// Whoever is first, the other is refused.
pub(crate) async fn of_a_racing_schema_and_a_write_that_breaks_it_one_is_refused(bed: Bed) {
    bed.try_put("onet/x", r#"{"n":1}"#).await.unwrap();
    race(&bed, &bed).await;
}

/// Lets a patch take away what a schema needs, a little later in each round, while that is put.
pub(crate) async fn race(writer: &Bed, admin: &Bed) {
    for delay in 0..40 {
        let patch = async {
            for _ in 0..delay {
                let _ = writer.get(&owner(), "onet/none").await;
                tokio::task::yield_now().await;
            }
            writer.patch("onet/x", merge(r#"{"n":null}"#)).await
        };
        let (patched, put) = futures::join!(patch, admin.schema(NUMBER));
        let expected = if put.is_ok() { Some(Reason::SchemaViolated) } else { None };
        assert_eq!(patched.err(), expected, "after {delay} reads; {put:?}");
        if put.is_ok() {
            admin.things.delete_schema(call(&owner()), ns("onet"), word("Note")).await.unwrap();
        }
        writer.try_put("onet/x", r#"{"n":1}"#).await.unwrap();
    }
}
