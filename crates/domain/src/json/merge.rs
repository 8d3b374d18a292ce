//! Changes a value by a JSON merge patch. Never parses and never checks limits.

use std::collections::HashMap;

use super::Json;

/// `target` changed by `patch`, by RFC 7396: `null` removes a member, an object changes the members that it has,
/// anything else replaces. Members keep their place; new ones follow in the patch's order. Linear in both sizes.
pub fn merge_patch(target: Json, patch: Json) -> Json {
    let Json::Object(changes) = patch else { return patch };
    let members = if let Json::Object(members) = target { members } else { Vec::new() };
    let (keys, mut values): (Vec<_>, Vec<_>) = changes.into_iter().map(|(key, value)| (key, Some(value))).unzip();
    let places: HashMap<&str, usize> = keys.iter().enumerate().map(|(place, key)| (&**key, place)).collect();

    let mut merged = Vec::with_capacity(members.len());
    for (key, value) in members {
        match places.get(&*key).and_then(|&place| values[place].take()) {
            None => merged.push((key, value)),
            Some(Json::Null) => {}
            Some(change) => merged.push((key, merge_patch(value, change))),
        }
    }
    for (key, value) in keys.into_iter().zip(values) {
        match value {
            None | Some(Json::Null) => {}
            Some(value) => merged.push((key, merge_patch(Json::Null, value))),
        }
    }
    Json::Object(merged)
}
