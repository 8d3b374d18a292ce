//! Owns a tenant's documents on the disk: an index of the engine's. Never holds what is not there yet.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use domain::{Key, Namespace};
use tantivy::{
    DocId, DocSet as _, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, SegmentOrdinal, SegmentReader,
    TERMINATED, TantivyError, Term,
    directory::MmapDirectory,
    query::{BooleanQuery, ConstScoreQuery, EnableScoring, Occur, Query, Scorer, TermSetQuery},
    schema::IndexRecordOption,
    tokenizer::TokenizerManager,
};

use super::{
    analyzer, conditions,
    fields::{ANALYZER, Fields, schema},
    files::{File, Files},
    plan::Plan,
    postings::PostingLists,
    top_k::{Candidates, TopK},
};
use crate::{
    document::Document,
    index::{Error, Found, name_of},
};

/// What the engine's writer may take of memory before it writes a segment.
const WRITER_BYTES: usize = 32 << 20;

/// The documents of a tenant on the disk.
pub(super) struct Base {
    path: PathBuf,
    index: Index,
    reader: IndexReader,
    /// Of what the reader read last.
    files: RwLock<Arc<Files>>,
    fields: Fields,
    /// Opened when it is first needed: it has a thread.
    writer: Mutex<Option<IndexWriter>>,
}

