//! `/_/things:export`: everything that one may see, line by line.
//!
//! Owns how an export is told over HTTP. Behind its rows each message has a line with the token to go on from; the last one's is
//! empty, and where there is none the export is not whole.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt as _;
use http::StatusCode;
use proto::things::v1::{ExportThingsRequest, ExportThingsResponse};
use tonic::Status;

use crate::call::Call;
use crate::json::{self, Writer};
use crate::problem::Problem;
use crate::{Gateway, reply};

/// GET.
pub(crate) async fn read(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&["ns", "ns_prefix", "page_size", "page_token"])?;
    let page = query.page()?;
    let request = ExportThingsRequest {
        ns: query.text_or_empty("ns"),
        ns_prefix: query.text_or_empty("ns_prefix"),
        page_token: page.token,
        page_size: page.size,
    };
    let messages = gateway.things().export_things(call.stream(request)).await?.into_inner();
    let lines = messages.map(|message| Ok::<_, Infallible>(lines(message)));
    // A drain ends the answer of the service, which says so.
    Ok(reply::with_type(StatusCode::OK, "application/x-ndjson", Body::from_stream(lines)))
}

fn lines(message: Result<ExportThingsResponse, Status>) -> String {
    let ExportThingsResponse { rows, next_page_token } = match message {
        Ok(message) => message,
        Err(status) => return format!("{{\"error\":{}}}\n", Problem::from(status).to_json()),
    };
    let mut lines = String::new();
    for row in &rows {
        lines.push_str(&json::row(row));
        lines.push('\n');
    }
    let mut token = Writer::object();
    token.text("next_page_token", &next_page_token);
    lines.push_str(&token.finish());
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use proto::things::v1::{ImportRow, Namespace, import_row::Row};

    use super::*;

    #[test]
    fn each_row_is_a_line_and_the_token_is_the_last() {
        let row = Some(Row::Namespace(Namespace { ns: "onet".into(), ..Namespace::default() }));
        let message = ExportThingsResponse { rows: vec![ImportRow { row }], next_page_token: "t".into() };
        let told = lines(Ok(message));
        let told: Vec<_> = told.lines().collect();
        assert!(told[0].starts_with(r#"{"namespace":{"url":"","ns":"onet","style":"wiki""#), "{told:?}");
        assert_eq!(told[1..], [r#"{"next_page_token":"t"}"#]);
    }

    #[test]
    fn an_export_that_fails_says_why() {
        let status = serve::Refusal::new(proto::common::v1::Reason::StoreUnavailable, "away");
        let told = lines(Err(status.into()));
        assert!(told.starts_with(r#"{"error":{"type":"/_/reasons/STORE_UNAVAILABLE""#), "{told}");
    }
}
