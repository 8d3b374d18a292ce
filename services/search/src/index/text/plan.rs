//! Owns what a query looks for once its words are known terms: the same for documents on the disk and in memory.

use tantivy::{
    Term,
    query::{Bm25Weight, BooleanQuery, PhraseQuery, Query, TermQuery},
    schema::{Field as Column, IndexRecordOption},
};

use super::{fields::Fields, statistics::Statistics};
use crate::{
    document::Field,
    index::{Error, Filter, Sight},
};

/// A query with its conditions.
pub(super) struct Plan<'a> {
    /// What each clause of the query stands for, if it has any.
    pub(super) clauses: Vec<Vec<Part>>,
    /// Which of the clauses a document has to have.
    pub(super) needs: Needs,
    pub(super) filter: &'a Filter,
    pub(super) sight: Sight<'a>,
}

/// Which clauses of a query a document has to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    /// One of them, in any field.
    Any,
    /// All of them, in the title or the id.
    AllInNames,
}

impl Needs {
    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Any => &Field::ALL,
            Self::AllInNames => &[Field::Title, Field::Id],
        }
    }
}

/// A term in a field, or several that follow each other there. What it adds to a score is its BM25 times `weight`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Part {
    pub(super) field: Field,
    pub(super) terms: Vec<String>,
    pub(super) weight: f32,
}

impl Plan<'_> {
    /// Every part of every clause.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.clauses.iter().flatten()
    }

    /// What has the clauses, as queries each of which must match; none where there are no clauses.
    pub(super) fn queries(&self, fields: &Fields) -> Vec<Box<dyn Query>> {
        let union = |parts: &mut dyn Iterator<Item = &Part>| -> Box<dyn Query> {
            Box::new(BooleanQuery::union(parts.map(|part| part.query(fields)).collect()))
        };
        match self.needs {
            Needs::Any if self.clauses.is_empty() => Vec::new(),
            Needs::Any => vec![union(&mut self.parts())],
            Needs::AllInNames => self.clauses.iter().map(|parts| union(&mut parts.iter())).collect(),
        }
    }

    /// For each part, what it gives to a document by how often that has it.
    pub(super) fn weights(&self, statistics: &Statistics<'_>) -> Result<Vec<Bm25Weight>, Error> {
        let weight = |part: &Part| {
            let weight = if let [term] = &part.terms[..] {
                let having = statistics.known(part.field, term)?.documents;
                let length = statistics.average_length(part.field);
                Bm25Weight::for_one_term_without_explain(having, statistics.documents(), length)
            } else {
                Bm25Weight::for_terms(statistics, &part.terms_in(statistics.columns))?
            };
            Ok(weight.boost_by(part.weight))
        };
        self.parts().map(weight).collect()
    }
}

impl Part {
    /// What has it.
    fn query(&self, fields: &Fields) -> Box<dyn Query> {
        let mut terms = self.terms_in(fields.texts);
        if terms.len() == 1 {
            Box::new(TermQuery::new(terms.remove(0), IndexRecordOption::Basic))
        } else {
            Box::new(PhraseQuery::new(terms))
        }
    }

    /// As the engine has them. `columns`: of the fields, in their order.
    pub(super) fn terms_in(&self, columns: [Column; Field::ALL.len()]) -> Vec<Term> {
        let field = columns[self.field as usize];
        self.terms.iter().map(|term| Term::from_field_text(field, term)).collect()
    }
}
