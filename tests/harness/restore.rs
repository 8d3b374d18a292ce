//! Puts a data directory back to what was synced, by the undo log that the sync shim wrote. Owns the log's format on
//! this side (`tests/faults/shim/shim.h` is the other) and the files beside the log; knows nothing of what the data
//! means.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// How much a restore took back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    /// Changes of content or length.
    pub writes: usize,
    /// Names created, replaced or removed; a rename is two.
    pub names: usize,
}

/// Inode number of a file or directory.
type Node = u64;

/// Bytes of `struct head`: kind and length of the payload as 32 bits, node, a and b as 64.
const HEAD: usize = 32;

#[derive(Debug)]
struct Record {
    /// Where it begins in the log.
    place: u64,
    node: Node,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Data {
        old_length: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    Entry {
        name: OsString,
        before: Option<Node>,
    },
    /// Earlier records of this node than this place in the log are durable.
    Sync {
        upto: u64,
    },
}

/// What of the changes that no sync covered had reached the disk all the same: a random number below the one given.
/// Of each file and directory it is the earliest ones, and of what then follows a part, if it only made a file longer.
pub type Reached<'a> = &'a mut dyn FnMut(u64) -> u64;

/// Undoes in `data_dir`, latest first, each change in `log` that no sync covered, then starts the log anew.
///
/// `reached`: none of them had reached the disk, unless this is given.
/// An absent log is one without changes. The process that wrote it must be dead.
pub fn restore(data_dir: &Path, log: &Path, mut reached: Option<Reached<'_>>) -> anyhow::Result<Undone> {
    let mut pending = read(log)?;
    let mut covered: HashMap<Node, u64> = HashMap::new();
    for record in &pending {
        if let Change::Sync { upto } = record.change {
            let known = covered.entry(record.node).or_default();
            *known = upto.max(*known);
        }
    }
    pending.retain(|record| {
        !matches!(record.change, Change::Sync { .. })
            && covered.get(&record.node).is_none_or(|upto| record.place >= *upto)
    });

    if let Some(reached) = &mut reached {
        keep_reached(&mut pending, reached);
    }

    let mut disk = Tree::walk(data_dir)?;
    disk.add(&beside(log, ".kept"))?;
    let undone = disk.undo(&pending, reached)?;
    if undone.names > 0 {
        disk.replace(data_dir, &beside(log, ".new"))?;
    }
    forget(log)?;
    Ok(undone)
}

/// Takes the earliest changes of each node out, as many as had reached the disk.
fn keep_reached(pending: &mut Vec<Record>, reached: Reached<'_>) {
    let mut changes: BTreeMap<Node, u64> = BTreeMap::new();
    for record in &*pending {
        *changes.entry(record.node).or_default() += 1;
    }
    for changes in changes.values_mut() {
        *changes = reached(*changes + 1);
    }
    pending.retain(|record| {
        let left = changes.get_mut(&record.node).expect("every node was counted");
        let is_undone = *left == 0;
        *left = left.saturating_sub(1);
        is_undone
    });
}

/// Removes the log and what is kept beside it.
pub(crate) fn forget(log: &Path) -> io::Result<()> {
    let absent_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    // The log first: what is kept is no use without it, but it is no use without what is kept.
    absent_is_fine(fs::remove_file(log))?;
    absent_is_fine(fs::remove_dir_all(beside(log, ".kept")))?;
    absent_is_fine(fs::remove_dir_all(beside(log, ".new")))
}

/// What is on the disk, and what each name leads to; undoing changes the latter.
#[derive(Debug)]
struct Tree {
    root: Node,
    nodes: HashMap<Node, PathBuf>,
    directories: HashMap<Node, BTreeMap<OsString, Node>>,
}

impl Tree {
    fn walk(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self { root: fs::metadata(root)?.ino(), nodes: HashMap::new(), directories: HashMap::new() };
        tree.add(root)?;
        Ok(tree)
    }

