//! Owns what stands between the server and the S3 server: it passes calls on, and spoils some of them in every way that
//! is dealt to it. Never decides what must hold.

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::task::AbortOnDropHandle;

use crate::crash::dice::Dice;

/// What is asked of the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Call {
    Get,
    GetRange,
    Put,
    CreateUpload,
    PutPart,
    CompleteUpload,
    AbortUpload,
    Delete,
    List,
}

/// How a call is spoilt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fault {
    /// 500, and it was not done.
    InternalError,
    /// 503, and it was not done.
    Unavailable,
    /// 412, and it was not done.
    PreconditionFailed,
    /// It is done, and the answer comes when nobody waits for it any more.
    Late,
    /// Half of the answer, or of what was sent where the answer has no body; then the connection is gone.
    HalfABody,
    /// It is done, and the connection is gone.
    NoAnswer,
}

impl Call {
    pub(crate) const ALL: [Self; 9] = [
        Self::Get,
        Self::GetRange,
        Self::Put,
        Self::CreateUpload,
        Self::PutPart,
        Self::CompleteUpload,
        Self::AbortUpload,
        Self::Delete,
        Self::List,
    ];

    fn of(request: &Request<Incoming>) -> Option<Self> {
        let query = request.uri().query().unwrap_or("");
        let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        Some(match *request.method() {
            Method::GET if has("list-type") => Self::List,
            Method::GET if request.headers().contains_key("range") => Self::GetRange,
            Method::GET => Self::Get,
            Method::PUT if has("partNumber") => Self::PutPart,
            Method::PUT => Self::Put,
            Method::POST if has("uploads") => Self::CreateUpload,
            Method::POST if has("uploadId") => Self::CompleteUpload,
            Method::POST if has("delete") => Self::Delete,
            Method::DELETE if has("uploadId") => Self::AbortUpload,
            _ => return None,
        })
    }

    /// Whether a flush fails with a call that is spoilt so, instead of trying it again.
    fn fails_a_flush(self, fault: Fault) -> bool {
        match (self, fault) {
            (_, Fault::InternalError | Fault::Unavailable)
            | (Self::GetRange | Self::AbortUpload | Self::Delete | Self::List, _) => false,
            (Self::CompleteUpload, _) | (_, Fault::PreconditionFailed) => true,
            (call, fault) => call == Self::CreateUpload && fault == Fault::HalfABody,
        }
    }

    /// Whether only a file of many parts makes it.
    pub(crate) fn is_of_an_upload(self) -> bool {
        matches!(self, Self::CreateUpload | Self::PutPart | Self::CompleteUpload | Self::AbortUpload)
    }

    /// Whether its answer has a body.
    fn is_answered_at_length(self) -> bool {
        !matches!(self, Self::Put | Self::PutPart | Self::AbortUpload)
    }
}

impl Fault {
    pub(crate) const ALL: [Self; 6] =
        [Self::InternalError, Self::Unavailable, Self::PreconditionFailed, Self::Late, Self::HalfABody, Self::NoAnswer];
}

/// Calls that pass between two faults which are tried again: a call has so many tries that it gets by.
const PASSED: u64 = 2;

/// What is spoilt, what was, and how many calls there have been.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    to_spoil: BTreeMap<Call, VecDeque<Fault>>,
    pub(crate) spoilt: BTreeMap<(Call, Fault), u64>,
    pub(crate) calls: BTreeMap<Call, u64>,
    /// What no case of ours knows.
    pub(crate) unknown: Vec<String>,
    /// Since the last fault that failed a flush, a commit has been made: so that work gets on between them.
    is_calm: bool,
    since_fault: u64,
}

impl Plan {
    /// Deals every fault to every call, so many times, in an order of chance.
    pub(crate) fn deal(&mut self, rounds: u64, dice: &mut Dice) {
        for call in Call::ALL {
            for _ in 0..rounds {
                let mut faults = Fault::ALL.to_vec();
                while !faults.is_empty() {
                    let fault = faults.remove(dice.below(faults.len() as u64) as usize);
                    self.to_spoil.entry(call).or_default().push_back(fault);
                }
            }
        }
        self.is_calm = true;
    }

    /// What is still to be spoilt.
    pub(crate) fn left(&self) -> Vec<(Call, Fault)> {
        let each = self.to_spoil.iter();
        each.flat_map(|(call, faults)| faults.iter().map(|fault| (*call, *fault))).collect()
    }

    /// Whether uploads have to be given up for the faults that are left to meet one: none that are dealt to parts of
    /// uploads give one up any more. Such a part is refused, beyond what is dealt to it.
    fn lacks_aborts(&self) -> bool {
        let has = |call| self.to_spoil.get(&call).is_some_and(|faults| !faults.is_empty());
        has(Call::AbortUpload) && !has(Call::PutPart) && !has(Call::CompleteUpload)
    }

