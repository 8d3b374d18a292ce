//! Owns the lists of things of one tenant: keyset pages over an index, and counts. Rows are looked at by their columns first;
//! what a list does not show is not read whole, but for conditions on its data.

use std::collections::VecDeque;
use std::ops::Range;

use domain::{Code, Data, Key, Style, Thing, TypeName, Visibility};
use futures::TryStreamExt as _;
use serve::{Caller, Refusal};
use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;

use super::failure::Failure;
use super::picture::Picture;
use super::rows;
use super::tenant::TenantTx;
use crate::store::encoding::ulid_bytes;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{After, Order, ThingFilter, ThingPage, ThingQuery};
use crate::weight;

/// The fewest and the most rows that are looked at at once.
const STEP: (usize, usize) = (64, 2_048);
/// Bytes of states that are read at once, about.
const BYTES: usize = 4 << 20;

/// Whether a list shows a thing `t` to everybody.
macro_rules! is_public {
    () => {
        "(t.visibility = 'public' and (t.variant = '' or exists (
            select 1 from things c
            where c.tenant = $1 and c.ns = t.ns and c.id = t.id and c.variant = '' and c.visibility = 'public')))"
    };
}

/// Whether the columns of a thing `t` pass a filter: type, visibility, code and etag, from `$2` on.
macro_rules! passes {
    () => {
        "(($2::text is null or t.type = $2) and ($3::text is null or t.visibility = $3)
            and ($4::text is null or t.code = $4) and t.etag >= $5 and t.etag < $6)"
    };
}

/// What is read of a row before the thing.
macro_rules! candidate_columns {
    () => {
        concat!(
            // A code that is not there is null, and so is whether it is the one.
            "t.ns, t.id, t.variant, t.etag, coalesce(",
            passes!(),
            ", false), ",
            is_public!(),
            ", coalesce(octet_length(t.content), 0) + coalesce(octet_length(t.data), 0)
                + coalesce(octet_length(t.embedding), 0)"
        )
    };
}

/// A row of a list.
struct Candidate {
    key: Key,
    /// Where a page begins behind it.
    after: After,
    /// Whether it passes but for its data, and the caller may see it listed.
    is_read: bool,
    bytes: usize,
}

/// A page that is being filled, and what it is filled from.
struct Listing<'a> {
    caller: &'a Caller,
    query: &'a ThingQuery,
    page: Filling<(Thing, Style), After>,
    picture: Picture,
}

/// A page of things.
pub(super) async fn things(tx: &mut TenantTx, caller: &Caller, query: &ThingQuery) -> Result<ThingPage, Failure> {
    let page = Filling::new(query.limit, query.room, query.scan);
    let mut listing = Listing { caller, query, page, picture: Picture::default() };
    let is_cut = match &query.order {
        Order::Name => listing.fill_by_name(tx).await?,
        Order::Updated(_) | Order::UpdatedLast(_) => listing.fill_by_change(tx).await?,
    };
    Ok(if is_cut { listing.page.cut() } else { listing.page.end() })
}

