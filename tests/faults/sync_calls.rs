//! Every call in the sources that makes something durable, and what is lost without it. Owns the list; a call that is
//! not on it, or not in the sources any more, fails.

use std::fs;
use std::path::{Path, PathBuf};

use domain::Clock;
use harness::disk::{Failure, Operation};

use crate::crash::dice::Dice;
use crate::crash::life::{Kill, Life, Summary};
use crate::crash::load::Load;

/// A call, by its file and line of code.
struct Call {
    file: &'static str,
    code: &'static str,
    needed: Needed,
}

/// What shows that a call is needed: the loop without it fails. Each pattern is tried on its own.
enum Needed {
    /// Under load, from the very first start on.
    First(&'static [&'static str]),
    /// Under load, when all went well until then.
    Later(&'static [&'static str]),
    /// Under a load that goes on until the journal has been cut and its directory synced.
    Long(&'static [&'static str]),
    /// Killed as soon as it is ready.
    Ready(&'static [&'static str]),
    /// In a start after one that was killed just before it had made syncs of the first patterns.
    AfterDeath(&'static [&'static str], &'static [&'static str]),
    /// After a sync that failed.
    AfterFailure(&'static [&'static str]),
    /// It is a way to another call on this list, or does earlier what another does.
    Leads,
    /// Not by this loop: it is made by another server on its own disk, by a command that `takeover.rs` kills with the
    /// power cut, or for an index, which the loop does not look at and which can be made again from events.
    Elsewhere,
}

const SEGMENTS: &str = "fdatasync:data/events/journal/*.segment";
const DIRECTORIES: &[&str] = &["dir:data/events/journal", "dir:data/events", "dir:data", "dir:."];

