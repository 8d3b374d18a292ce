//! Owns the ULIDs of events that have left the index and that a client may still send again: on disk, in sorted runs
//! by the hour that a ULID says, so that a retry is told from a new event across restarts. Never forgets one in the
//! window, and holds one of 128 in memory.
//!
//! ```text
//! run   magic │ count u64 │ key* │ every 128th ULID* │ crc32c u32
//! key   ULID u128 big endian │ 127 bits of the tenant's fingerprint │ 1 bit: a mutation
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use domain::Timestamp;
use ulid::Ulid;

use crate::disk::{self, InPieces};

/// How old a client's ULID may be, and how long it is remembered at least.
pub(crate) const WINDOW: i64 = 24 * HOUR;
const HOUR: i64 = 3_600_000;
const MAGIC: &[u8; 8] = b"ANNALSU1";
const HEADER: u64 = 16;
const KEY: usize = 32;
/// Keys between two that are in memory.
const STRIDE: usize = 128;
/// Runs of about one size that are merged into one.
const FAN: usize = 4;
const SUFFIX: &str = "ulids";

/// The identity of an event: what makes a second one a duplicate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct UlidKey([u8; KEY]);

impl UlidKey {
    /// Of an event of a tenant with this fingerprint.
    pub(crate) fn new(ulid: Ulid, tenant: u128, is_mutation: bool) -> Self {
        let mut key = [0; KEY];
        key[..16].copy_from_slice(&ulid.0.to_be_bytes());
        key[16..].copy_from_slice(&(tenant & !1 | u128::from(is_mutation)).to_be_bytes());
        Self(key)
    }

    fn ulid(&self) -> u128 {
        u128::from_be_bytes(self.0[..16].try_into().expect("a key begins with 16 bytes"))
    }

    fn hour(&self) -> i64 {
        Timestamp::of_ulid(Ulid(self.ulid())).millis() / HOUR
    }
}

/// The window's runs.
#[derive(Debug)]
pub(crate) struct Window {
    dir: PathBuf,
    hours: RwLock<BTreeMap<i64, Vec<Arc<Run>>>>,
    /// The number of the next run; held by whoever changes the files.
    next: Mutex<u64>,
}

/// One file of sorted keys.
#[derive(Debug)]
struct Run {
    path: PathBuf,
    file: File,
    count: u64,
    /// The ULID of every 128th key.
    sparse: Vec<u128>,
    last: u128,
}

