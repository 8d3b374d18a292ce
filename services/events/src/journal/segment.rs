//! Owns the files of the journal: their names, their headers, and that a file under its name is whole.
//! Never interprets records.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::{Identity, OpenError};
use crate::disk::{self, UNFINISHED};

/// Bytes of a segment before its first record.
pub(super) const SEGMENT_HEADER: u64 = 40;
const MAGIC: &[u8; 8] = b"ANNALSJ1";
const SUFFIX: &str = "segment";

/// The path of the segment that begins with the event of this offset.
pub(crate) fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{SUFFIX}"))
}

/// Makes a segment of these records under its name, durably. One of the same name, of which nothing was acknowledged, is
/// replaced.
pub(super) fn create(dir: &Path, identity: Identity, first: u64, records: &[u8]) -> Result<File, OpenError> {
    let path = path_of(dir, first);
    if let Err(error) = disk::create_durably(&path, &[&header(identity, first), records].concat()) {
        // Where only its name is not durable, it has records that are refused now: they must not come back.
        let _ = cut(&path, SEGMENT_HEADER);
        return Err(OpenError::io(&path)(error));
    }
    OpenOptions::new().read(true).write(true).open(&path).map_err(OpenError::io(&path))
}

/// The first offset of every segment in the directory, ascending; files that a crash left unfinished are removed.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, OpenError> {
    for entry in fs::read_dir(dir).map_err(OpenError::io(dir))? {
        let path = entry.map_err(OpenError::io(dir))?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) && path.is_file() {
            fs::remove_file(&path).map_err(OpenError::io(&path))?;
        }
    }
    firsts(dir)
}

/// The first offset of every segment in the directory, ascending.
pub(super) fn firsts(dir: &Path) -> Result<Vec<u64>, OpenError> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(dir).map_err(OpenError::io(dir))? {
        let path = entry.map_err(OpenError::io(dir))?.path();
        if path.extension().is_some_and(|extension| extension == SUFFIX) {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let first = stem.parse().map_err(|_| OpenError::Foreign { path: path.clone() })?;
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Checks that a segment's bytes begin as this journal's segment at `first` does.
pub(super) fn check_header(path: &Path, bytes: &[u8], identity: Identity, first: u64) -> Result<(), OpenError> {
    let found = bytes.get(..SEGMENT_HEADER as usize).unwrap_or(bytes);
    if found == header(identity, first) {
        return Ok(());
    }
    let intact = found.len() as u64 == SEGMENT_HEADER && found[36..] == crc32c::crc32c(&found[..36]).to_le_bytes();
    if intact && found[..8] == *MAGIC {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    Err(OpenError::Damaged { path: path.to_owned(), position: 0 })
}

/// Cuts a segment to `length`, durably. The file is opened anew: a handle that failed is not trusted.
pub(super) fn cut(path: &Path, length: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()?;
    Ok(file)
}

fn header(identity: Identity, first: u64) -> [u8; SEGMENT_HEADER as usize] {
    let mut header = [0; SEGMENT_HEADER as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..24].copy_from_slice(&identity.id.to_bytes());
    header[24..32].copy_from_slice(&first.to_le_bytes());
    header[32..36].copy_from_slice(&(RESERVED).to_le_bytes());
    let crc = crc32c::crc32c(&header[..36]);
    header[36..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Zero until a segment has more to say.
const RESERVED: u32 = 0;
