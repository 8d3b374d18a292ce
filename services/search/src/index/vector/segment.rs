//! Owns a file of vectors, which never changes: rows sorted by namespace, in columns that are mapped. Never knows which of
//! its rows a newer file replaced.
//!
//! A file is a head of one block, then the columns, each where a row of eight words is whole. The head says where each
//! is and what its CRC-32C is; its own is in front. All numbers are little-endian.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::{Path, PathBuf},
};

use domain::{Id, Key, Namespace, TypeName};
use memmap2::Mmap;

use super::{
    code::Coder,
    row::{Attributes, Row},
};
use crate::index::{Error, hash_of};

#[cfg(target_endian = "big")]
compile_error!("files of vectors are read as they are mapped, and are little-endian");

const MAGIC: &[u8; 8] = b"anvec001";
/// The head's bytes.
const HEAD: usize = 512;
/// Where columns begin is a multiple of it: a line of the processor's cache.
const LINE: usize = 64;

/// The columns, in their order.
#[derive(Clone, Copy)]
enum Column {
    /// Of each row the signs of its vector, as words.
    Signs,
    /// Of each row the bytes of its vector.
    Bytes,
    /// Of each row what a byte is multiplied with.
    Scales,
    /// Of each row its vector.
    Vectors,
    /// The hashes of the names of all rows, sorted.
    Hashes,
    /// The row of each hash.
    Rows,
    /// Of each row when it was made, in milliseconds.
    UpdatedAt,
    /// Of each row its type's place in `Types`, times two, and one more if everybody may come upon it.
    Kinds,
    /// Where in `Names` the name of each row ends.
    Ends,
    /// Of each row its id, and behind a NUL its variant.
    Names,
    /// A line for each namespace: its first row, a space, the namespace.
    Namespaces,
    /// A line for each type.
    Types,
    /// The hashes of names that have no row any more, and may have one in an older file.
    Gone,
}

const COLUMNS: usize = 13;

/// A file of vectors.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    map: Mmap,
    columns: [Range<usize>; COLUMNS],
    rows: usize,
    words: usize,
    bytes: usize,
    dimension: usize,
    pub(super) namespaces: Vec<(Namespace, Range<usize>)>,
    pub(super) types: Vec<TypeName>,
}

