//! Owns what a query looks for once its words are known terms: the same for documents on the disk and in memory.

use tantivy::{
    Term,
    query::{Bm25StatisticsProvider, Bm25Weight, BoostQuery, PhraseQuery, Query, TermQuery},
    schema::IndexRecordOption,
};

use super::base::Fields;
use crate::{
    document::Field,
    index::{Error, Filter, Sight},
};

/// A query with its conditions.
pub(super) struct Plan<'a> {
    pub(super) parts: Vec<Part>,
    pub(super) filter: &'a Filter,
    pub(super) sight: Sight<'a>,
}

/// A term in a field, or several that follow each other there. What it adds to a score is its BM25 times `weight`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Part {
    pub(super) field: Field,
    pub(super) terms: Vec<String>,
    pub(super) weight: f32,
}

impl Plan<'_> {
    /// For the engine, each part as a query.
    pub(super) fn queries(&self, fields: &Fields) -> Vec<Box<dyn Query>> {
        let query = |part: &Part| -> Box<dyn Query> {
            let mut terms = part.terms_in(fields);
            let query: Box<dyn Query> = if terms.len() == 1 {
                Box::new(TermQuery::new(terms.remove(0), IndexRecordOption::WithFreqs))
            } else {
                Box::new(PhraseQuery::new(terms))
            };
            Box::new(BoostQuery::new(query, part.weight))
        };
        self.parts.iter().map(query).collect()
    }

    /// For each part, what it gives to a document by how often that has it.
    pub(super) fn weights(
        &self,
        fields: &Fields,
        statistics: &dyn Bm25StatisticsProvider,
    ) -> Result<Vec<Bm25Weight>, Error> {
        let weight = |part: &Part| Ok(Bm25Weight::for_terms(statistics, &part.terms_in(fields))?.boost_by(part.weight));
        self.parts.iter().map(weight).collect()
    }
}

impl Part {
    fn terms_in(&self, fields: &Fields) -> Vec<Term> {
        let field = fields.texts[self.field as usize];
        self.terms.iter().map(|term| Term::from_field_text(field, term)).collect()
    }
}
