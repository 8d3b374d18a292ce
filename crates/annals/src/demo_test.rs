//! That the samples are what their README says, and load.

use super::*;

const README: &str = include_str!("../../../samples/README.md");

#[test]
fn the_readme_of_the_samples_has_the_command_of_each() {
    let commands = README.replace("\\\n      ", "");
    for sample in &SAMPLES {
        let arguments: Vec<_> = sample.arguments.iter().map(|argument| quoted(argument)).collect();
        let command = format!("annals import samples/{} {}\n", sample.file, arguments.join(" "));
        assert!(commands.contains(&command), "samples/README.md lacks\n{command}");
    }
}

#[test]
fn every_sample_is_a_good_command_line() {
    for sample in &SAMPLES {
        assert!(sample.args().is_ok(), "{}: {}", sample.file, sample.args().unwrap_err());
    }
}

/// As a shell takes it.
fn quoted(argument: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-./,_".contains(&byte);
    if argument.bytes().all(is_plain) { argument.to_owned() } else { format!("'{argument}'") }
}
