//! Writes the owner's names and remembers every text and ULID of them with who may see it.

use harness::cluster::Cluster;
use proto::{
    common::v1::{EntityKind, Visibility},
    events::v1::{AppendRequest, Event, events_service_client::EventsServiceClient},
    things::v1::{
        DeleteRelationshipRequest, DeleteThingRequest, PutRelationshipRequest, PutThingRequest,
        RegisterNamespaceRequest, Relationship, Thing, things_service_client::ThingsServiceClient,
    },
};
use tonic::transport::Channel;

use super::{
    callers::{KEEPER, Keys, OWNER},
    sight::{Markers, Sight},
    world::{OPEN, Secret, Step, Texts, VAULT, World},
};

#[derive(Debug)]
pub(crate) struct Furnisher<'a> {
    pub(crate) markers: Markers,
    things: ThingsServiceClient<Channel>,
    events: EventsServiceClient<Channel>,
    keys: &'a Keys,
    secrets: Vec<Secret>,
}

impl<'a> Furnisher<'a> {
    pub(crate) async fn new(cluster: &Cluster, keys: &'a Keys) -> Self {
        let mut markers = Markers::default();
        markers.declare(OWNER, &Sight::readers(VAULT));
        markers.declare(KEEPER, &Sight::readers(OPEN));
        Self { markers, things: cluster.things().await, events: cluster.events().await, keys, secrets: Vec::new() }
    }

    pub(crate) fn finish(self) -> World {
        World { secrets: self.secrets, markers: self.markers }
    }

    pub(crate) async fn thing(&mut self, what: &str, ns: &str, life: &[Step]) -> Secret {
        let request = RegisterNamespaceRequest { ns: ns.into(), ..Default::default() };
        self.things.register_namespace(self.keys.sign(ns, request)).await.expect("registered");
        let id = self.markers.new_text(&Sight::Public);
        let secret = Secret { ns: ns.into(), id: id.clone(), ..Secret::blank(what, EntityKind::Thing) };
        self.live(secret, &id, &Sight::Public, life).await
    }

    pub(crate) async fn variant(&mut self, what: &str, of: &Secret, life: &[Step]) -> Secret {
        let variant = self.markers.new_text(&Sight::Public);
        let (ns, id) = (of.ns.clone(), of.id.clone());
        let secret = Secret { ns, id, variant: variant.clone(), ..Secret::blank(what, EntityKind::Thing) };
        self.live(secret, &variant, &of.sight, life).await
    }

    pub(crate) async fn relationship(&mut self, what: &str, ns: &str, ends: [&Secret; 2], life: &[Step]) {
        let id = self.markers.new_text(&Sight::Public);
        // Whoever asks for a relationship does not name its ends.
        let sight = |end: &Secret| match &end.sight {
            Sight::ByName(_) => Sight::readers(&end.ns),
            sight => sight.clone(),
        };
        let above = sight(ends[0]).and(&sight(ends[1]));
        let secret = Secret {
            ns: ns.into(),
            id: id.clone(),
            ends: Some(ends.map(Secret::key)),
            ..Secret::blank(what, EntityKind::Relationship)
        };
        self.live(secret, &id, &above, life).await;
    }

