//! Owns the relationships at a thing of one tenant: keyset pages over the indexes of their ends.

use domain::Name;
use serve::Caller;

use super::failure::Failure;
use super::picture::Picture;
use super::rows;
use super::tenant::TenantTx;
use super::walk;
use crate::naming::{self, Target};
use crate::sight::{Way, sees};
use crate::store::encoding::end_hash;
use crate::store::facts::{Facts as _, Linked};
use crate::store::filling::Filling;
use crate::store::{Direction, RelationshipPage, RelationshipQuery};
use crate::summary::Summary;

/// Names that are looked at at once.
const STEP: i64 = 64;

/// A page of the relationships at a thing and what is at their other ends, if the caller may see it.
pub(super) async fn relationships(
    tx: &mut TenantTx,
    caller: &Caller,
    query: &RelationshipQuery,
) -> Result<Option<(RelationshipPage, Vec<Summary>)>, Failure> {
    let mut picture = Picture::default();
    picture.load_namespaces(tx, naming::candidates(&query.thing)).await?;
    let Some(Target { key, .. }) = picture.place(&query.thing, "thing")?.for_read() else { return Ok(None) };
    let name = key.name();
    picture.load_canonical(tx, [name.clone()]).await?;
    if !picture.canonical(&name)?.is_some_and(|visibility| sees(caller, Way::ByName, &name.ns, visibility)) {
        return Ok(None);
    }
    let page = relationships_at(tx, caller, &name, query).await?;
    let others = walk::summaries(tx, &query.others(&name, &page)).await?;
    Ok(Some((page, others)))
}

async fn relationships_at(
    tx: &mut TenantTx,
    caller: &Caller,
    name: &Name,
    query: &RelationshipQuery,
) -> Result<RelationshipPage, Failure> {
    let RelationshipQuery { thing: _, direction, relationship_type, after, limit, room, scan, with_others: _ } = query;
    let mut page = Filling::new(*limit, *room, *scan);
    let mut after = after.clone();
    loop {
        let names = names_at(tx, name, *direction, after.as_ref()).await?;
        let Some(last) = names.last().cloned() else { return Ok(page.end()) };
        let mut read = Picture::default();
        read.load_relationships(tx, names.iter().cloned()).await?;
        for name_at in names {
            if page.is_spent() {
                return Ok(page.cut());
            }
            let linked = read.relationship(&name_at)?;
            if !Linked::pass(linked, name_at, (caller, relationship_type.as_ref()), &mut page) {
                return Ok(page.cut());
            }
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
    let query = query.bind(thing.id.as_str()).bind(ns).bind(id).bind(STEP);
    let found = query.fetch_all(tx.connection()).await?;
    Ok(found.iter().map(|row| rows::name(row, 0)).collect::<Result<_, _>>()?)
}
