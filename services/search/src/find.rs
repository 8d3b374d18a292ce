//! Finds things: asks the indexes, then things, which of what they found is there for the caller.
//!
//! Owns that an answer has as many hits as were asked for, if there are so many. Never shows what things does not give.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{Key, Namespace};
use http::HeaderMap;
use proto::{
    common::v1::Visibility as WireVisibility,
    convert::{canonical_key, key_to_wire},
    search::v1 as wire,
    things::v1::{BatchGetThingsRequest, BatchGetThingsResponse, Thing},
};
use serve::{Caller, Refusal, deadline::Deadline};

use crate::{
    Search,
    combine::combine,
    document::texts_of,
    index::{self, Embedder, Filter, Found, Matching, Model, Nearest, Sight, Texts, Vectors},
    query::Clause,
    semantic::Semantic,
    snippet::{Snippet, Words},
};

/// Names that are asked of things at once.
const BATCH: usize = 1_000;
/// The index is asked for this many more than are wanted: some have gone, and variants of one thing are one hit.
const SPARE: usize = 16;
/// How often the index is asked for more, each time for four times as many.
const ROUNDS: usize = 5;
/// Where two rankings become one, each is this long at least: what is good in both may be the best in neither.
const LEAST_OF_EACH: usize = 100;

/// Which things.
pub(crate) struct Asked {
    /// The vectors that are looked at.
    pub(crate) semantic: Arc<Semantic>,
    pub(crate) mode: Mode,
    pub(crate) clauses: Vec<Clause>,
    /// Of the model's dimension. Empty where only words count.
    pub(crate) vector: Vec<f32>,
    /// Of one, where both count.
    pub(crate) lexical_weight: f32,
    pub(crate) filter: Filter,
    pub(crate) top_k: usize,
    /// The thing that others are to be like, which is none of them.
    pub(crate) but: Option<Key>,
}

/// How things are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Lexical,
    Semantic,
    Hybrid,
}

impl Asked {
    fn look(
        &self,
        texts: Option<&Texts>,
        vectors: Option<&Vectors>,
        sight: Sight<'_>,
        limit: usize,
    ) -> Result<Vec<Found>, index::Error> {
        let Self { semantic: _, mode, clauses, vector, lexical_weight, filter, top_k: _, but } = self;
        let matching = |limit| {
            let matching = Matching { clauses, filter, sight, limit };
            texts.map_or(Ok(Vec::new()), |texts| texts.matching(&matching))
        };
        let nearest = |limit| {
            let nearest = Nearest { vector, filter, sight, limit };
            vectors.map_or(Vec::new(), |vectors| vectors.nearest(&nearest))
        };
        match mode {
            Mode::Lexical => matching(limit),
            Mode::Semantic => Ok(nearest(limit)),
            Mode::Hybrid => {
                let each = limit.max(LEAST_OF_EACH);
                let wanted = Nearest { vector, filter, sight, limit: each };
                let cosines =
                    |keys: &[&Key]| vectors.map_or(vec![None; keys.len()], |vectors| vectors.scores(keys, &wanted));
                let mut both = combine(&matching(each)?, &nearest(each), but.as_ref(), *lexical_weight, cosines);
                both.truncate(limit);
                Ok(both)
            }
        }
    }
}

impl Search {
    /// The best hits, one for each thing. `headers` say who calls.
    pub(crate) async fn find(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        asked: Asked,
        deadline: Deadline,
    ) -> Result<Vec<wire::Hit>, Refusal> {
        let asked = Arc::new(asked);
        let mut read = HashMap::new();
        let mut limit = asked.top_k + SPARE;
        for round in 1.. {
            let found = self.look(caller, &asked, limit).await?;
            let is_all = found.len() < limit;
            let mut named: HashSet<_> = asked.but.iter().map(Key::name).collect();
            let best: Vec<_> = found.into_iter().filter(|found| named.insert(found.key.name())).collect();
            self.read(caller, headers, &asked, &best, &mut read, deadline).await?;
            let hits: Vec<_> = best.iter().filter_map(|found| hit(found, &read)).take(asked.top_k).collect();
            if hits.len() == asked.top_k || is_all || round == ROUNDS {
                return Ok(hits);
            }
            limit *= 4;
        }
        unreachable!("the last round answers")
    }

