//! Owns how an error is told on standard error: what, which field and rule, what to do next.

use std::fmt::Write as _;

use proto::common::v1::Reason;
use serve::Refusal;
use tonic::Status;

use crate::render::plain;

/// The text for a person.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let status = error.chain().find_map(|cause| cause.downcast_ref::<Status>());
    let Some(status) = status else { return format!("error: {}\n", plain(&format!("{error:#}"))) };
    let refusal = Refusal::from_status(status);
    let mut text = String::from("error: ");
    // What was being done stands before the refusal.
    for context in error.chain().take_while(|cause| !cause.is::<Status>()) {
        let _ = write!(text, "{}: ", plain(&context.to_string()));
    }
    let _ = writeln!(text, "{}", plain(&refusal.message));
    let mut fact = |word: &str, value: &str| {
        let _ = writeln!(text, "  {word:<7} {}", plain(value));
    };
    for violation in &refusal.violations {
        fact("field", &violation.field);
        fact("rule", &violation.rule);
    }
    if refusal.reason != Reason::Unspecified {
        fact("reason", refusal.reason_name());
    }
    for (name, value) in &refusal.metadata {
        fact(name, value);
    }
    if let Some(next) = next(&refusal) {
        fact("next", &next);
    }
    text
}

fn next(refusal: &Refusal) -> Option<String> {
    let step = match refusal.reason {
        Reason::NotFound => "look for it with `annals list NS/`; what was deleted is read with --at",
        Reason::EtagStale => "read the present state with `annals get`, then repeat the change with its etag",
        Reason::AlreadyExists => "leave --create away to replace it",
        Reason::NamespaceUnregistered => "register it with `annals namespace register NS`",
        Reason::NamespaceStyleFixed => "leave --style away: a namespace keeps the style that it was registered with",
        Reason::SchemaViolated => "correct the data; `annals schema get NS TYPE` shows what they must satisfy",
        Reason::SchemaBroken => "correct these things, or put a schema that they satisfy",
        Reason::EndMissing => "put the things at both ends first",
        Reason::CanonicalMissing => "put the thing itself first, without its variant",
        Reason::Unauthenticated => "give a key with --key or ANNALS_KEY; `annals key new` makes one",
        Reason::PermissionDenied => "use a key that has the scope; its entry in keys.toml says which it has",
        Reason::AsOfInFuture => "give --at a time that has passed; leave it away for the present",
        Reason::FieldInvalid | Reason::FieldUnknown | Reason::MessageTooLarge => "correct it and run the command again",
        Reason::QueryTooLarge => "ask for less time, fewer events or fewer groups",
        Reason::RelayBehind
        | Reason::Overloaded
        | Reason::QuotaExceeded
        | Reason::JournalUnavailable
        | Reason::StoreUnavailable
        | Reason::PeerUnavailable
        | Reason::EmbedderUnavailable
        | Reason::DeadlineExceeded
        | Reason::Cancelled => {
            return Some(match refusal.retry_after {
                Some(delay) => format!("run the command again in {} s", delay.as_secs_f64().ceil()),
                None => "run the command again".into(),
            });
        }
        Reason::Internal => "look for that id in the server's log",
        _ => return None,
    };
    Some(step.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_field_rule_reason_and_next_step() {
        let status = Status::from(Refusal::invalid_field("thing.type", "is required"));
        let expected = "error: the import stopped: thing.type: is required\n  field   thing.type\n  rule    is required\n  \
                        reason  FIELD_INVALID\n  next    correct it and run the command again\n";
        assert_eq!(told(&anyhow::Error::from(status).context("the import stopped")), expected);
    }

    #[test]
    fn an_error_of_our_own_is_told_with_its_causes() {
        let error = anyhow::anyhow!("no such file").context("people.tsv cannot be read");
        assert_eq!(told(&error), "error: people.tsv cannot be read: no such file\n");
    }

    #[test]
    fn a_stale_etag_says_what_to_do() {
        let refusal = Refusal::new(Reason::EtagStale, "the etag is not the present one").with("etag", "01X");
        let text = told(&Status::from(refusal).into());
        assert!(text.contains("  etag    01X\n  next    read the present state"), "{text}");
    }
}
