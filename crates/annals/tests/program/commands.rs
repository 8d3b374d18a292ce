//! The commands against a server with the demo.

use crate::server::{Server, shell_blocks};

fn start() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--demo"]);
    (dir, server)
}

#[test]
fn what_is_put_can_be_read_changed_and_read_as_it_was() {
    let (_dir, server) = start();
    let put = server.run("annals put example.com/Old_crane --type Crane --content 'Lifts 3 t.' --data '{\"t\":3.0}'");
    assert!(put.starts_with("created /example.com/Old_crane\n"), "{put}");
    let etag = put.split_whitespace().last().unwrap().to_owned();

    let patched = server.run("annals patch '/example.com/Old_crane' --data '{\"t\":2.50}' --cause rust --json");
    assert!(patched.contains(r#""data":{"t":2.50}"#), "{patched}");
    let then = server.run(&format!("annals get 'example.com/Old crane' --at {etag} --json"));
    assert!(then.contains(r#""data":{"t":3.0}"#), "{then}");
    let history = server.run("annals history example.com/Old_crane");
    assert!(history.contains("created") && history.contains("updated  data") && history.contains("rust"), "{history}");

    let listed = server.run(&format!("annals list example.com/ --at {etag} --json"));
    assert!(listed.contains(r#""url":"/example.com/Old_crane""#) && listed.contains(r#""data":{"t":3.0}"#), "{listed}");
    let diff = server.run(&format!("annals diff example.com/Old_crane --from {etag}"));
    assert!(diff.ends_with("/data/t\n- 3.0\n+ 2.50\n"), "{diff}");
    let diff = server.run(&format!("annals diff example.com/Old_crane --from {etag} --json"));
    assert!(diff.contains(r#""changes":[{"path":"/data/t","before":3.0,"after":2.50}]"#), "{diff}");

    let deleted = server.run("annals delete example.com/Old_crane");
    assert!(deleted.starts_with("deleted example.com/Old crane\n"), "{deleted}");
    server.run(&format!("annals get example.com/Old_crane --at {etag}"));
}

#[test]
fn a_refusal_tells_field_rule_and_next_step_and_ends_with_one() {
    let (_dir, server) = start();
    let refusal = |script: &str| {
        let output = server.shell(script);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = refusal("annals get example.com/nothing");
    assert_eq!((code, text.lines().next()), (1, Some("error: thing example.com/nothing does not exist")), "{text}");
    assert!(text.contains("  next    look for it with `annals list NS/`"), "{text}");
    let (code, text) = refusal("annals put example.com/x --type T --data '[]'");
    assert_eq!(code, 1);
    assert!(text.contains("  field   thing.data\n  rule    must be a JSON object"), "{text}");
    let (code, text) = refusal("annals put lights.example/Grey_Skerry --type Light --create");
    assert!(code == 1 && text.contains("ALREADY_EXISTS"), "{text}");
    assert_eq!(refusal("annals get onet").0, 2);
    assert_eq!(refusal("annals put example.com/x").0, 2);
}

#[test]
fn events_are_counted_in_a_table_and_as_a_document() {
    let (dir, server) = start();
    let lines: String =
        ["a", "b", "b"].map(|script| format!("{{\"event_type\":\"log\",\"script_name\":\"{script}\"}}\n")).concat();
    std::fs::write(dir.path().join("log.ndjson"), lines).unwrap();
    server.run(&format!("annals events --append {}", dir.path().join("log.ndjson").display()));
    let line = "annals aggregate --by script_name --type log --where script_name=a,b --order-by count";
    assert_eq!(server.run(line), "script_name  count\nb            2\na            1\n");
    let expected = "{\"items\":[{\"script_name\":\"b\",\"count\":2}],\"is_truncated\":true}\n";
    assert_eq!(server.run(&format!("{line} --limit 1 --json")), expected);
    let output = server.shell("annals aggregate --by script_nam");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("script_name is the nearest"), "{stderr}");
}

#[test]
fn a_bad_row_is_told_with_its_line_and_the_others_are_put() {
    let (dir, server) = start();
    let file = dir.path().join("rows.tsv");
    std::fs::write(&file, "id\tshown\na\tpublic\nb\tpubic\nc\n_\tpublic\nd\tprivate\n").unwrap();
    let import =
        format!("annals import {} --ns rows --id '{{id}}' --type Row --visibility '{{shown}}'", file.display());
    let output = server.shell(&import);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    for line in ["line 3: visibility: must be", "line 4: the row has 1 field, the header 2 fields", "line 5: "] {
        assert!(stderr.contains(line), "{line} is not in\n{stderr}");
    }
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.starts_with("2 created, 0 replaced, 0 unchanged, 0 equal to an earlier row, 3 failed, "),
        "{stdout}"
    );
    assert!(server.run("annals list rows/ --json").contains(r#""id":"d""#));
}

#[test]
fn an_import_that_stopped_is_gone_on_with_by_its_id() {
    let (dir, server) = start();
    let file = dir.path().join("rows.tsv");
    let import = format!("annals import {} --ns rows --id '{{id}}' --type Row --resume monday", file.display());
    let rows = ["id\tshown", "a\tone", "b\ttwo", "c\tthree", "d\tfour"];
    std::fs::write(&file, rows[..3].join("\n")).unwrap();
    let output = server.shell(&import);
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(told.starts_with("2 created,") && said.contains("nothing is known of import monday"), "{told}{said}");
    server.run("annals put rows/a --type Row --content changed");
    // As if it had been so long from the beginning.
    std::fs::write(&file, rows.join("\n")).unwrap();
    let told = server.run(&import);
    assert!(told.starts_with("2 created,") && told.contains(" 2 passed over,"), "{told}");
    assert!(server.run("annals get rows/a").contains("changed"));
}

#[test]
fn a_link_has_its_own_name_and_repeating_it_changes_nothing() {
    let (_dir, server) = start();
    let link = "annals link 'lights.example/Jon Abara' watches lights.example/Mill_Reach";
    let first = server.run(link);
    let url = "/_/relationships/lights.example/Jon_Abara/watches/lights.example/Mill_Reach";
    assert!(first.starts_with(&format!("created {url}\n")), "{first}");
    assert!(server.run(link).starts_with("unchanged "));
    let shown = server.run("annals get lights.example/Mill_Reach --relationships");
    assert!(shown.contains("lights.example/Jon Abara  watches  lights.example/Mill Reach"), "{shown}");
}

#[test]
fn the_samples_load_by_the_commands_of_their_readme_and_a_second_run_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let [commands] = shell_blocks("samples/README.md").try_into().expect("the readme has one block");
    let first = server.run(&commands);
    assert!(!first.contains("0 created") && first.contains("10 stored"), "{first}");
    let imports: Vec<_> = commands.lines().filter(|line| !line.contains("--append")).collect();
    let second = server.run(&imports.join("\n"));
    assert!(second.lines().all(|line| line.starts_with("0 created, 0 replaced")), "{second}");
}

#[test]
fn the_demo_is_loaded_once_and_what_was_changed_in_it_stays() {
    let (dir, server) = start();
    assert!(server.banner.contains("/lights.example/Welcome"), "{}", server.banner);
    server.run("annals patch lights.example/Grey_Skerry --code dark; annals delete lights.example/Patience");
    let events = "annals events --ns lights.example --limit all --json | grep -o '\"ulid\"' | wc -l";
    let before = server.run(events);
    server.end();

    let server = Server::start(dir.path(), &["--demo"]);
    assert!(server.run("annals get lights.example/Grey_Skerry --json").contains(r#""code":"dark""#));
    assert_eq!(server.shell("annals get lights.example/Patience").status.code(), Some(1));
    assert_eq!(server.run(events), before);
    server.end();
}

/// The commands of a banner, which stand at the ends of its lines.
fn printed_commands(server: &Server) -> Vec<&str> {
    server.banner.lines().filter_map(|line| line.find("curl ").map(|at| &line[at..])).collect()
}

#[test]
fn every_command_that_the_banner_prints_works_as_printed() {
    let (_dir, server) = start();
    let [look, write, history] = printed_commands(&server).try_into().expect("three commands");
    assert!(server.run(look).contains(r#""url":"/lights.example/Grey_Skerry""#));
    assert!(server.run(write).contains(r#""url":"/example.com/hello""#));
    assert!(server.run(history).contains(r#""mutation_type":"created""#));
}

#[test]
fn with_keys_the_banners_commands_work_for_who_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let (_other, maker) = start();
    let made = maker.run("annals key new --tenant acme --principal ada --scope 'write:*'");
    let (key, entry) = made.split_once('\n').expect("a key, and its entry");
    std::fs::write(dir.path().join("keys.toml"), entry).unwrap();
    let server = Server::start(dir.path(), &[]);
    let [write, history] = printed_commands(&server).try_into().expect("two commands");
    assert!(server.run(write).contains("UNAUTHENTICATED"), "without a key nobody writes");
    let with_key = |command: &str| server.run(&format!("export ANNALS_KEY={key}\n{command}"));
    assert!(with_key(write).contains(r#""url":"/example.com/hello""#));
    assert!(with_key(history).contains(r#""mutation_type":"created""#));
}

#[test]
fn two_servers_cannot_have_one_data_directory() {
    let (dir, server) = start();
    let script = format!("annals serve --listen 127.0.0.1:0 --data-dir {}", dir.path().display());
    let output = server.shell(&script);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in use by another process"));
}

#[test]
fn every_setting_that_is_wrong_is_told_at_once() {
    let (_dir, server) = start();
    let output = server.shell("annals serve --lisen 127.0.0.1:0 --journal-queue-bytes many");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("--lisen") && stderr.contains("--journal-queue-bytes"), "{stderr}");
}
