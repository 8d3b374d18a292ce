//! One connection: when it is told to go, and the tasks that it needs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::Limits;
use crate::layers::{Observed, Watch, refused};
use crate::refusal::Refusal;
use crate::tasks::panic_text;

/// The tasks that hyper starts for its connections: ours to end.
#[derive(Clone)]
pub(super) struct Owned {
    tracker: TaskTracker,
    abort: CancellationToken,
}

impl Owned {
    pub(super) fn new() -> Self {
        Self { tracker: TaskTracker::new(), abort: CancellationToken::new() }
    }

    /// Cancelled when what still runs must end at once.
    pub(super) fn aborted(&self) -> CancellationToken {
        self.abort.clone()
    }

    pub(super) async fn abort(&self) {
        self.abort.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl<F> hyper::rt::Executor<F> for Owned
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let abort = self.abort.clone();
        self.tracker.spawn(async move { abort.run_until_cancelled(task).await.map(drop) });
    }
}

/// One connection and its reasons to end.
pub(super) struct Connection {
    limits: Limits,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
}

/// What a connection is doing.
#[derive(Clone, Copy)]
struct Activity {
    /// Requests that wait for us. One whose answer has more, and whose client takes none of it, does not.
    in_flight: usize,
    /// When one last began, went on or ended.
    at: Instant,
    /// Whether there was one at all.
    has_begun: bool,
}

impl Connection {
    pub(super) fn new(limits: Limits, peer: SocketAddr, router: Router, stop: CancellationToken) -> Self {
        Self { limits, peer, router, stop }
    }

    /// Serves until the other side leaves, or it is told to go and its calls are complete.
    pub(super) async fn serve(
        self,
        io: TokioIo<TcpStream>,
        builder: &Builder<Owned>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Self { limits, peer, router, stop } = self;
        let began = Instant::now();
        let activity = watch::Sender::new(Activity { in_flight: 0, at: began, has_begun: false });
        let watched = activity.subscribe();
        let mut first = watched.clone();
        let idle = async {
            let called = async { first.wait_for(|activity| activity.has_begun).await.is_ok() };
            if tokio::time::timeout_at(began + limits.handshake, called).await.is_ok() {
                quiet(watched.clone(), began, limits.idle).await;
            }
        };
        let activity = Arc::new(activity);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let guard = InFlight::begin(Arc::clone(&activity));
            answer(router.clone(), request, guard)
        });
        let connection = builder.serve_connection(io, service);
        tokio::pin!(connection);
        let old = async {
            match limits.age {
                Some(age) => sleep_until(began + jittered(age)).await,
                None => std::future::pending().await,
            }
        };
        // One that has nothing in flight and does not even acknowledge it is left.
        let brief = limits.handshake.min(limits.drain / 2);
        let linger = tokio::select! {
            result = connection.as_mut() => return result,
            () = stop.cancelled() => brief,
            () = idle => brief,
            // Its clients may be slow to take what they were given; the pings find those that are gone.
            () = old => limits.idle,
        };
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            result = connection => result,
            () = quiet(watched, Instant::now(), linger) => Ok(()),
        }
    }
}

/// Waits until nothing has been in flight since `since` or the last request for as long as is `allowed`.
async fn quiet(mut activity: watch::Receiver<Activity>, since: Instant, allowed: Duration) {
    loop {
        let Ok(now) = activity.wait_for(|activity| activity.in_flight == 0).await.map(|now| *now) else { return };
        sleep_until(now.at.max(since) + allowed).await;
        // What began meanwhile has not told: only the last to end does, so that most frames wake nobody.
        let then = *activity.borrow();
        if then.in_flight == 0 && then.at == now.at {
            return;
        }
    }
}

/// `age`, a tenth more or less, so that connections made together do not end together.
pub(super) fn jittered(age: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    getrandom::fill(&mut byte).expect("the system gives random bytes");
    age.mul_f64(0.9 + 0.2 * f64::from(byte[0]) / 255.0)
}

/// A request that has begun and not been answered whole.
struct InFlight {
    activity: Arc<watch::Sender<Activity>>,
    /// Whether it waits for us, not for the client to take what it was given.
    is_ours: bool,
}

impl InFlight {
    fn begin(activity: Arc<watch::Sender<Activity>>) -> Self {
        let mut begun = Self { activity, is_ours: false };
        begun.turn(true);
        begun
    }

    fn turn(&mut self, is_ours: bool) {
        if self.is_ours == is_ours {
            return;
        }
        self.is_ours = is_ours;
        self.activity.send_if_modified(|activity| {
            activity.in_flight = if is_ours { activity.in_flight + 1 } else { activity.in_flight - 1 };
            activity.at = Instant::now();
            let is_first = !std::mem::replace(&mut activity.has_begun, true);
            is_first || activity.in_flight == 0
        });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.turn(false);
    }
}

/// A client that stops reading is told by this: what it was given waits to be sent, and no more is asked for.
impl Watch for InFlight {
    fn asked(&mut self) {
        self.turn(true);
    }

    fn given(&mut self) {
        self.turn(false);
    }
}

async fn answer(mut router: Router, request: Request<Incoming>, in_flight: InFlight) -> Result<Response, Infallible> {
    let is_grpc = is_grpc(request.headers().get(header::CONTENT_TYPE));
    // The inner rings catch their own; this is for what stands outside them.
    let answer = AssertUnwindSafe(async { router.call(request.map(Body::new)).await }).catch_unwind().await;
    let answer = answer.unwrap_or_else(|panic| {
        let refusal = Refusal::internal(format_args!("panicked: {}", panic_text(&*panic)));
        Ok(if is_grpc {
            refused(refusal)
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, refusal.message).into_response()
        })
    })?;
    Ok(answer.map(|body| Observed::body(body, in_flight)))
}

fn is_grpc(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