    /// An event that is no mutation is whole for all who may read events, also the name that its sender gave.
    pub(crate) async fn event(&mut self, what: &str, is_about_something: bool) {
        let [event_type, message, data] = [(); 3].map(|()| self.markers.new_text(&Sight::Events));
        let about = if is_about_something {
            (VAULT.to_owned(), self.markers.new_text(&Sight::Events))
        } else {
            Default::default()
        };
        let event = Event {
            event_type: event_type.clone(),
            entity_ns: about.0,
            entity_id: about.1.clone(),
            error_message: message,
            data: format!(r#"{{"m":"{data}"}}"#),
            ..Event::default()
        };
        let request = AppendRequest { events: vec![event], relay: None };
        let stored = self.events.append(self.keys.sign(VAULT, request)).await.expect("appended").into_inner();
        let ulid = stored.ulids[0].clone();
        self.markers.declare(&ulid, &Sight::Events);
        let texts = Texts { data, ..Texts::default() };
        let blank = Secret::blank(what, EntityKind::Thing);
        let (ns, id) = (VAULT.into(), if is_about_something { about.1 } else { "nothing".into() });
        self.secrets.push(Secret { ns, id, ulid, event_type, texts, sight: Sight::Events, ..blank });
    }

    /// `name`: what of its key is its own. `above`: who may see what it depends on.
    async fn live(&mut self, mut secret: Secret, name: &str, above: &Sight, life: &[Step]) -> Secret {
        let mut visibilities = life.iter().filter_map(|step| match step {
            Step::Put(visibility) => Some(*visibility),
            Step::Delete => None,
        });
        let limit = |sight: &Sight, visibility: Visibility| match visibility {
            Visibility::Unlisted => sight.and(&Sight::ByName(name.to_owned())),
            Visibility::Private => sight.and(&Sight::readers(&secret.ns)),
            Visibility::Public | Visibility::Unspecified => sight.clone(),
        };
        let latest = limit(above, visibilities.next_back().expect("a life begins with a put"));
        let sights: Vec<_> = life
            .iter()
            .map(|step| match step {
                Step::Put(then) => limit(&latest, *then),
                Step::Delete => latest.clone(),
            })
            .collect();
        self.markers.declare(name, &latest);
        secret.sight = latest;
        for (step, sight) in life.iter().zip(sights) {
            let provenance = [(); 2].map(|()| self.markers.new_text(&sight.and(&Sight::readers(&secret.ns))));
            let ulid = match step {
                Step::Put(visibility) => {
                    secret.texts = self.texts(&sight, secret.kind, provenance);
                    self.put(&secret, *visibility).await
                }
                Step::Delete => self.delete(&secret, provenance).await,
            };
            self.markers.declare(&ulid, &sight);
            if secret.ulid.is_empty() {
                secret.ulid = ulid;
            }
        }
        self.secrets.push(secret.clone());
        secret
    }

    fn texts(&mut self, sight: &Sight, kind: EntityKind, [request_id, cause]: [String; 2]) -> Texts {
        let mut text = || self.markers.new_text(sight);
        let (r#type, data) = (text(), text());
        let is_thing = kind == EntityKind::Thing;
        let [content, code] = [(); 2].map(|()| if is_thing { text() } else { String::new() });
        Texts { r#type, content, code, data, request_id, cause }
    }

    async fn put(&mut self, secret: &Secret, visibility: Visibility) -> String {
        let Texts { r#type, content, code, data, request_id, cause } = secret.texts.clone();
        let (key, visibility, data) = (Some(secret.key()), visibility.into(), Some(format!(r#"{{"m":"{data}"}}"#)));
        if let Some([from, to]) = secret.ends.clone() {
            let (from, to) = (Some(from), Some(to));
            let relationship = Relationship { key, r#type, from, to, visibility, data, ..Relationship::default() };
            let relationship = Some(relationship);
            let request = PutRelationshipRequest { relationship, request_id, cause, ..Default::default() };
            let answer = self.things.put_relationship(self.keys.sign(&secret.ns, request)).await;
            return answer.expect("a relationship of the owner is put").into_inner().etag;
        }
        let (content, code) = (Some(content), Some(code));
        let thing = Some(Thing { key, r#type, visibility, content, code, data, ..Thing::default() });
        let request = PutThingRequest { thing, request_id, cause, ..Default::default() };
        let answer = self.things.put_thing(self.keys.sign(&secret.ns, request)).await;
        answer.expect("a thing of the owner is put").into_inner().etag
    }

    async fn delete(&mut self, secret: &Secret, [request_id, cause]: [String; 2]) -> String {
        let key = Some(secret.key());
        if secret.kind == EntityKind::Relationship {
            let request = DeleteRelationshipRequest { key, request_id, cause, ..Default::default() };
            let answer = self.things.delete_relationship(self.keys.sign(&secret.ns, request)).await;
            return answer.expect("a relationship of the owner is deleted").into_inner().ulid;
        }
        let request = DeleteThingRequest { key, request_id, cause, ..Default::default() };
        let answer = self.things.delete_thing(self.keys.sign(&secret.ns, request)).await;
        answer.expect("a thing of the owner is deleted").into_inner().ulid
    }
}
