//! Services on the listening side: handlers on queues.

mod batch;
mod call;
mod chains;
mod consumer;
mod error;
mod handlers;
mod layers;
mod partitions;
mod plan;
mod relay;
mod reporter;
mod run;
mod running;
mod serve;
mod setup;
mod watched;
mod worker;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_core::codec::Payload;
use bloodbank_core::{
    AnsweredWith, Command, ConsumedBy, Contract, Event, HandledBy, LiveContracts, Service,
    TopicPattern,
};
use serde::Serialize;
use tokio::sync::watch;

pub(crate) use self::call::Calling;
pub use self::error::SubscribeError;
use self::handlers::Handlers;
use self::layers::Wrap;
pub use self::run::{AnySubscriber, FailedService, RunError, run, run_until};
pub use self::setup::SetupFault;
pub use self::watched::SubscriberWatch;
use self::watched::UntilEnded;
use crate::{
    Dedup, Exchange, IntoVerdict, IntoVerdicts, LocalDedup, Queue, Received, RetryPolicy, Start,
    Transport,
};

/// Consumes the queues of one service and hands each message to its handler.
///
/// Queues and bindings come from registry.yaml unless they are named here. A message leaves its queue
/// when its handler is done with it: see [`Verdict`](crate::Verdict) for what handlers may return. A
/// panic is a failure like any other. What is not an envelope, or breaks its contract, reaches no handler
/// and is parked with the reason.
#[must_use = "nothing is consumed until `run_until`"]
pub struct Subscriber<S> {
    transport: Arc<dyn Transport>,
    contracts: LiveContracts,
    queues: Vec<Queue>,
    handlers: Handlers,
    /// The outermost first.
    layers: Vec<Wrap>,
    options: Options,
    /// What is wrong with what was said so far; told by `run_until`.
    faults: Vec<SetupFault>,
    /// True once each queue is consumed.
    ready: watch::Sender<bool>,
    watched: UntilEnded,
    service: PhantomData<fn() -> S>,
}

/// How long a handler may take: half of what RabbitMQ gives it.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// How long a message is tried again in place: less than the 30 minutes after which RabbitMQ closes the
/// channel of a consumer that has not settled a message, which would bring back all that was taken ahead
/// and begin with the first attempt anew. The default retries fit in, with a last handler that takes all
/// of its time.
const HOLD: Duration = Duration::from_secs(28 * 60);

/// How many messages a queue gives ahead, and the most that it gives unasked.
const PREFETCH: (usize, usize) = (100, 2_000);

/// How a subscriber works.
#[derive(Clone)]
struct Options {
    /// `None` for as many as are handled at a time, within [`PREFETCH`].
    prefetch: Option<u16>,
    concurrency: usize,
    strict_order: bool,
    /// Where the key stands whose order is kept.
    ordered_by: Option<String>,
    partitions: u16,
    skip_others: bool,
    hear_replays: bool,
    start: Start,
    /// What the code says, which counts more than registry.yaml.
    retry: Option<RetryPolicy>,
    dedup: Arc<dyn Dedup>,
    drain: Duration,
    /// How long a handler may take.
    timeout: Duration,
    /// How long a message is tried again in place.
    hold: Duration,
}

impl Options {
    fn prefetch(&self) -> u16 {
        let (least, most) = PREFETCH;
        let unsaid = || u16::try_from(self.concurrency.clamp(least, most)).unwrap_or(u16::MAX);
        self.prefetch.unwrap_or_else(unsaid)
    }
}

impl<S: Service> Subscriber<S> {
    /// A subscriber without handlers. `contracts` judge what reaches them.
    pub fn new(transport: Arc<dyn Transport>, contracts: impl Into<LiveContracts>) -> Self {
        Subscriber {
            transport,
            contracts: contracts.into(),
            queues: Vec::new(),
            handlers: Handlers::default(),
            layers: Vec::new(),
            options: Options {
                prefetch: None,
                concurrency: 8,
                strict_order: false,
                ordered_by: None,
                partitions: partitions::PARTITIONS,
                skip_others: false,
                hear_replays: false,
                start: Start::Now,
                retry: None,
                dedup: Arc::new(LocalDedup::default()),
                drain: Duration::from_secs(30),
                timeout: TIMEOUT,
                hold: HOLD,
            },
            faults: Vec::new(),
            ready: watch::Sender::new(false),
            watched: UntilEnded(SubscriberWatch::new(S::NAME)),
            service: PhantomData,
        }
    }

