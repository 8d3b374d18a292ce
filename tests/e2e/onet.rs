//! A data set, imported by the commands of its guide on separate processes (the program's own tests do it in one
//! process): a small one of the same columns, and O*NET itself where it is there (`cargo xtask test` says so where it
//! is not).

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use harness::cluster::{Cluster, Setup, Topology};
use proto::{
    common::v1::{EntityKind, Key},
    events::v1::QueryRequest,
    things::v1::{ReachedThing, TraverseRequest},
};
use serde_json::Value;

use crate::{
    docs::{root, run, shell_blocks},
    postgres,
};

/// Where the guide has the files.
const ONET: &str = "../shared/data/onet";
/// What the commands of the guide create, in their order.
const CREATED: [&str; 5] = ["occupations", "tasks", "commodities", "related", "uses"];

/// What each file of O*NET creates.
const OF_ONET: [usize; 5] = [1_016, 19_265, 135, 18_460, 30_826];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_set_is_imported_whole_once_and_every_mutation_is_in_history() {
    import(&embedded().await, "tests/onet", [6, 8, 3, 6, 7]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onet_itself_is_imported_whole_once_where_it_is_there() {
    if root().join(ONET).is_dir() {
        import(&embedded().await, ONET, OF_ONET).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onet_itself_is_imported_into_postgresql_where_it_is_there() {
    if root().join(ONET).is_dir() {
        import(&postgres::cluster(Topology::Separate).await, ONET, OF_ONET).await;
    }
}

async fn embedded() -> Cluster {
    Setup::new(Topology::Separate).start().await
}

async fn import(cluster: &Cluster, folder: &str, counts: [usize; 5]) {
    let set = Set(root().join(folder));
    let [occupations, tasks, commodities, related, uses] = counts;
    assert_eq!(set.rows("occupations.tsv").len(), occupations);
    assert_eq!(set.rows("tasks.tsv").len(), tasks);
    assert_eq!(set.rows("related_occupations.tsv").len(), related);
    assert_eq!(set.rows("technology_skills.tsv").len(), uses);
    let codes: BTreeSet<_> =
        set.rows("technology_skills.tsv").iter().map(|row| row.split('\t').nth(2).unwrap().to_owned()).collect();
    assert_eq!(codes.len(), commodities);

    let imports = shell_blocks("docs/onet.md", "# O*NET").remove(0).replace(ONET, folder);
    let first = run(cluster, &imports);
    for ((file, count), line) in CREATED.into_iter().zip(counts).zip(first.lines()) {
        assert_eq!(counted(line, "created"), count, "{file}: {line}");
        assert_eq!(counted(line, "failed"), 0, "{file}: {line}");
    }
    assert_eq!(counted(first.lines().nth(2).unwrap(), "equal"), uses - commodities);
    let mutations = mutations(cluster, &set).await;
    assert_eq!(mutations.len(), counts.iter().sum::<usize>());

    let second = run(cluster, &imports);
    for ((file, count), line) in CREATED.into_iter().zip(counts).zip(second.lines()) {
        assert_eq!((counted(line, "created"), counted(line, "replaced")), (0, 0), "{file}: {line}");
        assert_eq!(counted(line, "unchanged"), count, "{file}: {line}");
    }
    assert_eq!(self::mutations(cluster, &set).await, mutations, "a second run writes nothing");

    for (place, (ulid, kind, id)) in mutations.iter().enumerate().step_by(1 + mutations.len() / 70) {
        let above = if *kind == EntityKind::Relationship { "/_/relationships" } else { "" };
        let url = format!("{above}/onet/{}?view=history", id.replace(' ', "_"));
        let history = cluster.http().get(&url).await.expect(200).json();
        assert_eq!(history["items"][0]["ulid"].as_str(), Some(ulid.as_str()), "mutation {place}: {history}");
        assert_eq!(history["items"][0]["mutation_type"], "created");
    }
    software_developers_are_found_first(cluster, &set).await;
    two_hops_are_what_the_files_say(cluster, &set).await;
    a_deletion_takes_its_relationships(cluster, &set).await;
}

async fn two_hops_are_what_the_files_say(cluster: &Cluster, set: &Set) {
    const START: &str = "15-1252.00";
    let script = root().join("tests/onet/two_hops.py");
    let output = Command::new("python3").arg(script).arg(&set.0).arg(START).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = String::from_utf8(output.stdout).expect("ids are text");
    let expected: BTreeSet<_> = expected.lines().map(str::to_owned).collect();
    let thing = Some(Key { path: format!("onet/{START}"), ..Key::default() });
    let request = TraverseRequest { thing, max_depth: 2, max_things: 10_000, ..TraverseRequest::default() };
    let mut parts = cluster.things().await.traverse(request).await.unwrap().into_inner();
    let (mut reached, mut count) = (BTreeSet::new(), 0);
    while let Some(part) = parts.message().await.unwrap() {
        assert!(!part.is_truncated);
        for ReachedThing { thing, depth, .. } in part.things {
            reached.insert(format!("{depth} {}", thing.and_then(|thing| thing.key).expect("a name").id));
            count += 1;
        }
    }
    assert_eq!(count, expected.len(), "each comes once");
    assert_eq!(reached, expected);
}

async fn software_developers_are_found_first(cluster: &Cluster, set: &Set) {
    let ulid = newest(cluster, set).await;
    let url = format!("/_/search?q=software+developer&wait_for={ulid}");
    let found = cluster.http().get(&url).await.expect(200).json();
    assert_eq!(found["items"][0]["id"], "15-1252.00", "{found}");
    let tasks = cluster.http().get("/_/search?q=write&type=Task&ns=onet&top_k=2").await.expect(200).json();
    let tasks = tasks["items"].as_array().unwrap();
    assert!(!tasks.is_empty() && tasks.iter().all(|task| task["type"] == "Task"), "{tasks:?}");
}

async fn a_deletion_takes_its_relationships(cluster: &Cluster, set: &Set) {
    let http = cluster.http();
    let then = http.get("/onet/15-1252.00").await.expect(200);
    assert_eq!(then.json()["type"], "Occupation");
    assert!(then.json()["content"].as_str().unwrap().starts_with("# Software Developers\n\n"), "{}", then.text());
    let mut names = BTreeSet::new();
    let mut token = String::new();
    loop {
        let url = format!("/onet/15-1252.00?view=relationships&page_size=1000&page_token={token}");
        let page = http.get(&url).await.expect(200).json();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    let of = |file: &str, columns: &[usize]| {
        let has = |row: &String| columns.iter().any(|column| row.split('\t').nth(*column) == Some("15-1252.00"));
        set.rows(file).iter().filter(|row| has(row)).count()
    };
    assert_eq!(names.len(), of("related_occupations.tsv", &[0, 1]) + of("technology_skills.tsv", &[0]));

    let deletion = http.delete("/onet/15-1252.00").await.expect(204).header("annals-ulid").to_owned();
    http.get("/onet/15-1252.00").await.expect(404);
    let etag = then.header("etag").trim_matches('"').to_owned();
    assert_eq!(http.get(&format!("/onet/15-1252.00?at={etag}")).await.expect(200).body, then.body);
    let query = format!("/_/events?event_type=mutation&ns=onet&order=newest_first&page_size=1000&wait_for={deletion}");
    let events = http.get(&query).await.expect(200).json();
    let deleted = events["items"].as_array().unwrap().iter().filter(|event| event["mutation_type"] == "deleted");
    let (mut gone, mut things) = (BTreeSet::new(), Vec::new());
    for event in deleted {
        let id = event["entity_id"].as_str().unwrap().to_owned();
        assert_ne!(event["data"]["before"], Value::Null);
        if event["entity_kind"] == "relationship" {
            gone.insert(id);
        } else {
            things.push(id);
        }
    }
    assert_eq!((gone, things), (names, vec!["15-1252.00".to_owned()]));
}

/// The folder of a data set.
struct Set(PathBuf);

impl Set {
    /// The rows of a file, without its header.
    fn rows(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(file)).expect("the file is text");
        text.lines().skip(1).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// The number before `word` in a line of counts.
#[track_caller]
fn counted(line: &str, word: &str) -> usize {
    let count = line.split(", ").find_map(|part| part.split_once(' ').filter(|(_, what)| what.starts_with(word)));
    let (count, _) = count.unwrap_or_else(|| panic!("no {word} in {line}"));
    count.replace(',', "").parse().unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// ULID, kind and id of every mutation.
async fn mutations(cluster: &Cluster, set: &Set) -> Vec<(String, EntityKind, String)> {
    let wait_for = newest(cluster, set).await;
    let (mut mutations, mut page_token) = (Vec::new(), String::new());
    let mut events = cluster.events().await.max_decoding_message_size(16 << 20);
    loop {
        let event_types = vec!["mutation".to_owned()];
        let request = QueryRequest {
            event_types,
            page_size: 1_000,
            page_token,
            wait_for: wait_for.clone(),
            ..Default::default()
        };
        let page = events.query(request).await.unwrap().into_inner();
        mutations
            .extend(page.events.into_iter().map(|event| (event.ulid.clone(), event.entity_kind(), event.entity_id)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return mutations;
        }
    }
}

/// The newest mutation of the import: the last row's, which is at the last occupation of its file.
async fn newest(cluster: &Cluster, set: &Set) -> String {
    let rows = set.rows("technology_skills.tsv");
    let occupation = rows.last().and_then(|row| row.split('\t').next()).expect("a row has a first column");
    let url = format!("/onet/{occupation}?view=relationships&type=uses&page_size=1000");
    let page = cluster.http().get(&url).await.expect(200).json();
    let etags = page["items"].as_array().unwrap().iter().map(|item| item["etag"].as_str().unwrap().to_owned());
    etags.max().expect("an occupation uses something")
}