    fn next(&mut self, call: Call) -> Option<Fault> {
        *self.calls.entry(call).or_default() += 1;
        self.since_fault += 1;
        if call == Call::PutPart && self.lacks_aborts() && self.is_calm {
            self.is_calm = false;
            return Some(Fault::PreconditionFailed);
        }
        let faults = self.to_spoil.get_mut(&call)?;
        let fault = *faults.front()?;
        let fails = call.fails_a_flush(fault);
        let may_be = if fails { self.is_calm } else { self.since_fault > PASSED };
        if !may_be {
            return None;
        }
        faults.pop_front();
        *self.spoilt.entry((call, fault)).or_default() += 1;
        self.since_fault = 0;
        self.is_calm &= !fails;
        Some(fault)
    }
}

/// The running proxy.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    _serving: AbortOnDropHandle<()>,
}

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    authority: String,
    /// Later than the server waits.
    late: Duration,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    /// In front of the S3 server at `endpoint`. An answer that is late comes after `late`.
    pub(crate) async fn start(endpoint: &str, late: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, plan) = (listener.local_addr()?, Arc::new(Mutex::new(Plan::default())));
        let upstream = Upstream {
            client: Client::builder(TokioExecutor::new()).build_http(),
            authority: endpoint.trim_start_matches("http://").to_owned(),
            late,
            plan: Arc::clone(&plan),
        };
        #[expect(clippy::disallowed_methods, reason = "the proxy owns it")]
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let upstream = upstream.clone();
                let service = service_fn(move |request| upstream.clone().pass(request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, plan, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Looks at the plan, or changes it.
    pub(crate) fn plan<T>(&self, look: impl FnOnce(&mut Plan) -> T) -> T {
        look(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Upstream {
    async fn pass(self, request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Failure>>, Failure> {
        let call = Call::of(&request);
        let fault = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(call) = call {
                plan.next(call)
            } else {
                plan.unknown.push(format!("{} {}", request.method(), request.uri()));
                None
            }
        };
        match fault {
            Some(Fault::InternalError) => return refused(request, StatusCode::INTERNAL_SERVER_ERROR).await,
            Some(Fault::Unavailable) => return refused(request, StatusCode::SERVICE_UNAVAILABLE).await,
            Some(Fault::PreconditionFailed) => return refused(request, StatusCode::PRECONDITION_FAILED).await,
            Some(Fault::HalfABody) if !call.is_some_and(Call::is_answered_at_length) => {
                return Err(lost_half_way(request).await);
            }
            _ => {}
        }
        let commits = request.method() == Method::PUT && request.uri().path().ends_with(".metadata.json");
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("http://{}{path}", self.authority).parse()?;
        let body = body.collect().await?.to_bytes();
        let (mut head, body) = self.client.request(Request::from_parts(head, Full::new(body))).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        head.headers.remove("connection");
        if commits && fault.is_none() && head.status.is_success() {
            self.plan.lock().unwrap_or_else(PoisonError::into_inner).is_calm = true;
        }
        match fault {
            Some(Fault::NoAnswer) => return Err("nobody is told that it was done".into()),
            Some(Fault::HalfABody) => {
                head.headers.insert(CONTENT_LENGTH, body.len().into());
                let half = body.slice(..body.len() / 2);
                let frames = [Ok(Frame::data(half)), Err::<_, Failure>(io::Error::other("half of it").into())];
                return Ok(Response::from_parts(head, StreamBody::new(stream::iter(frames)).boxed()));
            }
            Some(Fault::Late) => tokio::time::sleep(self.late).await,
            _ => {}
        }
        Ok(Response::from_parts(head, Full::new(body).map_err(|never| match never {}).boxed()))
    }
}

async fn refused(request: Request<Incoming>, status: StatusCode) -> Result<Response<BoxBody<Bytes, Failure>>, Failure> {
    // Whoever still sends would take the closed connection for the answer.
    request.into_body().collect().await?;
    let body = format!("<Error><Code>{}</Code></Error>", status.as_u16());
    let mut answer = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    Ok(answer)
}

/// Reads half of what is sent.
async fn lost_half_way(request: Request<Incoming>) -> Failure {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let (mut left, mut body) = (length.unwrap_or(0) / 2, pin!(request.into_body()));
    while left > 0
        && let Some(Ok(frame)) = body.as_mut().frame().await
    {
        left -= frame.data_ref().map_or(0, Bytes::len).min(left);
    }
    "half of it arrived".into()
}
