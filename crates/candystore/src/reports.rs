//! What became of messages in queues, kept for a while.

mod handled;
mod keeper;

use std::time::Duration;

use bloodbank_bus::{Fate, Report};
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use self::handled::{HANDLED, Handled};
pub use self::keeper::ReportKeeper;
use crate::record::storable;
use crate::sql::{Connection, Row, Table, Type, Value, micros_to_time, time_to_micros};
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// About how many reports one step of pruning removes, so that others can write in between.
const STEP: i64 = 2_000;

static REPORTS: Table = Table {
    name: "reports",
    columns: &[
        ("id", Type::Id),
        ("at", Type::Int),
        ("queue", Type::Text),
        ("attempt", Type::Int),
        ("fate", Type::Text),
        ("reason", Type::Text),
        ("error", Type::Text),
        ("next", Type::Int),
        ("consumer", Type::Text),
        ("replay", Type::Text),
    ],
    or_ignore: false,
};

/// The columns that [`read`] reads.
const COLUMNS: &str = "id, at, queue, attempt, fate, reason, error, next, consumer, replay";

impl EventStore {
    /// Keeps what subscribers have reported.
    ///
    /// # Errors
    /// If the database cannot be written to.
    pub async fn keep_reports(&self, reports: Vec<Report>) -> Result<(), StoreError> {
        let keep = async move |transaction: &mut Transaction| keep(transaction, &reports).await;
        self.writer().run(keep).await
    }

    /// What is known to have become of a message, by the id of its envelope; the oldest first.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn reports_of(&self, id: Uuid) -> Result<Vec<Report>, StoreError> {
        self.readers().run(async move |c: &mut Connection| of(c, id).await).await
    }

    /// Since when it is known what became of messages; `None` if nothing is known of any.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn reports_since(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.readers().run(async move |c: &mut Connection| since(c).await).await
    }

    /// Removes the reports that are older than this, a few at a time. Gives of how many messages they
    /// were.
    ///
    /// # Errors
    /// If the database cannot be written to; what was removed before stays so.
    pub async fn prune_reports(&self, older_than: Duration) -> Result<u64, StoreError> {
        let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
        let until = time_to_micros(Utc::now()).saturating_sub(age);
        let mut removed = 0;
        for (table, messages) in [("reports", "1"), ("handled", "messages")] {
            loop {
                let step = async move |t: &mut Transaction| prune(t, table, messages, until).await;
                let (rows, messages) = self.writer().run(step).await?;
                removed += messages;
                if rows < STEP.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(removed)
    }
}

/// Keeps reports, in the transaction of what they report.
pub(crate) async fn keep(
    transaction: &mut Transaction,
    reports: &[Report],
) -> Result<(), StoreError> {
    let rows: Vec<Vec<Value>> = reports.iter().map(row).collect();
    transaction.insert(&REPORTS, &rows).await
}

pub(crate) async fn of(connection: &mut Connection, id: Uuid) -> Result<Vec<Report>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM reports WHERE id = $1");
    let rows = connection.query(&sql, &[Value::Id(id)]).await?;
    let mut reports: Vec<Report> = rows.iter().map(read).collect::<Result<_, _>>()?;
    reports.extend(handled::of(connection, id).await?);
    reports.sort_by_key(|report| report.at);
    Ok(reports)
}

pub(crate) async fn since(
    connection: &mut Connection,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let sql = "SELECT (SELECT MIN(at) FROM reports), (SELECT MIN(at) FROM handled)";
    let row = connection.query_one(sql, &[]).await?;
    let first = row.maybe_int(0)?.into_iter().chain(row.maybe_int(1)?).min();
    first.map(micros_to_time).transpose()
}

/// One step in a table, whose rows have so many messages. What has the same time as the last of a step
/// goes with it. Gives how many rows went, and messages with them.
async fn prune(
    transaction: &mut Transaction,
    table: &str,
    messages: &str,
    until: i64,
) -> Result<(u64, u64), StoreError> {
    let old = format!(
        "FROM {table} WHERE at < $1 AND at <= \
         (SELECT MAX(old.at) FROM (SELECT at FROM {table} ORDER BY at LIMIT $2) old)"
    );
    let values = [Value::Int(until), Value::Int(STEP)];
    let sql = format!("SELECT CAST(COALESCE(SUM({messages}), 0) AS BIGINT) {old}");
    let count = transaction.connection().query_one(&sql, &values).await?.position(0)?;
    Ok((transaction.execute(&format!("DELETE {old}"), &values).await?, count))
}

fn row(report: &Report) -> Vec<Value> {
    let (fate, reason, error, next) = match &report.fate {
        Fate::Handled => ("handled", None, None, None),
        Fate::Dropped { reason } => ("dropped", Some(reason), None, None),
        Fate::Failed { error, next } => ("failed", None, Some(error), Some(*next)),
        Fate::Parked { reason, error } => ("parked", Some(reason), Some(error), None),
        // What a later version reports; it is known that something has become of it.
        _ => ("handled", None, None, None),
    };
    let text = |text: &String| Value::text(storable(text));
    vec![
        Value::Id(report.id),
        Value::Int(time_to_micros(report.at)),
        Value::text(storable(&report.queue)),
        Value::Int(report.attempt.into()),
        Value::text(fate),
        Value::maybe(reason, text),
        Value::maybe(error, text),
        Value::maybe(next, |next| Value::Int(time_to_micros(next))),
        Value::maybe(report.by.as_ref(), text),
        Value::maybe(report.replay.as_ref(), text),
    ]
}

fn read(row: &Row) -> Result<Report, StoreError> {
    let text = |column| Ok::<_, StoreError>(row.maybe_text(column)?.unwrap_or_default().to_owned());
    let at = micros_to_time(row.int(1)?)?;
    let fate = match row.text(4)? {
        "handled" => Fate::Handled,
        "dropped" => Fate::Dropped { reason: text(5)? },
        "failed" => {
            let next = row.maybe_int(7)?.map(micros_to_time).transpose()?;
            Fate::Failed { error: text(6)?, next: next.unwrap_or(at) }
        }
        "parked" => Fate::Parked { reason: text(5)?, error: text(6)? },
        _ => return Err(StoreError::column("fate")),
    };
    let attempt = u32::try_from(row.int(3)?).unwrap_or(u32::MAX);
    let mut report = Report::new(row.id(0)?, row.text(2)?, attempt, at, fate);
    report.by = row.maybe_text(8)?.map(str::to_owned);
    report.replay = row.maybe_text(9)?.map(str::to_owned);
    Ok(report)
}
