//! Walks on the wire.

use std::time::Duration;

use domain::{Invalid, TypeName};
use proto::convert::{name_to_wire, reference};
use proto::things::v1 as wire;

use super::answer::summary;
use super::ask::direction;
use crate::store::Direction;
use crate::traverse::{MAX_DEPTH, MAX_THINGS, MAX_TYPES, Part, Reached, Step, Traversal};

/// How long a walk may take.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// Things that are reached unless the caller says how many.
const THINGS: usize = 1_000;

pub(super) fn traversal(request: wire::TraverseRequest) -> Result<Traversal, Invalid> {
    let wire::TraverseRequest { thing, direction: word, types, max_depth, max_things } = request;
    let thing = reference("thing", thing)?.without_variant().map_err(|error| error.within("thing"))?;
    if types.len() > MAX_TYPES {
        return Err(Invalid::new("types", "must be at most 16"));
    }
    let types = types.iter().enumerate().map(|(at, word)| {
        word.parse::<TypeName>().map_err(|Invalid { rule, .. }| Invalid::new(format!("types[{at}]"), rule))
    });
    let types = types.collect::<Result<_, _>>()?;
    let max_depth = match u32::try_from(max_depth) {
        Ok(0) => 1,
        Ok(depth) if depth <= MAX_DEPTH => depth,
        _ => return Err(Invalid::new("max_depth", "must be 1 to 6")),
    };
    let max_things = match usize::try_from(max_things) {
        Ok(0) => THINGS,
        Ok(things) if things <= MAX_THINGS => things,
        _ => return Err(Invalid::new("max_things", "must be 1 to 10,000")),
    };
    Ok(Traversal { thing, direction: direction(word)?, types, max_depth, max_things })
}

pub(super) fn part(part: Part) -> wire::TraverseResponse {
    let Part { things, is_truncated } = part;
    wire::TraverseResponse { things: things.into_iter().map(reached).collect(), is_truncated }
}

fn reached(reached: Reached) -> wire::ReachedThing {
    let Reached { thing, depth, step } = reached;
    let Step { via, relationship, relationship_type, direction, to: _ } = step;
    let direction = match direction {
        Direction::Both => wire::Direction::Unspecified,
        Direction::Outgoing => wire::Direction::Outgoing,
        Direction::Incoming => wire::Direction::Incoming,
    };
    wire::ReachedThing {
        thing: Some(summary(thing)),
        depth: depth as i32,
        via: Some(name_to_wire(&via)),
        relationship: Some(name_to_wire(&relationship)),
        r#type: relationship_type.as_str().into(),
        direction: direction.into(),
    }
}
