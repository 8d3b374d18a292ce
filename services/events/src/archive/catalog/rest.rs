//! Owns the conversation with a catalog of Iceberg's REST protocol. Never writes a metadata file: the server does.

use std::{collections::HashMap, time::Duration};

use iceberg::{
    TableRequirement, TableUpdate,
    spec::{Schema, SortOrder, TableMetadata, UnboundPartitionSpec},
};
use reqwest::{Client, Method, StatusCode, redirect};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serve::config::Secret;

use super::{Choice, Current, NAMESPACE, Outcome, vended::Reach};
use crate::archive::Error;

/// The longest that a connection is waited for.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer: the metadata of a table with some 100,000 snapshots.
const MAX_ANSWER: usize = 64 << 20;
/// What asks for credentials for the files of a table.
const DELEGATION: (&str, &str) = ("x-iceberg-access-delegation", "vended-credentials");
/// What is told of a refusal.
const MAX_SAID: usize = 300;

/// A REST catalog.
#[derive(Clone)]
pub(crate) struct Rest {
    client: Client,
    token: Option<Secret>,
    /// As it was set: what is told in errors.
    url: String,
    /// What every path begins with.
    root: String,
    /// Whether it is asked for credentials for the files.
    is_vending: bool,
}

/// `GET /v1/config`.
#[derive(Deserialize)]
struct Config {
    defaults: Option<HashMap<String, String>>,
    overrides: Option<HashMap<String, String>>,
}

/// What a table is loaded or changed to.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Loaded {
    metadata_location: String,
    metadata: TableMetadata,
}

#[derive(Serialize)]
struct NewNamespace {
    namespace: [&'static str; 1],
    properties: HashMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct NewTable<'a> {
    name: &'a str,
    location: &'a str,
    schema: &'a Schema,
    partition_spec: UnboundPartitionSpec,
    write_order: &'a SortOrder,
    properties: HashMap<String, String>,
}

#[derive(Serialize)]
struct NewCommit<'a> {
    identifier: Identifier<'a>,
    requirements: &'a [TableRequirement],
    updates: &'a [TableUpdate],
}

#[derive(Serialize)]
struct Identifier<'a> {
    namespace: [&'static str; 1],
    name: &'a str,
}

/// What a refusal says, where it is the catalog that refuses.
#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    message: String,
}

/// Why there is no answer of use.
enum Failure {
    /// Nothing was sent.
    Unsent(reqwest::Error),
    /// Something was sent; whether it was done is not known.
    Unanswered(Box<dyn std::error::Error + Send + Sync>),
    /// The server, or a proxy before it, said so.
    Refused(StatusCode, String),
}

impl Rest {
    /// Asks for the catalog's configuration, and makes the namespace if it is not there.
    pub(super) async fn open(url: &str, choice: &Choice) -> Result<Self, Error> {
        let client = Client::builder()
            .connect_timeout(CONNECT_PATIENCE)
            .timeout(PATIENCE)
            // The token is for this server; and what is set is set by our settings.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Error::CatalogAway { catalog: url.to_owned(), source: Box::new(error) })?;
        let mut catalog = Self {
            client,
            token: choice.token.clone(),
            url: url.to_owned(),
            root: format!("{url}/v1"),
            is_vending: choice.is_vending,
        };
        let query: Vec<_> = choice.warehouse.iter().map(|warehouse| ("warehouse", warehouse.as_str())).collect();
        let request = catalog.request(Method::GET, "config").query(&query);
        let config: Config =
            catalog.call(request).await.map_err(|failure| catalog.error("the configuration", failure))?;
        let of = |some: &Option<HashMap<String, String>>, name: &str| some.as_ref()?.get(name).cloned();
        let set = |name: &str| of(&config.overrides, name).or_else(|| of(&config.defaults, name));
        let base = set("uri").unwrap_or_else(|| url.to_owned());
        let base = base.trim_end_matches('/').trim_end_matches("/v1");
        let prefix = set("prefix").unwrap_or_default();
        catalog.root = match prefix.trim_matches('/') {
            "" => format!("{base}/v1"),
            prefix => format!("{base}/v1/{prefix}"),
        };
        catalog.make_namespace().await?;
        Ok(catalog)
    }

    /// A table as it is now; nothing if there is no such table.
    pub(super) async fn load(&self, table: &str) -> Result<Option<Current>, Error> {
        let request = self.request(Method::GET, &table_path(table));
        match self.call::<Loaded>(request).await {
            Ok(Loaded { metadata, metadata_location }) => Ok(Some(Current { metadata, location: metadata_location })),
            Err(Failure::Refused(StatusCode::NOT_FOUND, _)) => Ok(None),
            Err(failure) => Err(self.error("a table", failure)),
        }
    }

    /// Makes a table with the columns and partitions of `metadata`, unless it is there.
    pub(super) async fn create(&self, table: &str, metadata: &TableMetadata) -> Result<(), Error> {
        let mut properties = metadata.properties().clone();
        properties.insert("format-version".to_owned(), (metadata.format_version() as u8).to_string());
        let new = NewTable {
            name: table,
            location: metadata.location(),
            schema: metadata.current_schema(),
            partition_spec: metadata.default_partition_spec().as_ref().clone().into_unbound(),
            write_order: metadata.default_sort_order(),
            properties,
        };
        let request = self.request(Method::POST, &format!("namespaces/{NAMESPACE}/tables")).json(&new);
        let made = match self.call::<Loaded>(request).await {
            Ok(made) => made.metadata,
            Err(Failure::Refused(StatusCode::CONFLICT, _)) => return Ok(()),
            Err(failure) => return Err(self.error("to make a table", failure)),
        };
        // The protocol lets a server give other ids to the columns; our files have ours.
        let is_ours = made.current_schema().as_struct() == metadata.current_schema().as_struct()
            && made.default_partition_spec().fields() == metadata.default_partition_spec().fields()
            && made.format_version() == metadata.format_version();
        if is_ours {
            return Ok(());
        }
        let said = format!("table {table} was made with other columns, partitions or version than asked for");
        Err(Error::CatalogRefused { catalog: self.url.clone(), said })
    }

