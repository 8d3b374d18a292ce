//! Exporting everything of some namespaces that a caller may see listed.
//!
//! Owns the order of an export, how it is cut, and where another goes on. Never reads the store.

use domain::{Key, Name, Namespace, Relationship, Style, Thing, Timestamp};
use futures::{Stream, TryStreamExt as _};
use serve::deadline::Deadline;
use serve::page::Binding;
use serve::{Caller, Refusal};

use crate::list::{PageRequest, SCAN};
use crate::page::Position;
use crate::store::{
    After, NamespacePage, NamespaceQuery, Order, RelationshipPage, RelationshipScan, Scope, ThingFilter, ThingPage,
    ThingQuery,
};
use crate::{Things, stream};

/// About how many bytes of one kind a message has.
const ROOM: usize = 1 << 20;

/// What to export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Export {
    pub(crate) scope: Scope,
    /// Where to begin.
    pub(crate) from: Stage,
    /// Rows of one kind in a part, at most.
    pub(crate) size: usize,
}

/// How far an export has come: behind which row of a kind, if it has had one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Namespaces(Option<Namespace>),
    Things(Option<Key>),
    Relationships(Option<Name>),
    End,
}

/// A row of an export.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Row {
    Namespace(Namespace, Style, Timestamp),
    Thing(Box<Thing>, Style),
    Relationship(Box<Relationship>, Style),
}

/// Some rows, and how far they reach.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Part {
    pub(crate) rows: Vec<Row>,
    pub(crate) until: Stage,
}

/// Some rows, and the token of what follows.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Exported {
    pub(crate) rows: Vec<Row>,
    /// Empty at the end.
    pub(crate) next_page_token: String,
}

impl Things {
    /// All that there is of some namespaces, behind what the token of `page` says, in messages of its size.
    pub(crate) async fn export(
        &self,
        caller: &Caller,
        scope: Scope,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<impl Stream<Item = Result<Exported, Refusal>> + Send + use<>, Refusal> {
        let binding = Binding::new(&caller.tenant, &[b"export", &page.question]);
        let from = self.store.seal.position(binding, &page.token, Stage::from_bytes)?;
        let from = from.unwrap_or(Stage::Namespaces(None));
        let (things, caller, seal) = (self.store.things.clone(), caller.clone(), self.store.seal.clone());
        let export = Export { scope, from, size: page.size };
        let parts = stream::parts(Some(deadline), |sink| async move { things.export(&caller, export, sink).await });
        Ok(parts.await?.map_ok(move |Part { rows, until }| {
            let is_end = until == Stage::End;
            let next_page_token = if is_end { String::new() } else { seal.token(binding, &until.to_bytes()) };
            Exported { rows, next_page_token }
        }))
    }
}

impl Export {
    /// The next namespaces.
    pub(crate) fn namespaces(&self, after: Option<Namespace>) -> NamespaceQuery {
        NamespaceQuery { scope: self.scope.clone(), after, limit: self.size, scan: SCAN }
    }

    /// The next things.
    pub(crate) fn things(&self, after: Option<Key>) -> ThingQuery {
        ThingQuery {
            filter: ThingFilter::all_of(self.scope.clone()),
            order: Order::Name,
            after: after.map(After::Named),
            limit: self.size,
            room: ROOM,
            scan: SCAN,
            with_embedding: true,
        }
    }

    /// The next relationships.
    pub(crate) fn relationships(&self, after: Option<Name>) -> RelationshipScan {
        RelationshipScan { scope: self.scope.clone(), after, limit: self.size, room: ROOM, scan: SCAN }
    }
}

/// An export under way.
pub(crate) struct Course {
    stage: Stage,
    rows: Vec<Row>,
}

impl Course {
    /// Where an export begins.
    pub(crate) fn new(export: &Export) -> Self {
        Self { stage: export.from.clone(), rows: Vec::new() }
    }

    /// What is read next.
    pub(crate) fn stage(&self) -> Stage {
        self.stage.clone()
    }

