//! Finds things that are like one.

use std::sync::Arc;

use domain::Key;
use http::HeaderMap;
use proto::{
    convert::canonical_key,
    search::v1 as wire,
    things::v1::{GetThingRequest, Thing},
};
use serve::{Caller, Refusal, deadline::Deadline};

use crate::{
    Search,
    document::{Texts, texts},
    find::{Asked, Mode},
    index::{Embedder, Filter, Sight},
    query::Clause,
    semantic::Semantic,
};

/// So many of its words say what a thing is about.
const WORDS: usize = 24;

/// Which things.
pub(crate) struct Like {
    pub(crate) mode: Mode,
    pub(crate) filter: Filter,
    pub(crate) top_k: usize,
}

impl Search {
    /// The things that are most like the one of `key`, without that; it is read in the caller's name, and refused as
    /// things refuses it.
    pub(crate) async fn like(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        key: Option<proto::common::v1::Key>,
        semantic: Arc<Semantic>,
        like: Like,
        deadline: Deadline,
    ) -> Result<Vec<wire::Hit>, Refusal> {
        let include_embedding = semantic.model.embedder.is_given();
        let request = GetThingRequest { key, include_embedding, ..GetThingRequest::default() };
        let answer = self.things(headers, deadline).get_thing(request).await;
        let Thing { key, content, data, embedding, .. } =
            answer.map_err(|status| Refusal::from_status(&status))?.into_inner();
        let key = canonical_key("key", key).map_err(Refusal::internal)?;
        let texts = texts(&key, content.unwrap_or_default(), data.as_deref());
        let Like { mode, filter, top_k } = like;
        let of = texts.clone();
        let vector = if include_embedding {
            Some(embedding).filter(|given| given.len() == semantic.model.embedder.dimension()).unwrap_or_default()
        } else {
            self.vector(&semantic.model, mode, move |embedder: &Embedder| embedder.embed_one(&of)).await?
        };
        let clauses = self.telling(caller, texts).await?;
        let lexical_weight = semantic.model.embedder.lexical_weight();
        let but = Some(Key::from(key.name()));
        let asked = Asked { semantic, mode, clauses, vector, lexical_weight, filter, top_k, but };
        self.find(caller, headers, asked, deadline).await
    }

    async fn telling(&self, caller: &Caller, of: Texts) -> Result<Vec<Clause>, Refusal> {
        let Some(texts) = self.texts.index.of(&caller.tenant) else { return Ok(Vec::new()) };
        let caller = caller.clone();
        let telling = move || {
            let may_read = |ns: &domain::Namespace| caller.may_read(ns);
            let sight = Sight((!caller.may_read_all()).then_some(&may_read));
            texts.telling(&of, sight, WORDS)
        };
        Ok(tokio::task::spawn_blocking(telling).await.map_err(Refusal::internal)??)
    }
}
