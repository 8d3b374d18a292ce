//! Owns how domain values are kept in columns. Never runs a statement.

use domain::{
    Content, Data, Etag, Id, Invalid, Key, Name, Relationship, RelationshipBody, Style, Thing, ThingBody, Timestamp,
    Variant, Visibility,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use ulid::Ulid;

use crate::store::encoding::embedding;

/// What reading a row gives.
pub(super) type Column<T> = Result<T, sqlx::Error>;

/// The columns that [`thing`] reads, from a thing `t`; `{embedding}` is `t.embedding` or `null::bytea`.
macro_rules! thing_columns {
    ($embedding:literal) => {
        concat!("t.type, t.visibility, t.content, t.code, t.data, t.created_at, t.etag, ", $embedding)
    };
}
pub(super) use thing_columns;

/// The thing of `key`, from columns that begin at `first`.
pub(super) fn thing(row: &PgRow, first: usize, key: Key) -> Column<Thing> {
    let content: Option<String> = row.try_get(first + 2)?;
    let code: Option<&str> = row.try_get(first + 3)?;
    let bytes: Option<&[u8]> = row.try_get(first + 7)?;
    let body = ThingBody {
        thing_type: parsed(row, first)?,
        visibility: parsed(row, first + 1)?,
        content: content.map(Content::try_from).transpose().map_err(stored)?,
        code: code.map(str::parse).transpose().map_err(stored)?,
        data: data(row, first + 4)?,
        embedding: bytes.map(embedding).transpose().map_err(stored)?,
    };
    Ok(Thing { key, body, created_at: time(row, first + 5)?, etag: Etag(ulid(row, first + 6)?) })
}

/// The columns that [`relationship`] reads, from a relationship `r`.
macro_rules! relationship_columns {
    () => {
        "r.type, r.from_ns, r.from_id, r.to_ns, r.to_id, r.visibility, r.data, r.created_at, r.etag"
    };
}
pub(super) use relationship_columns;

/// The relationship `of` that name, from columns that begin at `first`.
pub(super) fn relationship(row: &PgRow, first: usize, of: Name) -> Column<Relationship> {
    let body = RelationshipBody {
        relationship_type: parsed(row, first)?,
        from: name(row, first + 1)?,
        to: name(row, first + 3)?,
        visibility: parsed(row, first + 5)?,
        data: data(row, first + 6)?,
    };
    Ok(Relationship { name: of, body, created_at: time(row, first + 7)?, etag: Etag(ulid(row, first + 8)?) })
}

/// A name in two columns.
pub(super) fn name(row: &PgRow, first: usize) -> Column<Name> {
    Ok(Name { ns: parsed(row, first)?, id: id(row, first + 1)? })
}

pub(super) fn data(row: &PgRow, column: usize) -> Column<Option<Data>> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(Data::trusted))
}

pub(super) fn id(row: &PgRow, column: usize) -> Column<Id> {
    Id::from_canonical(row.try_get(column)?).map_err(stored)
}

pub(super) fn variant(row: &PgRow, column: usize) -> Column<Variant> {
    match row.try_get(column)? {
        "" => Ok(Variant::canonical()),
        variant => variant.parse().map_err(stored),
    }
}

pub(super) fn ulid(row: &PgRow, column: usize) -> Column<Ulid> {
    let bytes: &[u8] = row.try_get(column)?;
    let bytes = bytes.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Ulid(u128::from_be_bytes(bytes)))
}

pub(super) fn time(row: &PgRow, column: usize) -> Column<Timestamp> {
    Timestamp::from_millis(row.try_get(column)?).map_err(stored)
}

pub(super) fn visibility(row: &PgRow, column: usize) -> Column<Visibility> {
    parsed(row, column)
}

pub(super) fn style(row: &PgRow, column: usize) -> Column<Style> {
    parsed(row, column)
}

pub(super) fn parsed<T: std::str::FromStr<Err = Invalid>>(row: &PgRow, column: usize) -> Column<T> {
    row.try_get::<&str, _>(column)?.parse().map_err(stored)
}

/// A number of things, never negative.
pub(super) fn count(row: &PgRow, column: usize) -> Column<u64> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}

/// What a column holds that breaks a rule of ours was not written by us.
fn stored(invalid: Invalid) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(invalid))
}
