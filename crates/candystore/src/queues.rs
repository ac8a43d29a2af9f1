//! The queues of the bus in the store: what there are, what they want of the log, and how far they are.
//!
//! The bus gives their messages out, and retention keeps what they need.

mod lag;
pub(crate) mod scan;
mod unwanted;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bloodbank_bus::{Binding, Durability, Exchange, Queue};
use bloodbank_core::Kind;
use uuid::Uuid;

pub(crate) use self::lag::LastOfKeys;
pub(crate) use self::unwanted::first_wanted;
use crate::sql::{Connection, Value};
use crate::writer::Transaction;
use crate::{Position, StoreError};

/// A queue as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct QueueRow {
    /// Names it in the tables; a queue that is made again has another one.
    pub(crate) number: i64,
    /// Its name, shared by its deliveries.
    pub(crate) name: Arc<str>,
    /// As it was declared, with all bindings.
    pub(crate) spec: Queue,
    /// The position after which each binding wants messages, in the order of the bindings.
    since: Vec<Position>,
}

impl QueueRow {
    /// Whether it wants what stands in the log.
    pub(crate) fn wants(&self, kind: Kind, key: &str, position: Position) -> bool {
        self.since(kind, key).any(|since| position > since)
    }

    /// The position after which it wants a key; `None` if it does not.
    pub(crate) fn wants_after(&self, kind: Kind, key: &str) -> Option<Position> {
        self.since(kind, key).min()
    }

    fn since(&self, kind: Kind, key: &str) -> impl Iterator<Item = Position> {
        let is_meant = move |exchange| match kind {
            Kind::Event => exchange == Exchange::Events,
            Kind::Command => matches!(exchange, Exchange::Commands | Exchange::Audit),
        };
        let bindings = self.spec.bindings.iter().zip(&self.since);
        let meant = bindings
            .filter(move |(binding, _)| is_meant(binding.exchange) && binding.pattern.matches(key));
        meant.map(|(_, since)| *since)
    }

    /// The same queue, as it is when what stands in the log after a position is for all of its bindings
    /// to events.
    pub(crate) fn reaching_back_to(&self, position: Position) -> Self {
        let lower = |(binding, since): (&Binding, &Position)| match binding.exchange {
            Exchange::Events => position.min(*since),
            _ => *since,
        };
        let since = self.spec.bindings.iter().zip(&self.since).map(lower).collect();
        QueueRow { since, ..self.clone() }
    }

    pub(crate) fn is_temporary(&self) -> bool {
        self.spec.durability == Durability::Temporary
    }
}

/// All queues at one time.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    version: Uuid,
    by_number: HashMap<i64, Arc<QueueRow>>,
    by_name: HashMap<Arc<str>, Arc<QueueRow>>,
}

impl Queues {
    /// Changes with every change of queues.
    pub(crate) fn version(&self) -> Uuid {
        self.version
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<QueueRow>> {
        self.by_name.get(name)
    }

    pub(crate) fn numbered(&self, number: i64) -> Option<&Arc<QueueRow>> {
        self.by_number.get(&number)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<QueueRow>> {
        self.by_number.values()
    }

    /// The queue whose dead letters lie in the one of this name.
    pub(crate) fn with_dead_letters_in(&self, name: &str) -> Option<&Arc<QueueRow>> {
        self.all().find(|owner| owner.spec.dead_letters.as_deref() == Some(name))
    }

    /// Those that want what is routed by an exchange now.
    pub(crate) fn wanting(&self, exchange: Exchange, key: &str) -> Vec<Arc<QueueRow>> {
        self.all().filter(|queue| queue.spec.wants(exchange, key)).cloned().collect()
    }

    async fn load(connection: &mut Connection, version: Uuid) -> Result<Self, StoreError> {
        let sql = "SELECT number, name, declaration FROM queues";
        let mut rows = HashMap::new();
        for row in connection.query(sql, &[]).await? {
            let damaged = |_| StoreError::column("declaration");
            let spec: Queue = serde_json::from_str(row.text(2)?).map_err(damaged)?;
            let (number, name) = (row.int(0)?, row.text(1)?.into());
            rows.insert(number, QueueRow { number, name, spec, since: Vec::new() });
        }
        let sql = "SELECT queue, exchange, pattern, since FROM bindings ORDER BY since";
        for row in connection.query(sql, &[]).await? {
            let Some(queue) = rows.get_mut(&row.int(0)?) else { continue };
            let named = |exchange: &Exchange| row.text(1).is_ok_and(|name| name == exchange.name());
            let exchange = Exchange::ALL.into_iter().find(named);
            let exchange = exchange.ok_or_else(|| StoreError::column("exchange"))?;
            let pattern = row.text(2)?.parse();
            let pattern = pattern.map_err(|_| StoreError::column("pattern"))?;
            queue.spec.bindings.push(Binding { exchange, pattern });
            queue.since.push(row.position(3)?);
        }
        let by_number: HashMap<_, _> =
            rows.into_iter().map(|(number, row)| (number, Arc::new(row))).collect();
        let by_name = by_number.values().map(|row| (row.name.clone(), row.clone())).collect();
        Ok(Queues { version, by_number, by_name })
    }
}

/// The queues as they were last seen. Every change of them gives them a version that never was
/// before, so what is kept under a version is right whoever made it, committed or not.
#[derive(Debug, Default)]
pub(crate) struct QueueCache(Mutex<Arc<Queues>>);

impl QueueCache {
    /// The queues as they are for this transaction.
    pub(crate) async fn read(
        &self,
        connection: &mut Connection,
    ) -> Result<Arc<Queues>, StoreError> {
        let Some(row) = connection.query("SELECT version FROM bus", &[]).await?.pop() else {
            return Ok(Arc::default());
        };
        self.of(connection, row.id(0)?).await
    }

    /// The queues of this version, which is that of this transaction.
    pub(crate) async fn of(
        &self,
        connection: &mut Connection,
        version: Uuid,
    ) -> Result<Arc<Queues>, StoreError> {
        let known = self.last();
        if known.version == version {
            return Ok(known);
        }
        let queues = Arc::new(Queues::load(connection, version).await?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = queues.clone();
        Ok(queues)
    }

    /// The queues as they were last seen.
    pub(crate) fn last(&self) -> Arc<Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Notes that queues have changed.
pub(crate) async fn changed(transaction: &mut Transaction) -> Result<(), StoreError> {
    let version = [Value::Id(Uuid::now_v7())];
    if transaction.execute("UPDATE bus SET version = $1", &version).await? == 0 {
        transaction.execute("INSERT INTO bus VALUES ($1, 0)", &version).await?;
    }
    Ok(())
}

/// Takes so many numbers, and gives the first.
pub(crate) async fn numbers(transaction: &mut Transaction, count: i64) -> Result<i64, StoreError> {
    let row = transaction.connection().query_one("SELECT number FROM bus", &[]).await?;
    let last = row.int(0)?;
    let sql = "UPDATE bus SET number = $1";
    transaction.execute(sql, &[Value::Int(last.saturating_add(count))]).await?;
    Ok(last + 1)
}

/// Removes a queue and what it holds.
pub(crate) async fn remove(transaction: &mut Transaction, queue: i64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM messages WHERE queue = $1",
        "DELETE FROM damaged WHERE queue = $1",
        "DELETE FROM bindings WHERE queue = $1",
        "DELETE FROM queues WHERE number = $1",
    ] {
        transaction.execute(sql, &[Value::Int(queue)]).await?;
    }
    changed(transaction).await
}
