//! Owns the reading of a file as rows: TSV, CSV or NDJSON, a row at a time. Never holds more than one row of it.

mod csv;
mod lines;
mod ndjson;
mod tsv;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::row::{BadRow, Row, missing};

/// The longest row, in bytes. A thing's content and data are at most 1 MiB each, and quotes and escapes take room.
const MAX_ROW_BYTES: usize = 8 << 20;

/// What is read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// How the rows of a file are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// A header line, then a row a line; fields apart by tabs; a quote is a quote.
    Tsv,
    /// A header line, then rows as in RFC 4180: fields apart by commas, in quotes where they need to be.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

impl Format {
    /// The format that the extension of a file name says.
    pub(crate) fn of_file(path: &Path) -> anyhow::Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        Ok(match extension.to_ascii_lowercase().as_str() {
            "tsv" | "tab" => Self::Tsv,
            "csv" => Self::Csv,
            "ndjson" | "jsonl" => Self::Ndjson,
            _ => bail!("{} does not end in .tsv, .csv or .ndjson: say its --format", path.display()),
        })
    }
}

/// Where rows come from.
pub(crate) struct Source {
    bytes: Box<dyn Read + Send>,
    /// How many bytes there are, where that is known.
    pub(crate) length: Option<u64>,
    /// How many bytes were read so far.
    pub(crate) position: Arc<AtomicU64>,
}

impl Source {
    /// A file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new(io::stdin(), None));
        }
        let open = || -> io::Result<Self> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            Ok(Self::new(file, metadata.is_file().then_some(metadata.len())))
        };
        open().with_context(|| format!("{} cannot be read", path.display()))
    }

    /// A text of this program.
    pub(crate) fn embedded(text: &'static str) -> Self {
        Self::new(text.as_bytes(), Some(text.len() as u64))
    }

    fn new(bytes: impl Read + Send + 'static, length: Option<u64>) -> Self {
        let position = Arc::new(AtomicU64::new(0));
        Self { bytes: Box::new(Counted { bytes, position: position.clone() }), length, position }
    }
}

/// Counts what is read.
struct Counted<R> {
    bytes: R,
    position: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.position.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

type Input = BufReader<Box<dyn Read + Send>>;

/// The rows of one source, in order.
pub(crate) enum Rows {
    /// Of a TSV.
    Tsv(tsv::Tsv<Input>),
    /// Of a CSV.
    Csv(csv::Csv<Input>),
    /// Of an NDJSON.
    Ndjson(ndjson::Ndjson<Input>),
}

impl Rows {
    /// Reads the header, where the format has one. A byte-order mark is skipped.
    pub(crate) fn open(source: Source, format: Format) -> anyhow::Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, source.bytes);
        if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            input.consume(3);
        }
        Ok(match format {
            Format::Tsv => Self::Tsv(tsv::Tsv::open(input)?),
            Format::Csv => Self::Csv(csv::Csv::open(input)?),
            Format::Ndjson => Self::Ndjson(ndjson::Ndjson::open(input)),
        })
    }

    /// The next row, good or bad; `None` after the last. An error ends the file.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Result<Row, BadRow>>> {
        match self {
            Self::Tsv(tsv) => Ok(tsv.next()?),
            Self::Csv(csv) => csv.next(),
            Self::Ndjson(ndjson) => Ok(ndjson.next()?),
        }
    }

    /// Refuses a column that no row will have, before the first is read. Lines of NDJSON each have their own.
    pub(crate) fn require<'a>(&self, columns: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
        let header = match self {
            Self::Tsv(tsv) => tsv.columns(),
            Self::Csv(csv) => csv.columns(),
            Self::Ndjson(_) => return Ok(()),
        };
        for column in columns {
            if !header.iter().any(|known| &**known == column) {
                return Err(missing(column, header.iter().map(|known| &**known)).into());
            }
        }
        Ok(())
    }
}

/// The columns that a header line names.
fn header(fields: &[&str]) -> anyhow::Result<Arc<[Box<str>]>> {
    for (at, field) in fields.iter().enumerate() {
        if fields[..at].contains(field) {
            bail!("the header names the column `{field}` twice");
        }
    }
    Ok(fields.iter().map(|field| Box::from(*field)).collect())
}

/// The row of these fields, or why it is none.
fn row_of(line: u64, columns: &[Box<str>], fields: &[&str]) -> Result<Row, BadRow> {
    if fields.len() == columns.len() {
        return Ok(Row::of_text(line, columns, fields));
    }
    let count = |count: usize| format!("{count} {}", if count == 1 { "field" } else { "fields" });
    let reason = format!("the row has {}, the header {}", count(fields.len()), count(columns.len()));
    Err(BadRow { line, reason })
}

#[cfg(test)]
#[path = "read_test.rs"]
mod tests;
