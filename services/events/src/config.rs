//! Settings of the events service.

mod bucket;

use std::time::Duration;

use serve::config::{Mistake, Mistakes, Secret, Setting};

pub use self::bucket::{ArchiveUrl, Endpoint};
use crate::{
    archive::{Access, Address, Choice, Place, Site},
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
        /// Who merges small files of the archive: `own`, this server; `catalog`, what keeps the catalog, as R2 Data Catalog does
        /// where compaction is enabled.
        pub archive_compaction: Compaction = "own",
        /// Which metadata of the archive's tables is the current one: `postgres://USER@HOST/DATABASE` for a SQL catalog,
        /// `https://HOST/PATH` for one of Iceberg's REST protocol. Without it, `catalog.db` in the data directory.
        pub archive_catalog: Option<Address>,
        /// The bearer token that a REST catalog knows this server by.
        pub archive_catalog_token: Option<Secret>,
        /// The warehouse that a REST catalog is asked for.
        pub archive_catalog_warehouse: Option<String>,
        /// Where the files of the archive are: `s3://BUCKET/PREFIX`. Without it: the data directory.
        pub archive_url: Option<ArchiveUrl>,
        /// Where the bucket is, if not at AWS: `https://ACCOUNT.r2.cloudflarestorage.com`.
        pub archive_s3_endpoint: Option<Endpoint>,
        /// Region of the bucket; R2 calls all of it `auto`.
        pub archive_s3_region: String = "auto",
        /// Id of the access key for the bucket. Without it and its secret, a REST catalog is asked for them.
        pub archive_s3_access_key_id: Option<String>,
        /// Secret of the access key.
        pub archive_s3_secret_access_key: Option<Secret>,
        /// Session token, if the access key is a temporary one.
        pub archive_s3_session_token: Option<Secret>,
        /// How long one request to the bucket may take, 100ms to 5m: a part of 8 MiB has to fit in.
        pub archive_s3_timeout: Duration = "30s",
        /// Bytes that the groups of one aggregate may take: 1 MiB to 64 GiB. Two run at a time.
        pub query_memory_bytes: Bytes<1_048_576, 68_719_476_736> = "134217728",
    }
}

/// What a region is called where there is only one.
pub(crate) const REGION: &str = "auto";
/// The shortest and the longest that a request may take.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_mins(5));

/// Who merges small files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compaction {
    /// This server.
    Own,
    /// What keeps the catalog.
    Catalog,
}

