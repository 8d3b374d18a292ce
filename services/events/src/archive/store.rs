//! Owns where the archive's files are. A file that is there under its name is whole; the names of all files that were
//! written are durable once [`Store::sync`] returns. Never knows what is in one.
//!
//! Every call blocks: the archive works on threads of its own.

mod bucket;
#[cfg(test)]
mod conformance;
mod directory;

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path as Key};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::bucket::Access;
use self::{bucket::Bucket, directory::Directory};
use super::Error;

/// Files that [`Store::delete_all`] takes at once: as many as one request to a bucket removes.
pub(crate) const MOST_DELETED: usize = 1_000;

/// Where the files of an archive are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the directory of the service.
    Here,
    /// In a bucket.
    Bucket(Access),
}

/// The files of the archive.
pub(crate) struct Store {
    kind: Kind,
    /// What every location begins with, without a slash at its end: `file:///var/lib/annals/events/archive`,
    /// `s3://bucket/prefix`.
    base: String,
    /// What keys are relative to: the base, or the bucket that it is in.
    root: String,
    runtime: Handle,
    stopping: CancellationToken,
}

/// What stores files.
enum Kind {
    Directory(Directory),
    Bucket(Bucket),
}

/// A file that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    /// Its location.
    pub(crate) location: String,
    /// When it was written, in milliseconds since 1970.
    pub(crate) modified: i64,
    /// Bytes.
    pub(crate) size: u64,
}

/// A file that is being written; without [`Upload::finish`] it never is there.
pub(crate) enum Upload {
    /// To a directory.
    File(directory::Upload),
    /// To a bucket.
    Object(bucket::Upload),
}

/// Who reads a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reader {
    /// A caller, who would rather know soon that the store does not answer.
    Caller,
    /// Upkeep, which has time.
    Upkeep,
}

impl Store {
    /// The files of the archive of the service in `dir`.
    pub(crate) fn open(place: &Place, dir: &Path, runtime: Handle) -> Result<Self, Error> {
        match place {
            Place::Here => Self::directory(&dir.join("archive"), runtime),
            Place::Bucket(access) => Self::bucket(access),
        }
    }

    /// The archive in a directory that is there. Removes what a crash left unfinished.
    pub(crate) fn directory(directory: &Path, runtime: Handle) -> Result<Self, Error> {
        let (directory, base) = Directory::open(directory)?;
        let (root, stopping) = (base.clone(), CancellationToken::new());
        Ok(Self { kind: Kind::Directory(directory), base, root, runtime, stopping })
    }

    /// The archive in a bucket, which must answer.
    pub(crate) fn bucket(access: &Access) -> Result<Self, Error> {
        let bucket = Bucket::open(access)?;
        let (base, root, runtime) = (access.url.to_string(), access.url.root(), bucket.runtime());
        let store = Self { kind: Kind::Bucket(bucket), base, root, runtime, stopping: CancellationToken::new() };
        store.check(access)?;
        Ok(store)
    }