impl Window {
    /// The window in `dir`. A run that a kill kept from being durable is there again before anything relies on it: the
    /// journal is cut after the next one only.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let mut hours: BTreeMap<i64, Vec<Arc<Run>>> = BTreeMap::new();
        let mut next = 0;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension == Some(disk::UNFINISHED) {
                fs::remove_file(&path)?;
            }
            if extension == Some(SUFFIX) {
                let (hour, number) = name_of(&path).ok_or_else(|| damaged(&path))?;
                next = next.max(number + 1);
                hours.entry(hour).or_default().push(Arc::new(Run::open(path)?));
            }
        }
        Ok(Self { dir: dir.to_owned(), hours: RwLock::new(hours), next: Mutex::new(next) })
    }

    /// Whether an event is there. Reads at most one block of each run of its hour.
    pub(crate) fn has(&self, key: &UlidKey) -> io::Result<bool> {
        let hours = self.hours.read().unwrap_or_else(PoisonError::into_inner);
        let Some(runs) = hours.get(&key.hour()) else { return Ok(false) };
        for run in runs {
            if run.has(key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Remembers events, durably, and forgets hours that are out of the window.
    pub(crate) fn add(&self, mut keys: Vec<UlidKey>, now: Timestamp) -> io::Result<()> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (now.millis() - WINDOW) / HOUR;
        self.forget_before(oldest)?;
        keys.sort_unstable();
        for keys in keys.chunk_by(|one, other| one.hour() == other.hour()) {
            let hour = keys[0].hour();
            if hour >= oldest {
                let run = self.write(hour, &mut next, keys.iter().map(|key| Ok(*key)))?;
                self.hours().entry(hour).or_default().push(Arc::new(run));
                self.merge(hour, &mut next)?;
            }
        }
        Ok(())
    }

    /// Merges runs of an hour while there are enough of about one size.
    fn merge(&self, hour: i64, next: &mut u64) -> io::Result<()> {
        loop {
            let runs = self.hours().get(&hour).cloned().unwrap_or_default();
            let class_of = |run: &Arc<Run>| run.count.max(1).ilog(FAN as u64);
            let same = runs.iter().map(|run| runs.iter().filter(|other| class_of(other) == class_of(run)));
            let Some(same) = same.map(|same| same.cloned().collect::<Vec<_>>()).find(|same| same.len() >= FAN) else {
                return Ok(());
            };
            let merged = self.write(hour, next, merged(&same)?)?;
            let is_merged = |run: &Arc<Run>| same.iter().any(|gone| gone.path == run.path);
            let mut hours = self.hours();
            let runs = hours.entry(hour).or_default();
            runs.retain(|run| !is_merged(run));
            runs.push(Arc::new(merged));
            drop(hours);
            for run in same {
                fs::remove_file(&run.path)?;
            }
        }
    }

    fn write(&self, hour: i64, next: &mut u64, keys: impl Iterator<Item = io::Result<UlidKey>>) -> io::Result<Run> {
        let path = self.dir.join(format!("{hour}-{next:08}.{SUFFIX}"));
        *next += 1;
        let unfinished = path.with_extension(disk::UNFINISHED);
        let mut file = BufWriter::new(InPieces::create(&unfinished)?);
        file.write_all(&[0; HEADER as usize])?;
        let (mut count, mut sparse, mut last) = (0, Vec::new(), None);
        for key in keys {
            let key = key?;
            if last == Some(key) {
                continue;
            }
            if count % STRIDE as u64 == 0 {
                sparse.push(key.ulid());
            }
            file.write_all(&key.0)?;
            count += 1;
            last = Some(key);
        }
        let tail = tail_of(count, &sparse);
        file.write_all(&tail)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut file = file.file();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(MAGIC)?;
        file.write_all(&count.to_le_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        disk::sync_dir(&self.dir)?;
        Run::open(path)
    }

    fn forget_before(&self, hour: i64) -> io::Result<()> {
        let mut hours = self.hours();
        let kept = hours.split_off(&hour);
        let gone = std::mem::replace(&mut *hours, kept);
        drop(hours);
        gone.into_values().flatten().try_for_each(|run| fs::remove_file(&run.path))
    }

    fn hours(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<i64, Vec<Arc<Run>>>> {
        self.hours.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::open(&path)?;
        let mut header = [0; HEADER as usize];
        file.read_exact_at(&mut header, 0)?;
        let count = u64::from_le_bytes(header[8..].try_into().expect("eight bytes"));
        let blocks = count.div_ceil(STRIDE as u64);
        let start = count.checked_mul(KEY as u64).and_then(|bytes| bytes.checked_add(HEADER));
        let start = start.filter(|_| header[..8] == *MAGIC).ok_or_else(|| damaged(&path))?;
        if file.metadata()?.len() != start + blocks * 16 + 4 {
            return Err(damaged(&path));
        }
        let mut tail = vec![0; blocks as usize * 16 + 4];
        file.read_exact_at(&mut tail, start)?;
        let ulids = tail[..blocks as usize * 16].chunks_exact(16);
        let sparse: Vec<u128> =
            ulids.map(|ulid| u128::from_be_bytes(ulid.try_into().expect("sixteen bytes"))).collect();
        if tail != tail_of(count, &sparse) {
            return Err(damaged(&path));
        }
        let mut last = [0; KEY];
        if count > 0 {
            file.read_exact_at(&mut last, start - KEY as u64)?;
        }
        Ok(Self { path, file, count, sparse, last: UlidKey(last).ulid() })
    }

    fn has(&self, key: &UlidKey) -> io::Result<bool> {
        let ulid = key.ulid();
        if ulid > self.last {
            return Ok(false);
        }
        // Keys of one ULID may begin in the block before the first one whose ULID is not below.
        let block = self.sparse.partition_point(|first| *first < ulid).saturating_sub(1);
        let mut at = block as u64 * STRIDE as u64;
        let mut keys = [0; STRIDE * KEY];
        while at < self.count {
            let length = ((self.count - at) as usize).min(STRIDE);
            let keys = &mut keys[..length * KEY];
            self.file.read_exact_at(keys, HEADER + at * KEY as u64)?;
            for found in keys.chunks_exact(KEY) {
                if *found >= key.0[..] {
                    return Ok(*found == key.0[..]);
                }
            }
            at += STRIDE as u64;
        }
        Ok(false)
    }

    fn keys(&self) -> io::Result<impl Iterator<Item = io::Result<UlidKey>> + use<>> {
        let mut file = BufReader::new(File::open(&self.path)?);
        file.seek(SeekFrom::Start(HEADER))?;
        Ok((0..self.count).map(move |_| {
            let mut key = [0; KEY];
            file.read_exact(&mut key).map(|()| UlidKey(key))
        }))
    }
}

/// The keys of several runs in one order.
fn merged(runs: &[Arc<Run>]) -> io::Result<impl Iterator<Item = io::Result<UlidKey>> + use<>> {
    let mut sources = Vec::new();
    for run in runs {
        sources.push(run.keys()?.peekable());
    }
    Ok(std::iter::from_fn(move || {
        let lowest = sources
            .iter_mut()
            .filter_map(|source| match source.peek()? {
                Ok(key) => Some((Some(*key), source)),
                // First of all, so that it is told.
                Err(_) => Some((None, source)),
            })
            .min_by_key(|(key, _)| *key);
        lowest?.1.next()
    }))
}

/// What follows the keys of a run.
fn tail_of(count: u64, sparse: &[u128]) -> Vec<u8> {
    let mut tail: Vec<u8> = sparse.iter().flat_map(|ulid| ulid.to_be_bytes()).collect();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&count.to_le_bytes()), &tail);
    tail.extend_from_slice(&crc.to_le_bytes());
    tail
}

fn name_of(path: &Path) -> Option<(i64, u64)> {
    let (hour, number) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((hour.parse().ok()?, number.parse().ok()?))
}

fn damaged(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: restore it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_769_851_800_000;

    fn now() -> Timestamp {
        Timestamp::MIN.plus_millis(NOW)
    }

    fn key(millis: i64, random: u128, tenant: u128) -> UlidKey {
        UlidKey::new(Ulid::from_parts(millis as u64, random), tenant, false)
    }

    #[test]
    fn what_was_added_is_there_after_any_number_of_runs_and_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let window = Window::open(dir.path()).unwrap();
        let keys: Vec<_> = (0..9_000_u128).map(|n| key(NOW - (n as i64 % 3) * HOUR, n * 7, n % 5 * 2)).collect();
        for keys in keys.chunks(700) {
            window.add(keys.to_vec(), now()).unwrap();
        }
        assert!(fs::read_dir(dir.path()).unwrap().count() < 20, "runs are merged");
        for window in [window, Window::open(dir.path()).unwrap()] {
            for n in 0..9_000_u128 {
                let hour = NOW - (n as i64 % 3) * HOUR;
                assert!(window.has(&key(hour, n * 7, n % 5 * 2)).unwrap(), "{n}");
                assert!(!window.has(&key(hour, n * 7 + 1, n % 5 * 2)).unwrap(), "{n}");
                assert!(!window.has(&key(hour, n * 7, n % 5 * 2 + 20)).unwrap(), "{n}");
                assert!(!window.has(&UlidKey::new(Ulid::from_parts(hour as u64, n * 7), n % 5 * 2, true)).unwrap());
            }
        }
    }

    #[test]
    fn many_tenants_may_have_one_ulid() {
        let dir = tempfile::tempdir().unwrap();
        let window = Window::open(dir.path()).unwrap();
        window.add((0..1_000).map(|tenant| key(NOW, 1, tenant * 2)).collect(), now()).unwrap();
        assert!((0..1_000).all(|tenant| window.has(&key(NOW, 1, tenant * 2)).unwrap()));
        assert!(!window.has(&key(NOW, 1, 2_000)).unwrap());
    }

    #[test]
    fn an_hour_out_of_the_window_is_forgotten_and_none_within() {
        let dir = tempfile::tempdir().unwrap();
        let window = Window::open(dir.path()).unwrap();
        window.add(vec![key(NOW, 1, 0), key(NOW - WINDOW, 2, 0), key(NOW - WINDOW - 2 * HOUR, 3, 0)], now()).unwrap();
        assert!(window.has(&key(NOW - WINDOW, 2, 0)).unwrap());
        assert!(!window.has(&key(NOW - WINDOW - 2 * HOUR, 3, 0)).unwrap());
        window.add(vec![], now().plus_millis(2 * HOUR)).unwrap();
        assert!(!window.has(&key(NOW - WINDOW, 2, 0)).unwrap());
        assert!(window.has(&key(NOW, 1, 0)).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        Window::open(dir.path()).unwrap().add(vec![key(NOW, 1, 0)], now()).unwrap();
        let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes.pop();
        fs::write(&path, bytes).unwrap();
        let error = Window::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
