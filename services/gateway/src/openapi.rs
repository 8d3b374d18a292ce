//! What there is, told to people and machines: `/` and `/_/openapi.json`.
//!
//! Owns the two documents; a test holds them against the routes and the JSON.

use crate::json::Writer;

/// The HTTP interface, OpenAPI 3.1.
pub(crate) const DOCUMENT: &str = include_str!("openapi.json");

/// `/`: where to go from here.
pub(crate) fn landing() -> String {
    let mut json = Writer::object();
    json.text("name", "annals");
    json.text("version", env!("CARGO_PKG_VERSION"));
    json.member("urls", |json| {
        json.text("thing", "/{ns}/{id}");
        json.text("things", "/{ns}/");
        json.text("relationship", "/_/relationships/{ns}/{id}");
        json.text("namespace", "/_/namespaces/{ns}");
        json.text("schemas", "/_/schemas/{ns}");
        json.text("events", "/_/events");
        json.text("search", "/_/search?q=");
        json.text("openapi", "/_/openapi.json");
        json.text("ready", "/_/readyz");
        json.text("metrics", "/_/metrics");
    });
    json.text("grpc", "on this port, with reflection");
    json.finish()
}

#[cfg(test)]
mod tests {
    use domain::Json;

    use super::*;
    use crate::json;
    use crate::route::Route;

    fn document() -> Json {
        json::parse("openapi", DOCUMENT.as_bytes()).unwrap()
    }

    fn at<'a>(document: &'a Json, pointer: &[&str]) -> &'a Json {
        pointer.iter().fold(document, |value, name| value.get(name).unwrap_or_else(|| panic!("{pointer:?}")))
    }

    fn names(document: &Json, schema: &str) -> Vec<String> {
        let properties = at(document, &["components", "schemas", schema, "properties"]).as_object().unwrap();
        properties.iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn it_is_of_this_version() {
        assert_eq!(at(&document(), &["info", "version"]).as_str(), Some(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn every_path_is_a_route() {
        let document = document();
        let pages = ["/_/healthz", "/_/readyz", "/_/metrics"];
        for (path, _) in at(&document, &["paths"]).as_object().unwrap() {
            let is_page = pages.contains(&&**path);
            assert!(is_page || Route::of(path).name() == &**path, "{path} is {}", Route::of(path).name());
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut rest = DOCUMENT;
        while let Some((_, after)) = rest.split_once("\"$ref\": \"#/") {
            let (pointer, after) = after.split_once('"').unwrap();
            at(&document, &pointer.split('/').collect::<Vec<_>>());
            rest = after;
        }
    }

    #[test]
    fn members_are_those_that_are_read_and_written() {
        let document = document();
        let of_events = json::EVENT_COLUMNS.concat();
        for (schema, members) in [
            ("Thing", json::THING_MEMBERS.concat()),
            ("Relationship", json::RELATIONSHIP_MEMBERS.concat()),
            ("Event", of_events),
        ] {
            let mut documented = names(&document, schema);
            let mut expected: Vec<_> = members.into_iter().map(str::to_owned).collect();
            documented.sort();
            expected.sort();
            assert_eq!(documented, expected, "{schema}");
        }
    }
}
