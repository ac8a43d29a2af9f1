//! What became of deliveries.

use std::sync::Arc;

use bloodbank_bus::{DeliveryTag, Headers, Outcome, Report, Settlement, TransportError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::keeping::Kept;
use super::room::Rooms;
use super::seat::{Held, Seat};
use super::{in_time, lease, refused};
use crate::beside;
use crate::queues::{QueueCache, QueueRow, Queues, numbers};
use crate::reports::{self, HANDLED, Handled};
use crate::sql::{Each, Type, Value};
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// The most that are settled in one step.
const MOST: usize = 1_024;

/// How often others get their turn before what is settled goes on its way: handlers that have begun
/// together mostly end together.
const TURNS: usize = 8;

/// A delivery that is being settled.
pub(super) struct Settling {
    pub(super) seat: Arc<Seat>,
    pub(super) tag: DeliveryTag,
    pub(super) held: Held,
    pub(super) settlement: Settlement,
    pub(super) kept: Kept,
    pub(super) tell: oneshot::Sender<Outcome>,
}

/// What comes to whoever settles.
pub(super) enum Asked {
    Settle(Box<Settling>),
    /// To be told when everything before is done.
    Tell(oneshot::Sender<()>),
}

/// Settles what comes, as much at a time as has gathered, until nobody can send any more.
pub(super) async fn settle_all(
    store: EventStore,
    cache: Arc<QueueCache>,
    mut receiver: mpsc::UnboundedReceiver<Asked>,
) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, MOST).await > 0 {
        for _ in 0..TURNS {
            yield_now().await;
        }
        while batch.len() < MOST
            && let Ok(one) = receiver.try_recv()
        {
            batch.push(one);
        }
        let (mut settling, mut told) = (Vec::new(), Vec::new());
        for asked in batch.drain(..) {
            match asked {
                Asked::Settle(one) => settling.push(*one),
                Asked::Tell(one) => told.push(one),
            }
        }
        settle_some(&store, &cache, settling).await;
        for one in told {
            // Whoever asked may have gone.
            let _ = one.send(());
        }
    }
}

async fn settle_some(store: &EventStore, cache: &Arc<QueueCache>, settling: Vec<Settling>) {
    if settling.is_empty() {
        return;
    }
    let (items, waiting): (Vec<Item>, Vec<_>) = settling.into_iter().map(Settling::split).unzip();
    let (items, cache) = (Arc::new(items), cache.clone());
    let job = {
        let items = items.clone();
        async move |transaction: &mut Transaction| work(transaction, &cache, &items).await
    };
    let outcomes = in_time(store.writer().run(job)).await;
    let outcomes = outcomes.unwrap_or_else(|error| vec![Err(error); items.len()]);
    for ((item, (seat, tell)), outcome) in items.iter().zip(waiting).zip(outcomes) {
        tell_outcome(item, &seat, tell, outcome);
    }
}

fn tell_outcome(item: &Item, seat: &Seat, tell: oneshot::Sender<Outcome>, outcome: Outcome) {
    match &outcome {
        Ok(()) => seat.settled(item.tag),
        Err(TransportError::Stale) => seat.lose(),
        Err(_) => seat.not_settled(item.tag),
    }
    // Whoever settles may have gone.
    let _ = tell.send(outcome);
}

struct Item {
    consumer: i64,
    queue: i64,
    tag: DeliveryTag,
    held: Held,
    settlement: Settlement,
    kept: Kept,
}

impl Settling {
    fn split(self) -> (Item, (Arc<Seat>, oneshot::Sender<Outcome>)) {
        let Settling { seat, tag, held, settlement, kept, tell } = self;
        let consumer = tag.consumer.cast_signed();
        (Item { consumer, queue: seat.queue, tag, held, settlement, kept }, (seat, tell))
    }
}

impl Item {
    /// Names the message, as long as it is this consumer's, in `queue = $1 AND …`.
    fn name(&self) -> Vec<Value> {
        let (place, number) = self.held.place;
        [self.queue, place, number, self.consumer].map(Value::Int).to_vec()
    }

