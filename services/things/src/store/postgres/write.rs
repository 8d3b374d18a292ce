//! Owns how writes of one tenant become one transaction: what they depend on is locked and read for all of them at once,
//! they are planned one after the other, and what they did is stored at once. Decides nothing: plans do.

use std::collections::BTreeSet;

use domain::{Clock, Condition, EntityKind, Key, Name, Namespace, Reference, State, TenantId};
use proto::convert::WriteResult;
use serve::Refusal;
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use super::picture::Picture;
use super::save::Added;
use super::tenant::{Pool, Purpose, TenantTx};
use super::{imports, outbox, requests, schemas};
use crate::atomic::{Terms, result_of};
use crate::change::{Applied, Change, Origin, Plan, Write};
use crate::naming::{self, Place};
use crate::store::facts::Facts as _;
use crate::{delete, namespaces, refuse};

/// What each change of a write did, or why it did nothing; or why none of them was carried out.
pub(super) type Answers = Result<Vec<Result<Applied, Refusal>>, Refusal>;

/// Every writer has it shared until it has committed, so whoever has it alone has seen all that were under way.
pub(super) const WRITERS: i64 = 0x616e_6e61_6c73;

/// Carries out writes of one tenant in one transaction, in order. Each change is answered for itself.
pub(super) async fn group(pool: &Pool, clock: &Clock, writes: &[&Write]) -> Result<(Vec<Answers>, Added), Failure> {
    let tenant = &writes.first().expect("a group has a write").caller.tenant;
    let changes: Vec<&Change> = writes.iter().flat_map(|write| &write.changes).collect();
    let mut group = Group::begin(pool, clock, tenant, &changes).await?;
    let mut answers = Vec::with_capacity(writes.len());
    for write in writes {
        answers.push(group.write(write, clock).await?);
    }
    let added = group.commit().await?;
    Ok((answers, added))
}

/// Carries out the changes of one write in one transaction, all or none.
pub(super) async fn atomic(
    pool: &Pool,
    clock: &Clock,
    write: &Write,
    terms: &Terms,
) -> Result<(Vec<WriteResult>, Added), Failure> {
    let Write { caller, provenance, changes, sequence: _, part: _ } = write;
    let mut group = Group::begin(pool, clock, &caller.tenant, &changes.iter().collect::<Vec<_>>()).await?;
    // After the locks: of another's request for the same names, which has been carried out then.
    let now = clock.now();
    if let Some(idempotency) = &terms.idempotency
        && let Some(done) = requests::answered(&mut group.tx, &caller.principal, idempotency, now).await?
    {
        return Ok((done, Added::default()));
    }
    let (origin, mut done) = (Origin { caller, provenance, clock }, Vec::with_capacity(changes.len()));
    for step in steps(changes) {
        let mut answers = Vec::with_capacity(step.len());
        group.carry_out(origin, step, &mut answers).await?;
        for (change, answer) in step.iter().zip(answers) {
            let applied = answer.map_err(|refusal| refuse::of_change(done.len(), refusal))?;
            done.push(result_of(change.kind(), applied));
        }
    }
    if terms.validate_only {
        return Ok((done, Added::default()));
    }
    if let Some(idempotency) = &terms.idempotency {
        requests::remember(&mut group.tx, &caller.principal, idempotency, &done, now).await?;
    }
    let added = group.commit().await?;
    Ok((done, added))
}

/// Changes that are read for together; one that depends on what is stored, and not on names that it tells, is alone.
fn steps(changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    changes.chunk_by(|one, next| !is_alone(one) && !is_alone(next))
}

fn is_alone(change: &Change) -> bool {
    matches!(
        change,
        Change::DeleteThing { .. }
            | Change::RegisterNamespace { .. }
            | Change::DeleteNamespace { .. }
            | Change::PutSchema { .. }
            | Change::DeleteSchema { .. }
    )
}

/// A transaction of several writes.
struct Group {
    tx: TenantTx,
    picture: Picture,
    locked: BTreeSet<(EntityKind, Key)>,
    added: Added,
}

/// What planning a change looks up.
#[derive(Default)]
struct Needs {
    locks: BTreeSet<(EntityKind, Key)>,
    things: BTreeSet<Key>,
    canonical: BTreeSet<Name>,
    relationships: BTreeSet<Name>,
    outgoing: BTreeSet<Name>,
}