    fn add(&mut self, directory: &Path) -> anyhow::Result<()> {
        if !directory.exists() {
            return Ok(());
        }
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            entries.insert(entry.file_name(), metadata.ino());
            if metadata.is_dir() {
                self.add(&entry.path())?;
            } else {
                self.nodes.insert(metadata.ino(), entry.path());
            }
        }
        let node = fs::metadata(directory)?.ino();
        self.nodes.insert(node, directory.to_owned());
        self.directories.insert(node, entries);
        Ok(())
    }

    /// Data is undone in place, names in memory.
    fn undo(&mut self, pending: &[Record], mut reached: Option<Reached<'_>>) -> anyhow::Result<Undone> {
        let mut files: HashMap<Node, File> = HashMap::new();
        let mut earliest: HashMap<Node, u64> = HashMap::new();
        for record in pending.iter().rev() {
            earliest.insert(record.node, record.place);
        }
        let mut undone = Undone { writes: 0, names: 0 };
        for Record { place, node, change } in pending.iter().rev() {
            match change {
                Change::Data { old_length, offset, bytes } => {
                    if !files.contains_key(node) {
                        let path = self.nodes.get(node).context("a changed file was not kept")?;
                        files.insert(*node, File::options().write(true).open(path)?);
                    }
                    let file = &files[node];
                    file.write_all_at(bytes, *offset)?;
                    let grown = file.metadata()?.len().saturating_sub(*old_length);
                    let torn = match &mut reached {
                        Some(reached) if bytes.is_empty() && earliest[node] == *place => reached(grown + 1),
                        _ => 0,
                    };
                    file.set_len(*old_length + torn)?;
                    undone.writes += 1;
                }
                Change::Entry { name, before } => {
                    let entries = self.directories.get_mut(node).context("a changed directory was not kept")?;
                    match before {
                        Some(before) => entries.insert(name.clone(), *before),
                        None => entries.remove(name),
                    };
                    undone.names += 1;
                }
                Change::Sync { .. } => {}
            }
        }
        Ok(undone)
    }

    /// Builds the tree as its names are now from hard links, and puts it in the place of `data_dir`.
    fn replace(&self, data_dir: &Path, new: &Path) -> anyhow::Result<()> {
        self.build(self.root, new)?;
        fs::remove_dir_all(data_dir)?;
        fs::rename(new, data_dir)?;
        Ok(())
    }

    fn build(&self, directory: Node, at: &Path) -> anyhow::Result<()> {
        fs::create_dir(at)?;
        for (name, node) in &self.directories[&directory] {
            let path = at.join(name);
            if self.directories.contains_key(node) {
                self.build(*node, &path)?;
            } else {
                let now = self.nodes.get(node).context("a removed file was not kept")?;
                fs::hard_link(now, &path).with_context(|| format!("restore {}", path.display()))?;
            }
        }
        let mode = fs::metadata(&self.nodes[&directory])?.permissions();
        Ok(fs::set_permissions(at, mode)?)
    }
}

/// Every whole record. The last may be torn: its change was then never made.
fn read(log: &Path) -> anyhow::Result<Vec<Record>> {
    let bytes = match fs::read(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.with_context(|| format!("read {}", log.display()))?,
    };
    let mut records = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((head, after)) = rest.split_first_chunk::<HEAD>() {
        let place = (bytes.len() - rest.len()) as u64;
        let word = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        let kind = u32::from_ne_bytes(head[..4].try_into().expect("4 bytes"));
        let length = u32::from_ne_bytes(head[4..8].try_into().expect("4 bytes"));
        if !(1..=3).contains(&kind) {
            bail!("{} at {place}: kind {kind} is unknown", log.display());
        }
        let Some((payload, after)) = after.split_at_checked(length as usize) else {
            break;
        };
        rest = after;
        let (a, b) = (word(16), word(24));
        let change = match kind {
            1 => Change::Data { old_length: a, offset: b, bytes: payload.to_vec() },
            2 => Change::Entry { name: OsStr::from_bytes(payload).to_owned(), before: (a != 0).then_some(a) },
            _ => Change::Sync { upto: a },
        };
        records.push(Record { place, node: word(8), change });
    }
    Ok(records)
}

fn beside(log: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(log);
    path.push(suffix);
    path.into()
}

#[cfg(test)]
#[path = "restore_test.rs"]
mod tests;
