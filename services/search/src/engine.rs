//! The index engines alone, without events and things: what `benches/peers` compares with others. Never serves.

use std::{path::Path, sync::Arc};

use domain::{Cursor, Key, Namespace, TenantId, Thing, TypeName};

use crate::{
    config::{Chosen, EmbedderAt},
    document::Document,
    follow::{BATCH, is_full},
    index::{
        Change, Embedder, Error, Filter, Found, Index, Matching, Model, Nearest, Needs, OfTenant, Sight, Texts, Vectors,
    },
    query::parse,
};

/// Both indexes of one tenant, asked by somebody who sees everything. One thread at a time writes.
pub struct Engine {
    tenant: TenantId,
    texts: Index<Texts>,
    vectors: Index<Vectors>,
}

impl Engine {
    /// The indexes in `dir`, made if they are not there. `dimension`: numbers of each vector. Blocks.
    pub fn open(dir: &Path, dimension: usize) -> anyhow::Result<Self> {
        let given = Chosen { at: EmbedderAt::Given, model: None, key: None, dimension };
        let model = Arc::new(Model::new(Embedder::open(&given)?));
        let texts = Index::open(&dir.join("texts"), ())?;
        let vectors = Index::open(&dir.join("vectors"), model)?;
        Ok(Self { tenant: TenantId::local(), texts, vectors })
    }

    /// Takes the texts of things as a follower of events does: they are found at once, and moved to the disk when so many
    /// are in memory. Blocks.
    pub fn put_texts(&self, things: &[Thing]) -> anyhow::Result<()> {
        Ok(self.put(&self.texts, things)?)
    }

    /// Takes the vectors that things have, in the same way. Blocks.
    pub fn put_vectors(&self, things: &[Thing]) -> anyhow::Result<()> {
        Ok(self.put(&self.vectors, things)?)
    }

    /// Moves everything that is in memory to the disk. Blocks.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.texts.checkpoint()?;
        Ok(self.vectors.checkpoint()?)
    }

    /// The `limit` nearest of one namespace or all, and of these types or any, with their cosines, the best first. Blocks.
    pub fn nearest(&self, vector: &[f32], ns: Option<&Namespace>, types: &[TypeName], limit: usize) -> Vec<(Key, f32)> {
        let Some(vectors) = self.vectors.of(&self.tenant) else { return Vec::new() };
        let filter = Filter { ns: ns.cloned(), types: types.to_vec(), ..Filter::default() };
        scored(vectors.nearest(&Nearest { vector, filter: &filter, sight: Sight(None), among: None, limit }))
    }

    /// The `limit` best of what has one of the words, phrases or prefixes of `query`, with their scores. Refuses what a
    /// search refuses. Blocks.
    pub fn matching(&self, query: &str, limit: usize) -> anyhow::Result<Vec<(Key, f32)>> {
        let Some(texts) = self.texts.of(&self.tenant) else { return Ok(Vec::new()) };
        let clauses = parse("query", query)?;
        let (needs, filter, sight) = (Needs::Any, &Filter::default(), Sight(None));
        Ok(scored(texts.matching(&Matching { clauses: &clauses, needs, filter, sight, limit })?))
    }

    fn put<T: OfTenant>(&self, index: &Index<T>, things: &[Thing]) -> Result<(), Error> {
        let mut offset = index.position().map_or(0, |cursor| cursor.offset);
        for batch in things.chunks(BATCH) {
            let changes = batch.iter().map(|thing| {
                offset += 1;
                (change(thing), offset)
            });
            index.apply(&self.tenant, changes.collect())?;
            index.arrive(Some(Cursor { epoch: 1, offset }));
            if is_full(index.in_memory()) {
                index.checkpoint()?;
            }
        }
        Ok(())
    }
}

fn change(thing: &Thing) -> Change {
    let embedding = thing.body.embedding.as_ref().map(|given| given.as_slice().to_vec());
    Change { key: thing.key.clone(), document: Some(Document { embedding, ..Document::of(thing) }) }
}

fn scored(found: Vec<Found>) -> Vec<(Key, f32)> {
    found.into_iter().map(|Found { key, score }| (key, score)).collect()
}
