//! Reading things by name.
//!
//! Owns which representation answers a request. Never decides who sees what: that is `sight`.

use domain::{Invalid, Reference, Style, Thing, Variant};
use serve::page::MAX_BYTES;
use serve::{Caller, Refusal};

use crate::store::{Read, Wanted};
use crate::{Things, refuse};

/// The most variants that one read may prefer.
const MAX_PREFERRED: usize = 16;
/// The most things that one batch may name.
const MAX_BATCH: usize = 1_000;

impl Things {
    /// One thing, with the style of its namespace. `preferred` are variants, best first, that are rather wanted than
    /// the canonical thing.
    pub(crate) async fn get_thing(
        &self,
        caller: &Caller,
        reference: Reference,
        preferred: Vec<Variant>,
        with_embedding: bool,
    ) -> Result<(Thing, Style), Refusal> {
        if preferred.len() > MAX_PREFERRED {
            return Err(Refusal::invalid_field("preferred_variants", "must be at most 16"));
        }
        let mut names = Vec::with_capacity(1);
        if reference.variant().is_canonical() {
            names.extend(preferred.into_iter().map(|variant| (variant_of(&reference, variant), "key".to_owned())));
        }
        names.push((reference, "key".to_owned()));
        let wanted = Wanted { names, with_embedding, room: usize::MAX };
        for read in self.store.things.read(caller, &wanted).await? {
            if let Read::Found(thing, style) = read {
                return Ok((*thing, style));
            }
        }
        let (reference, _) = wanted.names.last().expect("the name itself is wanted");
        Err(refuse::thing_not_found(reference))
    }

    /// What became of each of up to 1,000 wanted things, at one moment; those that do not fit into 8 MiB are unread.
    pub(crate) async fn batch_get_things(
        &self,
        caller: &Caller,
        references: Vec<Reference>,
        with_embedding: bool,
    ) -> Result<Vec<Read>, Refusal> {
        if references.is_empty() || references.len() > MAX_BATCH {
            return Err(Invalid::new("keys", "must be 1 to 1,000").into());
        }
        let names = references.into_iter().enumerate();
        let names = names.map(|(index, reference)| (reference, format!("keys[{index}]"))).collect();
        let wanted = Wanted { names, with_embedding, room: MAX_BYTES };
        self.store.things.read(caller, &wanted).await
    }
}

fn variant_of(reference: &Reference, variant: Variant) -> Reference {
    match reference.clone() {
        Reference::Parts { ns, id, .. } => Reference::Parts { ns, id, variant },
        Reference::Path(path) => Reference::Path(path.with_variant(variant).expect("a path without variant takes any")),
    }
}
