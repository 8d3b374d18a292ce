//! Owns which journals have fed the archive one after the other, and giving it to the next one.
//!
//! The owner stands in both tables' properties, and every commit checks it as part of its compare-and-set: from the
//! moment a table names another journal, the old writer can change it no more. First `events` is taken, whose position
//! then stands still, then `history`, which may be one flush behind and is completed from `events`.

use std::{collections::HashMap, fmt, path::Path, str::FromStr};

use arrow_array::{Array as _, cast::AsArray as _};
use domain::{Clock, Cursor, TenantId, Timestamp, parse_ulid};
use iceberg::spec::{Operation, TableMetadata};
use proto::events::v1::Event;
use tokio::runtime::Handle;
use ulid::Ulid;

use super::{
    Archive, Error, Incoming, Site,
    catalog::Catalog,
    columns,
    commit::{Change, Committer},
    store::Store,
    table::{JOURNAL_EPOCH, JOURNAL_ID, Table},
};
use crate::journal::Identity;

/// The table property that names the journals which others took over from.
const TAKEOVERS: &str = "annals.journal-takeovers";

/// The columns that make an event's identity, in the order of the table.
const IDENTITY: [&str; 3] = ["ulid", "event_type", "tenant"];

/// A journal that another one took over from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Takeover {
    pub(crate) journal: Identity,
    /// Everything before this offset of it was archived.
    pub(crate) archived: u64,
    /// Everything before this offset of it is here under the same offset.
    pub(crate) kept: u64,
}

/// All of them, the oldest first.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Takeovers(Vec<Takeover>);

/// What the archive has, for a journal that is to take over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// Whether both tables name it already.
    pub(crate) is_done: bool,
    /// The epoch that it has or gets.
    pub(crate) epoch: u64,
    /// Where it begins: up to here `events` has everything.
    pub(crate) position: u64,
    /// With the one that it takes over from.
    pub(crate) takeovers: Takeovers,
}

/// An archive that no journal of this process feeds yet.
pub(crate) struct Handover {
    store: Store,
    catalog: Catalog,
    clock: Clock,
}

impl Takeovers {
    /// What a table says of them.
    pub(crate) fn of(metadata: &TableMetadata) -> Self {
        let text = metadata.properties().get(TAKEOVERS).map_or("", String::as_str);
        Self(text.split(' ').filter_map(|takeover| takeover.parse().ok()).collect())
    }

    /// What is known of a journal that others took over from.
    pub(crate) fn find(&self, journal: Identity) -> Option<&Takeover> {
        self.0.iter().find(|takeover| takeover.journal == journal)
    }

    /// Whether everything before a cursor of an earlier epoch is here, under the offsets that it had.
    pub(crate) fn keep(&self, cursor: Cursor) -> bool {
        let is_known = self.0.iter().any(|takeover| takeover.journal.epoch == cursor.epoch);
        let mut since = self.0.iter().filter(|takeover| takeover.journal.epoch >= cursor.epoch);
        is_known && since.all(|takeover| cursor.offset <= takeover.kept)
    }

    /// Where those who hold a cursor of an earlier epoch that is not kept can go on without missing what is here.
    pub(crate) fn resume(&self, epoch: u64) -> u64 {
        let since = self.0.iter().filter(|takeover| takeover.journal.epoch >= epoch);
        since.map(|takeover| takeover.kept).min().unwrap_or(0)
    }

    fn property(&self) -> (String, String) {
        (TAKEOVERS.to_owned(), self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Takeover {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { journal: Identity { id, epoch }, archived, kept } = self;
        write!(formatter, "{id}:{epoch}:{archived}:{kept}")
    }
}

impl FromStr for Takeover {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<_> = text.split(':').collect();
        let [id, numbers @ ..] = &parts[..] else { return Err(()) };
        let numbers: Vec<u64> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>().map_err(drop)?;
        let [epoch, archived, kept] = numbers[..] else { return Err(()) };
        Ok(Self { journal: Identity { id: parse_ulid("id", id).map_err(drop)?, epoch }, archived, kept })
    }
}

impl Handover {
    /// The archive that [`Archive::open`] opens, whoever feeds it; `journal` is to take over.
    pub(crate) fn open(
        dir: &Path,
        site: &Site,
        journal: Identity,
        clock: Clock,
        runtime: Handle,
    ) -> Result<Self, Error> {
        let (store, catalog) = super::open(dir, site, journal, &clock, runtime)?;
        Ok(Self { store, catalog, clock })
    }

