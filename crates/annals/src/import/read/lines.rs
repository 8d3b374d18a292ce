//! Owns the splitting of bytes into lines. Never holds more than one line, nor one that is too long.

use std::io::{self, BufRead};

use crate::import::row::BadRow;

use super::MAX_ROW_BYTES;

/// The lines of an input that are not empty.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// The next line that is not empty, without its end (LF or CR LF), and its number from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Result<&str, BadRow>)>> {
        loop {
            self.line.clear();
            let Some(is_whole) = self.read_line()? else { return Ok(None) };
            self.number += 1;
            if is_whole && self.line.is_empty() {
                continue;
            }
            let number = self.number;
            let bad = |reason: String| BadRow { line: number, reason };
            let line = if is_whole {
                std::str::from_utf8(&self.line)
                    .map_err(|error| bad(format!("the line is not UTF-8 (at byte {})", error.valid_up_to() + 1)))
            } else {
                Err(bad("the line is longer than 8 MiB".into()))
            };
            return Ok(Some((number, line)));
        }
    }

    /// Reads one line into `self.line`; false if it is too long, and then it is passed over; `None` at the end.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        let (mut is_whole, mut is_end) = (true, true);
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                break;
            }
            is_end = false;
            let line_feed = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..line_feed.unwrap_or(chunk.len())];
            is_whole &= self.line.len() + part.len() <= MAX_ROW_BYTES;
            if is_whole {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(line_feed.is_some());
            self.input.consume(used);
            if line_feed.is_some() {
                break;
            }
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok((!is_end).then_some(is_whole))
    }
}
