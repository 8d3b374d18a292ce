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
    /// Requests whose answers have not been sent whole.
    in_flight: usize,
    /// When the last of them began or ended.
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
        let idle =
            quiet(watched.clone(), began, |activity| if activity.has_begun { limits.idle } else { limits.handshake });
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
        tokio::select! {
            result = connection.as_mut() => return result,
            () = stop.cancelled() => {}
            () = old => {}
            () = idle => {}
        }
        connection.as_mut().graceful_shutdown();
        // One that has nothing in flight and does not even acknowledge it is left.
        let linger = limits.handshake.min(limits.drain / 2);
        tokio::select! {
            result = connection => result,
            () = quiet(watched, Instant::now(), |_| linger) => Ok(()),
        }
    }
}

/// Waits until nothing has been in flight since `since` or the last request for as long as `allowed` says.
async fn quiet(mut activity: watch::Receiver<Activity>, since: Instant, allowed: impl Fn(Activity) -> Duration) {
    loop {
        let now = *activity.borrow_and_update();
        let expired = async {
            if now.in_flight == 0 {
                sleep_until(now.at.max(since) + allowed(now)).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = expired => return,
            changed = activity.changed() => if changed.is_err() { return },
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
struct InFlight(Arc<watch::Sender<Activity>>);

impl InFlight {
    fn begin(activity: Arc<watch::Sender<Activity>>) -> Self {
        activity.send_modify(|activity| {
            *activity = Activity { in_flight: activity.in_flight + 1, at: Instant::now(), has_begun: true };
        });
        Self(activity)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|activity| {
            activity.in_flight -= 1;
            activity.at = Instant::now();
        });
    }
}

impl Watch for InFlight {}

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
