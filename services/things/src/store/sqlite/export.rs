//! Owns exports of one tenant: pages of each kind, one after the other.

use rusqlite::params;
use serve::Caller;

use super::failure::Failure;
use super::rows;
use super::tables::Tables;
use crate::export::{Course, Export, Part, Row, Stage};
use crate::sight::Way;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{After, RelationshipPage, RelationshipsQuery};
use crate::stream::Sink;
use crate::weight;

impl Tables<'_> {
    /// Gives all that the caller may see of some namespaces.
    pub(super) fn export(&self, caller: &Caller, export: &Export, sink: &Sink<Part>) -> Result<(), Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        let mut course = Course::new(export);
        loop {
            let part = match course.stage() {
                Stage::Namespaces(after) => {
                    let page = self.namespaces(caller, &export.namespaces(after))?;
                    let rows =
                        page.items.into_iter().map(|(ns, style, created_at)| Row::Namespace(ns, style, created_at));
                    course.take(rows, page.next.map(|next| Stage::Namespaces(Some(next))))
                }
                Stage::Things(after) => {
                    let page = self.things(caller, &export.things(after))?;
                    let rows = page.items.into_iter().map(|(thing, style)| Row::Thing(Box::new(thing), style));
                    course.take(rows, page.next.and_then(After::into_key).map(|next| Stage::Things(Some(next))))
                }
                Stage::Relationships(after) => {
                    let page = self.all_relationships(caller, &export.relationships(after))?;
                    let rows = page.items.into_iter().map(|(found, style)| Row::Relationship(Box::new(found), style));
                    course.take(rows, page.next.map(|next| Stage::Relationships(Some(next))))
                }
                Stage::End => return Ok(()),
            };
            if let Some(part) = part {
                sink.give_here(part)?;
            }
        }
    }

    /// A page of all relationships. By the primary key, each looked up.
    fn all_relationships(&self, caller: &Caller, query: &RelationshipsQuery) -> Result<RelationshipPage, Failure> {
        let mut page = Filling::new(query.limit, query.room, query.scan);
        let sql = "select ns, id from relationships
            where tenant = ?1 and (ns, id) > (?2, ?3) and ns < ?4
            order by ns, id";
        let mut statement = self.connection.prepare_cached(sql)?;
        for range in query.scope.ranges() {
            let Some((ns, id)) = query.after_in(&range) else { continue };
            let mut found = statement.query(params![self.tenant.as_str(), ns, id, range.end])?;
            while let Some(row) = found.next()? {
                if page.is_spent() {
                    return Ok(page.cut());
                }
                let name = rows::name(row, 0)?;
                let mut passed = 0;
                if let Some(linked) = self.relationship(&name)? {
                    let weight = weight::of_relationship(&linked.relationship);
                    if !linked.is_seen_by(caller, Way::Listed) {
                        passed = weight;
                    } else if !page.takes(weight, (linked.relationship, linked.style)) {
                        return Ok(page.cut());
                    }
                }
                page.passes(name, passed);
            }
        }
        Ok(page.end())
    }
}
