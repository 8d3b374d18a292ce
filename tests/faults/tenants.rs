//! Random searches of callers who do not see everything: each answer is the one that they get where nothing is but what they
//! see, to the last score; and none has anything of another tenant.

mod asked;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use domain::Clock;
use harness::cluster::{Setup, Topology};
use proto::{
    common::v1::Key,
    search::v1::{Hit, Mode, SearchRequest, SearchResponse, search_service_client::SearchServiceClient},
    things::v1::Thing,
};
use serve::Keyring;
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

use self::{
    asked::Asked,
    written::{delete, is_public, note, put, write},
};
use crate::{config, crash::dice::Dice};

/// The host whose callers without a key see what is public of tenant `a`.
const HOST: &str = "a.example";
/// The namespace that the reader may read.
const READ: &str = "n0";

/// Who asks in a tenant that has hidden things, and who asks the same where nothing is hidden.
struct Pair {
    name: &'static str,
    caller: Caller,
    twin: Caller,
    /// What the caller may ask about.
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Caller {
    client: SearchServiceClient<Channel>,
    key: String,
}

impl Caller {
    fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.key.is_empty() {
            let bearer = format!("Bearer {}", self.key).parse().expect("a key is ASCII");
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_finds_tells_nothing_of_what_they_may_not_see() {
    let queries = config::tenant_queries().expect("a number of queries");
    let seed = config::tenant_seed().expect("a seed").unwrap_or_else(|| Clock::system().now().millis() as u64);
    println!("ANNALS_TENANT_SEED={seed}, {queries} queries");
    campaign(queries, Dice::new(seed)).await.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
}

async fn campaign(queries: u64, mut dice: Dice) -> anyhow::Result<()> {
    let mut toml = format!("[hosts]\n\"{HOST}\" = \"a\"\n");
    let mut key = |tenant: &str, scopes: &[&str]| {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.parse().expect("a scope")).collect();
        let key = Keyring::generate(&tenant.parse().expect("a tenant"), "somebody", &scopes);
        toml.insert_str(0, &key.entry);
        key.text
    };
    let all = ["admin:*"];
    let owners = ["a", "as-reader", "as-anybody", "b"].map(|tenant| key(tenant, &all));
    let reader = key("a", &[&format!("read:{READ}")]);
    let cluster = Setup::new(Topology::AllInOne).keys(toml).start().await;
    let [a, as_reader, as_anybody, b] = &owners;

    // What there is in the end, by tenant `a`'s owner and by those who see less of it.
    let states = write(&cluster, a, "a", &mut dice).await?;
    write(&cluster, b, "b", &mut dice).await?;
    let is_read = |thing: &&Thing| is_public(thing) || thing.key.as_ref().is_some_and(|key| key.ns == READ);
    let read: Vec<_> = states.values().filter(is_read).cloned().collect();
    let public: Vec<_> = states.values().filter(|thing| is_public(thing)).cloned().collect();
    let mut newest = BTreeMap::new();
    for (owner, things) in [(as_reader, &read), (as_anybody, &public)] {
        // Canonical states first: a variant needs one.
        let (canonical, variants): (Vec<_>, Vec<_>) =
            things.iter().cloned().partition(|thing| thing.key.as_ref().is_some_and(|key| key.variant.is_empty()));
        for thing in canonical.into_iter().chain(variants) {
            newest.insert(owner.clone(), put(&cluster, owner, thing).await?);
        }
    }
    newest.insert(a.clone(), put(&cluster, a, note("other", "last", "n1", &mut dice, &[])).await?);
    delete(&cluster, a, "n1", "last").await?;

    let client = cluster.search().await;
    let endpoint = Endpoint::new(format!("http://{}", cluster.gateway))?;
    let at_host = endpoint.origin(format!("http://{HOST}").parse()?).connect().await?;
    let caller = |key: &str| Caller { client: client.clone(), key: key.to_owned() };
    let keys = |things: &[Thing]| things.iter().filter_map(|thing| thing.key.clone()).collect();
    let anybody = Caller { client: SearchServiceClient::new(at_host), key: String::new() };
    let pairs = [
        Pair { name: "the reader", caller: caller(&reader), twin: caller(as_reader), keys: keys(&read) },
        Pair { name: "anybody", caller: anybody, twin: caller(as_anybody), keys: keys(&public) },
    ];
    for (owner, ulid) in &newest {
        let request = SearchRequest {
            query: "crane".into(),
            mode: Mode::Hybrid.into(),
            wait_for: ulid.clone(),
            ..Default::default()
        };
        let mut waiting = caller(owner);
        let request = waiting.signed(request);
        waiting.client.search(request).await.context("everything arrives")?;
    }
    let (mut hits, mut words) = (0, BTreeSet::new());
    for number in 0..queries {
        let pair = &pairs[dice.below(pairs.len() as u64) as usize];
        hits += ask(pair, &mut dice).await.with_context(|| format!("query {number}, {}", pair.name))?;
        if number % 8 == 0 {
            words.extend(ask_as_stranger(&caller(b), &mut dice).await?);
        }
    }
    ensure!(hits > queries && !words.is_empty(), "searches find something");
    println!("{queries} queries found {hits} things: what there is to see, and nothing tells of the rest");
    Ok(())
}

/// Asks both the same, page by page; how many hits there were.
async fn ask(pair: &Pair, dice: &mut Dice) -> anyhow::Result<u64> {
    let asked = Asked::random(pair, dice);
    let [mut here, mut there] = [Told::default(), Told::default()];
    loop {
        let (ours, theirs) = (asked.of(&pair.caller, &here.token).await, asked.of(&pair.twin, &there.token).await);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                here.add(ours);
                there.add(theirs);
            }
            (Err(ours), Err(theirs)) => {
                let are_same = (ours.code(), ours.message()) == (theirs.code(), theirs.message());
                ensure!(are_same, "{asked:?}: {ours} {theirs}");
                return Ok(0);
            }
            (ours, theirs) => anyhow::bail!("{asked:?}: {ours:?} {theirs:?}"),
        }
        ensure!(here.scores == there.scores, "{asked:?}: {:?} {:?}", here.scores, there.scores);
        if here.token.is_empty() && there.token.is_empty() {
            break;
        }
    }
    let beside_it: Vec<_> = here.all.difference(&there.all).collect();
    let without_it: Vec<_> = there.all.difference(&here.all).collect();
    ensure!(here.all == there.all, "{asked:?}\nwith what is hidden: {beside_it:#?}\nwithout it: {without_it:#?}");
    Ok(here.scores.len() as u64)
}

