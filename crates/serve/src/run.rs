//! A process of Annals: what its services share, and how they start and end together.
//!
//! Owns the order of the end: the listener first, then the services, the last opened first. Prints nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use domain::Clock;
use futures::FutureExt as _;
use futures::future::select_all;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::accept::{self, Limits, Undrained};
use crate::auth::{Credentials, Keyring, OpenError, PeerKey};
use crate::health::{self, Readiness};
use crate::tasks::{Failure, Overdue, Tasks};
use crate::telemetry::FilterError;
use crate::{Peer, open_files, reflection, telemetry};

/// How long the background tasks of all services together may take to end.
const TASKS_DRAIN: Duration = Duration::from_secs(4);

crate::settings! {
    /// What every process of Annals needs to know.
    pub struct Config {
        /// Address and port to listen on. Any but loopback needs keys.
        pub listen: SocketAddr = "127.0.0.1:8080",
        /// Directory of everything that is kept.
        pub data_dir: PathBuf = "./annals-data",
        /// File of the keys that may call, read again when it changes. Without it: keys.toml in the data directory,
        /// if it is there. Without any, on loopback, everybody is admin of the tenant `default`.
        pub keys: Option<PathBuf>,
        /// Secret that the services share when they run apart, the same text for each (`annals key new` makes one).
        pub peer_key: Option<PeerKey>,
        /// What is logged: error, warn, info, debug or trace, or finer (`things=debug,info`).
        pub log: String = "info",
    }
}

