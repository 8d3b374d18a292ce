//! Owns the words of this service's refusals. Never decides when to refuse.

use std::time::Duration;

use domain::{Etag, Invalid, Key, Namespace, Reference, Style, TypeName};
use proto::common::v1::Reason;
use serve::Refusal;

use crate::delete::Dependents;
use crate::schema::Breach;
use crate::schemas::{Broken, MAX_BROKEN};

/// When another try is worth it after a failure of the store: a disk that is full stays so for a while.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(1);
/// When a write is worth another try while the outbox is full: about how long events takes to restart.
const OUTBOX_RETRY: Duration = Duration::from_secs(5);

pub(crate) fn thing_not_found(name: &Reference) -> Refusal {
    Refusal::not_found("thing", name)
}

pub(crate) fn relationship_not_found(name: &Reference) -> Refusal {
    Refusal::not_found("relationship", name)
}

pub(crate) fn already_exists(key: &Key, present: Etag) -> Refusal {
    Refusal::new(Reason::AlreadyExists, format!("{key} exists already")).with("etag", present)
}

pub(crate) fn etag_stale(key: &Key, present: Option<Etag>) -> Refusal {
    match present {
        Some(present) => {
            Refusal::new(Reason::EtagStale, format!("{key} has another etag, {present}")).with("etag", present)
        }
        None => Refusal::new(Reason::EtagStale, format!("{key} does not exist, so it has none of the etags")),
    }
}

pub(crate) fn namespace_unregistered(name: &Reference) -> Refusal {
    match name {
        Reference::Parts { ns, .. } => unregistered(ns),
        Reference::Path(path) => register_first(&format!("{path} lies in no registered namespace"), "{ns}"),
    }
}

pub(crate) fn unregistered(ns: &Namespace) -> Refusal {
    register_first(&format!("namespace {ns} is not registered"), ns.as_str())
}

fn register_first(lies: &str, ns: &str) -> Refusal {
    let message = format!(
        "{lies}: register one with `PUT /_/namespaces/{ns}` and {{\"style\":\"wiki\"}}, or {{\"style\":\"literal\"}} \
         where `_` is no space (only a namespace of one segment is registered on the way)"
    );
    Refusal::new(Reason::NamespaceUnregistered, message)
}

pub(crate) fn style_fixed(ns: &Namespace, style: Style) -> Refusal {
    let message = format!("namespace {ns} is registered with style {}, which is fixed", style.as_str());
    Refusal::new(Reason::NamespaceStyleFixed, message).with("style", style.as_str())
}

pub(crate) fn name_shadowed(name: &Reference, by: &Namespace) -> Refusal {
    let message = format!("{name} would be hidden by the registered namespace {by}: name it as one of {by}");
    Refusal::new(Reason::NameShadowed, message).with("ns", by)
}

pub(crate) fn namespace_shadows(ns: &Namespace, hidden_in: &Namespace) -> Refusal {
    let message = format!("namespace {ns} would hide a name that namespace {hidden_in} has or had below {ns}/");
    Refusal::new(Reason::NameShadowed, message).with("ns", hidden_in)
}

pub(crate) fn namespace_not_found(ns: &Namespace) -> Refusal {
    Refusal::new(Reason::NotFound, format!("namespace {ns} is not registered"))
}

pub(crate) fn namespace_not_empty(ns: &Namespace) -> Refusal {
    let message = format!("namespace {ns} has or had names, whose history stays: it stays with them");
    Refusal::new(Reason::NamespaceNotEmpty, message)
}

/// Of data in `field`.
pub(crate) fn schema_violated(thing_type: &TypeName, field: &str, breaches: Vec<Breach>) -> Refusal {
    let violations: Vec<Invalid> =
        breaches.into_iter().map(|Breach { at, rule }| Invalid::new(format!("{field}{at}"), rule)).collect();
    let first = violations.first().map(ToString::to_string).unwrap_or_default();
    let message = format!("data break the schema of type {thing_type}: {first}");
    Refusal { violations, ..Refusal::new(Reason::SchemaViolated, message) }
}

