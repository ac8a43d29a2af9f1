//! Events get their positions.

use std::collections::HashMap;

use uuid::Uuid;

use crate::clock::ClockStep;
use crate::event::EventRow;
use crate::quarantine::Difference;
use crate::record::Record;
use crate::sql::{Table, Type, Value};
use crate::writer::Transaction;
use crate::{Position, StoreError};

/// What became of one event that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, at this position.
    Stored(Position),
    /// The same event is stored already, at this position.
    Duplicate(Position),
    /// Another event with this id is stored, at this position. This one lies in quarantine.
    Conflict(Position),
}

impl Appended {
    /// Where the event with this id is.
    pub fn position(self) -> Position {
        match self {
            Appended::Stored(at) | Appended::Duplicate(at) | Appended::Conflict(at) => at,
        }
    }
}

/// Known keys that are kept in memory. There are as many keys as somebody invents.
const MOST_KEYS: usize = 10_000;

static KEYS: Table = Table { name: "keys", columns: &[("key", Type::Text)], or_ignore: true };

impl Transaction {
    /// Appends events in their order, numbered one after the other. Gives what became of each.
    ///
    /// What is known is sorted out before anything is numbered, so that positions have no gaps.
    pub(crate) async fn append(&mut self, records: &[Record]) -> Result<Vec<Appended>, StoreError> {
        let (appended, rows) = self.number_all(records).await?;
        self.insert_rows(&rows).await?;
        Ok(appended)
    }

    /// The same as the last thing that a job does.
    pub(crate) async fn append_last(
        &mut self,
        records: &[Record],
    ) -> Result<Vec<Appended>, StoreError> {
        let (appended, rows) = self.number_all(records).await?;
        self.insert_last(rows).await?;
        Ok(appended)
    }

    /// Numbers what is new. Gives what becomes of each event, and what is to be inserted.
    async fn number_all(
        &mut self,
        records: &[Record],
    ) -> Result<(Vec<Appended>, Vec<EventRow>), StoreError> {
        self.learn_ids(records).await?;
        self.learn_keys(records).await?;
        let mut new: HashMap<Uuid, (Position, &Record)> = HashMap::new();
        let mut rows = Vec::with_capacity(records.len());
        let mut appended = Vec::with_capacity(records.len());
        for record in records {
            let known = match (new.get(&record.id), self.known.get(&record.id)) {
                (Some((position, first)), _) => Some(Known::New(*position, first)),
                (None, Some(Some(position))) => Some(Known::Stored(*position)),
                (None, _) => None,
            };
            appended.push(match known {
                Some(known) => self.again(record, &known).await?,
                None => {
                    let row = self.number(record).await?;
                    let position = row.position;
                    self.tail.push(position, record.counted(row.received));
                    rows.push(row);
                    new.insert(record.id, (position, record));
                    Appended::Stored(position)
                }
            });
        }
        self.make_room().await?;
        // Others append in the same transaction.
        let stored = new.into_iter().map(|(id, (position, _))| (id, Some(position)));
        self.known.extend(stored);
        Ok((appended, rows))
    }

    /// Looks up where the events are, unless it was looked up before.
    async fn learn_ids(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let ids = records.iter().map(|record| record.id);
        let ids: Vec<Uuid> = ids.filter(|id| !self.known.contains_key(id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let stored = self.connection().positions_of(&ids).await?;
        self.learned(&ids, stored);
        Ok(())
    }

    /// Gives an event its place behind the last one.
    async fn number(&mut self, record: &Record) -> Result<EventRow, StoreError> {
        let earlier = self.head.received;
        let (position, later) = self.head.next(record.received);
        if later < earlier {
            tracing::warn!(position, earlier, later, "the clock is far behind the last event");
            self.insert_rows(&[ClockStep { position, earlier, later }]).await?;
        }
        let row = record.chained(position, later, self.head.digest);
        self.head.digest = row.digest.unwrap_or(self.head.digest);
        Ok(row)
    }

    /// An event whose id is known.
    async fn again(&mut self, record: &Record, known: &Known<'_>) -> Result<Appended, StoreError> {
        let (position, difference) = match known {
            Known::New(position, first) => {
                (*position, Difference::between(record.said(), first.said()))
            }
            Known::Stored(position) => (*position, self.difference(record, *position).await?),
        };
        if !difference.is_any() {
            self.head.duplicates += 1;
            self.changed();
            return Ok(Appended::Duplicate(position));
        }
        self.quarantine(record, position).await?;
        Ok(Appended::Conflict(position))
    }

    async fn quarantine(&mut self, record: &Record, position: Position) -> Result<(), StoreError> {
        let sql = "INSERT INTO quarantine \
             SELECT COALESCE(MAX(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM quarantine";
        let values = [
            Value::Int(self.head.now()),
            Value::Id(record.id),
            Value::position(position),
            Value::text(record.kind.as_str()),
            Value::text(&*record.key),
            Value::maybe(record.beside(), Value::Text),
            Value::Bytes(record.body.clone()),
        ];
        tracing::warn!(id = %record.id, position, "another event has this id; quarantined");
        self.execute(sql, &values).await.map(|_| ())
    }

    async fn learn_keys(&mut self, records: &[Record]) -> Result<(), StoreError> {
        if self.keys.len() > MOST_KEYS {
            self.keys.clear();
        }
        let mut rows = Vec::new();
        for record in records {
            if self.keys.insert(record.key.clone()) {
                rows.push(vec![Value::text(&*record.key)]);
            }
        }
        self.insert(&KEYS, &rows).await
    }
}

/// Where the first event of an id is.
enum Known<'a> {
    Stored(Position),
    /// Earlier in this very append.
    New(Position, &'a Record),
}
