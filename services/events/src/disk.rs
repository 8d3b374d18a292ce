//! Owns making files and names durable. Never knows what is in a file.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

/// What a file is called until it is whole.
pub(crate) const UNFINISHED: &str = "unfinished";

/// Makes a file with these bytes so that after a crash it is there with all of them or not at all. One of the same
/// name is replaced.
pub(crate) fn create_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes).and_then(|()| file.sync_all())?;
    fs::rename(&unfinished, path)?;
    sync_dir(path.parent().expect("a file has a directory"))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    // The parent of a relative path of one name.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|dir| dir.sync_all())
}

/// Makes the names of the directories durable that this start, or one that was killed, has made on the way to `dir`:
/// it, `events` and the data directory, each in its parent. One that may not be read was made by others.
pub(crate) fn sync_ancestors(dir: &Path) -> io::Result<()> {
    for parent in dir.ancestors().skip(1).take(3) {
        match sync_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }
    Ok(())
}
