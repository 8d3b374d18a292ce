//! Lists and counts of things that fulfil conditions.

use domain::{Data, Namespace, Style, ThingBody, Visibility};
use serve::Caller;

use super::bed::{Bed, anonymous, keyed, note, ns, owner, private, unlisted};
use crate::list::PageRequest;
use crate::store::{After, Order, Scope, ThingFilter, ThingQuery};

impl Bed {
    /// What all pages of a list have, `size` on each; and whether a count agrees.
    async fn all(&self, who: &Caller, filter: &ThingFilter, order: &Order, size: usize) -> Vec<String> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = PageRequest { size, token, question: Vec::new() };
            let listed = self.things.list_things(who, filter.clone(), order.clone(), &page).await.unwrap();
            all.extend(listed.items.iter().map(|(thing, _)| thing.key.to_string()));
            token = listed.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(self.things.count_things(who, filter.clone()).await.unwrap(), all.len() as u64, "{filter:?}");
        all
    }

    async fn filtered(&self, filter: ThingFilter) -> Vec<String> {
        self.all(&owner(), &filter, &Order::Name, 2).await
    }

    async fn where_data(&self, conditions: &[&str]) -> Vec<String> {
        let fields = conditions.iter().map(|condition| condition.parse().unwrap()).collect();
        self.filtered(ThingFilter { fields, ..of("onet") }).await
    }

    async fn put_data(&self, named: &str, data: &str) {
        let body = ThingBody { data: Some(Data::parse(data).unwrap()), ..note("one") };
        self.put_as(&owner(), named, body).await.unwrap();
    }
}

fn of(named: &str) -> ThingFilter {
    ThingFilter::all_of(Scope::Exactly(ns(named)))
}

fn under(named: &str) -> ThingFilter {
    ThingFilter::all_of(Scope::Under(ns(named)))
}

pub(crate) async fn a_list_can_be_of_one_visibility_or_code(bed: Bed) {
    let code = |code: &str| ThingBody { code: Some(code.parse().unwrap()), ..note("one") };
    bed.put_as(&owner(), "onet/a", code("x")).await.unwrap();
    bed.put_as(&owner(), "onet/b", code("X")).await.unwrap();
    bed.put_as(&owner(), "onet/c", private("one")).await.unwrap();
    bed.put_as(&owner(), "onet/d", unlisted("one")).await.unwrap();
    let coded = ThingFilter { code: Some("x".parse().unwrap()), ..of("onet") };
    assert_eq!(bed.filtered(coded.clone()).await, ["onet/a"]);
    let with = |visibility| ThingFilter { visibility: Some(visibility), ..of("onet") };
    assert_eq!(bed.filtered(with(Visibility::Public)).await, ["onet/a", "onet/b"]);
    assert_eq!(bed.filtered(with(Visibility::Private)).await, ["onet/c"]);
    assert_eq!(bed.filtered(with(Visibility::Unlisted)).await, ["onet/d"]);
    let both = ThingFilter { visibility: Some(Visibility::Private), ..coded };
    assert_eq!(bed.filtered(both).await, [""; 0]);
    for visibility in [Visibility::Private, Visibility::Unlisted] {
        assert_eq!(bed.all(&anonymous(), &with(visibility), &Order::Name, 2).await, [""; 0]);
    }
}

pub(crate) async fn a_list_can_be_of_what_was_changed_in_a_time(bed: Bed) {
    let mut times = Vec::new();
    for named in ["onet/c", "onet/a", "onet/b"] {
        bed.clock.advance(1_000);
        times.push(bed.put(named, "one").await.state.etag.time());
    }
    let changed = |from, until| ThingFilter { updated_from: from, updated_until: until, ..of("onet") };
    assert_eq!(bed.filtered(changed(Some(times[1]), None)).await, ["onet/a", "onet/b"]);
    assert_eq!(bed.filtered(changed(None, Some(times[1]))).await, ["onet/c"]);
    assert_eq!(bed.filtered(changed(Some(times[0]), Some(times[2]))).await, ["onet/a", "onet/c"]);
    assert_eq!(bed.filtered(changed(Some(times[1]), Some(times[1]))).await, [""; 0]);
    let order = Order::UpdatedLast(ns("onet"));
    let early = changed(None, Some(times[2]));
    assert_eq!(bed.all(&owner(), &early, &order, 1).await, ["onet/a", "onet/c"]);
}

