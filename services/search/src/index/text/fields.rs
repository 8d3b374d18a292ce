//! Owns the columns of a document on the disk. Never reads or writes an index.

use domain::{Id, Key};
use tantivy::{
    TantivyDocument, Term,
    query::{Query, TermQuery},
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _,
    },
};

use crate::{
    document::{self, Document},
    index::{hash_of, name_of},
};

/// The name of our analyzer in the schema.
pub(super) const ANALYZER: &str = "annals-en";
/// The word of documents that are.
const LISTED: &str = "yes";
/// The column of [`Fields::hash`], and that of the thing's.
pub(super) const HASH: &str = "hash";
pub(super) const THING: &str = "thing";

/// The columns of a document.
pub(super) struct Fields {
    /// The whole name, by which a document is replaced.
    pub(super) name: Field,
    /// A hash of it, by which a document is hidden that the tail has.
    hash: Field,
    /// The hash of the thing that it is or is a variant of.
    thing: Field,
    pub(super) ns: Field,
    id: Field,
    variant: Field,
    /// The namespace and those that it is under.
    pub(super) ancestors: Field,
    pub(super) thing_type: Field,
    /// Whether everybody may come upon it in a list.
    listed: Field,
    pub(super) updated_at: Field,
    /// What is known of the fields of data.
    pub(super) facts: Field,
    pub(super) texts: [Field; document::Field::ALL.len()],
}

impl Fields {
    pub(super) fn row(&self, document: &Document) -> TantivyDocument {
        let Document { key, thing_type, visibility: _, updated_at, texts, facts, embedding: _ } = document;
        let mut row = TantivyDocument::new();
        row.add_text(self.name, name_of(key));
        row.add_u64(self.hash, hash_of(key));
        row.add_u64(self.thing, hash_of(&Key::from(key.name())));
        row.add_text(self.ns, key.ns.as_str());
        row.add_text(self.id, key.id.as_str());
        if !key.variant.is_canonical() {
            row.add_text(self.variant, key.variant.as_str());
        }
        let ns = key.ns.as_str();
        let ends = ns.match_indices('/').map(|(end, _)| end).chain([ns.len()]);
        ends.for_each(|end| row.add_text(self.ancestors, &ns[..end]));
        row.add_text(self.thing_type, thing_type.as_str());
        if document.is_listed() {
            row.add_text(self.listed, LISTED);
        }
        row.add_i64(self.updated_at, updated_at.millis());
        facts.iter().for_each(|fact| row.add_bytes(self.facts, fact));
        for (field, text) in self.texts.iter().zip(texts) {
            row.add_text(*field, text);
        }
        row
    }

    pub(super) fn key(&self, row: &TantivyDocument) -> Key {
        let text = |field| row.get_first(field).and_then(|value| value.as_str());
        let stored = "a stored name is one";
        Key {
            ns: text(self.ns).and_then(|ns| ns.parse().ok()).expect(stored),
            id: text(self.id).and_then(|id| Id::from_canonical(id).ok()).expect(stored),
            variant: text(self.variant).map(|variant| variant.parse().expect(stored)).unwrap_or_default(),
        }
    }

    /// What everybody may come upon in a list.
    pub(super) fn is_listed(&self) -> Box<dyn Query> {
        term(self.listed, LISTED)
    }
}

pub(super) fn term(field: Field, text: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
}

pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing =
        TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        name: schema.add_text_field("name", STRING),
        hash: schema.add_u64_field(HASH, FAST),
        thing: schema.add_u64_field(THING, FAST),
        ns: schema.add_text_field("ns", STRING | STORED),
        id: schema.add_text_field("entity_id", STORED),
        variant: schema.add_text_field("variant", STORED),
        ancestors: schema.add_text_field("ancestors", STRING),
        thing_type: schema.add_text_field("type", STRING),
        listed: schema.add_text_field("listed", STRING),
        updated_at: schema.add_i64_field("updated_at", INDEXED | FAST),
        facts: schema.add_bytes_field("facts", INDEXED),
        texts: document::Field::ALL.map(|field| schema.add_text_field(field.name(), text.clone())),
    };
    (schema.build(), fields)
}
