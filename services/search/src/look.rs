//! Owns how the indexes of a tenant are asked: by words, by vectors, or by both. Never says what a thing is.

use std::sync::Arc;

use domain::{Key, Namespace};
use proto::search::v1 as wire;
use serve::{Caller, Refusal};

use crate::{
    Search,
    combine::{Best, combine},
    index::{Counted, Error, Facet, Filter, Found, Matching, Nearest, Needs, Sight, TermScore, Texts, Vectors},
    query::Clause,
    ranking::Ranking,
    semantic::Semantic,
};

/// Where two rankings become one, each is this long at least: what is good in both may be the best in neither.
const LEAST_OF_EACH: usize = 100;

/// Which things.
pub(crate) struct Asked {
    /// The vectors that are looked at.
    pub(crate) semantic: Arc<Semantic>,
    pub(crate) mode: Mode,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) needs: Needs,
    /// Of the model's dimension. Empty where only words count.
    pub(crate) vector: Vec<f32>,
    pub(crate) filter: Filter,
    pub(crate) top_k: usize,
    /// The thing that others are to be like, which is none of them.
    pub(crate) but: Option<Key>,
    /// Each with its name.
    pub(crate) facets: Vec<(String, Facet)>,
    /// Say how scores are made.
    pub(crate) explain: bool,
}

/// How things are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Lexical,
    Semantic,
    Hybrid,
}

/// What of a tenant is looked at, for one caller.
struct View<'a> {
    texts: Option<&'a Texts>,
    vectors: Option<&'a Vectors>,
    sight: Sight<'a>,
}

impl Asked {
    /// Whether the index of texts is looked at; it also has what the fields of data are.
    pub(crate) fn needs_texts(&self) -> bool {
        self.mode != Mode::Semantic || !self.filter.fields.is_empty() || !self.facets.is_empty()
    }

    /// Whether the index of vectors is looked at.
    pub(crate) fn needs_vectors(&self) -> bool {
        self.mode != Mode::Lexical
    }

    fn lexical_weight(&self) -> f32 {
        self.semantic.model.embedder.lexical_weight()
    }

    fn matching<'a>(&'a self, clauses: &'a [Clause], sight: Sight<'a>, limit: usize) -> Matching<'a> {
        Matching { clauses, needs: self.needs, filter: &self.filter, sight, limit }
    }

    /// The best `limit`, and whether these are all.
    fn look(&self, view: &View<'_>, limit: usize) -> Result<(Vec<Found>, bool, Best), Error> {
        let View { texts, vectors, sight } = *view;
        let matching = |limit| {
            let wanted = self.matching(&self.clauses, sight, limit);
            texts.map_or(Ok(Vec::new()), |texts| texts.matching(&wanted))
        };
        let among = self.among(view)?;
        let wanted =
            |limit| Nearest { vector: &self.vector, filter: &self.filter, sight, among: among.as_deref(), limit };
        let nearest = |limit| vectors.map_or(Vec::new(), |vectors| vectors.nearest(&wanted(limit)));
        let one = |found: Vec<Found>| {
            let is_whole = found.len() < limit;
            (found, is_whole, Best::default())
        };
        match self.mode {
            Mode::Lexical => Ok(one(matching(limit)?)),
            Mode::Semantic => Ok(one(nearest(limit))),
            Mode::Hybrid => {
                let each = limit.max(LEAST_OF_EACH);
                let wanted = wanted(each);
                let cosines =
                    |keys: &[&Key]| vectors.map_or(vec![None; keys.len()], |vectors| vectors.scores(keys, &wanted));
                let (lexical, semantic) = (matching(each)?, nearest(each));
                let (mut both, best) = combine(&lexical, &semantic, self.but.as_ref(), self.lexical_weight(), cosines);
                let is_whole = lexical.len() < each && semantic.len() < each && both.len() <= limit;
                both.truncate(limit);
                Ok((both, is_whole, best))
            }
        }
    }

    /// The names that fulfil the conditions on fields, which the index of vectors does not know.
    fn among(&self, view: &View<'_>) -> Result<Option<Vec<u64>>, Error> {
        if self.filter.fields.is_empty() || self.mode == Mode::Lexical {
            return Ok(None);
        }
        let wanted = self.matching(&[], view.sight, usize::MAX);
        view.texts.map_or(Ok(Some(Vec::new())), |texts| texts.hashes(&wanted).map(Some))
    }

    /// How the scores of hits are made.
    fn explain(&self, view: &View<'_>, keys: &[Key], best: Best) -> Result<Vec<wire::Explanation>, Error> {
        let wanted = self.matching(&self.clauses, view.sight, usize::MAX);
        let terms = match view.texts {
            Some(texts) if self.mode != Mode::Semantic => texts.explained(&wanted, keys)?,
            _ => vec![Vec::new(); keys.len()],
        };
        let among = self.among(view)?;
        let wanted = Nearest {
            vector: &self.vector,
            filter: &self.filter,
            sight: view.sight,
            among: among.as_deref(),
            limit: usize::MAX,
        };
        let cosines = match view.vectors {
            Some(vectors) if self.mode != Mode::Lexical => vectors.scores(&keys.iter().collect::<Vec<_>>(), &wanted),
            _ => vec![None; keys.len()],
        };
        let of_both = |number: f32| if self.mode == Mode::Hybrid { f64::from(number) } else { 0.0 };
        let explanation = |(terms, cosine): (Vec<TermScore>, Option<f32>)| wire::Explanation {
            terms: terms.iter().map(term_score).collect(),
            cosine: cosine.map(f64::from),
            lexical_weight: of_both(self.lexical_weight()),
            best_words: of_both(best.words),
            best_cosine: of_both(best.cosine),
        };
        Ok(terms.into_iter().zip(cosines).map(explanation).collect())
    }
}

