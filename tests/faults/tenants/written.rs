//! What tenants have: notes of few words, some of which only hidden ones have.

use std::collections::BTreeMap;

use harness::cluster::Cluster;
use proto::{
    common::v1::{Key, Visibility},
    things::v1::{DeleteThingRequest, PutThingRequest, Thing},
};
use tonic::Request;

use crate::crash::dice::Dice;

pub(super) const NAMESPACES: u64 = 3;
pub(super) const NAMES: u64 = 60;
pub(super) const WRITES: u64 = 400;
/// Words that are one letter from each other, begin alike, and have stems in common.
pub(super) const WORDS: [&str; 18] = [
    "crane",
    "cranes",
    "crate",
    "craned",
    "lighthouse",
    "lighthuose",
    "lighter",
    "lights",
    "harbour",
    "harbours",
    "harbor",
    "keeper",
    "keepers",
    "keeping",
    "pilot",
    "pilots",
    "buoy",
    "buoyant",
];
/// Words that only hidden things have.
pub(super) const HIDDEN: [&str; 3] = ["lightship", "craner", "zeppelin"];
pub(super) const CITIES: [&str; 3] = ["Berlin", "Bonn", "Rostock"];

/// Random writes of one tenant; what each name has in the end.
pub(super) async fn write(
    cluster: &Cluster,
    owner: &str,
    tenant: &str,
    dice: &mut Dice,
) -> anyhow::Result<BTreeMap<String, Thing>> {
    let mut states: BTreeMap<String, Thing> = BTreeMap::new();
    for _ in 0..WRITES {
        let (ns, id) = (format!("n{}", dice.below(NAMESPACES)), format!("{tenant}{}", dice.below(NAMES)));
        let name = format!("{ns}/{id}");
        if states.contains_key(&name) && dice.below(5) == 0 {
            delete(cluster, owner, &ns, &id).await?;
            states.retain(|of, _| *of != name && !of.starts_with(&format!("{name}#")));
            continue;
        }
        let mut thing = note(tenant, &id, &ns, dice, &HIDDEN);
        let mut name = name;
        if states.contains_key(&name) && dice.below(4) == 0 {
            name.push_str("#es");
            thing.key.iter_mut().for_each(|key| "es".clone_into(&mut key.variant));
        }
        put(cluster, owner, thing.clone()).await?;
        states.insert(name, thing);
    }
    Ok(states)
}

/// A note of random words; a hidden one may have words that no other has.
pub(super) fn note(tenant: &str, id: &str, ns: &str, dice: &mut Dice, hidden: &[&str]) -> Thing {
    let visibility = [Visibility::Public, Visibility::Public, Visibility::Private, Visibility::Unlisted];
    let visibility = dice.pick(&visibility);
    let words = |most: u64, dice: &mut Dice| {
        let count = 1 + dice.below(most);
        let word = |dice: &mut Dice| match hidden {
            [_, ..] if visibility != Visibility::Public && dice.below(4) == 0 => dice.pick(hidden),
            _ => dice.pick(&WORDS),
        };
        (0..count).map(|_| word(dice)).collect::<Vec<_>>().join(" ")
    };
    let (title, content) = (words(3, dice), words(12, dice));
    let (city, number) = (dice.pick(&CITIES), dice.below(20));
    let data = format!(r#"{{"title":"{title}","city":"{city} {tenant}","n":{number}}}"#);
    Thing {
        key: Some(Key { ns: ns.into(), id: id.into(), ..Key::default() }),
        r#type: dice.pick(&["Note", "Log"]).into(),
        visibility: visibility.into(),
        content: Some(content),
        data: Some(data),
        ..Thing::default()
    }
}

pub(super) fn is_public(thing: &Thing) -> bool {
    thing.visibility() == Visibility::Public && thing.key.as_ref().is_some_and(|key| key.variant.is_empty())
}

pub(super) async fn put(cluster: &Cluster, owner: &str, thing: Thing) -> anyhow::Result<String> {
    let request = PutThingRequest { thing: Some(thing), ..Default::default() };
    let answer = cluster.things().await.put_thing(signed(owner, request)).await?.into_inner();
    Ok(answer.etag)
}

pub(super) async fn delete(cluster: &Cluster, owner: &str, ns: &str, id: &str) -> anyhow::Result<()> {
    let key = Some(Key { ns: ns.into(), id: id.into(), ..Key::default() });
    let request = DeleteThingRequest { key, ..Default::default() };
    cluster.things().await.delete_thing(signed(owner, request)).await?;
    Ok(())
}

fn signed<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().expect("a key is ASCII"));
    request
}
