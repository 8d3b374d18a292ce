//! Content and length of files: a sync of the file keeps them, and without one they are as they were.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::scene::{Scene, files};

const OLD: &str = "the old content";

/// Each call that changes a file `f` (descriptor `f`, open for reading and writing, content `OLD`), and what it leaves.
const CHANGES: &[(&str, &str)] = &[
    ("os.write(f, b'THE')", "THE old content"),
    ("os.lseek(f, 4, 0); os.write(f, b'OLD')", "the OLD content"),
    ("os.lseek(f, 0, 2); os.write(f, b', longer')", "the old content, longer"),
    ("os.write(opened('f', os.O_APPEND), b'!')", "the old content!"),
    ("os.pwrite(opened('f', os.O_APPEND), b'!', 3)", "the old content!"),
    ("os.writev(f, [b'TH', b'E'])", "THE old content"),
    ("os.pwrite(f, b'new', 4)", "the new content"),
    ("libc.pwrite64(f, b'new', 3, ctypes.c_long(4))", "the new content"),
    ("os.pwritev(f, [b'n', b'ew'], 4)", "the new content"),
    ("os.pwrite(f, b'tent', 11); os.pwrite(f, b'end', 17)", "the old content\0\0end"),
    ("os.write(os.open('f', os.O_WRONLY), b'THE')", "THE old content"),
    ("os.write(os.dup(f), b'THE')", "THE old content"),
    ("os.dup2(f, 77); os.write(77, b'THE')", "THE old content"),
    ("import fcntl; os.write(fcntl.fcntl(f, fcntl.F_DUPFD_CLOEXEC, 60), b'THE')", "THE old content"),
    ("os.ftruncate(f, 3)", "the"),
    ("libc.ftruncate64(f, ctypes.c_long(3))", "the"),
    ("os.ftruncate(opened('f', os.O_APPEND), 3)", "the"),
    ("os.truncate('f', 3)", "the"),
    ("libc.truncate(b'f', ctypes.c_long(3))", "the"),
    ("os.ftruncate(f, 3); os.ftruncate(f, 5)", "the\0\0"),
    ("os.ftruncate(f, 3); os.pwrite(f, b'rough', 3)", "therough"),
    ("os.ftruncate(f, 17)", "the old content\0\0"),
    ("os.posix_fallocate(f, 0, 17)", "the old content\0\0"),
    ("libc.fallocate(f, 0, ctypes.c_long(0), ctypes.c_long(17))", "the old content\0\0"),
    ("libc.fallocate(f, 3, ctypes.c_long(0), ctypes.c_long(3))", "\0\0\0 old content"),
    ("opened('f', os.O_TRUNC)", ""),
    ("os.write(os.open('f', os.O_WRONLY | os.O_CREAT | os.O_TRUNC), b'new')", "new"),
    ("libc.creat(b'f', 0o644)", ""),
    ("os.write(libc.open64(b'f', os.O_RDWR), b'THE')", "THE old content"),
    ("d = os.open('.', 0); os.write(os.open('f', os.O_RDWR, dir_fd=d), b'THE')", "THE old content"),
    ("os.chdir('/'); os.write(opened(sys.argv[1] + '/f'), b'THE')", "THE old content"),
];

fn scene() -> Scene {
    Scene::with(&[("f", OLD)])
}

/// Runs a change with the data directory as the first argument, and tells what is in `f` after the power cut.
#[track_caller]
fn left(change: &str, then: &str) -> String {
    let scene = scene();
    let data_dir = scene.disk.data_dir().display().to_string();
    let found = scene.after(&format!("sys.argv = ['', {data_dir:?}]; f = opened('f')\n{change}\n{then}"));
    assert_eq!(found.len(), 1, "{change}");
    found["f"].clone()
}

#[test]
fn no_change_of_a_file_outlives_the_power_without_a_sync() {
    for (change, _) in CHANGES {
        assert_eq!(left(change, ""), OLD, "{change}");
    }
}

#[test]
fn every_change_of_a_file_outlives_the_power_after_fsync() {
    for (change, new) in CHANGES {
        assert_eq!(left(change, "os.fsync(f)"), *new, "{change}");
    }
}

