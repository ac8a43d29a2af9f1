//! What came of the trials, to be read.

use std::fmt::Write;

use super::cases::Case;
use super::trial::{Seat, Verdict};

/// The trials of one keyword.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) keyword: String,
    pub(super) tried: usize,
    pub(super) compiled: usize,
    refused: usize,
    false_accepts: usize,
    false_rejects: usize,
    panics: usize,
    /// What is not as it should be, a line each.
    remarks: Vec<String>,
}

impl Row {
    pub(super) fn new(keyword: &str) -> Self {
        Row { keyword: keyword.to_owned(), ..Row::default() }
    }

    pub(super) fn count(&mut self, case: &Case, seat: Seat, verdict: Verdict) {
        self.tried += 1;
        let seat = match seat {
            Seat::Root => "root",
            Seat::Property => "property",
        };
        let about = format!("{}: {} ({seat})", case.keyword, case.description);
        match verdict {
            Verdict::Compiled { false_accepts, false_rejects } => {
                self.compiled += 1;
                self.false_accepts += false_accepts.len();
                self.false_rejects += false_rejects.len();
                let accepts = false_accepts.iter().map(|test| format!("accepts: {test}"));
                let rejects = false_rejects.iter().map(|test| format!("rejects: {test}"));
                self.remarks
                    .extend(accepts.chain(rejects).map(|remark| format!("{about} {remark}")));
            }
            Verdict::Refused(reasons) => {
                self.refused += 1;
                self.remarks.extend(reasons.iter().take(1).map(|(rule, pointer, message)| {
                    format!("{about} refused by {rule} at `{pointer}`: {message}")
                }));
            }
            Verdict::Panicked(text) => {
                self.panics += 1;
                self.remarks.push(format!("{about} panics: {text}"));
            }
        }
    }

    /// The sum of all rows, without their remarks.
    pub(super) fn total(rows: &[Row]) -> Row {
        rows.iter().fold(Row::new("all"), |sum, row| Row {
            tried: sum.tried + row.tried,
            compiled: sum.compiled + row.compiled,
            refused: sum.refused + row.refused,
            false_accepts: sum.false_accepts + row.false_accepts,
            false_rejects: sum.false_rejects + row.false_rejects,
            panics: sum.panics + row.panics,
            ..sum
        })
    }

    /// Whether nothing panicked and every verdict is the suite's.
    pub(super) fn is_faithful(&self) -> bool {
        self.false_accepts + self.false_rejects + self.panics == 0
    }

    /// In percent of the schemas tried.
    pub(super) fn share_compiled(&self) -> f64 {
        100.0 * self.compiled as f64 / self.tried.max(1) as f64
    }
}

/// The table of a draft, and below it every remark.
pub(super) fn show(title: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "{title:<26}{:>8}{:>10}{:>9}{:>15}{:>15}{:>8}\n",
        "tried", "compiled", "refused", "false accepts", "false rejects", "panics"
    );
    for row in rows.iter().chain([&Row::total(rows)]) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<26}{:>8}{:>10}{:>9}{:>15}{:>15}{:>8}",
            row.keyword,
            row.tried,
            row.compiled,
            row.refused,
            row.false_accepts,
            row.false_rejects,
            row.panics
        );
    }
    for remark in rows.iter().flat_map(|row| &row.remarks) {
        let _ = writeln!(text, "  {remark}");
    }
    text
}