    /// Makes a change of a table if what is required of it holds. An error means that it is not done, and never will be.
    pub(super) async fn commit(
        &self,
        table: &str,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<Outcome, Error> {
        let identifier = Identifier { namespace: [NAMESPACE], name: table };
        let commit = NewCommit { identifier, requirements, updates };
        let request = self.request(Method::POST, &table_path(table)).json(&commit);
        match self.call::<Loaded>(request).await {
            Ok(Loaded { metadata, metadata_location }) => {
                Ok(Outcome::Done(Box::new(Current { metadata, location: metadata_location })))
            }
            Err(Failure::Refused(StatusCode::CONFLICT, _)) => Ok(Outcome::Lost),
            Err(failure) => {
                // Of 500, 502 and 504 the protocol says that the commit may be done; the others are as good as no answer.
                let is_unknown = match &failure {
                    Failure::Unsent(_) => false,
                    Failure::Unanswered(_) => true,
                    Failure::Refused(status, _) => status.is_server_error() || *status == StatusCode::REQUEST_TIMEOUT,
                };
                let error = self.error("a commit", failure);
                if is_unknown { Ok(Outcome::Unknown(error)) } else { Err(error) }
            }
        }
    }

    /// How the files of a table are reached, and where they are.
    pub(super) async fn reach(&self, table: &str) -> Result<(Reach, String), Error> {
        #[derive(Deserialize)]
        struct Reached {
            metadata: Located,
            #[serde(flatten)]
            reach: Reach,
        }
        #[derive(Deserialize)]
        struct Located {
            location: String,
        }
        let request = self.request(Method::GET, &table_path(table));
        let reached: Reached = self.call(request).await.map_err(|failure| self.error("a table", failure))?;
        Ok((reached.reach, reached.metadata.location))
    }

    /// The error where the catalog does not say how files are reached.
    pub(super) fn lacks(&self, what: &str) -> Error {
        let said =
            format!("it gives no {what} with a table: give --archive-s3-access-key-id and the other settings of it");
        Error::CatalogRefused { catalog: self.url.clone(), said }
    }

    async fn make_namespace(&self) -> Result<(), Error> {
        if self.has_namespace().await? {
            return Ok(());
        }
        let new = NewNamespace { namespace: [NAMESPACE], properties: HashMap::new() };
        let request = self.request(Method::POST, "namespaces").json(&new);
        match self.call::<serde_json::Value>(request).await {
            Ok(_) => Ok(()),
            // Somebody else has made it, or the answer was lost.
            Err(_) if self.has_namespace().await? => Ok(()),
            Err(failure) => Err(self.error("to make the namespace", failure)),
        }
    }

    async fn has_namespace(&self) -> Result<bool, Error> {
        let request = self.request(Method::GET, &format!("namespaces/{NAMESPACE}"));
        match self.call::<serde_json::Value>(request).await {
            Ok(_) => Ok(true),
            Err(Failure::Refused(StatusCode::NOT_FOUND, _)) => Ok(false),
            Err(failure) => Err(self.error("the namespace", failure)),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}/{path}", self.root));
        let request = if self.is_vending { request.header(DELEGATION.0, DELEGATION.1) } else { request };
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn call<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Failure> {
        let mut response = request.send().await.map_err(|error| {
            let error = error.without_url();
            let is_unsent = error.is_connect() || error.is_builder();
            if is_unsent { Failure::Unsent(error) } else { Failure::Unanswered(error.into()) }
        })?;
        let mut body = Vec::new();
        while let Some(part) =
            response.chunk().await.map_err(|error| Failure::Unanswered(error.without_url().into()))?
        {
            body.extend_from_slice(&part);
            if body.len() > MAX_ANSWER {
                return Err(Failure::Unanswered(format!("the answer is larger than {MAX_ANSWER} bytes").into()));
            }
        }
        if response.status().is_success() {
            return serde_json::from_slice(&body).map_err(|error| Failure::Unanswered(error.into()));
        }
        let said = match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => refusal.error.message,
            Err(_) => String::from_utf8_lossy(&body).into_owned(),
        };
        Err(Failure::Refused(response.status(), said.chars().take(MAX_SAID).collect()))
    }

    fn error(&self, asked: &str, failure: Failure) -> Error {
        let catalog = self.url.clone();
        match failure {
            Failure::Unsent(error) => Error::CatalogAway { catalog, source: error.into() },
            Failure::Unanswered(source) => Error::CatalogAway { catalog, source },
            Failure::Refused(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), said) => {
                let said = format!("{asked} is answered {status}: {said}: give another --archive-catalog-token");
                Error::CatalogRefused { catalog, said }
            }
            Failure::Refused(status, said) => {
                Error::CatalogRefused { catalog, said: format!("{asked} is answered {status}: {said}") }
            }
        }
    }
}

fn table_path(table: &str) -> String {
    format!("namespaces/{NAMESPACE}/tables/{table}")
}
