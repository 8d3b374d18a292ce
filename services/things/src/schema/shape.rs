//! Owns which schemas are taken at all: those that lead nowhere outside, and whose parts are looked at so often for one value
//! as is bounded. Never looks at data.
//!
//! The validator remembers what a part that leads back to itself has said of a value, and no other part. So parts that do not
//! are counted as often as they are led to, and those that do once.

use std::collections::{HashMap, VecDeque};

use domain::Json;

/// The most parts, those that are led to counted each time.
const MAX_PARTS: u64 = 10_000;
/// The most parts that follow each other about the same value.
const MAX_CHAIN: usize = 32;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords with a schema, a list of schemas, and schemas by name, which are about the same value.
const SAME: [&[&str]; 3] = [&["not", "if", "then", "else"], &["allOf", "anyOf", "oneOf"], &["dependentSchemas"]];
/// The same about what is in it.
const INNER: [&[&str]; 3] = [
    &["items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties"],
    &["prefixItems"],
    &["properties", "patternProperties"],
];
/// Keywords with schemas by name that are about nothing by themselves.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Where a rule is broken, as a JSON pointer, and the rule.
type Broken = (String, String);

/// A part that another one leads to.
#[derive(Clone, Copy)]
struct Way {
    to: usize,
    is_reference: bool,
    /// Whether it is about the same value.
    is_same: bool,
}

/// The parts of a schema: each with its place and its ways to others.
#[derive(Default)]
struct Parts<'a> {
    places: Vec<String>,
    schemas: Vec<&'a Json>,
    by_place: HashMap<String, usize>,
    ways: Vec<Vec<Way>>,
}

/// Refuses a schema that leads outside, or whose parts are too many for one value.
pub(super) fn check(schema: &Json) -> Result<(), Broken> {
    let (mut parts, mut anchors) = (Parts::default(), HashMap::new());
    parts.add(String::new(), schema);
    // All that are written down; a reference may lead to more.
    let mut next = 0;
    while next < parts.schemas.len() {
        for (place, child) in children(&parts.places[next], parts.schemas[next], &DEFINITIONS) {
            parts.add(place, child);
        }
        for word in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = parts.schemas[next].get(word).and_then(Json::as_str) {
                anchors.insert(name, parts.places[next].clone());
            }
        }
        next += 1;
    }
    let mut next = 0;
    while next < parts.schemas.len() {
        parts.follow(schema, next, &anchors)?;
        next += 1;
    }
    parts.bounded()
}

impl<'a> Parts<'a> {
    fn add(&mut self, place: String, schema: &'a Json) -> usize {
        if let Some(known) = self.by_place.get(&place) {
            return *known;
        }
        let number = self.schemas.len();
        self.by_place.insert(place.clone(), number);
        self.places.push(place);
        self.schemas.push(schema);
        self.ways.push(Vec::new());
        number
    }

