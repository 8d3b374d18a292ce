//! Owns the state of a relationship. Never stores it.

use crate::{Data, Etag, Name, Timestamp, TypeName, Visibility};

/// A typed edge between two canonical things of one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relationship {
    /// Its own name, in the name space of relationships.
    pub name: Name,
    /// What is kept.
    pub body: RelationshipBody,
    /// When the name's present life began.
    pub created_at: Timestamp,
    /// The mutation that made this state; its time is the state's.
    pub etag: Etag,
}

impl Relationship {
    /// When this state was made: the etag's time.
    pub fn updated_at(&self) -> Timestamp {
        self.etag.time()
    }
}

/// What a client gives of a relationship: two equal bodies are the same state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelationshipBody {
    /// What it says.
    pub relationship_type: TypeName,
    /// The thing that it starts from.
    pub from: Name,
    /// The thing that it leads to.
    pub to: Name,
    /// Who may see it, given that they may see both ends.
    pub visibility: Visibility,
    /// A JSON object.
    pub data: Option<Data>,
}
