//! The bus with nothing to install: a store's log, read by queues with durable cursors.
//!
//! # Model
//!
//! Publishing appends to the log. A queue is a name, its bindings and a cursor: the log behind the
//! cursor is what the queue still holds of it, so that an event costs one row however many queues
//! want it, and a queue that nobody reads costs nothing but its cursor. What a consumer claims is
//! taken over into a table of messages, where it stays until it is settled; there also lies what was
//! put into a queue past the log: retries, dead letters, replays, and whatever was forwarded to the
//! queue by name. A queue gives its messages in the order in which they came into it. A message that
//! is tried again keeps its place.
//!
//! Commands are in the log beside events, once each; their worker queue and the queues that record
//! them read them there. A new queue begins at the end of the log. Whatever is appended to the store
//! comes to the queues that want it, also what was not published here.
//!
//! # Any number of processes
//!
//! All of it lies in the database, and everything that decides happens in transactions, of which the
//! store has one at a time. Several processes on one SQLite file or one PostgreSQL database are one
//! bus: they publish to each other, compete for the messages of a queue, and answer each other's
//! calls. What this process has written is seen at once. What another has written, PostgreSQL tells: who
//! appends notifies all who listen. On SQLite it is looked for in memory: every 10 ms, and after a while in
//! which nothing was written every 50 ms.
//!
//! A process has two connections to PostgreSQL, one that writes and one that reads and listens. Where less
//! than half of the server's connections are left it goes on with the first. Behind a pooler in transaction mode nothing can be heard; a process finds that out by itself, and looks every 10
//! to 400 ms instead, the less often the less comes.
//!
//! A SQLite store is the file together with its `-wal` and `-shm`: copy it with a
//! [`backup`](EventStore::backup), or all three files while nobody has it open.
//!
//! # Guarantees
//!
//! Durable before [`publish`](Transport::publish) is done, at least once until it is settled. The same
//! message published twice under its id is stored and delivered once; another message under a known id
//! is refused and lies in quarantine. Publishing has its outcome within 5 s, also while somebody holds the
//! database: what has not begun by then is not done any more.
//!
//! A message that cannot be read as it was stored (its body does not have its checksum, or what travelled
//! beside it is not JSON) is set aside with a warning, and its queue goes on. See
//! [`QueueStatus::damaged`].
//!
//! A consumer whose process has not been heard of for [`EmbeddedOptions::lease`] is given up: what it
//! held goes to others, marked as redelivered, and its temporary queues go. So does a temporary queue
//! that nobody has subscribed to for a minute. A consumer that holds nothing, and whose end nobody waits
//! for, is renewed only about once in five leases. A process that could not renew its consumers in that
//! time knows that its deliveries are [`Stale`](TransportError::Stale). Whoever holds the database for
//! longer than a lease costs all processes their consumers.
//!
//! # Bounds
//!
//! The log holds what queues have not read, so a queue of events has no limit but the disk: the log has
//! them anyway, and a [`max_len`](bloodbank_bus::Queue::max_len) changes nothing. Nor has another queue
//! without `max_len`. With it, publishing is [`Nacked`](TransportError::Nacked) while the queue holds
//! that many; then nothing is stored. 4,096 messages may be on their way to the log at a time;
//! up to 1,024 share a transaction.

mod calls;
mod claim;
mod claims;
mod consumer;
mod damaged;
mod deadline;
mod declare;
mod inspect;
mod keeping;
mod lease;
mod look;
mod lying;
mod message;
mod moving;
mod publish;
mod room;
mod scheduling;
mod seat;
mod settle;
mod shared;
mod whereabouts;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, Exchange, HeaderValue, Request,
    Settlement, Subscription, Topology, Transport, TransportError, Trouble, Verbatim, headers,
};
use bloodbank_core::Kind;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use self::calls::Calls;
pub use self::inspect::{DamagedMessage, QueueStatus};
use self::keeping::Keeping;
pub(crate) use self::keeping::reports_from_env;
pub use self::moving::QueueMove;
pub(crate) use self::moving::moves_over;
use self::publish::{Post, What};
use self::settle::{Asked, Settling};
use self::shared::Shared;
pub(crate) use self::whereabouts::in_queues;
pub use self::whereabouts::{Held, HeldState, InQueue};
use crate::queues::QueueCache;
use crate::record::Record;
use crate::retention;
use crate::sql::Connection;
use crate::writer::Transaction;
use crate::{EventStore, Incoming, StoreError};

