//! Things read, put and imported over gRPC: in PostgreSQL, against pgbench with prepared statements and COPY on the same
//! server; in SQLite, against single rows that are committed one after the other.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::stream;
use proto::{
    common::v1::Key,
    search::v1::{SearchRequest, search_service_client::SearchServiceClient},
    things::v1::{
        GetThingRequest, ImportRow, ImportThingsRequest, PutThingRequest, Thing, import_row::Row as Put,
        things_service_client::ThingsServiceClient,
    },
};
use tonic::transport::{Channel, Endpoint};

use crate::{
    database::Database,
    echo::CONTENT,
    report::{Report, Row, median},
    server::{Server, directory},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 4;
/// Things that are there to be read.
const THINGS: u64 = 10_000;
/// At once, in PostgreSQL.
const CLIENTS: usize = 32;
/// At once, in SQLite.
const WRITERS: usize = 64;
/// Rows of an import, and of one message of it.
const ROWS: u64 = 20_000;
const BATCH: u64 = 500;

pub(crate) async fn run() -> anyhow::Result<Report> {
    let mut report = postgres().await?;
    report.extend(sqlite().await?);
    Ok(report)
}

async fn postgres() -> anyhow::Result<Report> {
    let database = Database::start()?;
    let annals = Server::start_with(&["--things-store", database.url()]).await?;
    let dir = tempfile::tempdir_in(directory()?)?;
    let channels = connect(&annals).await?;
    import(&channels[0], "read", 0..THINGS).await?;
    let scripts = scripts(&database, dir.path())?;
    found(&channels[0]).await?;
    let [mut gets, mut selects, mut puts, mut inserts, mut imports, mut copies] = [(); 6].map(|()| Vec::new());
    for round in 0..ROUNDS {
        selects.push(database.transactions(&scripts.get, CLIENTS, ROUND)?);
        gets.push(rate(&channels, CLIENTS, get).await?);
        inserts.push(database.transactions(&scripts.put, CLIENTS, ROUND)?);
        puts.push(rate(&channels, CLIENTS, put).await?);
        found(&channels[0]).await?;
        let copy = copy(dir.path(), round)?;
        copies.push(ROWS as f64 / database.run(&copy)?.as_secs_f64());
        let rows = import(&channels[0], &format!("import{round}"), 0..ROWS).await?;
        imports.push(ROWS as f64 / rows.as_secs_f64());
        found(&channels[0]).await?;
    }
    let mut report = Report::default();
    let mut compare = |what: &str, unit: &str, ours: Vec<f64>, baseline: Vec<f64>, name: &str, bounds| {
        let (ours, baseline) = (median(ours), median(baseline));
        report.push(Row {
            what: what.into(),
            ours: format!("{ours:.0} {unit}/s"),
            baseline: format!("{baseline:.0} {unit}/s, {name}"),
            ratio: ours / baseline,
            bounds: Some(bounds),
        });
    };
    compare("gets of one of 10000 things in PostgreSQL, 32 at once", "", gets, selects, "pgbench", (0.2, 0.5));
    let transaction = "pgbench, three inserts in a transaction";
    compare(
        "puts of new things with their events in PostgreSQL, 32 at once",
        "",
        puts,
        inserts,
        transaction,
        (0.25, 0.5),
    );
    let what = "import of 20000 things into PostgreSQL, 500 in a message";
    compare(what, "rows", imports, copies, "COPY of as many rows into the same tables", (0.1, 0.3));
    Ok(report)
}

async fn sqlite() -> anyhow::Result<Report> {
    let annals = Server::start().await?;
    let channels = connect(&annals).await?;
    let (mut puts, mut commits) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        commits.push(single_commits()?);
        puts.push(rate(&channels, WRITERS, put).await?);
        found(&channels[0]).await?;
    }
    let (ours, baseline) = (median(puts), median(commits));
    let mut report = Report::default();
    report.push(Row {
        what: "puts of new things with their events in SQLite, 64 at once".into(),
        ours: format!("{ours:.0} /s"),
        baseline: format!("{baseline:.0} /s, single rows committed one after the other"),
        ratio: ours / baseline,
        bounds: Some((1.5, 4.0)),
    });
    Ok(report)
}

/// Connections of their own to a server.
pub(crate) async fn connect(server: &Server) -> anyhow::Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(Endpoint::new(server.url())?.tcp_nodelay(true).connect().await?);
    }
    Ok(channels)
}

