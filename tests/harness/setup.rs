//! Owns what a cluster is started with: how it is spread, and the settings of each service. Starts nothing.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, OnceLock},
};

use crate::{catalogs::CatalogServer, s3};

/// The name of the second process of things.
pub(crate) const SECOND: &str = "second";

/// How the services are spread over processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topology {
    /// `annals serve`.
    AllInOne,
    /// `things`, `events`, `search` and `gateway`.
    Separate,
    /// `events`, and two of `things` on one database.
    Replicas,
}

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) topology: Topology,
    pub(crate) keys: Option<String>,
    pub(crate) proxy: Option<Proxy>,
    is_archiving: bool,
    of_things: Vec<(&'static str, String)>,
    of_events: Vec<(&'static str, String)>,
    pub(crate) of_search: Vec<(&'static str, String)>,
}

/// What the relay meets instead of events.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) target: Arc<OnceLock<SocketAddr>>,
}

impl Setup {
    /// Without keys: everybody is admin of the tenant `default`.
    pub fn new(topology: Topology) -> Self {
        let (of_things, of_events, of_search) = Default::default();
        Self { topology, keys: None, proxy: None, is_archiving: false, of_things, of_events, of_search }
    }

    /// With this `keys.toml`.
    #[must_use]
    pub fn keys(self, toml: impl Into<String>) -> Self {
        Self { keys: Some(toml.into()), ..self }
    }

    /// Events go into the archive at once, and what nothing refers to leaves it when it is asked to expire.
    #[must_use]
    pub fn archiving(self) -> Self {
        Self { is_archiving: true, ..self }
    }

    /// The archive has this catalog.
    #[must_use]
    pub fn catalog(mut self, catalog: &CatalogServer) -> Self {
        for (variable, name) in [
            ("ANNALS_ARCHIVE_CATALOG", "url"),
            ("ANNALS_ARCHIVE_CATALOG_TOKEN", "token"),
            ("ANNALS_ARCHIVE_CATALOG_WAREHOUSE", "warehouse"),
        ] {
            if let Some(text) = catalog.told(name) {
                self = self.events_setting(variable, text);
            }
        }
        self
    }

    /// Things are in the database of this address, whose tables are made.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.of_things.push(("ANNALS_THINGS_STORE", url.to_owned()));
        self
    }

    /// Gives events a setting, by the name of its variable.
    #[must_use]
    pub fn events_setting(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.of_events.push((variable, value.into()));
        self
    }

    /// Gives search a setting, by the name of its variable.
    #[must_use]
    pub fn search_setting(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.of_search.push((variable, value.into()));
        self
    }

    /// The archive is in the bucket of the S3 server at `endpoint`, below a prefix.
    #[must_use]
    pub fn bucket(self, endpoint: &str, prefix: &str) -> Self {
        self.events_setting("ANNALS_ARCHIVE_URL", format!("s3://{}/{prefix}", s3::BUCKET))
            .events_setting("ANNALS_ARCHIVE_S3_ENDPOINT", endpoint)
            .events_setting("ANNALS_ARCHIVE_S3_ACCESS_KEY_ID", "annals")
            .events_setting("ANNALS_ARCHIVE_S3_SECRET_ACCESS_KEY", "annals")
    }

    /// The relay reaches events through this address (a proxy of the test), everybody else directly. Where events is,
    /// `target` has before the relay is there. For separate processes.
    #[must_use]
    pub fn relay_through(self, address: SocketAddr, target: Arc<OnceLock<SocketAddr>>) -> Self {
        Self { proxy: Some(Proxy { address, target }), ..self }
    }

    /// Gives the program of that name its settings.
    pub(crate) fn configure(&self, name: &str, command: &mut Command) {
        if self.is_archiving && matches!(name, "annals" | "events") {
            command.args(["--archive-flush-interval", "1ms", "--archive-retention", "0ms"]);
        }
        let settings = [("things", &self.of_things), ("events", &self.of_events), ("search", &self.of_search)];
        for (_, settings) in settings
            .into_iter()
            .filter(|(service, _)| name == "annals" || name == *service || (name, *service) == (SECOND, "things"))
        {
            command.envs(settings.iter().map(|(variable, value)| (variable, value)));
        }
    }
}
