//! What each tenant uses against what it may use: calls and bytes per second, streams at a time.
//!
//! Owns the counters, in memory and per service process. Never refuses another service of Annals: the relay must
//! not wait for a tenant's quota.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::TenantId;
use tokio::time::Instant;

use crate::auth::{Caller, Keyring};
use crate::refusal::{QuotaFailure, Refusal};

/// When to try again where no rate tells it: a stream ends when its caller ends it.
const STREAM_RETRY: Duration = Duration::from_secs(1);

/// The usage of every tenant. Clones share it.
#[derive(Clone)]
pub struct Usage {
    keyring: Keyring,
    tenants: Arc<Mutex<HashMap<TenantId, Arc<Mutex<Counters>>>>>,
}

/// A call that has been counted: what it sends is, too, and its stream is open until this is dropped.
pub struct Admitted(Option<Counted>);

struct Counted {
    counters: Arc<Mutex<Counters>>,
    limit: Option<NonZeroU64>,
    is_stream: bool,
}

#[derive(Default)]
struct Counters {
    requests: Bucket,
    bytes: Bucket,
    streams: u64,
}

/// Tokens for one second's worth of a rate, refilled as time passes; below zero is a debt.
#[derive(Default)]
struct Bucket {
    used: f64,
    at: Option<Instant>,
}

impl Bucket {
    /// Lets what was used flow off at `rate` a second.
    fn refill(&mut self, rate: f64) {
        let now = Instant::now();
        let passed = self.at.replace(now).map_or(Duration::ZERO, |at| now - at);
        self.used = (self.used - passed.as_secs_f64() * rate).max(0.0);
    }

    /// How long until `amount` fits into one second's worth.
    fn wait(&mut self, limit: NonZeroU64, amount: f64) -> Option<Duration> {
        let rate = limit.get() as f64;
        self.refill(rate);
        let excess = self.used + amount - rate;
        (excess > 0.0).then(|| Duration::from_secs_f64(excess / rate))
    }
}

impl Usage {
    /// Nobody has used anything yet.
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring, tenants: Arc::default() }
    }

    /// Counts a call, or refuses it with the quota and the time to come back.
    pub fn admit(&self, caller: &Caller, is_stream: bool) -> Result<Admitted, Refusal> {
        let quotas = self.keyring.quotas(&caller.tenant);
        if caller.is_peer() || quotas == crate::auth::Quotas::default() {
            return Ok(Admitted(None));
        }
        let shared = self.counters(&caller.tenant);
        let mut counters = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = |what: &str, limit: NonZeroU64, wait: Duration| {
            let quota =
                QuotaFailure { subject: format!("tenant:{}", caller.tenant), description: format!("{what}: {limit}") };
            Err(Refusal::quota_exceeded(quota, wait))
        };
        if let Some(limit) = quotas.concurrent_streams.filter(|limit| is_stream && counters.streams >= limit.get()) {
            return refusal("concurrent streams", limit, STREAM_RETRY);
        }
        if let Some(limit) = quotas.bytes_per_second
            && let Some(wait) = counters.bytes.wait(limit, 0.0)
        {
            return refusal("bytes per second", limit, wait);
        }
        if let Some(limit) = quotas.requests_per_second {
            if let Some(wait) = counters.requests.wait(limit, 1.0) {
                return refusal("requests per second", limit, wait);
            }
            counters.requests.used += 1.0;
        }
        counters.streams += u64::from(is_stream);
        drop(counters);
        Ok(Admitted(Some(Counted { counters: shared, limit: quotas.bytes_per_second, is_stream })))
    }

    fn counters(&self, tenant: &TenantId) -> Arc<Mutex<Counters>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = tenants.get(tenant) {
            return Arc::clone(counters);
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }
}

impl Admitted {
    /// Counts bytes of the request as they arrive. What is over is owed: the next call waits for it.
    pub fn received(&self, bytes: usize) {
        let Some(Counted { counters, limit: Some(limit), .. }) = &self.0 else { return };
        let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.bytes.refill(limit.get() as f64);
        counters.bytes.used += bytes as f64;
    }

    /// How long until what a stream has sent fits its tenant's quota; until then nothing more is read of it. Other calls
    /// are refused before they begin.
    pub fn owed(&self) -> Option<Duration> {
        let Some(Counted { counters, limit: Some(limit), is_stream: true }) = &self.0 else { return None };
        counters.lock().unwrap_or_else(PoisonError::into_inner).bytes.wait(*limit, 0.0)
    }

    /// Whether this counts anything at all.
    pub fn is_metered(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.is_stream {
            self.counters.lock().unwrap_or_else(PoisonError::into_inner).streams -= 1;
        }
    }
}

#[cfg(test)]
#[path = "quota_test.rs"]
mod tests;
