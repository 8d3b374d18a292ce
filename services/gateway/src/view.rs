//! Which view of a thing or relationship a URL asks for.
//!
//! Owns the parameters of each view. Never reads anything.

use domain::{AsOf, Invalid, Variant};
use proto::search::v1::SearchRequest;
use proto::things::v1::{Direction, ListRelationshipsRequest, TraverseRequest};

use crate::events::words;
use crate::problem::Problem;
use crate::query::{Page, Query};
use crate::search;

/// The most things that a walk reaches: its answer is one document.
const MAX_THINGS: i32 = 1_000;

/// What is shown of a name.
pub(crate) enum View {
    /// Its present state.
    Now {
        /// With the embedding.
        with_embedding: bool,
    },
    /// A state of the past.
    At(AsOf),
    /// Its mutations, oldest first.
    History(Page),
    /// What is around it.
    Around(Around),
    /// What differs between two of its states; without a second it is the present one.
    Diff { from: AsOf, to: Option<AsOf> },
}

/// What is shown around a thing.
pub(crate) enum Around {
    /// The relationships at it.
    Relationships(ListRelationshipsRequest),
    /// What a walk from it reaches.
    Traverse(TraverseRequest),
    /// The things that are most like it.
    Similar(Box<SearchRequest>),
}

impl View {
    /// The view of a thing, and the variant that the query names.
    pub(crate) fn of_thing(query: &Query) -> Result<(Self, Option<Variant>), Problem> {
        let view = match query.text("view") {
            None => {
                query.only(&["at", "view", "variant", "embedding"])?;
                Self::state(query)?
            }
            Some("relationships") => {
                query.only(&["view", "variant", "direction", "type", "page_size", "page_token"])?;
                Self::Around(Around::Relationships(relationships(query)?))
            }
            Some("traverse") => {
                query.only(&["view", "variant", "direction", "type", "max_depth", "max_things"])?;
                Self::Around(Around::Traverse(traversal(query)?))
            }
            Some("similar") => Self::Around(Around::Similar(Box::new(search::of_similar(query)?))),
            Some(view) => Self::of_past(view, query, "must be history, relationships, traverse, diff or similar")?,
        };
        Ok((view, query.parsed("variant")?))
    }

    /// The view of a relationship.
    pub(crate) fn of_relationship(query: &Query) -> Result<Self, Problem> {
        match query.text("view") {
            None => {
                query.only(&["at", "view"])?;
                Self::state(query)
            }
            Some(view) => {
                if query.text("variant").is_some() {
                    return Err(Invalid::new("variant", "must not be given: relationships have no variants").into());
                }
                Self::of_past(view, query, "must be history or diff")
            }
        }
    }

    fn state(query: &Query) -> Result<Self, Problem> {
        let with_embedding = query.flag("embedding")?;
        match query.as_of("at")? {
            Some(_) if with_embedding => {
                Err(Invalid::new("embedding", "must not come with at: embeddings have no history").into())
            }
            Some(as_of) => Ok(Self::At(as_of)),
            None => Ok(Self::Now { with_embedding }),
        }
    }

    fn of_past(view: &str, query: &Query, rule: &str) -> Result<Self, Problem> {
        match view {
            "history" => {
                query.only(&["view", "variant", "page_size", "page_token"])?;
                Ok(Self::History(query.page()?))
            }
            "diff" => {
                query.only(&["view", "variant", "from", "to"])?;
                let from = query.as_of("from")?.ok_or_else(|| Invalid::new("from", "is required with view=diff"))?;
                Ok(Self::Diff { from, to: query.as_of("to")? })
            }
            _ => Err(Invalid::new("view", rule).into()),
        }
    }
}

fn direction(query: &Query) -> Result<Direction, Invalid> {
    match query.text("direction") {
        None | Some("both") => Ok(Direction::Unspecified),
        Some("outgoing") => Ok(Direction::Outgoing),
        Some("incoming") => Ok(Direction::Incoming),
        Some(_) => Err(Invalid::new("direction", "must be outgoing, incoming or both")),
    }
}

fn relationships(query: &Query) -> Result<ListRelationshipsRequest, Invalid> {
    let page = query.page()?;
    Ok(ListRelationshipsRequest {
        thing: None,
        direction: direction(query)?.into(),
        r#type: query.text_or_empty("type"),
        page_size: page.size,
        page_token: page.token,
        include_others: true,
    })
}

fn traversal(query: &Query) -> Result<TraverseRequest, Invalid> {
    let max_things = query.whole_number("max_things")?.unwrap_or(MAX_THINGS);
    if !(1..=MAX_THINGS).contains(&max_things) {
        return Err(Invalid::new("max_things", "must be a whole number from 1 to 1,000"));
    }
    Ok(TraverseRequest {
        thing: None,
        direction: direction(query)?.into(),
        types: words(query.text("type").unwrap_or_default()).map(str::to_owned).collect(),
        max_depth: query.whole_number("max_depth")?.unwrap_or(1),
        max_things,
    })
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn status(raw: &str) -> Option<u16> {
        let query = Query::parse(Some(raw)).unwrap();
        View::of_thing(&query).err().map(|problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn each_view_takes_its_own_parameters() {
        for raw in [
            "",
            "embedding=true&variant=es",
            "at=01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "view=history&page_size=10",
            "view=relationships&direction=outgoing&type=uses",
            "view=diff&from=2026-01-31T09:30:00Z",
            "view=traverse&direction=incoming&type=uses,cites&max_depth=6&max_things=1000",
            "view=similar&mode=hybrid&ns=onet&top_k=3",
            "view=similar&where=/n>=3&where=!/m&explain=true&page_token=x",
        ] {
            assert_eq!(status(raw), None, "{raw}");
        }
    }

    #[test]
    fn what_a_view_does_not_take_is_refused() {
        for raw in [
            "view=histroy",
            "view=history&at=2026-01-31T09:30:00Z",
            "view=relationships&at=2026-01-31T09:30:00Z",
            "view=diff",
            "at=yesterday",
            "at=2026-01-31T09:30:00Z&embedding=true",
            "direction=outgoing",
            "view=relationships&direction=up",
            "view=traverse&max_things=1001",
            "view=traverse&max_depth=far",
            "view=traverse&page_size=3",
            "view=similar&q=word",
            "view=similar&mode=both",
            "view=similar&where=n",
            "variant=ES_MX",
        ] {
            assert_eq!(status(raw), Some(400), "{raw}");
        }
    }
}
