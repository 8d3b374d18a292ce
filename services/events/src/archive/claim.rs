//! Owns that an archive begins only where there is none: two that shared a place would each remove the other's files
//! as needed by nobody. Never looks at a table that the catalog knows.

use iceberg::spec::TableMetadata;

use super::{
    Error,
    commit::Committer,
    table::{JOURNAL_ID, Table},
};

/// Refuses a table that the catalog does not know and whose files are there, but for those that a crash left when our
/// journal was about to begin it.
pub(crate) fn check(committer: &Committer<'_>, table: Table) -> Result<(), Error> {
    if committer.catalog.load(committer.store, table.name())?.is_some() {
        return Ok(());
    }
    let store = committer.store;
    for file in store.list(&format!("{}/{}/metadata", store.base(), table.name()))? {
        if !file.location.ends_with(".metadata.json") {
            continue;
        }
        let metadata: TableMetadata = serde_json::from_slice(&store.get(&file.location)?)
            .map_err(|error| iceberg::Error::new(iceberg::ErrorKind::DataInvalid, error.to_string()))?;
        let journal = metadata.properties().get(JOURNAL_ID).cloned().unwrap_or_default();
        if journal != committer.identity.id.to_string() || metadata.current_snapshot().is_some() {
            return Err(Error::Taken { location: file.location, journal });
        }
    }
    Ok(())
}
