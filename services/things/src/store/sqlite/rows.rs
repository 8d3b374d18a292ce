//! Owns how domain values are kept in columns. Never runs a statement.

use domain::{
    Content, Data, Etag, Id, Invalid, Key, Name, Namespace, Relationship, RelationshipBody, Style, Thing, ThingBody,
    Timestamp, TypeName, Variant, Visibility,
};
use rusqlite::Row;
use rusqlite::types::Type;
use ulid::Ulid;

use crate::store::encoding::embedding;

/// The columns that [`thing`] reads, from a thing `t`; `{embedding}` is `t.embedding` or `null`.
macro_rules! thing_columns {
    ($embedding:literal) => {
        concat!("t.type, t.visibility, t.content, t.code, t.data, t.created_at, t.etag, ", $embedding)
    };
}
pub(super) use thing_columns;

/// The thing of `key`, from columns that begin at `first`.
pub(super) fn thing(row: &Row<'_>, first: usize, key: Key) -> rusqlite::Result<Thing> {
    let body = ThingBody {
        thing_type: parsed(row, first)?,
        visibility: parsed(row, first + 1)?,
        content: match row.get::<_, Option<String>>(first + 2)? {
            Some(content) => Some(stored(first + 2, Content::try_from(content))?),
            None => None,
        },
        code: match row.get_ref(first + 3)?.as_str_or_null()? {
            Some(code) => Some(stored(first + 3, code.parse())?),
            None => None,
        },
        data: data(row, first + 4)?,
        embedding: match row.get_ref(first + 7)?.as_blob_or_null()? {
            Some(bytes) => Some(stored(first + 7, embedding(bytes))?),
            None => None,
        },
    };
    Ok(Thing { key, body, created_at: time(row, first + 5)?, etag: Etag(ulid(row, first + 6)?) })
}

/// The relationship `of` that name, from the first nine columns: type, `from`, `to`, visibility,
/// data, creation and etag.
pub(super) fn relationship(row: &Row<'_>, of: Name) -> rusqlite::Result<Relationship> {
    let body = RelationshipBody {
        relationship_type: parsed(row, 0)?,
        from: name(row, 1)?,
        to: name(row, 3)?,
        visibility: parsed(row, 5)?,
        data: data(row, 6)?,
    };
    Ok(Relationship { name: of, body, created_at: time(row, 7)?, etag: Etag(ulid(row, 8)?) })
}

/// A name in two columns.
pub(super) fn name(row: &Row<'_>, first: usize) -> rusqlite::Result<Name> {
    Ok(Name { ns: parsed(row, first)?, id: id(row, first + 1)? })
}

pub(super) fn namespace(row: &Row<'_>, column: usize) -> rusqlite::Result<Namespace> {
    parsed(row, column)
}

pub(super) fn data(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Data>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Data::trusted))
}

pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Id> {
    stored(column, Id::from_canonical(row.get_ref(column)?.as_str()?))
}

pub(super) fn ulid(row: &Row<'_>, column: usize) -> rusqlite::Result<Ulid> {
    Ok(Ulid(u128::from_be_bytes(row.get(column)?)))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    stored(column, Timestamp::from_millis(row.get(column)?))
}

pub(super) fn visibility(row: &Row<'_>, column: usize) -> rusqlite::Result<Visibility> {
    parsed(row, column)
}

pub(super) fn variant(row: &Row<'_>, column: usize) -> rusqlite::Result<Variant> {
    match row.get_ref(column)?.as_str()? {
        "" => Ok(Variant::canonical()),
        variant => stored(column, variant.parse()),
    }
}

pub(super) fn type_name(row: &Row<'_>, column: usize) -> rusqlite::Result<TypeName> {
    parsed(row, column)
}

pub(super) fn style(row: &Row<'_>, column: usize) -> rusqlite::Result<Style> {
    parsed(row, column)
}

fn parsed<T: std::str::FromStr<Err = Invalid>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    stored(column, row.get_ref(column)?.as_str()?.parse())
}

/// What a column holds; one that breaks a rule of ours was not written by us.
fn stored<T>(column: usize, value: Result<T, Invalid>) -> rusqlite::Result<T> {
    value.map_err(|invalid| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(invalid)))
}
