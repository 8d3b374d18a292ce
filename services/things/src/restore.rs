//! Putting again what a thing was.
//!
//! Owns which state of the past that is, and how its mutation says so. Never reads the past itself: events does, in the
//! caller's name, so that nobody gets back what they may not see.

use domain::{AsOf, Condition, EntityKind, Etag, Provenance, Reference, Thing};
use http::HeaderMap;
use proto::convert::{as_of_to_wire, key_to_wire, thing_body};
use proto::events::v1::events_service_client::EventsServiceClient;
use proto::events::v1::{self as events, state::State};
use serve::deadline::Deadline;
use serve::{Peer, Refusal};
use ulid::Ulid;

use crate::store::Resolved;
use crate::{Call, Put, Things, refuse};

/// Events, for one call: in the name of its caller.
pub(crate) struct Past(EventsServiceClient<Peer>);

impl Past {
    /// For a call with these headers.
    pub(crate) fn of(events: Peer, headers: &HeaderMap, deadline: Deadline) -> Self {
        Self(EventsServiceClient::new(events.for_call(headers, deadline)))
    }
}

impl Things {
    /// Puts the state that a thing had at a moment.
    pub(crate) async fn restore_thing(
        &self,
        call: Call,
        past: Past,
        reference: Reference,
        as_of: AsOf,
        condition: Condition,
    ) -> Result<Put<Thing>, Refusal> {
        let time = match as_of {
            AsOf::Time(time) => Some(time),
            AsOf::Ulid(_) => None,
        };
        let resolved = self.resolve_name(&call.caller, reference.clone(), EntityKind::Thing, time).await?;
        self.put_again(call, past, reference, resolved, as_of, condition).await
    }

    /// Puts the last state of a deleted thing.
    pub(crate) async fn undelete_thing(
        &self,
        call: Call,
        past: Past,
        reference: Reference,
    ) -> Result<Put<Thing>, Refusal> {
        let resolved = self.resolve_name(&call.caller, reference.clone(), EntityKind::Thing, None).await?;
        if resolved.exists {
            return Err(refuse::already_exists(&resolved.key, Etag(resolved.last)));
        }
        let before = AsOf::Ulid(Ulid(resolved.last.0.saturating_sub(1)));
        self.put_again(call, past, reference, resolved, before, Condition::CreateOnly).await
    }

    async fn put_again(
        &self,
        call: Call,
        Past(mut events): Past,
        reference: Reference,
        resolved: Resolved,
        as_of: AsOf,
        condition: Condition,
    ) -> Result<Put<Thing>, Refusal> {
        let request = events::StateAtRequest {
            key: Some(key_to_wire(&resolved.key)),
            as_of: Some(as_of_to_wire(as_of)),
            wait_for: resolved.last.to_string(),
            ..events::StateAtRequest::default()
        };
        let answer = events.state_at(request).await.map_err(|status| Refusal::from_status(&status))?.into_inner();
        let Some(State::Thing(thing)) = answer.state.and_then(|state| state.state) else {
            return Err(refuse::thing_not_found(&reference));
        };
        let of = thing.etag.clone();
        let (_, body) = thing_body(Some(thing)).map_err(Refusal::internal)?;
        let Call { caller, provenance } = call;
        let Provenance { cause, .. } = &provenance;
        let cause = if cause.is_empty() { format!("restore of {of}") } else { format!("restore of {of}: {cause}") };
        let provenance = Provenance { cause: cause.into(), ..provenance };
        // By the key: a path of the past may lie in another namespace by now.
        let Resolved { key, .. } = resolved;
        let reference = Reference::Parts { ns: key.ns, id: key.id.as_str().into(), variant: key.variant };
        let put = self.put_thing(Call { caller, provenance }, reference, body, condition).await;
        put.map_err(|mut refusal| {
            // The request has a key, and no thing.
            for broken in &mut refusal.violations {
                broken.field = broken.field.replacen("thing.", "", 1);
            }
            refusal
        })
    }
}
