//! Owns exports of one tenant: pages of each kind, one after the other.

use domain::Name;
use serve::Caller;

use super::failure::Failure;
use super::picture::Picture;
use super::tenant::TenantTx;
use super::{lists, namespaces, rows};
use crate::export::{Course, Export, Part, Stage};
use crate::store::facts::{Facts as _, Linked};
use crate::store::filling::Filling;
use crate::store::{RelationshipPage, RelationshipScan};
use crate::stream::Sink;

/// Relationships that are read at once; their data may be large.
const STEP: usize = 64;

/// Gives all that the caller may see of some namespaces.
pub(super) async fn export(
    tx: &mut TenantTx,
    caller: &Caller,
    export: &Export,
    sink: &Sink<Part>,
) -> Result<(), Failure> {
    let mut course = Course::new(export);
    loop {
        let part = match course.stage() {
            Stage::Namespaces(after) => {
                course.take_namespaces(namespaces::list(tx, caller, &export.namespaces(after)).await?)
            }
            Stage::Things(after) => course.take_things(lists::things(tx, caller, &export.things(after)).await?),
            Stage::Relationships(after) => {
                course.take_relationships(all_relationships(tx, caller, &export.relationships(after)).await?)
            }
            Stage::End => return Ok(()),
        };
        if let Some(part) = part {
            sink.give(part).await?;
        }
    }
}

/// A page of all relationships. By the primary key, each looked up.
async fn all_relationships(
    tx: &mut TenantTx,
    caller: &Caller,
    query: &RelationshipScan,
) -> Result<RelationshipPage, Failure> {
    let mut page = Filling::new(query.limit, query.room, query.scan);
    let sql = "select ns, id from relationships
        where tenant = $1 and (ns, id) > ($2, $3) and ns < $4
        order by ns, id
        limit $5";
    for range in query.scope.ranges() {
        let Some((ns, id)) = query.after_in(&range) else { continue };
        let mut from = [ns, id].map(str::to_owned);
        loop {
            let [ns, id] = &from;
            let asked = tx.query(sql).bind(ns).bind(id).bind(&range.end).bind(STEP as i64);
            let found = asked.fetch_all(tx.connection()).await?;
            let names: Vec<Name> = found.iter().map(|row| rows::name(row, 0)).collect::<Result<_, _>>()?;
            let Some(Name { ns, id }) = names.last() else { break };
            from = [ns.as_str(), id.as_str()].map(str::to_owned);
            let (mut read, is_last) = (Picture::default(), names.len() < STEP);
            read.load_relationships(tx, names.iter().cloned()).await?;
            for name in names {
                if page.is_spent() {
                    return Ok(page.cut());
                }
                let linked = read.relationship(&name)?;
                if !Linked::pass(linked, name, (caller, None), &mut page) {
                    return Ok(page.cut());
                }
            }
            if is_last {
                break;
            }
        }
    }
    Ok(page.end())
}