impl Segment {
    /// The file at `path`, every byte of which is compared with its checksum. Blocks.
    pub(super) fn open(path: &Path, coder: &Coder) -> Result<Self, Error> {
        let damaged = || Error::Damaged { path: path.to_owned(), files: vec![path.to_owned()] };
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(),
            _ => Error::io(path)(error),
        })?;
        #[expect(unsafe_code, reason = "a file is mapped")]
        // SAFETY: nobody changes a segment once it has its name; it is only removed, which leaves what is mapped.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let head = map.get(..HEAD).ok_or_else(damaged)?;
        let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        if head[..8] != *MAGIC || word(8) != u64::from(crc32c::crc32c(&head[16..])) {
            return Err(damaged());
        }
        let (rows, dimension) = (word(16) as usize, word(24) as usize);
        if dimension != coder.dimension() {
            return Err(damaged());
        }
        let mut columns = [const { 0..0 }; COLUMNS];
        for (number, column) in columns.iter_mut().enumerate() {
            let at = 32 + number * 24;
            *column = word(at) as usize..(word(at) + word(at + 8)) as usize;
            let bytes = map.get(column.clone()).ok_or_else(damaged)?;
            if u64::from(crc32c::crc32c(bytes)) != word(at + 16) {
                return Err(damaged());
            }
        }
        let (words, bytes) = (coder.words(), coder.bytes());
        let mut segment = Self {
            path: path.to_owned(),
            map,
            columns,
            rows,
            words,
            bytes,
            dimension,
            namespaces: Vec::new(),
            types: Vec::new(),
        };
        segment.types =
            lines(segment.column(Column::Types)).map(str::parse).collect::<Result<_, _>>().map_err(|_| damaged())?;
        let mut namespaces: Vec<(Namespace, Range<usize>)> = Vec::new();
        for line in lines(segment.column(Column::Namespaces)) {
            let (first, ns) = line.split_once(' ').ok_or_else(damaged)?;
            let (first, ns) = (first.parse().map_err(|_| damaged())?, ns.parse().map_err(|_| damaged())?);
            if let Some((_, last)) = namespaces.last_mut() {
                last.end = first;
            }
            namespaces.push((ns, first..rows));
        }
        segment.namespaces = namespaces;
        Ok(segment)
    }

    /// Writes a file of `rows`, sorted by key, and of the names that are `gone`. Blocks.
    pub(super) fn write(path: &Path, coder: &Coder, rows: &[Row<'_>], gone: &[u64]) -> Result<(), Error> {
        let written = File::create(path).and_then(|file| write(file, coder, rows, gone));
        written.map_err(Error::io(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The signs of some rows.
    pub(super) fn signs(&self, rows: Range<usize>) -> &[u64] {
        &bytemuck::cast_slice(self.column(Column::Signs))[rows.start * self.words..rows.end * self.words]
    }

    pub(super) fn bytes(&self, row: usize) -> &[i8] {
        &bytemuck::cast_slice(self.column(Column::Bytes))[row * self.bytes..(row + 1) * self.bytes]
    }

    pub(super) fn scale(&self, row: usize) -> f32 {
        bytemuck::cast_slice(self.column(Column::Scales))[row]
    }

    pub(super) fn vector(&self, row: usize) -> &[f32] {
        &bytemuck::cast_slice(self.column(Column::Vectors))[row * self.dimension..(row + 1) * self.dimension]
    }

    pub(super) fn updated_at(&self, row: usize) -> i64 {
        bytemuck::cast_slice(self.column(Column::UpdatedAt))[row]
    }

    pub(super) fn is_listed(&self, row: usize) -> bool {
        self.kind(row) & 1 == 1
    }

    /// Its type's place in `types`.
    pub(super) fn thing_type(&self, row: usize) -> usize {
        (self.kind(row) / 2) as usize
    }

    fn kind(&self, row: usize) -> u32 {
        bytemuck::cast_slice(self.column(Column::Kinds))[row]
    }

    /// The hashes of all names that have a row here, sorted.
    pub(super) fn hashes(&self) -> &[u64] {
        bytemuck::cast_slice(self.column(Column::Hashes))
    }

    /// Names that have no row any more.
    pub(super) fn gone(&self) -> &[u64] {
        bytemuck::cast_slice(self.column(Column::Gone))
    }

    /// The row of a name, by its hash.
    pub(super) fn row_of(&self, hash: u64) -> Option<usize> {
        let place = self.hashes().binary_search(&hash).ok()?;
        let rows: &[u32] = bytemuck::cast_slice(self.column(Column::Rows));
        Some(rows[place] as usize)
    }

    /// The hash of the name of each row and the row, by hash.
    pub(super) fn rows_by_hash(&self) -> impl Iterator<Item = (u64, usize)> {
        let rows: &[u32] = bytemuck::cast_slice(self.column(Column::Rows));
        self.hashes().iter().zip(rows).map(|(hash, row)| (*hash, *row as usize))
    }

    /// What a row is of.
    pub(super) fn key(&self, row: usize) -> Key {
        let stored = "a stored name is one";
        let place = self.namespaces.partition_point(|(_, rows)| rows.start <= row) - 1;
        let (id, variant) = self.name(row).split_once('\0').expect(stored);
        Key {
            ns: self.namespaces[place].0.clone(),
            id: Id::from_canonical(id).expect(stored),
            variant: variant.parse().unwrap_or_default(),
        }
    }

    fn name(&self, row: usize) -> &str {
        let ends: &[u64] = bytemuck::cast_slice(self.column(Column::Ends));
        let start = row.checked_sub(1).map_or(0, |before| ends[before]) as usize;
        std::str::from_utf8(&self.column(Column::Names)[start..ends[row] as usize]).expect("a stored name is text")
    }

    /// A row as it is written again.
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let attributes = Attributes {
            key: self.key(row),
            thing_type: self.types[self.thing_type(row)].clone(),
            is_listed: self.is_listed(row),
            updated_at: self.updated_at(row),
        };
        Row {
            attributes: Cow::Owned(attributes),
            vector: self.vector(row),
            signs: self.signs(row..row + 1),
            bytes: self.bytes(row),
            scale: self.scale(row),
        }
    }

    fn column(&self, column: Column) -> &[u8] {
        &self.map[self.columns[column as usize].clone()]
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(text).unwrap_or_default().lines()
}

/// The head is written last; what has none is no segment.
fn write(mut file: File, coder: &Coder, rows: &[Row<'_>], gone: &[u64]) -> io::Result<()> {
    let (namespaces, types, kinds) = tables(rows);
    let mut hashes: Vec<(u64, u32)> =
        rows.iter().zip(0..).map(|(row, number)| (hash_of(&row.attributes.key), number)).collect();
    hashes.sort_unstable();
    let names: Vec<String> = rows.iter().map(|row| row.attributes.name()).collect();
    let ends = names.iter().scan(0, |end, name| {
        *end += name.len() as u64;
        Some(*end)
    });
    let ends: Vec<u64> = ends.collect();
    file.write_all(&[0; HEAD])?;
    let mut columns = Columns::behind_the_head(&mut file);
    columns.add(rows.iter().map(|row| bytemuck::cast_slice(row.signs)))?;
    columns.add(rows.iter().map(|row| bytemuck::cast_slice(row.bytes)))?;
    columns.add(rows.iter().map(|row| bytemuck::bytes_of(&row.scale)))?;
    columns.add(rows.iter().map(|row| bytemuck::cast_slice(row.vector)))?;
    columns.add(hashes.iter().map(|(hash, _)| bytemuck::bytes_of(hash)))?;
    columns.add(hashes.iter().map(|(_, row)| bytemuck::bytes_of(row)))?;
    columns.add(rows.iter().map(|row| bytemuck::bytes_of(&row.attributes.updated_at)))?;
    columns.add(kinds.iter().map(bytemuck::bytes_of))?;
    columns.add([bytemuck::cast_slice(&ends)])?;
    columns.add(names.iter().map(String::as_bytes))?;
    columns.add([namespaces.as_bytes()])?;
    columns.add([types.as_bytes()])?;
    columns.add([bytemuck::cast_slice(gone)])?;
    let columns = columns.finish()?;
    let mut head = vec![0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    let numbers = [rows.len() as u64, coder.dimension() as u64].into_iter().chain(columns);
    for (number, bytes) in numbers.zip(head[16..].chunks_exact_mut(8)) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    let crc = u64::from(crc32c::crc32c(&head[16..]));
    head[8..16].copy_from_slice(&crc.to_le_bytes());
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&head)?;
    file.sync_all()
}

/// The namespaces and types of sorted rows as they are written, and each row's kind.
fn tables(rows: &[Row<'_>]) -> (String, String, Vec<u32>) {
    let (mut namespaces, mut types, mut kinds) = (String::new(), String::new(), Vec::with_capacity(rows.len()));
    let mut numbers = HashMap::new();
    let mut last = None;
    for (number, row) in rows.iter().enumerate() {
        let Attributes { key, thing_type, is_listed, .. } = &*row.attributes;
        if last != Some(&key.ns) {
            let _ = writeln!(namespaces, "{number} {}", key.ns);
            last = Some(&key.ns);
        }
        let next = numbers.len() as u32;
        let thing_type = *numbers.entry(thing_type.as_str()).or_insert_with(|| {
            let _ = writeln!(types, "{thing_type}");
            next
        });
        kinds.push(thing_type * 2 + u32::from(*is_listed));
    }
    (namespaces, types, kinds)
}

/// Columns that are being written.
struct Columns<'a> {
    file: BufWriter<&'a mut File>,
    /// Bytes before the one that is being written.
    begins: usize,
    length: usize,
    crc: u32,
    /// Of each that is whole, where it begins, its length and its checksum.
    whole: Vec<u64>,
}

impl<'a> Columns<'a> {
    fn behind_the_head(file: &'a mut File) -> Self {
        Self { file: BufWriter::with_capacity(1 << 20, file), begins: HEAD, length: 0, crc: 0, whole: Vec::new() }
    }

    /// Writes a column.
    fn add<'b>(&mut self, parts: impl IntoIterator<Item = &'b [u8]>) -> io::Result<()> {
        for part in parts {
            self.file.write_all(part)?;
            self.length += part.len();
            self.crc = crc32c::crc32c_append(self.crc, part);
        }
        let end = (self.begins + self.length).next_multiple_of(LINE);
        self.file.write_all(&[0; LINE][..end - self.begins - self.length])?;
        self.whole.extend([self.begins as u64, self.length as u64, u64::from(self.crc)]);
        (self.begins, self.length, self.crc) = (end, 0, 0);
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<u64>> {
        self.file.flush()?;
        Ok(self.whole)
    }
}
