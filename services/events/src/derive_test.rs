//! Deriving severity and category, and the counts that the lists give.

use proto::{convert::new_event, events::v1 as wire};

use super::*;

fn filled(event: wire::Event) -> EventBody {
    let event_type = if event.event_type.is_empty() { "log".to_owned() } else { event.event_type };
    let mut body = new_event(wire::Event { event_type, ..event }).unwrap().body;
    fill(&mut body);
    body
}

fn severity_of(event: wire::Event) -> Severity {
    filled(event).severity.unwrap()
}

#[test]
fn what_the_sender_says_stands() {
    let body = filled(wire::Event {
        severity: "trace".into(),
        category: "mine".into(),
        log_count: Some(9),
        logs: "[1]".into(),
        status: Some(500),
        ..wire::Event::default()
    });
    assert_eq!((body.severity, body.category.as_deref()), (Some(Severity::Trace), Some("mine")));
    assert_eq!(body.log_count, Some(9));
}

#[test]
fn severity_is_the_worst_that_an_event_shows() {
    let event = wire::Event::default;
    let cases = [
        (event(), Severity::Info),
        (wire::Event { status: Some(399), outcome: "ok".into(), ..event() }, Severity::Info),
        (wire::Event { logs: "[{\"level\":\"debug\"}]".into(), ..event() }, Severity::Info),
        (wire::Event { status: Some(404), ..event() }, Severity::Warn),
        (wire::Event { outcome: "canceled".into(), ..event() }, Severity::Warn),
        (wire::Event { logs: "[{\"level\":\"WARN\"},1]".into(), ..event() }, Severity::Warn),
        (wire::Event { status: Some(503), outcome: "canceled".into(), ..event() }, Severity::Error),
        (wire::Event { outcome: "exceededCpu".into(), ..event() }, Severity::Error),
        (wire::Event { logs: "[{\"Level\":\"error\"}]".into(), ..event() }, Severity::Error),
        (wire::Event { exceptions: "[{}]".into(), ..event() }, Severity::Error),
        (wire::Event { error_message: "m".into(), ..event() }, Severity::Error),
        (wire::Event { event_type: "error".into(), ..event() }, Severity::Error),
    ];
    for (event, severity) in cases {
        assert_eq!(severity_of(event.clone()), severity, "{event:?}");
    }
}

#[test]
fn category_is_the_first_that_fits() {
    let event = wire::Event::default;
    let cases = [
        (wire::Event { event_type: "mutation".into(), ..event() }, "mutation"),
        (wire::Event { exception_count: Some(1), status: Some(500), ..event() }, "exception"),
        (wire::Event { rpc_method: "Get".into(), method: "POST".into(), ..event() }, "rpc"),
        (wire::Event { url: "/".into(), ..event() }, "http"),
        (wire::Event { event_type: "metric".into(), ..event() }, "metric"),
    ];
    for (event, category) in cases {
        assert_eq!(filled(event.clone()).category.as_deref(), Some(category), "{event:?}");
    }
}

#[test]
fn counts_are_the_lengths_of_their_lists() {
    let body = filled(wire::Event { logs: "[1,2]".into(), exceptions: "[]".into(), ..wire::Event::default() });
    assert_eq!((body.log_count, body.exception_count, body.has_exception), (Some(2), Some(0), false));
    let body = filled(wire::Event::default());
    assert_eq!((body.log_count, body.exception_count), (None, None));
}
