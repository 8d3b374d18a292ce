//! Owns where data break a schema, and in which words that is said. Asks the validators of its parts whether something holds,
//! which takes bounded time, and goes down where it does not. Never says more of the data than a name.

use std::collections::HashSet;
use std::fmt::Write as _;

use jsonschema::ValidatorMap;
use serde_json::{Map, Value};

/// The most places of one thing that are told of.
pub(crate) const MAX_BREACHES: usize = 16;
/// The longest rule and the longest place that are told, in bytes.
const RULE_BYTES: usize = 120;
const PLACE_BYTES: usize = 256;

/// A place of data that breaks a schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Breach {
    /// A JSON pointer into the data, cut where it is long.
    pub(crate) at: String,
    /// What must hold there.
    pub(crate) rule: String,
}

/// Keywords that say something about one value and nothing in it.
const ABOUT_ONE: [&str; 18] = [
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
];

/// The first places where `data` break a schema, which they do.
pub(super) fn find(schema: &Value, validators: &ValidatorMap, data: &Value, limit: usize) -> Vec<Breach> {
    let (at, seen) = (String::new(), HashSet::new());
    let mut search = Search { root: schema, validators, at, seen, told: 0, found: Vec::new(), limit };
    search.go("#", data);
    search.found.truncate(limit);
    search.found
}

struct Search<'a> {
    root: &'a Value,
    validators: &'a ValidatorMap,
    at: String,
    /// Places of the data, each with a part of the schema that was gone into there.
    seen: HashSet<(String, String)>,
    /// How often something was said, new or not.
    told: usize,
    found: Vec<Breach>,
    limit: usize,
}

impl<'a> Search<'a> {
    /// Whether a value satisfies a part of the schema.
    fn holds(&self, part: &str, value: &Value) -> bool {
        self.validators.get(part).is_none_or(|validator| validator.is_valid(value))
    }

    /// Goes into a part that `value` breaks.
    fn go(&mut self, part: &str, value: &Value) {
        if self.found.len() >= self.limit {
            return;
        }
        if !self.seen.insert((self.at.clone(), part.to_owned())) {
            self.told += 1;
            return;
        }
        let Some(schema) = self.schema(part) else { return self.say("must not be there") };
        let before = self.told;
        self.say_what_breaks(schema, value);
        self.go_into_same(part, schema, value);
        self.go_into_members(part, schema, value);
        self.go_into_items(part, schema, value);
        if self.told == before {
            self.say(&format!("breaks the schema at {part}"));
        }
    }

