//! Owns the reading of tab-separated rows without quoting: a quote is a quote.

use std::{
    io::{self, BufRead},
    sync::Arc,
};

use anyhow::bail;

use super::{header, lines::Lines, row_of};
use crate::import::row::{BadRow, Row};

/// The rows below a header line.
pub(crate) struct Tsv<R> {
    lines: Lines<R>,
    columns: Arc<[Box<str>]>,
}

impl<R: BufRead> Tsv<R> {
    pub(super) fn open(input: R) -> anyhow::Result<Self> {
        let mut lines = Lines::new(input);
        let columns = match lines.next()? {
            None => bail!("the file is empty: a header line with the names of the columns was expected"),
            Some((_, Err(bad))) => bail!("the header cannot be read: {}", bad.reason),
            Some((_, Ok(line))) => header(&line.split('\t').collect::<Vec<_>>())?,
        };
        Ok(Self { lines, columns })
    }

    pub(super) fn columns(&self) -> &[Box<str>] {
        &self.columns
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Result<Row, BadRow>>> {
        let Some((number, line)) = self.lines.next()? else { return Ok(None) };
        let row = line.and_then(|line| row_of(number, &self.columns, &line.split('\t').collect::<Vec<_>>()));
        Ok(Some(row))
    }
}
