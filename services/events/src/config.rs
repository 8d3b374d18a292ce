//! Settings of the events service.

use std::time::Duration;

use serve::config::{Mistake, Mistakes, Setting};

use crate::{
    archive::{Address, Choice, Secret},
    flush::Flush,
    journal::Settings,
};

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
        /// Which metadata of the archive's tables is the current one: `postgres://USER@HOST/DATABASE` for a SQL catalog,
        /// `https://HOST/PATH` for one of Iceberg's REST protocol. Without it, `catalog.db` in the data directory.
        pub archive_catalog: Option<Address>,
        /// The bearer token that a REST catalog knows this server by.
        pub archive_catalog_token: Option<Secret>,
        /// The warehouse that a REST catalog is asked for.
        pub archive_catalog_warehouse: Option<String>,
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

    /// Which catalog the archive has; refused if there are settings for another kind of it.
    pub(crate) fn catalog(&self) -> Result<Choice, Mistakes> {
        let choice = Choice {
            address: self.archive_catalog.clone(),
            token: self.archive_catalog_token.clone(),
            warehouse: self.archive_catalog_warehouse.clone(),
        };
        check(choice)
    }

    /// When the journal is flushed.
    pub(crate) fn flush(&self) -> Flush {
        Flush { bytes: self.archive_flush_bytes.0, interval: self.archive_flush_interval }
    }
}

fn check(choice: Choice) -> Result<Choice, Mistakes> {
    const RULE: &str = "is for a REST catalog: give --archive-catalog https://HOST/PATH as well, or leave this out";
    if matches!(choice.address, Some(Address::Rest(_))) {
        return Ok(choice);
    }
    let given = [
        ("--archive-catalog-token", choice.token.is_some()),
        ("--archive-catalog-warehouse", choice.warehouse.is_some()),
    ];
    let wrong: Vec<_> = given
        .into_iter()
        .filter(|(_, is_given)| *is_given)
        .map(|(flag, _)| Mistake { origin: flag.to_owned(), problem: RULE.to_owned() })
        .collect();
    if wrong.is_empty() { Ok(choice) } else { Err(Mistakes(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_a_catalog_that_takes_none_is_refused() {
        let choice = |address: Option<&str>| Choice {
            address: address.map(|text| Address::from_text(text).unwrap()),
            token: Some(Secret::from_text("t").unwrap()),
            warehouse: Some("w".into()),
        };
        for address in [None, Some("postgres://host/database")] {
            let Mistakes(mistakes) = check(choice(address)).unwrap_err();
            let origins: Vec<_> = mistakes.iter().map(|mistake| mistake.origin.as_str()).collect();
            assert_eq!(origins, ["--archive-catalog-token", "--archive-catalog-warehouse"]);
        }
        assert!(check(choice(Some("https://host"))).is_ok());
    }

    #[test]
    fn a_size_out_of_its_bounds_is_refused_with_them() {
        assert_eq!(Bytes::<2, 4>::from_text("4"), Ok(Bytes(4)));
        for text in ["1", "5", "-2", "2MB", ""] {
            let problem = Bytes::<2, 4>::from_text(text).unwrap_err();
            assert_eq!(problem, format!("`{text}` is not a whole number from 2 to 4"));
        }
    }
}