    /// Takes a page of the stage; what is to be told now.
    pub(crate) fn take_namespaces(&mut self, page: NamespacePage) -> Option<Part> {
        let rows = page.items.into_iter().map(|(ns, style, created_at)| Row::Namespace(ns, style, created_at));
        self.take(rows, page.next.map(|next| Stage::Namespaces(Some(next))))
    }

    /// As [`Self::take_namespaces`].
    pub(crate) fn take_things(&mut self, page: ThingPage) -> Option<Part> {
        let rows = page.items.into_iter().map(|(thing, style)| Row::Thing(Box::new(thing), style));
        self.take(rows, page.next.and_then(After::into_key).map(|next| Stage::Things(Some(next))))
    }

    /// As [`Self::take_namespaces`].
    pub(crate) fn take_relationships(&mut self, page: RelationshipPage) -> Option<Part> {
        let rows = page.items.into_iter().map(|(found, style)| Row::Relationship(Box::new(found), style));
        self.take(rows, page.next.map(|next| Stage::Relationships(Some(next))))
    }

    /// Takes rows of the stage, and where it goes on behind them, if it does.
    fn take(&mut self, rows: impl IntoIterator<Item = Row>, next: Option<Stage>) -> Option<Part> {
        self.rows.extend(rows);
        let is_cut = next.is_some();
        self.stage = next.unwrap_or_else(|| self.stage.after());
        let is_told = is_cut || self.stage == Stage::End;
        is_told.then(|| Part { rows: std::mem::take(&mut self.rows), until: self.stage.clone() })
    }
}

impl Stage {
    fn after(&self) -> Self {
        match self {
            Self::Namespaces(_) => Self::Things(None),
            Self::Things(_) => Self::Relationships(None),
            Self::Relationships(_) | Self::End => Self::End,
        }
    }
}

impl Position for Stage {
    /// Only what is behind a row is told.
    fn to_bytes(&self) -> Vec<u8> {
        let (kind, position) = match self {
            Self::Namespaces(after) => (b'n', after.as_ref().map(Position::to_bytes)),
            Self::Things(after) => (b't', after.clone().map(|key| After::Named(key).to_bytes())),
            Self::Relationships(after) => (b'r', after.as_ref().map(Position::to_bytes)),
            Self::End => (b'e', None),
        };
        [&[kind], &position.unwrap_or_default()[..]].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, position) = bytes.split_first()?;
        match kind {
            b'n' => Some(Self::Namespaces(Some(Namespace::from_bytes(position)?))),
            b't' => match After::from_bytes(position)? {
                After::Named(key) => Some(Self::Things(Some(key))),
                After::Updated(_) => None,
            },
            b'r' => Some(Self::Relationships(Some(Name::from_bytes(position)?))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_survives_its_token() {
        let name = Name { ns: "onet".parse().unwrap(), id: domain::Id::from_canonical("a b").unwrap() };
        for stage in [
            Stage::Namespaces(Some(name.ns.clone())),
            Stage::Things(Some(name.clone().into())),
            Stage::Relationships(Some(name)),
        ] {
            assert_eq!(Stage::from_bytes(&stage.to_bytes()), Some(stage));
        }
        for garbage in [&b""[..], b"n", b"x", b"tonet", b"e"] {
            assert_eq!(Stage::from_bytes(garbage), None);
        }
    }

    #[test]
    fn a_stage_that_is_not_cut_is_told_with_the_next_one() {
        let ns = || Row::Namespace("onet".parse().unwrap(), Style::Wiki, Timestamp::from_millis(0).unwrap());
        let mut course = Course::new(&Export { scope: Scope::All, from: Stage::Namespaces(None), size: 1 });
        assert_eq!(course.take([ns()], None), None);
        let name = Name { ns: "onet".parse().unwrap(), id: domain::Id::from_canonical("a").unwrap() };
        let cut = Stage::Things(Some(name.into()));
        assert_eq!(course.take([], Some(cut.clone())), Some(Part { rows: vec![ns()], until: cut }));
        assert_eq!(course.take([], None), None);
        assert_eq!(course.take([], None), Some(Part { rows: vec![], until: Stage::End }));
    }
}