    /// Names a queue by hand, instead of those of registry.yaml; [`bind`](Subscriber::bind) it. Where
    /// registry.yaml gives the service a queue of this name, its limits and its order hold here, too.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queues.push(Queue::new(name));
        self
    }

    /// Binds the queue that was named last to a key or pattern of events, as it is written.
    pub fn bind(mut self, pattern: &str) -> Self {
        match (pattern.parse::<TopicPattern>(), self.queues.pop()) {
            (Ok(pattern), Some(queue)) => self.queues.push(queue.bind(Exchange::Events, pattern)),
            (Err(error), queue) => {
                self.queues.extend(queue);
                let pattern = pattern.to_owned();
                self.faults.push(SetupFault::BadPattern { pattern, error });
            }
            (Ok(pattern), None) => {
                self.faults.push(SetupFault::BindBeforeQueue { pattern });
            }
        }
        self
    }

    /// Handles one event.
    pub fn on<E, F, R>(mut self, handler: F) -> Self
    where
        E: Event + ConsumedBy<S>,
        F: Fn(Received<E>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoVerdict> + Send + 'static,
    {
        self.handlers.insert_event(E::KEYS, &handlers::of_event(handler));
        self
    }

    /// Handles two versions of one event with a handler that knows only the new one.
    pub fn on_upcast<Old, New, F, R>(mut self, handler: F) -> Self
    where
        Old: Event + ConsumedBy<S>,
        New: Event + ConsumedBy<S> + From<Old>,
        F: Fn(Received<New>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoVerdict> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.handlers
            .insert_event(Old::KEYS, &handlers::of_older::<Old, New, F, R>(handler.clone()));
        self.handlers.insert_event(New::KEYS, &handlers::of_event(move |new| handler(new)));
        self
    }

    /// Handles up to `most` messages of one event together; fewer once the first has waited for `wait`, and
    /// at the shutdown.
    ///
    /// Each message has its own fate: the handler returns one verdict for all or a list with one for each
    /// (see [`IntoVerdicts`]), and what is to be tried again comes again by itself, maybe in another
    /// batch. What was lost with its consumer more than once waits for no others. What breaks its
    /// contract or was handled before is not in the batch. Batches of one handler are handled one after
    /// the other, apart from [`concurrency`](Subscriber::concurrency), and
    /// [`timeout`](Subscriber::timeout) says how long each may take; the wait for its turn is not counted.
    /// The queue gives at least as many messages ahead as fit into a batch.
    pub fn on_batch<E, F, R>(mut self, most: usize, wait: Duration, handler: F) -> Self
    where
        E: Event + ConsumedBy<S>,
        F: Fn(Vec<Received<E>>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoVerdicts> + Send + 'static,
    {
        let most = most.max(1);
        self.handlers.insert_batch(E::KEYS, most, batch::of_batch(most, wait, handler));
        self
    }

    /// Handles every event that no other handler takes. `P` is the generated `AnyEvent`, or
    /// [`serde_json::Value`].
    pub fn on_any<P, F, R>(mut self, handler: F) -> Self
    where
        P: Payload,
        F: Fn(Received<P>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoVerdict> + Send + 'static,
    {
        self.handlers.insert_any_event(handlers::of_event(handler));
        self
    }

    /// Takes what no handler takes from the queue and forgets it, instead of parking it.
    pub fn skip_others(mut self) -> Self {
        self.options.skip_others = true;
        self
    }

    /// Hears replays, too: its queues of events are also bound to [`Exchange::Replay`], by the same
    /// patterns. As bindings are never removed, a queue hears replays until it is deleted. Where the
    /// transport only verifies queues, whoever declares them must bind them so.
    ///
    /// A replayed event is the one of the past, byte for byte. Beside it travel the name of the replay
    /// ([`headers::REPLAY`](crate::headers::REPLAY), see [`Received::replay`]) and the event's place
    /// in the store ([`headers::POSITION`](crate::headers::POSITION)). Deduplication counts the
    /// replay in: an event that was handled live is handled once more in each replay.
    pub fn hear_replays(mut self) -> Self {
        self.options.hear_replays = true;
        self
    }

    /// Begins with the past: a queue of events that is new gets what its patterns match in the record from
    /// there on, in order, and then what comes, without a gap. A queue that is there goes on where it
    /// was, and the log says so; so a service may say this at every start. Commands are never carried
    /// out again.
    ///
    /// ```
    /// # use bloodbank_bus::{Start, Subscriber};
    /// # fn example<S: bloodbank_core::Service>(subscriber: Subscriber<S>) {
    /// subscriber.from(Start::Beginning)
    /// # ; }
    /// ```
    ///
    /// The bus must keep a record: the one in the store does (what was imported there is for no queue),
    /// and one on RabbitMQ that was given the store in which it is recorded does. On another one the
    /// subscriber ends with [`TransportError::Unsupported`](crate::TransportError::Unsupported). What
    /// was pruned is left out. A queue that was declared before the subscriber ran is there.
    pub fn from(mut self, start: Start) -> Self {
        self.options.start = start;
        self
    }

    /// Carries out a command, from its worker queue. The result is its
    /// [`Command::Reply`](bloodbank_core::Command::Reply); where its schema does not say, anything that
    /// has a JSON form.
    ///
    /// A result that breaks what the schema says of it is a fault of the handler: it is logged, who
    /// called gets it as an error, and the command counts as carried out.
    ///
    /// Who called gets the result or the error at once. A command that was only sent, or whose caller
    /// is gone, and that failed, is retried like an event. An error that is a
    /// [`Verdict`](crate::Verdict) is taken as it is.
    pub fn handle<C, F, R, T, E>(mut self, handler: F) -> Self
    where
        C: Command + HandledBy<S> + AnsweredWith<T>,
        F: Fn(Received<C>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize + 'static,
        E: fmt::Display + 'static,
    {
        self.handlers.insert_command(C::KEYS, &handlers::of_command(handler));
        self
    }

    /// How many messages each queue gives ahead; 100 unless said, or as many as are handled at a time,
    /// if these are more. RabbitMQ's quorum queues give no more than 2,000.
    pub fn prefetch(mut self, messages: u16) -> Self {
        self.options.prefetch = Some(messages);
        self
    }

    /// How many messages of each queue are handled at a time; 8 unless said.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.options.concurrency = handlers.max(1);
        self
    }

    /// How many messages of one event or command are handled at a time, of those that
    /// [`concurrency`](Subscriber::concurrency) allows, on all queues of this subscriber. While some wait
    /// for their turn, others are handled, as long as the [`prefetch`](Subscriber::prefetch) has room for
    /// both. It says nothing of batches, which are one at a time.
    ///
    /// ```
    /// # use bloodbank_bus::Subscriber;
    /// # use bloodbank_core::Contract;
    /// # fn example<S: bloodbank_core::Service, SendMail: Contract>(subscriber: Subscriber<S>) {
    /// // The mail server takes two connections.
    /// subscriber.concurrency(16).concurrency_of::<SendMail>(2)
    /// # ; }
    /// ```
    pub fn concurrency_of<C: Contract>(mut self, handlers: usize) -> Self {
        self.handlers.limit_to(C::KEYS, handlers);
        self
    }

    /// One message at a time, in order: what fails is tried again in place, and parked at the end, so
    /// that nothing overtakes it; see [`hold_at_most`](Subscriber::hold_at_most). Order holds across
    /// processes, too, as one of them gets everything; a queue of registry.yaml must say `ordered: true`
    /// for that.
    pub fn strict_order(mut self) -> Self {
        self.options.strict_order = true;
        self
    }

    /// Keeps the order of events that have the same value at this JSON pointer in their payload
    /// (`"/meeting_id"`), and handles those of different values side by side, over any number of
    /// processes. What fails is tried again in place, and the other keys go on meanwhile; what keeps
    /// failing is parked, and its key goes on.
    ///
    /// Each queue is divided into [`partitions`](Subscriber::partitions), queues of their own. One process
    /// at a time passes on what comes to the queue itself; a partition is handled by one process at a
    /// time, which makes room for others now and then. An event may come twice when a process ends,
    /// but never before one that it follows. [`concurrency`](Subscriber::concurrency) says how many
    /// handlers run at a time for all partitions of a queue.
    ///
    /// A text counts as it is, another value as its JSON (so `7` and `"7"` are one key); events without a
    /// value, or with null, have the empty key, and their order among each other is kept. A partition
    /// gives 32 messages ahead: when those behind a failing one have taken all of its places, its other
    /// keys wait with it. As with [`strict_order`](Subscriber::strict_order) a queue of registry.yaml
    /// must say `ordered: true`. Commands have no such order: they are handled as without this.
    pub fn ordered_by(mut self, pointer: &str) -> Self {
        if partitions::is_pointer(pointer) {
            (self.options.strict_order, self.options.ordered_by) = (true, Some(pointer.to_owned()));
        } else {
            self.faults.push(SetupFault::BadPointer { pointer: pointer.to_owned() });
        }
        self
    }

    /// How many partitions each queue has with [`ordered_by`](Subscriber::ordered_by); 16 unless said,
    /// at most 256. All processes of a service must say the same. Change it only when the queue and its
    /// partitions are empty: a key may then be in another partition.
    ///
    /// With one, nothing is passed on: a single process at a time handles the queue, its keys side by
    /// side, and another takes over when that one ends. It is the fastest, and the one to choose while
    /// one process can do the work.
    pub fn partitions(mut self, count: u16) -> Self {
        self.options.partitions = count.clamp(1, partitions::MOST_PARTITIONS);
        self
    }

    /// How long a message is tried again in place, where order is kept; 28 minutes unless said. When the
    /// next attempt could end later (its pause and the [`timeout`](Subscriber::timeout) count, the
    /// latter up to 15 minutes), the message is parked as exhausted, and its error says so.
    ///
    /// RabbitMQ takes back what is not settled after 30 minutes, and with it all that was taken ahead;
    /// the attempts made in place would be forgotten. The messages behind a failing one count from when
    /// they were taken ahead: where several fail one after the other, they may come back once, in their
    /// order. Raise this only where the broker gives more (`consumer_timeout`), or on another transport.
    pub fn hold_at_most(mut self, time: Duration) -> Self {
        self.options.hold = time;
        self
    }

    /// When a failed message is tried again, on every queue of this subscriber, whatever registry.yaml
    /// says. Without it, each queue has the `retries` that registry.yaml names for it, else 1 s, 10 s,
    /// 1 min and 10 min.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.options.retry = Some(policy);
        self
    }

    /// What remembers the messages that were handled; the last 100,000 in this process unless said.
    ///
    /// The memory of one process knows nothing of the others. A command that is sent twice, under one
    /// idempotency key, may come to two processes, and is then carried out twice. Where several processes
    /// handle the commands of a service, let them share their memory (`RedisDedup`, with the feature
    /// `redis`), or let the handler note the envelope's id in the database that it writes to, in the same
    /// transaction.
    pub fn dedup(mut self, dedup: impl Dedup) -> Self {
        self.options.dedup = Arc::new(dedup);
        self
    }

    /// How long a handler may take with one message, or one batch; 15 minutes unless said. Then its
    /// future is dropped, and the message has failed: it is tried again, like after any other failure.
    ///
    /// Keep it below the time that the broker gives: RabbitMQ takes back what is not settled after 30
    /// minutes, and gives it to somebody else. `Duration::MAX` lets handlers take as long as they do. A
    /// handler that blocks its thread cannot be dropped; one that has been running for 30 seconds is named
    /// in the log, and again each time its age has doubled.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options.timeout = time;
        self
    }

    /// How long handlers may go on after the shutdown; 30 s unless said.
    pub fn drain(mut self, time: Duration) -> Self {
        self.options.drain = time;
        self
    }
}

impl<S> fmt::Debug for Subscriber<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("queues", &self.queues).finish_non_exhaustive()
    }
}
