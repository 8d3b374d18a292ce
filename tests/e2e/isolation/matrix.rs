//! The cells: every string of every request × everything that the owner has, as one caller. Owns what must hold of an
//! answer; knows no method by name.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use futures::{StreamExt as _, stream};
use prost_reflect::MethodDescriptor;
use proto::common::v1::Key;

use super::{
    callers::Caller,
    requests::{self, Given},
    rpcs,
    sight::{replace, without_ulids},
    wire::{AT_A_TIME, Answer, Door},
    world::{Secret, World},
};

/// Streams that wait for their second sign of life at a time; they cost nothing but that.
const STREAMS_AT_A_TIME: usize = 160;
/// For what waits for an event that it may never see; longer where the answer, which comes a little before the
/// deadline, was not read by then, or one of two was too late.
const IN_VAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// How often a call that was lost is made again.
const LOST: usize = 3;

/// Where a caller calls.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    pub(crate) things: Door,
    pub(crate) events: Door,
    pub(crate) search: Door,
}

/// What one caller's cells have shown.
#[derive(Default, Debug)]
pub(crate) struct Outcome {
    pub(crate) cells: usize,
    /// Cells that were not refused.
    pub(crate) taken: usize,
    /// Texts in the answers.
    pub(crate) seen: BTreeSet<String>,
    /// What must not be, a sentence each.
    pub(crate) wrong: Vec<String>,
}

struct Cell<'a> {
    number: usize,
    method: MethodDescriptor,
    path: rpcs::Path,
    secret: &'a Secret,
    request: Vec<u8>,
    /// The name in the caller's own namespace that is written.
    home: Option<Key>,
}

/// The cells of one caller.
pub(crate) struct Matrix<'a> {
    pub(crate) world: &'a World,
    pub(crate) given: &'a Given,
    pub(crate) caller: &'a Caller,
    pub(crate) doors: Doors,
    outcome: Mutex<Outcome>,
    /// Texts that the caller wrote to a tenant of their own, and so may read there.
    written: Mutex<BTreeSet<String>>,
}

impl<'a> Matrix<'a> {
    pub(crate) fn new(world: &'a World, given: &'a Given, caller: &'a Caller, doors: Doors) -> Self {
        Self { world, given, caller, doors, outcome: Mutex::default(), written: Mutex::default() }
    }

    /// Calls every cell of `methods`: names before other texts, because what a stranger writes they may read.
    pub(crate) async fn run(self, methods: &[MethodDescriptor]) -> Outcome {
        let mut cells = self.cells(methods);
        cells.sort_by_key(|cell| cell.path.last().is_some_and(|field| field.parent_message().name() != "Key"));
        let (endless, finite): (Vec<_>, Vec<_>) =
            cells.into_iter().partition(|cell| requests::is_endless(&cell.method));
        let check = |cells, at_a_time| {
            stream::iter(cells).map(|cell| self.check(cell)).buffer_unordered(at_a_time).collect::<Vec<()>>()
        };
        futures::join!(check(finite, AT_A_TIME), check(endless, STREAMS_AT_A_TIME));
        self.outcome.into_inner().expect("no panic")
    }

