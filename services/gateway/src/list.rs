//! `/{ns}/`.
//!
//! Owns how the things of a namespace are listed over HTTP.

use axum::response::Response;
use domain::{Invalid, Namespace};
use http::StatusCode;
use percent_encoding::percent_decode_str;
use proto::things::v1::ListThingsRequest;

use crate::call::Call;
use crate::json::{self, Writer};
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::{Gateway, past, reply, search};

/// GET and HEAD: `ns` is still percent-encoded. With `q` its things are searched.
pub(crate) async fn read(gateway: &Gateway, call: &Call, ns: &str) -> Result<Response, Problem> {
    if search::is_asked(call)? {
        let ns = namespace(ns)?;
        let url = domain::url::namespace(&ns);
        if call.path() != url {
            return Ok(reply::redirect(call, &url));
        }
        return search::read_in(gateway, call, &ns).await;
    }
    let query = call.query(&["type", "at", "page_size", "page_token"])?;
    let (page, as_of) = (query.page()?, query.as_of("at")?);
    let ns = namespace(ns)?;
    let url = domain::url::namespace(&ns);
    if call.path() != url {
        return Ok(reply::redirect(call, &url));
    }
    negotiate::choose(call.headers(), &Representation::JSON)?;
    if let Some(as_of) = as_of {
        return past::list(gateway, call, &ns, query.text_or_empty("type"), as_of, page).await;
    }
    let request = ListThingsRequest {
        ns: ns.as_str().to_owned(),
        r#type: query.text_or_empty("type"),
        page_size: page.size,
        page_token: page.token,
    };
    let answer = gateway.things().list_things(call.request(request)).await?.into_inner();
    let mut json = Writer::with_capacity(16 << 10);
    json.array("items", &answer.things, |json, thing| json::thing(json, thing, &thing.url));
    json.text("next_page_token", &answer.next_page_token);
    Ok(reply::json(StatusCode::OK, json.finish()))
}

/// The namespace that part of a URL path spells.
pub(crate) fn namespace(encoded: &str) -> Result<Namespace, Invalid> {
    let text = percent_decode_str(encoded).decode_utf8().map_err(|_| Invalid::new("ns", "must be UTF-8"))?;
    text.parse()
}
