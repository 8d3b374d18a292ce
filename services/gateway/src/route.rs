//! Which resource a URL path is.
//!
//! Owns the shape of the URL space. Never resolves a name: where a namespace ends is known to things only.

/// A resource; what is borrowed is still percent-encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route<'a> {
    /// `/`.
    Landing,
    /// `/{ns}/{id}`, whole.
    Thing(&'a str),
    /// `/{ns}/`, without the slashes around.
    Things(&'a str),
    /// One segment without a slash behind it: a namespace that wants one.
    Bare(&'a str),
    /// `/_/relationships/{ns}/{id}`, from the slash before the namespace on.
    Relationship(&'a str),
    /// `/_/namespaces/{ns}`.
    Namespace(&'a str),
    /// `/_/namespaces`.
    Namespaces,
    /// `/_/schemas/{ns}`.
    Schemas(&'a str),
    /// `/_/things`.
    AllThings,
    /// `/_/things:count`.
    Count,
    /// `/_/things:export`.
    Export,
    /// `/_/things:write`.
    Write,
    /// `/_/things:restore`.
    Restore,
    /// `/_/things:undelete`.
    Undelete,
    /// `/_/events`.
    Events,
    /// `/_/events/aggregate`.
    Aggregate,
    /// `/_/events/tail`.
    Tail,
    /// `/_/search`.
    Search,
    /// `/_/complete`.
    Complete,
    /// `/_/openapi.json`.
    OpenApi,
    /// `/_/reasons/{reason}`.
    Reason(&'a str),
    /// `/_/style.css`.
    Style,
    /// Anything else.
    Unknown,
}

impl<'a> Route<'a> {
    /// The resource at `path`, which begins with a slash.
    pub(crate) fn of(path: &'a str) -> Self {
        let rest = path.strip_prefix('/').unwrap_or(path);
        if let Some(own) = rest.strip_prefix("_/") {
            return Self::of_ours(own);
        }
        match rest.strip_suffix('/') {
            Some(ns) => Self::Things(ns),
            None if rest.is_empty() => Self::Landing,
            None if rest == "_" => Self::Unknown,
            None if rest.contains('/') || rest.contains("%2F") || rest.contains("%2f") => Self::Thing(path),
            None => Self::Bare(rest),
        }
    }

    fn of_ours(path: &'a str) -> Self {
        match path {
            "namespaces" => return Self::Namespaces,
            "things" => return Self::AllThings,
            "things:count" => return Self::Count,
            "things:export" => return Self::Export,
            "things:write" => return Self::Write,
            "things:restore" => return Self::Restore,
            "things:undelete" => return Self::Undelete,
            "events" => return Self::Events,
            "events/aggregate" => return Self::Aggregate,
            "events/tail" => return Self::Tail,
            "search" => return Self::Search,
            "complete" => return Self::Complete,
            "openapi.json" => return Self::OpenApi,
            "style.css" => return Self::Style,
            _ => {}
        }
        match path.split_once('/') {
            Some(("relationships", name)) if !name.is_empty() => Self::Relationship(&path["relationships".len()..]),
            Some(("namespaces", ns)) if !ns.is_empty() => Self::Namespace(ns),
            Some(("schemas", ns)) if !ns.is_empty() => Self::Schemas(ns),
            Some(("reasons", reason)) if !reason.is_empty() => Self::Reason(reason),
            _ => Self::Unknown,
        }
    }

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Landing => "/",
            Self::Thing(_) => "/{ns}/{id}",
            Self::Things(_) | Self::Bare(_) => "/{ns}/",
            Self::Relationship(_) => "/_/relationships/{ns}/{id}",
            Self::Namespace(_) => "/_/namespaces/{ns}",
            Self::Namespaces => "/_/namespaces",
            Self::Schemas(_) => "/_/schemas/{ns}",
            Self::AllThings => "/_/things",
            Self::Count => "/_/things:count",
            Self::Export => "/_/things:export",
            Self::Write => "/_/things:write",
            Self::Restore => "/_/things:restore",
            Self::Undelete => "/_/things:undelete",
            Self::Events => "/_/events",
            Self::Aggregate => "/_/events/aggregate",
            Self::Tail => "/_/events/tail",
            Self::Search => "/_/search",
            Self::Complete => "/_/complete",
            Self::OpenApi => "/_/openapi.json",
            Self::Reason(_) => "/_/reasons/{reason}",
            Self::Style => "/_/style.css",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_two_segments_or_more_is_a_thing() {
        for path in ["/onet/15-1252.00", "/github.com/repos/dot-do/workers", "/onet%2F15-1252.00", "/onet/~"] {
            assert_eq!(Route::of(path), Route::Thing(path));
        }
    }

    #[test]
    fn a_slash_at_the_end_lists_a_namespace() {
        assert_eq!(Route::of("/onet/"), Route::Things("onet"));
        assert_eq!(Route::of("/github.com/repos/"), Route::Things("github.com/repos"));
        assert_eq!(Route::of("/onet"), Route::Bare("onet"));
        assert_eq!(Route::of("//"), Route::Things(""));
    }

    #[test]
    fn what_is_not_a_thing_lives_under_an_underscore() {
        assert_eq!(Route::of("/"), Route::Landing);
        assert_eq!(Route::of("/_/namespaces"), Route::Namespaces);
        assert_eq!(Route::of("/_/things"), Route::AllThings);
        assert_eq!(Route::of("/_/things:count"), Route::Count);
        assert_eq!(Route::of("/_/things:export"), Route::Export);
        assert_eq!(Route::of("/_/things:write"), Route::Write);
        assert_eq!(Route::of("/_/things:restore"), Route::Restore);
        assert_eq!(Route::of("/_/things:undelete"), Route::Undelete);
        assert_eq!(Route::of("/_/events"), Route::Events);
        assert_eq!(Route::of("/_/events/aggregate"), Route::Aggregate);
        assert_eq!(Route::of("/_/events/tail"), Route::Tail);
        assert_eq!(Route::of("/_/search"), Route::Search);
        assert_eq!(Route::of("/_/complete"), Route::Complete);
        assert_eq!(Route::of("/_/relationships/onet/a/b"), Route::Relationship("/onet/a/b"));
        assert_eq!(Route::of("/_/namespaces/github.com/repos"), Route::Namespace("github.com/repos"));
        assert_eq!(Route::of("/_/schemas/github.com/repos"), Route::Schemas("github.com/repos"));
        assert_eq!(Route::of("/_/reasons/NOT_FOUND"), Route::Reason("NOT_FOUND"));
        for path in ["/_", "/_/", "/_/event", "/_/events/", "/_/relationships/", "/_/namespaces/", "/_/schemas/"] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
    }
}
