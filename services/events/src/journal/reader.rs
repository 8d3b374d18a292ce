//! Owns reading single events by where the index says they are. Never decodes them.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{ENTRY_HEADER, frame, segment};
use crate::index::Location;

/// Reads events; keeps the segment that it read last open.
#[derive(Debug)]
pub(crate) struct Reader {
    dir: PathBuf,
    open: Option<(u64, File)>,
    entry: Vec<u8>,
}

impl Reader {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: None, entry: Vec::new() }
    }

    /// The bytes of one event, as they were appended. Blocks.
    pub(crate) fn read(&mut self, location: Location) -> io::Result<&[u8]> {
        let Location { segment, position, length, .. } = location;
        let file = match &mut self.open {
            Some((open, file)) if *open == segment => file,
            open => {
                let file = File::open(segment::path_of(&self.dir, segment))?;
                &mut open.insert((segment, file)).1
            }
        };
        self.entry.resize(ENTRY_HEADER + length as usize, 0);
        file.read_exact_at(&mut self.entry, u64::from(position))?;
        frame::event_in(&self.entry).ok_or_else(|| {
            let path = segment::path_of(&self.dir, segment);
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged at byte {position}", path.display()))
        })
    }
}
