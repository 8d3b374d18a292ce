//! Fetches the vectors that clients gave with things. Never takes one of another state than the event made.

use std::collections::HashMap;

use domain::{Key, TenantId};
use proto::{
    convert::{canonical_key, key_to_wire},
    things::v1::{BatchGetThingsRequest, BatchGetThingsResponse, things_service_client::ThingsServiceClient},
};
use serve::{Peer, Refusal, auth::Credentials, deadline::Deadline};

use super::Arrived;

/// Where the vectors are.
pub(crate) struct Given {
    /// Not [signed](Peer::signed).
    pub(crate) things: Peer,
    pub(crate) credentials: Credentials,
}

impl Given {
    /// Puts the vectors into what has arrived. A state that another one has replaced gets none: the event of that one comes.
    pub(super) async fn fetch(&self, arrived: &mut Arrived) -> Result<(), Refusal> {
        for (tenant, things) in &mut arrived.things {
            let wanted: HashMap<&Key, _> = things
                .iter()
                .filter_map(|thing| Some((&thing.change.key, thing.given?)))
                // Of several states of one name the last.
                .collect();
            let fetched = self.of_tenant(tenant, wanted.keys().copied()).await?;
            for thing in things {
                let found = fetched
                    .get(&thing.change.key)
                    .filter(|(etag, _)| thing.given.is_some_and(|it| it.to_string() == *etag));
                if let (Some((_, vector)), Some(document)) = (found, &mut thing.change.document) {
                    document.embedding = Some(vector.clone());
                }
            }
        }
        Ok(())
    }

    /// The present etags and vectors of things.
    async fn of_tenant(
        &self,
        tenant: &TenantId,
        keys: impl Iterator<Item = &Key>,
    ) -> Result<HashMap<Key, (String, Vec<f32>)>, Refusal> {
        let (mut keys, mut fetched): (Vec<_>, _) = (keys.map(key_to_wire).collect(), HashMap::new());
        while !keys.is_empty() {
            let mut headers = http::HeaderMap::new();
            self.credentials.sign_for(&mut headers, tenant);
            let things = self.things.clone().for_call(&headers, Deadline::after(serve::deadline::UNARY));
            let mut things = ThingsServiceClient::new(things).max_decoding_message_size(crate::MAX_MESSAGE);
            let request = BatchGetThingsRequest { keys, include_embedding: true };
            let answer = things.batch_get_things(request).await.map_err(|status| Refusal::from_status(&status))?;
            let BatchGetThingsResponse { things, missing: _, unread } = answer.into_inner();
            for thing in things {
                let key = canonical_key("key", thing.key).map_err(Refusal::internal)?;
                fetched.insert(key, (thing.etag, thing.embedding));
            }
            keys = unread;
        }
        Ok(fetched)
    }
}
