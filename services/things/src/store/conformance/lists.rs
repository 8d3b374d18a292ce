//! Listing things.

use domain::ThingBody;
use proto::common::v1::Reason;

use super::bed::{Bed, note, ns, owner, reason};
use crate::list::PageRequest;

pub(crate) async fn things_are_listed_by_id_then_variant_as_bytes(bed: Bed) {
    for named in ["onet/b", "onet/a", "onet/ä", "onet/a#es", "onet/Z", "onet/a b", "onet/a#de", "onet/10", "onet/9"] {
        bed.put(named, "one").await;
    }
    let expected = ["onet/10", "onet/9", "onet/Z", "onet/a", "onet/a#de", "onet/a#es", "onet/a b", "onet/b", "onet/ä"];
    assert_eq!(bed.list(&owner(), "onet").await, expected);
}

pub(crate) async fn pages_follow_each_other_without_gap_or_repetition(bed: Bed) {
    for number in 0..10 {
        bed.put(&format!("onet/{number}"), "one").await;
        bed.put(&format!("onet/{number}#es"), "uno").await;
    }
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (names, next) = bed.page(&owner(), "onet", 3, &token).await;
        all.extend(names);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    assert_eq!(all, bed.list(&owner(), "onet").await);
}

pub(crate) async fn a_page_token_is_good_for_its_filter_only(bed: Bed) {
    for named in ["onet/a", "onet/b", "other/a"] {
        bed.put(named, "one").await;
    }
    let (_, token) = bed.page(&owner(), "onet", 1, "").await;
    let page = PageRequest { size: 1, token };
    let other = bed.things.list_things(&owner(), ns("other"), None, &page).await;
    assert_eq!(reason(other).unwrap_err(), Reason::PageTokenInvalid);
    let typed = bed.things.list_things(&owner(), ns("onet"), Some("Note".parse().unwrap()), &page).await;
    assert_eq!(reason(typed).unwrap_err(), Reason::PageTokenInvalid);
}

pub(crate) async fn a_list_can_be_of_one_type(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put_as(&owner(), "onet/b", ThingBody { thing_type: "Task".parse().unwrap(), ..note("two") }).await.unwrap();
    let page = PageRequest { size: 50, token: String::new() };
    let listed = bed.things.list_things(&owner(), ns("onet"), Some("Task".parse().unwrap()), &page).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(listed.items[0].0.key.id.as_str(), "b");
}

pub(crate) async fn an_unregistered_namespace_lists_nothing(bed: Bed) {
    assert_eq!(bed.page(&owner(), "none", 50, "").await, (vec![], String::new()));
}

pub(crate) async fn a_page_ends_before_it_is_too_large(bed: Bed) {
    for number in 0..9 {
        bed.put(&format!("onet/{number}"), &"x".repeat(1 << 20)).await;
    }
    let (names, token) = bed.page(&owner(), "onet", 50, "").await;
    assert_eq!(names.len(), 7);
    let (rest, end) = bed.page(&owner(), "onet", 50, &token).await;
    assert_eq!((rest.len(), end.as_str()), (2, ""));
}

pub(crate) async fn a_namespace_lists_its_own_things_only(bed: Bed) {
    bed.register("onet/more", domain::Style::Wiki).await.unwrap();
    for named in ["onet/a", "onet/more/b", "onet2/c"] {
        bed.put(named, "one").await;
    }
    assert_eq!(bed.list(&owner(), "onet").await, ["onet/a"]);
    assert_eq!(bed.list(&owner(), "onet/more").await, ["onet/more/b"]);
}

pub(crate) async fn the_last_page_has_no_token(bed: Bed) {
    for named in ["onet/a", "onet/b"] {
        bed.put(named, "one").await;
    }
    assert_eq!(bed.page(&owner(), "onet", 2, "").await.1, "");
    assert_ne!(bed.page(&owner(), "onet", 1, "").await.1, "");
}
