//! The three places that settings come from, and what is unknown in them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command};

use super::read::{Declared, Given, flag};
use super::{Defaults, Mistake, Mistakes, Reader, Settings};

/// The file that is read if it is there and none is named.
const FILE: &str = "annals.toml";

/// What every variable of ours begins with.
const PREFIX: &str = "ANNALS_";

/// Variables that are no settings: where the file is, and what the client commands call whom with.
const NO_SETTINGS: [&str; 3] = ["config", "server", "key"];

/// The settings of this process, whose program is `command`. Ends the process for `--help` and `--version`.
pub fn load<S: Settings>(program: Command, defaults: Defaults) -> Result<S, Mistakes> {
    let (matches, mistakes) = parse(command::<S>(program, defaults));
    read(&matches, mistakes, defaults)
}

/// `program` (or a subcommand) with a flag for each setting of `S`, and `--config`.
pub fn command<S: Settings>(program: Command, defaults: Defaults) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("PATH")
        .help(format!("File of settings: `data_dir = \"…\"` is `--data-dir …` [default: {FILE} if it is there]"));
    let mut declared: Vec<_> = Reader::declared::<S>(defaults).into_iter().collect();
    declared.sort_by_key(|(_, declared)| declared.at);
    let flags = declared.into_iter().map(|(name, declared)| argument(&name, &declared));
    program.arg(file).args(flags).after_help(
        "Every flag is also a variable (--data-dir: ANNALS_DATA_DIR) and a key of the file (data_dir).\n\
                     A flag counts more than the variable, the variable more than the file.",
    )
}

fn argument(name: &str, declared: &Declared) -> Arg {
    let help = declared.help.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let default = declared.default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
    let arg = Arg::new(name.to_owned())
        .long(name.replace('_', "-"))
        .value_name(declared.shape)
        .help(format!("{}{default}", help.trim_end()));
    // A bare `--demo` means `--demo true`.
    if declared.shape == <bool as super::Setting>::SHAPE {
        arg.num_args(0..=1).default_missing_value("true").require_equals(true)
    } else {
        arg
    }
}

/// The arguments of this process by `command`, and what is wrong with them. Ends the process for `--help` and
/// `--version`.
pub fn parse(command: Command) -> (ArgMatches, Vec<Mistake>) {
    parse_from(command, std::env::args_os().collect())
}

/// Parses `args`; what clap refuses is set aside as a mistake and the rest is parsed again, so that all are told.
pub(super) fn parse_from(mut command: Command, mut args: Vec<OsString>) -> (ArgMatches, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    loop {
        let error = match command.try_get_matches_from_mut(&args) {
            Ok(matches) => return (matches, mistakes),
            Err(error) => error,
        };
        let Some(at) = culprit(&error, &args) else { error.exit() };
        let (origin, problem) = told(&error);
        mistakes.push(Mistake { origin, problem });
        let takes_value = !args[at].to_string_lossy().contains('=')
            && args.get(at + 1).is_some_and(|next| !next.to_string_lossy().starts_with('-'));
        args.drain(at..=at + usize::from(takes_value));
    }
}

/// Which argument clap refuses: an unknown flag, a flag without a value, a flag given twice.
fn culprit(error: &clap::Error, args: &[OsString]) -> Option<usize> {
    let refused = matches!(
        error.kind(),
        ErrorKind::UnknownArgument | ErrorKind::InvalidValue | ErrorKind::ArgumentConflict | ErrorKind::TooManyValues
    );
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidArg).filter(|_| refused) else {
        return None;
    };
    let name = name.split([' ', '=', '[']).next().unwrap_or(name);
    args.iter().rposition(|arg| {
        let arg = arg.to_string_lossy();
        arg == name || arg.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
    })
}

fn told(error: &clap::Error) -> (String, String) {
    let origin = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name.split([' ', '=']).next().unwrap_or(name).to_owned(),
        _ => "arguments".to_owned(),
    };
    let problem = match (error.kind(), error.get(ContextKind::SuggestedArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(near))) => format!("no such flag; did you mean {near}?"),
        (ErrorKind::UnknownArgument, _) => "no such flag".to_owned(),
        (ErrorKind::ArgumentConflict, _) => "given twice".to_owned(),
        _ => "needs a value".to_owned(),
    };
    (origin, problem)
}

/// The settings of `S`: from `matches`, whose parsing made `mistakes`, the environment and the file.
pub fn read<S: Settings>(matches: &ArgMatches, mistakes: Vec<Mistake>, defaults: Defaults) -> Result<S, Mistakes> {
    read_from(matches, mistakes, environment(), defaults)
}

