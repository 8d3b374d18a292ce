//! Owns one tenant's vectors: files on the disk, and above them the newest in memory. Never mixes vectors of two models, and
//! never shows one of a state that a newer one replaced.
//!
//! Files are sorted by namespace, so that one that is searched alone is a row of rows, and thousands of small ones cost what
//! one large one does. There is no graph and nothing to train: what is written is found at once, a filter is a set of rows
//! that are compared instead of all, and a file is ready when it is mapped.

mod bits;
mod code;
mod kernels;
mod row;
mod scan;
mod segment;
mod tail;

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::Key;

#[cfg(test)]
pub(super) use self::code::normalized;
use self::{bits::Bits, code::Coder, kernels::Simd, row::Row, scan::Query, segment::Segment, tail::Tail};
use super::{Change, Embedder, Error, Filter, Found, OfTenant, Sight, hash_of, next_version, sync_dir};

/// Which files there are: the position up to which events are in them, then their names, the oldest first.
const MANIFEST: &str = "manifest";
/// A file of which this share of rows, as one in so many, is not shown any more is written again.
const HIDDEN: usize = 3;

/// What all tenants' vectors have in common.
pub(crate) struct Model {
    pub(crate) embedder: Embedder,
    coder: Coder,
    simd: Simd,
}

/// A tenant's vectors.
pub(crate) struct Vectors {
    path: PathBuf,
    model: Arc<Model>,
    state: RwLock<State>,
    /// Up to where events are on the disk.
    position: AtomicU64,
    version: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The oldest first.
    parts: Vec<Part>,
    tail: Tail,
    /// The number of the next file.
    next: u64,
}

/// A file, and which of its rows are shown.
#[derive(Clone)]
struct Part {
    segment: Arc<Segment>,
    live: Bits,
}

/// Which vectors are looked for.
pub(crate) struct Nearest<'a> {
    /// Of the model's dimension, of any length but zero.
    pub(crate) vector: &'a [f32],
    pub(crate) filter: &'a Filter,
    pub(crate) sight: Sight<'a>,
    /// Only names with one of these hashes, which are sorted; none is any name.
    pub(crate) among: Option<&'a [u64]>,
    /// How many at most.
    pub(crate) limit: usize,
}

impl Model {
    pub(crate) fn new(embedder: Embedder) -> Self {
        let coder = Coder::new(embedder.dimension());
        Self { embedder, coder, simd: Simd::detect() }
    }
}

impl OfTenant for Vectors {
    type Settings = Arc<Model>;

    fn open(path: &Path, model: &Arc<Model>) -> Result<Self, Error> {
        if !path.exists() {
            fs::create_dir_all(path).map_err(Error::io(path))?;
            sync_dir(path.parent().expect("a tenant's directory is in one"))?;
        }
        let (position, names) = read_manifest(path)?;
        let mut parts: Vec<Part> = Vec::new();
        for name in &names {
            let segment = Arc::new(Segment::open(&path.join(name), &model.coder)?);
            for older in &mut parts {
                older.hide(segment.hashes());
                older.hide(segment.gone());
            }
            parts.push(Part { live: Bits::all(segment.rows()), segment });
        }
        let next = names.iter().filter_map(|name| number_of(name)).max().map_or(0, |last| last + 1);
        remove_all_but(path, &names)?;
        let state = RwLock::new(State { parts, tail: Tail::default(), next });
        let (position, version) = (AtomicU64::new(position), AtomicU64::new(next_version()));
        Ok(Self { path: path.to_owned(), model: Arc::clone(model), state, position, version })
    }

    fn apply(&self, changes: Vec<(Change, u64)>) -> Result<(), Error> {
        let position = self.position.load(Ordering::Relaxed);
        let changes: Vec<Change> =
            changes.into_iter().filter(|(_, of)| *of > position).map(|(change, _)| change).collect();
        let documents: Vec<_> = changes.iter().filter_map(|change| change.document.as_ref()).collect();
        let mut vectors = self.model.embedder.embed(&documents)?.into_iter();
        let new = changes.iter().map(|Change { key, document }| {
            let entry = document.as_ref().and_then(|document| {
                let vector = code::normalized(&vectors.next().expect("each document has one"))?;
                let code = self.model.coder.code(&vector);
                Some(tail::Entry { attributes: row::Attributes::of(document), vector, code })
            });
            (hash_of(key), entry)
        });
        let new: Vec<_> = new.collect();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (hash, entry) in new {
            state.parts.iter_mut().for_each(|part| part.hide(&[hash]));
            state.tail.put(hash, entry);
        }
        drop(state);
        self.version.store(next_version(), Ordering::Release);
        Ok(())
    }

