//! Owns how often a tenant's documents have a term, on the disk and in the tail together, so that both score alike. Never
//! counts a document that the caller may not see: a score would tell of it.

use tantivy::{
    DocId, DocSet as _, Searcher, TERMINATED, Term,
    query::{Bm25StatisticsProvider, EnableScoring, Query},
    schema::{Field as Column, IndexRecordOption},
};

use super::tail::Tail;
use crate::{
    document::Field,
    index::{Error, Sight},
};

/// What of the disk a caller may see who does not see everything.
pub(super) struct Visible {
    pub(super) query: Box<dyn Query>,
    /// Of each segment.
    documents: Vec<Bits>,
}

/// A set of documents of one segment.
struct Bits(Vec<u64>);

/// What is counted for one search.
pub(super) struct Statistics<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) tail: &'a Tail,
    /// Of the fields, in their order.
    pub(super) columns: [Column; Field::ALL.len()],
    sight: Sight<'a>,
    /// None is everything.
    visible: Option<&'a Visible>,
    documents: u64,
}

impl Visible {
    /// The documents that a query picks.
    pub(super) fn new(searcher: &Searcher, query: Box<dyn Query>) -> Result<Self, Error> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
        let mut documents = Vec::new();
        for segment in searcher.segment_readers() {
            let mut bits = Bits(vec![0; segment.max_doc().div_ceil(u64::BITS) as usize]);
            let mut picked = weight.scorer(segment, 1.0)?;
            while picked.doc() != TERMINATED {
                if !segment.is_deleted(picked.doc()) {
                    bits.insert(picked.doc());
                }
                picked.advance();
            }
            documents.push(bits);
        }
        Ok(Self { query, documents })
    }

    fn count(&self) -> u64 {
        self.documents.iter().flat_map(|bits| &bits.0).map(|word| u64::from(word.count_ones())).sum()
    }

    fn document_frequency(&self, searcher: &Searcher, term: &Term) -> tantivy::Result<u64> {
        let mut count = 0;
        for (segment, visible) in searcher.segment_readers().iter().zip(&self.documents) {
            let inverted = segment.inverted_index(term.field())?;
            let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::Basic)? else { continue };
            while postings.doc() != TERMINATED {
                count += u64::from(visible.has(postings.doc()));
                postings.advance();
            }
        }
        Ok(count)
    }
}

impl Bits {
    fn insert(&mut self, document: DocId) {
        self.0[(document / u64::BITS) as usize] |= 1 << (document % u64::BITS);
    }

    fn has(&self, document: DocId) -> bool {
        self.0[(document / u64::BITS) as usize] & 1 << (document % u64::BITS) != 0
    }
}

impl<'a> Statistics<'a> {
    /// `visible`: what of the disk may be seen; none is everything.
    pub(super) fn new(
        searcher: &'a Searcher,
        tail: &'a Tail,
        columns: [Column; Field::ALL.len()],
        sight: Sight<'a>,
        visible: Option<&'a Visible>,
    ) -> Result<Self, Error> {
        let on_disk = visible.map_or_else(|| searcher.total_num_docs(), |visible| Ok(visible.count()))?;
        let documents = on_disk + tail.documents(|document| sight.sees(document));
        Ok(Self { searcher, tail, columns, sight, visible, documents })
    }

    /// Whether a document has a term in any field.
    pub(super) fn has(&self, term: &str) -> Result<bool, Error> {
        for column in self.columns {
            if self.doc_freq(&Term::from_field_text(column, term))? > 0 {
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
    /// For those who do not see everything, so many as texts have usually.
    fn total_num_tokens(&self, column: Column) -> tantivy::Result<u64> {
        let field = self.field(column);
        match self.visible {
            None => Ok(self.searcher.total_num_tokens(column)? + self.tail.tokens(field)),
            Some(_) => Ok(self.documents * field.usual_length()),
        }
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let in_tail = std::str::from_utf8(term.serialized_value_bytes()).map_or(0, |text| {
            self.tail.document_frequency(self.field(term.field()), text, |document| self.sight.sees(document))
        });
        let on_disk = match self.visible {
            None => self.searcher.doc_freq(term)?,
            Some(visible) => visible.document_frequency(self.searcher, term)?,
        };
        Ok(on_disk + in_tail)
    }
}
