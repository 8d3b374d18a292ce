//! Relationships: putting, deleting and reading them.
//!
//! Owns what a relationship needs of its ends. Never reads or writes the store.

use domain::{
    Condition, Etag, Name, Reference, Relationship, RelationshipBody, Style, Timestamp, TypeName, Visibility,
};
use proto::convert::NewRelationship;
use serve::page::{Binding, MAX_BYTES};
use serve::{Caller, Refusal};
use ulid::Ulid;

use crate::change::{Applied, Change, Origin, Outcome, Plan};
use crate::delete::Deleted;
use crate::list::{Listed, PageRequest, SCAN};
use crate::naming::Target;
use crate::page::Position;
use crate::sight::{Way, sees};
use crate::store::{Direction, RelationshipQuery};
use crate::summary::Summary;
use crate::{Call, Put, Things, condition, refuse};

/// The most relationships that may start from one thing.
pub(crate) const MAX_OUTGOING: usize = 10_000;

impl Things {
    /// Creates or replaces one relationship.
    pub(crate) async fn put_relationship(
        &self,
        call: Call,
        relationship: NewRelationship,
        condition: Condition,
    ) -> Result<Put<Relationship>, Refusal> {
        let change = Change::PutRelationship { relationship, condition };
        match self.change(call, change).await? {
            Applied::Relationship { relationship, style, outcome } => Ok(Put { state: relationship, style, outcome }),
            other => unreachable!("putting a relationship answers with a relationship, not {other:?}"),
        }
    }

    /// Deletes one relationship.
    pub(crate) async fn delete_relationship(
        &self,
        call: Call,
        reference: Reference,
        condition: Condition,
    ) -> Result<Deleted, Refusal> {
        let change = Change::DeleteRelationship { reference, condition };
        Ok(self.change(call, change).await?.into_deleted())
    }

    /// One relationship, with the style of its namespace.
    pub(crate) async fn get_relationship(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<(Relationship, Style), Refusal> {
        let found = self.store.relationships.relationship(caller, reference).await?;
        found.ok_or_else(|| refuse::relationship_not_found(reference))
    }

    /// A page of the relationships at one thing, by name, and of each, if that is asked for, what is at its other end. `NOT_FOUND` if the caller may not see the thing.
    pub(crate) async fn list_relationships(
        &self,
        caller: &Caller,
        thing: Reference,
        direction: Direction,
        relationship_type: Option<TypeName>,
        with_others: bool,
        page: &PageRequest,
    ) -> Result<(Listed<(Relationship, Style)>, Vec<Summary>), Refusal> {
        let binding = Binding::new(&caller.tenant, &[b"relationships", &page.question]);
        let query = RelationshipQuery {
            thing: thing.clone(),
            direction,
            relationship_type,
            after: self.store.seal.position(binding, &page.token, Position::from_bytes)?,
            limit: page.size,
            room: MAX_BYTES,
            scan: SCAN,
            with_others,
        };
        let found = self.store.relationships.relationships(caller, query).await?;
        let (found, others) = found.ok_or_else(|| refuse::thing_not_found(&thing))?;
        Ok((Listed::new(found, |next| self.store.seal.token(binding, &next.to_bytes())), others))
    }
}

/// What the store knows about the name and the ends of a relationship that is put.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct RelationshipFacts {
    /// Its present state.
    pub(crate) before: Option<Standing>,
    /// Its newest mutation.
    pub(crate) last: Option<Ulid>,
    /// The thing that it starts from, if there is one.
    pub(crate) from: Option<End>,
    /// The thing that it leads to, if there is one.
    pub(crate) to: Option<End>,
    /// How many relationships start from `from`, counted up to [`MAX_OUTGOING`].
    pub(crate) outgoing: usize,
}

/// A relationship that is there, with who sees its ends.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Standing {
    pub(crate) relationship: Relationship,
    pub(crate) from: Visibility,
    pub(crate) to: Visibility,
}

impl Standing {
    /// Whether a caller who may write its name, and who names these things, sees it.
    fn is_seen_by(&self, caller: &Caller, named: &[&Name]) -> bool {
        let body = &self.relationship.body;
        [(&body.from, self.from), (&body.to, self.to)].into_iter().all(|(end, visibility)| {
            let way = if named.contains(&end) { Way::ByName } else { Way::Listed };
            sees(caller, way, &end.ns, visibility)
        })
    }
}

