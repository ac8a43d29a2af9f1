//! From publishers into the log and into queues.

use std::sync::Arc;

use bloodbank_bus::{Exchange, Outcome, TransportError, Verbatim};
use bloodbank_core::Kind;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::deadline::OUTCOME;
use super::message;
use super::room::Rooms;
use super::{calls, deadline};
use crate::queues::{QueueCache, QueueRow, Queues};
use crate::record::Record;
use crate::scheduled::{self, Scheduled};
use crate::writer::Transaction;
use crate::{Appended, EventStore, Position, StoreError};

/// The most that share one step.
const MOST: usize = 1_024;

/// Something on its way.
pub(super) struct Post {
    pub(super) what: What,
    pub(super) tell: oneshot::Sender<Outcome>,
    /// When there was room for it.
    pub(super) since: Instant,
}

pub(super) enum What {
    /// Into the log. A command that is called names who waits for its answer.
    Log(Box<Record>, Option<Waiting>),
    /// Kept until it is due.
    Schedule(Box<Scheduled>),
    /// Past the log, to the queues that an exchange gives it to.
    Route(Verbatim, Exchange),
    /// Past the log, to the queues that listen to events and do not only record them.
    Listeners(Verbatim),
    /// Past the log, into one queue.
    Queue(Verbatim, String),
    /// To whoever waits for the answer to a command.
    Answer { address: Arc<str>, body: Arc<[u8]> },
}

/// Who waits for the answer to a command.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) address: Arc<str>,
    pub(super) caller: Uuid,
    /// How long, in microseconds.
    pub(super) time: i64,
}

/// Stores what comes, as much at a time as has gathered, until nobody can send any more or `closing`
/// is told and everything that came is done.
pub(super) async fn post_all(
    store: EventStore,
    cache: Arc<QueueCache>,
    mut receiver: mpsc::Receiver<Post>,
    mut closing: tokio::sync::watch::Receiver<bool>,
) {
    let (mut batch, mut is_open) = (Vec::new(), true);
    loop {
        tokio::select! {
            biased;
            count = receiver.recv_many(&mut batch, MOST) => if count == 0 { return },
            // An error means that there is nobody left to close it.
            _ = closing.wait_for(|closing| *closing), if is_open => {
                is_open = false;
                receiver.close();
                continue;
            }
        }
        let first = batch.first().map_or_else(Instant::now, |post| post.since);
        let (posts, waiting): (Vec<What>, Vec<_>) =
            batch.drain(..).map(|post: Post| (post.what, post.tell)).unzip();
        let (count, cache) = (posts.len(), cache.clone());
        let job = async move |transaction: &mut Transaction| {
            let queues = cache.read(transaction.connection()).await?;
            Posting::new(transaction, queues, count).all(posts).await
        };
        let outcomes = deadline::by(first + OUTCOME, &store, job).await;
        if let Err(error) = &outcomes
            && deadline::is_untaken(error)
        {
            // They have waited for the same. All are taken before anybody is told, and tries again.
            let others: Vec<Post> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
            for other in others {
                let _ = other.tell.send(Err(error.clone()));
            }
        }
        let outcomes = outcomes.unwrap_or_else(|error| vec![Err(error); count]);
        for (tell, outcome) in waiting.into_iter().zip(outcomes) {
            // Whoever published may have gone.
            let _ = tell.send(outcome);
        }
    }
}

/// Some posts in one transaction.
struct Posting<'a> {
    transaction: &'a mut Transaction,
    queues: Arc<Queues>,
    rooms: Rooms,
    outcomes: Vec<Outcome>,
    /// What goes into the log next, with the place of its outcome.
    records: Vec<Record>,
    waiting: Vec<(usize, Option<Waiting>)>,
}

impl<'a> Posting<'a> {
    fn new(transaction: &'a mut Transaction, queues: Arc<Queues>, count: usize) -> Self {
        Posting {
            transaction,
            queues,
            rooms: Rooms::default(),
            outcomes: vec![Ok(()); count],
            records: Vec::new(),
            waiting: Vec::new(),
        }
    }

