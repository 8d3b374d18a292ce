//! Finds things: asks the indexes, then things, which of what they found is there for the caller.
//!
//! Owns that an answer has as many hits as were asked for, if there are so many, and that none is told twice or left out from
//! page to page. Never shows what things does not give.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::Key;
use http::HeaderMap;
use prost::Message as _;
use proto::{
    common::v1::Visibility as WireVisibility,
    convert::{canonical_key, key_to_wire},
    search::v1 as wire,
    things::v1::{BatchGetThingsRequest, BatchGetThingsResponse, Thing},
};
use serve::{
    Caller, Refusal,
    deadline::Deadline,
    page::{Binding, MAX_BYTES},
};

use crate::{
    Search,
    document::texts_of,
    index::{Counted, Embedder, Error, Found, Model, OfTenant as _},
    look::{Asked, Mode},
    ranking::{Page, Question, Ranking},
    snippet::{Snippet, Words},
};

/// Names that are asked of things at once.
const BATCH: usize = 1_000;
/// The index is asked for this many more than are wanted: some have gone, and variants of one thing are one hit.
const SPARE: usize = 16;
/// How often the index is asked for more, each time for four times as many.
const ROUNDS: usize = 5;
/// How many hits are told of one question, on all pages.
const DEEPEST: usize = 10_000;

/// Who asks what, which page, and until when.
pub(crate) struct Call<'a> {
    pub(crate) question: Question,
    /// Say who calls.
    pub(crate) headers: &'a HeaderMap,
    /// Empty for the first.
    pub(crate) page_token: String,
    pub(crate) deadline: Deadline,
}

/// What things say of the names that were asked of them; none is not there for the caller.
type Read = HashMap<Key, Option<wire::Hit>>;

impl Search {
    /// The best hits, one for each thing.
    pub(crate) async fn find(&self, call: Call<'_>, asked: Asked) -> Result<wire::SearchResponse, Refusal> {
        let Call { question, headers: _, page_token, deadline: _ } = &call;
        let caller = &question.caller;
        let binding = Binding::new(&caller.tenant, &[b"search", &question.text]);
        let of_page = |bytes: &[u8]| Page::from_bytes(bytes).filter(|page| page.told < DEEPEST);
        let page = binding.position(page_token, of_page)?;
        let told = page.map_or(0, |page| page.told);
        let asked = Asked { top_k: asked.top_k.min(DEEPEST - told), ..asked };
        let (versions, mut limit) = (self.versions(caller, &asked), told + asked.top_k + SPARE);
        let asked = Arc::new(asked);
        let kept = match page {
            Some(page) => self.rankings.page(page, question),
            None => self.rankings.answer(question, versions),
        };
        let mut ranking = if let Some(kept) = kept {
            kept
        } else {
            let mut new = self.look(caller, &asked, limit, None).await?;
            // Where it is not kept any more, as many are behind as were told.
            let mut named: HashSet<_> = asked.but.iter().map(Key::name).collect();
            new.found.retain(|found| named.insert(found.key.name()));
            new
        };
        let told = told.min(ranking.found.len());
        let before: Vec<Found> = ranking.found[..told].to_vec();
        let (mut read, mut round) = (Read::new(), 1);
        let count = loop {
            let count = self.hits(&call, &asked, &before, &mut ranking, &mut read).await?;
            if count == asked.top_k || ranking.is_whole || round == ROUNDS {
                break count;
            }
            (limit, round) = (4 * limit, round + 1);
            ranking = self.look(caller, &asked, limit, Some(ranking.facets)).await?;
            let known: HashSet<_> = before.iter().map(|found| &found.key).collect();
            ranking.found.retain(|found| !known.contains(&found.key));
            ranking.found.splice(..0, before.iter().cloned());
        };
        let best = &ranking.found[told..told + count];
        let mut hits: Vec<_> = best.iter().filter_map(|found| hit(found, &read)).collect();
        if asked.explain {
            let keys = best.iter().map(|found| found.key.clone()).collect();
            let explanations = self.explain(caller, &asked, keys, ranking.best).await?;
            for (hit, explanation) in hits.iter_mut().zip(explanations) {
                hit.explanation = Some(explanation);
            }
        }
        keep_small(&mut hits);
        let end = told + hits.len();
        let is_full = hits.len() < count || count == asked.top_k;
        let has_more = is_full && end < DEEPEST && (!ranking.is_whole || end < ranking.found.len());
        let facets =
            asked.facets.iter().zip(&ranking.facets).map(|((name, _), counted)| facet(name, counted)).collect();
        if page.is_none() {
            self.rankings.keep_answer(question, versions, ranking.clone());
        }
        let next_page_token = if has_more {
            binding.token(&self.rankings.keep_page(question, ranking, end).to_bytes())
        } else {
            String::new()
        };
        Ok(wire::SearchResponse { hits, facets, next_page_token })
    }

