//! Owns what an import tells: each row that was left out, and at the end how many became what.

use std::{fmt, time::Duration};

use gateway::json::Writer;

use crate::render;

use super::row::BadRow;

/// How many of the rows that were left out are kept for the JSON document; all are told on standard error.
const KEPT_FAILURES: usize = 1_000;

/// What an import did so far.
#[derive(Default)]
pub(crate) struct Report {
    pub(super) created: u64,
    pub(super) replaced: u64,
    pub(super) unchanged: u64,
    /// Rows that said the same as an earlier one of the file.
    pub(super) equal: u64,
    pub(super) failed: u64,
    /// Rows that were committed before, by a command that was not carried through.
    pub(super) passed_over: u64,
    /// ULID of the last mutation.
    pub(super) last_ulid: String,
    pub(super) elapsed: Duration,
    pub(super) failures: Vec<BadRow>,
}

impl Report {
    /// How many rows were left out.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Whether nothing came of any row yet.
    pub(super) fn is_empty(&self) -> bool {
        self.created + self.replaced + self.unchanged + self.equal + self.failed + self.passed_over == 0
    }

    /// Notes how long it took.
    pub(super) fn finish(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// Keeps a row that was left out.
    pub(super) fn leave_out(&mut self, bad: BadRow) {
        self.failed += 1;
        if self.failures.len() < KEPT_FAILURES {
            self.failures.push(bad);
        }
    }

    /// As one JSON document.
    pub(crate) fn to_json(&self) -> String {
        let Self { created, replaced, unchanged, equal, failed, passed_over, last_ulid, elapsed, failures } = self;
        let mut writer = Writer::object();
        let counts = [
            ("created", created),
            ("replaced", replaced),
            ("unchanged", unchanged),
            ("equal", equal),
            ("failed", failed),
            ("passed_over", passed_over),
        ];
        for (name, count) in counts {
            writer.number(name, count);
        }
        writer.number("seconds", format_args!("{:.3}", elapsed.as_secs_f64()));
        writer.text("last_ulid", last_ulid);
        writer.array("failures", failures, |writer, BadRow { line, reason }| {
            writer.number("line", line);
            writer.text("message", reason);
        });
        writer.finish()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.created, "created"),
            (self.replaced, "replaced"),
            (self.unchanged, "unchanged"),
            (self.equal, "equal to an earlier row"),
            (self.failed, "failed"),
        ];
        let passed_over = (self.passed_over > 0).then_some((self.passed_over, "passed over"));
        for (count, word) in counts.into_iter().chain(passed_over) {
            write!(formatter, "{} {word}, ", render::grouped(count))?;
        }
        write!(formatter, "{:.1} s", self.elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_one_line_of_counts() {
        let report = Report {
            created: 1_016,
            elapsed: Duration::from_millis(1_234),
            failures: vec![BadRow { line: 7, reason: "id: is empty in this row".into() }],
            failed: 1,
            ..Report::default()
        };
        let line = "1,016 created, 0 replaced, 0 unchanged, 0 equal to an earlier row, 1 failed, 1.2 s";
        assert_eq!(report.to_string(), line);
        let json = r#"{"created":1016,"replaced":0,"unchanged":0,"equal":0,"failed":1,"passed_over":0,"seconds":1.234,"last_ulid":"","#;
        let failures = r#""failures":[{"line":7,"message":"id: is empty in this row"}]}"#;
        assert_eq!(report.to_json(), format!("{json}{failures}"));
    }
}
