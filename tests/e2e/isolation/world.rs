//! What the owner has: things of every visibility, variant and life, relationships, events. Every text in it is a marker.

use harness::cluster::Cluster;
use proto::common::v1::{EntityKind, Key, Visibility};

use super::{
    callers::Keys,
    furnish::Furnisher,
    sight::{Markers, Sight},
};

/// The namespace that both tenants have.
pub(crate) const VAULT: &str = "vault";
/// The namespace that the neighbour may read.
pub(crate) const OPEN: &str = "open";

/// The namespace that the writer may write in; nothing of the owner is there.
pub(crate) const YARD: &str = "yard";

/// Everything of the owner that a call can be about.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) secrets: Vec<Secret>,
    pub(crate) markers: Markers,
}

/// One name of the owner, or one event.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) what: String,
    pub(crate) kind: EntityKind,
    pub(crate) ns: String,
    pub(crate) id: String,
    pub(crate) variant: String,
    /// Who may see that it exists.
    pub(crate) sight: Sight,
    /// Of a relationship.
    pub(crate) ends: Option<[Key; 2]>,
    /// Of its first state, or of the event.
    pub(crate) ulid: String,
    pub(crate) event_type: String,
    /// Of its last state.
    pub(crate) texts: Texts,
}

/// The texts of one state.
#[derive(Clone, Default, Debug)]
pub(crate) struct Texts {
    pub(crate) r#type: String,
    pub(crate) content: String,
    pub(crate) code: String,
    pub(crate) data: String,
    pub(crate) request_id: String,
    pub(crate) cause: String,
}

impl Secret {
    /// Its name.
    pub(crate) fn key(&self) -> Key {
        let Self { ns, id, variant, .. } = self.clone();
        Key { ns, id, variant, path: String::new() }
    }

    /// A thing that nobody has.
    pub(crate) fn example() -> Self {
        let (ns, id, variant) = (VAULT.into(), "example".into(), "es".into());
        Self { ns, id, variant, ..Self::blank("an example", EntityKind::Thing) }
    }

    /// Nothing yet.
    pub(crate) fn blank(what: &str, kind: EntityKind) -> Self {
        Self {
            what: what.to_owned(),
            kind,
            ns: String::new(),
            id: String::new(),
            variant: String::new(),
            sight: Sight::Public,
            ends: None,
            ulid: String::new(),
            event_type: "mutation".to_owned(),
            texts: Texts::default(),
        }
    }

    /// `id#variant`.
    pub(crate) fn entity_id(&self) -> String {
        if self.variant.is_empty() { self.id.clone() } else { format!("{}#{}", self.id, self.variant) }
    }
}

/// What happens to a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Put(Visibility),
    Delete,
}
use Step::{Delete, Put};
use Visibility::{Private, Public, Unlisted};

const THINGS: [(&str, &[Step]); 10] = [
    ("a public thing", &[Put(Public)]),
    ("an unlisted thing", &[Put(Unlisted)]),
    ("a private thing", &[Put(Private)]),
    ("a deleted public thing", &[Put(Public), Delete]),
    ("a deleted unlisted thing", &[Put(Unlisted), Delete]),
    ("a deleted private thing", &[Put(Private), Delete]),
    ("a public thing that was private", &[Put(Private), Put(Public)]),
    ("an unlisted thing that was private", &[Put(Private), Put(Unlisted)]),
    ("a private thing that was public", &[Put(Public), Put(Private)]),
    ("a deleted thing that was public, then private", &[Put(Public), Put(Private), Delete]),
];

const VARIANTS: [(&str, &[Step]); 5] = [
    ("a public variant", &[Put(Public)]),
    ("an unlisted variant", &[Put(Unlisted)]),
    ("a private variant", &[Put(Private)]),
    ("a deleted private variant", &[Put(Private), Delete]),
    ("a public variant that was private", &[Put(Private), Put(Public)]),
];

/// Writes it all, as the owner (and as the keeper what is in `open`).
pub(crate) async fn furnish(cluster: &Cluster, keys: &Keys) -> World {
    let mut write = Furnisher::new(cluster, keys).await;
    let mut things = Vec::new();
    for (what, life) in THINGS {
        things.push(write.thing(what, VAULT, life).await);
    }
    for above in things.iter().take(3) {
        for (what, life) in VARIANTS {
            write.variant(&format!("{what} of {}", above.what), above, life).await;
        }
    }
    let other = write.thing("another public thing", VAULT, &[Put(Public)]).await;
    let kept = write.thing("a private thing that the neighbour may read", OPEN, &[Put(Private)]).await;
    let unknown = format!("{VAULT}/{}", write.markers.new_text(&Sight::readers(VAULT)));
    write.thing("a private thing of a namespace that nobody knows", &unknown, &[Put(Private)]).await;

    let [public, unlisted, private] = [0, 1, 2].map(|place: usize| things[place].clone());
    let relationships: [(_, _, _, &[Step]); 9] = [
        ("a public relationship", VAULT, [&public, &other], &[Put(Public)]),
        ("an unlisted relationship", VAULT, [&public, &other], &[Put(Unlisted)]),
        ("a private relationship", VAULT, [&public, &other], &[Put(Private)]),
        ("a deleted private relationship", VAULT, [&public, &other], &[Put(Private), Delete]),
        ("a public relationship that was private", VAULT, [&public, &other], &[Put(Private), Put(Public)]),
        ("a public relationship to a private thing", VAULT, [&public, &private], &[Put(Public)]),
        ("a public relationship from an unlisted thing", VAULT, [&unlisted, &public], &[Put(Public)]),
        ("a relationship of what the neighbour may read", OPEN, [&kept, &public], &[Put(Public)]),
        ("a relationship of that to what they may not", OPEN, [&kept, &private], &[Put(Public)]),
    ];
    for (what, ns, ends, life) in relationships {
        write.relationship(what, ns, ends, life).await;
    }
    write.event("an event about something", true).await;
    write.event("an event about nothing", false).await;
    write.finish()
}