const CALLS: &[Call] = &[
    Call {
        file: "services/events/src/archive/catalog/postgres.rs",
        code: "const DURABLE: &str = \"set local synchronous_commit = on\";",
        needed: Needed::Elsewhere,
    },
    Call {
        file: "services/events/src/archive/catalog/sqlite.rs",
        code: "connection.pragma_update(None, \"synchronous\", \"full\")?;",
        needed: Needed::Long(&["file:data/events/catalog.db-wal"]),
    },
    Call {
        file: "services/events/src/archive/catalog/sqlite.rs",
        code: "connection.query_row(\"pragma wal_checkpoint(passive)\", [], |_| Ok(()))?;",
        needed: Needed::AfterDeath(&["file:data/events/catalog.db-wal"], &["file:data/events/catalog.db*"]),
    },
    Call {
        file: "services/events/src/archive/catalog/sqlite.rs",
        code: "disk::sync_dir(directory).map_err(Error::io(directory))?;",
        needed: Needed::First(&["dir:data/events"]),
    },
    Call {
        file: "services/events/src/archive/store/directory.rs",
        code: "if let Err(error) = disk::sync_dir(directory) {",
        needed: Needed::Later(&["dir:data/events/archive*"]),
    },
    Call {
        file: "services/events/src/archive/store/directory.rs",
        code: "self.file.flush().and_then(|()| self.file.get_ref().file().sync_all()).map_err(Error::io(&self.unfinished))?;",
        needed: Needed::Later(&["file:data/events/archive/*.unfinished"]),
    },
    Call {
        file: "services/events/src/disk.rs",
        code: "let written = file.write_all(bytes).and_then(|()| file.sync_all());",
        needed: Needed::Ready(&[
            "file:data/events/journal/identity.unfinished",
            "file:data/events/journal/0*.unfinished",
        ]),
    },
    Call {
        file: "services/events/src/disk.rs",
        code: "sync_dir(path.parent().expect(\"a file has a directory\"))",
        needed: Needed::Later(&["dir:data/events/journal"]),
    },
    Call {
        file: "services/events/src/disk.rs",
        code: "File::open(dir).and_then(|dir| dir.sync_all())",
        needed: Needed::First(&["dir:data/events/journal", "dir:data/events", "dir:data"]),
    },
    Call { file: "services/events/src/disk.rs", code: "match sync_dir(parent) {", needed: Needed::Leads },
    Call { file: "services/events/src/disk.rs", code: "self.file.sync_data()?;", needed: Needed::Leads },
    Call {
        file: "services/events/src/journal.rs",
        code: "disk::sync_dir(dir).map_err(OpenError::io(dir))?;",
        needed: Needed::AfterDeath(DIRECTORIES, &["dir:data/events/journal"]),
    },
    Call {
        file: "services/events/src/journal.rs",
        code: "disk::sync_ancestors(dir).map_err(OpenError::io(dir))?;",
        needed: Needed::AfterDeath(DIRECTORIES, &["dir:data/events", "dir:data", "dir:."]),
    },
    Call {
        file: "services/events/src/journal/recovery.rs",
        code: "file.sync_all().map_err(OpenError::io(&path))?;",
        needed: Needed::AfterDeath(&[SEGMENTS], &["fsync:data/events/journal/*.segment"]),
    },
    Call {
        file: "services/events/src/journal/segment.rs",
        code: "file.sync_all()?;",
        needed: Needed::AfterFailure(&["fsync:data/events/journal/*.segment"]),
    },
    Call {
        file: "services/events/src/journal/takeover.rs",
        code: "disk::sync_ancestors(dir).map_err(OpenError::io(dir))?;",
        needed: Needed::Elsewhere,
    },
    Call {
        file: "services/events/src/journal/takeover.rs",
        code: "disk::sync_dir(&self.dir).map_err(OpenError::io(&self.dir))",
        needed: Needed::Elsewhere,
    },
    Call {
        file: "services/events/src/journal/takeover.rs",
        code: "disk::sync_dir(dir).map_err(OpenError::io(dir))?;",
        needed: Needed::Elsewhere,
    },
    Call {
        file: "services/events/src/journal/window.rs",
        code: "file.sync_all()?;",
        needed: Needed::Later(&["file:data/events/journal/window/*.unfinished"]),
    },
    Call {
        file: "services/events/src/journal/window.rs",
        code: "disk::sync_dir(&self.dir)?;",
        needed: Needed::Later(&["dir:data/events/journal/window"]),
    },
    Call {
        file: "services/events/src/journal/writer.rs",
        code: "if let Err(error) = file.sync_data() {",
        needed: Needed::Later(&[SEGMENTS]),
    },
    Call {
        file: "services/search/src/index.rs",
        code: "fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io(dir))",
        needed: Needed::Elsewhere,
    },
    Call { file: "services/search/src/index.rs", code: "sync_dir(dir)", needed: Needed::Leads },
    Call { file: "services/search/src/index/vector.rs", code: "file.sync_all()", needed: Needed::Elsewhere },
    Call { file: "services/search/src/index/vector.rs", code: "sync_dir(path)", needed: Needed::Leads },
    Call {
        file: "services/search/src/index/vector.rs",
        code: "sync_dir(path.parent().expect(\"a tenant's directory is in one\"))?;",
        needed: Needed::Leads,
    },
    Call { file: "services/search/src/index/vector/segment.rs", code: "file.sync_all()", needed: Needed::Elsewhere },
    Call {
        file: "services/things/src/store/sqlite/open.rs",
        code: "directory => directory?.sync_all()?,",
        needed: Needed::First(&["dir:data/things", "dir:data"]),
    },
    Call { file: "services/things/src/store/sqlite/open.rs", code: "sync_names(directory)?;", needed: Needed::Leads },
    Call {
        file: "services/things/src/store/sqlite/open.rs",
        code: "connection.pragma_update(None, \"synchronous\", \"full\")?;",
        // What `normal` leaves out: the log is then synced before a checkpoint only.
        needed: Needed::Later(&["file:data/things/*-wal"]),
    },
];

