//! Figures of several events, by what they have in common.

use std::collections::BTreeMap;

use super::{By, Group, Latency};
use crate::sql::{Connection, Value, micros_to_time};
use crate::summary::{Counted, SUMS, Sum, begin, counted_rows, uncounted};
use crate::{EventStore, Position, StoreError};

/// When their minute, hour or day began, in microseconds since 1970; their key and their source.
type Common = (Option<i64>, Option<String>, Option<String>);

/// How many positions are counted at a time, so that others get to ask in between.
const PART: usize = 20_000;

pub(super) struct Sums {
    by: By,
    all: BTreeMap<Common, Sum>,
}

impl Sums {
    pub(super) fn new(by: By) -> Self {
        Sums { by, all: BTreeMap::new() }
    }

    /// Adds the figures that are kept of hours, or of days, from a time and before another.
    pub(super) async fn add_kept(
        &mut self,
        connection: &mut Connection,
        hours: i64,
        from: i64,
        to: i64,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let by = self.by;
        let or_null = |is: bool, column: &str, kind: &str| match is {
            true => column.to_owned(),
            false => format!("CAST(NULL AS {kind})"),
        };
        let sql = format!(
            "SELECT {}, {}, {}, {} FROM summaries WHERE hours = $1 AND start >= $2 AND start < $3 \
             GROUP BY 1, 2, 3",
            or_null(by.span().is_some(), "start", "BIGINT"),
            or_null(by.has_key(), "key", "TEXT"),
            or_null(by.has_source(), "source", "TEXT"),
            *SUMS,
        );
        let range = [Value::Int(hours), Value::Int(from), Value::Int(to)];
        for row in connection.query(&sql, &range).await? {
            let text = |column| Ok::<_, StoreError>(row.maybe_text(column)?.map(str::to_owned));
            let start = row.maybe_int(0)?.zip(by.span()).map(|(start, span)| begin(start, span));
            let sum = Sum::of(&row, 3)?;
            self.all.entry((start, text(1)?, text(2)?)).or_default().merge(&sum);
        }
        Ok(())
    }

    /// Adds the events from a time and before another that are not in the figures yet.
    pub(super) async fn add_uncounted(
        &mut self,
        connection: &mut Connection,
        from: i64,
        to: i64,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        for one in uncounted(connection).await? {
            if from <= one.received && one.received < to {
                self.add(&one);
            }
        }
        Ok(())
    }

    /// Adds the events from one position to another, both included.
    pub(super) async fn add_events(
        mut self,
        store: &EventStore,
        low: Position,
        high: Position,
    ) -> Result<Self, StoreError> {
        for from in (low..=high).step_by(PART) {
            let to = high.min(from + PART as Position - 1);
            let count = async move |c: &mut Connection| {
                let take = async |_: &mut Connection, rows: Vec<(Position, Counted)>| {
                    rows.iter().for_each(|(_, one)| self.add(one));
                    Ok(())
                };
                counted_rows(c, from, to, take).await?;
                Ok(self)
            };
            self = store.readers().run(count).await?;
        }
        Ok(self)
    }

    fn add(&mut self, one: &Counted) {
        let start = self.by.span().map(|span| begin(one.received, span));
        let key = self.by.has_key().then(|| one.key.to_string());
        let source = self.by.has_source().then(|| one.source.to_string());
        self.all.entry((start, key, source)).or_default().add(one);
    }

    pub(super) fn groups(self) -> Result<Vec<Group>, StoreError> {
        let groups = self.all.into_iter().filter(|(_, sum)| sum.events > 0);
        groups.map(|(common, sum)| group(common, &sum)).collect()
    }
}

fn group((start, key, source): Common, sum: &Sum) -> Result<Group, StoreError> {
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    Ok(Group {
        start: start.map(micros_to_time).transpose()?,
        key,
        source,
        count: count(sum.events),
        bytes: count(sum.bytes),
        invalid: count(sum.invalid),
        unknown: count(sum.unknown),
        malformed: count(sum.malformed),
        latency: Latency::of(sum),
    })
}