/// A thing at an end of a relationship.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct End {
    pub(crate) name: Name,
    pub(crate) visibility: Visibility,
}

/// What putting a relationship does.
pub(crate) fn plan_put(
    origin: Origin<'_>,
    target: Target,
    relationship: NewRelationship,
    condition: &Condition,
    facts: RelationshipFacts,
) -> Result<Plan, Refusal> {
    let Target { key, style, is_registered, has_schemas: _ } = target;
    let RelationshipFacts { before, last, from, to, outgoing } = facts;
    let NewRelationship { reference, relationship_type, from: from_name, to: to_name, visibility, data } = relationship;
    // Before the condition, whose refusals tell the etag.
    let named: Vec<&Name> = [&from, &to].into_iter().flatten().map(|end| &end.name).collect();
    if before.as_ref().is_some_and(|before| !before.is_seen_by(origin.caller, &named)) {
        return Err(refuse::relationship_unseen(&key));
    }
    let before = before.map(|before| before.relationship);
    let present = before.as_ref().map(|before| before.etag);
    condition::check(condition, &key, present, || refuse::relationship_not_found(&reference))?;
    let from = visible_end(origin.caller, "from", &from_name, from)?;
    let to = visible_end(origin.caller, "to", &to_name, to)?;
    let body = RelationshipBody { relationship_type, from, to, visibility, data };
    if let Some(before) = before.as_ref().filter(|before| before.body == body) {
        let applied = Applied::Relationship { relationship: before.clone(), style, outcome: Outcome::Unchanged };
        return Ok(Plan::nothing(applied));
    }
    let adds_outgoing = before.as_ref().is_none_or(|before| before.body.from != body.from);
    if adds_outgoing && outgoing >= MAX_OUTGOING {
        return Err(refuse::relationships_exhausted(&body.from, MAX_OUTGOING));
    }
    let ulid = origin.ulid_after(present.map(|etag| etag.0).or(last));
    let created_at = before.as_ref().map_or(Timestamp::of_ulid(ulid), |before| before.created_at);
    let outcome = if before.is_some() { Outcome::Replaced } else { Outcome::Created };
    let register = (!is_registered).then(|| (key.ns.clone(), style, created_at));
    let relationship = Relationship { name: key.name(), body, created_at, etag: Etag(ulid) };
    let mutations = vec![origin.relationship(ulid, before, Some(relationship.clone()))];
    Ok(Plan { register, mutations, ..Plan::nothing(Applied::Relationship { relationship, style, outcome }) })
}

/// What deleting the relationship of that name, whose present state is `before`, does. Who may write the name frees it,
/// even where they do not see what has it; then another etag is not told from an absent name.
pub(crate) fn plan_delete(
    origin: Origin<'_>,
    reference: &Reference,
    condition: &Condition,
    before: Option<Standing>,
) -> Result<Plan, Refusal> {
    let standing = before.ok_or_else(|| refuse::relationship_not_found(reference))?;
    let is_seen = standing.is_seen_by(origin.caller, &[]);
    let before = standing.relationship;
    let key = domain::Key::from(before.name.clone());
    let checked = condition::check(condition, &key, Some(before.etag), || refuse::relationship_not_found(reference));
    checked.map_err(|refusal| if is_seen { refusal } else { refuse::relationship_not_found(reference) })?;
    let ulid = origin.ulid_after(Some(before.etag.0));
    let applied = Applied::Deleted { key, ulid, variants: 0, relationships: 0 };
    Ok(Plan { mutations: vec![origin.relationship(ulid, Some(before), None)], ..Plan::nothing(applied) })
}

/// The end, which the caller must see: one that they do not is one that does not exist.
fn visible_end(caller: &Caller, end: &'static str, reference: &Reference, found: Option<End>) -> Result<Name, Refusal> {
    let seen = found.filter(|found| sees(caller, Way::ByName, &found.name.ns, found.visibility));
    seen.map(|found| found.name).ok_or_else(|| refuse::end_missing(end, reference))
}
