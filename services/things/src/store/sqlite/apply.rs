//! Owns how a plan is stored: states, last ULIDs and the outbox change together.

use domain::{
    Code, Content, Data, Entity, EntityKind, Key, Mutation, Namespace, Relationship, RelationshipBody, State, Style,
    Thing, ThingBody, Timestamp,
};
use prost::Message as _;
use proto::convert::mutation_event;
use rusqlite::{Params, params};

use super::failure::Failure;
use super::tables::Tables;
use super::writer::Transaction;
use crate::change::Plan;
use crate::store::encoding::{embedding_bytes, end_hash, ulid_bytes};

impl Transaction<'_> {
    /// Stores a plan.
    pub(super) fn apply(&mut self, tenant: &domain::TenantId, plan: &Plan) -> Result<(), Failure> {
        let Plan { register, unregister, schema, mutations, applied: _ } = plan;
        if let Some(schema) = schema {
            self.tables(tenant).change_schema(schema)?;
        }
        if let Some(ns) = unregister {
            self.tables(tenant).delete_schemas(ns)?;
            let sql = "delete from namespaces where tenant = ?1 and ns = ?2";
            self.tables(tenant).run(sql, params![tenant.as_str(), ns.as_str()])?;
        }
        if let Some((ns, style, created_at)) = register {
            self.tables(tenant).register(ns, *style, *created_at)?;
        }
        mutations.iter().try_for_each(|mutation| self.carry_out(tenant, mutation))
    }

    /// Stores the state that a mutation made, and the mutation.
    pub(super) fn carry_out(&mut self, tenant: &domain::TenantId, mutation: &Mutation) -> Result<(), Failure> {
        self.tables(tenant).store(mutation)?;
        self.append(tenant, &mutation_event(tenant, mutation).encode_to_vec())
    }
}

impl Tables<'_> {
    fn register(&self, ns: &Namespace, style: Style, created_at: Timestamp) -> Result<(), Failure> {
        let sql = "insert into namespaces (tenant, ns, style, created_at) values (?1, ?2, ?3, ?4)";
        self.run(sql, params![self.tenant.as_str(), ns.as_str(), style.as_str(), created_at.millis()])
    }

    /// Stores the state that a mutation made, and that it is its name's newest.
    fn store(&self, mutation: &Mutation) -> Result<(), Failure> {
        let Mutation { ulid, entity: Entity { kind, key, .. }, before, after, .. } = mutation;
        match (before, after) {
            (None, Some(State::Thing(thing))) => self.insert_thing(thing)?,
            (Some(_), Some(State::Thing(thing))) => self.update_thing(thing)?,
            (before, Some(State::Relationship(relationship))) => {
                if before.is_some() {
                    self.delete("delete from relationships where tenant = ?1 and ns = ?2 and id = ?3", key)?;
                }
                self.insert_relationship(relationship)?;
            }
            (_, None) => match kind {
                EntityKind::Thing => {
                    let sql = "delete from things where tenant = ?1 and ns = ?2 and id = ?3 and variant = ?4";
                    let (tenant, ns) = (self.tenant.as_str(), key.ns.as_str());
                    self.run(sql, params![tenant, ns, key.id.as_str(), key.variant.as_str()])?;
                }
                EntityKind::Relationship => {
                    self.delete("delete from relationships where tenant = ?1 and ns = ?2 and id = ?3", key)?;
                }
            },
        }
        let latest = mutation.latest().expect("a mutation has a state");
        let last_ends = match (after, latest) {
            (None, State::Relationship(relationship)) => Some((&relationship.body.from, &relationship.body.to)),
            _ => None,
        };
        let sql = "insert into names (tenant, kind, ns, id, variant, last, visibility, from_ns, from_id, to_ns, to_id)
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
            on conflict do update set last = excluded.last, visibility = excluded.visibility,
                from_ns = excluded.from_ns, from_id = excluded.from_id,
                to_ns = excluded.to_ns, to_id = excluded.to_id";
        let params = params![
            self.tenant.as_str(),
            kind.as_str(),
            key.ns.as_str(),
            key.id.as_str(),
            key.variant.as_str(),
            ulid_bytes(*ulid),
            latest.visibility().as_str(),
            last_ends.map(|(from, _)| from.ns.as_str()),
            last_ends.map(|(from, _)| from.id.as_str()),
            last_ends.map(|(_, to)| to.ns.as_str()),
            last_ends.map(|(_, to)| to.id.as_str()),
        ];
        self.run(sql, params)
    }

    fn insert_thing(&self, thing: &Thing) -> Result<(), Failure> {
        self.write_thing(
            "insert into things
                (tenant, ns, id, variant, type, visibility, content, code, data, embedding, created_at, etag)
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            thing,
        )
    }

    fn update_thing(&self, thing: &Thing) -> Result<(), Failure> {
        self.write_thing(
            "update things
            set type = ?5, visibility = ?6, content = ?7, code = ?8, data = ?9, embedding = ?10, created_at = ?11,
                etag = ?12
            where tenant = ?1 and ns = ?2 and id = ?3 and variant = ?4",
            thing,
        )
    }

    fn write_thing(&self, sql: &str, thing: &Thing) -> Result<(), Failure> {
        let Thing { key: Key { ns, id, variant }, body, created_at, etag } = thing;
        let ThingBody { thing_type, visibility, content, code, data, embedding } = body;
        let params = params![
            self.tenant.as_str(),
            ns.as_str(),
            id.as_str(),
            variant.as_str(),
            thing_type.as_str(),
            visibility.as_str(),
            content.as_ref().map(Content::as_str),
            code.as_ref().map(Code::as_str),
            data.as_ref().map(Data::as_str),
            embedding.as_ref().map(embedding_bytes),
            created_at.millis(),
            ulid_bytes(etag.0),
        ];
        self.run(sql, params)
    }

    fn insert_relationship(&self, relationship: &Relationship) -> Result<(), Failure> {
        let Relationship { name, body, created_at, etag } = relationship;
        let RelationshipBody { relationship_type, from, to, visibility, data } = body;
        let sql = "insert into relationships
                (tenant, ns, id, type, from_ns, from_id, from_hash, to_ns, to_id, to_hash, visibility, data,
                created_at, etag)
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        let params = params![
            self.tenant.as_str(),
            name.ns.as_str(),
            name.id.as_str(),
            relationship_type.as_str(),
            from.ns.as_str(),
            from.id.as_str(),
            end_hash(from),
            to.ns.as_str(),
            to.id.as_str(),
            end_hash(to),
            visibility.as_str(),
            data.as_ref().map(Data::as_str),
            created_at.millis(),
            ulid_bytes(etag.0),
        ];
        self.run(sql, params)
    }

    fn delete(&self, sql: &str, key: &Key) -> Result<(), Failure> {
        self.run(sql, params![self.tenant.as_str(), key.ns.as_str(), key.id.as_str()])
    }

    /// Runs a statement that changes one row.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<(), Failure> {
        let changed = self.connection.prepare_cached(sql)?.execute(params)?;
        assert_eq!(changed, 1, "a mutation changes the one row that it was planned from");
        Ok(())
    }
}
