//! Which things a request lists or counts.

use domain::{Invalid, Namespace};
use proto::convert::{field_filter, timestamp, visibility};
use proto::things::v1::{CountThingsRequest, ListThingsRequest};

use super::type_filter;
use crate::store::{Order, Scope, ThingFilter};

/// The most conditions on data.
const MAX_FIELDS: usize = 16;

/// Of a list, without its page.
pub(super) fn of_list(request: ListThingsRequest) -> Result<(ThingFilter, Order), Invalid> {
    let ListThingsRequest {
        ns,
        r#type,
        page_size: _,
        page_token: _,
        ns_prefix,
        visibility: word,
        updated_from,
        updated_until,
        code,
        fields,
        order_by,
    } = request;
    let scope = scope(&ns, &ns_prefix)?;
    let order = order(&order_by, &scope)?;
    if fields.len() > MAX_FIELDS {
        return Err(Invalid::new("fields", "must be at most 16"));
    }
    let field = |(at, field)| field_filter(field).map_err(|invalid: Invalid| invalid.within(&format!("fields[{at}]")));
    let filter = ThingFilter {
        scope,
        thing_type: type_filter(&r#type)?,
        visibility: if word == 0 { None } else { Some(visibility(word)?) },
        code: if code.is_empty() { None } else { Some(code.parse()?) },
        updated_from: timestamp("updated_from", updated_from)?,
        updated_until: timestamp("updated_until", updated_until)?,
        fields: (0..).zip(fields).map(field).collect::<Result<_, _>>()?,
    };
    Ok((filter, order))
}

/// Of a count.
pub(super) fn of_count(request: CountThingsRequest) -> Result<ThingFilter, Invalid> {
    let CountThingsRequest { ns, ns_prefix, r#type, visibility, updated_from, updated_until, code, fields } = request;
    let list = ListThingsRequest {
        ns,
        ns_prefix,
        r#type,
        visibility,
        updated_from,
        updated_until,
        code,
        fields,
        ..ListThingsRequest::default()
    };
    Ok(of_list(list)?.0)
}

pub(super) fn scope(ns: &str, ns_prefix: &str) -> Result<Scope, Invalid> {
    let namespace = |field: &str, text: &str| -> Result<Namespace, Invalid> {
        text.parse().map_err(|Invalid { rule, .. }| Invalid::new(field, rule))
    };
    match (ns, ns_prefix) {
        ("", "") => Ok(Scope::All),
        (ns, "") => Ok(Scope::Exactly(namespace("ns", ns)?)),
        ("", prefix) => Ok(Scope::Under(namespace("ns_prefix", prefix)?)),
        _ => Err(Invalid::new("ns_prefix", "must not be together with ns")),
    }
}

fn order(word: &str, scope: &Scope) -> Result<Order, Invalid> {
    match (word, scope) {
        ("" | "id", _) => Ok(Order::Name),
        ("updated_at", Scope::Exactly(ns)) => Ok(Order::Updated(ns.clone())),
        ("updated_at desc", Scope::Exactly(ns)) => Ok(Order::UpdatedLast(ns.clone())),
        ("updated_at" | "updated_at desc", _) => {
            Err(Invalid::new("order_by", "needs ns: changes are in order in each namespace"))
        }
        _ => Err(Invalid::new("order_by", "must be id, updated_at or `updated_at desc`")),
    }
}
