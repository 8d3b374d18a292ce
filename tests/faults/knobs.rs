//! The disk's knobs: a sync that is left out, a disk that is full or broken.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use harness::disk::{Failure, Operation};

use crate::scene::{Scene, files};

const SYNCED: &str = "
os.mkdir('journal'); f = opened('journal/1', os.O_CREAT); os.write(f, b'content')
os.fdatasync(f); sync('journal'); sync('.')";

#[test]
fn with_every_sync_all_is_there() {
    let whole = files(&[("journal/", ""), ("journal/1", "content")]);
    assert_eq!(Scene::with(&[]).after(SYNCED), whole);
}

#[test]
fn without_any_one_sync_something_is_lost() {
    let missing = |pattern: &str| Scene::with(&[]).on(|disk| disk.without_sync(pattern)).after(SYNCED);
    assert_eq!(missing("file:journal/*"), files(&[("journal/", ""), ("journal/1", "")]));
    assert_eq!(missing("dir:journal"), files(&[("journal/", "")]));
    assert_eq!(missing("dir:."), files(&[]));
    let unrelated = missing("file:journal");
    assert_eq!(unrelated, files(&[("journal/", ""), ("journal/1", "content")]));
}

#[test]
fn a_sync_can_be_left_out_by_its_call() {
    let left = |ignored: &str, call: &str| {
        let program = format!("f = opened('f'); os.write(f, b'new'); os.{call}(f)");
        let found = Scene::with(&[("f", "old")]).on(|disk| disk.without_sync(ignored)).after(&program);
        found["f"].clone()
    };
    assert_eq!(left("fsync:f", "fsync"), "old");
    assert_eq!(left("fsync:f", "fdatasync"), "new");
    assert_eq!(left("fdatasync:f", "fdatasync"), "old");
    assert_eq!(left("fdatasync:f", "fsync"), "new");
}

#[test]
fn several_syncs_can_be_left_out() {
    let scene = Scene::with(&[]).on(|disk| disk.without_sync("file:other").without_sync("dir:jour*"));
    assert_eq!(scene.after(SYNCED), files(&[("journal/", "")]));
}

/// Runs a program on `f` that answers each line it is given with the errors of a write, a create and a sync.
const PROBE: &str = "
def error(call):
    try: call()
    except OSError as error: return error.strerror
    return 'done'
f = opened('f')
for line in sys.stdin:
    print(error(lambda: os.write(f, b'x')), error(lambda: os.posix_fallocate(f, 0, 9)), error(lambda: os.fsync(f)),
          error(lambda: os.ftruncate(f, 0)), sep=', ', flush=True)
";

#[test]
fn a_disk_fails_while_its_switch_is_on() {
    let mut scene = Scene::with(&[("f", "")]);
    let full = scene.disk.failing("f", Operation::Write, Failure::NoSpace);
    let broken = scene.disk.failing("*", Operation::Sync, Failure::Io);
    let mut command = scene.python(PROBE);
    scene.disk.under(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = scene.disk.start(&mut command).expect("python3 starts");
    let mut asked = running.stdin().expect("piped");
    let mut answers = BufReader::new(running.stdout().expect("piped")).lines();
    let mut probe = || {
        asked.write_all(b"\n").expect("asked");
        answers.next().expect("an answer").expect("a line")
    };

    assert_eq!(probe(), "done, done, done, done");
    full.on().expect("on");
    assert_eq!(probe(), "No space left on device, No space left on device, done, done");
    full.off().expect("off");
    broken.on().expect("on");
    assert_eq!(probe(), "done, done, Input/output error, done");
    broken.off().expect("off");
    assert_eq!(probe(), "done, done, done, done");
}

#[test]
fn a_full_disk_creates_no_file_and_keeps_those_it_has() {
    let mut scene = Scene::with(&[("f", "kept")]);
    scene.disk.failing("*", Operation::Write, Failure::NoSpace).on().expect("on");
    let program = "
try: opened('new', os.O_CREAT)
except OSError as error: assert error.errno == 28, error
else: assert False
os.close(opened('f', os.O_CREAT)); sync('.')";
    assert_eq!(scene.after(program), files(&[("f", "kept")]));
}

#[test]
fn a_sync_that_failed_covers_nothing() {
    assert_eq!(left_by_a_failing(Operation::Sync), "old");
}

#[test]
fn a_sync_that_failed_after_it_was_done_covers_what_it_did() {
    assert_eq!(left_by_a_failing(Operation::Synced), "new");
}

fn left_by_a_failing(operation: Operation) -> String {
    let mut scene = Scene::with(&[("f", "old")]);
    scene.disk.failing("f", operation, Failure::Io).on().expect("on");
    let program = "
f = opened('f'); os.write(f, b'new')
try: os.fsync(f)
except OSError as error: assert error.errno == 5, error
else: assert False";
    scene.after(program)["f"].clone()
}
