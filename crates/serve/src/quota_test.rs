//! The counters of a tenant, on a clock that stands still.

use super::*;
use crate::stub;

const KEYS: &str = "[[keys]]\nid = 'a'\nsha256 = '0000000000000000000000000000000000000000000000000000000000000000'\n\
                    tenant = 'acme'\nscopes = ['read:*']\n";

fn usage(quotas: &str) -> Usage {
    let (context, _) = stub::context_with_keys(&format!("{KEYS}quotas = {{ {quotas} }}\n"));
    Usage::new(context.keyring)
}

fn caller() -> Caller {
    Caller::anonymous("acme".parse().expect("a tenant"))
}

fn refused(admitted: Result<Admitted, Refusal>) -> Refusal {
    admitted.err().expect("the quota is used up")
}

#[tokio::test(start_paused = true)]
async fn calls_above_the_rate_are_refused_until_the_time_that_is_told() {
    let usage = usage("requests_per_second = 2");
    for _ in 0..2 {
        usage.admit(&caller(), false).expect("within the rate");
    }
    let refusal = refused(usage.admit(&caller(), false));
    let quota = refusal.quota.expect("it is told which");
    assert_eq!((&*quota.subject, &*quota.description), ("tenant:acme", "requests per second: 2"));
    let wait = refusal.retry_after.expect("it is told when");
    assert_eq!(wait, Duration::from_millis(500));
    tokio::time::advance(wait).await;
    usage.admit(&caller(), false).expect("as was told");
    refused(usage.admit(&caller(), false));
}

#[tokio::test(start_paused = true)]
async fn bytes_above_the_rate_are_owed_by_the_next_call() {
    let usage = usage("bytes_per_second = 1000");
    usage.admit(&caller(), false).expect("nothing is owed yet").received(3000);
    let refusal = refused(usage.admit(&caller(), false));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)));
    tokio::time::advance(Duration::from_secs(2)).await;
    usage.admit(&caller(), false).expect("it is paid");
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_until_it_ends_and_a_unary_call_never_does() {
    let usage = usage("concurrent_streams = 1");
    let open = usage.admit(&caller(), true).expect("the first");
    usage.admit(&caller(), false).expect("no stream");
    assert_eq!(refused(usage.admit(&caller(), true)).quota.expect("which").description, "concurrent streams: 1");
    drop(open);
    usage.admit(&caller(), true).expect("the first has ended");
}

#[tokio::test(start_paused = true)]
async fn another_tenant_and_another_service_are_not_held_back() {
    let usage = usage("requests_per_second = 1");
    usage.admit(&caller(), false).expect("within the rate");
    refused(usage.admit(&caller(), false));
    for _ in 0..9 {
        usage.admit(&Caller::anonymous("other".parse().expect("a tenant")), false).expect("of another tenant");
        usage.admit(&Caller::peer(caller().tenant), false).expect("a peer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_until_what_it_sent_is_paid() {
    let usage = usage("bytes_per_second = 1000");
    let (stream, unary) =
        (usage.admit(&caller(), true).expect("a stream"), usage.admit(&caller(), false).expect("a call"));
    assert_eq!(stream.owed(), None);
    stream.received(3000);
    assert_eq!((stream.owed(), unary.owed()), (Some(Duration::from_secs(2)), None));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(stream.owed(), None);
}
