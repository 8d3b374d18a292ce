//! Owns how a text becomes terms: the same for what is searched and for what it is searched in. Never keeps a text.

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, TextAnalyzer,
    TokenStream as _,
};

/// Longer words, in bytes, are no words: keys, hashes, encoded bytes.
const LONGEST_WORD: usize = 64;

/// Makes terms of a text: words of letters and digits, in lower case, without accents, as English stems.
pub(crate) struct Analyzer {
    stems: TextAnalyzer,
    folded: TextAnalyzer,
}

/// A term in its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) term: &'a str,
    /// Counted in words.
    pub(crate) position: usize,
    /// Where it is, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Analyzer {
    pub(crate) fn new() -> Self {
        let folded = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(LONGEST_WORD))
            .filter(LowerCaser)
            .filter(AsciiFoldingFilter)
            .build();
        Self { stems: stems(), folded }
    }

    /// The terms of a text, in their order.
    pub(crate) fn terms(&mut self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.each(text, |token| terms.push(token.term.to_owned()));
        terms
    }

    /// Gives each term of a text to `take`.
    pub(crate) fn each(&mut self, text: &str, mut take: impl FnMut(Token<'_>)) {
        self.stems.token_stream(text).process(&mut |token| {
            let (position, start, end) = (token.position, token.offset_from, token.offset_to);
            take(Token { term: &token.text, position, start, end });
        });
    }

    /// The words of a text as they are, but for letter case and accents.
    pub(crate) fn folded(&mut self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.folded.token_stream(text).process(&mut |token| words.push(token.text.clone()));
        words
    }
}

/// As the engine takes it.
pub(super) fn stems() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(Language::English))
        .build()
}
