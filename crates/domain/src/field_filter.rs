//! Owns what of a field of data may be asked: where it is, what must hold there, and whether it does.

use std::{
    cmp::Ordering::{self, Equal, Greater, Less},
    fmt,
    str::FromStr,
};

use crate::{Invalid, Json, json};

/// The longest path, in bytes.
const MAX_PATH: usize = 1_024;
/// The most values of which a field has one.
const MAX_VALUES: usize = 100;

/// What must hold of a field of a thing's data.
///
/// As text: `/city=Berlin`, `/city=["Berlin","Bonn"]`, `/year>=1900`, `/year<2000`, `/city` (it is there), `!/city` (it is not). A
/// value is what it is in JSON, else the text itself: `/code=15` is the number, `/code="15"` the string.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldFilter {
    /// Where the field is.
    pub path: FieldPath,
    /// What must hold there.
    pub test: FieldTest,
}

/// Where a field is: a JSON Pointer (RFC 6901) of the names on the way. What is in an array is where the array is, so that
/// `/tags` is each of the tags; a pointer has no places in arrays.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FieldPath(Box<str>);

/// What must hold of the values that a field has; one of several is enough.
#[derive(Clone, PartialEq, Debug)]
pub enum FieldTest {
    /// There is one, whatever it is.
    Exists,
    /// There is none.
    Absent,
    /// One is any of these.
    AnyOf(Vec<Scalar>),
    /// One is a number, or a string, at or after `from` and before `until`, of which one is there; both are of one kind.
    Within {
        /// The least.
        from: Option<Scalar>,
        /// What is greater than all.
        until: Option<Scalar>,
    },
}

/// A value that has no parts. Numbers are compared as doubles, strings as bytes.
#[derive(Clone, PartialEq, Debug)]
pub enum Scalar {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The double nearest to a number.
    Number(f64),
    /// A string.
    String(Box<str>),
}

impl FieldFilter {
    /// Of the parts that a request has; no values and no bounds asks that the field is there.
    pub fn new(
        path: FieldPath,
        any_of: Vec<Scalar>,
        from: Option<Scalar>,
        until: Option<Scalar>,
        is_absent: bool,
    ) -> Result<Self, Invalid> {
        let test = match (any_of.is_empty(), from.is_some() || until.is_some(), is_absent) {
            (true, false, false) => FieldTest::Exists,
            (true, false, true) => FieldTest::Absent,
            (false, false, false) if any_of.len() > MAX_VALUES => {
                return Err(Invalid::new("any_of", "must be at most 100 values"));
            }
            (false, false, false) => FieldTest::AnyOf(any_of),
            (true, true, false) => within(from, until)?,
            _ => return Err(Invalid::new("any_of", "must not be together with from, until or is_absent")),
        };
        Ok(Self { path, test })
    }
}

impl FieldFilter {
    /// Whether it holds of `data`, or of a thing that has none.
    pub fn holds(&self, data: Option<&Json>) -> bool {
        let names: Vec<String> = self.path.names().collect();
        let has = |fulfils: &dyn Fn(&Json) -> bool| data.is_some_and(|data| has_scalar(data, &names, fulfils));
        match &self.test {
            FieldTest::Exists => data.is_some_and(|data| has_value(data, &names)),
            FieldTest::Absent => !data.is_some_and(|data| has_value(data, &names)),
            FieldTest::AnyOf(values) => has(&|value| values.iter().any(|wanted| wanted.compare(value) == Some(Equal))),
            FieldTest::Within { from, until } => has(&|value| {
                let is_from = |from: &Scalar| matches!(from.compare(value), Some(Less | Equal));
                let is_before = |until: &Scalar| until.compare(value) == Some(Greater);
                from.as_ref().is_none_or(is_from) && until.as_ref().is_none_or(is_before)
            }),
        }
    }
}

/// Whether there is something behind these names, in one of the items where there is an array.
fn has_value(value: &Json, names: &[String]) -> bool {
    let Some((first, rest)) = names.split_first() else { return true };
    match value {
        Json::Object(members) => members.iter().any(|(name, value)| **name == **first && has_value(value, rest)),
        Json::Array(items) => items.iter().any(|item| has_value(item, names)),
        _ => false,
    }
}