    /// Whether it only leaves its queue, and nothing but that is kept of it.
    fn is_done(&self) -> bool {
        matches!(self.settlement, Settlement::Ack | Settlement::Drop { .. })
            && !matches!(self.kept, Kept::Report(_))
    }

    /// What is stored with more noted on it.
    fn headers_with(&self, more: &Headers) -> Value {
        let mut headers = self.held.headers.clone();
        headers.extend(more.clone());
        // Not null, which would be those of the log.
        Value::text(beside::full_text(&headers, self.held.properties.as_deref()))
    }
}

const NAMED: &str = "WHERE queue = $1 AND place = $2 AND number = $3 AND consumer = $4";

async fn work(
    transaction: &mut Transaction,
    cache: &QueueCache,
    items: &[Item],
) -> Result<Vec<Outcome>, StoreError> {
    if items.iter().all(Item::is_done) {
        return done(transaction, items).await;
    }
    let gone = gone(transaction, items).await?;
    let parks = items.iter().any(|item| matches!(item.settlement, Settlement::Park { .. }));
    let queues = match parks {
        true => cache.read(transaction.connection()).await?,
        false => cache.last(),
    };
    let mut work = Work { transaction, queues, rooms: Rooms::default(), simple: Simple::default() };
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        outcomes.push(match gone.contains(&item.consumer) {
            true => Err(TransportError::Stale),
            false => work.settle(item).await?,
        });
    }
    work.finish().await?;
    let settled = items.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
    keep(transaction, settled.map(|(item, _)| item)).await?;
    Ok(outcomes)
}

/// Settles what only leaves its queue, in one round trip. That is nearly all there ever is.
async fn done(transaction: &mut Transaction, items: &[Item]) -> Result<Vec<Outcome>, StoreError> {
    let names: Vec<_> = items.iter().map(Item::name).collect();
    let handled = handled(items.iter()).into_rows();
    // Nobody can wait for what is done.
    transaction.quiet(true);
    let done = transaction.execute_sets(&[(&DONE, &names), (&HANDLED, &handled)]).await?;
    transaction.quiet(false);
    if done.first() == Some(&(items.len() as u64)) {
        return Ok(vec![Ok(()); items.len()]);
    }
    let gone = gone(transaction, items).await?;
    let is_gone = |item: &Item| gone.contains(&item.consumer);
    let outcome = |item| if is_gone(item) { Err(TransportError::Stale) } else { Ok(()) };
    Ok(items.iter().map(outcome).collect())
}

fn handled<'i>(items: impl Iterator<Item = &'i Item>) -> Handled {
    let mut handled = Handled::default();
    for item in items {
        if let Kept::Handled { queue, position } = &item.kept {
            handled.add(item.consumer, queue, *position);
        }
    }
    handled
}

/// Keeps what became of messages. Nobody waits for that.
async fn keep<'i>(
    transaction: &mut Transaction,
    settled: impl Iterator<Item = &'i Item> + Clone,
) -> Result<(), StoreError> {
    transaction.quiet(true);
    let handled = handled(settled.clone()).into_rows();
    transaction.execute_all(&HANDLED, &handled).await?;
    let report = |item: &Item| match &item.kept {
        Kept::Report(report) => Some(Report::clone(report)),
        Kept::Handled { .. } | Kept::Nothing => None,
    };
    let reports: Vec<Report> = settled.filter_map(report).collect();
    reports::keep(transaction, &reports).await?;
    transaction.quiet(false);
    Ok(())
}

/// Those of the consumers that have expired. What they held is not theirs.
async fn gone(transaction: &mut Transaction, items: &[Item]) -> Result<Vec<i64>, StoreError> {
    let mut consumers: Vec<i64> = items.iter().map(|item| item.consumer).collect();
    consumers.sort_unstable();
    consumers.dedup();
    let there = lease::there(transaction, &consumers).await?;
    consumers.retain(|consumer| !there.contains(consumer));
    Ok(consumers)
}