/// A thing with about 400 bytes of content.
pub(crate) fn thing(ns: &str, id: String) -> Thing {
    let key = Some(Key { ns: ns.into(), id, ..Key::default() });
    Thing { key, r#type: "Note".into(), content: Some(CONTENT.into()), ..Thing::default() }
}

/// Imports things of these numbers, and tells how long that takes.
pub(crate) async fn import(channel: &Channel, ns: &str, numbers: std::ops::Range<u64>) -> anyhow::Result<Duration> {
    let mut client = ThingsServiceClient::new(channel.clone());
    let (ns, end) = (ns.to_owned(), numbers.end);
    let messages = numbers.step_by(BATCH as usize).map(move |first| {
        let row = |number: u64| ImportRow { row: Some(Put::Thing(thing(&ns, number.to_string()))) };
        ImportThingsRequest { rows: (first..end.min(first + BATCH)).map(row).collect(), ..Default::default() }
    });
    let start = Instant::now();
    let answer = client.import_things(stream::iter(messages)).await?.into_inner();
    anyhow::ensure!(answer.failed == 0, "{:?}", answer.failures.first());
    Ok(start.elapsed())
}

/// Waits until search has all that was put, so that what is measured next has the machine for itself.
async fn found(channel: &Channel) -> anyhow::Result<()> {
    let thing = Some(thing("found", domain::Clock::system().ulid().to_string()));
    let put = PutThingRequest { thing, ..Default::default() };
    let wait_for = ThingsServiceClient::new(channel.clone()).put_thing(put).await?.into_inner().etag;
    let mut request = tonic::Request::new(SearchRequest { query: "any".into(), wait_for, ..Default::default() });
    request.set_timeout(Duration::from_mins(5));
    SearchServiceClient::new(channel.clone()).search(request).await?;
    Ok(())
}

/// Calls a second, of so many callers at once, each given its own random number.
async fn rate<F: Future<Output = anyhow::Result<()>>>(
    channels: &[Channel],
    callers: usize,
    call: impl Fn(ThingsServiceClient<Channel>, u64) -> F,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    let seed = domain::Clock::system().ulid().0 as u64;
    let callers = (0..callers).map(|caller| {
        let (client, call) = (ThingsServiceClient::new(channels[caller % channels.len()].clone()), &call);
        async move {
            let (mut calls, mut random) = (0_u32, seed ^ (caller as u64) << 32 | 1);
            while start.elapsed() < ROUND {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                call(client.clone(), random >> 16).await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        }
    });
    let calls: u32 = futures::future::try_join_all(callers).await?.into_iter().sum();
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}

async fn get(mut client: ThingsServiceClient<Channel>, random: u64) -> anyhow::Result<()> {
    let key = Some(Key { ns: "read".into(), id: (random % THINGS).to_string(), ..Key::default() });
    client.get_thing(GetThingRequest { key, ..Default::default() }).await?;
    Ok(())
}

async fn put(mut client: ThingsServiceClient<Channel>, random: u64) -> anyhow::Result<()> {
    let thing = Some(thing("put", format!("{random:x}")));
    client.put_thing(PutThingRequest { thing, ..Default::default() }).await?;
    Ok(())
}

/// What pgbench runs.
struct Scripts {
    get: PathBuf,
    put: PathBuf,
}

fn scripts(database: &Database, dir: &Path) -> anyhow::Result<Scripts> {
    let [tables, get, put] = ["tables.sql", "get.sql", "put.sql"].map(|name| dir.join(name));
    // As the tables of things are.
    let like =
        ["things", "names", "outbox"].map(|name| format!("create table bench_{name} (like {name} including all);\n"));
    std::fs::write(&tables, like.concat())?;
    database.run(&tables)?;
    std::fs::write(
        &get,
        format!(
            "\\set id random(0, {})
select type, visibility, content, code, data, created_at, etag from things
where tenant = 'default' and ns = 'read' and id = (:id)::text and variant = '';
",
            THINGS - 1
        ),
    )?;
    let payload = "f".repeat(2 * 700);
    std::fs::write(
        &put,
        format!(
            "\\set id random(0, 9000000000000000)
begin;
insert into bench_things (tenant, ns, id, variant, type, visibility, content, created_at, etag)
values ('default', 'put', (:id)::text, '', 'Note', 'public', '{CONTENT}', 0, '\\x00112233445566778899aabbccddeeff');
insert into bench_names (tenant, kind, ns, id, variant, last, visibility)
values ('default', 'thing', 'put', (:id)::text, '', '\\x00112233445566778899aabbccddeeff', 'public');
insert into bench_outbox (tenant, payload) values ('default', '\\x{payload}');
end;
"
        ),
    )?;
    Ok(Scripts { get, put })
}

/// The rows of an import, as COPY takes them, as many in a transaction as a message has.
fn copy(dir: &Path, round: usize) -> anyhow::Result<PathBuf> {
    let (path, mut text) = (dir.join("copy.sql"), String::new());
    let (content, payload) = (CONTENT.replace('\n', "\\n"), "f".repeat(2 * 700));
    for first in (0..ROWS).step_by(BATCH as usize) {
        let numbers = || first..first + BATCH;
        text.push_str("begin;\ncopy bench_things (tenant, ns, id, variant, type, visibility, content, created_at, etag) from stdin;\n");
        for number in numbers() {
            writeln!(text, "default\tcopy{round}\t{number}\t\tNote\tpublic\t{content}\t0\t\\\\x{number:032x}")?;
        }
        text.push_str("\\.\ncopy bench_names (tenant, kind, ns, id, variant, last, visibility) from stdin;\n");
        for number in numbers() {
            writeln!(text, "default\tthing\tcopy{round}\t{number}\t\t\\\\x{number:032x}\tpublic")?;
        }
        text.push_str("\\.\ncopy bench_outbox (tenant, payload) from stdin;\n");
        for _ in numbers() {
            writeln!(text, "default\t\\\\x{payload}")?;
        }
        text.push_str("\\.\ncommit;\n");
    }
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Rows a second, each committed and synced before the next.
fn single_commits() -> anyhow::Result<f64> {
    let dir = tempfile::tempdir_in(directory()?)?;
    let database = rusqlite::Connection::open(dir.path().join("things.sqlite"))?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "full")?;
    database.execute(
        "create table things (ns text, id text, type text, content text, etag blob, primary key (ns, id))",
        [],
    )?;
    let mut insert = database.prepare("insert into things values ('put', ?1, 'Note', ?2, zeroblob(16))")?;
    let (start, mut rows) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        insert.execute((rows, CONTENT))?;
        rows += 1;
    }
    Ok(f64::from(rows) / start.elapsed().as_secs_f64())
}