/// Messages on their way to the log; more wait until there is room.
const UNDER_WAY: usize = 4_096;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whoever renews more often does nothing else.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// How an embedded bus differs from the default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// After how long without a word a consumer is given up; 10 s unless said, and at least 100 ms. One
    /// that holds something is renewed four times as often. All processes of a bus should say the same.
    pub lease: Duration,
    /// For how long is kept what became of each message in each queue; 7 days unless said, or as many
    /// as the variable `BLOODBANK_REPORT_DAYS` says. `None` keeps nothing. What is handled at the first
    /// attempt is kept for as long as its event is, too: messages that are settled together share a row.
    /// Each process removes what is too old for it.
    pub reports: Option<Duration>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        EmbeddedOptions { lease: Duration::from_secs(10), reports: keeping::reports_from_env() }
    }
}

impl EmbeddedOptions {
    /// Sets after how long without a word a consumer is given up.
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets for how long is kept what became of messages.
    pub fn with_reports(mut self, keep: Option<Duration>) -> Self {
        self.reports = keep;
        self
    }
}

/// A bus on a store: in one process, or in all that open the same database.
///
/// Clones are the same bus. See the [`Transport`] for what it does.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

impl Embedded {
    /// A bus on a store. Must be called inside a tokio runtime, which it uses as long as it lives.
    pub fn new(store: EventStore) -> Self {
        Embedded::with_options(store, EmbeddedOptions::default())
    }

    /// The same, with other options.
    pub fn with_options(store: EventStore, options: EmbeddedOptions) -> Self {
        let lease = options.lease.max(SHORTEST_LEASE);
        let (posts, posted) = mpsc::channel(UNDER_WAY);
        let (settling, settled) = mpsc::unbounded_channel();
        let (closing, cache) = (watch::Sender::new(false), Arc::<QueueCache>::default());
        tokio::spawn(settle::settle_all(store.clone(), cache.clone(), settled));
        let (claiming, claimed) = mpsc::unbounded_channel();
        tokio::spawn(claims::claim_all(
            store.clone(),
            cache.clone(),
            lease::micros(lease),
            claimed,
        ));
        let posting = publish::post_all(store.clone(), cache.clone(), posted, closing.subscribe());
        let shared = Shared {
            store,
            cache,
            posts,
            posting: Some(tokio::spawn(posting)).into(),
            settling,
            claiming,
            calls: Arc::new(Calls::new()),
            closing,
            lease,
            look: Default::default(),
            is_kept: false.into(),
            keeping: Keeping::new(options.reports),
            is_scheduling: false.into(),
            seats: Default::default(),
        };
        Embedded { shared: Arc::new(shared) }
    }

    /// The store that it lies in.
    pub fn store(&self) -> &EventStore {
        &self.shared.store
    }

    fn post(&self, what: What) -> Confirm {
        if let Err(closed) = self.shared.check_open() {
            return Confirm::settled(Err(closed));
        }
        let (tell, outcome) = oneshot::channel();
        let since = Instant::now();
        match self.shared.posts.try_send(Post { what, tell, since }) {
            Ok(()) => Confirm::pending(outcome),
            Err(TrySendError::Closed(_)) => Confirm::settled(Err(TransportError::Closed)),
            Err(TrySendError::Full(post)) => {
                let posts = self.shared.posts.clone();
                Confirm::waiting(async move {
                    let room = posts.reserve().await.map_err(|_| TransportError::Closed)?;
                    room.send(Post { since: Instant::now(), ..post });
                    Ok(outcome)
                })
            }
        }
    }

    /// Sends what is due and carries retention out, from now on.
    fn keep_schedule(&self) {
        if !self.shared.is_scheduling.swap(true, Ordering::Relaxed) {
            let closing = self.shared.closing.subscribe();
            tokio::spawn(scheduling::send_due(Arc::downgrade(&self.shared), closing));
            tokio::spawn(retaining(self.store().clone(), self.shared.closing.subscribe()));
        }
    }

    /// Brings answers to those who call here, from now on.
    fn listen(&self) {
        if !self.shared.calls.is_listening.swap(true, Ordering::Relaxed) {
            let (store, calls) = (self.store().clone(), self.shared.calls.clone());
            tokio::spawn(calls::listen(store, calls, self.shared.closing.subscribe()));
        }
    }
}

/// Carries retention out until the bus is closed or dropped.
async fn retaining(store: EventStore, mut closing: watch::Receiver<bool>) {
    tokio::select! {
        // An error means that the bus was dropped.
        _ = closing.wait_for(|closing| *closing) => {}
        () = retention::keep(store) => {}
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("store", self.store().url()).finish_non_exhaustive()
    }
}