impl Group {
    /// With everything locked that the changes depend on.
    async fn begin(pool: &Pool, clock: &Clock, tenant: &TenantId, changes: &[&Change]) -> Result<Self, Failure> {
        let tx = pool.tenant(tenant, Purpose::Write).await?;
        let mut group = Self { tx, picture: Picture::default(), locked: BTreeSet::new(), added: Added::default() };
        group.lock_places(changes).await?;
        group.lock(changes).await?;
        // After the locks: of a name that another process has written, at its time or later.
        outbox::go_by(group.tx.connection(), clock).await?;
        Ok(group)
    }

    /// Carries out a write, unless it is refused as a whole.
    async fn write(&mut self, write: &Write, clock: &Clock) -> Result<Answers, Failure> {
        let Write { caller, provenance, changes, sequence: _, part } = write;
        let now = clock.now();
        if let Some(part) = part {
            let committed = imports::imported(&mut self.tx, &caller.principal, &part.import_id, now).await?;
            if let Err(refusal) = part.check(committed) {
                return Ok(Err(refusal));
            }
        }
        let origin = Origin { caller, provenance, clock };
        let mut answers = Vec::with_capacity(changes.len());
        for changes in steps(changes) {
            self.carry_out(origin, changes, &mut answers).await?;
        }
        if let Some(part) = part {
            imports::note(&mut self.tx, &caller.principal, part, now).await?;
        }
        Ok(Ok(answers))
    }

    async fn commit(mut self) -> Result<Added, Failure> {
        self.save().await?;
        self.picture.forget_unborn(&mut self.tx, &self.locked).await?;
        self.tx.commit().await?;
        Ok(self.added)
    }

    /// Whoever may make a state under a first segment has it shared, whoever registers a namespace or puts a schema there has it
    /// alone: so no namespace hides a name that is made at the same time, and no such state breaks the schema.
    async fn lock_places(&mut self, changes: &[&Change]) -> Result<(), Failure> {
        let mut locks = std::collections::BTreeMap::from([(WRITERS, false)]);
        for change in changes {
            let (first, is_alone) = match change {
                Change::PutThing { reference, .. } | Change::PatchThing { reference, .. } => {
                    (first_segment(reference), false)
                }
                Change::PutRelationship { relationship, .. } => (first_segment(&relationship.reference), false),
                Change::RegisterNamespace { ns, .. }
                | Change::DeleteNamespace { ns }
                | Change::PutSchema { ns, .. }
                | Change::DeleteSchema { ns, .. } => (first_of(ns.as_str()), true),
                Change::DeleteThing { .. } | Change::DeleteRelationship { .. } => continue,
            };
            *locks.entry(place_lock(self.tx.tenant(), first)).or_default() |= is_alone;
        }
        let sql = "select case when u.is_alone then pg_advisory_xact_lock(u.key)::text
                else pg_advisory_xact_lock_shared(u.key)::text end
            from (select * from unnest($1::bigint[], $2::boolean[]) u(key, is_alone) order by key) u";
        let (keys, alone): (Vec<i64>, Vec<bool>) = locks.into_iter().unzip();
        sqlx::query(sql).bind(keys).bind(alone).fetch_all(self.tx.connection()).await?;
        Ok(())
    }

    /// Locks all names that these changes depend on, as far as these are known.
    async fn lock(&mut self, changes: &[&Change]) -> Result<(), Failure> {
        let namespaces = changes.iter().flat_map(|change| namespaces_of(change)).collect::<BTreeSet<_>>();
        self.picture.load_namespaces(&mut self.tx, namespaces).await?;
        let needs = Needs::of(changes.iter().copied(), &self.picture);
        self.lock_names(needs.locks).await?;
        // Whoever had a name before may have registered its namespace on the way.
        let unknown: Vec<Namespace> =
            self.picture.namespaces.iter().filter(|(_, known)| known.is_none()).map(|(ns, _)| ns.clone()).collect();
        self.picture.namespaces.retain(|_, known| known.is_some());
        self.picture.load_namespaces(&mut self.tx, unknown).await
    }

    async fn lock_names(&mut self, mut names: BTreeSet<(EntityKind, Key)>) -> Result<(), Failure> {
        names.retain(|name| !self.locked.contains(name));
        self.picture.lock_names(&mut self.tx, names.clone()).await?;
        self.locked.extend(names);
        Ok(())
    }

