//! Settings from all three places, and everything that can be wrong with them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::sources::{parse_from, read_from};
use super::*;

crate::settings! {
    /// Settings of the tests.
    struct Sample {
        /// Directory of everything
        /// that is kept.
        data_dir: PathBuf = "./annals-data",
        /// Port to listen on.
        port: u16 = "8080",
        /// Longest pause.
        pause: Duration = "500ms",
        /// Whether samples are loaded.
        demo: bool = "false",
        /// Where to send a copy.
        copy: Option<String>,
    }
}

crate::settings! {
    /// More settings of the tests.
    struct Other {
        /// Port of the other one.
        port: u16 = "9090",
    }
}

/// What `S` is, given these arguments, variables and file.
fn settings<S: Settings>(args: &[&str], variables: &[(&str, &str)], file: &str) -> Result<S, Mistakes> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("annals.toml");
    std::fs::write(&path, file).expect("writable");
    let mut all: Vec<OsString> = vec!["annals".into(), "--config".into(), path.into()];
    all.extend(args.iter().map(OsString::from));
    let (matches, mistakes) = parse_from(command::<S>(clap::Command::new("annals"), &[]), all);
    let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    read_from(&matches, mistakes, variables, &[])
}

/// What is told, without the place of the temporary file.
fn told<S: Settings>(args: &[&str], variables: &[(&str, &str)], file: &str) -> Vec<String> {
    let Err(mistakes) = settings::<S>(args, variables, file) else { panic!("nothing is wrong") };
    let short = |origin: &str| origin.rsplit('/').next().unwrap_or(origin).to_owned();
    mistakes.0.iter().map(|Mistake { origin, problem }| format!("{}: {problem}", short(origin))).collect()
}

#[test]
fn every_setting_has_its_default() {
    let sample: Sample = settings(&[], &[], "").expect("all have defaults");
    assert_eq!((sample.data_dir, sample.port), (PathBuf::from("./annals-data"), 8080));
    assert_eq!((sample.pause, sample.demo, sample.copy), (Duration::from_millis(500), false, None));
}

#[test]
fn a_flag_counts_more_than_a_variable_and_that_more_than_the_file() {
    let port = |args: &[&str], variables: &[(&str, &str)], file: &str| {
        settings::<Sample>(args, variables, file).expect("good settings").port
    };
    let (flag, variable, file) = (["--port", "1"], [("ANNALS_PORT", "2")], "port = 3");
    assert_eq!(port(&[], &[], file), 3);
    assert_eq!(port(&[], &variable, file), 2);
    assert_eq!(port(&flag, &variable, file), 1);
}

#[test]
fn a_setting_has_one_name_in_three_spellings() {
    let dir = |args: &[&str], variables: &[(&str, &str)], file: &str| {
        settings::<Sample>(args, variables, file).expect("good settings").data_dir
    };
    assert_eq!(dir(&["--data-dir=x"], &[], ""), PathBuf::from("x"));
    assert_eq!(dir(&[], &[("ANNALS_DATA_DIR", "x")], ""), PathBuf::from("x"));
    assert_eq!(dir(&[], &[], "data_dir = 'x'"), PathBuf::from("x"));
}

#[test]
fn a_bare_flag_means_true() {
    let demo = |args: &[&str]| settings::<Sample>(args, &[], "").expect("good settings").demo;
    assert!(demo(&["--demo"]) && demo(&["--demo=true"]) && !demo(&["--demo=false"]));
}

