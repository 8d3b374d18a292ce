//! Owns the credentials for a table's files that a REST catalog gives with the table, and asks for others before they
//! end. Never keeps them anywhere but in memory.

use std::{collections::HashMap, fmt, pin::Pin, sync::Arc};

use domain::Clock;
use object_store::{CredentialProvider, aws::AwsCredential};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::rest::Rest;
use crate::archive::Error;

/// Credentials of which the catalog does not say when they end are asked for again after this time, in milliseconds.
const ASSUMED: i64 = 5 * 60_000;
/// Others are asked for so long before the end, in milliseconds: longer than a request takes.
const MARGIN: i64 = 5 * 60_000;

/// What a table's answer says of how its files are reached.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Reach {
    config: Option<HashMap<String, String>>,
    storage_credentials: Option<Vec<StorageCredential>>,
}

/// Credentials for what is below a prefix.
#[derive(Clone, Deserialize)]
struct StorageCredential {
    prefix: String,
    #[serde(default)]
    config: HashMap<String, String>,
}

/// Whoever has the credentials for the files of one table.
pub(crate) struct Vended {
    rest: Rest,
    table: &'static str,
    clock: Clock,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credential: Arc<AwsCredential>,
    /// When others are asked for, and when it ends, in milliseconds since 1970.
    renewal: i64,
    end: i64,
}

impl Reach {
    /// What is said of the files at a location: by the longest prefix of it, or for all.
    pub(super) fn get(&self, name: &str, location: &str) -> Option<&str> {
        let credentials = self.storage_credentials.iter().flatten();
        let here = credentials.filter(|credential| location.starts_with(&credential.prefix));
        let nearest = here.max_by_key(|credential| credential.prefix.len());
        nearest
            .and_then(|nearest| nearest.config.get(name))
            .or_else(|| self.config.as_ref()?.get(name))
            .map(String::as_str)
    }

    fn credential(&self, location: &str) -> Option<AwsCredential> {
        let get = |name| self.get(name, location).map(str::to_owned);
        let (key_id, secret_key) = (get("s3.access-key-id")?, get("s3.secret-access-key")?);
        Some(AwsCredential { key_id, secret_key, token: get("s3.session-token") })
    }
}

impl Vended {
    pub(super) fn new(rest: Rest, table: &'static str, clock: Clock) -> Self {
        Self { rest, table, clock, kept: Mutex::new(None) }
    }

    /// The table that it is for.
    pub(crate) fn table(&self) -> &'static str {
        self.table
    }

    async fn credential(&self) -> Result<Arc<AwsCredential>, Error> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now().millis();
        if let Some(kept) = &*kept
            && now < kept.renewal
        {
            return Ok(Arc::clone(&kept.credential));
        }
        let asked = self.rest.reach(self.table).await;
        let (reach, location) = match (asked, &*kept) {
            (Ok(asked), _) => asked,
            // The catalog is away, and they still hold.
            (Err(_), Some(kept)) if now < kept.end => return Ok(Arc::clone(&kept.credential)),
            (Err(error), _) => return Err(error),
        };
        let credential = Arc::new(reach.credential(&location).ok_or_else(|| self.rest.lacks("s3.access-key-id"))?);
        let end = reach.get("s3.session-token-expires-at-ms", &location).and_then(|end| end.parse().ok());
        let renewal = end.map_or(now + ASSUMED, |end: i64| (end - MARGIN).max(now + (end - now) / 2));
        *kept = Some(Kept { credential: Arc::clone(&credential), renewal, end: end.unwrap_or(i64::MAX) });
        Ok(credential)
    }
}

impl fmt::Debug for Vended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vended({})", self.table)
    }
}

impl CredentialProvider for Vended {
    type Credential = AwsCredential;

    fn get_credential<'a, 'b>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async {
            let failed =
                |error| object_store::Error::Generic { store: "the catalog's credentials", source: Box::new(error) };
            self.credential().await.map_err(failed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_credentials_are_taken() {
        let reach: Reach = serde_json::from_str(
            r#"{
                "metadata-location": "s3://b/a/events/metadata/1.json",
                "config": {"s3.access-key-id": "all", "s3.secret-access-key": "s", "client.region": "eu"},
                "storage-credentials": [
                    {"prefix": "s3://b/a", "config": {"s3.access-key-id": "near", "s3.secret-access-key": "t"}},
                    {"prefix": "s3", "config": {"s3.access-key-id": "far", "s3.secret-access-key": "u"}},
                    {"prefix": "s3://b/other", "config": {"s3.access-key-id": "other"}}
                ]
            }"#,
        )
        .unwrap();
        let near = reach.credential("s3://b/a/events").unwrap();
        assert_eq!((near.key_id.as_str(), near.secret_key.as_str(), near.token), ("near", "t", None));
        assert_eq!(reach.credential("gs://b").unwrap().key_id, "all");
        assert_eq!(reach.get("client.region", "s3://b/a/events"), Some("eu"));
        let none: Reach = serde_json::from_str(r#"{"storage-credentials": null}"#).unwrap();
        assert!(none.credential("s3://b").is_none());
    }
}