impl Transport for Embedded {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(async move {
            self.shared.check_open()?;
            let (cache, topology) = (self.shared.cache.clone(), topology.clone());
            let declaring = self
                .store()
                .writer()
                .run(async move |t: &mut Transaction| declare::declare(t, &cache, &topology).await);
            in_time(declaring).await?
        })
    }

    fn publish(&self, message: Encoded) -> Confirm {
        if let Some(due) = message.due() {
            self.keep_schedule();
            return self.post(What::Schedule(Box::new(scheduling::scheduled(message, due))));
        }
        self.post(What::Log(Box::new(Record::of_valid(message)), None))
    }

    fn request(&self, message: Encoded) -> Request {
        let (sender, answer) = oneshot::channel();
        if let Err(closed) = self.shared.check_open() {
            return Request { confirm: Confirm::settled(Err(closed)), answer };
        }
        self.listen();
        let mut record = Record::of_valid(message);
        let waiting = self.shared.calls.wait(sender, &record.headers);
        let address = HeaderValue::from(&*waiting.address);
        record.headers.insert(headers::REPLY_TO.to_owned(), address);
        let confirm = self.post(What::Log(Box::new(record), Some(waiting)));
        Request { confirm, answer }
    }

    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm {
        match command.reply_to.clone() {
            Some(address) => self.post(What::Answer { address, body: body.into() }),
            None => Confirm::settled(Ok(())),
        }
    }

    /// Events are appended to the log, unless they are replayed. Everything else goes past the log, to
    /// the queues that its exchange gives it to: what was recorded is not carried out for that.
    fn forward(&self, message: Verbatim, to: Destination) -> Confirm {
        let is_replay = message.headers.contains_key(headers::REPLAY);
        match to {
            Destination::Exchange(Exchange::Events) if !is_replay => {
                let incoming = Incoming::new(Kind::Event, message.key, message.body)
                    .with_headers(message.headers)
                    .with_properties(message.properties);
                let record = Record::of(&self.store().contracts(), incoming);
                self.post(What::Log(Box::new(record), None))
            }
            Destination::Exchange(exchange) => self.post(What::Route(message, exchange)),
            Destination::Listeners => self.post(What::Listeners(message)),
            Destination::Queue(name) => self.post(What::Queue(message, name)),
            other => {
                let what = format!("forwarding to {other:?}");
                Confirm::settled(Err(TransportError::Unsupported { what }))
            }
        }
    }

    fn subscribe(
        &self,
        subscription: Subscription,
    ) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        // Whoever is on the bus for longer sends what is due on it.
        self.keep_schedule();
        Box::pin(self.shared.subscribe(subscription))
    }

    fn is_current(&self, delivery: &Delivery) -> bool {
        self.shared.check_open().is_ok() && self.shared.is_held(delivery.tag)
    }

    fn settle<'a>(
        &'a self,
        delivery: &'a Delivery,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(async move {
            self.shared.check_open()?;
            let tag = delivery.tag;
            let seat = self.shared.seat(tag).ok_or(TransportError::Stale)?;
            let held = seat.begin_to_settle(tag).ok_or(TransportError::Stale)?;
            let (tell, outcome) = oneshot::channel();
            let kept = self.shared.keeping.of(delivery, &held, &settlement);
            let settling = Settling { seat, tag, held, settlement, kept, tell };
            let sent = self.shared.settling.send(Asked::Settle(Box::new(settling)));
            sent.map_err(|_| TransportError::Closed)?;
            outcome.await.unwrap_or(Err(TransportError::Closed))
        })
    }

    fn keeps_history(&self) -> bool {
        true
    }

    fn has_queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, TransportError>> {
        let name = name.to_owned();
        let asked = self.store().readers().run(async move |c: &mut Connection| {
            Ok(QueueCache::default().read(c).await?.named(&name).is_some())
        });
        Box::pin(in_time(asked))
    }

    fn trouble(&self) -> Option<Trouble> {
        let closed = self.shared.check_open().err()?;
        Some(Trouble::new(closed, Duration::ZERO))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.close())
    }
}

/// A refusal that takes nothing back.
fn refused<T>(error: TransportError) -> Result<Result<T, TransportError>, StoreError> {
    Ok(Err(error))
}

/// What the store does, or says, or that it says nothing for too long.
async fn in_time<T>(
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, TransportError> {
    match timeout(DEADLINE, future).await {
        Ok(done) => done.map_err(transport_error),
        Err(_) => Err(TransportError::Unknown),
    }
}

/// What a store's error means to whoever uses the bus.
pub(crate) fn transport_error(error: StoreError) -> TransportError {
    match error {
        StoreError::Full
        | StoreError::Busy { .. }
        | StoreError::Removed { .. }
        | StoreError::TooManyConnections { .. } => {
            TransportError::Unavailable { code: error.code(), reason: error.to_string() }
        }
        StoreError::Lost { .. } => TransportError::Unknown,
        StoreError::Open { outage, .. } | StoreError::Unreachable { outage, .. } => {
            TransportError::Disconnected { outage }
        }
        StoreError::Closed => TransportError::Closed,
        other => TransportError::Other { code: other.code(), reason: other.to_string() },
    }
}
