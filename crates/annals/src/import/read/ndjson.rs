//! Owns the reading of a JSON object a line. Numbers keep their lexemes.

use std::io::{self, BufRead};

use domain::json;

use super::lines::Lines;
use crate::import::row::{BadRow, Row};

/// Levels around the data of an exported row: a line and its thing.
const ENVELOPE: usize = 2;

/// The lines of an NDJSON.
pub(crate) struct Ndjson<R>(Lines<R>);

impl<R: BufRead> Ndjson<R> {
    pub(super) fn open(input: R) -> Self {
        Self(Lines::new(input))
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Result<Row, BadRow>>> {
        let Some((number, line)) = self.0.next()? else { return Ok(None) };
        let row = line.and_then(|line| match json::parse_to_depth(line, json::MAX_DEPTH + ENVELOPE) {
            Ok(value) => Row::of_json(number, value),
            Err(error) => Err(BadRow { line: number, reason: format!("the line {error}") }),
        });
        Ok(Some(row))
    }
}
