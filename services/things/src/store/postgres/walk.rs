//! Owns walking along the relationships of one tenant, and what things are in short.

use domain::{Name, Visibility};
use futures::TryStreamExt as _;
use serve::Caller;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::failure::Failure;
use super::load::{Keys, place};
use super::picture::Picture;
use super::rows;
use super::tenant::TenantTx;
use crate::naming::{self, Target};
use crate::refuse;
use crate::sight::{Way, sees};
use crate::store::Direction;
use crate::store::encoding::end_hash;
use crate::store::facts::Facts as _;
use crate::stream::Sink;
use crate::summary::{self, Summary};
use crate::traverse::{Part, Reached, Step, Traversal, Walk};

/// Things whose relationships are asked for at once.
const AT_ONCE: usize = 64;
/// Relationships of each that are read at once: together so many that they fit into memory easily.
const OF_EACH: usize = 256;
/// As [`OF_EACH`], of one thing alone.
const OF_ONE: usize = AT_ONCE * OF_EACH;

/// Gives what a walk reaches. It asks for the relationships of many things at once.
pub(super) async fn traverse(
    tx: &mut TenantTx,
    caller: &Caller,
    traversal: &Traversal,
    sink: &Sink<Part>,
) -> Result<(), Failure> {
    let mut picture = Picture::default();
    let not_found = || refuse::thing_not_found(&traversal.thing);
    picture.load_namespaces(tx, naming::candidates(&traversal.thing)).await?;
    let Target { key, .. } = picture.place(&traversal.thing, "thing")?.for_read().ok_or_else(not_found)?;
    let from = key.name();
    picture.load_canonical(tx, [from.clone()]).await?;
    let visibility = picture.canonical(&from)?;
    let is_seen = |way| visibility.is_some_and(|visibility| sees(caller, way, &from.ns, visibility));
    if !is_seen(Way::ByName) {
        return Err(not_found().into());
    }
    let mut walk = Walk::new(from.clone(), traversal);
    'walk: loop {
        let next = if is_seen(Way::Listed) { walk.next(AT_ONCE) } else { Vec::new() };
        if next.is_empty() {
            break;
        }
        let ends: Vec<_> = next.iter().map(|via| (via, None)).collect();
        let mut steps = steps(tx, &ends, traversal, OF_EACH).await?.into_iter().peekable();
        for (number, via) in next.iter().enumerate() {
            let mut of_this = Vec::new();
            while let Some((_, ahead)) = steps.next_if(|(of, _)| *of == number) {
                of_this.push(ahead);
            }
            let mut most = OF_EACH;
            loop {
                let (count, last) = (of_this.len(), of_this.last().map(|(step, ..)| step.relationship.clone()));
                if !take(tx, caller, &mut walk, of_this, sink).await? {
                    break 'walk;
                }
                if count < most {
                    break;
                }
                most = OF_ONE;
                let rest = self::steps(tx, &[(via, last.as_ref())], traversal, most).await?;
                of_this = rest.into_iter().map(|(_, ahead)| ahead).collect();
            }
        }
    }
    if walk.has_last_part() { tell(tx, &mut walk, sink).await } else { Ok(()) }
}

/// A step, who sees its relationship, and who sees where it ends.
type Ahead = (Step, Visibility, Visibility);

/// Takes steps that the caller may see; whether the walk goes on.
async fn take(
    tx: &mut TenantTx,
    caller: &Caller,
    walk: &mut Walk,
    ahead: Vec<Ahead>,
    sink: &Sink<Part>,
) -> Result<bool, Failure> {
    for (step, of_relationship, of_thing) in ahead {
        let is_shown = sees(caller, Way::Listed, &step.relationship.ns, of_relationship)
            && sees(caller, Way::Listed, &step.to.ns, of_thing);
        if is_shown && !walk.takes(step) {
            return Ok(false);
        }
        if walk.has_part() {
            tell(tx, walk, sink).await?;
        }
    }
    Ok(true)
}

async fn tell(tx: &mut TenantTx, walk: &mut Walk, sink: &Sink<Part>) -> Result<(), Failure> {
    let (steps, is_truncated) = walk.part();
    let reached: Vec<_> = steps.iter().map(|(_, step)| &step.to).collect();
    let summaries = summaries(tx, &reached).await?;
    let things = steps.into_iter().zip(summaries);
    let things = things.map(|((depth, step), thing)| Reached { thing, depth, step }).collect();
    Ok(sink.give(Part { things, is_truncated }).await?)
}

