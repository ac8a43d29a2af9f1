//! Messages of the log that were handled at the first attempt. Nearly all are, so a row has many.

use std::collections::BTreeMap;
use std::sync::Arc;

use bloodbank_bus::{Fate, Report, this_process};
use chrono::Utc;
use uuid::Uuid;

use crate::StoreError;
use crate::record::storable;
use crate::sql::{Connection, Each, Row, Type, Value, micros_to_time, time_to_micros};

/// Inserts what [`Handled::into_rows`] gives, unless the consumer has expired.
pub(crate) const HANDLED: Each<'_> = Each {
    one: "INSERT INTO handled (block, at, queue, positions, messages, consumer) \
         SELECT $2, $3, $4, $5, $6, $7 WHERE EXISTS (SELECT 1 FROM consumers WHERE number = $1)",
    all: "INSERT INTO handled (block, at, queue, positions, messages, consumer) \
         SELECT r.block, r.at, r.queue, r.positions, r.messages, r.name \
         FROM unnest($1, $2, $3, $4, $5, $6, $7) \
         AS r(number, block, at, queue, positions, messages, name) \
         WHERE EXISTS (SELECT 1 FROM consumers c WHERE c.number = r.number)",
    columns: &[Type::Int, Type::Int, Type::Int, Type::Text, Type::Text, Type::Int, Type::Text],
};

/// How many positions a block has. A message is looked for in the rows of its block.
const BLOCK: i64 = 1_024;

/// What consumers have handled: by consumer and block the name of the queue, and the positions.
#[derive(Default)]
pub(crate) struct Handled(BTreeMap<(i64, i64), (Arc<str>, Vec<i64>)>);

impl Handled {
    pub(crate) fn add(&mut self, consumer: i64, queue: &Arc<str>, position: i64) {
        let key = (consumer, position / BLOCK);
        let (_, positions) = self.0.entry(key).or_insert_with(|| (queue.clone(), Vec::new()));
        positions.push(position);
    }

    /// Rows for [`HANDLED`].
    pub(crate) fn into_rows(self) -> Vec<Vec<Value>> {
        let (now, name) = (time_to_micros(Utc::now()), storable(this_process()));
        let mut rows = Vec::with_capacity(self.0.len());
        for ((consumer, block), (queue, mut positions)) in self.0 {
            positions.sort_unstable();
            rows.push(vec![
                Value::Int(consumer),
                Value::Int(block),
                Value::Int(now),
                Value::text(storable(&queue)),
                Value::text(written(&positions)),
                Value::Int(i64::try_from(positions.len()).unwrap_or(i64::MAX)),
                Value::text(&*name),
            ]);
        }
        rows
    }
}

/// Positions in order, as they are stored: `7 9-12`.
fn written(positions: &[i64]) -> String {
    let runs = positions.chunk_by(|one, next| one + 1 == *next);
    let run = |run: &[i64]| match run {
        [first, .., last] => format!("{first}-{last}"),
        [one] => one.to_string(),
        [] => String::new(),
    };
    runs.map(run).collect::<Vec<_>>().join(" ")
}

/// Whether a position is among those.
fn is_among(positions: &str, position: i64) -> bool {
    positions.split(' ').any(|run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let bounds = first.parse::<i64>().ok().zip(last.parse::<i64>().ok());
        bounds.is_some_and(|(first, last)| (first..=last).contains(&position))
    })
}

/// The reports of an event that queues have handled at the first attempt.
pub(super) async fn of(connection: &mut Connection, id: Uuid) -> Result<Vec<Report>, StoreError> {
    let sql = "SELECT position FROM events WHERE id = $1";
    let rows = connection.query(sql, &[Value::Id(id)]).await?;
    let Some(position) = rows.first().map(|row| row.int(0)).transpose()? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT at, queue, positions, consumer FROM handled WHERE block = $1";
    let rows = connection.query(sql, &[Value::Int(position / BLOCK)]).await?;
    let is_it = |row: &&Row| row.text(2).is_ok_and(|positions| is_among(positions, position));
    let report = |row: &Row| {
        let at = micros_to_time(row.int(0)?)?;
        Ok(Report::new(id, row.text(1)?, 1, at, Fate::Handled).with_by(row.text(3)?))
    };
    rows.iter().filter(is_it).map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_as_they_were_written() {
        for positions in [&[7][..], &[7, 8], &[7, 9, 10, 11, 12], &[1, 3, 5], &[1_023]] {
            let text = written(positions);
            for position in 0..1_100 {
                assert_eq!(is_among(&text, position), positions.contains(&position), "{text}");
            }
        }
        assert_eq!(written(&[7, 9, 10, 11, 12]), "7 9-12");
    }

    #[test]
    fn a_row_has_what_one_consumer_has_handled_of_a_block() {
        let (mut handled, queue) = (Handled::default(), Arc::from("q"));
        for (consumer, position) in [(1, 1_025), (2, 1_026), (1, 1_023), (1, 1_024)] {
            handled.add(consumer, &queue, position);
        }
        let rows = handled.into_rows();
        let texts: Vec<_> = rows.iter().map(|row| (row[1].clone(), row[4].clone())).collect();
        let expected = [(0, "1023"), (1, "1024-1025"), (1, "1026")];
        assert_eq!(texts, expected.map(|(block, text)| (Value::Int(block), Value::text(text))));
    }
}