pub(crate) async fn a_list_can_be_of_fields_of_data(bed: Bed) {
    bed.put_data("onet/berlin", r#"{"city":"Berlin","year":1237,"tags":["a","b"],"of":{"x/y":null}}"#).await;
    bed.put_data("onet/bonn", r#"{"city":"Bonn","year":1.2e3,"tags":[],"of":{}}"#).await;
    bed.put_data("onet/ulm", r#"{"city":"Ulm","year":"854"}"#).await;
    bed.put("onet/none", "one").await;
    assert_eq!(bed.where_data(&["/city=Bonn"]).await, ["onet/bonn"]);
    assert_eq!(bed.where_data(&["/city=[\"Ulm\",\"Berlin\"]"]).await, ["onet/berlin", "onet/ulm"]);
    assert_eq!(bed.where_data(&["/year=1200.0"]).await, ["onet/bonn"]);
    assert_eq!(bed.where_data(&["/year>=1200", "/year<1237"]).await, ["onet/bonn"]);
    assert_eq!(bed.where_data(&["/year=\"854\""]).await, ["onet/ulm"]);
    assert_eq!(bed.where_data(&["/city>=Bo"]).await, ["onet/bonn", "onet/ulm"]);
    assert_eq!(bed.where_data(&["/tags=b"]).await, ["onet/berlin"]);
    assert_eq!(bed.where_data(&["/tags"]).await, ["onet/berlin", "onet/bonn"]);
    assert_eq!(bed.where_data(&["!/tags"]).await, ["onet/none", "onet/ulm"]);
    assert_eq!(bed.where_data(&["/of/x~1y=null"]).await, ["onet/berlin"]);
    assert_eq!(bed.where_data(&["/city=Bonn", "/tags=b"]).await, [""; 0]);
}

pub(crate) async fn strings_of_data_are_compared_as_bytes_and_numbers_as_doubles(bed: Bed) {
    for (named, data) in [
        ("onet/1", r#"{"v":"Z"}"#),
        ("onet/2", r#"{"v":"a"}"#),
        ("onet/3", r#"{"v":"é"}"#),
        ("onet/4", r#"{"v":9007199254740993}"#),
        ("onet/5", r#"{"v":9007199254740992.0}"#),
        ("onet/6", r#"{"v":-0.0}"#),
        ("onet/7", r#"{"v":1e-308}"#),
    ] {
        bed.put_data(named, data).await;
    }
    assert_eq!(bed.where_data(&["/v>=\"a\""]).await, ["onet/2", "onet/3"]);
    assert_eq!(bed.where_data(&["/v<\"b\""]).await, ["onet/1", "onet/2"]);
    assert_eq!(bed.where_data(&["/v=9007199254740992"]).await, ["onet/4", "onet/5"]);
    assert_eq!(bed.where_data(&["/v=0"]).await, ["onet/6"]);
    assert_eq!(bed.where_data(&["/v>=0", "/v<1"]).await, ["onet/6", "onet/7"]);
}

pub(crate) async fn a_prefix_lists_a_namespace_and_those_under_it(bed: Bed) {
    for other in ["onet/more", "onet/more/yet"] {
        bed.register(other, Style::Literal).await.unwrap();
    }
    for named in ["onet:b", "onet:a b", "onet/more:a_b", "onet/more/yet:c", "onet-x:d", "onet.x:e", "onet0:f", "one:g"]
    {
        bed.put(named, "one").await;
    }
    assert_eq!(bed.filtered(under("onet")).await, ["onet/a b", "onet/b", "onet/more/a_b", "onet/more/yet/c"]);
    assert_eq!(bed.filtered(under("onet/more")).await, ["onet/more/a_b", "onet/more/yet/c"]);
    assert_eq!(bed.filtered(under("none")).await, [""; 0]);
}

pub(crate) async fn without_a_namespace_all_are_listed_by_namespace(bed: Bed) {
    for named in ["b/a", "a/b", "a.b/a", "a-b/a"] {
        bed.put(named, "one").await;
    }
    bed.put_as(&owner(), "a/c", private("one")).await.unwrap();
    bed.put_as(&owner(), "b/c", private("one")).await.unwrap();
    let everything = ThingFilter::all_of(Scope::All);
    assert_eq!(bed.filtered(everything.clone()).await, ["a/b", "a/c", "a-b/a", "a.b/a", "b/a", "b/c"]);
    let listed = bed.all(&anonymous(), &everything, &Order::Name, 2).await;
    assert_eq!(listed, ["a/b", "a-b/a", "a.b/a", "b/a"]);
    let listed = bed.all(&keyed(&["read:b"]), &everything, &Order::Name, 2).await;
    assert_eq!(listed, ["a/b", "a-b/a", "a.b/a", "b/a", "b/c"]);
}

pub(crate) async fn things_are_listed_by_their_last_change_both_ways(bed: Bed) {
    for named in ["onet/c", "onet/a", "onet/a#es", "onet/b", "other/x"] {
        bed.put(named, "one").await;
    }
    bed.put("onet/c", "two").await;
    let (first, last) = (Order::Updated(ns("onet")), Order::UpdatedLast(ns("onet")));
    let mut expected = vec!["onet/a", "onet/a#es", "onet/b", "onet/c"];
    for size in [1, 3, 50] {
        assert_eq!(bed.all(&owner(), &of("onet"), &first, size).await, expected);
    }
    expected.reverse();
    for size in [1, 3, 50] {
        assert_eq!(bed.all(&owner(), &of("onet"), &last, size).await, expected);
    }
}

pub(crate) async fn a_count_is_of_what_the_caller_may_see_listed(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put("onet/a#es", "uno").await;
    bed.put_as(&owner(), "onet/b", private("one")).await.unwrap();
    bed.put("onet/b#es", "uno").await;
    bed.put_as(&owner(), "onet/c", unlisted("one")).await.unwrap();
    let count = async |who: &Caller| bed.things.count_things(who, of("onet")).await.unwrap();
    assert_eq!(count(&owner()).await, 5);
    assert_eq!(count(&anonymous()).await, 2);
    assert_eq!(count(&keyed(&["read:other"])).await, 2);
    assert_eq!(count(&super::bed::foreigner()).await, 0);
    let tagged = ThingFilter { fields: vec!["!/x".parse().unwrap()], ..of("onet") };
    assert_eq!(bed.things.count_things(&anonymous(), tagged.clone()).await, Ok(2));
    assert_eq!(bed.things.count_things(&owner(), tagged).await, Ok(5));
}

pub(crate) async fn what_a_condition_on_data_hides_counts_as_looked_at(bed: Bed) {
    for number in 0..10 {
        bed.put_data(&format!("onet/{number}"), &format!(r#"{{"n":{number}}}"#)).await;
    }
    let filter = ThingFilter { fields: vec!["/n=5".parse().unwrap()], ..of("onet") };
    for (order, expected) in [
        (Order::Name, [0, 1, 0, 0]),
        (Order::Updated(ns("onet")), [0, 1, 0, 0]),
        (Order::UpdatedLast(ns("onet")), [0, 1, 0, 0]),
    ] {
        let (mut counts, mut after): (_, Option<After>) = (Vec::new(), None);
        loop {
            let (filter, order) = (filter.clone(), order.clone());
            let query = ThingQuery { filter, order, after, limit: 50, room: 1 << 20, scan: 3, with_embedding: false };
            let page = bed.store.things.list(&owner(), query).await.unwrap();
            counts.push(page.items.len());
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(counts, expected, "{order:?}");
    }
}

pub(crate) async fn many_namespaces_are_listed_page_by_page(bed: Bed) {
    let mut expected = Vec::new();
    for number in 0..150 {
        let named = format!("n{number:03}:a");
        bed.put(&named, "one").await;
        expected.push(named.replace(':', "/"));
    }
    assert_eq!(bed.all(&owner(), &ThingFilter::all_of(Scope::All), &Order::Name, 7).await, expected);
    let last: Namespace = ns("n149");
    assert_eq!(bed.filtered(ThingFilter::all_of(Scope::Under(last))).await, ["n149/a"]);
}
