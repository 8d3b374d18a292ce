//! The states of a namespace as of a time or ULID, page by page.

use std::collections::VecDeque;

use domain::{AsOf, EntityKind, Namespace, State, TypeName};
use proto::convert::state_to_wire;
use serve::{auth::Caller, deadline::Deadline, page, refusal::Refusal};

use crate::{
    EventLog,
    archive::Cost,
    past::{Name, NamesOf, Read},
    visibility::{Asked, Sight},
};

/// A page ends, with a token, where so much has been looked at (names, archived mutations of them, bytes of states, and
/// names that were looked up one by one to see who may see something), or half of the time of the call has passed.
const MAX_NAMES: usize = 10_000;
const MAX_ROWS: usize = 200_000;
const MAX_READ_BYTES: usize = 32 << 20;
const MAX_LOOKUPS: usize = 1_000;

/// So many names are read together, fewer where they have more bytes, at least one.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: usize = 8 << 20;

/// Which states to list, and which page of them.
#[derive(Clone, Debug)]
pub(crate) struct ListStates {
    pub(crate) ns: Namespace,
    pub(crate) kind: EntityKind,
    pub(crate) state_type: Option<TypeName>,
    /// Of the id with its variant.
    pub(crate) prefix: String,
    pub(crate) as_of: AsOf,
    pub(crate) page_size: usize,
    /// The last id (with its variant) of the page before, whether it was shown or not.
    pub(crate) after: Option<String>,
    pub(crate) deadline: Deadline,
}

/// One page of states.
#[derive(Debug)]
pub(crate) struct StatesPage {
    pub(crate) states: Vec<State>,
    /// Where the next page begins, if there may be one.
    pub(crate) next: Option<String>,
    pub(crate) cost: Cost,
}

impl EventLog {
    /// The states that the caller may see listed, by id with variant, as bytes. Blocks.
    pub(crate) fn list_states_at(&self, caller: &Caller, list: &ListStates) -> Result<StatesPage, Refusal> {
        self.check_as_of(caller, list.as_of)?;
        let until = list.as_of.last_ulid();
        let tenant = self.tenant_number(&caller.tenant);
        let reads_ns = caller.may_read(&list.ns);
        let mut sight = Sight::new(self, caller, tenant);
        sight.keep(until);
        let mut names = sight.past.names(
            tenant,
            NamesOf {
                ns: list.ns.clone(),
                kind: list.kind,
                entity_type: list.state_type.clone(),
                prefix: list.prefix.clone(),
                after: list.after.clone(),
                until,
                // Who reads the namespace sees all of its things; relationships depend on others too.
                with_latest: !(caller.may_read_all() || reads_ns && list.kind == EntityKind::Thing),
                deadline: list.deadline,
            },
        )?;
        let mut page = Page { list, states: Vec::new(), bytes: 0, last: list.after.clone(), is_full: false };
        let (mut passed, mut read_bytes, mut batch, mut together) = (0, 0, VecDeque::new(), TOGETHER);
        let time = list.deadline.remaining() / 2;
        let is_all = loop {
            let is_spent = names.rows() >= MAX_ROWS
                || passed >= MAX_NAMES
                || read_bytes >= MAX_READ_BYTES
                || sight.lookups() >= MAX_LOOKUPS
                || list.deadline.remaining() < time;
            if page.is_full || passed > 0 && is_spent {
                break false;
            }
            let wanted = list.page_size + 1 - page.states.len();
            let mut with_states = batch.iter().filter(|name: &&Name| name.may_have_state()).count();
            while with_states < wanted && batch.len() < TOGETHER {
                let Some(name) = names.next(&mut sight.past)? else { break };
                with_states += usize::from(name.may_have_state());
                batch.push_back(name);
            }
            if batch.is_empty() {
                break !names.is_cut();
            }
            let mut count = batch.len().min(together);
            let found = loop {
                let max_bytes = if count == 1 { usize::MAX } else { TOGETHER_BYTES };
                if let Some(found) = names.read(&mut sight.past, &batch.make_contiguous()[..count], max_bytes)? {
                    break found;
                }
                count = count.div_ceil(4);
                together = count;
            };
            let bytes = found.iter().map(bytes_of).sum::<usize>();
            if bytes < TOGETHER_BYTES / 16 {
                together = (together * 4).min(TOGETHER);
            }
            passed += count;
            read_bytes += bytes;
            for (name, found) in batch.drain(..count).zip(found) {
                page.add(&mut sight, name, found)?;
                if page.is_full {
                    break;
                }
            }
        };
        let next = if is_all { None } else { page.last };
        Ok(StatesPage { states: page.states, next, cost: sight.past.cost() })
    }
}

/// A page that is being filled.
struct Page<'a> {
    list: &'a ListStates,
    states: Vec<State>,
    bytes: usize,
    /// The last name that was decided about.
    last: Option<String>,
    /// Whether there is a state that does not fit.
    is_full: bool,
}

impl Page<'_> {
    /// Adds the state of a name, if there is one and the caller may see it listed.
    fn add(&mut self, sight: &mut Sight<'_>, name: Name, found: Read) -> Result<(), Refusal> {
        let Read { then, latest } = found;
        let until = self.list.as_of.last_ulid();
        if let Some(latest) = &latest {
            sight.remember(&name.entity, latest);
        }
        if let Some(then) = &then {
            sight.remember_as_of(&name.entity, until, then);
        }
        if let Some(state) = then.and_then(|then| then.after)
            && self.list.state_type.as_ref().is_none_or(|wanted| *type_of(&state) == *wanted)
            && sight.shows(&name.entity, &state, until, Asked::InList)?
        {
            let length = prost::Message::encoded_len(&state_to_wire(state.clone()));
            let fits = self.states.len() < self.list.page_size && self.bytes + length <= page::MAX_BYTES;
            if !fits && !self.states.is_empty() {
                self.is_full = true;
                return Ok(());
            }
            self.bytes += length;
            self.states.push(state);
        }
        self.last = Some(name.id);
        Ok(())
    }
}

fn type_of(state: &State) -> &TypeName {
    match state {
        State::Thing(thing) => &thing.body.thing_type,
        State::Relationship(relationship) => &relationship.body.relationship_type,
    }
}

/// About as many bytes as the mutations of a name have.
fn bytes_of(found: &Read) -> usize {
    let states = [&found.then, &found.latest].into_iter().flatten().flat_map(|it| [&it.before, &it.after]);
    states.flatten().map(state_bytes).sum()
}

fn state_bytes(state: &State) -> usize {
    let (content, data) = match state {
        State::Thing(thing) => {
            (thing.body.content.as_ref().map_or(0, |content| content.as_str().len()), &thing.body.data)
        }
        State::Relationship(relationship) => (0, &relationship.body.data),
    };
    content + data.as_ref().map_or(0, |data| data.as_str().len())
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "list_states_test.rs"]
mod archived;
#[cfg(test)]
#[path = "list_states_test.rs"]
mod tests;