#[test]
fn fdatasync_is_a_sync_and_sync_file_range_is_none() {
    assert_eq!(left("os.write(f, b'THE')", "os.fdatasync(f)"), "THE old content");
    let range = "libc.sync_file_range(f, ctypes.c_long(0), ctypes.c_long(0), 7)";
    assert_eq!(left("os.write(f, b'THE')", range), OLD);
}

#[test]
fn a_sync_through_another_descriptor_counts_and_one_of_another_file_does_not() {
    assert_eq!(left("os.write(f, b'THE')", "sync('f')"), "THE old content");
    assert_eq!(left("os.write(f, b'THE')", "sync('.')"), OLD);
}

#[test]
fn what_follows_the_last_sync_is_undone_to_that_sync() {
    let overwritten = "for text in (b'one', b'two', b'six'): os.pwrite(f, text, 0); os.fsync(f)";
    let then = "os.pwrite(f, b'ten', 0); os.pwrite(f, b'1234', 1); os.ftruncate(f, 2); os.pwrite(f, b'end', 9)";
    assert_eq!(left(overwritten, then), "six old content");
}

#[test]
fn a_large_overwritten_range_comes_back_whole() {
    let scene = Scene::with(&[]);
    let program = "
f = opened('f', os.O_CREAT)
old = bytes(range(1, 251)) * 20_000
os.write(f, old); os.fsync(f); sync('.')
os.pwrite(f, b'x' * 4_000_000, 500_000)
os.ftruncate(f, 1_000)
";
    let check = "sys.exit(open('f', 'rb').read() != bytes(range(1, 251)) * 20_000)";
    scene.after(program);
    assert!(scene.run(check).success());
}

#[test]
fn a_write_through_o_sync_or_o_dsync_is_durable_at_once() {
    for flag in ["os.O_SYNC", "os.O_DSYNC"] {
        assert_eq!(left(&format!("os.write(opened('f', {flag}), b'THE')"), ""), "THE old content");
    }
    let beside_another = "os.pwrite(f, b'OLD', 4); os.write(opened('f', os.O_DSYNC), b'THE')";
    assert_eq!(left(beside_another, ""), OLD, "it syncs nothing but itself");
}

#[test]
fn copies_within_the_kernel_are_refused_with_what_makes_callers_copy_by_hand() {
    let program = "
import errno
def refused(copy, expected):
    try: copy()
    except OSError as error: assert error.errno == expected, error
    else: assert False
f, g = opened('f'), opened('g', os.O_CREAT)
refused(lambda: os.copy_file_range(f, g, 9), errno.EXDEV)
refused(lambda: os.sendfile(g, f, 0, 9), errno.EINVAL)
import shutil; shutil.copyfile('f', 'h'); sync('h'); sync('.')
";
    assert_eq!(scene().after(program), files(&[("f", OLD), ("g", ""), ("h", OLD)]));
}

#[test]
fn a_shared_writable_mapping_aborts_except_of_shm() {
    let scene = Scene::with(&[("f", OLD), ("db-shm", OLD)]);
    let mapped = |name: &str| scene.run(&format!("import mmap; mmap.mmap(opened('{name}'), 0)[0:1] = b'T'"));
    assert_eq!(mapped("f").signal(), Some(6));
    assert!(mapped("db-shm").success());
    assert!(scene.run("import mmap; mmap.mmap(opened('f'), 0, prot=mmap.PROT_READ)").success());
    assert!(scene.run("import mmap; mmap.mmap(opened('f'), 0, flags=mmap.MAP_PRIVATE)[0:1] = b'T'").success());
}

#[test]
fn shm_files_are_let_be() {
    let scene = Scene::with(&[("db-shm", OLD)]);
    let found = scene.after("os.write(opened('db-shm'), b'THE'); opened('other-shm', os.O_CREAT)");
    assert_eq!(found, files(&[("db-shm", "THE old content"), ("other-shm", "")]));
}