    /// The vector of what is looked for, by whatever `embed` does, where vectors count.
    pub(crate) async fn vector(
        &self,
        model: &Arc<Model>,
        mode: Mode,
        embed: impl FnOnce(&Embedder) -> Result<Vec<f32>, index::Error> + Send + 'static,
    ) -> Result<Vec<f32>, Refusal> {
        if mode == Mode::Lexical {
            return Ok(Vec::new());
        }
        let turn = Arc::clone(&self.embeddings).acquire_owned().await.map_err(Refusal::internal)?;
        let model = Arc::clone(model);
        let embed = move || {
            // Held until it is done, also where nobody waits any more: so no more are under way than there are turns.
            let _turn = turn;
            embed(&model.embedder)
        };
        Ok(tokio::task::spawn_blocking(embed).await.map_err(Refusal::internal)??)
    }

    async fn look(&self, caller: &Caller, asked: &Arc<Asked>, limit: usize) -> Result<Vec<Found>, Refusal> {
        let texts = self.texts.index.of(&caller.tenant);
        let vectors = asked.semantic.vectors.index.of(&caller.tenant);
        let (caller, asked) = (caller.clone(), Arc::clone(asked));
        let look = move || {
            let may_read = |ns: &Namespace| caller.may_read(ns);
            let sight = Sight((!caller.may_read_all()).then_some(&may_read));
            let (texts, vectors) = (texts.as_deref(), vectors.as_deref());
            asked.look(texts, vectors, sight, limit)
        };
        Ok(tokio::task::spawn_blocking(look).await.map_err(Refusal::internal)??)
    }

    /// Reads what is not known of the best until enough of them are there for the caller. Things shows an unlisted one to
    /// whoever names it; here nobody has, also where the index does not know yet that it became one.
    async fn read(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        asked: &Asked,
        best: &[Found],
        read: &mut HashMap<Key, Option<wire::Hit>>,
        deadline: Deadline,
    ) -> Result<(), Refusal> {
        let (words, mut things) = (Words::of(&asked.clauses), self.things(headers, deadline));
        loop {
            let shown = best.iter().filter(|found| matches!(read.get(&found.key), Some(Some(_)))).count();
            let unknown = best.iter().filter(|found| !read.contains_key(&found.key));
            let keys: Vec<_> = unknown.take(BATCH.min(asked.top_k - shown.min(asked.top_k))).collect();
            if keys.is_empty() {
                return Ok(());
            }
            let request = BatchGetThingsRequest {
                keys: keys.iter().map(|found| key_to_wire(&found.key)).collect(),
                include_embedding: false,
            };
            let answer = things.batch_get_things(request).await.map_err(|status| Refusal::from_status(&status))?;
            let BatchGetThingsResponse { things, missing, unread: _ } = answer.into_inner();
            for key in missing {
                read.insert(key_of(Some(key))?, None);
            }
            for thing in things {
                let key = key_of(thing.key.clone())?;
                let is_listed = thing.visibility() == WireVisibility::Public || caller.may_read(&key.ns);
                read.insert(key, is_listed.then(|| shown_as(thing, &words)));
            }
        }
    }
}

fn key_of(key: Option<proto::common::v1::Key>) -> Result<Key, Refusal> {
    canonical_key("key", key).map_err(Refusal::internal)
}

fn hit(found: &Found, read: &HashMap<Key, Option<wire::Hit>>) -> Option<wire::Hit> {
    let hit = read.get(&found.key)?.clone()?;
    Some(wire::Hit { score: found.score.into(), ..hit })
}

/// A thing as a hit, but for its score.
fn shown_as(thing: Thing, words: &Words<'_>) -> wire::Hit {
    let (title, data) = texts_of(thing.data.as_deref().unwrap_or_default());
    let id = thing.key.as_ref().map(|key| key.id.clone()).unwrap_or_default();
    let Snippet { text, highlights } =
        words.cut(thing.content.as_deref().unwrap_or_default()).or_else(|| words.cut(&data)).unwrap_or_default();
    let span = |place: &std::ops::Range<usize>| wire::Span { start: place.start as i32, end: place.end as i32 };
    wire::Hit {
        key: thing.key,
        url: thing.url,
        r#type: thing.r#type,
        score: 0.0,
        title: title.lines().next().map_or(id, str::to_owned),
        snippet: text,
        highlights: highlights.iter().map(span).collect(),
        etag: thing.etag,
    }
}
