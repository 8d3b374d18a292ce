//! The listener and its outer ring: connections, their limits and their end. HTTP/1.1 and HTTP/2 on one port.
//!
//! Owns sockets and the tasks that serve them. Never looks at what is served.

mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection::{Connection, Owned};

/// What one listener allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; others wait in the system's queue.
    pub connections: usize,
    /// HTTP/2 streams at a time on one connection.
    pub streams: u32,
    /// Bytes of requests that one HTTP/2 connection may send before they are taken; each stream may send 1 MiB.
    pub window: u32,
    /// Bytes of the headers of one request.
    pub header_bytes: u32,
    /// From the connection to its first request; for HTTP/1.1 also from one answer to the whole headers of the next
    /// request.
    pub handshake: Duration,
    /// A connection without a request in flight is closed after this, and so is one whose client takes nothing of the
    /// answers that are under way.
    pub idle: Duration,
    /// A connection is told to go away, its calls completing, after this ± 10 %: callers then spread anew over the
    /// servers that there are. `None` for listeners of the public.
    pub age: Option<Duration>,
    /// How long calls may take to complete once the listener stops.
    pub drain: Duration,
}

impl Limits {
    /// For the gateway.
    pub fn public() -> Self {
        Self {
            connections: 1024,
            streams: 200,
            window: 1 << 20,
            header_bytes: 16 * 1024,
            handshake: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            age: None,
            drain: Duration::from_secs(6),
        }
    }

    /// For a service that other services of Annals call.
    pub fn peer() -> Self {
        // A stream that is held back must not hold back its neighbours: they are other callers'.
        Self { age: Some(Duration::from_secs(30)), window: 64 << 20, ..Self::public() }
    }
}

/// Bytes of one HTTP/2 stream that may be sent before they are taken.
const STREAM_WINDOW: u32 = 1 << 20;

/// h2 counts the streams that it resets for the caller's mistakes; a connection with more is one of an attacker.
const LOCAL_ERROR_RESETS: usize = 1024;

/// Streams that a caller opens and resets before they are accepted (rapid reset, CVE-2023-44487).
const PENDING_ACCEPT_RESETS: usize = 20;

/// How often a silent HTTP/2 connection is asked for a sign of life, and how long that may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Pause after the system refuses to give a socket (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections had calls that did not complete within the drain, and were closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{connections} connections did not end in time")]
pub struct Undrained {
    connections: usize,
}

/// Serves `router` to whoever connects to `listener`, until `stop`; then completes what is in flight.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), Undrained> {
    let tasks = Owned::new();
    let builder = Arc::new(builder(&limits, &tasks));
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &slots)).await {
        let (socket, peer, slot) = accepted;
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%peer, %error, "a connection ended before it began");
            continue;
        }
        let connection = Connection::new(limits, peer, router.clone(), stop.clone());
        let (builder, aborted) = (Arc::clone(&builder), tasks.aborted());
        connections.spawn(async move {
            let io = TokioIo::new(socket);
            if let Some(Err(error)) = aborted.run_until_cancelled(connection.serve(io, &builder)).await {
                tracing::debug!(%peer, %error, "a connection ended with an error");
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    let drained = tokio::time::timeout(limits.drain, connections.wait()).await;
    let left = connections.len();
    tasks.abort().await;
    connections.wait().await;
    if drained.is_ok() { Ok(()) } else { Err(Undrained { connections: left }) }
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Accepted {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => return (socket, peer, slot),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn builder(limits: &Limits, tasks: &Owned) -> Builder<Owned> {
    let mut builder = Builder::new(tasks.clone());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake)
        .max_buf_size(limits.header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(limits.window)
        .max_local_error_reset_streams(LOCAL_ERROR_RESETS)
        .max_pending_accept_reset_streams(PENDING_ACCEPT_RESETS)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

#[cfg(test)]
#[path = "accept_test.rs"]
mod tests;
