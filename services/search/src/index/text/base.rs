//! Owns a tenant's documents on the disk: an index of the engine's. Never holds what is not there yet.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use domain::{Id, Key, Namespace};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term,
    collector::{FilterCollector, TopDocs},
    directory::MmapDirectory,
    query::{
        Bm25StatisticsProvider, BooleanQuery, ConstScoreQuery, Occur, Query, QueryClone, RangeQuery, TermQuery,
        TermSetQuery,
    },
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _,
    },
    tokenizer::TokenizerManager,
};

use super::{analyzer, plan::Plan};
use crate::{
    document::{self, Document},
    index::{Error, Filter, Found, hash_of, name_of},
};

/// The name of our analyzer in the schema.
const ANALYZER: &str = "annals-en";
/// The word of documents that are.
const LISTED: &str = "yes";
/// What the engine's writer may take of memory before it writes a segment.
const WRITER_BYTES: usize = 32 << 20;

/// The documents of a tenant on the disk.
pub(super) struct Base {
    path: PathBuf,
    index: Index,
    reader: IndexReader,
    fields: Fields,
    /// Opened when it is first needed: it has a thread.
    writer: Mutex<Option<IndexWriter>>,
}

/// The columns of a document.
pub(super) struct Fields {
    /// The whole name, by which a document is replaced.
    name: Field,
    /// A hash of it, by which a document is hidden that the tail has.
    hash: Field,
    pub(super) ns: Field,
    id: Field,
    variant: Field,
    /// The namespace and those that it is under.
    ancestors: Field,
    thing_type: Field,
    /// Whether everybody may come upon it in a list.
    listed: Field,
    updated_at: Field,
    pub(super) texts: [Field; document::Field::ALL.len()],
}

