//! The table of figures.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use super::{BUCKETS, Counted, DAY, HOUR, Sum, begin};
use crate::StoreError;
use crate::sql::{Connection, Each, Row, Type, Value};
use crate::writer::Transaction;

/// The columns that tell rows apart.
const KEY: [&str; 5] = ["hours", "start", "kind", "key", "source"];

/// The columns that are sums.
static ADDED: [&str; 7] = ["events", "bytes", "invalid", "unknown", "malformed", "told", "latency"];

/// The sums of several rows, as [`Sum::of`] reads them.
pub(crate) static SUMS: LazyLock<String> = LazyLock::new(|| {
    let sum = |name: &str| format!("CAST(SUM({name}) AS BIGINT)");
    let mut columns: Vec<String> = ADDED.iter().map(|name| sum(name)).collect();
    columns.push("MAX(longest)".to_owned());
    columns.extend((0..BUCKETS).map(|bucket| sum(&format!("l{bucket}"))));
    columns.join(", ")
});

/// One row, as [`Figures::row`] makes it and [`Sum::of`] reads it behind the key.
static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let names = KEY.iter().chain(&ADDED).map(ToString::to_string);
    let latencies = (0..BUCKETS).map(|bucket| format!("l{bucket}"));
    names.chain(["longest".to_owned()]).chain(latencies).collect::<Vec<_>>().join(", ")
});

/// What the columns hold.
const TYPES: [Type; KEY.len() + ADDED.len() + 1 + BUCKETS] = {
    let mut types = [Type::Int; KEY.len() + ADDED.len() + 1 + BUCKETS];
    [types[2], types[3], types[4]] = [Type::Text; 3];
    types
};

/// The values of one row.
static ONE: LazyLock<String> = LazyLock::new(|| format!("VALUES ({})", places()));

/// The values of all rows, as an array for each column.
static ALL: LazyLock<String> = LazyLock::new(|| format!("SELECT * FROM unnest({})", places()));

fn places() -> String {
    let places: Vec<String> = (1..=TYPES.len()).map(|place| format!("${place}")).collect();
    places.join(", ")
}

static ADD_ONE: LazyLock<String> = LazyLock::new(|| adding(&ONE));
static ADD_ALL: LazyLock<String> = LazyLock::new(|| adding(&ALL));

/// The statement that adds figures.
fn adding(rows: &str) -> String {
    let latencies: Vec<String> = (0..BUCKETS).map(|bucket| format!("l{bucket}")).collect();
    let added = ADDED.into_iter().chain(latencies.iter().map(String::as_str));
    let added = added.map(|name| format!("{name} = summaries.{name} + excluded.{name}"));
    format!(
        "INSERT INTO summaries ({}) {rows} ON CONFLICT ({}) DO UPDATE SET {}, \
         longest = CASE WHEN excluded.longest > summaries.longest THEN excluded.longest \
         ELSE summaries.longest END",
        *COLUMNS,
        KEY.join(", "),
        added.collect::<Vec<_>>().join(", "),
    )
}

/// Rows of which all events are gone.
const CLEAR: &str = "DELETE FROM summaries WHERE hours = $1 AND start = $2 AND kind = $3 \
     AND key = $4 AND source = $5 AND events = 0";

/// Figures of one hour or day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Figures {
    pub(crate) hours: i64,
    pub(crate) start: i64,
    pub(crate) kind: &'static str,
    pub(crate) key: String,
    pub(crate) source: String,
}

impl Figures {
    fn values(&self) -> Vec<Value> {
        let (hours, start) = (Value::Int(self.hours), Value::Int(self.start));
        let [kind, key, source] = [self.kind, &self.key, &self.source].map(Value::text);
        vec![hours, start, kind, key, source]
    }

    fn row(&self, sum: &Sum) -> Vec<Value> {
        let mut row = self.values();
        row.extend(sum.values());
        row
    }

    /// The figures that are kept for a day and its hours.
    pub(super) fn kept() -> String {
        format!(
            "SELECT {} FROM summaries WHERE start >= $1 AND start < $2 AND hours = $3",
            *COLUMNS
        )
    }

    pub(super) fn of(row: &Row) -> Result<(Self, Sum), StoreError> {
        let text = |column| row.text(column).map(str::to_owned);
        let kind = crate::event::kind_of(row.text(2)?)?.as_str();
        let (hours, start) = (row.int(0)?, row.int(1)?);
        let figures = Figures { hours, start, kind, key: text(3)?, source: text(4)? };
        Ok((figures, Sum::of(row, KEY.len())?))
    }
}

/// What some events add to the figures of their hours and of their days.
pub(crate) fn by_hour_and_day<'a>(
    counted: impl IntoIterator<Item = &'a Counted>,
) -> BTreeMap<Figures, Sum> {
    let mut hours: HashMap<(i64, &'static str, &str, &str), Sum> = HashMap::new();
    for one in counted {
        let group = (one.hour(), one.kind.as_str(), &*one.key, &*one.source);
        hours.entry(group).or_default().add(one);
    }
    let mut all: BTreeMap<Figures, Sum> = BTreeMap::new();
    for ((hour, kind, key, source), sum) in hours {
        let (key, source) = (key.to_owned(), source.to_owned());
        let of_hour = Figures { hours: 1, start: hour, kind, key, source };
        let of_day = Figures { hours: DAY, start: begin(hour, DAY * HOUR), ..of_hour.clone() };
        all.entry(of_day).or_default().merge(&sum);
        all.insert(of_hour, sum);
    }
    all
}

/// Adds figures to those that are kept.
pub(super) async fn add(
    connection: &mut Connection,
    figures: &BTreeMap<Figures, Sum>,
) -> Result<(), StoreError> {
    let rows: Vec<_> = figures.iter().map(|(figures, sum)| figures.row(sum)).collect();
    let each = Each { one: &ADD_ONE, all: &ADD_ALL, columns: &TYPES };
    connection.execute_all(&each, &rows).await.map(|_| ())
}

impl Transaction {
    /// Takes what was pruned in this transaction out of the figures.
    pub(crate) async fn count_gone(&mut self) -> Result<(), StoreError> {
        let gone = std::mem::take(&mut self.gone);
        self.count_figures(&by_hour_and_day(&gone)).await
    }

    /// Adds figures, or takes them away, which are below zero then.
    pub(crate) async fn count_figures(
        &mut self,
        figures: &BTreeMap<Figures, Sum>,
    ) -> Result<(), StoreError> {
        add(self.connection(), figures).await?;
        let lowered = figures.iter().filter(|(_, sum)| sum.events < 0);
        let lowered: Vec<_> = lowered.map(|(figures, _)| figures.values()).collect();
        if !lowered.is_empty() {
            self.execute_each(CLEAR, &lowered).await?;
        }
        Ok(())
    }
}