/// Asks as another tenant; what is found is theirs.
async fn ask_as_stranger(stranger: &Caller, dice: &mut Dice) -> anyhow::Result<BTreeSet<String>> {
    let nothing = Pair { name: "the stranger", caller: stranger.clone(), twin: stranger.clone(), keys: Vec::new() };
    let asked = Asked::random(&nothing, dice);
    let Ok(answer) = asked.of(stranger, "").await else { return Ok(BTreeSet::new()) };
    let ids: BTreeSet<String> = answer.hits.iter().filter_map(|hit| Some(hit.key.as_ref()?.id.clone())).collect();
    ensure!(ids.iter().all(|id| id.starts_with('b')), "{asked:?}: {ids:?}");
    ensure!(!format!("{:?}", answer.facets).contains(" a\\\""), "{asked:?}: {:?}", answer.facets);
    Ok(ids)
}

/// All that answers tell, but for what is another in another tenant: the etag, and the last digits of sums, which are
/// made in whatever order.
#[derive(Default)]
struct Told {
    /// Of hits, page by page: of two that are equally good one may be on another page.
    scores: Vec<i64>,
    all: BTreeSet<String>,
    token: String,
}

impl Told {
    fn add(&mut self, answer: SearchResponse) {
        let SearchResponse { hits, facets, next_page_token } = answer;
        self.all.extend(hits.iter().map(told));
        self.scores.extend(hits.iter().map(|hit| round(hit.score)));
        self.all.insert(format!("{facets:?}"));
        self.token = next_page_token;
    }
}

fn told(hit: &Hit) -> String {
    let Hit { key, url, r#type: kind, score, title, snippet, highlights, etag: _, explanation } = hit.clone();
    let explained = explanation.map(|explanation| {
        let terms = explanation.terms.iter();
        let mut terms: Vec<_> = terms.map(|term| (term.term.clone(), term.field.clone(), round(term.score))).collect();
        terms.sort_unstable();
        (terms, explanation.cosine.map(round), round(explanation.best_words), round(explanation.best_cosine))
    });
    let score = round(score);
    format!("{score:8} {key:?} {url} {kind} {title} {snippet} {highlights:?} {explained:?}")
}

fn round(score: f64) -> i64 {
    (score * 1_000.0).round() as i64
}
