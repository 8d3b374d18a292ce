//! Owns the archive's files in a bucket of S3 or of what speaks like it: how it is reached, how long a request may take
//! and how often it is tried. Never keeps more of a file in memory than three of its parts.

use std::{
    io::{self, Write},
    mem,
    sync::Arc,
    time::Duration,
};

use object_store::{
    BackoffConfig, ClientOptions, MultipartUpload, ObjectStore, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path as Key,
};
use serve::config::Secret;
use tokio::{
    runtime::{self, Handle, Runtime},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Error, wait};
use crate::{
    archive::catalog::Vended,
    config::{ArchiveUrl, Endpoint},
};

/// A file is sent in parts of so many bytes (R2 wants them equal), one that is smaller at once. S3 takes 10,000 parts.
pub(super) const PART_BYTES: usize = 8 << 20;
/// Parts of a file that are on their way while the next one is filled.
const PARTS_ON_THEIR_WAY: usize = 2;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause before a request is tried again, and the longest; they double, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a request is tried again that upkeep or a flush makes, within twice its timeout.
const RETRIES: usize = 5;

/// How long a request of a caller may take: less than a call has. It is tried again within half of that.
const CALLERS_TIMEOUT: Duration = Duration::from_secs(8);
const CALLERS_RETRIES: usize = 3;

/// How a bucket is reached.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) url: ArchiveUrl,
    /// Without one it is AWS.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) region: String,
    pub(crate) key_id: String,
    pub(crate) secret: Secret,
    pub(crate) session_token: Option<Secret>,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// Instead of a key: who has that for the files of each table.
    pub(crate) vended: Vec<Arc<Vended>>,
}

impl Access {
    fn connect(
        &self,
        timeout: Duration,
        retry: RetryConfig,
        vended: Option<&Arc<Vended>>,
    ) -> object_store::Result<AmazonS3> {
        let options = ClientOptions::new()
            .with_allow_http(self.endpoint.as_ref().is_some_and(Endpoint::is_http))
            .with_connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .with_timeout(timeout);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(self.url.bucket())
            .with_region(&self.region)
            .with_access_key_id(&self.key_id)
            .with_secret_access_key(self.secret.expose())
            // Servers with an endpoint of their own seldom have a name for each bucket.
            .with_virtual_hosted_style_request(self.endpoint.is_none())
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.to_string());
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose());
        }
        if let Some(vended) = vended {
            builder = builder.with_credentials(Arc::clone(vended) as Arc<_>);
        }
        builder.build()
    }

    /// What to look at when the bucket cannot be used, in one line.
    pub(super) fn explain(&self, error: &object_store::Error) -> Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let look_at = if cause.contains("NoSuchBucket") {
            "make the bucket, or correct --archive-url"
        } else if cause.contains("403 Forbidden") || cause.contains("401 Unauthorized") {
            "look at --archive-s3-access-key-id, its secret, and what it may do: list, get, put and delete"
        } else {
            "look at --archive-s3-endpoint and --archive-s3-region"
        };
        let at = self.endpoint.as_ref().map_or_else(|| format!("AWS in {}", self.region), ToString::to_string);
        Error::Unusable { base: self.url.to_string(), at, cause, look_at }
    }
}

/// The bucket.
pub(super) struct Bucket {
    /// One, or one for what is below each of some keys.
    ways: Vec<Way>,
    runtime: Own,
}

/// A way to what is below a key.
struct Way {
    below: Key,
    objects: Arc<dyn ObjectStore>,
    /// The same, with less patience.
    for_callers: Arc<dyn ObjectStore>,
}

/// A runtime of our own, so that the store is heard while the threads of the server wait for it.
struct Own(Option<Runtime>);

