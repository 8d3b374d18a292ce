//! Owns the lists of one tenant: keyset pages over an index, and the relationships at a thing. Rows are looked at by their
//! names first; what a list does not show is not read whole.

use domain::{Id, Key, Name, Namespace, TypeName, Variant};
use serve::Caller;
use sqlx::Row as _;

use super::failure::Failure;
use super::picture::Picture;
use super::rows;
use super::tenant::TenantTx;
use crate::naming::{self, Target};
use crate::sight::{Way, sees};
use crate::store::encoding::end_hash;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{Direction, RelationshipPage, RelationshipQuery, ThingPage, ThingQuery};
use crate::weight;

/// The fewest and the most names that are looked at at once.
const STEP: (usize, usize) = (64, 2_048);
/// Bytes of states that are read at once, about.
const BYTES: usize = 4 << 20;

/// A row of a list of things.
struct Candidate {
    key: Key,
    is_shown: bool,
    bytes: usize,
}

/// A page of the things of one namespace.
pub(super) async fn things(tx: &mut TenantTx, caller: &Caller, query: &ThingQuery) -> Result<ThingPage, Failure> {
    let ThingQuery { ns, thing_type, after, limit, room, scan } = query;
    let mut page = Filling::new(*limit, *room, *scan);
    let mut picture = Picture::default();
    picture.load_namespaces(tx, [ns.clone()]).await?;
    let Some((style, _)) = picture.namespace(ns)? else { return Ok(page.end()) };
    let mut after = after.clone();
    // One more than is shown tells whether more follows.
    let mut step = (limit + 1).clamp(STEP.0, STEP.1).min(*scan + 1);
    loop {
        let candidates = candidates(tx, caller, ns, thing_type.as_ref(), after.as_ref(), step).await?;
        let is_last = candidates.len() < step;
        after = candidates.last().map(|last| (last.key.id.clone(), last.key.variant.clone()));
        let mut rest = candidates.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |candidate: &&Candidate| {
                let is_first = bytes == 0;
                bytes += candidate.bytes;
                is_first || bytes <= BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (now, later) = rest.split_at(count);
            rest = later;
            let shown = now.iter().filter(|candidate| candidate.is_shown).map(|candidate| candidate.key.clone());
            picture.load_things(tx, shown, false).await?;
            for candidate in now {
                if page.is_spent() {
                    return Ok(page.cut());
                }
                if candidate.is_shown {
                    let thing = picture.things.remove(&candidate.key).flatten().expect("what is shown was read");
                    if !page.takes(weight::of_thing(&thing), (thing, style)) {
                        return Ok(page.cut());
                    }
                }
                page.passes((candidate.key.id.clone(), candidate.key.variant.clone()), 0);
            }
        }
        if is_last {
            return Ok(page.end());
        }
        step = (step * 2).min(STEP.1);
    }
}

/// The next rows, in order, by the primary key.
async fn candidates(
    tx: &mut TenantTx,
    caller: &Caller,
    ns: &Namespace,
    thing_type: Option<&TypeName>,
    after: Option<&(Id, Variant)>,
    count: usize,
) -> Result<Vec<Candidate>, Failure> {
    let sql = "select t.id, t.variant,
            ($5::text is null or t.type = $5)
                and ($6 or t.visibility = 'public' and (t.variant = '' or exists (
                    select 1 from things c
                    where c.tenant = $1 and c.ns = t.ns and c.id = t.id and c.variant = '' and c.visibility = 'public'))),
            coalesce(octet_length(t.content), 0) + coalesce(octet_length(t.data), 0)
        from things t
        where t.tenant = $1 and t.ns = $2 and (t.id, t.variant) > ($3, $4)
        order by t.id, t.variant
        limit $7";
    let (id, variant) = after.map_or(("", ""), |(id, variant)| (id.as_str(), variant.as_str()));
    let query = tx.query(sql).bind(ns.as_str()).bind(id).bind(variant);
    let query = query.bind(thing_type.map(TypeName::as_str)).bind(caller.may_read(ns)).bind(count as i64);
    let found = query.fetch_all(tx.connection()).await?;
    let candidate = |row| {
        let key = Key { ns: ns.clone(), id: rows::id(row, 0)?, variant: rows::variant(row, 1)? };
        let is_shown = row.try_get(2)?;
        let bytes: i32 = row.try_get(3)?;
        Ok(Candidate { key, is_shown, bytes: if is_shown { bytes as usize } else { 0 } })
    };
    Ok(found.iter().map(candidate).collect::<Result<_, sqlx::Error>>()?)
}

