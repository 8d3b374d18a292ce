//! The cells over HTTP: every request of `asks` about everything that the owner has, as one caller.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use futures::{StreamExt as _, stream};
use harness::http::{Answer, Http};
use serde_json::Value;

use super::{
    asks::{Ask, OF_NOBODY, TAIL, asks, follows},
    callers::Caller,
    matrix::Outcome,
    requests::Given,
    world::{Secret, World},
};

const AT_A_TIME: usize = 32;
/// How often two answers that differ are asked for again, waiting longer.
const LATE: usize = 2;
/// Tails that wait for their second sign of life at a time.
const TAILS_AT_A_TIME: usize = 150;

/// The cells of one caller.
pub(crate) struct OverHttp<'a> {
    pub(crate) http: Http,
    pub(crate) world: &'a World,
    pub(crate) given: &'a Given,
    pub(crate) caller: &'a Caller,
}

impl OverHttp<'_> {
    /// Sends every request that reads, and follows every tail.
    pub(crate) async fn read(&self) -> Outcome {
        let reads = self.every(asks).filter(|(_, ask)| ask.is_read());
        let (outcome, written) = (Mutex::new(Outcome::default()), Mutex::new(BTreeSet::new()));
        let check = |(secret, ask)| self.check(secret, ask, &outcome, &written);
        futures::join!(
            stream::iter(reads).map(check).buffer_unordered(AT_A_TIME).collect::<Vec<()>>(),
            stream::iter(self.every(follows)).map(check).buffer_unordered(TAILS_AT_A_TIME).collect::<Vec<()>>(),
        );
        outcome.into_inner().expect("no panic")
    }

    /// Sends every request that writes. To be done last: what a stranger writes they may read.
    pub(crate) async fn write(&self) -> Outcome {
        let writes = self.every(asks).filter(|(_, ask)| !ask.is_read());
        let (outcome, written) = (Mutex::new(Outcome::default()), Mutex::new(BTreeSet::new()));
        let check = |(secret, ask)| self.check(secret, ask, &outcome, &written);
        stream::iter(writes).map(check).buffer_unordered(AT_A_TIME).collect::<Vec<()>>().await;
        outcome.into_inner().expect("no panic")
    }

    fn every(&self, asks: fn(&Secret, &Given) -> Vec<Ask>) -> impl Iterator<Item = (&Secret, Ask)> {
        let of = move |secret| asks(secret, self.given).into_iter().map(move |ask| (secret, ask));
        self.world.secrets.iter().flat_map(of)
    }

    async fn check(&self, secret: &Secret, ask: Ask, outcome: &Mutex<Outcome>, written: &Mutex<BTreeSet<String>>) {
        let (markers, eyes) = (&self.world.markers, &self.caller.eyes);
        let said = ask.said();
        let writes_own = !eyes.of_tenant && !ask.is_read();
        if writes_own {
            written.lock().expect("no panic").extend(markers.found(&said));
        }
        let answer = self.send(&ask).await;
        let bytes = spell(&answer);
        let mut wrong = Vec::new();
        let mut leaked = markers.leaked(eyes, &said, &bytes);
        if !eyes.of_tenant {
            leaked.retain(|text| !written.lock().expect("no panic").contains(text));
        }
        let what = || format!("{}: {} {} {:?}: {}", self.caller.name, ask.method, ask.url, ask.headers, secret.what);
        if !leaked.is_empty() {
            wrong.push(format!("{} shows {leaked:?}", what()));
        }
        if !writes_own
            && ask.route != TAIL
            && let Some(twin) = markers.twin(eyes, &said)
        {
            let twin = ask.saying(&twin);
            let mut bytes = bytes.clone();
            let mut absent = markers.untwin(&spell(&self.send(&twin).await));
            for _ in 0..LATE {
                let (true, Some(ask), Some(twin)) = (absent != bytes, ask.waiting_longer(), twin.waiting_longer())
                else {
                    break;
                };
                // One of the two was too late: what is waited for came, or the answer that it did not was not passed on.
                bytes = spell(&self.send(&ask).await);
                absent = markers.untwin(&spell(&self.send(&twin).await));
            }
            if absent != bytes {
                let (bytes, absent) = (bytes.escape_ascii(), absent.escape_ascii());
                wrong.push(format!("{} is told from an absent one:\n  {bytes}\n  {absent}", what()));
            }
        }
        let mut outcome = outcome.lock().expect("no panic");
        outcome.cells += 1;
        outcome.wrong.extend(wrong);
        if answer.status == 200 && ask.is_read() {
            outcome.seen.extend(markers.found(&bytes));
        }
    }

    /// Sends a request as the caller; a tail is read until its second sign of life.
    pub(crate) async fn send(&self, ask: &Ask) -> Answer {
        let mut headers: Vec<_> = ask.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend(self.caller.headers.iter().map(|(name, value)| (*name, value.as_str())));
        headers.extend(self.caller.host.map(|host| ("host", host)));
        if ask.route != TAIL || !self.caller.eyes.events && self.caller.eyes.of_tenant {
            return self.http.call(ask.method.clone(), &ask.url, &headers, &ask.body).await;
        }
        let mut tail = self.http.follow(&ask.url, &headers).await;
        let (mut signs, mut body) = (0, String::new());
        while signs < 2 {
            let sent = tail.next().await.expect("a tail has no end");
            signs += usize::from(!sent.comment.is_empty());
            body.push_str(&sent.data);
        }
        Answer { status: 200, headers: http::HeaderMap::new(), body: body.into() }
    }
}

/// Status, headers (but the date) and body.
pub(crate) fn spell(answer: &Answer) -> Vec<u8> {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date");
    let headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    [format!("{}\n{}\n", answer.status, headers.join("\n")).as_bytes(), &answer.body].concat()
}

/// Whatever the OpenAPI document names must be asked.
pub(crate) fn assert_asks_have_all(document: &Value, secrets: &[Secret], given: &Given) {
    let mut asked: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for secret in secrets {
        for ask in asks(secret, given).into_iter().chain(follows(secret, given)) {
            let method =
                if ask.method == http::Method::HEAD { "get".into() } else { ask.method.as_str().to_lowercase() };
            let names = asked.entry((ask.route.to_owned(), method)).or_default();
            let (_, query) = ask.url.split_once('?').unwrap_or_default();
            let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
            names.extend(parameters.map(|(name, _)| name.to_owned()));
            names.extend(ask.headers.iter().map(|(name, _)| (*name).to_owned()));
        }
    }
    for (route, methods) in document["paths"].as_object().expect("paths") {
        if OF_NOBODY.contains(&route.as_str()) {
            continue;
        }
        for (method, operation) in
            methods.as_object().expect("methods").iter().filter(|(name, _)| *name != "parameters")
        {
            let names = asked.get(&(route.clone(), method.clone()));
            let names = names.unwrap_or_else(|| panic!("nobody asks {method} {route}"));
            for parameters in [&operation["parameters"], &methods["parameters"]] {
                for parameter in parameters.as_array().into_iter().flatten() {
                    let pointer = parameter["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
                    let parameter =
                        pointer.map_or(parameter, |pointer| document.pointer(pointer).expect("it is there"));
                    let name = parameter["name"].as_str().expect("a parameter has a name").to_lowercase();
                    let is_asked = parameter["in"] == "path" || names.contains(&name);
                    assert!(is_asked, "nobody asks {method} {route} with {name}");
                }
            }
        }
    }
}
