//! Owns reading events page by page until there are no more. Never checks what they say.

use std::collections::BTreeMap;

use proto::events::v1::{Event, QueryRequest, events_service_client::EventsServiceClient};
use tonic::{Status, transport::Channel};

/// Every event that passes the query, in its order. `page_size` is the query's.
pub async fn every(mut client: EventsServiceClient<Channel>, mut query: QueryRequest) -> Result<Vec<Event>, Status> {
    let mut events = Vec::new();
    loop {
        let page = client.query(query.clone()).await?.into_inner();
        events.extend(page.events);
        query.page_token = page.next_page_token;
        if query.page_token.is_empty() {
            return Ok(events);
        }
    }
}

/// How often each is there, by ULID.
pub fn counted(events: Vec<Event>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(event.ulid).or_default() += 1;
    }
    counts
}
