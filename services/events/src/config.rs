//! Settings of the events service.

use std::time::Duration;

use serve::config::Setting;

use crate::{flush::Flush, journal::Settings};

serve::settings! {
    /// What the events service needs to know.
    pub struct Config {
        /// Bytes after which the journal begins a new segment file: 64 KiB to 1 GiB.
        pub journal_segment_bytes: Bytes<65_536, 1_073_741_824> = "67108864",
        /// Bytes of appends that may wait for the disk before more are refused: 1 MiB to 1 GiB.
        pub journal_queue_bytes: Bytes<1_048_576, 1_073_741_824> = "67108864",
        /// Bytes of events after which the journal is flushed into the archive: 64 KiB to 1 GiB.
        pub archive_flush_bytes: Bytes<65_536, 1_073_741_824> = "67108864",
        /// How long an event stays in the journal alone, if there are fewer bytes.
        pub archive_flush_interval: Duration = "5m",
        /// How long old snapshots of the archive, and files that only they refer to, are kept: longer than a reader of
        /// another engine takes.
        pub archive_retention: Duration = "1h",
        /// Bytes that the groups of one aggregate may take: 1 MiB to 64 GiB. Two run at a time.
        pub query_memory_bytes: Bytes<1_048_576, 68_719_476_736> = "134217728",
    }
}

/// A number of bytes between two bounds, both inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bytes<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Setting for Bytes<MIN, MAX> {
    const SHAPE: &'static str = "NUMBER";

    fn from_text(text: &str) -> Result<Self, String> {
        let bytes = text.parse().ok().filter(|bytes| (MIN..=MAX).contains(bytes));
        bytes.map(Self).ok_or_else(|| format!("`{text}` is not a whole number from {MIN} to {MAX}"))
    }
}

impl Config {
    /// How the journal is kept.
    pub(crate) fn journal(&self) -> Settings {
        let Self { journal_segment_bytes, journal_queue_bytes, .. } = self;
        Settings { segment_bytes: journal_segment_bytes.0, queue_bytes: journal_queue_bytes.0 as usize }
    }

    /// What the groups of one aggregate may take.
    pub(crate) fn query_memory(&self) -> usize {
        self.query_memory_bytes.0 as usize
    }

    /// When the journal is flushed.
    pub(crate) fn flush(&self) -> Flush {
        Flush { bytes: self.archive_flush_bytes.0, interval: self.archive_flush_interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_out_of_its_bounds_is_refused_with_them() {
        assert_eq!(Bytes::<2, 4>::from_text("4"), Ok(Bytes(4)));
        for text in ["1", "5", "-2", "2MB", ""] {
            let problem = Bytes::<2, 4>::from_text(text).unwrap_err();
            assert_eq!(problem, format!("`{text}` is not a whole number from 2 to 4"));
        }
    }
}
