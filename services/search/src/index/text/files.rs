//! Owns what searches read of the files of one state of an index, opened once for all of them. Never changes.

use std::sync::Arc;

use tantivy::{
    DocId, InvertedIndexReader, Searcher, SegmentReader, columnar::Column, fieldnorm::FieldNormReader,
    schema::Field as Name,
};

use super::fields::HASH;
use crate::{document::Field, index::Error};

/// The files of one state.
pub(super) struct Files {
    searcher: Searcher,
    /// In the searcher's order.
    each: Vec<File>,
}

/// A file.
pub(super) struct File {
    texts: [Option<Words>; Field::ALL.len()],
    hashes: Column<u64>,
}

/// The words of a field.
pub(super) struct Words {
    pub(super) inverted: Arc<InvertedIndexReader>,
    pub(super) lengths: FieldNormReader,
}

impl Files {
    /// Those of a searcher. `columns`: of the fields, in their order.
    pub(super) fn open(searcher: Searcher, columns: [Name; Field::ALL.len()]) -> Result<Self, Error> {
        let each = searcher.segment_readers().iter().map(|reader| File::open(reader, columns));
        let each = each.collect::<Result<_, _>>()?;
        Ok(Self { searcher, each })
    }

    pub(super) fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// Each with its reader.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&SegmentReader, &File)> {
        self.searcher.segment_readers().iter().zip(&self.each)
    }

    /// How many documents there are, removed ones too.
    pub(super) fn documents(&self) -> u64 {
        self.searcher.segment_readers().iter().map(|reader| u64::from(reader.max_doc())).sum()
    }

    /// How many words a field has, those of removed documents too.
    pub(super) fn tokens(&self, field: Field) -> u64 {
        let words = self.each.iter().filter_map(|file| file.words(field));
        words.map(|words| words.inverted.total_num_tokens()).sum()
    }
}

impl File {
    fn open(reader: &SegmentReader, columns: [Name; Field::ALL.len()]) -> Result<Self, Error> {
        let mut texts = [const { None }; Field::ALL.len()];
        for (words, column) in texts.iter_mut().zip(columns) {
            let inverted = reader.inverted_index(column)?;
            if inverted.total_num_tokens() > 0 {
                *words = Some(Words { inverted, lengths: reader.get_fieldnorms_reader(column)? });
            }
        }
        Ok(Self { texts, hashes: reader.fast_fields().u64(HASH)? })
    }

    /// None where no document has one.
    pub(super) fn words(&self, field: Field) -> Option<&Words> {
        self.texts[field as usize].as_ref()
    }

    /// The hash of a document's name.
    pub(super) fn hash(&self, document: DocId) -> Option<u64> {
        self.hashes.first(document)
    }
}
