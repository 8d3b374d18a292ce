//! tantivy alone: the engine below our index of texts, with the same fields and words and nothing around it.

use ::tantivy::{
    Index, Searcher, TantivyDocument, Term,
    collector::TopDocs,
    directory::MmapDirectory,
    indexer::NoMergePolicy,
    query::{BooleanQuery, BoostQuery, Query, TermQuery},
    schema::{Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value as _},
    tokenizer::TextAnalyzer,
};
use anyhow::Context as _;
use tempfile::TempDir;

use crate::{directory, measure::TOP_K, onet::Row};

/// What makes terms: words in lower case, as English stems.
const ANALYZER: &str = "en_stem";
/// How much a word in a title counts.
const OF_TITLE: f32 = 3.0;
const WRITER_BYTES: usize = 64 << 20;

/// An index of rows.
pub(crate) struct Tantivy {
    searcher: Searcher,
    analyzer: TextAnalyzer,
    /// Each with how much a word in it counts.
    fields: [(Field, f32); 3],
    id: Field,
    _dir: TempDir,
}

impl Tantivy {
    /// All rows, in so many files.
    pub(crate) fn of(rows: &[Row], files: usize) -> anyhow::Result<Self> {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(ANALYZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let text = TextOptions::default().set_indexing_options(indexing);
        let mut schema = Schema::builder();
        let title_field = schema.add_text_field("title", text.clone());
        let id_field = schema.add_text_field("id", text.clone() | STORED);
        let content_field = schema.add_text_field("content", text);
        let dir = tempfile::tempdir_in(directory()?)?;
        let index = Index::open_or_create(MmapDirectory::open(dir.path())?, schema.build())?;
        let mut writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        for rows in rows.chunks(rows.len().div_ceil(files)) {
            for Row { id, title, content } in rows {
                let mut document = TantivyDocument::new();
                if let Some(title) = title {
                    document.add_text(title_field, title);
                }
                document.add_text(id_field, id);
                document.add_text(content_field, content);
                writer.add_document(document)?;
            }
            writer.commit()?;
        }
        let (searcher, analyzer) = (index.reader()?.searcher(), index.tokenizer_for_field(content_field)?);
        let fields = [(title_field, OF_TITLE), (id_field, 1.0), (content_field, 1.0)];
        Ok(Self { searcher, analyzer, fields, id: id_field, _dir: dir })
    }

    pub(crate) fn files(&self) -> usize {
        self.searcher.segment_readers().len()
    }

    /// The ids of the best rows that have one of the words.
    pub(crate) fn best(&mut self, query: &str) -> anyhow::Result<Vec<String>> {
        let mut words = Vec::new();
        self.analyzer.token_stream(query).process(&mut |token| {
            if !words.contains(&token.text) {
                words.push(token.text.clone());
            }
        });
        let of_word = |word: &String| {
            self.fields.map(|(field, weight)| -> Box<dyn Query> {
                let term = TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs);
                Box::new(BoostQuery::new(Box::new(term), weight))
            })
        };
        let query = BooleanQuery::union(words.iter().flat_map(of_word).collect());
        let best = self.searcher.search(&query, &TopDocs::with_limit(TOP_K).order_by_score())?;
        let id = |(_, address)| {
            let document: TantivyDocument = self.searcher.doc(address)?;
            let id = document.get_first(self.id).and_then(|id| id.as_str()).context("a row has an id")?;
            Ok(id.to_owned())
        };
        best.into_iter().map(id).collect()
    }
}
