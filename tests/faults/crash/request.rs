//! Owns what a client asked things for, and what it was told. Never sends anything.

use domain::{Condition, Data, Json, Key, Name, RelationshipBody, State, Thing, ThingBody, json};
use domain::{Content, Embedding, EntityKind, Relationship, Timestamp};
use proto::common::v1::Reason;
use proto::things::v1::ImportThingsResponse;
use ulid::Ulid;

/// What is written: a thing or a relationship, by its name (a relationship has the canonical variant).
pub(crate) type Subject = (EntityKind, Key);

/// One request, as the client remembers it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Kept with every mutation that it makes.
    pub(crate) id: String,
    pub(crate) asked: Asked,
    /// The client's order of all that is sent and answered.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Put {
        key: Key,
        body: ThingBody,
        condition: Condition,
    },
    /// Replaces the content and merges into the data.
    Patch {
        key: Key,
        content: Content,
        data: Json,
        condition: Condition,
    },
    Delete {
        key: Key,
        condition: Condition,
    },
    Link {
        name: Name,
        body: RelationshipBody,
        condition: Condition,
    },
    Unlink {
        name: Name,
        condition: Condition,
    },
    /// Messages, each one transaction; every row but the failing ones changes its thing.
    Import {
        messages: Vec<Vec<(Key, ThingBody)>>,
        /// Rows that must be left out, on top.
        failing: usize,
    },
}

/// What the client was told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Nothing, or that nobody knows: the server died.
    Nothing,
    /// The name has a new state, or none any more, by this mutation. `with` it went so many other names, if said.
    Written {
        ulid: Ulid,
        with: Option<usize>,
    },
    /// The name is as it should be since this mutation.
    Unchanged {
        ulid: Ulid,
    },
    Imported(ImportThingsResponse),
    /// It was not carried out.
    Refused(Reason),
}

/// What a request makes of one name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// The state but for etag and creation time; none of a deletion.
    pub(crate) body: Option<Body>,
    pub(crate) condition: Condition,
}

/// The part of a state that a client gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Thing(ThingBody),
    Relationship(RelationshipBody),
}

impl Body {
    pub(crate) fn of(state: &State) -> Self {
        match state {
            State::Thing(thing) => Self::Thing(thing.body.clone()),
            State::Relationship(relationship) => Self::Relationship(relationship.body.clone()),
        }
    }
}

impl Asked {
    /// The name that the answer is about; of an import none.
    pub(crate) fn subject(&self) -> Option<Subject> {
        match self {
            Self::Put { key, .. } | Self::Patch { key, .. } | Self::Delete { key, .. } => {
                Some((EntityKind::Thing, key.clone()))
            }
            Self::Link { name, .. } | Self::Unlink { name, .. } => {
                Some((EntityKind::Relationship, Key::from(name.clone())))
            }
            Self::Import { .. } => None,
        }
    }

    /// What it makes of `subject`, whose state is `before` (a thing's with embedding); nothing if it may not touch it.
    pub(crate) fn outcome(&self, subject: &Subject, before: Option<&State>) -> Option<Outcome> {
        if let Self::Import { messages, .. } = self {
            let row = messages.iter().flatten().find(|(key, _)| subject.0 == EntityKind::Thing && *key == subject.1);
            return row.map(|(_, body)| Outcome::new(Body::Thing(body.clone()), &Condition::None));
        }
        if self.subject().as_ref() != Some(subject) {
            return self.goes_along(subject, before).then_some(Outcome { body: None, condition: Condition::None });
        }
        match self {
            Self::Put { body, condition, .. } => Some(Outcome::new(Body::Thing(body.clone()), condition)),
            Self::Patch { content, data, condition, .. } => {
                let State::Thing(before) = before? else { return None };
                let merged = json::merge_patch(
                    before.body.data.as_ref().map_or_else(|| Json::Object(Vec::new()), Data::to_json),
                    data.clone(),
                );
                let body = ThingBody {
                    content: Some(content.clone()),
                    data: Some(Data::try_from(merged).ok()?),
                    ..before.body.clone()
                };
                Some(Outcome::new(Body::Thing(body), condition))
            }
            Self::Delete { condition, .. } | Self::Unlink { condition, .. } => {
                Some(Outcome { body: None, condition: condition.clone() })
            }
            Self::Link { body, condition, .. } => Some(Outcome::new(Body::Relationship(body.clone()), condition)),
            Self::Import { .. } => None,
        }
    }

    /// Whether `subject` goes with the canonical thing that this deletes.
    fn goes_along(&self, subject: &Subject, before: Option<&State>) -> bool {
        let Self::Delete { key, .. } = self else { return false };
        let name = key.name();
        key.variant.is_canonical()
            && match before {
                Some(State::Thing(thing)) => thing.key.name() == name && subject.0 == EntityKind::Thing,
                Some(State::Relationship(relationship)) => {
                    relationship.body.from == name || relationship.body.to == name
                }
                None => false,
            }
    }
}

impl Outcome {
    fn new(body: Body, condition: &Condition) -> Self {
        Self { body: Some(body), condition: condition.clone() }
    }

    /// The embedding that the name has afterwards: no mutation tells it.
    pub(crate) fn embedding(&self) -> Option<Embedding> {
        match &self.body {
            Some(Body::Thing(body)) => body.embedding.clone(),
            _ => None,
        }
    }

    /// Whether it may happen to a name in the state `before`.
    pub(crate) fn may_follow(&self, before: Option<&State>) -> bool {
        match &self.condition {
            Condition::None => true,
            Condition::CreateOnly => before.is_none(),
            Condition::UpdateOnly => before.is_some(),
            Condition::Etags(etags) => before.is_some_and(|before| etags.contains(&before.etag())),
        }
    }
}

/// A thing to send: what the server decides is left open.
pub(crate) fn thing_to_send(key: Key, body: ThingBody) -> Thing {
    Thing { key, body, created_at: Timestamp::MIN, etag: domain::Etag(Ulid(0)) }
}

/// A relationship to send.
pub(crate) fn relationship_to_send(name: Name, body: RelationshipBody) -> Relationship {
    Relationship { name, body, created_at: Timestamp::MIN, etag: domain::Etag(Ulid(0)) }
}
