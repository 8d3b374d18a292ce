//! Owns which values the fields of a thing's data have, as bytes whose order is that of the values, so that a condition is a few
//! ranges of them wherever they are. Never says what a thing is found by.
//!
//! A fact is the path, a NUL, a letter for the kind of value, and the value. That a field is there is a fact too.

use std::ops::Bound;

use domain::{FieldFilter, FieldPath, FieldTest, Json, Scalar, json};

/// The most facts of one thing. What comes after them is not known.
const MAX_FACTS: usize = 1_000;
/// A longer string, in bytes, is only there.
const MAX_STRING: usize = 256;
/// A longer path, in bytes, is not known.
const MAX_PATH: usize = 1_024;

const BOOL: u8 = b'b';
const EXISTS: u8 = b'e';
const NUMBER: u8 = b'n';
const STRING: u8 = b's';
const NULL: u8 = b'z';

/// What is known of the fields of a thing: sorted, each once.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Facts(Vec<Vec<u8>>);

/// Facts from one to another.
pub(crate) type Interval = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A condition: whether a fact is in any of these ranges.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Wanted {
    pub(crate) any_of: Vec<Interval>,
    /// None may be.
    pub(crate) is_absent: bool,
}

impl Facts {
    /// Of data, which is a JSON object.
    pub(crate) fn of(data: &str) -> Self {
        let mut facts = Self::default();
        if let Ok(Json::Object(members)) = json::parse(data) {
            facts.add_members(&mut String::new(), &members);
        }
        facts.0.sort_unstable();
        facts.0.dedup();
        facts
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// How many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|fact| fact.len() + size_of::<Vec<u8>>()).sum()
    }

    /// Whether each condition holds.
    pub(crate) fn fulfil(&self, wanted: &[Wanted]) -> bool {
        let has = |(from, until): &Interval| {
            let start = self.0.partition_point(|fact| match from {
                Bound::Included(from) => fact < from,
                Bound::Excluded(from) => fact <= from,
                Bound::Unbounded => false,
            });
            self.0.get(start).is_some_and(|fact| match until {
                Bound::Included(until) => fact <= until,
                Bound::Excluded(until) => fact < until,
                Bound::Unbounded => true,
            })
        };
        wanted.iter().all(|Wanted { any_of, is_absent }| any_of.iter().any(has) != *is_absent)
    }

    /// Those that say a value of one field.
    pub(crate) fn of_values<'a>(&'a self, path: &FieldPath) -> impl Iterator<Item = &'a [u8]> {
        let start = prefix(path.as_str());
        let first = self.0.partition_point(|fact| *fact < start);
        let of_field = self.0[first..].iter().take_while(move |fact| fact.starts_with(&start));
        let path = path.clone();
        of_field.filter(move |fact| value_of(&path, fact).is_some()).map(Vec::as_slice)
    }

    fn add_members(&mut self, path: &mut String, members: &[(Box<str>, Json)]) {
        for (name, value) in members {
            let end = path.len();
            path.push('/');
            path.push_str(&name.replace('~', "~0").replace('/', "~1"));
            if path.len() <= MAX_PATH {
                self.add(path, EXISTS, &[]);
                self.add_value(path, value);
            }
            path.truncate(end);
        }
    }

    fn add_value(&mut self, path: &mut String, value: &Json) {
        match value {
            Json::Object(members) => self.add_members(path, members),
            Json::Array(items) => items.iter().for_each(|item| self.add_value(path, item)),
            Json::String(text) if text.len() > MAX_STRING => {}
            value => {
                if let Ok(scalar) = Scalar::of(value) {
                    let (kind, bytes) = encoded(&scalar);
                    self.add(path, kind, &bytes);
                }
            }
        }
    }

    fn add(&mut self, path: &str, kind: u8, value: &[u8]) {
        if self.0.len() < MAX_FACTS {
            self.0.push(fact(path, kind, value));
        }
    }
}

impl Wanted {
    /// Of a condition.
    pub(crate) fn of(filter: &FieldFilter) -> Self {
        let path = filter.path.as_str();
        let one = |kind, value: &[u8]| {
            let fact = fact(path, kind, value);
            (Bound::Included(fact.clone()), Bound::Included(fact))
        };
        let (any_of, is_absent) = match &filter.test {
            FieldTest::Exists => (vec![one(EXISTS, &[])], false),
            FieldTest::Absent => (vec![one(EXISTS, &[])], true),
            FieldTest::AnyOf(values) => {
                let values = values.iter().map(encoded);
                (values.map(|(kind, bytes)| one(kind, &bytes)).collect(), false)
            }
            FieldTest::Within { from, until } => {
                let kind = from.as_ref().or(until.as_ref()).map_or(EXISTS, |bound| encoded(bound).0);
                let bytes = |bound: &Scalar| fact(path, kind, &encoded(bound).1);
                let from = from.as_ref().map_or_else(|| fact(path, kind, &[]), bytes);
                // The letter behind the kind's is none.
                let until = until.as_ref().map_or_else(|| fact(path, kind + 1, &[]), bytes);
                (vec![(Bound::Included(from), Bound::Excluded(until))], false)
            }
        };
        Self { any_of, is_absent }
    }
}