impl Base {
    /// The documents in `path`, which is made if it is not there. Reads every file to see that it is whole. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::io(path))?;
        let (schema, fields) = schema();
        let tokenizers = TokenizerManager::default();
        tokenizers.register(ANALYZER, analyzer::stems());
        let directory = MmapDirectory::open(path).map_err(TantivyError::from)?;
        let index = Index::builder().schema(schema).tokenizers(tokenizers).open_or_create(directory)?;
        let damaged = index.validate_checksum()?;
        if !damaged.is_empty() {
            return Err(Error::Damaged { path: path.to_owned(), files: damaged.into_iter().collect() });
        }
        let reader: IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let files = RwLock::new(Arc::new(Files::open(reader.searcher(), fields.texts)?));
        Ok(Self { path: path.to_owned(), index, reader, files, fields, writer: Mutex::new(None) })
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
            None => self.open_writer()?,
        };
        // One that has failed is not used again; what it has not committed is not there.
        *writer = Some(self.commit(open, changes, position)?);
        self.reader.reload()?;
        let files = Arc::new(Files::open(self.reader.searcher(), self.fields.texts)?);
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
        tracing::debug!(path = %self.path.display(), position, "a tail is on the disk");
        Ok(())
    }

    /// A writer that finds nothing of a commit that a kill or a full disk has ended. The engine names what a commit deletes by the
    /// commit's number, draws the same number again, and refuses to write where a file is.
    fn open_writer(&self) -> Result<IndexWriter, Error> {
        let writer = self.index.writer_with_num_threads(1, WRITER_BYTES)?;
        writer.garbage_collect_files().wait()?;
        Ok(writer)
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
    pub(super) fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The conditions of a plan, within what is `visible`.
    fn conditions(&self, plan: &Plan, visible: Option<&dyn Query>) -> Vec<(Occur, Box<dyn Query>)> {
        let mut all = conditions::conditions(plan.filter, &self.fields);
        if let Some(visible) = visible {
            all.push((Occur::Must, Box::new(ConstScoreQuery::new(visible.box_clone(), 0.0))));
        }
        all
    }

    /// What a plan asks, within what is `visible`. Without words it is all that fulfils the conditions.
    fn query(&self, plan: &Plan, visible: Option<&dyn Query>) -> BooleanQuery {
        let mut all = self.conditions(plan, visible);
        all.extend(plan.queries(&self.fields).into_iter().map(|query| (Occur::Must, query)));
        conditions::all(all)
    }

    /// The best `limit` of what matches and is not `hidden`, and what is as good as the last of them.
    pub(super) fn search(
        &self,
        files: &Files,
        lists: &PostingLists<'_>,
        plan: &Plan,
        visible: Option<&dyn Query>,
        hidden: Option<&impl Fn(u64) -> bool>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        let among = self.conditions(plan, visible);
        let among = (!among.is_empty()).then(|| conditions::all(among));
        let among = among.map(|among| among.weight(EnableScoring::disabled_from_searcher(files.searcher())));
        let (among, mut best) = (among.transpose()?, TopK::new(limit));
        for (number, (reader, file)) in files.iter().enumerate() {
            best.collect(Candidates {
                file: number as SegmentOrdinal,
                postings: lists.in_file(number, reader, file)?,
                among: among.as_ref().map(|among| among.scorer(reader, 1.0)).transpose()?,
                is_shown: is_shown(reader, file, hidden),
                plan,
            });
        }
        let found = best.found().into_iter();
        found
            .map(|(score, address)| Ok(Found { key: self.fields.key(&files.searcher().doc(address)?), score }))
            .collect()
    }

    /// Of each file, everything that matches and is not `hidden`: its number, and what the column has of it.
    pub(super) fn all(
        &self,
        files: &Files,
        plan: &Plan,
        visible: Option<&dyn Query>,
        hidden: Option<&impl Fn(u64) -> bool>,
        column: &str,
    ) -> Result<Vec<Vec<(DocId, u64)>>, Error> {
        let weight = self.query(plan, visible).weight(EnableScoring::disabled_from_searcher(files.searcher()))?;
        let of_file = |(reader, file): (&SegmentReader, &File)| {
            let (wanted, is_shown) = (reader.fast_fields().u64(column)?, is_shown(reader, file, hidden));
            let (mut matching, mut all) = (weight.scorer(reader, 1.0)?, Vec::new());
            while matching.doc() != TERMINATED {
                let document = matching.doc();
                if is_shown(document) {
                    all.extend(wanted.first(document).map(|value| (document, value)));
                }
                matching.advance();
            }
            Ok(all)
        };
        files.iter().map(of_file).collect()
    }

    /// What each part of the plan gives to the documents of names, of those that match.
    pub(super) fn scores(
        &self,
        files: &Files,
        lists: &PostingLists<'_>,
        plan: &Plan,
        visible: Option<&dyn Query>,
        keys: &[&Key],
    ) -> Result<HashMap<Key, Vec<Option<f32>>>, Error> {
        let mut scores = HashMap::new();
        let matching = self.query(plan, visible).weight(EnableScoring::disabled_from_searcher(files.searcher()))?;
        for (number, (reader, file)) in files.iter().enumerate() {
            let mut rows = Vec::new();
            for key in keys {
                rows.extend(self.row_in(reader, key)?.map(|row| (row, *key)));
            }
            rows.sort_unstable_by_key(|(row, _)| *row);
            let mut seen = matching.scorer(reader, 1.0)?;
            rows.retain(|(row, _)| is_at(&mut *seen, *row));
            let mut of_parts = lists.in_file(number, reader, file)?;
            for (row, key) in rows {
                let mut given = vec![None; plan.parts().count()];
                for postings in &mut of_parts {
                    given[postings.part] = postings.score_of(row);
                }
                scores.insert(key.clone(), given);
            }
        }
        Ok(scores)
    }

    /// Where in a file the document of a name is, if it is there.
    fn row_in(&self, file: &SegmentReader, key: &Key) -> Result<Option<DocId>, Error> {
        let name = Term::from_field_text(self.fields.name, &name_of(key));
        let postings = file.inverted_index(self.fields.name)?.read_postings(&name, IndexRecordOption::Basic);
        let Some(mut postings) = postings.map_err(TantivyError::from)? else { return Ok(None) };
        while postings.doc() != TERMINATED {
            if !file.is_deleted(postings.doc()) {
                return Ok(Some(postings.doc()));
            }
            postings.advance();
        }
        Ok(None)
    }

    /// What is listed for everybody, or of a namespace that may be read.
    pub(super) fn visible(
        &self,
        files: &Files,
        may_read: &(dyn Fn(&Namespace) -> bool + Sync),
    ) -> Result<Box<dyn Query>, Error> {
        let readable = self.namespaces(files.searcher())?.into_iter().filter(|ns| may_read(ns));
        let readable = readable.map(|ns| Term::from_field_text(self.fields.ns, ns.as_str()));
        Ok(Box::new(BooleanQuery::union(vec![self.fields.is_listed(), Box::new(TermSetQuery::new(readable))])))
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

/// Tells of the documents of a file whether they are there, and not `hidden` by the hash of their names.
fn is_shown<'a>(
    reader: &'a SegmentReader,
    file: &'a File,
    hidden: Option<&'a impl Fn(u64) -> bool>,
) -> impl Fn(DocId) -> bool + 'a {
    move |document| {
        !reader.is_deleted(document)
            && hidden.is_none_or(|hidden| file.hash(document).is_some_and(|hash| !hidden(hash)))
    }
}

/// Whether a document is among those of `documents`, which go on to it.
fn is_at(documents: &mut dyn Scorer, document: DocId) -> bool {
    documents.doc() == document || documents.doc() < document && documents.seek(document) == document
}