impl Bucket {
    /// Makes no request.
    pub(super) fn open(access: &Access) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("archive-store")
            .enable_all()
            .build()
            .map_err(Error::io(std::path::Path::new("the archive's thread")))?;
        let retry = |max_retries, retry_timeout| RetryConfig {
            backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
            max_retries,
            retry_timeout,
        };
        let callers = CALLERS_TIMEOUT.min(access.timeout);
        let way = |below, vended: Option<&Arc<Vended>>| {
            let connect = |timeout, retry| {
                let objects = access.connect(timeout, retry, vended).map_err(|error| access.explain(&error))?;
                Ok::<_, Error>(Arc::new(objects))
            };
            Ok::<_, Error>(Way {
                below,
                objects: connect(access.timeout, retry(RETRIES, access.timeout * 2))?,
                for_callers: connect(callers, retry(CALLERS_RETRIES, callers / 2))?,
            })
        };
        let mut ways = Vec::new();
        for vended in &access.vended {
            ways.push(way(Key::from(access.url.prefix()).join(vended.table()), Some(vended))?);
        }
        if ways.is_empty() {
            ways.push(way(Key::default(), None)?);
        }
        Ok(Self { ways, runtime: Own(Some(runtime)) })
    }

    pub(super) fn runtime(&self) -> Handle {
        self.runtime.0.as_ref().expect("it is there until the bucket is dropped").handle().clone()
    }

    pub(super) fn objects(&self, key: &Key) -> &Arc<dyn ObjectStore> {
        &self.way(key).objects
    }

    pub(super) fn for_callers(&self, key: &Key) -> &Arc<dyn ObjectStore> {
        &self.way(key).for_callers
    }

    fn way(&self, key: &Key) -> &Way {
        self.ways.iter().find(|way| key.prefix_matches(&way.below)).unwrap_or(&self.ways[0])
    }

    pub(super) fn create(&self, location: &str, key: Key, stopping: CancellationToken) -> Upload {
        Upload {
            objects: Arc::clone(self.objects(&key)),
            location: location.into(),
            key,
            runtime: self.runtime(),
            stopping,
            next_part: Vec::new(),
            parts: None,
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // A runtime that is merely dropped waits for its threads, which a task may not do.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A file that is being sent; without [`Upload::finish`] it never is there.
pub(crate) struct Upload {
    objects: Arc<dyn ObjectStore>,
    location: String,
    key: Key,
    runtime: Handle,
    stopping: CancellationToken,
    /// What is not on its way yet.
    next_part: Vec<u8>,
    /// Of a file that is larger than a part.
    parts: Option<Parts>,
}

/// The parts of a file that were sent.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    on_their_way: JoinSet<object_store::Result<()>>,
}

impl Upload {
    /// Sends what is left and makes it one file.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            let bytes = mem::take(&mut self.next_part);
            return self.ask(async |this| this.objects.put(&this.key, bytes.into()).await.map(drop));
        }
        if !self.next_part.is_empty() {
            self.send_part()?;
        }
        self.ask(async |this| {
            let parts = this.parts.as_mut().expect("it has parts");
            parts.arrived(0).await?;
            parts.upload.complete().await
        })?;
        // Now there is nothing to abort.
        self.parts = None;
        Ok(())
    }

    fn send_part(&mut self) -> Result<(), Error> {
        let part = mem::take(&mut self.next_part);
        let runtime = self.runtime.clone();
        self.ask(async |this| {
            if this.parts.is_none() {
                let upload = this.objects.put_multipart(&this.key).await?;
                this.parts = Some(Parts { upload, on_their_way: JoinSet::new() });
            }
            let parts = this.parts.as_mut().expect("it was begun");
            parts.arrived(PARTS_ON_THEIR_WAY - 1).await?;
            parts.on_their_way.spawn_on(parts.upload.put_part(part.into()), &runtime);
            Ok(())
        })
    }

    /// Waits for an answer, or for the end.
    fn ask<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> object_store::Result<T>) -> Result<T, Error> {
        let (runtime, stopping, location) = (self.runtime.clone(), self.stopping.clone(), self.location.clone());
        let answer = wait(&runtime, async { stopping.run_until_cancelled(work(self)).await });
        answer.ok_or(Error::Stopping)?.map_err(Error::store(&location))
    }
}

impl Parts {
    /// Returns when at most so many are on their way.
    async fn arrived(&mut self, left: usize) -> object_store::Result<()> {
        while self.on_their_way.len() > left {
            match self.on_their_way.join_next().await {
                Some(sent) => sent.map_err(|source| object_store::Error::JoinError { source })??,
                None => break,
            }
        }
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.next_part.len());
        self.next_part.extend_from_slice(&bytes[..taken]);
        if self.next_part.len() == PART_BYTES {
            self.send_part().map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(Parts { mut upload, mut on_their_way }) = self.parts.take() else { return };
        let location = mem::take(&mut self.location);
        #[expect(clippy::disallowed_methods, reason = "it ends with the store's own runtime, and nobody waits for it")]
        self.runtime.spawn(async move {
            on_their_way.shutdown().await;
            match upload.abort().await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(location, error, "parts of a file that was given up stay in the bucket");
                }
            }
        });
    }
}