    /// What every location begins with.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Makes what waits for the store end soon, with [`Error::Stopping`].
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Runs a future of this store on this thread.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        wait(&self.runtime, work)
    }

    /// The store and the key of a location, for readers of parts of a file.
    pub(crate) fn object(&self, location: &str, reader: Reader) -> Result<(Arc<dyn ObjectStore>, Key), Error> {
        let key = self.key(location)?;
        let objects = match (&self.kind, reader) {
            (Kind::Bucket(bucket), Reader::Caller) => bucket.for_callers(&key),
            _ => self.objects(&key),
        };
        Ok((Arc::clone(objects), key))
    }

    /// The bytes of a whole file.
    pub(crate) fn get(&self, location: &str) -> Result<Bytes, Error> {
        let key = self.key(location)?;
        self.ask(location, async { self.objects(&key).get(&key).await?.bytes().await })
    }

    /// Writes a whole file.
    pub(crate) fn put(&self, location: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut upload = self.create(location)?;
        upload.write_all(bytes).map_err(Error::io(Path::new(location)))?;
        upload.finish()
    }

    /// Begins a file.
    pub(crate) fn create(&self, location: &str) -> Result<Upload, Error> {
        let key = self.key(location)?;
        Ok(match &self.kind {
            Kind::Directory(directory) => Upload::File(directory.create(&key)?),
            Kind::Bucket(bucket) => Upload::Object(bucket.create(location, key, self.stopping.clone())),
        })
    }

    /// Makes the names of all files durable that were written until now. A bucket has done so already.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::Directory(directory) => directory.sync(),
            Kind::Bucket(_) => Ok(()),
        }
    }

    /// Removes a file; one that is not there is no error.
    pub(crate) fn delete(&self, location: &str) -> Result<(), Error> {
        self.delete_all([location])
    }

    /// Removes files of one table, of which there may be [`MOST_DELETED`]; those that are not there are no error.
    pub(crate) fn delete_all<'a>(&self, locations: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        let keys = locations.into_iter().map(|location| self.key(location)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = keys.first() else { return Ok(()) };
        let deleted = self.objects(first).delete_stream(stream::iter(keys).map(Ok).boxed());
        self.ask(&self.base, async {
            deleted
                .filter(|deleted| future::ready(!matches!(deleted, Err(object_store::Error::NotFound { .. }))))
                .try_for_each(|_| future::ok(()))
                .await
        })
    }

    /// Every file below a location.
    pub(crate) fn list(&self, location: &str) -> Result<Vec<Listed>, Error> {
        let key = self.key(location)?;
        let found = self.ask(location, self.objects(&key).list(Some(&key)).try_collect::<Vec<_>>())?;
        let listed = found.into_iter().map(|object| Listed {
            location: format!("{}/{}", self.root, object.location),
            modified: object.last_modified.timestamp_millis(),
            size: object.size,
        });
        Ok(listed.collect())
    }

    /// Refuses a bucket that does not answer us, with what to look at.
    fn check(&self, access: &Access) -> Result<(), Error> {
        // What a catalog gives may be for one table only.
        let prefix = Key::from(access.url.prefix());
        let prefix = access.vended.first().map_or(prefix.clone(), |vended| prefix.join(vended.table()));
        let first = self.wait(async { self.objects(&prefix).list(Some(&prefix)).try_next().await });
        first.map(drop).map_err(|error| access.explain(&error))
    }

    fn objects(&self, key: &Key) -> &Arc<dyn ObjectStore> {
        match &self.kind {
            Kind::Directory(directory) => directory.objects(),
            Kind::Bucket(bucket) => bucket.objects(key),
        }
    }

    /// Waits for an answer, or for the end.
    fn ask<T>(&self, location: &str, work: impl Future<Output = object_store::Result<T>>) -> Result<T, Error> {
        let answer = self.wait(async { self.stopping.run_until_cancelled(work).await });
        answer.ok_or(Error::Stopping)?.map_err(Error::store(location))
    }

    fn key(&self, location: &str) -> Result<Key, Error> {
        let is_here = location.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
        let rest = location.strip_prefix(&self.root).filter(|_| is_here);
        let rest = rest.ok_or_else(|| Error::Elsewhere { location: location.into(), base: self.base.clone() })?;
        Key::parse(&rest[1..]).map_err(|error| Error::store(location)(error.into()))
    }
}

impl Upload {
    /// Makes the file whole and durable under its name.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        match self {
            Self::File(file) => file.finish(),
            Self::Object(object) => object.finish(),
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Object(object) => object.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Object(_) => Ok(()),
        }
    }
}

pub(super) fn wait<T>(runtime: &Handle, work: impl Future<Output = T>) -> T {
    // Not the runtime's own `block_on`, which refuses a thread that runs tasks. Without tokio's budget, because a task
    // whose budget is spent is woken by its scheduler, which this thread may be.
    let _entered = runtime.enter();
    futures::executor::block_on(tokio::task::unconstrained(work))
}
