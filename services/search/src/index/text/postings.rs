//! Owns where the parts of a plan are on the disk, and what each gives to a document there. Never decides what is best.

use tantivy::{
    DocId, DocSet as _, SegmentReader, TERMINATED, TantivyError,
    fieldnorm::FieldNormReader,
    postings::BlockSegmentPostings,
    query::{Bm25Weight, EnableScoring, PhraseQuery, Query as _, Scorer, Weight},
    schema::IndexRecordOption,
};

use super::{
    files::File,
    plan::{Part, Plan},
    statistics::Statistics,
};
use crate::index::Error;

/// Documents in a block of the engine's, but for the last of a list.
const BLOCK: usize = 128;

/// The parts of a plan on the disk.
pub(super) struct PostingLists<'a> {
    plan: &'a Plan<'a>,
    /// Of each part.
    weights: &'a [Bm25Weight],
    /// Of those that are phrases.
    phrases: Vec<Option<Box<dyn Weight>>>,
    statistics: &'a Statistics<'a>,
}

/// The documents of one file that have a part, one after the other.
pub(super) struct Postings {
    /// The place of the part in the plan.
    pub(super) part: usize,
    /// No document gets more.
    pub(super) max_score: f32,
    documents: Documents,
}

enum Documents {
    Term(Box<OfTerm>),
    Phrase(Box<dyn Scorer>),
}

/// The documents that have a term.
struct OfTerm {
    block: BlockSegmentPostings,
    /// Where in the block.
    at: usize,
    lengths: FieldNormReader,
    weight: Bm25Weight,
}

impl<'a> PostingLists<'a> {
    /// `weights`: of the parts of the plan.
    pub(super) fn new(
        plan: &'a Plan<'a>,
        weights: &'a [Bm25Weight],
        statistics: &'a Statistics<'a>,
    ) -> Result<Self, Error> {
        let scoring = EnableScoring::enabled_from_statistics_provider(statistics, statistics.files.searcher());
        let phrase = |part: &Part| {
            let is_phrase = part.terms.len() > 1;
            is_phrase.then(|| PhraseQuery::new(part.terms_in(statistics.columns)).weight(scoring)).transpose()
        };
        let phrases = plan.parts().map(phrase).collect::<Result<_, _>>()?;
        Ok(Self { plan, weights, phrases, statistics })
    }

    /// What has them in the file of this number.
    pub(super) fn in_file(&self, number: usize, reader: &SegmentReader, file: &File) -> Result<Vec<Postings>, Error> {
        let mut lists = Vec::new();
        for ((place, part), weight) in self.plan.parts().enumerate().zip(self.weights) {
            let Some(words) = file.words(part.field) else { continue };
            let (documents, max_score) = if let Some(phrase) = &self.phrases[place] {
                (Documents::Phrase(phrase.scorer(reader, part.weight)?), weight.max_score())
            } else {
                let known = self.statistics.known(part.field, &part.terms[0])?;
                let Some(term) = &known.in_files[number] else { continue };
                let block = words.inverted.read_block_postings_from_terminfo(term, IndexRecordOption::WithFreqs);
                let mut block = block.map_err(TantivyError::from)?;
                // Of a whole block the engine knows it by the lengths of that file alone, which can be too little.
                let is_one_block = (block.doc_freq() as usize) < BLOCK;
                let max_score =
                    if is_one_block { block.block_max_score(&words.lengths, weight) } else { weight.max_score() };
                let postings = OfTerm { block, at: 0, lengths: words.lengths.clone(), weight: weight.clone() };
                (Documents::Term(Box::new(postings)), max_score)
            };
            lists.push(Postings { part: place, max_score, documents });
        }
        Ok(lists)
    }
}

impl Postings {
    /// The document that it is at; after the last it is `TERMINATED`.
    pub(super) fn document(&self) -> DocId {
        match &self.documents {
            Documents::Term(postings) => postings.block.doc(postings.at),
            Documents::Phrase(scorer) => scorer.doc(),
        }
    }

    /// To the next.
    pub(super) fn advance(&mut self) {
        match &mut self.documents {
            Documents::Term(postings) if postings.at + 1 < BLOCK => postings.at += 1,
            Documents::Term(postings) => {
                postings.block.advance();
                postings.at = 0;
            }
            Documents::Phrase(scorer) => {
                scorer.advance();
            }
        }
    }

    /// To the first that is not before `document`.
    pub(super) fn seek(&mut self, document: DocId) {
        if self.document() < document {
            match &mut self.documents {
                Documents::Term(postings) => postings.at = postings.block.seek(document),
                Documents::Phrase(scorer) => {
                    scorer.seek(document);
                }
            }
        }
    }

    /// What the document gets that it is at.
    pub(super) fn score(&mut self) -> f32 {
        match &mut self.documents {
            Documents::Term(postings) => {
                let OfTerm { block, at, lengths, weight } = &**postings;
                weight.score(lengths.fieldnorm_id(block.doc(*at)), block.freq(*at))
            }
            Documents::Phrase(scorer) => scorer.score(),
        }
    }

    /// What a document gets that is not before the one it is at, if it has the part.
    pub(super) fn score_of(&mut self, document: DocId) -> Option<f32> {
        debug_assert!(document != TERMINATED);
        self.seek(document);
        (self.document() == document).then(|| self.score())
    }
}
