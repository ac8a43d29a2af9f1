//! Who did what.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::sql::{Connection, Row, Value, micros_to_time, time_to_micros};
use crate::writer::Transaction;
use crate::{Damage, EventStore, StoreError};

/// The most characters that are kept of each text.
const LONGEST: usize = 500;

/// The most entries that are listed at a time.
const MOST_LISTED: u64 = 1_000;

/// Something that somebody did, or was not let do: a line of the audit. It holds no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Who: the name of a token, or a user of the machine.
    pub who: String,
    /// What, as a word or two: `publish`, `dlq.purge`, `token.new`.
    pub action: String,
    /// On what: a routing key, a queue, a token.
    pub subject: String,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// How much was done, or why nothing.
    pub detail: Option<String>,
    /// From where: an address, or the command line.
    pub origin: String,
}

/// What came of what somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// The caller lacks the right to do it, and nothing was done.
    Refused,
    /// It was begun, and not all of it was done.
    Failed,
}

/// A line of the audit, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audited {
    /// Its number: 1, 2, 3, …
    pub number: u64,
    /// When it happened.
    pub happened: DateTime<Utc>,
    /// What happened.
    pub entry: AuditEntry,
}

/// Which lines of the audit. All, unless said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFilter {
    /// What happened since then.
    pub since: Option<DateTime<Utc>>,
    /// What somebody did.
    pub who: Option<String>,
    /// What has a number below this one: the last one of the page before.
    pub before: Option<u64>,
}

impl AuditEntry {
    /// Something that was done.
    pub fn new(
        who: impl Into<String>,
        action: impl Into<String>,
        subject: impl Into<String>,
        origin: impl Into<String>,
    ) -> Self {
        let (who, action) = (who.into(), action.into());
        let (subject, origin) = (subject.into(), origin.into());
        AuditEntry { who, action, subject, outcome: AuditOutcome::Done, detail: None, origin }
    }

    /// The same, where it ended so.
    pub fn with_outcome(self, outcome: AuditOutcome) -> Self {
        AuditEntry { outcome, ..self }
    }

    /// The same with how much was done, or why nothing.
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        AuditEntry { detail: Some(detail.into()), ..self }
    }
}

impl AuditOutcome {
    const ALL: [AuditOutcome; 3] =
        [AuditOutcome::Done, AuditOutcome::Refused, AuditOutcome::Failed];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            AuditOutcome::Done => "done",
            AuditOutcome::Refused => "refused",
            AuditOutcome::Failed => "failed",
        }
    }

    fn named(word: &str) -> Result<Self, StoreError> {
        let named = AuditOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
        named.ok_or(StoreError::Damaged(Damage::Column("outcome")))
    }
}

impl fmt::Display for AuditOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AuditFilter {
    /// Every line.
    pub fn new() -> Self {
        AuditFilter::default()
    }

    /// Only what happened since then.
    pub fn with_since(self, since: DateTime<Utc>) -> Self {
        AuditFilter { since: Some(since), ..self }
    }

    /// Only what somebody of this name did.
    pub fn with_who(self, who: impl Into<String>) -> Self {
        AuditFilter { who: Some(who.into()), ..self }
    }

    /// Only what has a number below this one.
    pub fn with_before(self, before: u64) -> Self {
        AuditFilter { before: Some(before), ..self }
    }

    fn conditions(&self) -> (String, Vec<Value>) {
        let mut values = Vec::new();
        let mut conditions = String::from("TRUE");
        let mut add = |condition: &str, value| {
            values.push(value);
            conditions += &format!(" AND {condition} ${}", values.len());
        };
        if let Some(since) = self.since {
            add("happened >=", Value::Int(time_to_micros(since)));
        }
        if let Some(who) = &self.who {
            add("who =", Value::text(who));
        }
        if let Some(before) = self.before {
            add("number <", Value::position(before));
        }
        (conditions, values)
    }
}

/// The columns that [`Audited::of`] reads.
const COLUMNS: &str = "number, happened, who, action, subject, outcome, detail, origin";

impl Audited {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Audited {
            number: row.position(0)?,
            happened: micros_to_time(row.int(1)?)?,
            entry: AuditEntry {
                who: row.text(2)?.to_owned(),
                action: row.text(3)?.to_owned(),
                subject: row.text(4)?.to_owned(),
                outcome: AuditOutcome::named(row.text(5)?)?,
                detail: row.maybe_text(6)?.map(str::to_owned),
                origin: row.text(7)?.to_owned(),
            },
        })
    }
}

impl EventStore {
    /// Keeps a line of the audit: who did what. Of longer texts the first 500 characters are kept. Gives
    /// its number.
    ///
    /// # Errors
    /// Nothing is kept then, unless it is [`StoreError::Lost`], which leaves it open.
    pub async fn audit(&self, entry: AuditEntry) -> Result<u64, StoreError> {
        self.writer().run(async move |t: &mut Transaction| t.audit(&entry).await).await
    }

    /// Lines of the audit, the last ones first; at most `limit`, and 1,000. The next page has
    /// [`before`](AuditFilter::before) the last number of this one.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn audited(
        &self,
        filter: &AuditFilter,
        limit: u64,
    ) -> Result<Vec<Audited>, StoreError> {
        let (conditions, mut values) = filter.conditions();
        values.push(Value::position(limit.min(MOST_LISTED)));
        let sql = format!(
            "SELECT {COLUMNS} FROM audit WHERE {conditions} ORDER BY number DESC LIMIT ${}",
            values.len()
        );
        let asked = async move |c: &mut Connection| c.query(&sql, &values).await;
        self.readers().run(asked).await?.iter().map(Audited::of).collect()
    }
}

impl Transaction {
    async fn audit(&mut self, entry: &AuditEntry) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(number), 0) + 1 FROM audit";
        let number = self.connection().query_one(sql, &[]).await?.position(0)?;
        let AuditEntry { who, action, subject, outcome, detail, origin } = entry;
        let text = |text: &str| Value::text(text.chars().take(LONGEST).collect::<String>());
        let values = [
            Value::position(number),
            Value::Int(self.head.clock()),
            text(who),
            text(action),
            text(subject),
            text(outcome.as_str()),
            Value::maybe(detail.as_deref(), text),
            text(origin),
        ];
        let sql = format!("INSERT INTO audit ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
        self.execute(&sql, &values).await?;
        Ok(number)
    }
}
