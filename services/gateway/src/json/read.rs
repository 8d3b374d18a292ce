//! JSON bodies, taken apart member by member.
//!
//! Owns the shapes of members and the names of those that do not exist. Every mistake of a body is told at once.

use domain::json::{MAX_DEPTH, parse_to_depth};
use domain::{Invalid, Json};
use proto::common::v1::Reason;
use serve::Refusal;

use super::place::{place, shown};

/// Levels around a `data` that may itself have [`MAX_DEPTH`]: a write, its changes, one of them, and its thing.
const ENVELOPE: usize = 4;

/// The most mistakes that are told at once.
const MAX_VIOLATIONS: usize = 100;

/// The longest name to which the nearest known one is sought, in bytes.
const MAX_NAME: usize = 64;

/// The JSON value that `bytes` are. `root` is the path of what they are in refusals; empty: they are the body.
pub(crate) fn parse(root: &str, bytes: &[u8]) -> Result<Json, Invalid> {
    let named = |place: String| if place.is_empty() { "body".to_owned() } else { place };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let rule = format!("must be UTF-8 (it is not at byte {})", error.valid_up_to());
        Invalid::new(named(root.to_owned()), rule)
    })?;
    parse_to_depth(text, MAX_DEPTH + ENVELOPE).map_err(|error| {
        let place = named(place(root, text, error.offset));
        error.into_invalid(&place)
    })
}

/// Mistakes of a body, collected: the first hundred.
#[derive(Default)]
pub(crate) struct Violations {
    found: Vec<Invalid>,
    has_unknown: bool,
}

impl Violations {
    pub(crate) fn add(&mut self, invalid: Invalid) {
        if !self.are_many() {
            self.found.push(invalid);
        }
    }

    /// Those of a part of the body that was read alone.
    pub(crate) fn add_all(&mut self, at: &str, refusal: Refusal) {
        self.has_unknown |= refusal.reason == Reason::FieldUnknown;
        for Invalid { field, rule } in refusal.violations {
            let field = if field == "body" { at.to_owned() } else { format!("{at}.{field}") };
            self.add(Invalid { field, rule });
        }
    }

    fn add_unknown(&mut self, field: String, name: &str, known: &[&str]) {
        self.has_unknown = true;
        if !self.are_many() {
            self.found.push(Invalid::new(field, unknown(name, known)));
        }
    }

    fn are_many(&self) -> bool {
        self.found.len() >= MAX_VIOLATIONS
    }

    /// `value`, unless there was a mistake.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Refusal> {
        if self.found.is_empty() {
            return Ok(value);
        }
        let reason = if self.has_unknown { Reason::FieldUnknown } else { Reason::FieldInvalid };
        Err(Refusal { reason, ..Refusal::invalid(self.found) })
    }
}

/// The rule that a name breaks which is none of the `known`.
pub(crate) fn unknown(name: &str, known: &[&str]) -> String {
    let is_short = name.len() <= MAX_NAME;
    match is_short.then(|| serve::config::nearest(name, known.iter().copied())).flatten() {
        Some(nearest) => format!("is not known: {nearest} is the nearest that is"),
        None if known.is_empty() => "is not known: there are none".to_owned(),
        None => format!("is not known: {} are", known.join(", ")),
    }
}

/// The members of one object, taken one by one. A member that is null counts as absent.
pub(crate) struct Fields<'a> {
    at: String,
    members: Vec<(Box<str>, Json)>,
    violations: &'a mut Violations,
}

impl<'a> Fields<'a> {
    /// The members of `value`, which stands at `at` in the body (empty: it is the body). Members that are neither
    /// `known` nor to be `ignored` are mistakes.
    pub(crate) fn of(
        value: Json,
        at: impl Into<String>,
        known: &[&str],
        ignored: &[&str],
        violations: &'a mut Violations,
    ) -> Self {
        let at = at.into();
        let mut fields = Self { at, members: Vec::new(), violations };
        let what = noun(&value);
        let Json::Object(members) = value else {
            let field = if fields.at.is_empty() { "body" } else { &fields.at };
            fields.violations.add(Invalid::new(field, format!("must be an object, not {what}")));
            return fields;
        };
        for (name, value) in members {
            if known.contains(&&*name) {
                fields.members.push((name, value));
            } else if !ignored.contains(&&*name) {
                let field = fields.path(&name);
                fields.violations.add_unknown(field, &name, known);
            }
        }
        fields
    }

    /// A member of any shape, null included.
    pub(crate) fn any(&mut self, name: &str) -> Option<Json> {
        let index = self.members.iter().position(|(known, _)| &**known == name)?;
        Some(self.members.swap_remove(index).1)
    }

    /// Whether a member is not there, or null.
    pub(crate) fn is_absent(&self, name: &str) -> bool {
        !self.members.iter().any(|(known, value)| &**known == name && *value != Json::Null)
    }

    /// A member of any shape but null.
    pub(crate) fn value(&mut self, name: &str) -> Option<Json> {
        self.any(name).filter(|value| *value != Json::Null)
    }

