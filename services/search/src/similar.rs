//! Finds things that are like one.

use domain::Key;
use proto::{
    convert::canonical_key,
    search::v1 as wire,
    things::v1::{GetThingRequest, Thing},
};
use serve::{Caller, Refusal};

use crate::{
    Search,
    document::{Texts, texts},
    find::Call,
    index::{Embedder, Sight},
    look::Asked,
    query::Clause,
    ranking::Question,
};

/// So many of its words say what a thing is about.
const WORDS: usize = 24;

impl Search {
    /// The things that are most like the one of `key`, without that; it is read in the caller's name, and refused as
    /// things refuses it.
    pub(crate) async fn like(
        &self,
        call: Call<'_>,
        key: Option<proto::common::v1::Key>,
        asked: Asked,
    ) -> Result<wire::SearchResponse, Refusal> {
        let model = &asked.semantic.model;
        let include_embedding = model.embedder.is_given();
        let request = GetThingRequest { key, include_embedding, ..GetThingRequest::default() };
        let answer = self.things(call.headers, call.deadline).get_thing(request).await;
        let Thing { key, content, data, embedding, etag, .. } =
            answer.map_err(|status| Refusal::from_status(&status))?.into_inner();
        let key = canonical_key("key", key).map_err(Refusal::internal)?;
        let texts = texts(&key, content.unwrap_or_default(), data.as_deref());
        let of = texts.clone();
        let vector = if include_embedding {
            Some(embedding).filter(|given| given.len() == model.embedder.dimension()).unwrap_or_default()
        } else {
            self.vector(model, asked.mode, move |embedder: &Embedder| embedder.embed_one(&of)).await?
        };
        let clauses = self.telling(&call.question.caller, texts).await?;
        let but = Some(Key::from(key.name()));
        // Of another state of the thing it is another question.
        let question = Question { text: [&call.question.text, etag.as_bytes()].concat(), ..call.question };
        let call = Call { question, ..call };
        self.find(call, Asked { clauses, vector, but, ..asked }).await
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
