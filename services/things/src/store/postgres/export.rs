//! Owns exports of one tenant: pages of each kind, one after the other.

use domain::Name;
use serve::Caller;

use super::failure::Failure;
use super::picture::Picture;
use super::tenant::TenantTx;
use super::{lists, namespaces, rows};
use crate::export::{Course, Export, Part, Row, Stage};
use crate::sight::Way;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{After, RelationshipPage, RelationshipsQuery};
use crate::stream::Sink;
use crate::weight;

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
                let page = namespaces::list(tx, caller, &export.namespaces(after)).await?;
                let rows = page.items.into_iter().map(|(ns, style, created_at)| Row::Namespace(ns, style, created_at));
                course.take(rows, page.next.map(|next| Stage::Namespaces(Some(next))))
            }
            Stage::Things(after) => {
                let page = lists::things(tx, caller, &export.things(after)).await?;
                let rows = page.items.into_iter().map(|(thing, style)| Row::Thing(Box::new(thing), style));
                course.take(rows, page.next.and_then(After::into_key).map(|next| Stage::Things(Some(next))))
            }
            Stage::Relationships(after) => {
                let page = all_relationships(tx, caller, &export.relationships(after)).await?;
                let rows = page.items.into_iter().map(|(found, style)| Row::Relationship(Box::new(found), style));
                course.take(rows, page.next.map(|next| Stage::Relationships(Some(next))))
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
    query: &RelationshipsQuery,
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
                let mut passed = 0;
                if let Some(linked) = read.relationship(&name)? {
                    let weight = weight::of_relationship(&linked.relationship);
                    if !linked.is_seen_by(caller, Way::Listed) {
                        passed = weight;
                    } else if !page.takes(weight, (linked.relationship, linked.style)) {
                        return Ok(page.cut());
                    }
                }
                page.passes(name, passed);
            }
            if is_last {
                break;
            }
        }
    }
    Ok(page.end())
}