/// The relationships at things by name, each behind another of it if one is given, at most `most` of each, with the number of the
/// thing. By the indexes `relationships_from` and `relationships_to`, which are in this order, and the primary key of things.
async fn steps(
    tx: &mut TenantTx,
    ends: &[(&Name, Option<&Name>)],
    traversal: &Traversal,
    most: usize,
) -> Result<Vec<(usize, Ahead)>, Failure> {
    const SQL: &str = "select u.ord, r.ns, r.id, r.type, r.visibility, r.other_ns, r.other_id, r.starts, t.visibility
        from unnest($2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[])
            with ordinality u(hash, ns, id, after_ns, after_id, ord)
        cross join lateral (
            (select r.ns, r.id, r.type, r.visibility, r.to_ns other_ns, r.to_id other_id, true starts
            from relationships r
            where $7 and r.tenant = $1 and r.from_hash = u.hash and r.from_ns = u.ns and r.from_id = u.id
                and (r.ns, r.id) > (u.after_ns, u.after_id) and ($9::text[] is null or r.type = any($9))
            order by r.ns, r.id limit $10)
            union all
            (select r.ns, r.id, r.type, r.visibility, r.from_ns, r.from_id, false
            from relationships r
            where $8 and r.tenant = $1 and r.to_hash = u.hash and r.to_ns = u.ns and r.to_id = u.id
                and (r.ns, r.id) > (u.after_ns, u.after_id) and ($9::text[] is null or r.type = any($9))
            order by r.ns, r.id limit $10)
            order by 1, 2 limit $10) r
        cross join lateral (
            select t.visibility from things t
            where t.tenant = $1 and t.ns = r.other_ns and t.id = r.other_id and t.variant = '' limit 1) t
        order by u.ord, r.ns, r.id";
    let Traversal { direction, types, .. } = traversal;
    let hashes: Vec<_> = ends.iter().map(|(via, _)| end_hash(via).to_vec()).collect();
    let via: Keys<'_> = ends.iter().map(|(via, _)| *via).collect();
    let after =
        |part: fn(&Name) -> &str| -> Vec<&str> { ends.iter().map(|(_, after)| after.map_or("", part)).collect() };
    let types: Option<Vec<&str>> = (!types.is_empty()).then(|| types.iter().map(domain::TypeName::as_str).collect());
    let query = tx.query(SQL).bind(hashes).bind(via.ns).bind(via.id);
    let query = query.bind(after(|name| name.ns.as_str())).bind(after(|name| name.id.as_str()));
    let query = query.bind(*direction != Direction::Incoming).bind(*direction != Direction::Outgoing);
    let found = query.bind(types).bind(most as i64).fetch_all(tx.connection()).await?;
    let ahead = |row: &PgRow| {
        let number = place(row)?;
        let step = Step {
            via: ends[number].0.clone(),
            relationship: rows::name(row, 1)?,
            relationship_type: rows::parsed(row, 3)?,
            direction: if row.try_get(7)? { Direction::Outgoing } else { Direction::Incoming },
            to: rows::name(row, 5)?,
        };
        Ok((number, (step, rows::visibility(row, 4)?, rows::visibility(row, 8)?)))
    };
    found.iter().map(ahead).collect()
}

/// Things in short, which are there, in order. By primary keys.
pub(super) async fn summaries(tx: &mut TenantTx, names: &[&Name]) -> Result<Vec<Summary>, Failure> {
    const SQL: &str = "select u.ord, n.style, t.type, t.visibility, t.data
        from unnest($2::text[], $3::text[]) with ordinality u(ns, id, ord)
        cross join lateral (
            select t.type, t.visibility, case when octet_length(t.data) <= $4 then t.data end data from things t
            where t.tenant = $1 and t.ns = u.ns and t.id = u.id and t.variant = '' limit 1) t
        cross join lateral (select n.style from namespaces n where n.tenant = $1 and n.ns = u.ns limit 1) n
        order by u.ord";
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let Keys { ns, id, .. } = names.iter().copied().collect();
    let query = tx.query(SQL).bind(ns).bind(id).bind(summary::MAX_DATA as i32);
    let mut found = query.fetch(tx.connection());
    let mut summaries = Vec::with_capacity(names.len());
    while let Some(row) = found.try_next().await? {
        summaries.push(Summary {
            name: names[place(&row)?].clone(),
            style: rows::style(&row, 1)?,
            thing_type: rows::parsed(&row, 2)?,
            visibility: rows::visibility(&row, 3)?,
            title: summary::title(rows::data(&row, 4)?.as_ref()),
        });
    }
    Ok(summaries)
}
