//! Owns exports of one tenant: pages of each kind, one after the other.

use rusqlite::params;
use serve::Caller;

use super::failure::Failure;
use super::rows;
use super::tables::Tables;
use crate::export::{Course, Export, Part, Stage};
use crate::store::facts::{Facts as _, Linked};
use crate::store::filling::Filling;
use crate::store::{RelationshipPage, RelationshipScan};
use crate::stream::Sink;

impl Tables<'_> {
    /// Gives all that the caller may see of some namespaces.
    pub(super) fn export(&self, caller: &Caller, export: &Export, sink: &Sink<Part>) -> Result<(), Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        let mut course = Course::new(export);
        loop {
            let part = match course.stage() {
                Stage::Namespaces(after) => course.take_namespaces(self.namespaces(caller, &export.namespaces(after))?),
                Stage::Things(after) => course.take_things(self.things(caller, &export.things(after))?),
                Stage::Relationships(after) => {
                    course.take_relationships(self.all_relationships(caller, &export.relationships(after))?)
                }
                Stage::End => return Ok(()),
            };
            if let Some(part) = part {
                sink.give_here(part)?;
            }
        }
    }

    /// A page of all relationships. By the primary key, each looked up.
    fn all_relationships(&self, caller: &Caller, query: &RelationshipScan) -> Result<RelationshipPage, Failure> {
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
                let linked = self.relationship(&name)?;
                if !Linked::pass(linked, name, (caller, None), &mut page) {
                    return Ok(page.cut());
                }
            }
        }
        Ok(page.end())
    }
}