    fn checkpoint(&self, position: u64) -> Result<(), Error> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.tail.is_empty() {
            return Ok(());
        }
        let (kept, merged) = state.split();
        let mut rows: Vec<Row<'_>> = state.tail.rows().collect();
        rows.extend(merged.iter().flat_map(|part| part.live.iter().map(|row| part.segment.row(row))));
        rows.sort_unstable_by(|one, other| one.attributes.key.cmp(&other.attributes.key));
        let gone: HashSet<u64> =
            state.tail.gone().chain(merged.iter().flat_map(|part| part.segment.gone().iter().copied())).collect();
        let here: HashSet<u64> = rows.iter().map(|row| hash_of(&row.attributes.key)).collect();
        // Of a name that no older file has, nobody need know that it is gone; of one that has a row, the row tells.
        let is_needed =
            |hash: &u64| !here.contains(hash) && kept.iter().any(|part| part.segment.row_of(*hash).is_some());
        let gone: Vec<u64> = gone.into_iter().filter(is_needed).collect();
        let (mut parts, mut next) = (kept.to_vec(), state.next);
        if !rows.is_empty() || !gone.is_empty() {
            let path = self.path.join(format!("{next:012}.vectors"));
            next += 1;
            Segment::write(&path, &self.model.coder, &rows, &gone)?;
            let segment = Arc::new(Segment::open(&path, &self.model.coder)?);
            parts.push(Part { live: Bits::all(segment.rows()), segment });
        }
        let gone: Vec<PathBuf> = merged.iter().map(|part| part.segment.path().to_owned()).collect();
        drop(rows);
        write_manifest(&self.path, position, &parts)?;
        self.position.store(position, Ordering::Relaxed);
        drop(state);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State { parts, tail: Tail::default(), next };
        gone.iter().try_for_each(|path| fs::remove_file(path).map_err(Error::io(path)))
    }

    fn in_memory(&self) -> (usize, usize) {
        self.state.read().unwrap_or_else(PoisonError::into_inner).tail.size()
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

impl Vectors {
    /// The nearest that may be seen, the best first; of what is equally near the first name. Blocks.
    pub(crate) fn nearest(&self, wanted: &Nearest<'_>) -> Vec<Found> {
        let Nearest { vector, filter: _, sight: _, among: _, limit } = *wanted;
        let Some(query) = self.query(vector) else { return Vec::new() };
        let simd = self.model.simd;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = state.tail.nearest(&query, wanted, simd);
        for part in &state.parts {
            let passing = scan::passing(&part.segment, &part.live, wanted);
            let best = scan::nearest(&part.segment, &passing, &query, limit, simd);
            found.extend(best.into_iter().map(|(score, row)| Found { key: part.segment.key(row), score }));
        }
        drop(state);
        found.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.key.cmp(&other.key)));
        found.truncate(limit);
        found
    }

    /// How near each of `keys` is that has a vector which passes as those do that are found. Blocks.
    pub(crate) fn scores(&self, keys: &[&Key], wanted: &Nearest<'_>) -> Vec<Option<f32>> {
        let Nearest { vector, filter, sight, among, limit: _ } = *wanted;
        let (query, simd) = (self.query(vector), self.model.simd);
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let score = |key: &&Key| {
            let (hash, query) = (hash_of(key), query.as_ref()?);
            if among.is_some_and(|among| among.binary_search(&hash).is_err()) {
                return None;
            }
            if state.tail.has(hash) {
                return state.tail.score(hash, query, wanted, simd);
            }
            let row = |part: &Part| part.segment.row_of(hash).filter(|row| part.live.has(*row));
            let (segment, row) = state.parts.iter().find_map(|part| Some((&part.segment, row(part)?)))?;
            let thing_type = &segment.types[segment.thing_type(row)];
            let passes = (segment.is_listed(row) || sight.reads(&key.ns))
                && filter.has(&key.ns, thing_type, segment.updated_at(row));
            passes.then(|| simd.dot(segment.vector(row), &query.vector))
        };
        keys.iter().map(score).collect()
    }

    fn query(&self, vector: &[f32]) -> Option<Query> {
        let vector = code::normalized(vector)?;
        Some(Query { code: self.model.coder.code(&vector), vector })
    }
}

impl State {
    /// The files that stay, and the newest ones, which are written again together with the tail: each that is not larger
    /// than all that is newer, so that of n rows each is written some log n times; and with every file of which much is
    /// not shown any more, those that are newer.
    fn split(&self) -> (&[Part], &[Part]) {
        let (mut first, mut newer) = (self.parts.len(), self.tail.len());
        for (at, part) in self.parts.iter().enumerate().rev() {
            let (rows, live) = (part.segment.rows(), part.live.count());
            newer += live;
            if live <= newer - live || (rows - live) * HIDDEN >= rows {
                first = at;
            }
        }
        self.parts.split_at(first)
    }
}

impl Part {
    /// Rows of these names are not shown any more.
    fn hide(&mut self, hashes: &[u64]) {
        for row in hashes.iter().filter_map(|hash| self.segment.row_of(*hash)) {
            self.live.remove(row);
        }
    }
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".vectors")?.parse().ok()
}

/// The position and the files; neither where nothing has been written yet.
fn read_manifest(path: &Path) -> Result<(u64, Vec<String>), Error> {
    let path = path.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, Vec::new())),
        Err(error) => return Err(Error::io(&path)(error)),
    };
    let mut lines = text.lines();
    let position = lines.next().and_then(|line| line.parse().ok());
    let position = position.ok_or_else(|| Error::Damaged { path: path.clone(), files: vec![path.clone()] })?;
    Ok((position, lines.map(str::to_owned).collect()))
}

fn write_manifest(path: &Path, position: u64, parts: &[Part]) -> Result<(), Error> {
    let mut text = format!("{position}\n");
    for part in parts {
        text.extend(part.segment.path().file_name().and_then(|name| name.to_str()));
        text.push('\n');
    }
    let (new, whole) = (path.join("manifest.unfinished"), path.join(MANIFEST));
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(Error::io(&new))?;
    fs::rename(&new, &whole).map_err(Error::io(&whole))?;
    // Before anybody says that events are here up to the position.
    sync_dir(path)
}

/// What a kill has left.
fn remove_all_but(path: &Path, names: &[String]) -> Result<(), Error> {
    for entry in fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != MANIFEST && !names.contains(&name) {
            fs::remove_file(entry.path()).map_err(Error::io(&entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "vector/vector_test.rs"]
mod tests;
