//! The name that a URL spells.
//!
//! Owns what follows from its spelling: how it is asked for, where it lives, and how its absence is told.

use axum::response::Response;
use domain::{EntityKind, Invalid, Path, Variant};
use proto::common::v1::Key;
use proto::convert::entity_kind_to_wire;
use serve::Refusal;

use crate::call::Call;
use crate::problem::Problem;
use crate::reply;

/// The name of a thing or relationship, as a URL gives it.
pub(crate) struct Name {
    kind: EntityKind,
    path: Path,
    /// `?variant=` names the variant: the URL is then canonical without it.
    has_query_variant: bool,
}

impl Name {
    /// The thing at a URL path; `variant` is the one that the query names.
    pub(crate) fn of_thing(url: &str, variant: Option<Variant>) -> Result<Self, Invalid> {
        let path = Path::decode_url(url)?;
        let (path, has_query_variant) = match variant {
            None => (path, false),
            Some(variant) => {
                let has_query_variant = path.variant().is_canonical();
                (path.with_variant(variant)?, has_query_variant)
            }
        };
        Ok(Self { kind: EntityKind::Thing, path, has_query_variant })
    }

    /// The relationship at a URL path, from the slash before its namespace on.
    pub(crate) fn of_relationship(url: &str) -> Result<Self, Invalid> {
        let path = Path::decode_url(url)?;
        Ok(Self { kind: EntityKind::Relationship, path, has_query_variant: false })
    }

    /// The name as services are asked for it.
    pub(crate) fn key(&self) -> Key {
        Key { path: self.path.to_string(), ..Key::default() }
    }

    /// What it names, on the wire.
    pub(crate) fn kind(&self) -> i32 {
        entity_kind_to_wire(self.kind).into()
    }

    /// Whether it is the canonical variant that is asked for.
    pub(crate) fn is_canonical_variant(&self) -> bool {
        self.path.variant().is_canonical()
    }

    /// 308 to `url`, where the name lives, unless the request came there.
    pub(crate) fn moved(&self, call: &Call, url: &str) -> Option<Response> {
        let without_variant = self.has_query_variant || self.is_canonical_variant();
        let canonical = if without_variant { url.split("%23").next().unwrap_or(url) } else { url };
        (!canonical.is_empty() && call.path() != canonical).then(|| reply::redirect(call, canonical))
    }

    /// `problem`, which a call about this name ended with: the same bytes whichever call it was.
    pub(crate) fn problem(&self, problem: impl Into<Problem>) -> Problem {
        problem.into().about(self.kind.as_str(), &self.path)
    }

    /// That it does not exist.
    pub(crate) fn absent(&self) -> Problem {
        Refusal::not_found(self.kind.as_str(), &self.path).into()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};

    use super::*;
    use crate::route::Route;

    fn location(asked: &str, variant: Option<&str>, url: &str) -> Option<String> {
        let request = Request::get(asked).body(()).unwrap();
        let call = Call::new(request.into_parts().0, HeaderMap::new()).unwrap();
        let name = Name::of_thing(call.path(), variant.map(|variant| variant.parse().unwrap())).unwrap();
        let response = name.moved(&call, url)?;
        Some(response.headers()["location"].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_url_that_is_not_the_canonical_one_moves_with_its_query() {
        assert_eq!(location("/onet/Software_developer", None, "/onet/Software_developer"), None);
        let moved = location("/onet/Software%20developer?view=history", None, "/onet/Software_developer");
        assert_eq!(moved.unwrap(), "/onet/Software_developer?view=history");
        assert_eq!(location("/onet%2Fa", None, "/onet/a").unwrap(), "/onet/a");
    }

    #[test]
    fn a_variant_that_was_picked_does_not_move_the_url() {
        assert_eq!(location("/onet/a", None, "/onet/a%23es"), None);
        assert_eq!(location("/onet/a?variant=es", Some("es"), "/onet/a%23es"), None);
        assert_eq!(location("/onet/a%23ES", None, "/onet/a%23es").unwrap(), "/onet/a%23es");
    }

    #[test]
    fn a_relationship_is_named_by_what_its_route_leaves() {
        let Route::Relationship(url) = Route::of("/_/relationships/onet/uses%2FGit") else {
            panic!("it is the route of a relationship");
        };
        assert_eq!(Name::of_relationship(url).unwrap().key().path, "onet/uses/Git");
    }

    #[test]
    fn a_variant_is_named_by_path_or_query() {
        assert_eq!(Name::of_thing("/onet/a%23mx", Some("es".parse().unwrap())).err().unwrap().field, "variant");
        assert_eq!(Name::of_thing("/onet/a", Some("es".parse().unwrap())).unwrap().key().path, "onet/a#es");
    }
}