const DONE: Each<'_> = Each {
    one: "DELETE FROM messages WHERE queue = $1 AND place = $2 AND number = $3 AND consumer = $4",
    all: "DELETE FROM messages m USING unnest($1, $2, $3, $4) AS r(queue, place, number, consumer) \
         WHERE m.queue = r.queue AND m.place = r.place AND m.number = r.number \
         AND m.consumer = r.consumer",
    columns: &[Type::Int; 4],
};

/// What is done to many messages by one statement.
#[derive(Default)]
struct Simple {
    done: Vec<Vec<Value>>,
    requeued: Vec<Vec<Value>>,
    retried: Vec<Vec<Value>>,
}

struct Work<'a> {
    transaction: &'a mut Transaction,
    queues: Arc<Queues>,
    rooms: Rooms,
    simple: Simple,
}

impl Work<'_> {
    async fn settle(&mut self, item: &Item) -> Result<Outcome, StoreError> {
        let mut name = item.name();
        match &item.settlement {
            Settlement::Ack | Settlement::Drop { .. } => self.simple.done.push(name),
            Settlement::Requeue => self.simple.requeued.push(name),
            Settlement::Retry { after, headers } => {
                name.extend([item.headers_with(headers), Value::Int(lease::micros(*after))]);
                self.simple.retried.push(name);
            }
            Settlement::Park { headers } => return self.park(item, headers).await,
            other => {
                let what = format!("settling by {other:?}");
                return refused(TransportError::Unsupported { what });
            }
        }
        Ok(Ok(()))
    }

    /// To the end of the dead-letter queue, with bytes of its own: it may lie there for long, and
    /// retention is not to wait for it.
    async fn park(&mut self, item: &Item, headers: &Headers) -> Result<Outcome, StoreError> {
        let queue = self.queues.numbered(item.queue);
        let Some(dead) = queue.and_then(|queue| queue.spec.dead_letters.clone()) else {
            self.simple.done.push(item.name());
            return Ok(Ok(()));
        };
        let Some(dead) = self.queues.named(&dead).cloned() else {
            return refused(TransportError::Undeclared { queue: dead });
        };
        if let Err(error) = self.take_room(&dead).await? {
            return refused(error);
        }
        let number = numbers(self.transaction, 1).await?;
        let sql = format!(
            "UPDATE messages SET queue = $5, place = $6, number = $7, headers = $8, \
             key = COALESCE(key, (SELECT e.key FROM events e WHERE e.position = messages.position)), \
             body = \
                 COALESCE(body, (SELECT e.body FROM events e WHERE e.position = messages.position)), \
             position = NULL, consumer = NULL, redelivered = 0 {NAMED}"
        );
        let mut values = item.name();
        let place = Value::position(self.transaction.head.position);
        values.extend([Value::Int(dead.number), place, Value::Int(number)]);
        values.push(item.headers_with(headers));
        self.transaction.execute(&sql, &values).await?;
        Ok(Ok(()))
    }

    async fn take_room(&mut self, queue: &Arc<QueueRow>) -> Result<Outcome, StoreError> {
        let queues = std::slice::from_ref(queue);
        if self.rooms.is_unknown(queues) {
            self.rooms.count(self.transaction, queues).await?;
        }
        Ok(self.rooms.take(queues))
    }

    async fn finish(self) -> Result<(), StoreError> {
        let Work { transaction, simple, .. } = self;
        // Nobody can wait for what is done.
        transaction.quiet(true);
        transaction.execute_all(&DONE, &simple.done).await?;
        transaction.quiet(false);
        let sql = format!(
            "UPDATE messages SET consumer = NULL, \
             redelivered = CASE WHEN redelivered = 0 THEN 1 ELSE redelivered END {NAMED}"
        );
        transaction.execute_each(&sql, &simple.requeued).await?;
        let clock = transaction.connection().clock();
        let sql = format!(
            "UPDATE messages SET consumer = NULL, redelivered = 0, headers = $5, \
             due = {clock} + $6 {NAMED}"
        );
        transaction.execute_each(&sql, &simple.retried).await.map(|_| ())
    }
}