/// Whether one of the values without parts that are there fulfils this.
fn has_scalar(value: &Json, names: &[String], fulfils: &dyn Fn(&Json) -> bool) -> bool {
    match (value, names.split_first()) {
        (Json::Array(items), _) => items.iter().any(|item| has_scalar(item, names, fulfils)),
        (Json::Object(members), Some((first, rest))) => {
            members.iter().any(|(name, value)| **name == **first && has_scalar(value, rest, fulfils))
        }
        (_, Some(_)) => false,
        (value, None) => fulfils(value),
    }
}

/// Both bounds are numbers, or both strings.
fn within(from: Option<Scalar>, until: Option<Scalar>) -> Result<FieldTest, Invalid> {
    let is_ordered = |bound: &Option<Scalar>| !matches!(bound, Some(Scalar::Null | Scalar::Bool(_)));
    let are_alike = !matches!((&from, &until), (Some(from), Some(until)) if std::mem::discriminant(from) != std::mem::discriminant(until));
    if !is_ordered(&from) || !is_ordered(&until) || !are_alike {
        return Err(Invalid::new("from", "must be a number or a string, and until the same"));
    }
    Ok(FieldTest::Within { from, until })
}

impl FromStr for FieldFilter {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(path) = text.strip_prefix('!') {
            return Ok(Self { path: path.parse()?, test: FieldTest::Absent });
        }
        let Some(at) = text.find(['=', '<', '>']) else {
            return Ok(Self { path: text.parse()?, test: FieldTest::Exists });
        };
        let (path, rest) = (text[..at].parse()?, &text[at..]);
        if let Some(value) = rest.strip_prefix('=') {
            let any_of = match json::parse(value) {
                Ok(Json::Array(items)) => items.iter().map(Scalar::of).collect::<Result<_, _>>()?,
                _ => vec![lenient(value)?],
            };
            if any_of.is_empty() {
                return Err(Invalid::new("any_of", "must have a value"));
            }
            return Self::new(path, any_of, None, None, false);
        }
        let (from, until) = if let Some(value) = rest.strip_prefix(">=") {
            (Some(lenient(value)?), None)
        } else if let Some(value) = rest.strip_prefix('<').filter(|value| !value.starts_with('=')) {
            (None, Some(lenient(value)?))
        } else {
            return Err(Invalid::new("path", "must be followed by =, >= or < and a value"));
        };
        Self::new(path, Vec::new(), from, until, false)
    }
}

/// What is no JSON is a string.
fn lenient(text: &str) -> Result<Scalar, Invalid> {
    json::parse(text).map_or_else(|_| Ok(Scalar::String(text.into())), |value| Scalar::of(&value))
}

impl FieldPath {
    /// The pointer.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names on the way.
    fn names(&self) -> impl Iterator<Item = String> {
        self.0.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"))
    }
}

impl FromStr for FieldPath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !text.starts_with('/') || !is_escaped || text.contains('\0') || text.len() > MAX_PATH {
            return Err(Invalid::new(
                "path",
                "must be a JSON pointer such as /address/city, of at most 1,024 bytes, with ~0 for ~ and ~1 for / in a name",
            ));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Scalar {
    /// Of a value without parts.
    pub fn of(value: &Json) -> Result<Self, Invalid> {
        match value {
            Json::Null => Ok(Self::Null),
            Json::Bool(truth) => Ok(Self::Bool(*truth)),
            // Zero has no sign here, and what is beyond all doubles is the last of them.
            Json::Number(_) => Ok(Self::Number(value.as_f64().unwrap_or_default().clamp(f64::MIN, f64::MAX) + 0.0)),
            Json::String(text) => Ok(Self::String(text.clone())),
            Json::Array(_) | Json::Object(_) => {
                Err(Invalid::new("value", "must be a string, a number, true, false or null"))
            }
        }
    }

    /// Which of the two comes first; `None` where they are not of one kind.
    fn compare(&self, value: &Json) -> Option<Ordering> {
        match (self, value) {
            (Self::Null, Json::Null) => Some(Equal),
            (Self::Bool(one), Json::Bool(other)) => Some(one.cmp(other)),
            (Self::String(one), Json::String(other)) => Some(one.cmp(other)),
            (Self::Number(one), Json::Number(_)) => match Self::of(value) {
                Ok(Self::Number(other)) => one.partial_cmp(&other),
                _ => None,
            },
            _ => None,
        }
    }
}

impl FromStr for Scalar {
    type Err = Invalid;

