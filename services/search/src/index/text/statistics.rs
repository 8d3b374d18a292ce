//! Owns how often a tenant's documents have a term, on the disk and in the tail together, so that both score alike. Never
//! counts a document that the caller may not see: a score would tell of it. Where a namespace is asked for, only what is of it
//! counts: it scores as if nothing else were there.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use domain::Key;
use tantivy::{
    DocSet as _, TERMINATED, TantivyError, Term,
    postings::TermInfo,
    query::{Bm25StatisticsProvider, EnableScoring, Query},
    schema::{Field as Column, IndexRecordOption},
};

use super::{bits::Bits, files::Files, tail::Tail};
use crate::{
    document::{Document, Field},
    index::{Error, Filter, Sight},
};

/// What of the disk counts where not everything does.
pub(super) struct Scope {
    /// Of each file.
    documents: Vec<Bits>,
    count: u64,
    /// Words in each field.
    tokens: [u64; Field::ALL.len()],
}

/// What is counted for one search, each term once.
pub(super) struct Statistics<'a> {
    pub(super) files: &'a Files,
    pub(super) tail: &'a Tail,
    /// Of the fields, in their order.
    pub(super) columns: [Column; Field::ALL.len()],
    sight: Sight<'a>,
    filter: &'a Filter,
    /// None is everything.
    scope: Option<Scope>,
    documents: u64,
    /// Words in each field.
    tokens: [u64; Field::ALL.len()],
    known: RefCell<[HashMap<String, Rc<Known>>; Field::ALL.len()]>,
}

/// A term of a field.
pub(super) struct Known {
    /// How many documents have it.
    pub(super) documents: u64,
    /// Where each file has it.
    pub(super) in_files: Vec<Option<TermInfo>>,
}

impl Scope {
    /// The documents that a query picks.
    fn new(files: &Files, query: &dyn Query) -> Result<Self, Error> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(files.searcher()))?;
        let mut scope = Self { documents: Vec::new(), count: 0, tokens: [0; Field::ALL.len()] };
        for (reader, file) in files.iter() {
            let mut bits = Bits::none(reader.max_doc());
            let mut picked = weight.scorer(reader, 1.0)?;
            while picked.doc() != TERMINATED {
                let document = picked.doc();
                if !reader.is_deleted(document) {
                    bits.insert(document);
                    scope.count += 1;
                    for (tokens, field) in scope.tokens.iter_mut().zip(Field::ALL) {
                        *tokens += file.words(field).map_or(0, |words| words.lengths.fieldnorm(document).into());
                    }
                }
                picked.advance();
            }
            scope.documents.push(bits);
        }
        Ok(scope)
    }

    /// How many of them have a term.
    fn having(&self, files: &Files, field: Field, in_files: &[Option<TermInfo>]) -> tantivy::Result<u64> {
        let mut count = 0;
        for (((_, file), counted), term) in files.iter().zip(&self.documents).zip(in_files) {
            let (Some(words), Some(term)) = (file.words(field), term) else { continue };
            let mut postings = words.inverted.read_postings_from_terminfo(term, IndexRecordOption::Basic)?;
            while postings.doc() != TERMINATED {
                count += u64::from(counted.has(postings.doc()));
                postings.advance();
            }
        }
        Ok(count)
    }
}

impl<'a> Statistics<'a> {
    /// `scope`: picks what of the disk counts; none is everything.
    pub(super) fn new(
        files: &'a Files,
        tail: &'a Tail,
        columns: [Column; Field::ALL.len()],
        sight: Sight<'a>,
        filter: &'a Filter,
        scope: Option<&dyn Query>,
    ) -> Result<Self, Error> {
        let scope = scope.map(|query| Scope::new(files, query)).transpose()?;
        let (mut documents, mut tokens) = match &scope {
            None => (files.documents(), Field::ALL.map(|field| files.tokens(field))),
            Some(scope) => (scope.count, scope.tokens),
        };
        let in_tail = tail.counted(scope.is_some().then_some(|document: &_| counts(document, sight, filter)));
        documents += in_tail.documents;
        tokens.iter_mut().zip(in_tail.tokens).for_each(|(tokens, in_tail)| *tokens += in_tail);
        let known = RefCell::default();
        Ok(Self { files, tail, columns, sight, filter, scope, documents, tokens, known })
    }

    /// What counts.
    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    /// The words that one has of a field, on average.
    pub(super) fn average_length(&self, field: Field) -> f32 {
        self.tokens[field as usize] as f32 / self.documents as f32
    }

    /// A term of a field, which is looked up once.
    pub(super) fn known(&self, field: Field, term: &str) -> tantivy::Result<Rc<Known>> {
        if let Some(known) = self.known.borrow()[field as usize].get(term) {
            return Ok(Rc::clone(known));
        }
        let known = Rc::new(self.look_up(field, term)?);
        self.known.borrow_mut()[field as usize].insert(term.to_owned(), Rc::clone(&known));
        Ok(known)
    }

    fn look_up(&self, field: Field, term: &str) -> tantivy::Result<Known> {
        let mut in_files = Vec::new();
        for (_, file) in self.files.iter() {
            let words = file.words(field);
            in_files.push(words.map(|words| words.inverted.terms().get(term)).transpose()?.flatten());
        }
        let on_disk = match &self.scope {
            None => in_files.iter().flatten().map(|term| u64::from(term.doc_freq)).sum(),
            Some(scope) => scope.having(self.files, field, &in_files)?,
        };
        let in_tail = self.tail.document_frequency(field, term, |document| counts(document, self.sight, self.filter));
        Ok(Known { documents: on_disk + in_tail, in_files })
    }

    /// Whether a document has a term in any of these fields.
    pub(super) fn has(&self, term: &str, fields: &[Field]) -> Result<bool, Error> {
        for field in fields {
            if self.known(*field, term)?.documents > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Of the fields, the most documents that have a term in one.
    pub(super) fn most_in_a_field(&self, term: &str) -> Result<u64, Error> {
        let mut most = 0;
        for field in Field::ALL {
            most = most.max(self.known(field, term)?.documents);
        }
        Ok(most)
    }

    fn field(&self, column: Column) -> Field {
        let place = self.columns.iter().position(|known| *known == column);
        Field::ALL[place.expect("only texts are scored")]
    }
}

/// Whether a document of the tail counts.
fn counts(document: &Document, sight: Sight<'_>, filter: &Filter) -> bool {
    let Document { key: Key { ns, .. }, .. } = document;
    sight.sees(document) && filter.has_namespace(ns)
}

/// For phrases, which the engine weighs.
impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, column: Column) -> tantivy::Result<u64> {
        Ok(self.tokens[self.field(column) as usize])
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let text = std::str::from_utf8(term.serialized_value_bytes());
        let text = text.map_err(|_| TantivyError::InvalidArgument("a term is text".into()))?;
        Ok(self.known(self.field(term.field()), text)?.documents)
    }
}