    /// Reads what is behind `before` until there are as many hits as are asked for, or no more, and leaves out of the ranking
    /// what is none. Says how many there are.
    async fn hits(
        &self,
        call: &Call<'_>,
        asked: &Asked,
        before: &[Found],
        ranking: &mut Ranking,
        read: &mut Read,
    ) -> Result<usize, Refusal> {
        let mut named: HashSet<_> =
            asked.but.iter().chain(before.iter().map(|found| &found.key)).map(Key::name).collect();
        let rest = ranking.found.split_off(before.len());
        let best: Vec<_> = rest.into_iter().filter(|found| named.insert(found.key.name())).collect();
        self.read(call, asked, &best, read).await?;
        let mut count = 0;
        for found in best {
            if count == asked.top_k {
                ranking.found.push(found);
            } else if let Some(Some(_)) = read.get(&found.key) {
                ranking.found.push(found);
                count += 1;
            }
        }
        Ok(count)
    }

    /// What the indexes are that are looked at.
    fn versions(&self, caller: &Caller, asked: &Asked) -> [u64; 2] {
        let texts = self.texts.index.of(&caller.tenant).map_or(0, |texts| texts.version());
        let vectors = asked.semantic.vectors.index.of(&caller.tenant).map_or(0, |vectors| vectors.version());
        [texts, vectors]
    }

    /// The vector of what is looked for, by whatever `embed` does, where vectors count.
    pub(crate) async fn vector(
        &self,
        model: &Arc<Model>,
        mode: Mode,
        embed: impl FnOnce(&Embedder) -> Result<Vec<f32>, Error> + Send + 'static,
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

    /// The vector of a query, which is made once while it is asked again and again.
    pub(crate) async fn query_vector(
        &self,
        model: &Arc<Model>,
        mode: Mode,
        query: String,
    ) -> Result<Vec<f32>, Refusal> {
        if mode == Mode::Lexical {
            return Ok(Vec::new());
        }
        let name = (model.embedder.name().to_owned(), query);
        if let Some(known) = self.query_vectors.get(&name) {
            return Ok(known.to_vec());
        }
        let query = name.1.clone();
        let vector = self.vector(model, mode, move |embedder| embedder.embed_query(&query)).await?;
        self.query_vectors.insert(name, vector.clone().into());
        Ok(vector)
    }

    /// Reads what is not known of the best until enough of them are there for the caller. Things shows an unlisted one to
    /// whoever names it; here nobody has, also where the index does not know yet that it became one.
    async fn read(&self, call: &Call<'_>, asked: &Asked, best: &[Found], read: &mut Read) -> Result<(), Refusal> {
        let Call { question: Question { caller, .. }, headers, deadline, .. } = call;
        let (words, mut things) = (Words::of(&asked.clauses), self.things(headers, *deadline));
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

fn hit(found: &Found, read: &Read) -> Option<wire::Hit> {
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
        explanation: None,
    }
}

/// Ends an answer before its size; one hit is always in it.
fn keep_small(hits: &mut Vec<wire::Hit>) {
    let mut bytes = 0;
    let fits = |hit: &wire::Hit| {
        bytes += hit.encoded_len();
        bytes <= MAX_BYTES
    };
    let count = hits.iter().map(fits).take_while(|fits| *fits).count();
    hits.truncate(count.max(1));
}

fn facet(name: &str, counted: &Counted) -> wire::Facet {
    let Counted { values, others } = counted;
    let value = |(value, count): &(String, u64)| wire::FacetValue { value: value.clone(), count: *count as i64 };
    wire::Facet { name: name.to_owned(), values: values.iter().map(value).collect(), others: *others as i64 }
}
