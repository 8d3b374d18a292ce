//! Owns which metadata is a table's current one. Never decides what a table has, and never removes a file that may
//! have been committed.
//!
//! A SQL catalog has one row for a table, with the location of its metadata: a commit writes another metadata file and
//! puts its location there, if the one before still is. The two tables are those that the SQL catalogs of Iceberg's Java,
//! Python and Rust libraries share, so each of these opens the archive by them. A REST catalog is told what changes;
//! it writes the file itself, and refuses if the table has another snapshot than the one before.

mod address;
#[cfg(test)]
mod conformance;
mod postgres;
mod rest;
mod sqlite;
mod vended;

use std::{path::Path, sync::Arc};

use domain::Clock;
use iceberg::{
    MetadataLocation, TableRequirement, TableUpdate,
    spec::{MAIN_BRANCH, TableMetadata},
};
use serve::config::Secret;
use tokio::runtime::Handle;

pub use self::address::Address;
pub(crate) use self::vended::Vended;
use self::{postgres::Postgres, rest::Rest, sqlite::Sqlite};
use super::{
    Error,
    store::{Place, Store, wait},
    table::Table,
};
use crate::{config::REGION, journal::Identity};

/// The name of the catalog in the rows of a SQL catalog.
const CATALOG: &str = "annals";
/// The namespace of the tables.
const NAMESPACE: &str = "annals";
/// The tables of a SQL catalog.
const SQL_TABLES: &str = "
    create table if not exists iceberg_tables (
        catalog_name varchar(255) not null,
        table_namespace varchar(255) not null,
        table_name varchar(255) not null,
        metadata_location varchar(1000),
        previous_metadata_location varchar(1000),
        iceberg_type varchar(5),
        primary key (catalog_name, table_namespace, table_name)
    );
    create table if not exists iceberg_namespace_properties (
        catalog_name varchar(255) not null,
        namespace varchar(255) not null,
        property_key varchar(255) not null,
        property_value varchar(1000),
        primary key (catalog_name, namespace, property_key)
    );";

/// Which catalog the archive has, as it was set.
#[derive(Clone, Default, Debug)]
pub(crate) struct Choice {
    /// Without one, it is SQLite in the directory.
    pub(crate) address: Option<Address>,
    /// What a REST catalog knows us by.
    pub(crate) token: Option<Secret>,
    /// What a REST catalog is asked for.
    pub(crate) warehouse: Option<String>,
    /// Whether a REST catalog gives the credentials for the files.
    pub(crate) is_vending: bool,
}

/// The catalog.
pub(crate) enum Catalog {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
    Rest(Rest),
}

/// A table as the catalog has it.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) metadata: TableMetadata,
    /// Where that metadata is.
    pub(crate) location: String,
}

/// What is to become of a table.
pub(crate) struct Next {
    /// The metadata as it then is.
    pub(crate) metadata: TableMetadata,
    /// What makes it of the metadata before.
    pub(crate) updates: Vec<TableUpdate>,
}

/// What has become of a commit.
pub(crate) enum Outcome {
    /// It is the table's current metadata, durably.
    Done(Box<Current>),
    /// The table is another one than it was made for: nothing of it is in the catalog, or ever will be.
    Lost,
    /// There was no answer: it may be done, and may yet be done.
    Unknown(Error),
}

/// What has become of a swap of one location for another.
enum Swap {
    Done,
    Lost,
    Unknown(Error),
}

impl Catalog {
    /// Opens the catalog, made if it is not there: by default `catalog.db` in a directory. Fails if it does not answer.
    pub(crate) fn open(choice: &Choice, dir: &Path, runtime: &Handle) -> Result<Self, Error> {
        Ok(match &choice.address {
            None => Self::Sqlite(Sqlite::open(&dir.join("catalog.db"))?),
            Some(Address::Postgres(options)) => Self::Postgres(Box::new(wait(runtime, Postgres::open(options))?)),
            Some(Address::Rest(url)) => Self::Rest(wait(runtime, Rest::open(url, choice))?),
        })
    }