    /// A member that must be a string.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name)? {
            Json::String(text) => Some(text.into()),
            other => self.refuse(name, format!("must be a string, not {}", noun(&other))),
        }
    }

    /// A member that must be an array; `of` says of what.
    pub(crate) fn array(&mut self, name: &str, of: &str) -> Option<Vec<Json>> {
        match self.value(name)? {
            Json::Array(items) => Some(items),
            other => self.refuse(name, format!("must be an array of {of}, not {}", noun(&other))),
        }
    }

    /// A member that must be an array of strings.
    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for (index, item) in self.array(name, "strings")?.into_iter().enumerate() {
            let Json::String(text) = item else {
                return self.refuse(&format!("{name}[{index}]"), format!("must be a string, not {}", noun(&item)));
            };
            texts.push(text.into());
        }
        Some(texts)
    }

    /// A member that must be `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Json::Bool(flag) => Some(flag),
            other => self.refuse(name, format!("must be a boolean, not {}", noun(&other))),
        }
    }

    /// A member that must be a number of 32 bits without fraction.
    pub(crate) fn whole_number(&mut self, name: &str) -> Option<i32> {
        self.lexeme(name)?.parse().ok().or_else(|| self.refuse(name, "must be a whole number of 32 bits"))
    }

    /// A member that must be a number that is finite in 64 bits.
    pub(crate) fn number(&mut self, name: &str) -> Option<f64> {
        let number = self.lexeme(name)?.parse().ok().filter(|number: &f64| number.is_finite());
        number.or_else(|| self.refuse(name, "must be a number that is finite in 64 bits"))
    }

    /// A member that must be an array of numbers that are finite in 32 bits.
    pub(crate) fn numbers(&mut self, name: &str) -> Option<Vec<f32>> {
        let items = self.array(name, "numbers")?;
        let mut numbers = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let Json::Number(lexeme) = item else {
                return self.refuse(&format!("{name}[{index}]"), format!("must be a number, not {}", noun(item)));
            };
            match lexeme.parse::<f32>() {
                Ok(number) if number.is_finite() => numbers.push(number),
                _ => return self.refuse(&format!("{name}[{index}]"), "must be a number that is finite in 32 bits"),
            }
        }
        Some(numbers)
    }

    /// Text of a member that is parsed: `None` where it is absent, and where it is refused.
    pub(crate) fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(invalid) => self.refuse(name, invalid.rule),
        }
    }

    /// Notes that the member breaks a rule.
    pub(crate) fn refuse<T>(&mut self, name: &str, rule: impl Into<String>) -> Option<T> {
        let field = self.path(name);
        self.violations.add(Invalid::new(field, rule));
        None
    }

    fn lexeme(&mut self, name: &str) -> Option<Box<str>> {
        match self.value(name)? {
            Json::Number(lexeme) => Some(lexeme),
            other => self.refuse(name, format!("must be a number, not {}", noun(&other))),
        }
    }

    fn path(&self, name: &str) -> String {
        let name = shown(name);
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }
}

/// What a value is, in words.
pub(super) fn noun(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = (Option<String>, Option<i32>, Option<Vec<f32>>);

    fn read(text: &str) -> Result<Read, Refusal> {
        let mut violations = Violations::default();
        let json = parse("", text.as_bytes())?;
        let mut fields = Fields::of(json, "", &["type", "status", "embedding"], &["etag"], &mut violations);
        let read = (fields.text("type"), fields.whole_number("status"), fields.numbers("embedding"));
        violations.or(read)
    }

    #[test]
    fn null_is_absent_and_output_only_members_are_ignored() {
        let (name, status, embedding) = read(r#"{"type":"A","status":null,"embedding":[1,2.5],"etag":7}"#).unwrap();
        assert_eq!((name.as_deref(), status), (Some("A"), None));
        assert_eq!(embedding, Some(vec![1.0, 2.5]));
    }

    #[test]
    fn an_unknown_member_is_refused_with_the_nearest_known_name() {
        let refusal = read(r#"{"typ":"A"}"#).unwrap_err();
        assert_eq!(refusal.reason, Reason::FieldUnknown);
        assert_eq!(refusal.message, "typ: is not known: type is the nearest that is");
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let refusal = read(r#"{"type":1,"status":1.5,"embedding":[1,1e300]}"#).unwrap_err();
        let fields: Vec<_> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["type", "status", "embedding[1]"]);
    }

    #[test]
    fn many_mistakes_are_not_all_told() {
        let members: Vec<_> = (0..10_000).map(|number| format!("\"x{number}\":0")).collect();
        let refusal = read(&format!("{{{}}}", members.join(","))).unwrap_err();
        assert_eq!(refusal.violations.len(), MAX_VIOLATIONS);
    }

    #[test]
    fn text_that_cannot_be_read_is_refused_at_its_place() {
        let field = |text: &str| parse("", text.as_bytes()).unwrap_err().field;
        assert_eq!(field(r#"{"type":"T","data":{"a":1e999}}"#), "data.a");
        assert_eq!(field(r#"{"type":"T","data":{"a":1,"a":2}}"#), "data");
        assert_eq!(field("{"), "body");
        assert_eq!(parse("events[2]", b"{\"data\":?}").unwrap_err().field, "events[2].data");
    }

    #[test]
    fn what_is_no_utf_8_no_json_or_too_deep_is_refused_with_its_rule() {
        assert!(parse("", b"{\"a\":\"\xff\"}").unwrap_err().rule.contains("UTF-8"));
        assert!(parse("", b"{\"a\":\"\\u0000\"}").is_err());
        assert!(parse("", "[".repeat(100_000).as_bytes()).unwrap_err().rule.contains("deep"));
        assert!(parse("", b"1e999").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse("", &bytes);
        }

        #[test]
        fn no_json_makes_the_reader_panic(text in r#"\{("(type|status|embedding|x)":(1|"a"|null|\[1,"b"\]|-0\.5e9),?){0,4}\}"#) {
            let _ = read(&text);
        }
    }
}