impl Search {
    /// The best `limit` of what is found, and, where they are asked, how many things there are by each facet.
    /// `counted` if they are known.
    pub(crate) async fn look(
        &self,
        caller: &Caller,
        asked: &Arc<Asked>,
        limit: usize,
        counted: Option<Vec<Counted>>,
    ) -> Result<Ranking, Refusal> {
        self.viewed(caller, asked, move |asked, view| {
            let (found, is_whole, best) = asked.look(view, limit)?;
            if let Some(facets) = counted {
                return Ok(Ranking { found, is_whole, best, facets });
            }
            // By vectors alone everything matches that the conditions let through.
            let clauses: &[Clause] = if asked.mode == Mode::Semantic { &[] } else { &asked.clauses };
            let facets: Vec<Facet> = asked.facets.iter().map(|(_, facet)| facet.clone()).collect();
            let facets = match view.texts {
                Some(texts) if !facets.is_empty() => texts.facets(&asked.matching(clauses, view.sight, 0), &facets)?,
                _ => vec![<_>::default(); facets.len()],
            };
            Ok(Ranking { found, is_whole, best, facets })
        })
        .await
    }

    /// How the scores of hits are made.
    pub(crate) async fn explain(
        &self,
        caller: &Caller,
        asked: &Arc<Asked>,
        keys: Vec<Key>,
        best: Best,
    ) -> Result<Vec<wire::Explanation>, Refusal> {
        self.viewed(caller, asked, move |asked, view| asked.explain(view, &keys, best)).await
    }

    /// Looks at the tenant's indexes as the caller sees them, on a thread that may block.
    async fn viewed<T: Send + 'static>(
        &self,
        caller: &Caller,
        asked: &Arc<Asked>,
        look: impl FnOnce(&Asked, &View<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        let texts = self.texts.index.of(&caller.tenant);
        let vectors = asked.semantic.vectors.index.of(&caller.tenant);
        let (caller, asked) = (caller.clone(), Arc::clone(asked));
        let look = move || {
            let may_read = |ns: &Namespace| caller.may_read(ns);
            let sight = Sight((!caller.may_read_all()).then_some(&may_read));
            look(&asked, &View { texts: texts.as_deref(), vectors: vectors.as_deref(), sight })
        };
        Ok(tokio::task::spawn_blocking(look).await.map_err(Refusal::internal)??)
    }
}

fn term_score(score: &TermScore) -> wire::TermScore {
    let TermScore { terms, field, score } = score;
    wire::TermScore { term: terms.join(" "), field: field.name().to_owned(), score: (*score).into() }
}