pub(crate) fn schema_broken(ns: &Namespace, thing_type: &TypeName, broken: Vec<Broken>) -> Refusal {
    let count = match broken.len() {
        MAX_BROKEN.. => format!("{MAX_BROKEN} things of it or more"),
        1 => "one thing of it".to_owned(),
        count => format!("{count} things of it"),
    };
    let message = format!("type {thing_type} in {ns} cannot have this schema: {count} would break it");
    let named = |Broken { key, breach: Breach { at, rule } }: Broken| {
        let rule = if at.is_empty() { rule } else { format!("{at}: {rule}") };
        Invalid::new(key.to_string(), rule)
    };
    Refusal { violations: broken.into_iter().map(named).collect(), ..Refusal::new(Reason::SchemaBroken, message) }
}

/// Also of one whose namespace the caller may not read.
pub(crate) fn schema_not_found(ns: &Namespace, thing_type: &TypeName) -> Refusal {
    Refusal::new(Reason::NotFound, format!("type {thing_type} in {ns} has no schema"))
}

pub(crate) fn end_missing(end: &'static str, name: &Reference) -> Refusal {
    Refusal::new(Reason::EndMissing, format!("{end}: thing {name} does not exist")).with("end", end)
}

/// Of a put over a relationship that the caller may write and does not see.
pub(crate) fn relationship_unseen(key: &Key) -> Refusal {
    let message =
        format!("relationship {key} is taken, and an end that it has does not exist for you: delete it first");
    Refusal::new(Reason::EndMissing, message)
}

pub(crate) fn canonical_missing(key: &Key) -> Refusal {
    let canonical = key.to_canonical();
    Refusal::new(Reason::CanonicalMissing, format!("{key} is a variant of {canonical}, which does not exist"))
}

pub(crate) fn relationships_exhausted(from: &domain::Name, limit: usize) -> Refusal {
    let message = format!("{from} has {limit} outgoing relationships, the most that a thing may have");
    Refusal::new(Reason::RelationshipsExhausted, message)
}

pub(crate) fn dependents_exceeded(key: &Key) -> Refusal {
    let (count, bytes) = (Dependents::MAX_COUNT, Dependents::MAX_BYTES);
    let message = format!(
        "at most {count} variants and relationships, of {bytes} bytes together, are deleted with a thing, and {key} has \
         more: delete relationships at it (or variants of it) first"
    );
    Refusal::new(Reason::DependentsExceeded, message)
}

pub(crate) fn as_of_in_future() -> Refusal {
    Refusal::new(Reason::AsOfInFuture, "as_of is in the future: the past is all there is to read")
}

pub(crate) fn request_id_reused(request_id: &str) -> Refusal {
    let message = format!("request_id {request_id} was another request's, less than 24 hours ago: take a new one");
    Refusal::new(Reason::RequestIdReused, message)
}

pub(crate) fn import_out_of_order(import_id: &str, begins: u64, committed: u64) -> Refusal {
    let message = format!(
        "{committed} rows of import {import_id} are committed, and what came begins with row {begins}: ask for next_row and go on there"
    );
    Refusal::new(Reason::ImportOutOfOrder, message).with("next_row", committed)
}

/// Of changes that are written together, all of which one refuses. Facts for machines stay one: several are in any order on the
/// wire, and a refusal that hides whether something exists is the same bytes each time.
pub(crate) fn of_change(number: usize, mut refusal: Refusal) -> Refusal {
    refusal.violations =
        refusal.violations.into_iter().map(|broken| broken.within(&format!("changes[{number}]"))).collect();
    refusal.message = format!("changes[{number}]: {}", refusal.message);
    refusal
}

pub(crate) fn outbox_full() -> Refusal {
    Refusal::overloaded("the outbox of mutations that events has not taken yet", OUTBOX_RETRY)
}

/// Of an answer that is read while it is sent.
pub(crate) fn client_stalled(after: Duration) -> Refusal {
    let message = format!("nothing of the answer was taken for {} seconds", after.as_secs());
    Refusal::new(Reason::DeadlineExceeded, message)
}

/// Of an answer that would be read while it is sent.
pub(crate) fn streams_full() -> Refusal {
    Refusal::overloaded("the number of answers that are read while they are sent", STORE_RETRY)
}

/// The store cannot be read or written now.
pub(crate) fn store_unavailable() -> Refusal {
    let message = "the store cannot be read or written; nothing was kept";
    Refusal::new(Reason::StoreUnavailable, message).retry_after(STORE_RETRY)
}