    async fn all(mut self, posts: Vec<What>) -> Result<Vec<Outcome>, StoreError> {
        for (index, what) in posts.into_iter().enumerate() {
            match what {
                What::Log(record, waiting) => self.log(index, *record, waiting).await?,
                What::Schedule(message) => {
                    scheduled::schedule(self.transaction, &[*message]).await?;
                }
                What::Route(message, exchange) => {
                    let queues = self.queues.wanting(exchange, &message.key);
                    let is_lost = queues.is_empty() && exchange.is_mandatory();
                    self.outcomes[index] = match is_lost {
                        true => Err(unroutable(&message.key)),
                        false => self.put(&message, &queues).await?,
                    };
                }
                What::Listeners(message) => {
                    let mut queues = self.queues.wanting(Exchange::Events, &message.key);
                    queues.retain(|queue| !queue.spec.recorder);
                    self.outcomes[index] = match queues.is_empty() {
                        true => Err(unroutable(&message.key)),
                        false => self.put(&message, &queues).await?,
                    };
                }
                What::Queue(message, name) => {
                    self.outcomes[index] = match self.queues.named(&name).cloned() {
                        None => Err(TransportError::Undeclared { queue: name }),
                        Some(queue) => self.put(&message, &[queue]).await?,
                    };
                }
                What::Answer { address, body } => {
                    let is_awaited = calls::answer(self.transaction, &address, &body).await?;
                    self.outcomes[index] = is_awaited.then_some(()).ok_or(TransportError::NoCaller);
                }
            }
        }
        self.flush().await?;
        Ok(self.outcomes)
    }

    /// A message for the log, if the queues that want it have room.
    async fn log(
        &mut self,
        index: usize,
        record: Record,
        waiting: Option<Waiting>,
    ) -> Result<(), StoreError> {
        let mut queues = match record.kind {
            Kind::Event => self.queues.wanting(Exchange::Events, &record.key),
            Kind::Command => self.queues.wanting(Exchange::Commands, &record.key),
        };
        if record.kind == Kind::Command {
            if queues.is_empty() {
                self.outcomes[index] = Err(unroutable(&record.key));
                return Ok(());
            }
            queues.extend(self.queues.wanting(Exchange::Audit, &record.key));
        }
        match self.take_room(&queues).await? {
            Ok(()) => {
                self.records.push(record);
                self.waiting.push((index, waiting));
            }
            refused => self.outcomes[index] = refused,
        }
        Ok(())
    }

    /// Past the log.
    async fn put(
        &mut self,
        message: &Verbatim,
        queues: &[Arc<QueueRow>],
    ) -> Result<Outcome, StoreError> {
        if queues.is_empty() {
            return Ok(Ok(()));
        }
        // It stands behind what came before it.
        self.flush().await?;
        match self.take_room(queues).await? {
            Ok(()) => message::put(self.transaction, message, queues).await.map(Ok),
            refused => Ok(refused),
        }
    }

    async fn take_room(&mut self, queues: &[Arc<QueueRow>]) -> Result<Outcome, StoreError> {
        if self.rooms.is_unknown(queues) {
            // What is on its way into the log must be counted, too.
            self.flush().await?;
            self.rooms.count(self.transaction, queues).await?;
        }
        Ok(self.rooms.take(queues))
    }

    /// Appends what goes into the log.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let (records, waiting) =
            (std::mem::take(&mut self.records), std::mem::take(&mut self.waiting));
        if records.is_empty() {
            return Ok(());
        }
        let appended = self.transaction.append(&records).await?;
        for ((record, appended), (index, waiting)) in records.into_iter().zip(appended).zip(waiting)
        {
            self.outcomes[index] = match (appended, waiting) {
                (Appended::Conflict(position), _) => Err(conflict(&record, position)),
                (Appended::Stored(_), Some(waiting)) => self.wait(&waiting).await?,
                (Appended::Duplicate(_), Some(waiting)) => self.ask_again(record, &waiting).await?,
                (Appended::Stored(_) | Appended::Duplicate(_), None) => Ok(()),
            };
        }
        Ok(())
    }

    async fn wait(&mut self, waiting: &Waiting) -> Result<Outcome, StoreError> {
        calls::wait(self.transaction, waiting).await.map(Ok)
    }

    /// A command that is stored already goes to its worker once more, for an answer of its own.
    async fn ask_again(
        &mut self,
        record: Record,
        waiting: &Waiting,
    ) -> Result<Outcome, StoreError> {
        let queues = self.queues.wanting(Exchange::Commands, &record.key);
        let Record { key, body, headers, properties, .. } = record;
        let again = Verbatim::stored(key, body, headers).with_properties(properties);
        message::put(self.transaction, &again, &queues).await?;
        self.wait(waiting).await
    }
}

fn unroutable(key: &str) -> TransportError {
    TransportError::Unroutable { key: key.to_owned() }
}

fn conflict(record: &Record, position: Position) -> TransportError {
    TransportError::IdConflict { id: record.id, position }
}
