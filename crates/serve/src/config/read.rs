//! One pass over the declared settings: to learn them, or to take their values.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Defaults, Mistake, Setting, Settings};

/// What a struct of settings declares its fields to and takes their values from.
pub struct Reader<'a> {
    pass: Pass<'a>,
    defaults: Defaults,
    prefix: &'static str,
}

enum Pass<'a> {
    /// Keeps what is declared; there are no values yet.
    Declare(&'a mut BTreeMap<String, Declared>),
    /// Looks up the text of each setting, the first source that has it; keeps what is wrong.
    Take { values: &'a BTreeMap<String, Given>, mistakes: &'a mut Vec<Mistake> },
}

/// One declared setting.
pub(super) struct Declared {
    pub(super) help: &'static str,
    pub(super) shape: &'static str,
    pub(super) default: Option<&'static str>,
    /// Place in the order of declaration, which is that of the help text.
    pub(super) at: usize,
}

/// The text of a setting and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: String,
}

impl<'a> Reader<'a> {
    /// What `S` declares.
    pub(super) fn declared<S: Settings>(defaults: Defaults) -> BTreeMap<String, Declared> {
        let mut declared = BTreeMap::new();
        S::settings(&mut Reader { pass: Pass::Declare(&mut declared), defaults, prefix: "" });
        declared
    }

    /// The values of `S`, unless something is wrong with them.
    pub(super) fn take<S: Settings>(
        values: &'a BTreeMap<String, Given>,
        mistakes: &'a mut Vec<Mistake>,
        defaults: Defaults,
    ) -> Option<S> {
        S::settings(&mut Reader { pass: Pass::Take { values, mistakes }, defaults, prefix: "" })
    }

    /// Declares the setting `name` (snake case) and takes its value.
    pub fn setting<T: Setting>(
        &mut self,
        name: &'static str,
        help: &'static str,
        default: Option<&'static str>,
    ) -> Option<T> {
        let name = if self.prefix.is_empty() { name.to_owned() } else { format!("{}_{name}", self.prefix) };
        let default = self.defaults.iter().find(|(of, _)| *of == name).map_or(default, |(_, text)| Some(*text));
        match &mut self.pass {
            Pass::Declare(declared) => {
                let at = declared.len();
                match declared.entry(name) {
                    Entry::Vacant(free) => drop(free.insert(Declared { help, shape: T::SHAPE, default, at })),
                    Entry::Occupied(taken) => panic!("two settings are called {}: give one a prefix", taken.key()),
                }
                None
            }
            Pass::Take { values, mistakes } => {
                let given = values.get(&name);
                let value = match given.map(|given| given.text.as_str()).or(default) {
                    Some(text) => T::from_text(text),
                    None => T::absent(),
                };
                value
                    .map_err(|problem| {
                        let origin = given.map_or_else(|| flag(&name), |given| given.origin.clone());
                        mistakes.push(Mistake { origin, problem });
                    })
                    .ok()
            }
        }
    }

    /// The settings `S`, each with `prefix_` in front of its name: for two groups that use one name.
    pub fn prefixed<S: Settings>(&mut self, prefix: &'static str) -> Option<S> {
        let outer = std::mem::replace(&mut self.prefix, prefix);
        let settings = S::settings(self);
        self.prefix = outer;
        settings
    }
}

/// The flag of a setting: `--data-dir`.
pub(super) fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}
