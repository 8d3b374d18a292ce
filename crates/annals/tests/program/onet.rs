//! The guide of docs/onet.md, executed.

use crate::server::{Server, root, shell_blocks};

#[test]
fn the_onet_guide_imports_every_row_and_its_second_run_writes_nothing() {
    if !root().join("../shared/data/onet").is_dir() {
        eprintln!("SKIPPED: ../shared/data/onet is not there");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let [imports, look_around] = shell_blocks("docs/onet.md").try_into().expect("the guide has two blocks");

    let first = server.run(&imports);
    let created = ["1,016 created", "19,265 created", "135 created", "18,460 created", "30,826 created"];
    assert_eq!(column(&first, 0), created, "{first}");
    assert_eq!(column(&first, 3)[2], "30,691 equal to an earlier row", "{first}");
    assert!(column(&first, 4).iter().all(|count| count == "0 failed"), "{first}");

    let second = server.run(&imports);
    assert!(column(&second, 0).iter().all(|count| count == "0 created"), "{second}");
    assert!(column(&second, 1).iter().all(|count| count == "0 replaced"), "{second}");
    let unchanged = ["1,016 unchanged", "19,265 unchanged", "135 unchanged", "18,460 unchanged", "30,826 unchanged"];
    assert_eq!(column(&second, 2), unchanged, "{second}");

    let shown = server.run(&look_around);
    assert!(shown.contains("Software Developers") && shown.contains("what people say"), "{shown}");
    let mutations =
        server.run("annals events --type mutation --ns onet --limit all --json | grep -o '\"ulid\"' | wc -l");
    assert_eq!(mutations.trim(), (1_016 + 19_265 + 135 + 18_460 + 30_826 + 1).to_string());
    server.end();
}

/// The count at one place of each summary.
fn column(output: &str, at: usize) -> Vec<String> {
    output.lines().map(|line| line.split(", ").nth(at).unwrap_or_default().to_owned()).collect()
}
