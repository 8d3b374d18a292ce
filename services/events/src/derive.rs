//! Owns the columns that are derived where the sender gave none; the rules are in docs/wire.md. Never overwrites one.

use domain::{EventBody, Json, JsonText, Severity, json};

/// Outcomes of an invocation that nobody needs to look at.
const GOOD_OUTCOMES: [&str; 2] = ["ok", "unknown"];
/// Outcomes of which the caller is the cause.
const ABANDONED_OUTCOMES: [&str; 3] = ["canceled", "aborted", "responseStreamDisconnected"];

/// Fills `log_count`, `exception_count`, `has_exception`, `severity` and `category` where they are absent.
pub(crate) fn fill(body: &mut EventBody) {
    let logs = elements(body.logs.as_ref());
    if body.logs.is_some() {
        body.log_count.get_or_insert(logs.len() as u32);
    }
    if let Some(exceptions) = &body.exceptions {
        body.exception_count.get_or_insert_with(|| elements(Some(exceptions)).len() as u32);
    }
    body.has_exception |= body.exception_count.is_some_and(|count| count > 0);
    if body.severity.is_none() {
        body.severity = Some(severity(body, &logs));
    }
    if body.category.is_none() {
        body.category = Some(category(body).into());
    }
}

fn severity(body: &EventBody, logs: &[Json]) -> Severity {
    let outcome = body.outcome.as_deref().unwrap_or("ok");
    let is_abandoned = ABANDONED_OUTCOMES.contains(&outcome);
    let has_failed = !is_abandoned && !GOOD_OUTCOMES.contains(&outcome);
    let has_error = body.has_exception || body.error_type.is_some() || body.error_message.is_some();
    let status = body.status.unwrap_or(0);
    let logged = |level| logs.iter().any(|log| level_of(log).is_some_and(|word| word.eq_ignore_ascii_case(level)));
    if has_error || has_failed || status >= 500 || body.event_type.as_str() == "error" || logged("error") {
        Severity::Error
    } else if is_abandoned || status >= 400 || logged("warn") {
        Severity::Warn
    } else {
        Severity::Info
    }
}

fn category(body: &EventBody) -> &str {
    let is_request = body.url.is_some() || body.method.is_some() || body.status.is_some();
    if body.event_type.is_mutation() {
        "mutation"
    } else if body.has_exception || body.error_type.is_some() {
        "exception"
    } else if body.rpc_method.is_some() {
        "rpc"
    } else if is_request {
        "http"
    } else {
        body.event_type.as_str()
    }
}

fn level_of(log: &Json) -> Option<&str> {
    log.get("level").or_else(|| log.get("Level"))?.as_str()
}

/// The elements of a JSON array that was checked when it was taken in.
fn elements(text: Option<&JsonText>) -> Vec<Json> {
    match text.map(|text| json::parse(text.as_str())) {
        Some(Ok(Json::Array(elements))) => elements,
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "derive_test.rs"]
mod tests;