/// [`read`] with an environment that is given.
pub(super) fn read_from<S: Settings>(
    matches: &ArgMatches,
    mistakes: Vec<Mistake>,
    environment: Vec<(String, String)>,
    defaults: Defaults,
) -> Result<S, Mistakes> {
    let mut sources = Sources { declared: Reader::declared::<S>(defaults), values: BTreeMap::new(), mistakes };
    let named = matches
        .get_one::<String>("config")
        .or_else(|| environment.iter().find(|(name, _)| name == "ANNALS_CONFIG").map(|(_, path)| path))
        .map(PathBuf::from);
    sources.file(named.as_deref());
    sources.variables(environment);
    sources.flags(matches);
    sources.finish(defaults)
}

/// The variables of ours that this process was started with.
#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
fn environment() -> Vec<(String, String)> {
    let ours = |(name, text): (OsString, OsString)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        Some((name, text.to_string_lossy().into_owned()))
    };
    std::env::vars_os().filter_map(ours).collect()
}

/// The values collected so far, the weakest source first, and all that was wrong.
pub(super) struct Sources {
    declared: BTreeMap<String, Declared>,
    values: BTreeMap<String, Given>,
    mistakes: Vec<Mistake>,
}

impl Sources {
    fn file(&mut self, named: Option<&Path>) {
        let path = named.unwrap_or(Path::new(FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return,
            Err(error) => return self.mistake(format!("--config {}", path.display()), error.to_string()),
        };
        let table: toml::Table = match toml::from_str(&text) {
            Ok(table) => table,
            Err(error) => return self.mistake(path.display().to_string(), error.to_string().trim_end().to_owned()),
        };
        for (name, value) in table {
            let origin = format!("{}: {name}", path.display());
            match value {
                _ if !self.declared.contains_key(&name) => {
                    let problem = self.unknown("key", &name, str::to_owned);
                    self.mistake(origin, problem);
                }
                toml::Value::String(text) => self.give(name, text, origin),
                toml::Value::Integer(number) => self.give(name, number.to_string(), origin),
                toml::Value::Float(number) => self.give(name, number.to_string(), origin),
                toml::Value::Boolean(truth) => self.give(name, truth.to_string(), origin),
                _ => self.mistake(origin, "must be a text, a number or a boolean".to_owned()),
            }
        }
    }

    fn variables(&mut self, environment: Vec<(String, String)>) {
        for (variable, text) in environment {
            let name = variable[PREFIX.len()..].to_ascii_lowercase();
            if self.declared.contains_key(&name) {
                self.give(name, text, variable);
            } else if !NO_SETTINGS.contains(&name.as_str()) && !is_service_link(&name) {
                let problem = self.unknown("variable", &name, self::variable);
                self.mistake(variable, problem);
            }
        }
    }

    fn flags(&mut self, matches: &ArgMatches) {
        let given: Vec<_> = self
            .declared
            .keys()
            .filter_map(|name| Some((name.clone(), matches.get_one::<String>(name)?.clone())))
            .collect();
        for (name, text) in given {
            let origin = flag(&name);
            self.give(name, text, origin);
        }
    }

    fn finish<S: Settings>(mut self, defaults: Defaults) -> Result<S, Mistakes> {
        let settings = Reader::take(&self.values, &mut self.mistakes, defaults);
        settings.filter(|_| self.mistakes.is_empty()).ok_or(Mistakes(self.mistakes))
    }

    fn give(&mut self, name: String, text: String, origin: String) {
        self.values.insert(name, Given { text, origin });
    }

    fn mistake(&mut self, origin: String, problem: String) {
        self.mistakes.push(Mistake { origin, problem });
    }

    fn unknown(&self, noun: &str, name: &str, spelled: impl Fn(&str) -> String) -> String {
        match nearest(name, self.declared.keys().map(String::as_str)) {
            Some(near) => format!("no such {noun}; did you mean {}?", spelled(near)),
            None => format!("no such {noun}"),
        }
    }
}

fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase())
}

/// Kubernetes sets these by itself for each of its services that is called `annals-…`.
fn is_service_link(name: &str) -> bool {
    let port = |name: &str| name.ends_with("_port") || name.contains("_port_");
    name.ends_with("_service_host") || port(name)
}

/// The one of `known` that `name` is most likely meant to be, if any is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}
