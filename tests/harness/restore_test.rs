//! What is undone, and what stays.

use super::*;

fn record(kind: u32, node: Node, a: u64, b: u64, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    let mut record = [kind.to_ne_bytes(), length.to_ne_bytes()].concat();
    record.extend([node, a, b].map(u64::to_ne_bytes).concat());
    record.extend(bytes);
    record
}

struct Scene {
    directory: tempfile::TempDir,
    node: Node,
}

impl Scene {
    fn new(content: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("data")).expect("created");
        let file = directory.path().join("data/file");
        fs::write(&file, content).expect("written");
        let node = fs::metadata(&file).expect("there").ino();
        Self { directory, node }
    }

    fn restored(&self, records: &[Vec<u8>]) -> (String, Undone) {
        self.restored_but(records, None)
    }

    fn restored_but(&self, records: &[Vec<u8>], reached: Option<Reached<'_>>) -> (String, Undone) {
        let log = self.directory.path().join("undo");
        fs::write(&log, records.concat()).expect("written");
        let data = self.directory.path().join("data");
        let undone = restore(&data, &log, reached).expect("restored");
        assert!(!log.exists(), "the log starts anew");
        (fs::read_to_string(data.join("file")).expect("there"), undone)
    }
}

#[test]
fn a_sync_covers_only_what_was_done_before_it_began() {
    let scene = Scene::new("12");
    let first = record(1, scene.node, 0, 0, b"");
    let began = first.len() as u64;
    let second = record(1, scene.node, 1, 1, b"");
    let sync = record(3, scene.node, began, 0, b"");
    let (content, undone) = scene.restored(&[first, second, sync]);
    assert_eq!(content, "1");
    assert_eq!(undone, Undone { writes: 1, names: 0 });
}

#[test]
fn a_torn_last_record_is_let_be() {
    let scene = Scene::new("new");
    let whole = record(1, scene.node, 3, 0, b"old");
    let mut torn = record(1, scene.node, 3, 0, b"xyz");
    torn.pop();
    let (content, undone) = scene.restored(&[whole, torn]);
    assert_eq!(content, "old");
    assert_eq!(undone.writes, 1);
}

#[test]
fn what_had_reached_the_disk_stays_the_earliest_first_and_a_part_of_the_next() {
    let content = |earliest: u64, part: u64| {
        let scene = Scene::new("abcdef");
        let records = [0, 2, 4].map(|length| record(1, scene.node, length, length, b""));
        let mut answers = [earliest, part].into_iter();
        let mut asked = Vec::new();
        let mut reached = |bound| {
            asked.push(bound);
            answers.next().unwrap_or_default()
        };
        let (content, _) = scene.restored_but(&records, Some(&mut reached));
        (content, asked)
    };
    assert_eq!(content(0, 0), (String::new(), vec![4, 3]));
    assert_eq!(content(1, 0), ("ab".into(), vec![4, 3]));
    assert_eq!(content(1, 1), ("abc".into(), vec![4, 3]));
    assert_eq!(content(3, 0), ("abcdef".into(), vec![4]));
}

#[test]
fn without_a_log_nothing_changes() {
    let scene = Scene::new("as it is");
    let (content, undone) = scene.restored(&[]);
    assert_eq!(content, "as it is");
    assert_eq!(undone, Undone { writes: 0, names: 0 });
}
