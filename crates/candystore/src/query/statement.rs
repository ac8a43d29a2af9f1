//! The statements of questions.
//!
//! Positions are looked up in an index first, so many and no more, and only the events there are
//! read. So what a page costs depends neither on how deep it lies nor on how large the store is.

use super::scope::{Scope, Test, Way};
use crate::event::EventRow;
use crate::payload::{Expression, Expressions};
use crate::sql::Value;
use crate::{Order, Position};

/// A statement and what goes into it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    /// Adds a value; gives its name in the statement.
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn bind_count(&mut self, count: usize) -> String {
        self.bind(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    fn bind_all(&mut self, texts: &[String]) -> String {
        let names: Vec<String> =
            texts.iter().map(|text| self.bind(Value::text(text.as_str()))).collect();
        names.join(", ")
    }
}

/// A part of what is looked up: how many of the first positions in an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) order: Order,
    pub(crate) low: Position,
    pub(crate) high: Position,
    pub(crate) size: usize,
}

impl Window {
    /// Its part up to a position, in its order.
    pub(crate) fn up_to(self, end: Position) -> Self {
        match self.order {
            Order::Oldest => Window { high: end, ..self },
            Order::Newest => Window { low: end, ..self },
        }
    }
}

/// The positions of the events that pass, at most `limit`, among the first positions of the window,
/// and how many bytes their bodies have.
pub(crate) fn sizes(scope: &Scope, window: Window, limit: usize) -> Statement {
    let mut statement = passing("p.position, length(e.body)", scope, window);
    let limit = statement.bind_count(limit);
    statement.sql.push_str(&format!(" LIMIT {limit}"));
    statement
}

/// The events that pass among the first positions of the window. Ask for [`sizes`] first, and end the
/// window where they are enough: more may not fit into memory.
pub(crate) fn events(scope: &Scope, window: Window) -> Statement {
    let columns: Vec<String> =
        EventRow::COLUMNS.split(", ").map(|column| format!("e.{column}")).collect();
    passing(&columns.join(", "), scope, window)
}

fn passing(columns: &str, scope: &Scope, window: Window) -> Statement {
    let mut statement = Statement::default();
    let positions = positions(&mut statement, scope, window);
    let tests = tests(&mut statement, &scope.tests);
    // `CROSS JOIN` tells SQLite which comes first.
    statement.sql = format!(
        "SELECT {columns} FROM ({positions}) AS p CROSS JOIN events AS e \
         WHERE e.position = p.position{tests} ORDER BY p.position {}",
        window.order.sql(),
    );
    statement
}

/// How many positions the window has, and the last of them in its order.
pub(crate) fn edge(scope: &Scope, window: Window) -> Statement {
    let mut statement = Statement::default();
    let positions = positions(&mut statement, scope, window);
    let last = match window.order {
        Order::Oldest => "MAX",
        Order::Newest => "MIN",
    };
    statement.sql = format!("SELECT COUNT(*), {last}(position) FROM ({positions}) AS p");
    statement
}

/// How many events pass.
pub(crate) fn count(scope: &Scope) -> Statement {
    let mut statement = Statement::default();
    let way = match &scope.way {
        Way::Keys(keys) => format!("key IN ({})", statement.bind_all(keys)),
        way => format!("({})", conditions(&mut statement, way).join(" OR ")),
    };
    let tests = tests(&mut statement, &scope.tests);
    // Without a range, SQLite counts in the smallest index.
    let range = match scope.is_whole() {
        true => String::new(),
        false => {
            let low = statement.bind(Value::position(scope.low));
            let high = statement.bind(Value::position(scope.high));
            format!(" AND position BETWEEN {low} AND {high}")
        }
    };
    statement.sql = format!("SELECT COUNT(*) FROM events AS e WHERE {way}{range}{tests}");
    statement
}

/// The first positions of a way. Each of its conditions is looked up by itself, no further than the
/// whole may go, so that it costs the same however rare what it names is.
fn positions(statement: &mut Statement, scope: &Scope, window: Window) -> String {
    let low = statement.bind(Value::position(window.low));
    let high = statement.bind(Value::position(window.high));
    let size = statement.bind_count(window.size);
    let end = format!("ORDER BY position {} LIMIT {size}", window.order.sql());
    let arm = |condition: &String| {
        format!(
            "SELECT position FROM events WHERE {condition} AND position BETWEEN {low} AND {high} {end}"
        )
    };
    let arms: Vec<String> = conditions(statement, &scope.way).iter().map(arm).collect();
    let [_, _, ..] = &arms[..] else { return arms.concat() };
    let numbered = (1..).zip(&arms).map(|(n, arm)| format!("SELECT position FROM ({arm}) AS a{n}"));
    let union = numbered.collect::<Vec<_>>().join(" UNION ALL ");
    format!("SELECT position FROM ({union}) AS a {end}")
}

/// The conditions of a way, of which no event meets two.
fn conditions(statement: &mut Statement, way: &Way) -> Vec<String> {
    let one = match way {
        Way::Position => "TRUE".to_owned(),
        Way::Keys(keys) => {
            let key = |key: &String| format!("key = {}", statement.bind(Value::text(key.as_str())));
            return keys.iter().map(key).collect();
        }
        Way::Correlation(id) => {
            let id = statement.bind(Value::Id(*id));
            return vec![
                format!("correlation_id = {id}"),
                format!("(id = {id} AND correlation_id IS DISTINCT FROM {id})"),
            ];
        }
        Way::Field(expressions, values) => return fields(statement, expressions, values),
        Way::Source(source) => format!("source = {}", statement.bind(Value::text(source.as_str()))),
        Way::Session(id) => format!("session_id = {}", statement.bind(Value::text(id.as_str()))),
        Way::Standing(standing) => {
            // Only so the index of what is not valid is taken.
            let standing = statement.bind(Value::text(standing.as_str()));
            format!("standing = {standing} AND standing <> 'valid'")
        }
        Way::Commands => "kind = 'command'".to_owned(),
    };
    vec![one]
}

/// An index is taken where a condition has its expression letter by letter. What stands below `data` is
/// not looked up in the whole once more.
fn fields(statement: &mut Statement, expressions: &Expressions, values: &[Value]) -> Vec<String> {
    let Expressions { data: Expression(data), whole: Expression(whole) } = expressions;
    let values: Vec<String> =
        values.iter().map(|value| format!("LOWER({})", statement.bind(value.clone()))).collect();
    let all = values.join(", ");
    let is = |at: &String, value: &String| format!("({at}) = {value} AND ({at}) IS NOT NULL");
    let below = values.iter().map(|value| is(data, value));
    let rest = format!("(({data}) IS NULL OR ({data}) NOT IN ({all}))");
    let beside = values.iter().map(|value| format!("{} AND {rest}", is(whole, value)));
    below.chain(beside).collect()
}

fn tests(statement: &mut Statement, tests: &[Test]) -> String {
    let tests = tests.iter().map(|test| match test {
        Test::Keys(keys) => format!(" AND e.key IN ({})", statement.bind_all(keys)),
        Test::Equals(column, value) => {
            format!(" AND e.{column} = {}", statement.bind(value.clone()))
        }
        Test::Since(time) => format!(" AND e.received >= {}", statement.bind(Value::Int(*time))),
        Test::Until(time) => format!(" AND e.received < {}", statement.bind(Value::Int(*time))),
    });
    tests.collect()
}
