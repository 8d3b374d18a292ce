//! Owns the lists of things of one tenant: keyset pages over an index, and counts.

use std::ops::Range;

use domain::{Code, Key, Namespace, Style, Thing, TypeName, Visibility};
use rusqlite::{Row, ToSql, params};
use serve::Caller;

use super::failure::Failure;
use super::rows::{self, thing_columns};
use super::tables::Tables;
use crate::store::encoding::ulid_bytes;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{After, Order, ThingFilter, ThingPage, ThingQuery};
use crate::weight;

/// Whether a list shows a thing `t` to everybody.
macro_rules! is_public {
    () => {
        "(t.visibility = 'public' and (t.variant = '' or exists (
            select 1 from things c
            where c.tenant = t.tenant and c.ns = t.ns and c.id = t.id and c.variant = '' and c.visibility = 'public')))"
    };
}

/// A row of a list, and where the next page begins behind it.
struct Candidate {
    rowid: i64,
    key: Key,
    after: After,
}

/// A namespace of a list.
struct Place {
    ns: Namespace,
    style: Style,
    /// Whether the caller sees all of it.
    is_read: bool,
}

impl Tables<'_> {
    /// A page of things. Keys come from an index, in order; each thing is looked up, and skipped if it does not pass the
    /// filter or the caller may not see it listed.
    pub(super) fn list(&self, caller: &Caller, query: &ThingQuery) -> Result<ThingPage, Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        self.things(caller, query)
    }

    /// As [`Self::list`], at the moment of a transaction that is under way.
    pub(super) fn things(&self, caller: &Caller, query: &ThingQuery) -> Result<ThingPage, Failure> {
        let mut page = Filling::new(query.limit, query.room, query.scan);
        let mut place = None;
        let (Order::Updated(ns) | Order::UpdatedLast(ns)) = &query.order else {
            for range in query.filter.scope.ranges() {
                let Some((ns, id, variant)) = query.after_in(&range) else { continue };
                // By the primary key.
                let sql = "select rowid, ns, id, variant from things
                    where tenant = ?1 and (ns, id, variant) > (?2, ?3, ?4) and ns < ?5
                    order by ns, id, variant";
                let params = params![self.tenant.as_str(), ns, id, variant, range.end];
                let candidate = |row: &Row<'_>| {
                    let key = key(row, 1)?;
                    Ok(Candidate { rowid: row.get(0)?, after: After::Named(key.clone()), key })
                };
                if self.fill(caller, query, &mut page, &mut place, (sql, params), candidate)? {
                    return Ok(page.cut());
                }
            }
            return Ok(page.end());
        };
        // By the index things_updated.
        let sql = match query.order {
            Order::UpdatedLast(_) => {
                "select rowid, ns, id, variant, etag from things
                where tenant = ?1 and ns = ?2 and etag >= ?3 and etag < ?4
                order by etag desc"
            }
            _ => {
                "select rowid, ns, id, variant, etag from things
                where tenant = ?1 and ns = ?2 and etag >= ?3 and etag < ?4
                order by etag"
            }
        };
        let Range { start, end } = query.etags(caller.may_read(ns));
        let params = params![self.tenant.as_str(), ns.as_str(), ulid_bytes(start), ulid_bytes(end)];
        let candidate = |row: &Row<'_>| {
            Ok(Candidate { rowid: row.get(0)?, key: key(row, 1)?, after: After::Updated(rows::ulid(row, 4)?) })
        };
        let is_cut = self.fill(caller, query, &mut page, &mut place, (sql, params), candidate)?;
        Ok(if is_cut { page.cut() } else { page.end() })
    }

    /// Goes through rows in their order; whether the page is full or spent before they end.
    fn fill(
        &self,
        caller: &Caller,
        query: &ThingQuery,
        page: &mut Filling<(Thing, Style), After>,
        place: &mut Option<Place>,
        (sql, params): (&str, &[&dyn ToSql]),
        candidate: impl Fn(&Row<'_>) -> rusqlite::Result<Candidate>,
    ) -> Result<bool, Failure> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(params)?;
        while let Some(row) = found.next()? {
            if page.is_spent() {
                return Ok(true);
            }
            let Candidate { rowid, key, after } = candidate(row)?;
            if place.as_ref().is_none_or(|place| place.ns != key.ns) {
                *place = Some(self.place_of(caller, &key.ns)?);
            }
            let Place { style, is_read, .. } = *place.as_ref().expect("it was looked up");
            let mut passed = 0;
            if let Some(thing) = self.listed(rowid, key, query, is_read)? {
                let weight = weight::of_thing(&thing);
                if !query.filter.holds_of(thing.body.data.as_ref()) {
                    passed = weight;
                } else if !page.takes(weight, (thing, style)) {
                    return Ok(true);
                }
            }
            page.passes(after, passed);
        }
        Ok(false)
    }

    fn place_of(&self, caller: &Caller, ns: &Namespace) -> Result<Place, Failure> {
        // What has a thing is registered.
        let style = self.namespace(ns)?.map_or(Style::Wiki, |(style, _)| style);
        Ok(Place { ns: ns.clone(), style, is_read: caller.may_read(ns) })
    }

    /// The thing in that row, if its columns pass the filter and the list shows it. What it does not show
    /// is not read whole.
    fn listed(&self, rowid: i64, key: Key, query: &ThingQuery, is_read: bool) -> Result<Option<Thing>, Failure> {
        const SQL: &str = concat!(
            "select ",
            thing_columns!("iif(?8, t.embedding, null)"),
            " from things t
            where t.rowid = ?1 and (?2 or t.visibility = 'public')
                and (?3 is null or t.type = ?3) and (?4 is null or t.visibility = ?4) and (?5 is null or t.code = ?5)
                and (?6 is null or t.etag >= ?6) and (?7 is null or t.etag < ?7) and (?2 or ",
            is_public!(),
            ")"
        );
        // What lies behind the content is looked at where it is asked for only.
        let (word, visibility, code, from, until) = columns(&query.filter);
        let params = params![rowid, is_read, word, visibility, code, from, until, query.with_embedding];
        self.one(SQL, params, |row| rows::thing(row, 0, key))
    }

    /// How many things pass the filter that the caller may see listed, at one moment. By the ranges of their
    /// namespaces in an index.
    pub(super) fn count(&self, caller: &Caller, filter: &ThingFilter) -> Result<u64, Failure> {
        const OF_COLUMNS: &str = concat!(
            "select t.ns, ",
            is_public!(),
            ", count(*), null from things t
            where t.tenant = ?1 and t.ns >= ?2 and t.ns < ?3
                and (?4 is null or t.type = ?4) and (?5 is null or t.visibility = ?5) and (?6 is null or t.code = ?6)
                and (?7 is null or t.etag >= ?7) and (?8 is null or t.etag < ?8)
            group by 1, 2"
        );
        const OF_DATA: &str = concat!(
            "select t.ns, ",
            is_public!(),
            ", 1, t.data from things t
            where t.tenant = ?1 and t.ns >= ?2 and t.ns < ?3
                and (?4 is null or t.type = ?4) and (?5 is null or t.visibility = ?5) and (?6 is null or t.code = ?6)
                and (?7 is null or t.etag >= ?7) and (?8 is null or t.etag < ?8)"
        );
        let _moment = self.connection.unchecked_transaction()?;
        let mut statement =
            self.connection.prepare_cached(if filter.fields.is_empty() { OF_COLUMNS } else { OF_DATA })?;
        let (word, visibility, code, from, until) = columns(filter);
        let mut counted = 0;
        for Range { start, end } in filter.scope.ranges() {
            let mut found =
                statement.query(params![self.tenant.as_str(), start, end, word, visibility, code, from, until])?;
            while let Some(row) = found.next()? {
                let is_shown = row.get(1)? || caller.may_read(&rows::namespace(row, 0)?);
                if is_shown && filter.holds_of(rows::data(row, 3)?.as_ref()) {
                    counted += row.get::<_, u64>(2)?;
                }
            }
        }
        Ok(counted)
    }
}

fn key(row: &Row<'_>, first: usize) -> rusqlite::Result<Key> {
    Ok(Key { ns: rows::namespace(row, first)?, id: rows::id(row, first + 1)?, variant: rows::variant(row, first + 2)? })
}

/// What columns must be: type, visibility, code, and an etag from one to another.
type Columns<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, Option<[u8; 16]>, Option<[u8; 16]>);

fn columns(filter: &ThingFilter) -> Columns<'_> {
    let ThingFilter { thing_type, visibility, code, updated_from, updated_until, .. } = filter;
    let Range { start, end } = filter.etags();
    (
        thing_type.as_ref().map(TypeName::as_str),
        visibility.map(Visibility::as_str),
        code.as_ref().map(Code::as_str),
        updated_from.map(|_| ulid_bytes(start)),
        updated_until.map(|_| ulid_bytes(end)),
    )
}
