//! Owns the bytes of a record: what one append is on disk, and how a whole one is told from a torn one.
//! Never touches a file.
//!
//! ```text
//! record  mark u64 │ crc32c u32 │ length u32 │ first u64 │ position u64 │ synced u64 │ intake i64 │ relay u128 │ batch u64 │ events u32 │ 0 u32 │ entry*
//! entry   length u32 │ crc32c u32 │ annals.events.v1.Event
//! ```
//!
//! Little endian. The record's checksum covers everything after it; the entry's makes one event readable and
//! verifiable without its record. `mark` is random per journal and `position` is where the record stands, so neither
//! the bytes of an event nor a misplaced block pass for a record.

use ulid::Ulid;

/// Bytes of a record before its first entry.
pub(super) const RECORD_HEADER: usize = 80;
/// Bytes of an entry before its event.
pub(crate) const ENTRY_HEADER: usize = 8;

/// The number of a relay's batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RelayBatch {
    /// The relay.
    pub(crate) relay: Ulid,
    /// Its batch, from 1.
    pub(crate) number: u64,
}

/// What a record says about itself and its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// Offset of its first event.
    pub(super) first: u64,
    /// Where it stands in its segment.
    pub(super) position: u64,
    /// Length of the segment that was durable before the group of this record was written.
    pub(super) synced: u64,
    /// When it was taken in, in milliseconds.
    pub(super) intake: i64,
    /// The relay's batch that it is, if it came from one.
    pub(super) relay: Option<RelayBatch>,
    /// How many entries follow.
    pub(super) events: u32,
}

/// A whole record.
pub(super) struct Record<'a> {
    pub(super) header: Header,
    entries: &'a [u8],
}

/// Appends an event as an entry to `entries`; `encode` writes its bytes.
pub(crate) fn push_entry(entries: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = entries.len();
    entries.extend_from_slice(&[0; ENTRY_HEADER]);
    encode(entries);
    let event = &entries[start + ENTRY_HEADER..];
    let (length, crc) = (event.len() as u32, crc32c::crc32c(event));
    entries[start..start + 4].copy_from_slice(&length.to_le_bytes());
    entries[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// The event in an entry, if it is as it was written.
pub(super) fn event_in(entry: &[u8]) -> Option<&[u8]> {
    let (length, crc) = (u32_at(entry, 0)?, u32_at(entry, 4)?);
    let event = entry.get(ENTRY_HEADER..)?;
    (event.len() == length as usize && crc32c::crc32c(event) == crc).then_some(event)
}

/// Completes the record that begins at `start` of `group` and whose entries follow its (still empty) header.
pub(super) fn seal(group: &mut [u8], start: usize, mark: u64, header: &Header) {
    let record = &mut group[start..];
    let length = record.len() as u32;
    let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &mark.to_le_bytes());
    put(12, &length.to_le_bytes());
    put(16, &header.first.to_le_bytes());
    put(24, &header.position.to_le_bytes());
    put(32, &header.synced.to_le_bytes());
    put(40, &header.intake.to_le_bytes());
    put(48, &header.relay.map_or(0, |batch| batch.relay.0).to_le_bytes());
    put(64, &header.relay.map_or(0, |batch| batch.number).to_le_bytes());
    put(72, &header.events.to_le_bytes());
    let crc = crc32c::crc32c(&record[12..]);
    record[8..12].copy_from_slice(&crc.to_le_bytes());
}

impl<'a> Record<'a> {
    /// The whole record at `position` of a segment's bytes, if there is one.
    pub(super) fn at(segment: &'a [u8], position: usize, mark: u64) -> Option<Self> {
        let rest = segment.get(position..)?;
        if u64_at(rest, 0)? != mark {
            return None;
        }
        let record = rest.get(..u32_at(rest, 12)? as usize)?;
        let entries = record.get(RECORD_HEADER..)?;
        if u32_at(record, 8)? != crc32c::crc32c(&record[12..]) {
            return None;
        }
        let relay = u128::from_le_bytes(record[48..64].try_into().ok()?);
        let number = u64_at(record, 64)?;
        let header = Header {
            first: u64_at(record, 16)?,
            position: u64_at(record, 24)?,
            synced: u64_at(record, 32)?,
            intake: u64_at(record, 40)? as i64,
            relay: (relay != 0).then_some(RelayBatch { relay: Ulid(relay), number }),
            events: u32_at(record, 72)?,
        };
        (header.position == position as u64).then_some(Self { header, entries })
    }

    /// Its length on disk.
    pub(super) fn len(&self) -> usize {
        RECORD_HEADER + self.entries.len()
    }

    /// The position of each entry in the segment, and its event. The record's checksum vouches for them.
    pub(super) fn events(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        let entries = self.entries;
        let start = self.header.position as usize + RECORD_HEADER;
        let mut at = 0;
        std::iter::from_fn(move || {
            let length = u32_at(entries, at)? as usize;
            let event = entries.get(at + ENTRY_HEADER..at + ENTRY_HEADER + length)?;
            let position = (start + at) as u32;
            at += ENTRY_HEADER + length;
            Some((position, event))
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: u64 = 0x1122_3344_5566_7788;

    fn record(events: &[&[u8]]) -> (Header, Vec<u8>) {
        let relay = Some(RelayBatch { relay: Ulid(7), number: 3 });
        let header = Header { first: 5, position: 10, synced: 10, intake: 99, relay, events: events.len() as u32 };
        let mut segment = vec![0; 10 + RECORD_HEADER];
        for event in events {
            push_entry(&mut segment, |bytes| bytes.extend_from_slice(event));
        }
        seal(&mut segment, 10, MARK, &header);
        (header, segment)
    }

    #[test]
    fn a_record_reads_back_as_it_was_sealed() {
        let (header, segment) = record(&[b"one", b"", b"three"]);
        let read = Record::at(&segment, 10, MARK).unwrap();
        assert_eq!(read.header, header);
        assert_eq!(read.len(), segment.len() - 10);
        let events: Vec<_> = read.events().collect();
        assert_eq!(events.iter().map(|(_, event)| *event).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        let entry = events[2].0 as usize;
        assert_eq!(event_in(&segment[entry..]), Some(&b"three"[..]));
    }

    #[test]
    fn a_record_with_any_bit_flipped_or_byte_missing_is_not_whole() {
        let (_, segment) = record(&[b"one", b"two"]);
        for bit in 80..segment.len() * 8 {
            let mut damaged = segment.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::at(&damaged, 10, MARK).is_none(), "bit {bit}");
        }
        for length in 10..segment.len() {
            assert!(Record::at(&segment[..length], 10, MARK).is_none(), "length {length}");
        }
    }

    #[test]
    fn a_record_at_another_place_or_of_another_journal_is_not_whole() {
        let (_, segment) = record(&[b"one"]);
        assert!(Record::at(&segment[1..], 9, MARK).is_none());
        assert!(Record::at(&segment, 10, MARK + 1).is_none());
    }
}