#[test]
fn all_mistakes_are_told_at_once_each_with_where_it_is_from() {
    let told = told::<Sample>(
        &["--prot", "1", "--pause", "soon", "--data-dri=x"],
        &[("ANNALS_COPPY", "x"), ("ANNALS_DEMO", "maybe")],
        "data_dirr = 'x'\nport = 70000\n",
    );
    assert_eq!(
        told,
        [
            "--prot: no such flag; did you mean --port?",
            "--data-dri: no such flag; did you mean --data-dir?",
            "annals.toml: data_dirr: no such key; did you mean data_dir?",
            "ANNALS_COPPY: no such variable; did you mean ANNALS_COPY?",
            "annals.toml: port: `70000` is not a whole number up to 65535",
            "--pause: `soon` is not a duration such as 500ms, 10s, 5m or 1h",
            "ANNALS_DEMO: `maybe` is not true or false",
        ]
    );
}

#[test]
fn a_name_like_no_other_gets_no_suggestion() {
    assert_eq!(told::<Sample>(&["--xyzzy"], &[], ""), ["--xyzzy: no such flag"]);
    assert_eq!(told::<Sample>(&[], &[("ANNALS_XYZZY", "")], ""), ["ANNALS_XYZZY: no such variable"]);
    assert_eq!(told::<Sample>(&[], &[], "xyzzy = 1"), ["annals.toml: xyzzy: no such key"]);
}

#[test]
fn a_flag_without_its_value_or_given_twice_is_a_mistake() {
    assert_eq!(told::<Sample>(&["--port"], &[], ""), ["--port: needs a value"]);
    assert_eq!(told::<Sample>(&["--port", "1", "--port", "2"], &[], ""), ["--port: given twice"]);
}

#[test]
fn a_named_file_must_be_there_and_be_flat() {
    let (matches, mistakes) = parse_from(
        command::<Sample>(clap::Command::new("annals"), &[]),
        ["annals", "--config", "nowhere.toml"].map(OsString::from).to_vec(),
    );
    let mistakes = read_from::<Sample>(&matches, mistakes, Vec::new(), &[]).expect_err("no such file");
    assert_eq!(mistakes.0[0].origin, "--config nowhere.toml");
    assert_eq!(told::<Sample>(&[], &[], "[port]\nx = 1"), ["annals.toml: port: must be a text, a number or a boolean"]);
    assert!(told::<Sample>(&[], &[], "port = = 1")[0].starts_with("annals.toml: TOML parse error"));
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_of_ours_are_not_settings() {
    let links = [("ANNALS_THINGS_SERVICE_HOST", "10.0.0.1"), ("ANNALS_THINGS_PORT_8081_TCP", "tcp://10.0.0.1:8081")];
    settings::<Sample>(&[], &links, "").expect("they are ignored");
}

#[test]
fn a_program_has_defaults_of_its_own() {
    let defaults: Defaults = &[("port", "8081")];
    let program = command::<Sample>(clap::Command::new("things"), defaults);
    let (matches, mistakes) = parse_from(program, vec!["things".into()]);
    let sample: Sample = read_from(&matches, mistakes, Vec::new(), defaults).expect("good settings");
    assert_eq!(sample.port, 8081);
}

struct Both {
    sample: Sample,
    other: Other,
}

impl Settings for Both {
    fn settings(from: &mut Reader<'_>) -> Option<Self> {
        let (sample, other) = (Sample::settings(from), from.prefixed::<Other>("other"));
        Some(Self { sample: sample?, other: other? })
    }
}

#[test]
fn a_prefix_tells_two_settings_of_one_name_apart() {
    let both: Both = settings(&["--port", "1", "--other-port", "2"], &[], "").expect("good settings");
    assert_eq!((both.sample.port, both.other.port), (1, 2));
}

#[test]
#[should_panic(expected = "two settings are called port: give one a prefix")]
fn two_settings_of_one_name_are_a_defect() {
    command::<(Sample, Other)>(clap::Command::new("annals"), &[]);
}

#[test]
fn help_teaches_each_setting_with_its_default() {
    let help = command::<Sample>(clap::Command::new("annals"), &[]).render_long_help().to_string();
    for part in ["--data-dir <PATH>", "that is kept. [default: ./annals-data]", "ANNALS_DATA_DIR", "--config <PATH>"] {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
}
