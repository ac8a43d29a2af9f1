//! What a relay says to the database.

use crate::Dialect;

/// The statements of a relay on one table.
pub(super) struct Statements {
    dialect: Dialect,
    table: String,
    select: String,
    count: String,
}

impl Statements {
    pub(super) fn new(dialect: Dialect, table: &str, batch: u32) -> Self {
        let select = format!(
            "SELECT seq, CAST(id AS text), CAST(kind AS bigint), key, envelope, headers, \
             CAST(attempts AS bigint), last_error \
             FROM {table} WHERE parked IS NULL ORDER BY seq LIMIT {batch}"
        );
        let oldest = "MIN(CASE WHEN parked IS NULL THEN created END)";
        let age = match dialect {
            Dialect::Postgres => {
                format!("CAST(EXTRACT(EPOCH FROM clock_timestamp() - {oldest}) * 1000 AS bigint)")
            }
            Dialect::Sqlite => {
                format!("CAST((julianday('now') - julianday({oldest})) * 86400000 AS integer)")
            }
        };
        let count = format!(
            "SELECT COUNT(*) - COUNT(parked), COUNT(parked), COALESCE({age}, 0) FROM {table}"
        );
        Statements { dialect, table: table.to_owned(), select, count }
    }

    /// The first rows, whatever was read before: what becomes visible later may have a lower number.
    pub(super) fn select(&self) -> &str {
        &self.select
    }

    /// How many messages wait, how many are parked, and how old the oldest is that waits, in
    /// milliseconds.
    pub(super) fn count(&self) -> &str {
        &self.count
    }

    pub(super) fn delete(&self, rows: &[i64]) -> String {
        let rows: Vec<String> = rows.iter().map(i64::to_string).collect();
        format!("DELETE FROM {} WHERE seq IN ({})", self.table, rows.join(", "))
    }

    /// Notes an error, the only value, on a row.
    pub(super) fn fail(&self, row: i64, counts: bool, parks: bool) -> String {
        let (error, now) = match self.dialect {
            Dialect::Postgres => ("$1", "clock_timestamp()"),
            Dialect::Sqlite => ("?1", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"),
        };
        let attempts = if counts { ", attempts = attempts + 1" } else { "" };
        let parked = if parks { format!(", parked = {now}") } else { String::new() };
        let table = &self.table;
        format!("UPDATE {table} SET last_error = {error}{attempts}{parked} WHERE seq = {row}")
    }
}