    /// Of JSON.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parsed = json::parse(text);
        parsed.map_or_else(
            |_| Err(Invalid::new("value", r#"must be JSON: "text", a number, true, false or null"#)),
            |value| Self::of(&value),
        )
    }
}

/// As JSON.
impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(truth) => write!(out, "{truth}"),
            Self::Number(number) => write!(out, "{number}"),
            Self::String(text) => write!(out, "{}", Json::String(text.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(text: &str) -> FieldTest {
        text.parse::<FieldFilter>().unwrap().test
    }

    const DATA: &str =
        r#"{"city":"Berlin","year":1924.0,"tags":["a",{"b":true}],"of":{"x/y":null},"zero":-0,"none":[]}"#;

    #[test]
    fn a_condition_holds_of_the_values_of_its_field_only() {
        let data = json::parse(DATA).unwrap();
        let holds = |condition: &str| condition.parse::<FieldFilter>().unwrap().holds(Some(&data));
        for condition in [
            "/city=Berlin",
            "/city=[\"Bonn\",\"Berlin\"]",
            "/city>=B",
            "/city<C",
            "/year=1924",
            "/year>=1924",
            "/year<1924.5",
            "/tags=a",
            "/tags/b=true",
            "/tags",
            "/of/x~1y=null",
            "/of",
            "/zero=0",
            "/zero>=0",
            "/none",
            "!/other",
            "!/of/x",
        ] {
            assert!(holds(condition), "{condition}");
        }
        for condition in [
            "/city=berlin",
            "/city<Berlin",
            "/cit",
            "/year=\"1924\"",
            "/year<1924",
            "/year>=text",
            "/year<text",
            "/tags=[true,\"b\"]",
            "/none=null",
            "!/city",
            "/other",
            "/city/x",
            "/of=null",
        ] {
            assert!(!holds(condition), "{condition}");
        }
        assert!(!"/city".parse::<FieldFilter>().unwrap().holds(None));
        assert!("!/city".parse::<FieldFilter>().unwrap().holds(None));
    }

    fn string(text: &str) -> Scalar {
        Scalar::String(text.into())
    }

    #[test]
    fn a_filter_is_read_from_its_text() {
        assert_eq!(test("/city=Berlin"), FieldTest::AnyOf(vec![string("Berlin")]));
        assert_eq!(test("/city=\"15\""), FieldTest::AnyOf(vec![string("15")]));
        assert_eq!(test("/code=15"), FieldTest::AnyOf(vec![Scalar::Number(15.0)]));
        assert_eq!(test("/a/b=[true,null]"), FieldTest::AnyOf(vec![Scalar::Bool(true), Scalar::Null]));
        assert_eq!(test("/y>=1900"), FieldTest::Within { from: Some(Scalar::Number(1900.0)), until: None });
        assert_eq!(test("/y<b=c"), FieldTest::Within { from: None, until: Some(string("b=c")) });
        assert_eq!(test("/y"), FieldTest::Exists);
        assert_eq!(test("!/y"), FieldTest::Absent);
        assert_eq!(test("/n=9e308"), FieldTest::AnyOf(vec![Scalar::Number(f64::MAX)]));
        assert_eq!("/a~1b=1".parse::<FieldFilter>().unwrap().path.as_str(), "/a~1b");
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_field() {
        for (text, field) in [
            ("city=Berlin", "path"),
            ("", "path"),
            ("/a~2=1", "path"),
            ("/a>1", "path"),
            ("/a<=1", "path"),
            ("/a={}", "value"),
            ("/a=[[]]", "value"),
            ("/a=[]", "any_of"),
            ("/a>=true", "from"),
        ] {
            assert_eq!(text.parse::<FieldFilter>().unwrap_err().field, field, "{text}");
        }
        let (from, until) = (Some(Scalar::Number(1.0)), Some(string("2")));
        assert!(FieldFilter::new("/a".parse().unwrap(), Vec::new(), from.clone(), until, false).is_err());
        assert!(FieldFilter::new("/a".parse().unwrap(), vec![Scalar::Null; 101], None, None, false).is_err());
        assert!(FieldFilter::new("/a".parse().unwrap(), vec![Scalar::Null], from, None, false).is_err());
    }
}
