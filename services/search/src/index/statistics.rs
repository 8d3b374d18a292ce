//! Owns how often a tenant's documents have a term, on the disk and in the tail together, so that both score alike. Never
//! counts a document that the caller may not see: a score would tell of it.

use tantivy::{
    Searcher, Term,
    collector::Count,
    query::{Bm25StatisticsProvider, BooleanQuery, Query, TermQuery},
    schema::{Field as Column, IndexRecordOption},
};

use super::{Error, plan::Sight, tail::Tail};
use crate::document::Field;

/// What is counted for one search.
pub(super) struct Statistics<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) tail: &'a Tail,
    /// Of the fields, in their order.
    pub(super) columns: [Column; Field::ALL.len()],
    sight: Sight<'a>,
    visible: Option<&'a dyn Query>,
    documents: u64,
}

impl<'a> Statistics<'a> {
    /// `visible`: what of the disk may be seen; none is everything.
    pub(super) fn new(
        searcher: &'a Searcher,
        tail: &'a Tail,
        columns: [Column; Field::ALL.len()],
        sight: Sight<'a>,
        visible: Option<&'a dyn Query>,
    ) -> Result<Self, Error> {
        let on_disk = match visible {
            None => searcher.total_num_docs()?,
            Some(visible) => searcher.search(visible, &Count)? as u64,
        };
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
        match self.visible {
            None => Ok(self.searcher.doc_freq(term)? + in_tail),
            Some(visible) => {
                let has = Box::new(TermQuery::new(term.clone(), IndexRecordOption::Basic));
                let both = BooleanQuery::intersection(vec![has, visible.box_clone()]);
                Ok(self.searcher.search(&both, &Count)? as u64 + in_tail)
            }
        }
    }
}