    /// What a journal of this id is offered; nothing if there is no archive.
    pub(crate) fn terms(&self, id: Ulid) -> Result<Option<Terms>, Error> {
        let committer = self.committer(Identity { id, epoch: 0 });
        let mut tables = Vec::new();
        for table in Table::ALL {
            let Some(loaded) = committer.find(table)? else { return Ok(None) };
            tables.push((owner_of(&loaded.metadata)?, loaded));
        }
        let mut takeovers = Takeovers::of(&tables[0].1.metadata);
        let position = tables[0].1.position();
        let highest = tables.iter().map(|(owner, _)| owner.epoch).max().unwrap_or(0);
        // A takeover of its own that was not completed, and that no other one has come after.
        let is_begun = tables.iter().any(|(owner, _)| *owner == Identity { id, epoch: highest });
        if !is_begun {
            takeovers.0.push(Takeover { journal: tables[0].0, archived: position, kept: position });
        }
        let epoch = if is_begun { highest } else { highest + 1 };
        let is_done = tables.iter().all(|(owner, _)| *owner == Identity { id, epoch });
        Ok(Some(Terms { is_done, epoch, position, takeovers }))
    }

    /// Makes a journal the owner of both tables, a commit each. A conflict if `events` has gone on since the terms: they
    /// hold no more.
    pub(crate) fn take(&self, owner: Identity, terms: &Terms) -> Result<(), Error> {
        Table::ALL.into_iter().try_for_each(|table| self.take_one(table, owner, terms))
    }

    /// One of them.
    pub(crate) fn take_one(&self, table: Table, owner: Identity, terms: &Terms) -> Result<(), Error> {
        // The history may be taken wherever it stands.
        let positions = (table == Table::Events).then_some((terms.position, terms.position));
        let properties = HashMap::from([
            (JOURNAL_ID.to_owned(), owner.id.to_string()),
            (JOURNAL_EPOCH.to_owned(), owner.epoch.to_string()),
            terms.takeovers.property(),
        ]);
        self.committer(owner).commit(table, &change_of(properties, positions, &self.clock)).map(drop)
    }

    fn committer(&self, identity: Identity) -> Committer<'_> {
        Committer { store: &self.store, catalog: &self.catalog, identity, clock: &self.clock }
    }
}

impl Archive {
    /// The journals that others took over from.
    pub(crate) fn takeovers(&self) -> Takeovers {
        Takeovers::of(&self.view().table(Table::Events).loaded.metadata)
    }

    /// Refused if another journal has taken over; otherwise readers see what the catalog says.
    pub(crate) fn check_owner(&self) -> Result<(), Error> {
        for table in Table::ALL {
            let current = self.catalog().location(&self.store, table.name())?;
            if current.as_ref() != Some(&self.view().table(table).loaded.location) {
                self.refresh(table)?;
            }
        }
        Ok(())
    }

    /// Brings the history to where `events` is: a crash of the last owner may have kept it from there.
    pub(crate) fn complete_history(&self) -> Result<(), Error> {
        let view = self.view();
        let (from, to) = (view.table(Table::History).position(), view.table(Table::Events).position());
        if from >= to {
            return Ok(());
        }
        let mut missing = Incoming::default();
        let files = view.table(Table::Events).files.iter();
        for file in files.filter(|file| *file.offsets.end() >= from && *file.offsets.start() < to) {
            self.scan().read_all(file, None, |rows| {
                let is_missing = |event: &Event| (from..to).contains(&(event.journal_offset as u64));
                columns::events_of(&rows).into_iter().filter(is_missing).try_for_each(|event| missing.push(event))
            })?;
        }
        missing.complete()?;
        self.append(Table::History, &missing, to)
    }