/// The rounds that a loop without a sync has to fail in.
const ROUNDS: u64 = 8;

#[test]
fn every_sync_in_the_sources_is_on_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace");
    let mut found = Vec::new();
    for part in ["services", "crates"] {
        for member in fs::read_dir(root.join(part)).expect("readable") {
            collect(&member.expect("readable").path().join("src"), root, &mut found);
        }
    }
    let mut listed: Vec<_> = CALLS.iter().map(|call| (call.file.to_owned(), call.code.to_owned())).collect();
    found.sort();
    listed.sort();
    assert_eq!(found, listed);
}

/// Each line of code in `directory` that makes something durable, tests left out.
fn collect(directory: &PathBuf, root: &Path, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if path.is_dir() {
            collect(&path, root, into);
        } else if name.ends_with(".rs") && !name.ends_with("_test.rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            let code = text.split("#[cfg(test)]\nmod tests {").next().expect("a first part");
            let file = path.strip_prefix(root).expect("in the workspace").to_string_lossy().into_owned();
            let syncs = code.lines().map(str::trim).filter(|line| is_sync(line));
            into.extend(syncs.map(|line| (file.clone(), line.to_owned())));
        }
    }
}

fn is_sync(line: &str) -> bool {
    const WORDS: [&str; 8] = [
        "sync_all(",
        "sync_data(",
        "sync_dir(",
        "sync_ancestors(",
        "sync_names(",
        "fsync(",
        "synchronous",
        "wal_checkpoint",
    ];
    !line.starts_with("//") && !line.contains("fn sync_") && WORDS.iter().any(|word| line.contains(word))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_sync_the_loop_fails() {
    for call in CALLS {
        let (patterns, answers, healthy) = match call.needed {
            Needed::First(patterns) => (patterns, 100, 0),
            Needed::Later(patterns) => (patterns, 100, 2),
            Needed::Long(patterns) => (patterns, 1_000, 1),
            _ => continue,
        };
        for pattern in patterns {
            let failed = failed(&[pattern], Kill::Loaded(answers), healthy).await;
            println!("{}: {}\n  without {pattern}: {failed}", call.file, call.code);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sync_of_a_new_file_a_server_that_died_at_once_does_not_start_again() {
    for call in CALLS {
        let Needed::Ready(patterns) = call.needed else { continue };
        for pattern in patterns {
            let failed = failed(&[pattern], Kill::Ready, 0).await;
            println!("{}: {}\n  without {pattern}: {failed}", call.file, call.code);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_makes_durable_what_the_one_before_it_could_not() {
    for call in CALLS {
        let Needed::AfterDeath(before, patterns) = call.needed else { continue };
        after_death(before, &[]).await.expect("with every sync nothing is lost");
        for pattern in patterns {
            let lost = after_death(before, &[pattern]).await.expect_err("without it something is");
            println!("{}: {}\n  without {pattern}: {lost:#}", call.file, call.code);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_sync_may_have_written_is_cut_for_good() {
    for call in CALLS {
        let Needed::AfterFailure(patterns) = call.needed else { continue };
        after_failure(&[]).await.expect("with every sync nothing is lost");
        for pattern in patterns {
            let lost = after_failure(&[pattern]).await.expect_err("without it something is");
            println!("{}: {}\n  without {pattern}: {lost:#}", call.file, call.code);
        }
    }
}

/// A segment has its first records when it gets its name, and the sync of that fails although it was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_with_a_new_segment_does_not_come_back() {
    let mut summary = Summary::default();
    let mut life = Life::new(dice()).expect("a machine");
    let switch = life.machine.disk.failing("data/events/journal", Operation::Synced, Failure::Io);
    let server = life.revive(false, &mut summary).await.expect("it starts");
    switch.on().expect("a file");
    life.work(Load::Appends, &server, 60).await.expect("it answers");
    assert!(life.machine.log().contains("the journal refused appends"), "no segment was full");
    server.running.kill().expect("it runs");
    switch.off().expect("a file");
    life.lose_power(&mut summary).expect("a disk");
    life.end(&mut summary).await.expect("nothing is lost, and nothing that was refused is there");
}

/// SQLite's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_sync_of_sqlite_the_loop_fails() {
    println!("the log: {}", failed(&["file:data/things/*-wal"], Kill::Loaded(100), 2).await);
    println!("the directory: {}", failed(&["dir:data/things"], Kill::Loaded(100), 0).await);
    after_checkpoint(&[]).await.expect("with every sync nothing is lost");
    let lost = after_checkpoint(&["file:data/things/*.db"]).await.expect_err("without it something is");
    println!("the database: {lost:#}");
}

/// What is wrong after a few rounds in which the power fails after each kill and, but for the first `healthy` ones,
/// these syncs do nothing.
async fn failed(patterns: &[&str], kill: Kill, healthy: u64) -> String {
    let mut life = Life::new(dice()).expect("a machine");
    rounds(&mut life, healthy, kill).await.expect("with every sync nothing is lost");
    life.machine.disk.ignore_syncs(patterns);
    let outcome = rounds(&mut life, ROUNDS, kill).await;
    format!("{:#}", outcome.err().unwrap_or_else(|| panic!("without {patterns:?} nothing is lost in {ROUNDS} rounds")))
}

/// The log grows until it is copied into the database, and begins anew; then the power fails.
async fn after_checkpoint(without: &[&str]) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let mut life = Life::new(dice())?;
    rounds(&mut life, 1, Kill::Loaded(50)).await.expect("with every sync nothing is lost");
    life.machine.disk.ignore_syncs(without);
    let server = life.revive(false, &mut summary).await.expect("nothing is lost yet");
    life.fill(&server, 10).await.expect("large contents are taken");
    server.running.kill()?;
    life.lose_power(&mut summary)?;
    life.end(&mut summary).await
}

async fn rounds(life: &mut Life, rounds: u64, kill: Kill) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    for _ in 0..rounds {
        life.crash(kill, false, &mut summary).await?;
        life.lose_power(&mut summary)?;
    }
    Ok(())
}

/// A server dies just before it makes the syncs `before`; the next one goes without the syncs `without` and dies when
/// the power fails; then all is checked.
async fn after_death(before: &[&str], without: &[&str]) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let mut life = Life::new(dice())?;
    if before.contains(&SEGMENTS) {
        // Another one is begun only when everything in this one is synced.
        life.machine.keep_to_one_segment();
    }
    life.machine.disk.ignore_syncs(before);
    let server = life.machine.start().await?;
    life.work(Load::Appends, &server, 30).await?;
    if before.iter().any(|pattern| pattern.contains("catalog")) {
        life.work_until_cut(&server).await?;
    }
    server.running.kill()?;
    life.machine.disk.ignore_syncs(without);
    life.crash(Kill::Ready, false, &mut summary).await?;
    life.lose_power(&mut summary)?;
    life.machine.disk.ignore_syncs(&[]);
    life.end(&mut summary).await
}

/// A sync fails after it was done, and the disk works again; the power fails.
async fn after_failure(without: &[&str]) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let mut life = Life::new(dice())?;
    let switch = life.machine.disk.failing("data/events/journal/*.segment", Operation::Synced, Failure::Io);
    life.machine.disk.ignore_syncs(without);
    let server = life.revive(false, &mut summary).await?;
    switch.on()?;
    life.work(Load::Appends, &server, 5).await?;
    switch.off()?;
    life.work(Load::Appends, &server, 5).await?;
    server.running.kill()?;
    life.lose_power(&mut summary)?;
    life.machine.disk.ignore_syncs(&[]);
    life.end(&mut summary).await
}

fn dice() -> Dice {
    let seed = Clock::system().now().millis() as u64;
    println!("seed {seed}");
    Dice::new(seed)
}