    /// Finds where a part leads.
    fn follow(&mut self, root: &'a Json, from: usize, anchors: &HashMap<&str, String>) -> Result<(), Broken> {
        let (place, schema) = (self.places[from].clone(), self.schemas[from]);
        let at = |word: &str| format!("{place}/{word}");
        if !place.is_empty() {
            for word in ["$id", "$schema"] {
                if schema.get(word).is_some_and(|value| value.as_str().is_some()) {
                    return Err((at(word), "must stand at the top alone: a schema is one document".into()));
                }
            }
        }
        if let Some(draft) = schema.get("$schema").and_then(Json::as_str)
            && draft.trim_end_matches('#') != DRAFT
        {
            return Err((at("$schema"), format!("must be {DRAFT}")));
        }
        if schema.get("$dynamicRef").is_some() {
            return Err((at("$dynamicRef"), "must be a $ref, which leads to the same in one document".into()));
        }
        for (is_same, keywords) in [(true, &SAME), (false, &INNER)] {
            for (place, child) in children_by(&place, schema, keywords) {
                let to = self.add(place, child);
                self.ways[from].push(Way { to, is_reference: false, is_same });
            }
        }
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let leads_out = || (at("$ref"), "must lead to a place in this schema: #, #/… or #anchor".to_owned());
            let fragment = decoded(reference.strip_prefix('#').ok_or_else(leads_out)?).ok_or_else(leads_out)?;
            let target = if fragment.is_empty() || fragment.starts_with('/') {
                look_up(root, &fragment).map(|found| (fragment, found))
            } else {
                let place = anchors.get(&*fragment).cloned();
                place.and_then(|place| look_up(root, &place).map(|found| (place, found)))
            };
            let (place, found) = target.ok_or_else(|| (at("$ref"), "leads to no place in this schema".to_owned()))?;
            let to = self.add(place, found);
            self.ways[from].push(Way { to, is_reference: true, is_same: true });
        }
        Ok(())
    }

    fn bounded(&self) -> Result<(), Broken> {
        let count = self.ways.len();
        let chain = |way: &Way| way.is_same;
        let order = self.order(chain).ok_or_else(|| {
            (String::new(), "must not lead back to the same part for the same value (a loop of $ref)".to_owned())
        })?;
        let mut lengths = vec![1_usize; count];
        for &from in order.iter().rev() {
            let longest = self.ways[from].iter().filter(|way| chain(way)).map(|way| lengths[way.to]).max();
            lengths[from] += longest.unwrap_or_default();
            if lengths[from] > MAX_CHAIN {
                let rule = format!("must lead through at most {MAX_CHAIN} parts for the same value");
                return Err((self.places[from].clone(), rule));
            }
        }
        // A reference of a cycle counts one, and what it leads to once by itself.
        let is_cycle: Vec<Vec<bool>> = (0..count)
            .map(|from| self.ways[from].iter().map(|way| way.is_reference && self.reaches(way.to, from)).collect())
            .collect();
        let mut sizes = vec![1_u64; count];
        let goes_on = |from: usize, number: usize| !is_cycle[from][number];
        let order = self.order_of(goes_on).expect("each cycle has a reference, at which it is cut");
        for &from in order.iter().rev() {
            let ways = self.ways[from].iter().enumerate();
            let parts = ways.map(|(number, way)| if goes_on(from, number) { sizes[way.to] } else { 1 });
            sizes[from] = parts.fold(1, u64::saturating_add);
        }
        let mut counted = vec![false; count];
        counted[0] = true;
        for (from, ways) in self.ways.iter().enumerate() {
            for (number, way) in ways.iter().enumerate() {
                counted[way.to] |= is_cycle[from][number];
            }
        }
        let total = (0..count).filter(|part| counted[*part]).map(|part| sizes[part]).fold(0, u64::saturating_add);
        if total > MAX_PARTS {
            let rule =
                format!("must have at most {MAX_PARTS} parts, with those that a $ref leads to counted each time");
            return Err((String::new(), rule));
        }
        Ok(())
    }

    fn order(&self, goes_on: impl Fn(&Way) -> bool) -> Option<Vec<usize>> {
        self.order_of(|from, number| goes_on(&self.ways[from][number]))
    }

    /// The parts, each before those that it leads to by the ways that count; none where these make a circle.
    fn order_of(&self, goes_on: impl Fn(usize, usize) -> bool) -> Option<Vec<usize>> {
        let mut leading_here = vec![0_usize; self.ways.len()];
        let counting = |from: usize| {
            let ways = self.ways[from].iter().enumerate();
            ways.filter(|(number, _)| goes_on(from, *number)).map(|(_, way)| way.to).collect::<Vec<_>>()
        };
        (0..self.ways.len()).flat_map(counting).for_each(|to| leading_here[to] += 1);
        let mut free: VecDeque<usize> = (0..self.ways.len()).filter(|part| leading_here[*part] == 0).collect();
        let mut order = Vec::with_capacity(self.ways.len());
        while let Some(part) = free.pop_front() {
            order.push(part);
            for to in counting(part) {
                leading_here[to] -= 1;
                if leading_here[to] == 0 {
                    free.push_back(to);
                }
            }
        }
        (order.len() == self.ways.len()).then_some(order)
    }

    fn reaches(&self, from: usize, wanted: usize) -> bool {
        let mut seen = vec![false; self.ways.len()];
        let mut next = vec![from];
        while let Some(part) = next.pop() {
            if part == wanted {
                return true;
            }
            if !std::mem::replace(&mut seen[part], true) {
                next.extend(self.ways[part].iter().map(|way| way.to));
            }
        }
        false
    }
}

/// All schemas in a schema, and those in some more keywords, by name.
fn children<'a>(place: &str, schema: &'a Json, more: &[&str]) -> Vec<(String, &'a Json)> {
    let mut found = children_by(place, schema, &SAME);
    found.extend(children_by(place, schema, &INNER));
    found.extend(children_by(place, schema, &[&[], &[], more]));
    found
}

fn children_by<'a>(place: &str, schema: &'a Json, [one, lists, named]: &[&[&str]; 3]) -> Vec<(String, &'a Json)> {
    let mut found = Vec::new();
    for word in *one {
        found.extend(schema.get(word).map(|child| (format!("{place}/{word}"), child)));
    }
    for word in *lists {
        let items = schema.get(word).and_then(Json::as_array).unwrap_or_default().iter().enumerate();
        found.extend(items.map(|(number, child)| (format!("{place}/{word}/{number}"), child)));
    }
    for word in *named {
        let members = schema.get(word).and_then(Json::as_object).unwrap_or_default();
        found.extend(
            members.iter().map(|(name, child)| (format!("{place}/{word}/{}", super::breach::step(name)), child)),
        );
    }
    found
}

/// What a JSON pointer leads to (RFC 6901).
fn look_up<'a>(root: &'a Json, pointer: &str) -> Option<&'a Json> {
    let mut at = root;
    for step in pointer.split('/').skip(1) {
        at = match at {
            Json::Object(_) => at.get(&step.replace("~1", "/").replace("~0", "~"))?,
            Json::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(at)
}

/// A fragment of a URI without its percent encoding.
pub(super) fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
