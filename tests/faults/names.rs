//! Names: a sync of their directory keeps what was created, renamed and removed, and without one nothing was.

use std::os::unix::process::ExitStatusExt;

use crate::scene::{Files, Scene, files};

/// Each call that changes names, from `a` = "A", `b` = "B", `sub/c` = "C" and an empty directory `empty`,
/// and what it leaves when the directory is synced.
const CHANGES: &[(&str, &[(&str, &str)])] = &[
    ("opened('new', os.O_CREAT)", &[("a", "A"), ("b", "B"), ("new", "")]),
    ("opened('new', os.O_CREAT | os.O_EXCL)", &[("a", "A"), ("b", "B"), ("new", "")]),
    ("libc.creat(b'new', 0o644)", &[("a", "A"), ("b", "B"), ("new", "")]),
    ("libc.openat64(d, b'new', os.O_CREAT | os.O_RDWR, 0o644)", &[("a", "A"), ("b", "B"), ("new", "")]),
    ("os.unlink('a')", &[("b", "B")]),
    ("os.unlink('a', dir_fd=d)", &[("b", "B")]),
    ("libc.remove(b'a')", &[("b", "B")]),
    ("os.rename('a', 'new')", &[("b", "B"), ("new", "A")]),
    ("os.rename('a', 'b')", &[("b", "A")]),
    ("os.rename('a', 'b', src_dir_fd=d, dst_dir_fd=d)", &[("b", "A")]),
    ("assert libc.renameat2(d, b'a', d, b'b', 2) == 0", &[("a", "B"), ("b", "A")]),
    ("assert libc.renameat2(d, b'a', d, b'new', 1) == 0", &[("b", "B"), ("new", "A")]),
    ("assert libc.renameat2(d, b'a', d, b'b', 1) == -1", &[("a", "A"), ("b", "B")]),
    ("os.link('a', 'new')", &[("a", "A"), ("b", "B"), ("new", "A")]),
    ("os.unlink('a'); f = opened('a', os.O_CREAT); os.write(f, b'2'); os.fsync(f)", &[("a", "2"), ("b", "B")]),
    ("os.rename('a', 'b'); os.rename('b', 'a')", &[("a", "A")]),
    ("os.rename('b', 'x'); os.rename('a', 'b'); os.rename('x', 'a')", &[("a", "B"), ("b", "A")]),
    ("os.mkdir('new')", &[("a", "A"), ("b", "B"), ("new/", "")]),
    ("os.mkdir('new', dir_fd=d)", &[("a", "A"), ("b", "B"), ("new/", "")]),
    ("os.symlink('b', 'new')", &[("a", "A"), ("b", "B"), ("new", "B")]),
];

fn scene() -> Scene {
    Scene::with(&[("a", "A"), ("b", "B"), ("sub/c", "C"), ("empty/", "")])
}

/// What is left of the scene, but for its directories if they are as they were.
#[track_caller]
fn left(change: &str, then: &str) -> Files {
    let mut found = scene().after(&format!("d = os.open('.', 0)\n{change}\n{then}"));
    for (path, content) in files(&[("sub/c", "C"), ("sub/", ""), ("empty/", "")]) {
        assert_eq!(found.remove(&path), Some(content), "{change}: {path}");
    }
    found
}

#[test]
fn no_change_of_names_outlives_the_power_without_a_sync() {
    for (change, _) in CHANGES {
        assert_eq!(left(change, ""), files(&[("a", "A"), ("b", "B")]), "{change}");
    }
}

#[test]
fn every_change_of_names_outlives_the_power_after_a_sync_of_the_directory() {
    for (change, new) in CHANGES {
        assert_eq!(left(change, "os.fsync(d)"), files(new), "{change}");
    }
}

#[test]
fn a_created_file_needs_two_syncs() {
    let created = "f = opened('new', os.O_CREAT); os.write(f, b'content')";
    let without = files(&[("a", "A"), ("b", "B")]);
    assert_eq!(left(created, "os.fsync(f)"), without, "its name is not synced");
    let empty = files(&[("a", "A"), ("b", "B"), ("new", "")]);
    assert_eq!(left(created, "os.fsync(d)"), empty, "its content is not synced");
    let whole = files(&[("a", "A"), ("b", "B"), ("new", "content")]);
    assert_eq!(left(created, "os.fsync(f); os.fsync(d)"), whole);
}