    /// Notes that everything before `offset` of a journal that was taken over from is here, where it was there.
    pub(crate) fn keep(&self, journal: Identity, offset: u64) -> Result<(), Error> {
        let mut takeovers = self.takeovers();
        for takeover in takeovers.0.iter_mut().filter(|takeover| takeover.journal == journal) {
            takeover.kept = offset;
        }
        let properties = HashMap::from([takeovers.property()]);
        self.commit(Table::Events, &change_of(properties, None, &self.clock))
    }

    /// Tells the identity of each event whose ULID is of `since` or later: ULID, tenant, and whether it is a mutation.
    pub(crate) fn identities(
        &self,
        since: Timestamp,
        mut each: impl FnMut(Ulid, &TenantId, bool),
    ) -> Result<(), Error> {
        let (view, oldest) = (self.view(), Ulid::from_parts(since.millis().max(0) as u64, 0));
        for file in view.table(Table::Events).files.iter().filter(|file| file.may_have_ulids_from(oldest)) {
            self.scan().read_all(file, Some(&IDENTITY), |rows| {
                let texts = |place: usize| rows.column(place).as_string::<i32>();
                let (ulids, types, tenants) = (texts(0), texts(1), texts(2));
                for row in 0..ulids.len() {
                    let (ulid, tenant) = (parse_ulid("ulid", ulids.value(row)), tenants.value(row).parse());
                    if let (Ok(ulid), Ok(tenant)) = (ulid, tenant)
                        && ulid >= oldest
                    {
                        each(ulid, &tenant, types.value(row) == "mutation");
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// When the newest event that is here was taken in, in milliseconds, as far as the files say.
    pub(crate) fn last_intake(&self) -> Option<i64> {
        let view = self.view();
        let known = view.table(Table::Events).files.iter().map(|file| *file.times.end());
        known.filter(|time| *time <= Timestamp::MAX.millis()).max()
    }
}

/// Which journal feeds a table.
fn owner_of(metadata: &TableMetadata) -> Result<Identity, Error> {
    let named = |property: &str| metadata.properties().get(property).map_or("", String::as_str);
    let (id, epoch) = (named(JOURNAL_ID), named(JOURNAL_EPOCH));
    match (parse_ulid("id", id), epoch.parse()) {
        (Ok(id), Ok(epoch)) => Ok(Identity { id, epoch }),
        _ => Err(Error::Ownerless { location: metadata.location().to_owned() }),
    }
}

fn change_of(properties: HashMap<String, String>, positions: Option<(u64, u64)>, clock: &Clock) -> Change {
    Change {
        id: clock.ulid(),
        operation: Operation::Append,
        add: Vec::new(),
        remove: std::collections::BTreeSet::new(),
        positions,
        expire: Vec::new(),
        properties,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takeover(epoch: u64, archived: u64, kept: u64) -> Takeover {
        Takeover { journal: Identity { id: Ulid(u128::from(epoch) + 7), epoch }, archived, kept }
    }

    #[test]
    fn takeovers_read_back_as_they_were_written() {
        let takeover = takeover(3, 10, 25);
        assert_eq!(takeover.to_string().parse(), Ok(takeover));
        for text in ["", "x", "1:2:3:4", "00000000000000000000000007:1:2", "00000000000000000000000007:1:2:3:4"] {
            assert_eq!(text.parse::<Takeover>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_cursor_is_kept_if_no_takeover_since_has_lost_what_is_before_it() {
        let takeovers = Takeovers(vec![takeover(1, 10, 20), takeover(2, 15, 15), takeover(3, 40, 50)]);
        let keeps = |epoch, offset| takeovers.keep(Cursor { epoch, offset });
        assert_eq!([keeps(1, 0), keeps(1, 15), keeps(1, 16)], [true, true, false]);
        assert_eq!([keeps(2, 15), keeps(2, 16), keeps(3, 50), keeps(3, 51)], [true, false, true, false]);
        assert_eq!([keeps(4, 0), keeps(0, 0)], [false, false]);
        assert_eq!([takeovers.resume(1), takeovers.resume(3)], [15, 50]);
    }
}
