//! The documents' commands do what they say: their shell blocks are executed as they are, but for the server's address.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use harness::{
    cluster::Cluster,
    program::{path, without_settings},
};
use serde_json::Value;

crate::on_both_topologies! {
    the_first_five_minutes_of_the_readme_work_as_printed,
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the project").to_owned()
}

/// The shell blocks of a document, from a heading to the next one of the same level.
pub(crate) fn shell_blocks(document: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"));
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("{document} has no `{heading}`"));
    let section = section.split("\n## ").next().expect("there is a first part");
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("there is a first part").to_owned()).collect()
}

/// Runs a script in the project's root, with the built programs first on the path.
pub(crate) fn shell(cluster: &Cluster, script: &str) -> Output {
    shell_at(cluster.gateway, script)
}

/// Runs a script whose gateway is at this address.
pub(crate) fn shell_at(gateway: SocketAddr, script: &str) -> Output {
    let annals = path("annals");
    let programs = annals.parent().expect("a program lies in a directory").display();
    let script = script
        .replace("127.0.0.1:8080", &gateway.to_string())
        .replace("cargo run -q --release -- ", "annals ")
        .replace("cargo run -q -- ", "annals ")
        .replace("cargo run -q --bin ", "")
        .replace(" -- --", " --");
    let mut command = without_settings(Command::new("bash"));
    command.args(["-euo", "pipefail", "-c", &format!("PATH=\"{programs}:$PATH\"\n{script}")]);
    command.env("ANNALS_SERVER", format!("http://{gateway}")).current_dir(root());
    command.output().expect("bash starts")
}

/// What a script that must succeed has printed.
#[track_caller]
pub(crate) fn run(cluster: &Cluster, script: &str) -> String {
    succeeded(script, &shell(cluster, script))
}

#[track_caller]
pub(crate) fn succeeded(script: &str, output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    out.into_owned()
}

async fn the_first_five_minutes_of_the_readme_work_as_printed(cluster: &mut Cluster) {
    let [over_http, by_commands] =
        shell_blocks("README.md", "## The first five minutes").try_into().expect("two blocks");
    // Each command's output on lines of its own.
    let printed = run(cluster, &over_http.replace("\ncurl ", "\necho; echo ---; curl "));
    let answers: Vec<_> = printed.split("\n---\n").skip(1).map(str::trim).collect();
    let [put, read, markdown, patched, then, history, diff, list, quay, link, relationships, found]: [_; 12] =
        answers.try_into().unwrap_or_else(|answers| panic!("{answers:#?}"));
    let json = |text: &str| -> Value { serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")) };
    assert_eq!(put, read, "a PUT answers the state that it made");
    assert_eq!(json(read)["url"], "/harbour/Old_crane");
    assert!(read.contains(r#""lifts":3.0"#), "{read}");
    assert_eq!(markdown, "# Old crane\n\nLifts 3 t.");
    assert!(patched.contains(r#""lifts":2.5"#) && patched.contains(r#""since":1911"#), "{patched}");
    assert_eq!(then, read, "the same bytes");
    let types: Vec<_> =
        json(history)["items"].as_array().unwrap().iter().map(|item| item["mutation_type"].clone()).collect();
    assert_eq!(types, ["created", "updated"]);
    assert!(diff.contains(r#"{"path":"/data/lifts","before":3.0,"after":2.5}"#), "{diff}");
    assert_eq!(json(list)["items"], Value::from(vec![json(read)]), "the namespace as it was");
    assert_eq!(json(quay)["type"], "Quay");
    assert_eq!(json(link)["type"], "stands on");
    assert_eq!(json(relationships)["items"][0]["type"], "stands on");
    assert_eq!(json(found)["items"][0]["id"], "Old crane", "{found}");

    let printed = run(cluster, &by_commands);
    for expected in ["Old crane", "created", "updated", "North quay"] {
        assert!(printed.contains(expected), "{expected} is not in\n{printed}");
    }
}
