//! Owns making files and names durable. Never knows what is in a file.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// What a file is called until it is whole.
pub(crate) const UNFINISHED: &str = "unfinished";
/// Bytes after which a large file that is being written is synced: a sync of the journal, which may have to wait for what
/// another file has unwritten, waits for no more (decision 47).
const PIECE_BYTES: usize = 8 << 20;

/// A large file that is being written, synced piece by piece; whoever completes it syncs the last one.
pub(crate) struct InPieces {
    file: File,
    /// Bytes written since the last sync.
    unwritten: usize,
}

impl InPieces {
    /// An empty file, in place of one of the same name.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, unwritten: 0 })
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Write for InPieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unwritten += written;
        if self.unwritten >= PIECE_BYTES {
            self.file.sync_data()?;
            self.unwritten = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a file with these bytes so that after a crash it is there with all of them or not at all. One of the same
/// name is replaced.
pub(crate) fn create_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // On a full disk others need the room.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
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