    /// The object at a place of the schema.
    fn schema(&self, part: &str) -> Option<&'a Map<String, Value>> {
        self.root.pointer(part.strip_prefix('#')?)?.as_object()
    }

    fn say(&mut self, rule: &str) {
        self.told += 1;
        let place = if self.at.len() > PLACE_BYTES {
            format!("{}…", &self.at[..self.at.floor_char_boundary(PLACE_BYTES)])
        } else {
            self.at.clone()
        };
        let breach = Breach { at: place, rule: short(rule) };
        if !self.found.contains(&breach) {
            self.found.push(breach);
        }
    }

    /// Keywords about the value alone.
    fn say_what_breaks(&mut self, schema: &Map<String, Value>, value: &Value) {
        let about = ABOUT_ONE.iter().filter_map(|word| schema.get_key_value(*word));
        let mut alone: Map<String, Value> = about.map(|(word, rule)| (word.clone(), rule.clone())).collect();
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            for word in ["properties", "patternProperties"] {
                let names = schema.get(word).and_then(Value::as_object).into_iter().flatten();
                let any: Map<String, Value> = names.map(|(name, _)| (name.clone(), Value::Bool(true))).collect();
                alone.insert(word.to_owned(), Value::Object(any));
            }
            alone.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        let Ok(alone) = super::options().build(&Value::Object(alone)) else { return };
        let rules: Vec<String> =
            alone.iter_errors(value).take(MAX_BREACHES).map(|error| error.masked().to_string()).collect();
        for rule in rules {
            self.say(&rule);
        }
    }

    fn go_into_same(&mut self, part: &str, schema: &'a Map<String, Value>, value: &Value) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.target(reference);
            self.go_unless_it_holds(&target, value);
        }
        for number in 0..schema.get("allOf").and_then(Value::as_array).map_or(0, Vec::len) {
            self.go_unless_it_holds(&format!("{part}/allOf/{number}"), value);
        }
        for name in schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if value.get(name).is_some() {
                self.go_unless_it_holds(&format!("{part}/dependentSchemas/{}", step(name)), value);
            }
        }
        if schema.contains_key("if") {
            let word = if self.holds(&format!("{part}/if"), value) { "then" } else { "else" };
            if schema.contains_key(word) {
                self.go_unless_it_holds(&format!("{part}/{word}"), value);
            }
        }
        let holding = |word: &str| {
            let count = schema.get(word).and_then(Value::as_array)?.len();
            Some((0..count).filter(|number| self.holds(&format!("{part}/{word}/{number}"), value)).count())
        };
        let (any, one) = (holding("anyOf"), holding("oneOf"));
        if any == Some(0) {
            self.say(&format!("must satisfy one of {part}/anyOf"));
        }
        if let Some(count) = one.filter(|count| *count != 1) {
            self.say(&format!("must satisfy exactly one of {part}/oneOf, not {count}"));
        }
        if schema.contains_key("not") && self.holds(&format!("{part}/not"), value) {
            self.say(&format!("must not satisfy {part}/not"));
        }
    }

    fn go_into_members(&mut self, part: &str, schema: &'a Map<String, Value>, value: &Value) {
        let Some(members) = value.as_object() else { return };
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties").is_some_and(Value::is_object);
        for (name, member) in members {
            let place = if known.is_some_and(|known| known.contains_key(name)) {
                format!("{part}/properties/{}", step(name))
            } else if others && !schema.contains_key("patternProperties") {
                format!("{part}/additionalProperties")
            } else {
                continue;
            };
            self.inside(&step(name), &place, member);
        }
    }

    fn go_into_items(&mut self, part: &str, schema: &'a Map<String, Value>, value: &Value) {
        let Some(items) = value.as_array() else { return };
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
        for (number, item) in items.iter().enumerate() {
            let place = if number < first {
                format!("{part}/prefixItems/{number}")
            } else if schema.contains_key("items") {
                format!("{part}/items")
            } else {
                return;
            };
            self.inside(&number.to_string(), &place, item);
        }
    }

    fn inside(&mut self, step: &str, part: &str, value: &Value) {
        if self.found.len() >= self.limit {
            return;
        }
        let before = self.at.len();
        let _ = write!(self.at, "/{step}");
        self.go_unless_it_holds(part, value);
        self.at.truncate(before);
    }

    fn go_unless_it_holds(&mut self, part: &str, value: &Value) {
        if !self.holds(part, value) {
            self.go(part, value);
        }
    }

    /// The place that a reference leads to, as the validators have it.
    fn target(&self, reference: &str) -> String {
        let fragment = super::shape::decoded(reference.trim_start_matches('#')).unwrap_or_default();
        if fragment.is_empty() || fragment.starts_with('/') {
            return format!("#{fragment}");
        }
        let mut next = vec![("#".to_owned(), self.root)];
        while let Some((place, value)) = next.pop() {
            match value {
                Value::Object(members) => {
                    let is_it = |word| members.get(word).and_then(Value::as_str) == Some(&*fragment);
                    if is_it("$anchor") || is_it("$dynamicAnchor") {
                        return place;
                    }
                    next.extend(members.iter().map(|(name, value)| (format!("{place}/{}", step(name)), value)));
                }
                Value::Array(items) => {
                    let items = items.iter().enumerate();
                    next.extend(items.map(|(number, value)| (format!("{place}/{number}"), value)));
                }
                _ => {}
            }
        }
        format!("#{fragment}")
    }
}

/// One step of a JSON pointer.
pub(super) fn step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A place of a schema, for a person.
pub(super) fn shown(pointer: &str) -> String {
    if pointer.is_empty() { "the schema".to_owned() } else { short(pointer) }
}

/// A text that is not too long.
pub(super) fn short(text: &str) -> String {
    if text.len() <= RULE_BYTES {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(RULE_BYTES - '…'.len_utf8())])
}