    async fn carry_out(
        &mut self,
        origin: Origin<'_>,
        changes: &[Change],
        answers: &mut Vec<Result<Applied, Refusal>>,
    ) -> Result<(), Failure> {
        if let [change] = changes
            && is_alone(change)
        {
            // What is looked up is in the tables.
            self.save().await?;
            self.lock(&[change]).await?;
        }
        let needs = Needs::of(changes, &self.picture);
        // After a registration a path may lie elsewhere.
        self.lock_names(needs.locks).await?;
        self.picture.load_things(&mut self.tx, needs.things, true).await?;
        self.picture.load_canonical(&mut self.tx, needs.canonical).await?;
        self.picture.load_relationships(&mut self.tx, needs.relationships).await?;
        self.picture.load_outgoing(&mut self.tx, needs.outgoing).await?;
        let typed = self.picture.typed(changes);
        self.picture.load_schemas(&mut self.tx, typed).await?;
        for change in changes {
            let plan = match change {
                Change::DeleteThing { reference, condition } => self.clear(origin, reference, condition).await,
                Change::RegisterNamespace { ns, .. } => {
                    for (outer, start) in namespaces::outer(ns) {
                        self.picture.load_below(&mut self.tx, outer, start).await?;
                    }
                    self.picture.plan(origin, change.clone())
                }
                Change::DeleteNamespace { ns } => {
                    self.picture.load_below(&mut self.tx, ns.clone(), String::new()).await?;
                    self.picture.plan(origin, change.clone())
                }
                Change::PutSchema { ns, thing_type, schema, since } => {
                    let facts = schemas::facts(&mut self.tx, &self.picture, ns, thing_type, Some((schema, *since)));
                    let facts = facts.await?;
                    crate::schemas::plan_put(origin, ns.clone(), thing_type.clone(), schema, facts)
                        .map_err(Failure::from)
                }
                Change::DeleteSchema { ns, thing_type } => {
                    let facts = schemas::facts(&mut self.tx, &self.picture, ns, thing_type, None).await?;
                    crate::schemas::plan_delete(origin.caller, ns, thing_type, facts).map_err(Failure::from)
                }
                other => self.picture.plan(origin, other.clone()),
            };
            match plan {
                Ok(plan) => answers.push(Ok(self.picture.apply(plan))),
                Err(Failure::Refused(refusal)) => answers.push(Err(refusal)),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Deletes what depends on a thing, so that no moment of history has a relationship without its end; the plan
    /// deletes the thing itself.
    async fn clear(
        &mut self,
        origin: Origin<'_>,
        reference: &Reference,
        condition: &Condition,
    ) -> Result<Plan, Failure> {
        let target = self.picture.to_change(origin, reference, refuse::thing_not_found)?;
        let name = target.key.name();
        if !target.key.variant.is_canonical() || self.picture.thing(&target.key, false)?.is_none() {
            let thing = delete::check(reference, condition, self.picture.delete_facts(&target)?)?;
            return Ok(delete::plan(origin, thing, 0, 0));
        }
        let (relationships, variants) = self.picture.load_dependents(&mut self.tx, &name).await?;
        let thing = delete::check(reference, condition, self.picture.delete_facts(&target)?)?;
        let of_things = variants.iter().map(|key| (EntityKind::Thing, key.clone()));
        let of_relationships = relationships.iter().map(|name| (EntityKind::Relationship, name.clone().into()));
        self.lock_names(of_things.chain(of_relationships).collect()).await?;
        self.picture.load_things(&mut self.tx, variants.iter().cloned(), false).await?;
        self.picture.load_relationships(&mut self.tx, relationships.iter().cloned()).await?;
        let mut counts = [0, 0];
        for name in relationships {
            if let Some(linked) = self.picture.relationship(&name)? {
                self.picture.carry_out(delete::deletion(origin, State::Relationship(linked.relationship)));
                counts[0] += 1;
            }
        }
        for key in variants {
            if let Some(variant) = self.picture.thing(&key, false)? {
                self.picture.carry_out(delete::deletion(origin, State::Thing(variant)));
                counts[1] += 1;
            }
        }
        let [relationships, variants] = counts;
        Ok(delete::plan(origin, thing, variants, relationships))
    }

    async fn save(&mut self) -> Result<(), Failure> {
        let Added { rows, bytes } = self.picture.save(&mut self.tx).await?;
        self.added.rows += rows;
        self.added.bytes += bytes;
        Ok(())
    }
}

impl Needs {
    fn of<'a>(changes: impl IntoIterator<Item = &'a Change>, picture: &Picture) -> Self {
        let mut needs = Self::default();
        for change in changes {
            needs.add(change, picture);
        }
        needs
    }

    fn add(&mut self, change: &Change, picture: &Picture) {
        let key = |reference, field| match picture.place(reference, field) {
            Ok(Place::In(target) | Place::OnTheWay(target)) => Some(target.key),
            // A change before it may register that.
            Ok(Place::Nowhere) => naming::below_first_segment(reference).map(|target| target.key),
            // The plan says why it is refused.
            Ok(Place::Hidden(_)) | Err(_) => None,
        };
        match change {
            Change::PutThing { reference, .. } | Change::PatchThing { reference, .. } => {
                let Some(key) = key(reference, "key") else { return };
                if !key.variant.is_canonical() {
                    self.end(key.name());
                }
                self.locks.insert((EntityKind::Thing, key.clone()));
                self.things.insert(key);
            }
            Change::DeleteThing { reference, .. } => {
                let Some(key) = key(reference, "key") else { return };
                self.locks.insert((EntityKind::Thing, key.clone()));
                self.things.insert(key);
            }
            Change::PutRelationship { relationship, .. } => {
                if let Some(key) = key(&relationship.reference, "key") {
                    self.relationships.insert(key.name());
                    self.locks.insert((EntityKind::Relationship, key));
                }
                if let Some(from) = key(&relationship.from, "from") {
                    self.outgoing.insert(from.name());
                    self.end(from.name());
                }
                if let Some(to) = key(&relationship.to, "to") {
                    self.end(to.name());
                }
            }
            Change::DeleteRelationship { reference, .. } => {
                let Some(key) = key(reference, "key") else { return };
                self.relationships.insert(key.name());
                self.locks.insert((EntityKind::Relationship, key));
            }
            Change::RegisterNamespace { .. }
            | Change::DeleteNamespace { .. }
            | Change::PutSchema { .. }
            | Change::DeleteSchema { .. } => {}
        }
    }

    /// A thing that must be there, and stay.
    fn end(&mut self, name: Name) {
        self.locks.insert((EntityKind::Thing, name.clone().into()));
        self.canonical.insert(name);
    }
}

/// The namespaces whose registration decides which names a change means.
fn namespaces_of(change: &Change) -> Vec<Namespace> {
    match change {
        Change::PutThing { reference, .. }
        | Change::PatchThing { reference, .. }
        | Change::DeleteThing { reference, .. }
        | Change::DeleteRelationship { reference, .. } => naming::candidates(reference),
        Change::PutRelationship { relationship, .. } => {
            let references = [&relationship.reference, &relationship.from, &relationship.to];
            references.into_iter().flat_map(naming::candidates).collect()
        }
        Change::RegisterNamespace { ns, .. }
        | Change::DeleteNamespace { ns }
        | Change::PutSchema { ns, .. }
        | Change::DeleteSchema { ns, .. } => vec![ns.clone()],
    }
}

/// Waits for whoever may create names where a reference lies, and keeps others from it until the transaction ends.
pub(super) async fn alone_in_place(tx: &mut TenantTx, reference: &Reference) -> Result<(), Failure> {
    let lock = place_lock(tx.tenant(), first_segment(reference));
    sqlx::query("select pg_advisory_xact_lock($1)::text").bind(lock).execute(tx.connection()).await?;
    Ok(())
}

fn first_segment(reference: &Reference) -> &str {
    match reference {
        Reference::Parts { ns, .. } => first_of(ns.as_str()),
        Reference::Path(path) => path.first_segment(),
    }
}

fn first_of(text: &str) -> &str {
    text.split('/').next().unwrap_or(text)
}

fn place_lock(tenant: &TenantId, first: &str) -> i64 {
    let digest = Sha256::new_with_prefix(tenant.as_str()).chain_update([0]).chain_update(first).finalize();
    i64::from_be_bytes(*digest.first_chunk().expect("SHA-256 has 32 bytes"))
}
