//! Settings of the events service.

mod bucket;

use std::time::Duration;

use serve::config::{Mistake, Mistakes, Setting};

pub use self::bucket::{ArchiveUrl, Endpoint, Secret};
use crate::{
    archive::{Access, Place},
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
        /// Where the files of the archive are: `s3://BUCKET/PREFIX`. Without it: the data directory.
        pub archive_url: Option<ArchiveUrl>,
        /// Where the bucket is, if not at AWS: `https://ACCOUNT.r2.cloudflarestorage.com`.
        pub archive_s3_endpoint: Option<Endpoint>,
        /// Region of the bucket; R2 calls all of it `auto`.
        pub archive_s3_region: String = "auto",
        /// Id of the access key for the bucket.
        pub archive_s3_access_key_id: Option<String>,
        /// Secret of the access key.
        pub archive_s3_secret_access_key: Option<Secret>,
        /// Session token, if the access key is a temporary one.
        pub archive_s3_session_token: Option<Secret>,
        /// How long one request to the bucket may take, 100ms to 5m: a part of 8 MiB has to fit in.
        pub archive_s3_timeout: Duration = "30s",
    }
}

/// What a region is called where there is only one.
const REGION: &str = "auto";
/// The shortest and the longest that a request may take.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_mins(5));

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

    /// Where the archive is. The mistakes are those that no setting shows by itself.
    pub(crate) fn place(&self) -> Result<Place, Mistakes> {
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
                if !is_given && matches!(name, "access-key-id" | "secret-access-key") {
                    mistake(name, "must be given with --archive-url");
                }
            }
            if self.archive_s3_endpoint.is_none() && self.archive_s3_region == REGION {
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
        }))
    }

    /// When the journal is flushed.
    pub(crate) fn flush(&self) -> Flush {
        Flush { bytes: self.archive_flush_bytes.0, interval: self.archive_flush_interval }
    }
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
            archive_url: text(&given, "url"),
            archive_s3_endpoint: text(&given, "endpoint"),
            archive_s3_region: text(&given, "region").unwrap_or_else(|| "auto".into()),
            archive_s3_access_key_id: text(&given, "key"),
            archive_s3_secret_access_key: text(&given, "secret"),
            archive_s3_session_token: text(&given, "token"),
            archive_s3_timeout: text(&given, "timeout").unwrap_or(Duration::from_secs(30)),
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
    fn a_size_out_of_its_bounds_is_refused_with_them() {
        assert_eq!(Bytes::<2, 4>::from_text("4"), Ok(Bytes(4)));
        for text in ["1", "5", "-2", "2MB", ""] {
            let problem = Bytes::<2, 4>::from_text(text).unwrap_err();
            assert_eq!(problem, format!("`{text}` is not a whole number from 2 to 4"));
        }
    }
}
