//! Owns the reading of comma-separated rows with quoting, as in RFC 4180.

use std::{
    io::{self, BufRead, Read},
    sync::Arc,
};

use anyhow::{Context as _, bail};

use super::{BUFFER_BYTES, MAX_ROW_BYTES, header, row_of};
use crate::import::row::{BadRow, Row};

/// The rows below a header line. The line of a row that follows blank lines is the first of those.
pub(crate) struct Csv<R> {
    records: csv::Reader<Allowance<R>>,
    record: csv::ByteRecord,
    columns: Arc<[Box<str>]>,
}

/// Reads no more than it is allowed to: a quote that is left open would take in the whole rest of the file.
struct Allowance<R> {
    input: R,
    left: usize,
}

impl<R: Read> Read for Allowance<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("a row is longer than 8 MiB: a quote may be left open"));
        }
        let most = buffer.len().min(self.left);
        let count = self.input.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}

impl<R: BufRead> Csv<R> {
    pub(super) fn open(input: R) -> anyhow::Result<Self> {
        let input = Allowance { input, left: MAX_ROW_BYTES };
        let mut records = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(input);
        let mut record = csv::ByteRecord::new();
        if !records.read_byte_record(&mut record).context("the header cannot be read")? {
            bail!("the file is empty: a header line with the names of the columns was expected");
        }
        let Ok(names) = record.iter().map(std::str::from_utf8).collect::<Result<Vec<_>, _>>() else {
            bail!("the header cannot be read: it is not UTF-8");
        };
        let columns = header(&names)?;
        Ok(Self { records, record, columns })
    }

    pub(super) fn columns(&self) -> &[Box<str>] {
        &self.columns
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Row, BadRow>>> {
        self.records.get_mut().left = MAX_ROW_BYTES;
        let line_before = self.records.position().line();
        let is_row = self.records.read_byte_record(&mut self.record);
        if !is_row.with_context(|| format!("reading stopped after line {line_before}"))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(line_before, csv::Position::line);
        let fields: Result<Vec<_>, _> = self.record.iter().map(std::str::from_utf8).collect();
        Ok(Some(match fields {
            Ok(fields) => row_of(line, &self.columns, &fields),
            Err(_) => Err(BadRow { line, reason: "the row is not UTF-8".into() }),
        }))
    }
}
