//! Searches for what is like a thing.

use crate::{
    common::v1::Key,
    search::v1::{SearchRequest, SimilarRequest},
};

/// Looks for what is like the thing of `key` in the way, and under the conditions, of a search; what that looks for, its vector
/// and its facets are passed over.
pub fn similar_request(key: Option<Key>, search: SearchRequest) -> SimilarRequest {
    let SearchRequest {
        query: _,
        mode,
        ns,
        ns_prefix,
        types,
        updated_from,
        updated_until,
        top_k,
        wait_for,
        vector: _,
        fields,
        facets: _,
        page_token,
        explain,
    } = search;
    SimilarRequest {
        key,
        mode,
        ns,
        ns_prefix,
        types,
        updated_from,
        updated_until,
        top_k,
        wait_for,
        fields,
        page_token,
        explain,
    }
}
