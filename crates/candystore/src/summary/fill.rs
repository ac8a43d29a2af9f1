//! Figures from the rows: to fill the table, and to compare with it.

use std::collections::BTreeMap;

use super::table::add;
use super::{Counted, DAY, Figures, HOUR, Sum, begin, by_hour_and_day};
use crate::sql::{Connection, Value};
use crate::{Position, StoreError};

/// How many rows are read at a time.
const PART: usize = 20_000;

/// The rows of a range of positions, as far as they are counted, in parts. Calls `take` with each.
pub(crate) async fn counted_rows(
    connection: &mut Connection,
    first: Position,
    last: Position,
    mut take: impl AsyncFnMut(&mut Connection, Vec<(Position, Counted)>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = rows_between();
    let mut first = first;
    loop {
        let range = [Value::position(first), Value::position(last)];
        let rows = connection.query(&sql, &range).await?;
        let Some(end) = rows.last() else { return Ok(()) };
        first = end.position(0)?.saturating_add(1);
        let counted = rows.iter().map(|row| Ok((row.position(0)?, Counted::of(row, 1)?)));
        let counted = counted.collect::<Result<_, StoreError>>()?;
        let is_end = rows.len() < PART || first > last;
        drop(rows);
        take(connection, counted).await?;
        if is_end {
            return Ok(());
        }
    }
}

/// Sorted by nothing that the table is not: what is sorted is held in memory, with its bodies.
pub(super) fn rows_between() -> String {
    format!(
        "SELECT position, {} FROM events WHERE position >= $1 AND position <= $2 \
         ORDER BY position LIMIT {PART}",
        Counted::COLUMNS
    )
}

/// Counts everything that is stored, in a transaction of the caller's.
pub(crate) async fn fill(connection: &mut Connection) -> Result<(), StoreError> {
    let take = async |connection: &mut Connection, counted: Vec<(Position, Counted)>| {
        let figures = by_hour_and_day(counted.iter().map(|(_, one)| one));
        add(connection, &figures).await
    };
    counted_rows(connection, 0, Position::MAX, take).await
}

/// The beginnings of the days that have events, or figures.
pub(crate) async fn days(connection: &mut Connection) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT MIN(day) FROM (SELECT MIN(start) AS day FROM summaries WHERE start >= $1 \
         UNION ALL SELECT MIN(received) FROM events WHERE received >= $1) AS days";
    let (mut days, mut from) = (Vec::new(), i64::MIN);
    while let Some(found) = connection.query_one(sql, &[Value::Int(from)]).await?.maybe_int(0)? {
        let day = begin(found, DAY * HOUR);
        days.push(day);
        from = day + DAY * HOUR;
    }
    Ok(days)
}

/// Whether the figures of a day and its hours are those of its events up to a position.
pub(crate) async fn day_is_right(
    connection: &mut Connection,
    day: i64,
    counted: Position,
) -> Result<bool, StoreError> {
    let mut kept = BTreeMap::new();
    let range = |hours| [Value::Int(day), Value::Int(day + DAY * HOUR), Value::Int(hours)];
    for hours in [1, DAY] {
        for row in connection.query(&Figures::kept(), &range(hours)).await? {
            kept.extend([Figures::of(&row)?]);
        }
    }
    let found = of_day(connection, day, counted).await?;
    let is_same = found.len() == kept.len();
    Ok(is_same
        && found.iter().all(|(figures, sum)| kept.get(figures).is_some_and(|k| sum.agrees(k))))
}

async fn of_day(
    connection: &mut Connection,
    day: i64,
    counted: Position,
) -> Result<BTreeMap<Figures, Sum>, StoreError> {
    let sql = format!(
        "SELECT position, {} FROM events WHERE received >= $1 AND received < $2 AND \
         (received > $1 OR position > $3) AND position <= $4 ORDER BY received, position LIMIT {PART}",
        Counted::COLUMNS
    );
    let (mut from, mut after, mut all) = (day, 0, BTreeMap::new());
    loop {
        let end = Value::Int(day + DAY * HOUR);
        let values = [Value::Int(from), end, Value::Int(after), Value::position(counted)];
        let rows = connection.query(&sql, &values).await?;
        let counted = rows.iter().map(|row| Counted::of(row, 1)).collect::<Result<Vec<_>, _>>()?;
        for (figures, sum) in by_hour_and_day(&counted) {
            all.entry(figures).or_insert_with(Sum::default).merge(&sum);
        }
        let (Some(row), Some(last)) = (rows.last(), counted.last()) else { return Ok(all) };
        (after, from) = (row.int(0)?, last.received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Target;
    use crate::{StoreOptions, StoreUrl};

    #[tokio::test]
    async fn rows_are_counted_without_sorting_them_and_their_bodies() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::file(folder.path().join("store.db"));
        let target = Target::of(StoreOptions::new(url));
        let (mut connection, _) = Connection::open_or_make(&target).await.unwrap();
        let range = [Value::Int(1), Value::Int(9)];
        let sql = format!("EXPLAIN QUERY PLAN {}", rows_between());
        let plan = connection.query(&sql, &range).await.unwrap();
        let steps: Vec<&str> = plan.iter().map(|row| row.text(3).unwrap()).collect();
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{steps:?}");
    }
}
