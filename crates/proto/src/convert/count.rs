//! A count of what a list has.

use crate::things::v1::{CountThingsRequest, ListThingsRequest};

/// Counts what is listed; the order and the page are passed over.
pub fn count_request(list: ListThingsRequest) -> CountThingsRequest {
    let ListThingsRequest {
        ns,
        ns_prefix,
        r#type,
        visibility,
        updated_from,
        updated_until,
        code,
        fields,
        order_by: _,
        page_size: _,
        page_token: _,
    } = list;
    CountThingsRequest { ns, ns_prefix, r#type, visibility, updated_from, updated_until, code, fields }
}
