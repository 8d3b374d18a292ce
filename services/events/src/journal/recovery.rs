//! Owns what a start makes of the files: every record checked and indexed, a torn tail cut, other damage refused.
//!
//! A group of records is covered by one fdatasync, so after a crash any part of the last group may be missing, also
//! its beginning. Each record therefore says how much of its segment was durable when it was written: damage at or
//! after that point of every later record lies in the last group, which nobody was told about, and is cut. Damage
//! before it, or in a segment that another one follows, hit what was acknowledged and is refused.

use std::{
    fs::{self, File, OpenOptions},
    path::Path,
};

use prost::Message as _;

use super::{
    Identity, OpenError,
    frame::Record,
    segment::{self, SEGMENT_HEADER},
};
use crate::index::{Index, Stored};

/// The segment that is appended to.
#[derive(Debug)]
pub(super) struct Tail {
    /// None until its first records are there.
    pub(super) file: Option<File>,
    /// Offset of its first event.
    pub(super) first: u64,
    /// Its length, which is durable.
    pub(super) synced: u64,
}

/// What stands in the segments.
pub(super) struct Found {
    /// First offset of the last one.
    last: u64,
    /// Bytes of its whole records, and of what is torn behind them.
    whole: usize,
    torn: usize,
    /// Bytes of the others.
    closed: usize,
}

/// Makes of the segments, whose first offsets are `firsts`, what can be appended to.
pub(super) fn recover(dir: &Path, identity: Identity, firsts: &[u64], index: &mut Index) -> Result<Tail, OpenError> {
    let Some(Found { last, whole, torn, closed }) = read(dir, identity, firsts, index)? else {
        index.begin_segment(0);
        let file = segment::create(dir, identity, 0, &[])?;
        return Ok(Tail { file: Some(file), first: 0, synced: SEGMENT_HEADER });
    };
    let path = segment::path_of(dir, last);
    let file = if torn > 0 {
        tracing::warn!(file = %path.display(), position = whole, bytes = torn, "cut a torn tail of the journal");
        segment::cut(&path, whole as u64).map_err(OpenError::io(&path))?
    } else {
        // A process that was killed may have written these records and not synced them.
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(OpenError::io(&path))?;
        file.sync_all().map_err(OpenError::io(&path))?;
        file
    };
    metrics::gauge!("annals_journal_bytes").set((closed + whole) as f64);
    tracing::info!(events = index.end() - index.beginning(), segments = firsts.len(), "the journal is open");
    Ok(Tail { file: Some(file), first: last, synced: whole as u64 })
}

/// Reads the segments, whose first offsets are `firsts`, into the index, and changes nothing; nothing if there is none.
pub(super) fn read(
    dir: &Path,
    identity: Identity,
    firsts: &[u64],
    index: &mut Index,
) -> Result<Option<Found>, OpenError> {
    let Some((last, closed)) = firsts.split_last() else { return Ok(None) };
    let (mut bytes, mut total) = (Vec::new(), 0);
    for first in closed {
        let whole = load(dir, identity, *first, index, &mut bytes)?;
        if whole < bytes.len() {
            return Err(damaged(dir, *first, whole));
        }
        total += whole;
    }
    let whole = load(dir, identity, *last, index, &mut bytes)?;
    if whole < bytes.len() && has_later_group(&bytes, whole, identity.mark()) {
        return Err(damaged(dir, *last, whole));
    }
    Ok(Some(Found { last: *last, whole, torn: bytes.len() - whole, closed: total }))
}

/// Reads one segment into `bytes` and its whole records into the index; answers where they end.
fn load(
    dir: &Path,
    identity: Identity,
    first: u64,
    index: &mut Index,
    bytes: &mut Vec<u8>,
) -> Result<usize, OpenError> {
    let path = segment::path_of(dir, first);
    read_into(&path, bytes).map_err(OpenError::io(&path))?;
    segment::check_header(&path, bytes, identity, first)?;
    if index.end() < first {
        // What stands before a gap was cut, and its removal undone by a power cut; what is missing, the archive has, or
        // the log refuses to open.
        index.skip_to(first);
    }
    if index.end() > first {
        return Err(damaged(dir, first, 0));
    }
    index.begin_segment(first);
    let mut position = SEGMENT_HEADER as usize;
    while let Some(record) = Record::at(bytes, position, identity.mark()) {
        if record.header.first != index.end() {
            return Err(damaged(dir, first, position));
        }
        enter(&record, index).ok_or_else(|| damaged(dir, first, position))?;
        position += record.len();
    }
    Ok(position)
}

/// Enters a record's events into the index; nothing if one of them is not ours.
fn enter(record: &Record<'_>, index: &mut Index) -> Option<()> {
    let keys = index.keys();
    let mut events = 0;
    for (position, event) in record.events() {
        let stored = Stored::decode(event).ok()?;
        let tenant = index.number(&stored.tenant()?);
        index.push(stored.entry(&keys, tenant)?, record.header.intake, position, event.len() as u32);
        events += 1;
    }
    if let Some(batch) = record.header.relay {
        index.took(batch);
    }
    (events == record.header.events).then_some(())
}

/// Whether a whole record after `damage` was written when what stands at `damage` was durable already.
fn has_later_group(segment: &[u8], damage: usize, mark: u64) -> bool {
    let first_byte = mark.to_le_bytes()[0];
    (damage + 1..segment.len()).any(|position| {
        segment[position] == first_byte
            && Record::at(segment, position, mark).is_some_and(|record| record.header.synced > damage as u64)
    })
}

fn damaged(dir: &Path, first: u64, position: usize) -> OpenError {
    OpenError::Damaged { path: segment::path_of(dir, first), position: position as u64 }
}

fn read_into(path: &Path, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Read as _;
    bytes.clear();
    let mut file = File::open(path)?;
    bytes.reserve(fs::metadata(path)?.len() as usize);
    file.read_to_end(bytes).map(drop)
}