/// A page of the relationships at a thing, if the caller may see it.
pub(super) async fn relationships(
    tx: &mut TenantTx,
    caller: &Caller,
    query: &RelationshipQuery,
) -> Result<Option<RelationshipPage>, Failure> {
    let RelationshipQuery { thing, direction, relationship_type, after, limit, room, scan } = query;
    let mut picture = Picture::default();
    picture.load_namespaces(tx, naming::candidates(thing)).await?;
    let Some(Target { key, .. }) = picture.place(thing, "thing")?.for_read() else { return Ok(None) };
    let name = key.name();
    picture.load_canonical(tx, [name.clone()]).await?;
    if !picture.canonical(&name)?.is_some_and(|visibility| sees(caller, Way::ByName, &name.ns, visibility)) {
        return Ok(None);
    }
    let mut page = Filling::new(*limit, *room, *scan);
    let mut after = after.clone();
    loop {
        let names = names_at(tx, &name, *direction, after.as_ref()).await?;
        let Some(last) = names.last().cloned() else { return Ok(Some(page.end())) };
        let mut read = Picture::default();
        read.load_relationships(tx, names.iter().cloned()).await?;
        for name_at in names {
            if page.is_spent() {
                return Ok(Some(page.cut()));
            }
            let linked = read.relationship(&name_at)?;
            let bytes = linked.as_ref().map_or(0, |linked| weight::of_relationship(&linked.relationship));
            let shown = linked.filter(|linked| {
                let of = &linked.relationship.body.relationship_type;
                relationship_type.as_ref().is_none_or(|only| only == of) && linked.is_seen_by(caller, Way::Listed)
            });
            let passed = if shown.is_some() { 0 } else { bytes };
            if let Some(linked) = shown
                && !page.takes(bytes, (linked.relationship, linked.style))
            {
                return Ok(Some(page.cut()));
            }
            page.passes(name_at, passed);
        }
        after = Some(last);
    }
}

/// The names of the next relationships at a thing, in order. By the indexes `relationships_from` and `relationships_to`.
async fn names_at(
    tx: &mut TenantTx,
    thing: &Name,
    direction: Direction,
    after: Option<&Name>,
) -> Result<Vec<Name>, Failure> {
    let sql = match direction {
        Direction::Outgoing => {
            "select ns, id from relationships
            where tenant = $1 and from_hash = $2 and from_ns = $3 and from_id = $4 and (ns, id) > ($5, $6)
            order by ns, id limit $7"
        }
        Direction::Incoming => {
            "select ns, id from relationships
            where tenant = $1 and to_hash = $2 and to_ns = $3 and to_id = $4 and (ns, id) > ($5, $6)
            order by ns, id limit $7"
        }
        Direction::Both => {
            "(select ns, id from relationships
            where tenant = $1 and from_hash = $2 and from_ns = $3 and from_id = $4 and (ns, id) > ($5, $6)
            order by ns, id limit $7)
            union
            (select ns, id from relationships
            where tenant = $1 and to_hash = $2 and to_ns = $3 and to_id = $4 and (ns, id) > ($5, $6)
            order by ns, id limit $7)
            order by ns, id limit $7"
        }
    };
    let (ns, id) = after.map_or(("", ""), |after| (after.ns.as_str(), after.id.as_str()));
    let hash = end_hash(thing);
    let query = tx.query(sql).bind(hash.as_slice()).bind(thing.ns.as_str());
    let query = query.bind(thing.id.as_str()).bind(ns).bind(id).bind(STEP.0 as i64);
    let found = query.fetch_all(tx.connection()).await?;
    Ok(found.iter().map(|row| rows::name(row, 0)).collect::<Result<_, _>>()?)
}
