//! Owns how often a tenant's documents have a term, on the disk and in the tail together, so that both score alike. Never
//! counts a document that the caller may not see: a score would tell of it. Where a namespace is asked for, only what is of it
//! counts: it scores as if nothing else were there.

use domain::Key;
use tantivy::{
    DocSet as _, Searcher, TERMINATED, Term,
    query::{Bm25StatisticsProvider, EnableScoring, Query},
    schema::{Field as Column, IndexRecordOption},
};

use super::{bits::Bits, tail::Tail};
use crate::{
    document::{Document, Field},
    index::{Error, Filter, Sight},
};

/// What of the disk counts where not everything does.
pub(super) struct Scope {
    /// Of each segment.
    documents: Vec<Bits>,
    count: u64,
    /// Words in each field.
    tokens: [u64; Field::ALL.len()],
}

/// What is counted for one search.
pub(super) struct Statistics<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) tail: &'a Tail,
    /// Of the fields, in their order.
    pub(super) columns: [Column; Field::ALL.len()],
    sight: Sight<'a>,
    filter: &'a Filter,
    /// None is everything.
    scope: Option<Scope>,
    documents: u64,
}

impl Scope {
    /// The documents that a query picks.
    fn new(searcher: &Searcher, query: &dyn Query, columns: [Column; Field::ALL.len()]) -> Result<Self, Error> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
        let mut scope = Self { documents: Vec::new(), count: 0, tokens: [0; Field::ALL.len()] };
        for segment in searcher.segment_readers() {
            let mut bits = Bits::none(segment.max_doc());
            let mut lengths = Vec::new();
            for column in columns {
                lengths.push(segment.get_fieldnorms_reader(column)?);
            }
            let mut picked = weight.scorer(segment, 1.0)?;
            while picked.doc() != TERMINATED {
                let document = picked.doc();
                if !segment.is_deleted(document) {
                    bits.insert(document);
                    scope.count += 1;
                    for (tokens, lengths) in scope.tokens.iter_mut().zip(&lengths) {
                        *tokens += u64::from(lengths.fieldnorm(document));
                    }
                }
                picked.advance();
            }
            scope.documents.push(bits);
        }
        Ok(scope)
    }

    fn document_frequency(&self, searcher: &Searcher, term: &Term) -> tantivy::Result<u64> {
        let mut count = 0;
        for (segment, counted) in searcher.segment_readers().iter().zip(&self.documents) {
            let inverted = segment.inverted_index(term.field())?;
            let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::Basic)? else { continue };
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
        searcher: &'a Searcher,
        tail: &'a Tail,
        columns: [Column; Field::ALL.len()],
        sight: Sight<'a>,
        filter: &'a Filter,
        scope: Option<&dyn Query>,
    ) -> Result<Self, Error> {
        let scope = scope.map(|query| Scope::new(searcher, query, columns)).transpose()?;
        let on_disk = scope.as_ref().map_or_else(|| searcher.total_num_docs(), |scope| Ok(scope.count))?;
        let mut statistics = Self { searcher, tail, columns, sight, filter, scope, documents: on_disk };
        statistics.documents += tail.documents(|document| statistics.counts(document));
        Ok(statistics)
    }

    /// Whether a document of the tail counts.
    fn counts(&self, document: &Document) -> bool {
        let Document { key: Key { ns, .. }, .. } = document;
        self.sight.sees(document) && self.filter.has_namespace(ns)
    }

    /// Whether a document has a term in any of these fields.
    pub(super) fn has(&self, term: &str, fields: &[Field]) -> Result<bool, Error> {
        for field in fields {
            if self.doc_freq(&Term::from_field_text(self.columns[*field as usize], term))? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Of the fields, the most documents that have a term in one.
    pub(super) fn most_in_a_field(&self, term: &str) -> Result<u64, Error> {
        let mut most = 0;
        for column in self.columns {
            most = most.max(self.doc_freq(&Term::from_field_text(column, term))?);
        }
        Ok(most)
    }

    fn field(&self, column: Column) -> Field {
        let place = self.columns.iter().position(|known| *known == column);
        Field::ALL[place.expect("only texts are scored")]
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, column: Column) -> tantivy::Result<u64> {
        let field = self.field(column);
        match &self.scope {
            None => {
                Ok(self.searcher.total_num_tokens(column)? + self.tail.tokens(field, None::<fn(&Document) -> bool>))
            }
            Some(scope) => Ok(scope.tokens[field as usize]
                + self.tail.tokens(field, Some(|document: &Document| self.counts(document)))),
        }
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let in_tail = std::str::from_utf8(term.serialized_value_bytes()).map_or(0, |text| {
            self.tail.document_frequency(self.field(term.field()), text, |document| self.counts(document))
        });
        let on_disk = match &self.scope {
            None => self.searcher.doc_freq(term)?,
            Some(scope) => scope.document_frequency(self.searcher, term)?,
        };
        Ok(on_disk + in_tail)
    }
}