impl Listing<'_> {
    /// Whether the page is full or spent before the rows end.
    async fn fill_by_name(&mut self, tx: &mut TenantTx) -> Result<bool, Failure> {
        const SQL: &str = concat!(
            "select ",
            candidate_columns!(),
            " from things t
            where t.tenant = $1 and (t.ns, t.id, t.variant) > ($7, $8, $9) and t.ns < $10
            order by t.ns, t.id, t.variant
            limit $11"
        );
        for range in self.query.filter.scope.ranges() {
            let Some((ns, id, variant)) = self.query.after_in(&range) else { continue };
            let mut from = [ns, id, variant].map(str::to_owned);
            let mut step = self.first_step();
            loop {
                let query = filtered(tx, SQL, &self.query.filter);
                let [ns, id, variant] = &from;
                let query = query.bind(ns).bind(id).bind(variant).bind(&range.end).bind(step as i64);
                let found = query.fetch_all(tx.connection()).await?;
                let candidates = self.candidates(&found)?;
                if self.take(tx, &candidates).await? {
                    return Ok(true);
                }
                let Some(Candidate { key, .. }) = candidates.last().filter(|_| candidates.len() == step) else { break };
                from = [key.ns.as_str(), key.id.as_str(), key.variant.as_str()].map(str::to_owned);
                step = (step * 2).min(STEP.1);
            }
        }
        Ok(false)
    }

    /// As [`Self::fill_by_name`], in an order of changes. By the index `things_updated`.
    async fn fill_by_change(&mut self, tx: &mut TenantTx) -> Result<bool, Failure> {
        const FIRST: &str = concat!(
            "select ",
            candidate_columns!(),
            " from things t
            where t.tenant = $1 and t.ns collate \"POSIX\" = $7 and t.etag >= $8 and t.etag < $9
            order by t.etag
            limit $10"
        );
        const LAST: &str = concat!(
            "select ",
            candidate_columns!(),
            " from things t
            where t.tenant = $1 and t.ns collate \"POSIX\" = $7 and t.etag >= $8 and t.etag < $9
            order by t.etag desc
            limit $10"
        );
        let (sql, ns) = match &self.query.order {
            Order::UpdatedLast(ns) => (LAST, ns),
            Order::Updated(ns) => (FIRST, ns),
            Order::Name => return Ok(false),
        };
        let (mut query, mut step) = (self.query.clone(), self.first_step());
        loop {
            let Range { start, end } = query.etags(self.caller.may_read(ns));
            let asked = filtered(tx, sql, &self.query.filter).bind(ns.as_str());
            let asked = asked.bind(ulid_bytes(start).to_vec()).bind(ulid_bytes(end).to_vec()).bind(step as i64);
            let found = asked.fetch_all(tx.connection()).await?;
            let candidates = self.candidates(&found)?;
            if self.take(tx, &candidates).await? {
                return Ok(true);
            }
            let Some(last) = candidates.last().filter(|_| candidates.len() == step) else { return Ok(false) };
            query.after = Some(last.after.clone());
            step = (step * 2).min(STEP.1);
        }
    }

    /// One more than is shown tells whether more follows.
    fn first_step(&self) -> usize {
        (self.query.limit + 1).clamp(STEP.0, STEP.1).min(self.query.scan + 1)
    }

    fn candidates(&self, found: &[PgRow]) -> Result<Vec<Candidate>, Failure> {
        let candidate = |row: &PgRow| {
            let key = Key { ns: rows::parsed(row, 0)?, id: rows::id(row, 1)?, variant: rows::variant(row, 2)? };
            let after = match self.query.order {
                Order::Name => After::Named(key.clone()),
                Order::Updated(_) | Order::UpdatedLast(_) => After::Updated(rows::ulid(row, 3)?),
            };
            let is_read = row.try_get(4)? && (row.try_get(5)? || self.caller.may_read(&key.ns));
            let bytes: i32 = row.try_get(6)?;
            Ok(Candidate { key, after, is_read, bytes: if is_read { bytes as usize } else { 0 } })
        };
        Ok(found.iter().map(candidate).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Reads what may be shown of these, so much at once; whether the page is full or spent before they end.
    async fn take(&mut self, tx: &mut TenantTx, candidates: &[Candidate]) -> Result<bool, Failure> {
        self.picture.load_namespaces(tx, candidates.iter().map(|candidate| candidate.key.ns.clone())).await?;
        let mut rest = candidates;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |candidate: &&Candidate| {
                let is_first = bytes == 0;
                bytes += candidate.bytes;
                is_first || bytes <= BYTES.min(self.query.room)
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (now, later) = rest.split_at(count);
            rest = later;
            let read = now.iter().filter(|candidate| candidate.is_read).map(|candidate| candidate.key.clone());
            self.picture.load_things(tx, read, self.query.with_embedding).await?;
            let read = now.iter().filter(|candidate| candidate.is_read);
            let mut things: VecDeque<_> =
                read.filter_map(|candidate| self.picture.things.remove(&candidate.key).flatten()).collect();
            let data = things.iter_mut().map(|thing| thing.body.data.take()).collect();
            let mut judged = VecDeque::from(judged(&self.query.filter, data).await?);
            for candidate in now {
                if self.page.is_spent() {
                    return Ok(true);
                }
                let mut passed = 0;
                if candidate.is_read {
                    let mut thing = things.pop_front().expect("what is read is there");
                    let (data, holds) = judged.pop_front().expect("each is judged");
                    thing.body.data = data;
                    let weight = weight::of_thing(&thing);
                    let style = self.picture.namespace(&candidate.key.ns)?.map_or(Style::Wiki, |(style, _)| style);
                    if !holds {
                        passed = weight;
                    } else if !self.page.takes(weight, (thing, style)) {
                        return Ok(true);
                    }
                }
                self.page.passes(candidate.after.clone(), passed);
            }
        }
        Ok(false)
    }
}

/// How many things pass the filter that the caller may see listed. By the primary key.
pub(super) async fn count(tx: &mut TenantTx, caller: &Caller, filter: &ThingFilter) -> Result<u64, Failure> {
    const OF_COLUMNS: &str = concat!(
        "select t.ns, ",
        is_public!(),
        ", count(*), null::text from things t
        where t.tenant = $1 and t.ns >= $7 and t.ns < $8 and ",
        passes!(),
        " group by 1, 2"
    );
    const OF_DATA: &str = concat!(
        "select t.ns, ",
        is_public!(),
        ", 1::bigint, t.data from things t
        where t.tenant = $1 and t.ns >= $7 and t.ns < $8 and ",
        passes!()
    );
    let sql = if filter.fields.is_empty() { OF_COLUMNS } else { OF_DATA };
    let mut counted = 0;
    for Range { start, end } in filter.scope.ranges() {
        let query = filtered(tx, sql, filter).bind(start).bind(end);
        let mut found = query.fetch(tx.connection());
        // Together about as much as is read of things at once.
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(row) = found.try_next().await? {
            if !row.try_get(1)? && !caller.may_read(&rows::parsed(&row, 0)?) {
                continue;
            }
            if filter.fields.is_empty() {
                counted += rows::count(&row, 2)?;
                continue;
            }
            let data = rows::data(&row, 3)?;
            bytes += data.as_ref().map_or(0, |data| data.as_str().len());
            batch.push(data);
            if bytes >= BYTES || batch.len() == STEP.1 {
                bytes = 0;
                counted += holding(filter, std::mem::take(&mut batch)).await?;
            }
        }
        counted += holding(filter, batch).await?;
    }
    Ok(counted)
}

/// How many of these data fulfil the conditions.
async fn holding(filter: &ThingFilter, data: Vec<Option<Data>>) -> Result<u64, Failure> {
    Ok(judged(filter, data).await?.iter().filter(|(_, holds)| *holds).count() as u64)
}

/// Data, and whether they fulfil the conditions: on a thread that may block, where there are any.
async fn judged(filter: &ThingFilter, data: Vec<Option<Data>>) -> Result<Vec<(Option<Data>, bool)>, Failure> {
    if filter.fields.is_empty() {
        return Ok(data.into_iter().map(|data| (data, true)).collect());
    }
    let filter = filter.clone();
    let judge = move || {
        data.into_iter()
            .map(|data| {
                let holds = filter.holds_of(data.as_ref());
                (data, holds)
            })
            .collect()
    };
    Ok(tokio::task::spawn_blocking(judge).await.map_err(Refusal::internal)?)
}

/// A statement that has what [`passes`] asks for.
fn filtered<'q>(tx: &TenantTx, sql: &'q str, filter: &'q ThingFilter) -> Query<'q, sqlx::Postgres, PgArguments> {
    let ThingFilter { thing_type, visibility, code, .. } = filter;
    let etags = filter.etags();
    tx.query(sql)
        .bind(thing_type.as_ref().map(TypeName::as_str))
        .bind(visibility.map(Visibility::as_str))
        .bind(code.as_ref().map(Code::as_str))
        .bind(ulid_bytes(etags.start).to_vec())
        .bind(ulid_bytes(etags.end).to_vec())
}