    /// The place with what the catalog says of how it is reached, if it is to be asked. Makes the tables, which it says
    /// that with.
    pub(crate) fn furnish(
        &self,
        place: &Place,
        identity: Identity,
        clock: &Clock,
        runtime: &Handle,
    ) -> Result<Place, Error> {
        let (Self::Rest(rest), Place::Bucket(access)) = (self, place) else { return Ok(place.clone()) };
        let mut access = access.clone();
        if !access.key_id.is_empty() {
            return Ok(Place::Bucket(access));
        }
        for table in Table::ALL {
            let name = table.name();
            let (reach, location) = wait(runtime, async {
                if rest.load(name).await?.is_none() {
                    let metadata = table.create(&access.url.to_string(), identity)?;
                    rest.create(name, &metadata).await?;
                }
                rest.reach(name).await
            })?;
            if let (None, Some(endpoint)) = (&access.endpoint, reach.get("s3.endpoint", &location)) {
                access.endpoint = Some(endpoint.parse().map_err(|_| rest.lacks("s3.endpoint that is a URL"))?);
            }
            if let Some(region) = reach.get("client.region", &location).or_else(|| reach.get("s3.region", &location))
                && access.region == REGION
            {
                region.clone_into(&mut access.region);
            }
            access.vended.push(Arc::new(Vended::new(rest.clone(), name, clock.clone())));
        }
        if access.endpoint.is_none() && access.region == REGION {
            return Err(rest.lacks("s3.endpoint or client.region"));
        }
        Ok(Place::Bucket(access))
    }

    /// Where the metadata of a table is now; nothing if there is no such table.
    pub(crate) fn location(&self, store: &Store, table: &str) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.current(table),
            Self::Postgres(postgres) => store.wait(postgres.current(table)),
            Self::Rest(rest) => Ok(store.wait(rest.load(table))?.map(|current| current.location)),
        }
    }

    /// A table as it is now; nothing if there is no such table.
    pub(crate) fn load(&self, store: &Store, table: &str) -> Result<Option<Current>, Error> {
        if let Self::Rest(rest) = self {
            return store.wait(rest.load(table));
        }
        let Some(location) = self.location(store, table)? else { return Ok(None) };
        let metadata = serde_json::from_slice(&store.get(&location)?)
            .map_err(|error| iceberg::Error::new(iceberg::ErrorKind::DataInvalid, error.to_string()))?;
        Ok(Some(Current { metadata, location }))
    }

    /// Makes a table, unless it is there: whoever is first makes it. It is there if it can be loaded afterwards.
    pub(crate) fn create(&self, store: &Store, table: &str, metadata: &TableMetadata) -> Result<(), Error> {
        if let Self::Rest(rest) = self {
            return store.wait(rest.create(table, metadata));
        }
        let location = MetadataLocation::new_with_metadata(metadata.location(), metadata).to_string();
        match self.swap(store, table, None, &location, metadata)? {
            Swap::Done | Swap::Lost => Ok(()),
            Swap::Unknown(error) => Err(error),
        }
    }

    /// Makes `next` the state of a table, if `previous` still is. An error means that nothing of it is in the catalog, or
    /// ever will be.
    pub(crate) fn commit(&self, store: &Store, table: &str, previous: &Current, next: Next) -> Result<Outcome, Error> {
        if let Self::Rest(rest) = self {
            let main = previous.metadata.snapshot_for_ref(MAIN_BRANCH);
            let requirements = [
                TableRequirement::UuidMatch { uuid: previous.metadata.uuid() },
                TableRequirement::RefSnapshotIdMatch {
                    r#ref: MAIN_BRANCH.to_owned(),
                    snapshot_id: main.map(|snapshot| snapshot.snapshot_id()),
                },
            ];
            return store.wait(rest.commit(table, &requirements, &next.updates));
        }
        let location = previous.location.parse::<MetadataLocation>()?.with_next_version().to_string();
        let swap = self.swap(store, table, Some(&previous.location), &location, &next.metadata);
        if matches!(swap, Ok(Swap::Lost) | Err(_)) {
            store.delete(&location)?;
        }
        Ok(match swap? {
            Swap::Done => Outcome::Done(Box::new(Current { metadata: next.metadata, location })),
            Swap::Lost => Outcome::Lost,
            Swap::Unknown(error) => Outcome::Unknown(error),
        })
    }

    /// Whether a server may still be at a commit whose asker is no more.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Sqlite(_))
    }

    fn swap(
        &self,
        store: &Store,
        table: &str,
        previous: Option<&str>,
        next: &str,
        metadata: &TableMetadata,
    ) -> Result<Swap, Error> {
        let json = serde_json::to_vec(metadata)
            .map_err(|error| iceberg::Error::new(iceberg::ErrorKind::DataInvalid, error.to_string()))?;
        store.put(next, &json)?;
        store.sync()?;
        match self {
            Self::Sqlite(sqlite) => Ok(sqlite.swap(table, previous, next)),
            Self::Postgres(postgres) => store.wait(postgres.swap(table, previous, next)),
            Self::Rest(_) => unreachable!("a REST catalog writes the metadata itself"),
        }
    }
}
