//! What every store of the archive does, as cases that run on each: a directory, and a bucket on the S3 server.

use std::{io::Write as _, path::PathBuf};

use object_store::ObjectStoreExt as _;
use serve::config::Secret;
use tokio::runtime::Runtime;

use super::{
    Error, Reader, Store,
    bucket::{Access, PART_BYTES},
};

#[expect(unreachable_pub, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/s3.rs"]
mod s3;

type Case = fn(&Store);

const CASES: [(&str, Case); 9] = [
    ("a file is there once it is finished and not before", finished_or_absent),
    ("a file that is given up never is there", given_up),
    ("a file of many parts is whole", many_parts),
    ("a file of many parts that is given up never is there", many_parts_given_up),
    ("files below a location are listed, and no others", listed),
    ("removing is done however often", removed),
    ("parts of a file are read by both readers", read_in_parts),
    ("a location outside is refused", outside),
    ("a store that is stopped keeps nobody waiting", stopped),
];

#[test]
fn a_directory_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    for (number, (name, case)) in CASES.iter().enumerate() {
        println!("{name}");
        let path = dir.path().join(number.to_string());
        std::fs::create_dir(&path).unwrap();
        let store = Store::directory(&path, runtime.handle().clone()).unwrap();
        case(&store);
        let unfinished = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|it| it == "unfinished");
        assert!(!std::fs::read_dir(&path).unwrap().any(|entry| unfinished(entry.unwrap())), "{name}");
    }
}

#[test]
fn a_bucket_keeps_the_contract() {
    let server = s3::S3::start(&python());
    for (number, (name, case)) in CASES.iter().enumerate() {
        println!("{name}");
        // One prefix begins like another.
        case(&Store::bucket(&access(&server, &"p".repeat(number + 1))).unwrap());
    }
    case_of_the_whole_bucket(&server);
}

#[test]
fn a_bucket_that_is_not_there_is_said_in_one_line() {
    let server = s3::S3::start(&python());
    let access = Access { url: "s3://nowhere/a".parse().unwrap(), ..access(&server, "a") };
    let error = Store::bucket(&access).err().unwrap().to_string();
    assert!(error.contains("s3://nowhere/a") && error.contains("--archive-url"), "{error}");
    assert!(!error.contains('\n') && !error.contains("never-told"), "{error}");
    let endpoint = Some("http://127.0.0.1:1".parse().unwrap());
    let error = Store::bucket(&Access { endpoint, ..access }).err().unwrap().to_string();
    assert!(error.contains("--archive-s3-endpoint") && !error.contains('\n'), "{error}");
}

fn access(server: &s3::S3, prefix: &str) -> Access {
    Access {
        url: format!("s3://{}/{prefix}", s3::BUCKET).parse().unwrap(),
        endpoint: Some(server.endpoint().parse().unwrap()),
        region: "auto".into(),
        key_id: "annals".into(),
        secret: "never-told".parse::<Secret>().unwrap(),
        session_token: None,
        timeout: std::time::Duration::from_secs(10),
        vended: Vec::new(),
    }
}

/// Without a prefix the archive has the whole bucket.
fn case_of_the_whole_bucket(server: &s3::S3) {
    let mut access = access(server, "");
    access.url = format!("s3://{}", s3::BUCKET).parse().unwrap();
    // By a name, which has to be looked up.
    access.endpoint = Some(server.endpoint().replace("127.0.0.1", "localhost").parse().unwrap());
    let store = Store::bucket(&access).unwrap();
    store.put(&format!("{}/events/a", store.base()), b"a").unwrap();
    let listed = store.list(&format!("{}/events", store.base())).unwrap();
    assert_eq!(listed.iter().map(|file| &*file.location).collect::<Vec<_>>(), ["s3://annals/events/a"]);
}

/// The Python of `cargo xtask backends`.
fn python() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let mut candidates = test.ancestors().map(|directory| directory.join("backends/venv/bin/python"));
    candidates.find(|candidate| candidate.exists()).expect("python is installed: run `cargo xtask backends`")
}

