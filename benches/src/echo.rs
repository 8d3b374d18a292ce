//! The baseline of `get`: a tonic server that answers every call with one message, and a hyper server that answers
//! every request with the same JSON, on one port.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use proto::things::v1::{GetThingRequest, Thing};
use tonic::{body::Body, server::NamedService};
use tower::ServiceExt as _;

/// The message that is returned: that of the thing that `get` reads.
pub(crate) fn thing() -> Thing {
    Thing {
        key: Some(proto::common::v1::Key { ns: "onet".into(), id: "15-1252.00".into(), ..Default::default() }),
        r#type: "Occupation".into(),
        visibility: proto::common::v1::Visibility::Public.into(),
        content: Some(CONTENT.into()),
        data: Some(DATA.into()),
        etag: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        url: "/onet/15-1252.00".into(),
        ..Default::default()
    }
}

/// About as much text as an occupation has.
pub(crate) const CONTENT: &str = "# Gauge Readers\n\nRead, note and compare the levels of rivers, tanks and tides. \
    Report what is out of the usual range to those who open the gates, and keep the books in which the levels of \
    every hour stand, so that whoever comes later can tell a slow rise from a broken float.";

/// The same as columns.
pub(crate) const DATA: &str = r#"{"Code":"15-1252.00","Title":"Gauge Readers","Description":"Read, note and compare the levels of rivers, tanks and tides. Report what is out of the usual range to those who open the gates."}"#;

pub(crate) async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let routes = tonic::service::Routes::new(Echo).into_axum_router();
    let grpc = routes.map_request(|request: Request<Incoming>| request.map(Body::new));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let grpc = grpc.clone();
        #[expect(clippy::disallowed_methods, reason = "a child of the benches: it is killed, not drained")]
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let grpc = grpc.clone();
                async move {
                    if request.method() == http::Method::POST {
                        return Ok::<_, Infallible>(
                            grpc.oneshot(request).await.expect("routes never fail").map(Body::new),
                        );
                    }
                    let json = Full::new(Bytes::from_static(JSON.as_bytes()));
                    let answer = Response::builder().header("content-type", "application/json");
                    Ok(answer.body(Body::new(json)).expect("the answer is well formed"))
                }
            });
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What `GET` returns: as long as the gateway's JSON of the thing.
const JSON: &str = concat!(
    r##"{"url":"/onet/15-1252.00","ns":"onet","id":"15-1252.00","type":"Occupation","visibility":"public","##,
    r##""content":"# Gauge Readers\n\nRead, note and compare the levels of rivers, tanks and tides. Report what is "##,
    r##"out of the usual range to those who open the gates, and keep the books in which the levels of every hour "##,
    r##"stand, so that whoever comes later can tell a slow rise from a broken float.","data":{"Code":"15-1252.00","##,
    r##""Title":"Gauge Readers","Description":"Read, note and compare the levels of rivers, tanks and tides. Report "##,
    r##"what is out of the usual range to those who open the gates."},"created_at":"2026-01-31T09:30:00.000Z","##,
    r##""updated_at":"2026-01-31T09:30:00.000Z","etag":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"##
);

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "annals.things.v1.ThingsService";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::<Thing, GetThingRequest>::default();
            let get = |_: tonic::Request<GetThingRequest>| futures::future::ready(Ok(tonic::Response::new(thing())));
            Ok(tonic::server::Grpc::new(codec).unary(Get(get), request).await)
        })
    }
}

struct Get<F>(F);

impl<F, Fut> tonic::server::UnaryService<GetThingRequest> for Get<F>
where
    F: FnMut(tonic::Request<GetThingRequest>) -> Fut,
    Fut: Future<Output = Result<tonic::Response<Thing>, tonic::Status>>,
{
    type Response = Thing;
    type Future = Fut;

    fn call(&mut self, request: tonic::Request<GetThingRequest>) -> Fut {
        (self.0)(request)
    }
}
