//! Owns the archive's files in a directory: each is written under another name, synced, then renamed.
//! Never removes one that has its name.

use std::{
    collections::BTreeSet,
    fs,
    hash::{BuildHasher as _, RandomState},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use object_store::{ObjectStore, local::LocalFileSystem, path::Path as Key};

use super::Error;
use crate::disk::{self, InPieces, UNFINISHED};

/// The directory.
pub(super) struct Directory {
    path: PathBuf,
    objects: Arc<dyn ObjectStore>,
    /// Numbers the unfinished files of this process.
    unfinished: AtomicU64,
    /// Begins the names of the unfinished files of this process: a writer that was taken over from may still be at work.
    process: String,
    /// Directories with names that are not durable yet.
    unsynced: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// A file that is being written; without [`Upload::finish`] it never is there.
pub(crate) struct Upload {
    file: BufWriter<InPieces>,
    unfinished: PathBuf,
    path: PathBuf,
    root: PathBuf,
    unsynced: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Directory {
    /// A directory that is there, and its URL. Removes what a crash left unfinished.
    pub(super) fn open(path: &Path) -> Result<(Self, String), Error> {
        let path = path.canonicalize().map_err(Error::io(path))?;
        let text = path.to_str().ok_or_else(|| {
            let rule = io::Error::new(io::ErrorKind::InvalidInput, "the archive's path must be UTF-8");
            Error::io(&path)(rule)
        })?;
        let url = format!("file://{text}");
        let objects = Arc::new(LocalFileSystem::new_with_prefix(&path).map_err(Error::store(text))?);
        let process = format!("{:016x}", RandomState::new().hash_one(()));
        let directory = Self { path, objects, unfinished: AtomicU64::new(0), process, unsynced: Arc::default() };
        directory.remove_unfinished()?;
        Ok((directory, url))
    }

    pub(super) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    pub(super) fn create(&self, key: &Key) -> Result<Upload, Error> {
        let path = self.path.join(key.as_ref());
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let directory = path.parent().expect("a file of the archive has a directory");
        fs::create_dir_all(directory).map_err(Error::io(directory))?;
        let unfinished = self.path.join(format!("{}-{number}.{UNFINISHED}", self.process));
        let file = InPieces::create(&unfinished).map_err(Error::io(&unfinished))?;
        let (root, unsynced) = (self.path.clone(), Arc::clone(&self.unsynced));
        Ok(Upload { file: BufWriter::new(file), unfinished, path, root, unsynced })
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
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

    fn remove_unfinished(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.path).map_err(Error::io(&self.path))? {
            let path = entry.map_err(Error::io(&self.path))?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(())
    }
}

impl Upload {
    /// Makes the file durable, then gives it its name.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.file.flush().and_then(|()| self.file.get_ref().file().sync_all()).map_err(Error::io(&self.unfinished))?;
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