fn at(store: &Store, rest: &str) -> String {
    format!("{}/{rest}", store.base())
}

fn locations(store: &Store, below: &str) -> Vec<String> {
    let mut listed: Vec<_> = store.list(&at(store, below)).unwrap().into_iter().map(|file| file.location).collect();
    listed.sort_unstable();
    listed
}

fn finished_or_absent(store: &Store) {
    let location = at(store, "events/data/keep=1y/a.parquet");
    let mut upload = store.create(&location).unwrap();
    upload.write_all(b"whole").unwrap();
    upload.flush().unwrap();
    assert_eq!(store.list(&at(store, "events")).unwrap(), []);
    assert!(store.get(&location).is_err());
    upload.finish().unwrap();
    store.sync().unwrap();
    assert_eq!(store.get(&location).unwrap(), "whole");
    store.put(&location, b"other").unwrap();
    assert_eq!(store.get(&location).unwrap(), "other");
}

fn given_up(store: &Store) {
    let location = at(store, "events/a");
    store.create(&location).unwrap().write_all(b"a").unwrap();
    assert_eq!(locations(store, "events"), [""; 0]);
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| ((place * 31) >> 3) as u8).collect()
}

fn many_parts(store: &Store) {
    for (name, length) in [("exact", 2 * PART_BYTES), ("more", 3 * PART_BYTES + 7)] {
        let (location, bytes) = (at(store, name), bytes(length));
        let mut upload = store.create(&location).unwrap();
        for piece in bytes.chunks(100_003) {
            upload.write_all(piece).unwrap();
        }
        upload.finish().unwrap();
        assert!(store.get(&location).unwrap() == bytes, "{name}");
    }
}

fn many_parts_given_up(store: &Store) {
    let location = at(store, "events/a");
    let mut upload = store.create(&location).unwrap();
    upload.write_all(&bytes(PART_BYTES + 1)).unwrap();
    drop(upload);
    assert_eq!(locations(store, "events"), [""; 0]);
}

fn listed(store: &Store) {
    for file in ["events/metadata/a.json", "events/data/b", "eventsmore/c"] {
        store.put(&at(store, file), file.as_bytes()).unwrap();
    }
    let expected = ["events/data/b", "events/metadata/a.json"].map(|file| at(store, file));
    assert_eq!(locations(store, "events"), expected);
    let listed = store.list(&at(store, "eventsmore")).unwrap();
    assert_eq!(listed[0].size, "eventsmore/c".len() as u64);
    assert!(listed[0].modified > 1_600_000_000_000);
}

fn removed(store: &Store) {
    let files: Vec<_> = ["x/a", "x/b", "x/c d=e"].map(|file| at(store, file)).into();
    for file in &files {
        store.put(file, b"1").unwrap();
    }
    store.delete(&files[0]).unwrap();
    store.delete(&files[0]).unwrap();
    assert_eq!(locations(store, "x"), files[1..]);
    store.delete_all(files.iter().map(|file| &**file)).unwrap();
    assert_eq!(locations(store, "x"), [""; 0]);
}

fn read_in_parts(store: &Store) {
    let location = at(store, "a");
    store.put(&location, b"0123456789").unwrap();
    for reader in [Reader::Caller, Reader::Upkeep] {
        let (objects, key) = store.object(&location, reader).unwrap();
        assert_eq!(store.wait(objects.get_range(&key, 2..5)).unwrap(), "234");
    }
}

fn outside(store: &Store) {
    for location in ["file:///etc/passwd", "s3://other/a", store.base(), &format!("{}more/a", store.base())] {
        assert!(matches!(store.get(location), Err(Error::Elsewhere { .. })), "{location}");
    }
}

fn stopped(store: &Store) {
    let location = at(store, "a");
    store.put(&location, b"a").unwrap();
    store.stop();
    assert!(matches!(store.get(&location), Err(Error::Stopping)));
    assert!(matches!(store.list(&at(store, "events")), Err(Error::Stopping)));
}