#[test]
fn a_file_replaced_by_rename_is_the_old_or_the_new_one() {
    let replaced = "f = opened('new', os.O_CREAT); os.write(f, b'2'); os.fsync(f); os.rename('new', 'a')";
    assert_eq!(left(replaced, ""), files(&[("a", "A"), ("b", "B")]));
    assert_eq!(left(replaced, "os.fsync(d)"), files(&[("a", "2"), ("b", "B")]));
    let unsynced = "f = opened('new', os.O_CREAT); os.write(f, b'2'); os.rename('new', 'a'); os.fsync(d)";
    assert_eq!(left(unsynced, ""), files(&[("a", ""), ("b", "B")]), "the classic mistake");
}

#[test]
fn a_removed_file_comes_back_as_it_was_synced() {
    let written = "f = opened('a'); os.write(f, b'2'); os.fsync(f); os.write(f, b'3')";
    assert_eq!(left(&format!("{written}; os.unlink('a'); os.write(f, b'4')"), ""), files(&[("a", "2"), ("b", "B")]));
    assert_eq!(left(&format!("{written}; os.unlink('a')"), "os.fsync(d)"), files(&[("b", "B")]));
}

#[test]
fn a_new_directory_is_lost_with_all_it_holds_until_its_parent_is_synced() {
    let made = "
os.mkdir('new'); f = opened('new/f', os.O_CREAT); os.write(f, b'F'); os.fsync(f); sync('new')
os.mkdir('new/deep'); sync('new')";
    assert_eq!(left(made, ""), files(&[("a", "A"), ("b", "B")]));
    let whole = [("a", "A"), ("b", "B"), ("new/", ""), ("new/f", "F"), ("new/deep/", "")];
    assert_eq!(left(made, "os.fsync(d)"), files(&whole));
}

#[test]
fn a_directory_removed_or_renamed_comes_back_with_what_it_held() {
    for change in ["os.rmdir('empty')", "os.rename('sub', 'other')", "os.unlink('sub/c'); os.rmdir('sub')"] {
        assert_eq!(left(change, ""), files(&[("a", "A"), ("b", "B")]), "{change}");
    }
    let moved = scene().after("os.rename('sub', 'other'); f = opened('other/n', os.O_CREAT); sync('other'); sync('.')");
    let whole = [("a", "A"), ("b", "B"), ("empty/", ""), ("other/", ""), ("other/c", "C"), ("other/n", "")];
    assert_eq!(moved, files(&whole));
    let removed = scene().after("os.unlink('sub/c'); os.rmdir('sub'); os.rmdir('empty'); sync('.')");
    assert_eq!(removed, files(&[("a", "A"), ("b", "B")]));
}

#[test]
fn a_directory_that_is_not_empty_is_not_removed() {
    let program = "
try: os.rmdir('sub')
except OSError as error: assert error.errno == 39, error
else: assert False
sync('.')";
    assert_eq!(left(program, ""), files(&[("a", "A"), ("b", "B")]));
}

#[test]
fn each_half_of_a_move_between_directories_needs_its_own_sync() {
    let moved = "os.rename('a', 'sub/a')";
    let both = scene().after(&format!("{moved}; sync('.'); sync('sub')"));
    assert_eq!(both.get("sub/a").map(String::as_str), Some("A"));
    assert_eq!(both.get("a"), None);
    let target = scene().after(&format!("{moved}; sync('sub')"));
    assert_eq!((target["a"].as_str(), target["sub/a"].as_str()), ("A", "A"));
    let neither = scene().after(moved);
    assert_eq!(neither, scene().files());
}

#[test]
fn a_rename_over_the_border_aborts() {
    let scene = scene();
    let outside = scene.outside("elsewhere");
    let status = scene.run(&format!("os.rename('a', {:?})", outside.display().to_string()));
    assert_eq!(status.signal(), Some(6));
}
