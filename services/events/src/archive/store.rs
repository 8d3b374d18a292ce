//! Owns where the archive's files are. A file that is there under its name is whole; the names of all files that were
//! written are durable once [`Store::sync`] returns. Never knows what is in one.
//!
//! Every call blocks: the archive works on threads of its own.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path as Key};
use tokio::runtime::Handle;

use super::Error;
use crate::disk;

/// What a file is called until it is whole.
const UNFINISHED: &str = "unfinished";

/// The files of the archive.
#[derive(Debug)]
pub(crate) struct Store {
    /// What every location begins with, without a slash at its end: `file:///var/lib/annals/events/archive`.
    base: String,
    objects: Arc<dyn ObjectStore>,
    directory: PathBuf,
    runtime: Handle,
    /// Numbers the unfinished files of this process.
    unfinished: AtomicU64,
    /// Directories with names that are not durable yet.
    unsynced: Arc<Mutex<BTreeSet<PathBuf>>>,
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
pub(crate) struct Upload {
    file: BufWriter<File>,
    unfinished: PathBuf,
    path: PathBuf,
    root: PathBuf,
    unsynced: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Store {
    /// The archive in a directory. Removes what a crash left unfinished.
    pub(crate) fn directory(directory: &Path, runtime: Handle) -> Result<Self, Error> {
        let directory = directory.canonicalize().map_err(Error::io(directory))?;
        let text = directory.to_str().ok_or_else(|| {
            let rule = io::Error::new(io::ErrorKind::InvalidInput, "the archive's path must be UTF-8");
            Error::io(&directory)(rule)
        })?;
        let objects = LocalFileSystem::new_with_prefix(&directory).map_err(Error::store(text))?;
        let base = format!("file://{text}");
        let store = Self {
            base,
            objects: Arc::new(objects),
            directory,
            runtime,
            unfinished: AtomicU64::new(0),
            unsynced: Arc::default(),
        };
        store.remove_unfinished()?;
        Ok(store)
    }

    /// What every location begins with.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Runs a future of this store on this thread.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        // Not the runtime's own `block_on`, which refuses a thread that runs tasks. Without tokio's budget, because a task
        // whose budget is spent is woken by its scheduler, which this thread may be.
        let _entered = self.runtime.enter();
        futures::executor::block_on(tokio::task::unconstrained(work))
    }

    /// The store and the key of a location, for readers of parts of a file.
    pub(crate) fn object(&self, location: &str) -> Result<(Arc<dyn ObjectStore>, Key), Error> {
        Ok((Arc::clone(&self.objects), self.key(location)?))
    }

    /// The store itself, for who has keys.
    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// The bytes of a whole file.
    pub(crate) fn get(&self, location: &str) -> Result<Bytes, Error> {
        let key = self.key(location)?;
        self.wait(async { self.objects.get(&key).await?.bytes().await }).map_err(Error::store(location))
    }

    /// Writes a whole file.
    pub(crate) fn put(&self, location: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut upload = self.create(location)?;
        upload.write_all(bytes).map_err(Error::io(&upload.unfinished))?;
        upload.finish()
    }

    /// Begins a file.
    pub(crate) fn create(&self, location: &str) -> Result<Upload, Error> {
        let path = self.directory.join(self.key(location)?.as_ref());
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let directory = path.parent().expect("a file of the archive has a directory");
        fs::create_dir_all(directory).map_err(Error::io(directory))?;
        let unfinished = self.directory.join(format!("{number}.{UNFINISHED}"));
        let file = File::create(&unfinished).map_err(Error::io(&unfinished))?;
        let (root, unsynced) = (self.directory.clone(), Arc::clone(&self.unsynced));
        Ok(Upload { file: BufWriter::new(file), unfinished, path, root, unsynced })
    }

    /// Makes the names of all files durable that were written until now.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let unsynced = || self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        let directories = std::mem::take(&mut *unsynced());
        for directory in &directories {
            if let Err(error) = disk::sync_dir(directory) {
                unsynced().extend(directories.iter().cloned());
                return Err(Error::io(directory)(error));
            }
        }
        Ok(())
    }

    /// Removes a file; one that is not there is no error.
    pub(crate) fn delete(&self, location: &str) -> Result<(), Error> {
        let key = self.key(location)?;
        match self.wait(self.objects.delete(&key)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::store(location)(error)),
        }
    }

    /// Every file below a location.
    pub(crate) fn list(&self, location: &str) -> Result<Vec<Listed>, Error> {
        let key = self.key(location)?;
        let found = self.wait(self.objects.list(Some(&key)).try_collect::<Vec<_>>());
        let listed = found.map_err(Error::store(location))?.into_iter().map(|object| Listed {
            location: format!("{}/{}", self.base, object.location),
            modified: object.last_modified.timestamp_millis(),
            size: object.size,
        });
        Ok(listed.collect())
    }

    fn key(&self, location: &str) -> Result<Key, Error> {
        let rest = location.strip_prefix(&self.base).and_then(|rest| rest.strip_prefix('/'));
        let rest = rest.ok_or_else(|| Error::Elsewhere { location: location.into(), base: self.base.clone() })?;
        Key::parse(rest).map_err(|error| Error::store(location)(error.into()))
    }

    fn remove_unfinished(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.directory).map_err(Error::io(&self.directory))? {
            let path = entry.map_err(Error::io(&self.directory))?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(())
    }
}

impl Upload {
    /// Makes the file durable, then gives it its name.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(Error::io(&self.unfinished))?;
        fs::rename(&self.unfinished, &self.path).map_err(Error::io(&self.path))?;
        // Also the directories that were made for it, by this process or by one that was killed.
        let above = self.path.ancestors().skip(1).take_while(|directory| directory.starts_with(&self.root));
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).extend(above.map(Path::to_owned));
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Renamed, or given up; what cannot be removed now is removed at the next start.
        let _ = fs::remove_file(&self.unfinished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_file_is_there_once_it_is_finished_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let handle = Handle::current();
        tokio::task::spawn_blocking(move || {
            let store = Store::directory(&path, handle).unwrap();
            let location = format!("{}/events/data/keep=1y/a.parquet", store.base());
            let mut upload = store.create(&location).unwrap();
            upload.write_all(b"whole").unwrap();
            assert_eq!(store.list(&format!("{}/events", store.base())).unwrap(), []);
            upload.finish().unwrap();
            store.sync().unwrap();
            assert_eq!(store.get(&location).unwrap(), "whole");
            let listed = store.list(&format!("{}/events", store.base())).unwrap();
            assert_eq!(listed.iter().map(|file| (&*file.location, file.size)).collect::<Vec<_>>(), [(&*location, 5)]);
            drop(store.create(&location).unwrap());
            assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
            store.delete(&location).unwrap();
            store.delete(&location).unwrap();
            assert!(matches!(store.get("file:///etc/passwd"), Err(Error::Elsewhere { .. })));
        })
        .await
        .unwrap();
    }
}