impl Setting for Compaction {
    const SHAPE: &'static str = "own|catalog";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "own" => Ok(Self::Own),
            "catalog" => Ok(Self::Catalog),
            _ => Err(format!("`{text}` is neither `own` nor `catalog`")),
        }
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

    /// Where the archive is kept. The mistakes are those that no setting shows by itself.
    pub(crate) fn site(&self) -> Result<Site, Mistakes> {
        Ok(Site { place: self.place()?, catalog: self.catalog()? })
    }

    /// Which catalog the archive has; refused if there are settings for another kind of it.
    fn catalog(&self) -> Result<Choice, Mistakes> {
        let choice = Choice {
            address: self.archive_catalog.clone(),
            token: self.archive_catalog_token.clone(),
            warehouse: self.archive_catalog_warehouse.clone(),
            is_vending: self.is_vending(),
        };
        check(choice)
    }

    /// Whether a REST catalog is to give the key for the bucket.
    fn is_vending(&self) -> bool {
        let has_key = self.archive_s3_access_key_id.is_some() || self.archive_s3_secret_access_key.is_some();
        matches!(self.archive_catalog, Some(Address::Rest(_))) && self.archive_url.is_some() && !has_key
    }

    /// Where the archive is. The mistakes are those that no setting shows by itself.
    fn place(&self) -> Result<Place, Mistakes> {
        let is_vending = self.is_vending();
        let mut mistakes = Vec::new();
        let mut mistake = |name: &str, problem: &str| {
            mistakes.push(Mistake { origin: format!("--archive-s3-{name}"), problem: problem.to_owned() });
        };
        let given = [
            ("endpoint", self.archive_s3_endpoint.is_some()),
            ("region", self.archive_s3_region != REGION),
            ("access-key-id", self.archive_s3_access_key_id.is_some()),
            ("secret-access-key", self.archive_s3_secret_access_key.is_some()),
            ("session-token", self.archive_s3_session_token.is_some()),
        ];
        if self.archive_url.is_none() {
            for (name, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                mistake(name, "goes with --archive-url s3://BUCKET/PREFIX, which is not given");
            }
        } else {
            for (name, is_given) in given {
                if !is_given && !is_vending && matches!(name, "access-key-id" | "secret-access-key") {
                    mistake(name, "must be given with --archive-url, unless a REST catalog gives both");
                }
            }
            if self.archive_s3_endpoint.is_none() && self.archive_s3_region == REGION && !is_vending {
                mistake("region", "must be given where there is no --archive-s3-endpoint: AWS has a name for each");
            }
        }
        if !self.archive_s3_region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            mistake("region", "must be letters, digits and hyphens");
        }
        if !self.archive_s3_access_key_id.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_graphic())) {
            mistake("access-key-id", "must be printable ASCII without spaces");
        }
        if !(TIMEOUTS.0..=TIMEOUTS.1).contains(&self.archive_s3_timeout) {
            mistake("timeout", "must be 100ms to 5m");
        }
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let Some(url) = self.archive_url.clone() else { return Ok(Place::Here) };
        Ok(Place::Bucket(Access {
            url,
            endpoint: self.archive_s3_endpoint.clone(),
            region: self.archive_s3_region.clone(),
            key_id: self.archive_s3_access_key_id.clone().unwrap_or_default(),
            secret: self.archive_s3_secret_access_key.clone().unwrap_or_default(),
            session_token: self.archive_s3_session_token.clone(),
            timeout: self.archive_s3_timeout,
            vended: Vec::new(),
        }))
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
    use std::collections::BTreeMap;

    use super::*;

    fn text<T: Setting>(given: &BTreeMap<&str, &str>, name: &str) -> Option<T> {
        given.get(name).map(|text| T::from_text(text).unwrap())
    }

    fn place(given: &[(&str, &str)]) -> Result<Place, String> {
        let given: BTreeMap<_, _> = given.iter().copied().collect();
        let config = Config {
            journal_segment_bytes: Bytes(1 << 20),
            journal_queue_bytes: Bytes(1 << 20),
            archive_flush_bytes: Bytes(1 << 20),
            archive_flush_interval: Duration::from_secs(1),
            archive_retention: Duration::from_secs(1),
            archive_compaction: Compaction::Own,
            archive_catalog: None,
            archive_catalog_token: None,
            archive_catalog_warehouse: None,
            archive_url: text(&given, "url"),
            archive_s3_endpoint: text(&given, "endpoint"),
            archive_s3_region: text(&given, "region").unwrap_or_else(|| "auto".into()),
            archive_s3_access_key_id: text(&given, "key"),
            archive_s3_secret_access_key: text(&given, "secret"),
            archive_s3_session_token: text(&given, "token"),
            archive_s3_timeout: text(&given, "timeout").unwrap_or(Duration::from_secs(30)),
            query_memory_bytes: Bytes(1 << 20),
        };
        config.place().map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_bucket_needs_its_key_and_where_it_is() {
        let whole = [("url", "s3://bucket/p"), ("region", "eu-west-1"), ("key", "k"), ("secret", "hush")];
        let Ok(Place::Bucket(access)) = place(&whole) else { panic!("it is whole") };
        assert!(!format!("{access:?}").contains("hush"));
        assert!(matches!(place(&[]), Ok(Place::Here)));
        let lacking = |setting| whole.into_iter().filter(|(name, _)| *name != setting).collect::<Vec<_>>();
        for (setting, named) in [
            ("key", "--archive-s3-access-key-id: must be given"),
            ("secret", "--archive-s3-secret-access-key: must be given"),
            ("region", "--archive-s3-region: must be given"),
            ("url", "--archive-s3-access-key-id: goes with --archive-url"),
        ] {
            let mistakes = place(&lacking(setting)).unwrap_err();
            assert!(mistakes.contains(named), "{mistakes}");
        }
        let mistakes =
            place(&[("url", "s3://bucket"), ("timeout", "1ms"), ("region", "Über"), ("key", "a b")]).unwrap_err();
        for named in
            ["--archive-s3-timeout", "--archive-s3-region", "--archive-s3-access-key-id", "--archive-s3-secret"]
        {
            assert!(mistakes.contains(named), "{mistakes}");
        }
    }

    #[test]
    fn a_token_for_a_catalog_that_takes_none_is_refused() {
        let choice = |address: Option<&str>| Choice {
            address: address.map(|text| Address::from_text(text).unwrap()),
            token: Some(Secret::from_text("t").unwrap()),
            warehouse: Some("w".into()),
            is_vending: false,
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
