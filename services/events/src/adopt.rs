//! Gives the archive to an empty journal, by an operator's hand, when the journal that fed it is lost or is replaced.
//! Never guesses: until the events that only the old journal has are drained, or are said to be lost, the log stays shut.
//!
//! Every step can be repeated, and a crash between two is made good by the next try.

use std::path::Path;

use domain::Clock;
use tokio::runtime::Handle;

use crate::{
    archive::{self, Archive, Handover, Place, Site},
    index::fingerprint,
    journal::{Identity, OpenError, Standing, UlidKey, Vacant, WINDOW, Window},
};

/// How often it begins again when the old writer archives something meanwhile.
const TRIES: usize = 5;
/// ULIDs that are sorted in memory at a time, 32 bytes each.
const KEYS: usize = 1 << 20;

/// What became of an adoption.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adopted {
    /// The id of the journal that feeds the archive now.
    pub journal: String,
    /// Its epoch.
    pub epoch: u64,
    /// Where it begins: everything before is archived.
    pub position: u64,
    /// Whether the old journal has to be drained before the log opens.
    pub awaits_drain: bool,
}

/// Makes the journal in `dir`, which must be empty, the one that feeds the archive there. If the old journal is not
/// lost, the log opens only after a drain. Blocks.
pub(crate) fn adopt(
    dir: &Path,
    site: &Site,
    is_lost: bool,
    clock: &Clock,
    runtime: &Handle,
) -> Result<Adopted, OpenError> {
    let archive = dir.join("archive");
    if matches!(site.place, Place::Here) && !archive.try_exists().map_err(OpenError::io(&archive))? {
        return Err(OpenError::NoArchive { path: dir.to_owned() });
    }
    let mut journal = Vacant::open(&dir.join("journal"), clock)?;
    let handover = Handover::open(dir, site, journal.identity(), clock.clone(), runtime.clone());
    let handover = handover.map_err(archived)?;
    let standing = if is_lost { Standing::RelaysUnknown } else { Standing::AwaitsDrain };
    let mut tries = 0;
    let position = loop {
        let terms = handover.terms(journal.identity().id).map_err(archived)?;
        let terms = terms.ok_or_else(|| OpenError::NoArchive { path: dir.to_owned() })?;
        if terms.is_done {
            if journal.standing() == Standing::AwaitsDrain {
                journal.stand(standing)?;
            }
            break terms.position;
        }
        if !journal.is_empty() {
            return Err(OpenError::NotEmpty { path: dir.join("journal") });
        }
        journal.begin(terms.epoch, terms.position, standing)?;
        tries += 1;
        match handover.take(journal.identity(), &terms) {
            Ok(()) => break terms.position,
            Err(archive::Error::Conflict { .. }) if tries < TRIES => {}
            Err(error) => return Err(archived(error)),
        }
    };
    let archive = Archive::open(dir, site, journal.identity(), clock.clone(), runtime.clone()).map_err(archived)?;
    archive.complete_history().map_err(archived)?;
    remember(&archive, &dir.join("journal/window"), clock)?;
    let (Identity { id, epoch }, standing) = (journal.identity(), journal.standing());
    Ok(Adopted { journal: id.to_string(), epoch, position, awaits_drain: standing == Standing::AwaitsDrain })
}

/// Carries over which events a client may still send again.
fn remember(archive: &Archive, dir: &Path, clock: &Clock) -> Result<(), OpenError> {
    let window = Window::open(dir).map_err(OpenError::io(dir))?;
    let (mut keys, mut added) = (Vec::new(), Ok(()));
    let since = clock.now().plus_millis(-WINDOW);
    let read = archive.identities(since, |ulid, tenant, is_mutation| {
        keys.push(UlidKey::new(ulid, fingerprint(tenant), is_mutation));
        if keys.len() == KEYS && added.is_ok() {
            added = window.add(std::mem::take(&mut keys), clock.now());
        }
    });
    read.map_err(archived)?;
    added.and_then(|()| window.add(keys, clock.now())).map_err(OpenError::io(dir))
}

fn archived(error: archive::Error) -> OpenError {
    OpenError::Archive(Box::new(error))
}
