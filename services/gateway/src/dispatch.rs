//! From a request to the verb that answers it.
//!
//! Owns which methods a resource takes, and what is counted. Never looks into a body.

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, StatusCode};
use metrics::{counter, histogram};
use proto::common::v1::Reason;
use serve::Refusal;
use tokio::time::Instant;

use crate::call::Call;
use crate::problem::Problem;
use crate::relay::Protocol;
use crate::route::Route;
use crate::{
    Gateway, aggregate, events, export, html, list, namespace, openapi, reason, relationship, reply, restore, schema,
    search, tail, thing, write,
};

/// How long after the deadline an answer of a service, which keeps the same one, may still come.
const GRACE: Duration = Duration::from_millis(100);

/// Everything that comes to the gateway, but the pages that machines look at.
pub(crate) async fn dispatch(State(gateway): State<Gateway>, request: Request) -> Response {
    if let Some(protocol) = Protocol::of(request.headers()) {
        return gateway.0.relay.answer(protocol, request).await;
    }
    let started = Instant::now();
    let (head, body) = request.into_parts();
    if let Err(refusal) = gateway.0.callers.admit(&head.headers, &head.uri) {
        return Problem::from(refusal).into_response();
    }
    let caller = gateway.0.callers.headers(&head);
    let call = match Call::new(head, caller) {
        Ok(call) => call,
        Err(invalid) => return Problem::from(invalid).into_response(),
    };
    let route = Route::of(call.path());
    let answered = tokio::time::timeout_at(call.deadline() + GRACE, answer(&gateway, &call, route, body)).await;
    let answer = answered.unwrap_or_else(|_| Err(Refusal::deadline_exceeded().into()));
    let mut response = answer.unwrap_or_else(Problem::into_response);
    if call.method() == Method::HEAD {
        without_body(&mut response);
    }
    let status = response.status().as_str().to_owned();
    counter!("annals_http_total", "route" => route.name(), "status" => status).increment(1);
    histogram!("annals_http_seconds", "route" => route.name()).record(started.elapsed().as_secs_f64());
    response
}

async fn answer(gateway: &Gateway, call: &Call, route: Route<'_>, body: Body) -> Result<Response, Problem> {
    let method = match *call.method() {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    match route {
        Route::Thing(_) => match *method {
            Method::GET => thing::read(gateway, call).await,
            Method::PUT => thing::put(gateway, call, body).await,
            Method::PATCH => thing::patch(gateway, call, body).await,
            Method::DELETE => thing::delete(gateway, call).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD, PUT, PATCH, DELETE")),
        },
        Route::Things(ns) => {
            only_read(method)?;
            list::read(gateway, call, ns).await
        }
        Route::Bare(ns) => {
            only_read(method)?;
            let ns = list::namespace(ns).map_err(|_| unknown(call))?;
            Ok(reply::redirect(call, &domain::url::namespace(&ns)))
        }
        Route::Relationship(url) => match *method {
            Method::GET => relationship::read(gateway, call, url).await,
            Method::PUT => relationship::put(gateway, call, url, body).await,
            Method::DELETE => relationship::delete(gateway, call, url).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD, PUT, DELETE")),
        },
        Route::Namespace(ns) => match *method {
            Method::GET => namespace::read(gateway, call, ns).await,
            Method::PUT => namespace::put(gateway, call, ns, body).await,
            Method::DELETE => namespace::delete(gateway, call, ns).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD, PUT, DELETE")),
        },
        Route::Namespaces => {
            only_read(method)?;
            namespace::read_all(gateway, call).await
        }
        Route::Schemas(ns) => match *method {
            Method::GET => schema::read(gateway, call, ns).await,
            Method::PUT => schema::put(gateway, call, ns, body).await,
            Method::DELETE => schema::delete(gateway, call, ns).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD, PUT, DELETE")),
        },
        Route::AllThings => {
            only_read(method)?;
            list::read_all(gateway, call).await
        }
        Route::Count => {
            only_read(method)?;
            list::count(gateway, call).await
        }
        Route::Export => {
            only_read(method)?;
            export::read(gateway, call).await
        }
        Route::Write => match *method {
            Method::POST => write::write(gateway, call, body).await,
            _ => Err(Problem::method_not_allowed("POST")),
        },
        Route::Restore => match *method {
            Method::POST => restore::restore(gateway, call, body).await,
            _ => Err(Problem::method_not_allowed("POST")),
        },
        Route::Undelete => match *method {
            Method::POST => restore::undelete(gateway, call, body).await,
            _ => Err(Problem::method_not_allowed("POST")),
        },
        Route::Events => match *method {
            Method::GET => events::query(gateway, call).await,
            Method::POST => events::append(gateway, call, body).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        Route::Aggregate => {
            only_read(method)?;
            aggregate::read(gateway, call).await
        }
        Route::Tail => {
            only_read(method)?;
            tail::read(gateway, call).await
        }
        Route::Search => match *method {
            Method::GET => search::read(gateway, call).await,
            Method::POST => search::read_near(gateway, call, body).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        Route::Complete => {
            only_read(method)?;
            search::complete(gateway, call).await
        }
        Route::Landing => {
            only_read(method)?;
            Ok(reply::json(StatusCode::OK, openapi::landing()))
        }
        Route::OpenApi => {
            only_read(method)?;
            Ok(reply::json(StatusCode::OK, openapi::DOCUMENT.to_owned()))
        }
        Route::Reason(name) => {
            only_read(method)?;
            reason::page(name).map(|text| reply::json(StatusCode::OK, text)).ok_or_else(|| unknown(call))
        }
        Route::Style => {
            only_read(method)?;
            Ok(reply::with_type(StatusCode::OK, "text/css; charset=utf-8", html::STYLE))
        }
        Route::Unknown => Err(unknown(call)),
    }
}

fn only_read(method: &Method) -> Result<(), Problem> {
    if method == Method::GET { Ok(()) } else { Err(Problem::method_not_allowed("GET, HEAD")) }
}

fn unknown(call: &Call) -> Problem {
    Problem::new(Reason::NotFound, format!("page {} does not exist", call.path()))
}

/// What GET would have sent, but for the body.
fn without_body(response: &mut Response) {
    if let Some(length) = response.body().size_hint().exact()
        && response.status() != StatusCode::NOT_MODIFIED
    {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
}