#[test]
fn threads_keep_what_they_synced_and_nothing_else() {
    let scene = Scene::with(&[("shared", "")]);
    let program = "
import threading
def work(slot):
    own = opened(f'own{slot}', os.O_CREAT)
    shared = opened('shared')
    for round in range(200):
        os.pwrite(own, b'%04d' % round, 0)
        os.pwrite(shared, b'%04d' % round, 4 * slot)
        if round == 150: os.fdatasync(own)
threads = [threading.Thread(target=work, args=(slot,)) for slot in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sync('.'); sync('shared')
for slot in range(8): os.pwrite(opened('shared'), b'lost', 4 * slot)
";
    let mut expected = files(&[("shared", &"0199".repeat(8))]);
    expected.extend((0..8).map(|slot| (format!("own{slot}"), "0150".to_owned())));
    assert_eq!(scene.after(program), expected);
}

#[test]
fn a_forked_child_writes_into_the_same_history() {
    let program = "
if os.fork() == 0:
    os.pwrite(f, b'ONE', 0)
    os.fsync(f)
    os.pwrite(f, b'TWO', 0)
    os._exit(0)
os.wait()
os.pwrite(f, b'END', 12)
";
    assert_eq!(left(program, ""), "ONE old content");
}

#[test]
fn a_record_that_a_kill_tore_hides_nothing_that_the_next_process_notes() {
    let scene = scene();
    assert!(!scene.run("os.write(opened('f'), b'THE'); die()").success());
    let whole = std::fs::read(scene.disk.log()).expect("a record");
    let torn = [&whole[..], &whole[..whole.len() - 1]].concat();
    std::fs::write(scene.disk.log(), torn).expect("written");
    assert_eq!(scene.after("os.fsync(opened('f'))"), files(&[("f", "THE old content")]));
}

#[test]
fn a_log_that_is_all_covered_starts_again() {
    let scene = Scene::with(&[("f", &"x".repeat(100_000))]);
    let program = "
f = opened('f')
for round in range(50):
    os.pwrite(f, b'%06d' % round + b'y' * 90_000, 0)
    opened('gone', os.O_CREAT); os.unlink('gone')
    os.fsync(f); sync('.')
os.pwrite(f, b'lost', 0)
";
    let running = scene.run(&format!("{program}\ndie()"));
    assert!(!running.success());
    let log = std::fs::metadata(scene.disk.log()).expect("there").len();
    assert!(log < 2 << 20, "{log} bytes");
    scene.disk.lose_power().expect("restored");
    let found = scene.files();
    assert_eq!(found.len(), 1);
    assert!(found["f"].starts_with("000049yyy"));
}

/// Stands where the shim finds the real `fsync`, so that a write happens while a sync is under way.
const WRITES_DURING_SYNC: &str = r#"
#include <unistd.h>
int fsync(int fd) { return pwrite(fd, "OLD", 3, 4) == 3 ? 0 : -1; }
"#;

#[test]
fn a_write_during_a_sync_is_not_covered_by_it() {
    let scene = scene();
    let (source, library) = (scene.outside("during.c"), scene.outside("during.so"));
    std::fs::write(&source, WRITES_DURING_SYNC).expect("written");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(compiled.expect("cc starts").success());

    let mut command = scene.python("f = opened('f'); os.write(f, b'THE'); os.fsync(f); die()");
    scene.disk.under(&mut command);
    let shim = command.get_envs().find(|(name, _)| *name == "LD_PRELOAD").and_then(|(_, value)| value).expect("set");
    let both = format!("{}:{}", shim.display(), library.display());
    let status = command.env("LD_PRELOAD", both).status().expect("python3 starts");
    assert_eq!(status.signal(), Some(9));
    assert_eq!(std::fs::read_to_string(scene.disk.data_dir().join("f")).expect("there"), "THE OLD content");

    scene.disk.lose_power().expect("restored");
    assert_eq!(scene.files(), files(&[("f", "THE old content")]));
}

#[test]
fn a_log_with_one_change_that_is_not_covered_goes_on() {
    let scene = Scene::with(&[("f", &"x".repeat(100_000)), ("g", OLD)]);
    let program = "
os.write(opened('g'), b'THE')
f = opened('f')
for round in range(50): os.pwrite(f, b'y' * 90_000, 0); os.fsync(f)";
    assert_eq!(scene.after(program)["g"], OLD);
}

#[test]
fn a_process_goes_on_with_the_log_of_the_one_before_it() {
    let scene = Scene::with(&[("f", OLD), ("g", OLD)]);
    assert!(scene.run("os.write(opened('f'), b'THE'); os.write(opened('g'), b'THE')").success());
    let found = scene.after("os.pwrite(opened('f'), b'OLD', 4); sync('g')");
    assert_eq!(found, files(&[("f", OLD), ("g", "THE old content")]));
}