/// Why a process of Annals could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The keys do not allow it.
    #[error("the keys are not in order")]
    Keys(#[from] OpenError),
    /// The log filter is not one.
    #[error(transparent)]
    Log(#[from] FilterError),
    /// The address is taken or not this machine's.
    #[error("{address} cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Services that run apart must know each other.
    #[error(
        "--peer-key (ANNALS_PEER_KEY) must be given, the same to each service that runs apart from the others: a key \
         that `annals key new` prints"
    )]
    NoPeerKey,
    /// The system gives no signals.
    #[error("signals cannot be received")]
    Signal(#[source] std::io::Error),
    /// A background task failed.
    #[error(transparent)]
    Task(#[from] Failure),
    /// Background tasks did not end.
    #[error(transparent)]
    Overdue(#[from] Overdue),
    /// Calls did not complete.
    #[error(transparent)]
    Undrained(#[from] Undrained),
}

/// What the services of one process share.
#[derive(Clone)]
pub struct Context {
    /// Time and ULIDs.
    pub clock: Clock,
    /// Who may call.
    pub keyring: Keyring,
    /// What keeps this process from serving.
    pub readiness: Readiness,
    /// Directory of everything that is kept; each service has one of its name in it.
    pub data_dir: PathBuf,
    /// Cancelled when the process is asked to end: streams that would go on for ever end. The ring does that for
    /// gRPC.
    pub draining: CancellationToken,
    has_shared_peer_key: bool,
}

impl Context {
    /// Starts the log and the metrics, takes as many open files as it may, and reads the keys.
    pub fn open(config: &Config) -> Result<Self, Error> {
        telemetry::init(&config.log)?;
        open_files::allow_all();
        let path = config.keys.clone().unwrap_or_else(|| config.data_dir.join("keys.toml"));
        let peer = config.peer_key.clone().unwrap_or_else(PeerKey::mint);
        let keyring = match &config.keys {
            Some(_) => Keyring::open_existing(path, peer)?,
            None => Keyring::open(path, peer, config.listen)?,
        };
        let context = Self::new(Clock::system(), keyring, config.data_dir.clone());
        Ok(Self { has_shared_peer_key: config.peer_key.is_some(), ..context })
    }

    /// A context without keys, for a process of its own on loopback: a test, a benchmark.
    pub fn local(clock: Clock, data_dir: PathBuf) -> Self {
        let path = data_dir.join("keys.toml");
        Self::new(clock, Keyring::without_keys(path, PeerKey::mint()), data_dir)
    }

    /// A context of these.
    pub fn new(clock: Clock, keyring: Keyring, data_dir: PathBuf) -> Self {
        let (readiness, draining) = (Readiness::default(), CancellationToken::new());
        Self { clock, keyring, readiness, data_dir, draining, has_shared_peer_key: false }
    }

    /// Refuses a process whose peer key the others cannot know: for the `main` of each service that runs apart. One
    /// that calls is refused by those that it calls, one that is called knows none of its callers.
    pub fn require_peer_key(&self) -> Result<(), Error> {
        if self.has_shared_peer_key { Ok(()) } else { Err(Error::NoPeerKey) }
    }

    /// What this process's own calls to other services carry.
    pub fn credentials(&self) -> Credentials {
        self.keyring.credentials()
    }
}

/// An open service, ready to be called.
pub struct Service {
    /// Its name: `things`.
    pub name: &'static str,
    /// Its gRPC methods, behind its [ring](crate::layers::Ring).
    pub routes: Routes,
    /// All that is served on its listener, if that is more than the gRPC methods; the gateway's. It has registered
    /// [health](crate::health::register), [reflection](crate::reflection::register) and
    /// [pages](crate::health::pages) itself.
    pub http: Option<Router>,
    /// Its background tasks.
    pub tasks: Tasks,
}

impl Service {
    /// This service as others in this process call it.
    pub fn peer(&self) -> Peer {
        Peer::local(self.routes.clone())
    }
}

/// Serves until SIGTERM or SIGINT, or until a background task fails; then ends in order, in 10 seconds at most.
pub async fn run(config: &Config, context: Context, services: Vec<Service>) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    let server = Server::bind(config.listen, context, services).await?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.run(asked).await
}

/// Services with the socket that they are called at.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    router: Router,
    context: Context,
    services: Vec<Service>,
}

impl Server {
    /// Takes the socket: the gateway's if it is among `services`, else one for all of them.
    pub async fn bind(listen: SocketAddr, context: Context, mut services: Vec<Service>) -> Result<Self, Error> {
        let refused = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (router, limits) = match services.iter_mut().find_map(|service| service.http.take()) {
            Some(router) => (router, Limits::public()),
            None => (own_router(&services, &context), Limits::peer()),
        };
        Ok(Self { listener, address, limits, router, context, services })
    }

    /// Where it listens; the port is the system's choice if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `asked` ends or a background task fails; then ends in order.
    pub async fn run(self, asked: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { listener, address, limits, router, context, services } = self;
        let own = Tasks::new("process");
        own.spawn("keys", |cancel| context.keyring.clone().watch(cancel));
        own.spawn("metrics", telemetry::upkeep);
        own.spawn("readiness", |cancel| context.readiness.clone().upkeep(cancel));
        let served = accept::serve(listener, router, limits, context.draining.clone());
        tracing::info!(%address, "listening");

        let end = async {
            let tasks = services.iter().map(|service| &service.tasks).chain([&own]);
            let failed = select_all(tasks.map(|tasks| tasks.failed().boxed()));
            let failure = tokio::select! {
                () = asked => None,
                () = context.draining.cancelled() => None,
                (failure, ..) = failed => Some(failure),
            };
            tracing::info!("draining");
            context.draining.cancel();
            failure
        };
        let (failure, served) = tokio::join!(end, served);
        let undrained = served.err();
        let overdue = drain(services, own).await.err();
        match (failure, undrained, overdue) {
            (Some(failure), ..) => Err(failure.into()),
            (_, _, Some(overdue)) => Err(overdue.into()),
            (_, Some(undrained), _) => Err(undrained.into()),
            (None, None, None) => Ok(()),
        }
    }
}

/// Ends the background tasks, those of the last opened service first: it may call those before it.
async fn drain(services: Vec<Service>, own: Tasks) -> Result<(), Overdue> {
    let end = Instant::now() + TASKS_DRAIN;
    let mut first = Ok(());
    for tasks in services.into_iter().rev().map(|service| service.tasks).chain([own]) {
        let drained = tasks.drain(end.saturating_duration_since(Instant::now())).await;
        if let Err(overdue) = &drained {
            tracing::error!(error = %overdue, "the drain took too long");
        }
        first = first.and(drained);
    }
    first
}

/// What services without a gateway show: their methods, health, reflection and pages.
fn own_router(services: &[Service], context: &Context) -> Router {
    let mut router = Router::new();
    for (at, service) in services.iter().enumerate() {
        let methods = service.routes.clone().into_axum_router();
        // Of the answers to unknown methods one is enough, and axum takes only one.
        router = router.merge(if at == 0 { methods } else { methods.reset_fallback() });
    }
    router = health::register(router, &context.readiness);
    reflection::register(router).merge(health::pages(&context.readiness))
}

#[cfg(test)]
#[path = "run_test.rs"]
mod tests;
