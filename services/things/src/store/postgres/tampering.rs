//! Owns taking away, for a test, what keeps tenants apart: row level security, or conditions of statements. Of its own tenants
//! only, so that other tests keep theirs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use domain::TenantId;

/// What each statement has, once or more.
const CONDITION: &str = "tenant = $1";
/// What it is replaced by, which holds of every tenant: no id has a slash.
const ANYBODY: &str = "tenant <> $1::text || '/'";

/// What is taken away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(in crate::store) struct Tampering {
    /// Whether row level security is bypassed.
    pub(in crate::store) bypasses: bool,
    /// Conditions.
    pub(in crate::store) without: Without,
}

/// Which conditions are taken away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(in crate::store) enum Without {
    #[default]
    None,
    All,
    /// That one of that statement.
    One(&'static str, usize),
}

static TAMPERING: LazyLock<Mutex<HashMap<TenantId, Tampering>>> = LazyLock::new(Mutex::default);
/// Statements that were run, by tampered tenants, each with how many conditions it has.
static SEEN: LazyLock<Mutex<BTreeMap<&'static str, usize>>> = LazyLock::new(Mutex::default);
/// Statements that were made, which live as long as the process.
static MADE: LazyLock<Mutex<BTreeSet<&'static str>>> = LazyLock::new(Mutex::default);

/// From now on, for these tenants.
pub(in crate::store) fn tamper<'a>(tenants: impl IntoIterator<Item = &'a TenantId>, tampering: Tampering) {
    lock(&TAMPERING).extend(tenants.into_iter().map(|tenant| (tenant.clone(), tampering)));
}

/// Every condition of every statement that was run by tenants that were tampered with.
pub(in crate::store) fn conditions() -> Vec<Without> {
    let seen = lock(&SEEN);
    seen.iter().flat_map(|(sql, count)| (0..*count).map(|number| Without::One(sql, number))).collect()
}

/// The role that serves a tenant; nobody's is that of who connects, to whom the tests' server denies nothing.
pub(super) fn role(tenant: &TenantId, role: &'static str) -> &'static str {
    if lock(&TAMPERING).get(tenant).is_some_and(|tampering| tampering.bypasses) { "none" } else { role }
}

/// A statement without the conditions that are taken away from this tenant.
pub(super) fn tampered<'q>(tenant: &TenantId, sql: &'q str) -> &'q str {
    let Some(Tampering { without, .. }) = lock(&TAMPERING).get(tenant).copied() else { return sql };
    let count = sql.matches(CONDITION).count();
    if !lock(&SEEN).contains_key(sql) {
        lock(&SEEN).insert(kept(sql), count);
    }
    match without {
        Without::All => kept(&sql.replace(CONDITION, ANYBODY)),
        Without::One(of, number) if of == sql => {
            let (at, _) = sql.match_indices(CONDITION).nth(number).expect("it has that condition");
            kept(&format!("{}{ANYBODY}{}", &sql[..at], &sql[at + CONDITION.len()..]))
        }
        Without::None | Without::One(..) => sql,
    }
}

fn kept(sql: &str) -> &'static str {
    let mut made = lock(&MADE);
    if let Some(sql) = made.get(sql) {
        return sql;
    }
    let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
    made.insert(sql);
    sql
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