/// All values of a field, without that it is there.
pub(crate) fn of_field(path: &FieldPath) -> Interval {
    (Bound::Included(prefix(path.as_str())), Bound::Excluded(fact(path.as_str(), u8::MAX, &[])))
}

/// The value of a fact of this field; none of one that says only that it is there.
pub(crate) fn value_of(path: &FieldPath, fact: &[u8]) -> Option<Scalar> {
    let (kind, bytes) = fact.strip_prefix(&prefix(path.as_str())[..])?.split_first()?;
    match *kind {
        NULL => Some(Scalar::Null),
        BOOL => Some(Scalar::Bool(bytes == [1])),
        NUMBER => Some(Scalar::Number(number_of(u64::from_be_bytes(bytes.try_into().ok()?)))),
        STRING => Some(Scalar::String(std::str::from_utf8(bytes).ok()?.into())),
        _ => None,
    }
}

fn prefix(path: &str) -> Vec<u8> {
    [path.as_bytes(), &[0]].concat()
}

fn fact(path: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    [path.as_bytes(), &[0, kind], value].concat()
}

fn encoded(scalar: &Scalar) -> (u8, Vec<u8>) {
    match scalar {
        Scalar::Null => (NULL, Vec::new()),
        Scalar::Bool(truth) => (BOOL, vec![u8::from(*truth)]),
        Scalar::Number(number) => (NUMBER, ordered(*number).to_be_bytes().to_vec()),
        Scalar::String(text) => (STRING, text.as_bytes().to_vec()),
    }
}

const SIGN: u64 = 1 << 63;

/// In the order of the numbers.
fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn number_of(ordered: u64) -> f64 {
    f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered & !SIGN })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATA: &str =
        r#"{"city":"Berlin","year":1924.0,"n":-3,"tags":["a",{"b":true}],"of":{"x/y":null},"zero":-0,"none":[]}"#;

    #[test]
    fn a_condition_holds_of_facts_where_it_holds_of_the_data() {
        let data = json::parse(DATA).ok();
        for condition in [
            "/city=Berlin",
            "/city=[\"Bonn\",\"Berlin\"]",
            "/city>=B",
            "/city<C",
            "/year=1924",
            "/year<1924.5",
            "/n<0",
            "/n>=-3",
            "/tags=a",
            "/tags/b=true",
            "/of/x~1y=null",
            "/of",
            "/zero=0",
            "/none",
            "!/other",
            "!/of/x",
            "/city=berlin",
            "/city=\"\"",
            "/cit",
            "/year=\"1924\"",
            "/year<1924",
            "/year>=text",
            "/n<-3",
            "/tags=[true,\"b\"]",
            "/none=null",
            "!/city",
        ] {
            let filter: FieldFilter = condition.parse().unwrap();
            let holds = Facts::of(DATA).fulfil(&[Wanted::of(&filter)]);
            assert_eq!(holds, filter.holds(data.as_ref()), "{condition}");
        }
    }

    #[test]
    fn values_are_told_as_they_are() {
        let facts = Facts::of(DATA);
        let values = |path: &str| {
            let path = path.parse().unwrap();
            let values = facts.of_values(&path).filter_map(|fact| value_of(&path, fact));
            values.map(|value| value.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(values("/tags"), ["\"a\""]);
        assert_eq!(values("/year"), ["1924"]);
        assert_eq!(values("/of"), [""; 0]);
        assert_eq!(values("/of/x~1y"), ["null"]);
    }

    #[test]
    fn much_data_has_so_many_facts_and_a_long_string_is_only_there() {
        let many: Vec<String> = (0..2_000).map(|number| format!("\"k{number}\":{number}")).collect();
        assert_eq!(Facts::of(&format!("{{{}}}", many.join(","))).iter().count(), MAX_FACTS);
        let long = Facts::of(&format!("{{\"text\":\"{}\"}}", "x".repeat(MAX_STRING + 1)));
        assert!(long.fulfil(&[Wanted::of(&"/text".parse().unwrap())]));
        assert_eq!(long.iter().count(), 1);
    }

    proptest! {
        #[test]
        fn numbers_keep_their_order(one: f64, other: f64) {
            prop_assume!(one.is_finite() && other.is_finite() && one != 0.0 && other != 0.0);
            prop_assert_eq!(ordered(one).cmp(&ordered(other)), one.total_cmp(&other));
            prop_assert_eq!(number_of(ordered(one)).to_bits(), one.to_bits());
        }
    }
}
