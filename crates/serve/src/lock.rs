//! Owns that one process at a time has a directory. Never waits for it.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by another process: stop that one, or choose another --data-dir", .0.display())]
    InUse(PathBuf),
    /// It cannot be made, or not be locked.
    #[error("{} cannot be locked", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Takes a directory, which is made if it is not there, until the file that is given is dropped.
pub fn lock(dir: &Path) -> Result<File, LockError> {
    let open = || {
        std::fs::create_dir_all(dir)?;
        File::options().create(true).truncate(false).write(true).open(dir.join("lock"))
    };
    let failed = |source| LockError::Io { path: dir.to_owned(), source };
    let file = open().map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_had_by_one_until_they_let_it_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let first = lock(&path).unwrap();
        let refusal = lock(&path).unwrap_err().to_string();
        assert!(refusal.contains("in use by another process"), "{refusal}");
        drop(first);
        lock(&path).unwrap();
    }
}
