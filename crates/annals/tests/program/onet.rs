//! The guide of docs/onet.md, executed: on a small set of the same columns, and on O*NET itself where it is there
//! (`cargo xtask test` says so where it is not).

use crate::server::{Server, root, shell_blocks};

/// Where the guide has the files.
const ONET: &str = "../shared/data/onet";

#[test]
fn the_onet_guide_imports_every_row_and_its_second_run_writes_nothing() {
    follow("tests/onet", ["6", "8", "3", "6", "7"], "4", 30);
}

#[test]
fn onet_itself_is_imported_by_its_guide_where_it_is_there() {
    if root().join(ONET).is_dir() {
        let counts = ["1,016", "19,265", "135", "18,460", "30,826"];
        follow(ONET, counts, "30,691", 1_016 + 19_265 + 135 + 18_460 + 30_826);
    }
}

/// Follows the guide on the files of `folder`: each command creates so many, the third finds so many rows equal to an
/// earlier one.
fn follow(folder: &str, counts: [&str; 5], equal: &str, mutations: usize) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let [imports, look_around] = shell_blocks("docs/onet.md").try_into().expect("the guide has two blocks");
    let imports = imports.replace(ONET, folder);
    let all = |word: &str| counts.map(|count| format!("{count} {word}"));

    let first = server.run(&imports);
    assert_eq!(column(&first, 0), all("created"), "{first}");
    assert_eq!(column(&first, 3)[2], format!("{equal} equal to an earlier row"), "{first}");
    assert!(column(&first, 4).iter().all(|count| count == "0 failed"), "{first}");

    let second = server.run(&imports);
    assert!(column(&second, 0).iter().all(|count| count == "0 created"), "{second}");
    assert!(column(&second, 1).iter().all(|count| count == "0 replaced"), "{second}");
    assert_eq!(column(&second, 2), all("unchanged"), "{second}");

    let shown = server.run(&look_around);
    assert!(shown.contains("Software Developers") && shown.contains("what people say"), "{shown}");
    let events = server.run("annals events --type mutation --ns onet --limit all --json | grep -o '\"ulid\"' | wc -l");
    // The guide's patch is one more.
    assert_eq!(events.trim(), (mutations + 1).to_string());
    server.end();
}

/// The count at one place of each summary.
fn column(output: &str, at: usize) -> Vec<String> {
    output.lines().map(|line| line.split(", ").nth(at).unwrap_or_default().to_owned()).collect()
}