impl Base {
    /// The documents in `path`, which is made if it is not there. Reads every file to see that it is whole. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::io(path))?;
        let (schema, fields) = schema();
        let tokenizers = TokenizerManager::default();
        tokenizers.register(ANALYZER, analyzer::stems());
        let directory = MmapDirectory::open(path).map_err(tantivy::TantivyError::from)?;
        let index = Index::builder().schema(schema).tokenizers(tokenizers).open_or_create(directory)?;
        let damaged = index.validate_checksum()?;
        if !damaged.is_empty() {
            return Err(Error::Damaged { path: path.to_owned(), files: damaged.into_iter().collect() });
        }
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { path: path.to_owned(), index, reader, fields, writer: Mutex::new(None) })
    }

    /// Up to where events are here.
    pub(super) fn position(&self) -> Result<u64, Error> {
        Ok(self.index.load_metas()?.payload.and_then(|payload| payload.parse().ok()).unwrap_or(0))
    }

    /// Replaces or removes documents, and says up to where events are here then. Blocks.
    pub(super) fn write<'a>(
        &self,
        changes: impl Iterator<Item = (&'a Key, Option<&'a Document>)>,
        position: u64,
    ) -> Result<(), Error> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match writer.take() {
            Some(open) => open,
            None => self.index.writer_with_num_threads(1, WRITER_BYTES)?,
        };
        // One that has failed is not used again; what it has not committed is not there.
        *writer = Some(self.commit(open, changes, position)?);
        self.reader.reload()?;
        tracing::debug!(path = %self.path.display(), position, "a tail is on the disk");
        Ok(())
    }

    fn commit<'a>(
        &self,
        mut writer: IndexWriter,
        changes: impl Iterator<Item = (&'a Key, Option<&'a Document>)>,
        position: u64,
    ) -> Result<IndexWriter, Error> {
        for (key, document) in changes {
            writer.delete_term(Term::from_field_text(self.fields.name, &name_of(key)));
            if let Some(document) = document {
                writer.add_document(self.fields.row(document))?;
            }
        }
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&position.to_string());
        commit.commit()?;
        Ok(writer)
    }

    /// What is there in this moment.
    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The best of what matches and is not `hidden`.
    pub(super) fn search(
        &self,
        searcher: &Searcher,
        statistics: &dyn Bm25StatisticsProvider,
        plan: &Plan,
        visible: Option<&dyn Query>,
        hidden: impl Fn(u64) -> bool + Send + Sync + Clone + 'static,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        let matching: Box<dyn Query> = Box::new(BooleanQuery::union(plan.queries(&self.fields)));
        let mut all = vec![(Occur::Must, matching)];
        let visible = visible.map(QueryClone::box_clone);
        for condition in self.conditions(plan.filter).into_iter().chain(visible) {
            all.push((Occur::Must, Box::new(ConstScoreQuery::new(condition, 0.0))));
        }
        let best = TopDocs::with_limit(limit).order_by_score();
        let shown = FilterCollector::new("hash".to_owned(), move |hash: u64| !hidden(hash), best);
        let best = searcher.search_with_statistics_provider(&BooleanQuery::new(all), &shown, statistics)?;
        best.into_iter()
            .map(|(score, address)| Ok(Found { key: self.fields.key(&searcher.doc(address)?), score }))
            .collect()
    }

    fn conditions(&self, filter: &Filter) -> Vec<Box<dyn Query>> {
        let fields = &self.fields;
        let Filter { ns, ns_prefix, types, updated_from, updated_until } = filter;
        let mut conditions = Vec::new();
        conditions.extend(ns.as_ref().map(|ns| term(fields.ns, ns.as_str())));
        conditions.extend(ns_prefix.as_ref().map(|ns| term(fields.ancestors, ns.as_str())));
        if !types.is_empty() {
            let types = types.iter().map(|name| Term::from_field_text(fields.thing_type, name.as_str()));
            conditions.push(Box::new(TermSetQuery::new(types)));
        }
        if updated_from.is_some() || updated_until.is_some() {
            let bound = |millis: i64| Term::from_field_i64(fields.updated_at, millis);
            let from = updated_from.map_or(std::ops::Bound::Unbounded, |from| std::ops::Bound::Included(bound(from)));
            let until =
                updated_until.map_or(std::ops::Bound::Unbounded, |until| std::ops::Bound::Excluded(bound(until)));
            conditions.push(Box::new(RangeQuery::new(from, until)));
        }
        conditions
    }

    /// What is listed for everybody, or of a namespace that may be read.
    pub(super) fn visible(
        &self,
        searcher: &Searcher,
        may_read: &(dyn Fn(&Namespace) -> bool + Sync),
    ) -> Result<Box<dyn Query>, Error> {
        let readable = self.namespaces(searcher)?.into_iter().filter(|ns| may_read(ns));
        let readable = readable.map(|ns| Term::from_field_text(self.fields.ns, ns.as_str()));
        let listed = term(self.fields.listed, LISTED);
        Ok(Box::new(BooleanQuery::union(vec![listed, Box::new(TermSetQuery::new(readable))])))
    }

    /// Every namespace that has a document.
    fn namespaces(&self, searcher: &Searcher) -> Result<Vec<Namespace>, Error> {
        let mut namespaces = Vec::new();
        for segment in searcher.segment_readers() {
            let inverted = segment.inverted_index(self.fields.ns)?;
            let mut terms = inverted.terms().stream().map_err(Error::io(&self.path))?;
            while terms.advance() {
                namespaces.extend(std::str::from_utf8(terms.key()).ok().and_then(|text| text.parse().ok()));
            }
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        Ok(namespaces)
    }
}

impl Fields {
    fn row(&self, document: &Document) -> TantivyDocument {
        let Document { key, thing_type, visibility: _, updated_at, texts, embedding: _ } = document;
        let mut row = TantivyDocument::new();
        row.add_text(self.name, name_of(key));
        row.add_u64(self.hash, hash_of(key));
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
        for (field, text) in self.texts.iter().zip(texts) {
            row.add_text(*field, text);
        }
        row
    }

    fn key(&self, row: &TantivyDocument) -> Key {
        let text = |field| row.get_first(field).and_then(|value| value.as_str());
        let stored = "a stored name is one";
        Key {
            ns: text(self.ns).and_then(|ns| ns.parse().ok()).expect(stored),
            id: text(self.id).and_then(|id| Id::from_canonical(id).ok()).expect(stored),
            variant: text(self.variant).map(|variant| variant.parse().expect(stored)).unwrap_or_default(),
        }
    }
}

fn term(field: Field, text: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing =
        TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        name: schema.add_text_field("name", STRING),
        hash: schema.add_u64_field("hash", FAST),
        ns: schema.add_text_field("ns", STRING | STORED),
        id: schema.add_text_field("entity_id", STORED),
        variant: schema.add_text_field("variant", STORED),
        ancestors: schema.add_text_field("ancestors", STRING),
        thing_type: schema.add_text_field("type", STRING),
        listed: schema.add_text_field("listed", STRING),
        updated_at: schema.add_i64_field("updated_at", INDEXED | FAST),
        texts: document::Field::ALL.map(|field| schema.add_text_field(field.name(), text.clone())),
    };
    (schema.build(), fields)
}
