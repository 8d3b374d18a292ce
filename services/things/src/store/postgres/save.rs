//! Owns the statements that store what changed in a picture: states, last ULIDs and the outbox together, each table by one
//! statement. Decides nothing.

use domain::{Code, Content, Data, EntityKind, Key, Name, Namespace, Relationship, RelationshipBody, Thing, ThingBody};
use prost::Message as _;
use proto::convert::mutation_event;

use super::failure::Failure;
use super::load::Keys;
use super::names::NEVER;
use super::picture::{Changed, Picture};
use super::tenant::TenantTx;
use crate::store::encoding::{embedding_bytes, end_hash, ulid_bytes};

/// What was added to the outbox.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Added {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Picture {
    /// Stores what changed.
    pub(super) async fn save(&mut self, tx: &mut TenantTx) -> Result<Added, Failure> {
        if self.changed.is_empty() {
            return Ok(Added::default());
        }
        self.save_namespaces(tx).await?;
        self.save_schemas(tx).await?;
        self.save_things(tx).await?;
        self.save_relationships(tx).await?;
        self.save_names(tx).await?;
        let added = self.save_mutations(tx).await?;
        self.changed = Changed::default();
        Ok(added)
    }

    async fn save_namespaces(&self, tx: &mut TenantTx) -> Result<(), Failure> {
        if !self.changed.unregistered.is_empty() {
            // First: what registered it before was stored before, and it may have been registered anew since.
            let gone: Vec<&str> = self.changed.unregistered.iter().map(Namespace::as_str).collect();
            let query = tx.query("delete from namespaces where tenant = $1 and ns = any($2)").bind(&gone);
            query.execute(tx.connection()).await?;
            let query = tx.query("delete from schemas where tenant = $1 and ns = any($2)").bind(&gone);
            query.execute(tx.connection()).await?;
        }
        // Another writer may have registered one on the way at the same time, the same.
        let sql =
            "insert into namespaces (tenant, ns, style, created_at) values ($1, $2, $3, $4) on conflict do nothing";
        for (ns, style, created_at) in &self.changed.namespaces {
            let query = tx.query(sql).bind(ns.as_str()).bind(style.as_str());
            query.bind(created_at.millis()).execute(tx.connection()).await?;
        }
        Ok(())
    }

    async fn save_things(&self, tx: &mut TenantTx) -> Result<(), Failure> {
        let (present, gone) = self.things_to_store();
        if !gone.is_empty() {
            let sql = "delete from things
                where ctid = any(array(
                    select t.ctid from unnest($2::text[], $3::text[], $4::text[]) u(ns, id, variant)
                    cross join lateral (
                        select t.ctid from things t
                        where t.tenant = $1 and t.ns = u.ns and t.id = u.id and t.variant = u.variant limit 1) t))";
            let Keys { ns, id, variant } = gone.into_iter().collect();
            let query = tx.query(sql).bind(ns).bind(id).bind(variant);
            query.execute(tx.connection()).await?;
        }
        if present.is_empty() {
            return Ok(());
        }
        let sql = "insert into things
                (tenant, ns, id, variant, type, visibility, content, code, data, embedding, created_at, etag)
            select $1, u.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::bytea[], $11::bigint[], $12::bytea[]) u
            on conflict (tenant, ns, id, variant) do update set type = excluded.type, visibility = excluded.visibility,
                content = excluded.content, code = excluded.code, data = excluded.data, embedding = excluded.embedding,
                created_at = excluded.created_at, etag = excluded.etag";
        let Keys { ns, id, variant } = present.iter().map(|thing| &thing.key).collect();
        let query = tx.query(sql).bind(ns).bind(id).bind(variant);
        let query = query
            .bind(of(&present, |thing| body(thing).thing_type.as_str()))
            .bind(of(&present, |thing| body(thing).visibility.as_str()))
            .bind(of(&present, |thing| body(thing).content.as_ref().map(Content::as_str)))
            .bind(of(&present, |thing| body(thing).code.as_ref().map(Code::as_str)))
            .bind(of(&present, |thing| body(thing).data.as_ref().map(Data::as_str)))
            .bind(of(&present, |thing| body(thing).embedding.as_ref().map(embedding_bytes)))
            .bind(of(&present, |thing| thing.created_at.millis()))
            .bind(of(&present, |thing| ulid_bytes(thing.etag.0).to_vec()));
        query.execute(tx.connection()).await?;
        Ok(())
    }

    async fn save_relationships(&self, tx: &mut TenantTx) -> Result<(), Failure> {
        let (present, gone) = self.relationships_to_store();
        if !gone.is_empty() {
            let sql = "delete from relationships
                where ctid = any(array(
                    select r.ctid from unnest($2::text[], $3::text[]) u(ns, id)
                    cross join lateral (
                        select r.ctid from relationships r
                        where r.tenant = $1 and r.ns = u.ns and r.id = u.id limit 1) r))";
            let Keys { ns, id, .. } = gone.into_iter().collect();
            tx.query(sql).bind(ns).bind(id).execute(tx.connection()).await?;
        }
        if present.is_empty() {
            return Ok(());
        }
        let sql = "insert into relationships
                (tenant, ns, id, type, from_ns, from_id, from_hash, to_ns, to_id, to_hash, visibility, data, created_at, etag)
            select $1, u.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::text[],
                $9::text[], $10::bytea[], $11::text[], $12::text[], $13::bigint[], $14::bytea[]) u
            on conflict (tenant, ns, id) do update set type = excluded.type, from_ns = excluded.from_ns,
                from_id = excluded.from_id, from_hash = excluded.from_hash, to_ns = excluded.to_ns,
                to_id = excluded.to_id, to_hash = excluded.to_hash, visibility = excluded.visibility,
                data = excluded.data, created_at = excluded.created_at, etag = excluded.etag";
        let present: Vec<&Relationship> = present.into_iter().map(|linked| &linked.relationship).collect();
        let Keys { ns, id, .. } = present.iter().map(|relationship| &relationship.name).collect();
        let query = tx.query(sql).bind(ns).bind(id);
        let query = query
            .bind(of(&present, |relationship| link(relationship).relationship_type.as_str()))
            .bind(of(&present, |relationship| link(relationship).from.ns.as_str()))
            .bind(of(&present, |relationship| link(relationship).from.id.as_str()))
            .bind(of(&present, |relationship| end_hash(&link(relationship).from).to_vec()))
            .bind(of(&present, |relationship| link(relationship).to.ns.as_str()))
            .bind(of(&present, |relationship| link(relationship).to.id.as_str()))
            .bind(of(&present, |relationship| end_hash(&link(relationship).to).to_vec()))
            .bind(of(&present, |relationship| link(relationship).visibility.as_str()))
            .bind(of(&present, |relationship| link(relationship).data.as_ref().map(Data::as_str)))
            .bind(of(&present, |relationship| relationship.created_at.millis()))
            .bind(of(&present, |relationship| ulid_bytes(relationship.etag.0).to_vec()));
        query.execute(tx.connection()).await?;
        Ok(())
    }

    /// The rows are there: whoever changes a name has locked it.
    async fn save_names(&self, tx: &mut TenantTx) -> Result<(), Failure> {
        let sql = "insert into names
                (tenant, kind, ns, id, variant, last, visibility, from_ns, from_id, to_ns, to_id)
            select $1, u.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::text[]) u
            on conflict (tenant, kind, ns, id, variant) do update set last = excluded.last,
                visibility = excluded.visibility, from_ns = excluded.from_ns, from_id = excluded.from_id,
                to_ns = excluded.to_ns, to_id = excluded.to_id";
        let (names, last): (Vec<_>, Vec<_>) = self.names_to_store().into_iter().unzip();
        if names.is_empty() {
            return Ok(());
        }
        let Keys { ns, id, variant } = names.iter().map(|(_, key)| key).collect();
        let kinds: Vec<&str> = names.iter().map(|(kind, _)| kind.as_str()).collect();
        let from = |get: fn(&Name) -> &str| of(&last, |last| last.ends.as_ref().map(|(from, _)| get(from)));
        let to = |get: fn(&Name) -> &str| of(&last, |last| last.ends.as_ref().map(|(_, to)| get(to)));
        let query = tx.query(sql).bind(kinds).bind(ns).bind(id).bind(variant);
        let query = query
            .bind(of(&last, |last| ulid_bytes(last.ulid).to_vec()))
            .bind(of(&last, |last| last.visibility.as_str()))
            .bind(from(|name| name.ns.as_str()))
            .bind(from(|name| name.id.as_str()))
            .bind(to(|name| name.ns.as_str()))
            .bind(to(|name| name.id.as_str()));
        let changed = query.execute(tx.connection()).await?.rows_affected();
        assert_eq!(changed, names.len() as u64, "each name that changes was locked");
        Ok(())
    }

    /// The numbers are drawn here: of one name in order, because its lock is held.
    async fn save_mutations(&self, tx: &mut TenantTx) -> Result<Added, Failure> {
        let sql = "insert into outbox (tenant, payload)
            select $1, u.payload from unnest($2::bytea[]) with ordinality u(payload, ord)
            order by u.ord";
        let tenant = tx.tenant().clone();
        let encoded = self.changed.mutations.iter().map(|mutation| mutation_event(&tenant, mutation).encode_to_vec());
        let payloads: Vec<Vec<u8>> = encoded.collect();
        let bytes = payloads.iter().map(|payload| payload.len() as u64).sum();
        let added = Added { rows: payloads.len() as u64, bytes };
        if added.rows > 0 {
            tx.query(sql).bind(payloads).execute(tx.connection()).await?;
        }
        Ok(added)
    }

    /// Takes away the rows of names that were locked and never came to be.
    pub(super) async fn forget_unborn(
        &self,
        tx: &mut TenantTx,
        locked: &std::collections::BTreeSet<(EntityKind, Key)>,
    ) -> Result<(), Failure> {
        let is_unborn = |name: &&(EntityKind, Key)| matches!(self.names.get(*name), Some(None));
        let unborn: Vec<_> = locked.iter().filter(is_unborn).collect();
        if unborn.is_empty() {
            return Ok(());
        }
        let sql = "delete from names
            where last = $6 and ctid = any(array(
                select n.ctid from unnest($2::text[], $3::text[], $4::text[], $5::text[]) u(kind, ns, id, variant)
                cross join lateral (
                    select n.ctid from names n
                    where n.tenant = $1 and n.kind = u.kind and n.ns = u.ns and n.id = u.id and n.variant = u.variant
                    limit 1) n))";
        let kinds: Vec<&str> = unborn.iter().map(|(kind, _)| kind.as_str()).collect();
        let Keys { ns, id, variant } = unborn.iter().map(|(_, key)| key).collect();
        let query = tx.query(sql).bind(kinds).bind(ns).bind(id).bind(variant);
        query.bind(NEVER.as_slice()).execute(tx.connection()).await?;
        Ok(())
    }
}

/// A column of rows.
fn of<'a, T, C>(rows: &[&'a T], column: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(|row| column(row)).collect()
}

fn body(thing: &Thing) -> &ThingBody {
    &thing.body
}

fn link(relationship: &Relationship) -> &RelationshipBody {
    &relationship.body
}