    fn cells(&self, methods: &[MethodDescriptor]) -> Vec<Cell<'a>> {
        let mut cells = Vec::new();
        for method in methods {
            for path in rpcs::strings(&method.input()) {
                for secret in &self.world.secrets {
                    let home = self.caller.home.map(|ns| {
                        let id = format!("own{:06}", cells.len());
                        Key { ns: ns.into(), id, ..Key::default() }
                    });
                    let request = requests::request(method, &path, secret, self.given, home.as_ref());
                    let request = request.unwrap_or_else(|| panic!("{} has no good request", method.full_name()));
                    cells.push(Cell {
                        number: cells.len(),
                        method: method.clone(),
                        path: path.clone(),
                        secret,
                        request,
                        home,
                    });
                }
            }
        }
        cells
    }

    async fn check(&self, cell: Cell<'a>) {
        let (markers, eyes) = (&self.world.markers, &self.caller.eyes);
        let writes_own = !eyes.of_tenant && !requests::is_read(&cell.method);
        if writes_own {
            self.written.lock().expect("no panic").extend(markers.found(&cell.request));
        }
        let answer = self.call(&cell, cell.request.clone(), &IN_VAIN).await;
        let mut leaked = markers.leaked(eyes, &cell.request, &answer.bytes);
        if writes_own {
            let written = self.written.lock().expect("no panic");
            leaked.retain(|text| !written.contains(text));
        }
        let mut wrong = Vec::new();
        if !leaked.is_empty() {
            wrong.push(format!("{} shows {leaked:?}", self.spell(&cell)));
        }
        if !writes_own
            && !requests::is_endless(&cell.method)
            && let Some(twin) = markers.twin(eyes, &cell.request)
        {
            let elsewhere = cell.elsewhere(twin);
            let absent = async |timeouts| {
                let absent = self.call(&cell, elsewhere.clone(), timeouts).await;
                Answer { bytes: markers.untwin(&cell.back(&absent.bytes)), ..absent }
            };
            let (mut one, mut other) = (answer.clone(), absent(&IN_VAIN[..]).await);
            for late in 1..IN_VAIN.len() {
                if cell.is_same(&one, &other) || !cell.waits() {
                    break;
                }
                one = self.call(&cell, cell.request.clone(), &IN_VAIN[late..]).await;
                other = absent(&IN_VAIN[late..]).await;
            }
            if !cell.is_same(&one, &other) {
                wrong.push(format!("{} is told from an absent one:\n{one}\n{other}", self.spell(&cell)));
            }
        }
        let mut outcome = self.outcome.lock().expect("no panic");
        outcome.cells += 1;
        outcome.taken += usize::from(answer.code == tonic::Code::Ok);
        outcome.wrong.extend(wrong);
        if answer.code == tonic::Code::Ok {
            outcome.seen.extend(markers.found(&answer.bytes));
        }
    }

    /// `timeouts`: of what waits, one after the other.
    async fn call(&self, cell: &Cell<'a>, request: Vec<u8>, timeouts: &[Duration]) -> Answer {
        let door = match cell.method.parent_service().name() {
            "ThingsService" => &self.doors.things,
            "EventsService" => &self.doors.events,
            "SearchService" => &self.doors.search,
            other => panic!("say here where {other} is called"),
        };
        let ask = async |timeout| {
            let mut answer = door.call(&cell.method, request.clone(), cell.number, timeout).await;
            for _ in 0..LOST {
                if !answer.is_lost() {
                    break;
                }
                answer = door.call(&cell.method, request.clone(), cell.number, timeout).await;
            }
            answer
        };
        if !cell.waits() {
            return ask(None).await;
        }
        for timeout in timeouts {
            let answer = ask(Some(*timeout)).await;
            if !answer.is_none() {
                return answer;
            }
        }
        panic!("{} is not answered by its deadline", self.spell(cell));
    }

    fn spell(&self, Cell { method, path, secret, .. }: &Cell<'_>) -> String {
        format!("{}: {}, {}: {}", self.caller.name, method.name(), rpcs::spell(path), secret.what)
    }
}

impl Cell<'_> {
    /// Whether it waits for an event.
    fn waits(&self) -> bool {
        self.path.last().is_some_and(|field| field.name() == "wait_for")
    }

    /// The same request to another name in the caller's own namespace, so that it too finds none.
    fn elsewhere(&self, mut request: Vec<u8>) -> Vec<u8> {
        if let Some(Key { id, .. }) = &self.home {
            replace(&mut request, id.as_bytes(), id.replacen("own", "new", 1).as_bytes());
        }
        request
    }

    /// What answers that, as if it were about this name.
    fn back(&self, answer: &[u8]) -> Vec<u8> {
        let mut answer = answer.to_vec();
        if let Some(Key { id, .. }) = &self.home {
            replace(&mut answer, id.replacen("own", "new", 1).as_bytes(), id.as_bytes());
        }
        answer
    }

    /// Whether two answers tell the same. A write of one's own that was taken tells its ULID and time, and where it
    /// tells nothing else, it tells the same; what a thing is told as was said.
    fn is_same(&self, one: &Answer, other: &Answer) -> bool {
        let taken = self.home.is_some() && one.code == tonic::Code::Ok && other.code == tonic::Code::Ok;
        let times =
            matches!(self.method.output().name(), "Thing" | "Relationship" | "AppendResponse" | "AppendStreamResponse");
        one == other || taken && (times || without_ulids(&one.bytes) == without_ulids(&other.bytes))
    }
}

impl Outcome {
    /// Fails with the first of what must not be.
    #[track_caller]
    pub(crate) fn assert_right(&self) {
        let first: Vec<_> = self.wrong.iter().take(12).map(String::as_str).collect();
        assert!(self.wrong.is_empty(), "{} cells of {}:\n{}", self.wrong.len(), self.cells, first.join("\n"));
    }
}
