//! Timeouts as gRPC writes them, and when a verb gives up.

use super::*;

fn header(text: &str) -> Result<Option<Duration>, Invalid> {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", text.parse().expect("ASCII"));
    requested(&headers)
}

#[test]
fn every_unit_of_the_grpc_specification_is_read() {
    let millis = |text| header(text).map(|timeout| timeout.map(|timeout| timeout.as_micros()));
    assert_eq!(millis("1H"), Ok(Some(3_600_000_000)));
    assert_eq!(millis("2M"), Ok(Some(120_000_000)));
    assert_eq!(millis("3S"), Ok(Some(3_000_000)));
    assert_eq!(millis("4m"), Ok(Some(4_000)));
    assert_eq!(millis("5u"), Ok(Some(5)));
    assert_eq!(millis("6000n"), Ok(Some(6)));
    assert_eq!(requested(&HeaderMap::new()), Ok(None));
}

#[test]
fn what_is_no_timeout_is_refused_by_name() {
    for text in ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1 S", "1.5S"] {
        let invalid = header(text).expect_err(text);
        assert_eq!(invalid.field, "grpc-timeout", "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_verb_gives_up_a_little_before_the_deadline() {
    let now = Instant::now();
    let long = Deadline::after(Duration::from_secs(10));
    assert_eq!(long.give_up() - now, Duration::from_millis(9_900));
    let short = Deadline::after(Duration::from_millis(200));
    assert_eq!(short.give_up() - now, Duration::from_millis(180));
    tokio::time::advance(Duration::from_millis(150)).await;
    assert_eq!(short.remaining(), Duration::from_millis(50));
    tokio::time::advance(Duration::from_millis(150)).await;
    assert_eq!(short.remaining(), Duration::ZERO);
}
