//! What the parts of one embedded bus share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bloodbank_bus::{Deliveries, DeliveryTag, Subscription, TransportError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::calls::Calls;
use super::claims::Claiming;
use super::consumer::{Consumer, Known, PAGE};
use super::keeping::Keeping;
use super::lease::Left;
use super::look::Look;
use super::message::Place;
use super::publish::Post;
use super::seat::{Renewal, Seat};
use super::settle::Asked;
use super::{DEADLINE, in_time, lease, refused};
use crate::queues::{QueueCache, QueueRow};
use crate::sql::Connection;
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// A consumer that holds something is renewed that often in the time after which it is given up.
const RENEWALS: u32 = 4;

/// One that holds nothing is renewed for so many times that time, so that it writes rarely.
const PATIENCE: u32 = 6;

pub(super) struct Shared {
    pub(super) store: EventStore,
    pub(super) cache: Arc<QueueCache>,
    pub(super) posts: mpsc::Sender<Post>,
    /// Whoever handles the posts; taken when it is waited for.
    pub(super) posting: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    pub(super) settling: mpsc::UnboundedSender<Asked>,
    pub(super) claiming: mpsc::UnboundedSender<Claiming>,
    pub(super) calls: Arc<Calls>,
    pub(super) look: Look,
    pub(super) closing: watch::Sender<bool>,
    /// After how long without a word a consumer is given up.
    pub(super) lease: Duration,
    pub(super) is_kept: AtomicBool,
    /// What became of messages.
    pub(super) keeping: Keeping,
    /// Whether what is due is sent, and retention carried out, from here, too.
    pub(super) is_scheduling: AtomicBool,
    /// By the consumers' numbers.
    pub(super) seats: Mutex<HashMap<u64, Arc<Seat>>>,
}

impl Shared {
    /// No code that holds the lock can leave the seats half done.
    fn seats(&self) -> MutexGuard<'_, HashMap<u64, Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn check_open(&self) -> Result<(), TransportError> {
        if *self.closing.borrow() { Err(TransportError::Closed) } else { Ok(()) }
    }

    pub(super) fn seat(&self, tag: DeliveryTag) -> Option<Arc<Seat>> {
        self.seats().get(&tag.consumer).cloned()
    }

    /// Whether a delivery is this process's own and not settled.
    pub(super) fn is_held(&self, tag: DeliveryTag) -> bool {
        let seat = self.seat(tag);
        seat.is_some_and(|seat| seat.is_current() && seat.holds(tag))
    }

    /// Starts a consumer.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        subscription: Subscription,
    ) -> Result<Deliveries, TransportError> {
        self.check_open()?;
        let (cache, lease) = (self.cache.clone(), lease::micros(self.lease));
        let (name, renewed) = (subscription.queue.clone(), Instant::now());
        let entering = self.store.writer().run(async move |transaction: &mut Transaction| {
            enter(transaction, &cache, name, lease).await
        });
        let (queue, consumer, end) = in_time(entering).await??;
        let seat = Arc::new(Seat::new(&queue, consumer, renewed + self.lease));
        self.seats().insert(consumer.unsigned_abs(), seat.clone());
        if !self.is_kept.swap(true, Ordering::Relaxed) {
            tokio::spawn(keep(Arc::downgrade(self), self.closing.subscribe(), self.lease));
            self.keeping.prune_now_and_then(&self.store, self.closing.subscribe());
        }
        // Closed in between: the seat may not have been seen.
        if self.check_open().is_err() {
            seat.stop.send_replace(true);
        }
        Ok(self.start(&subscription, seat, end))
    }

    fn start(
        self: &Arc<Self>,
        subscription: &Subscription,
        seat: Arc<Seat>,
        end: Place,
    ) -> Deliveries {
        let prefetch = usize::from(subscription.prefetch.max(1));
        let places = if subscription.until_empty { PAGE } else { prefetch };
        let (sender, receiver) = mpsc::channel(places);
        let (closed, when_closed) = oneshot::channel();
        let consumer = Consumer {
            shared: self.clone(),
            seat: seat.clone(),
            sender,
            prefetch,
            within: subscription.until_empty.then_some(((-1, 0), end)),
            known: Known::default(),
            closed,
        };
        tokio::spawn(consumer.run());
        let begins = seat.clone();
        let cancel = move || {
            seat.stop.send_replace(true);
        };
        Deliveries::new(receiver, cancel)
            .with_closed(when_closed)
            .with_start(move |delivery| begins.begin(delivery.tag))
    }

    /// Comes back to a queue after the consumer has expired; `None` if the queue is gone.
    pub(super) async fn enter_again(&self, queue: i64) -> Result<Option<i64>, StoreError> {
        let (cache, lease) = (self.cache.clone(), lease::micros(self.lease));
        let entering = async move |transaction: &mut Transaction| {
            let queues = cache.read(transaction.connection()).await?;
            if queues.numbered(queue).is_none() {
                return Ok(None);
            }
            lease::enter(transaction, queue, lease).await.map(Some)
        };
        self.store.writer().run(entering).await
    }

    /// A consumer has another number now.
    pub(super) fn reseat(&self, seat: &Arc<Seat>, consumer: i64, renewed: Instant) {
        let mut seats = self.seats();
        seats.remove(&seat.consumer().unsigned_abs());
        seat.begin_again(consumer, renewed + self.lease);
        seats.insert(consumer.unsigned_abs(), seat.clone());
    }

    /// Ends a consumer, once everything it has settled is.
    pub(super) async fn leave(&self, seat: &Seat, how: Left) {
        self.settled().await;
        let (cache, consumer) = (self.cache.clone(), seat.consumer());
        let leaving = self.store.writer().run(async move |transaction: &mut Transaction| {
            lease::leave(transaction, &cache, consumer, how).await
        });
        if let Err(error) = in_time(leaving).await {
            tracing::warn!(%error, "what a consumer has not settled comes again when it expires");
        }
        self.seats().remove(&consumer.unsigned_abs());
    }

    /// Waits for what is being settled.
    async fn settled(&self) {
        let (tell, told) = oneshot::channel();
        if self.settling.send(Asked::Tell(tell)).is_ok() {
            // An error means that nothing is settled any more.
            let _ = told.await;
        }
    }

    /// See [`Transport::close`](bloodbank_bus::Transport::close).
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        // Two may close it at a time; both wait.
        let mut posting = self.posting.lock().await;
        if let Some(posting) = posting.take() {
            // An error means that the runtime ends.
            let _ = posting.await;
        }
        let seats: Vec<Arc<Seat>> = self.seats().values().cloned().collect();
        for seat in &seats {
            seat.stop.send_replace(true);
        }
        for seat in seats {
            // What has not ended by then expires.
            let mut ended = seat.ended.subscribe();
            let _ = timeout(DEADLINE, ended.wait_for(|ended| *ended)).await;
        }
        self.calls.clear();
        if self.calls.is_listening.swap(false, Ordering::Relaxed) {
            self.calls.forget(&self.store).await;
        }
    }

    /// Whether something of others has expired, or may have. Before `calm` nothing can have.
    async fn is_anything_over(&self, calm: &mut Instant) -> Result<bool, StoreError> {
        let now = Instant::now();
        if now < *calm {
            return Ok(false);
        }
        let asked = async move |connection: &mut Connection| lease::next_end(connection).await;
        // A question that takes long must not hold up those who are to be renewed.
        let asked = timeout(self.lease / RENEWALS, self.store.readers().run(asked)).await;
        let Ok(next) = asked else { return Ok(false) };
        // Whoever comes meanwhile lasts for a lease.
        let next = next?.map_or(self.lease, |next| next.min(self.lease));
        *calm = now + next;
        Ok(next.is_zero() || self.cache.last().all().any(|queue| queue.is_temporary()))
    }

    /// Renews the consumers that are to be, and ends those of others that have expired.
    async fn renew(&self, calm: &mut Instant) -> Result<(), StoreError> {
        let now = Instant::now();
        let due = |renewal| {
            let seats = self.seats();
            let due = seats.iter().filter(|(_, seat)| seat.renewal(self.lease) == Some(renewal));
            due.map(|(number, _)| number.cast_signed()).collect::<Vec<_>>()
        };
        let (short, long) = (due(Renewal::Short), due(Renewal::Long));
        if short.is_empty() && long.is_empty() && !self.is_anything_over(calm).await? {
            return Ok(());
        }
        let (cache, lease) = (self.cache.clone(), lease::micros(self.lease));
        let patience = lease.saturating_mul(PATIENCE.into());
        let all = [short.clone(), long.clone()].concat();
        let renewing = async move |transaction: &mut Transaction| {
            // Nobody can wait for that.
            transaction.quiet(true);
            let mut there = lease::renew(transaction, &short, lease).await?;
            there.extend(lease::renew(transaction, &long, patience).await?);
            transaction.quiet(false);
            lease::sweep(transaction, &cache).await?;
            Ok((there, long))
        };
        let (there, long) = self.store.writer().run(renewing).await?;
        let seats = self.seats();
        for consumer in all {
            let lasts = self.lease * if long.contains(&consumer) { PATIENCE } else { 1 };
            match seats.get(&consumer.unsigned_abs()) {
                Some(seat) if there.contains(&consumer) => seat.renew(now + lasts),
                // It finds out when it claims.
                Some(seat) => seat.lose(),
                None => {}
            }
        }
        Ok(())
    }
}

/// Makes a consumer of a queue. Gives the queue, the consumer, and where the queue ends now.
async fn enter(
    transaction: &mut Transaction,
    cache: &QueueCache,
    name: String,
    lease: i64,
) -> Result<Result<(Arc<QueueRow>, i64, Place), TransportError>, StoreError> {
    lease::sweep(transaction, cache).await?;
    let queues = cache.read(transaction.connection()).await?;
    let Some(queue) = queues.named(&name).cloned() else {
        return refused(TransportError::Undeclared { queue: name });
    };
    let consumer = lease::enter(transaction, queue.number, lease).await?;
    let head = i64::try_from(transaction.head.position).unwrap_or(i64::MAX);
    // Numbers of messages come from the same count as those of consumers.
    Ok(Ok((queue, consumer, (head, consumer))))
}

/// Lets the consumers of a process live on, as long as there is the bus.
async fn keep(shared: Weak<Shared>, mut closing: watch::Receiver<bool>, lease: Duration) {
    let mut calm = Instant::now();
    loop {
        tokio::select! {
            () = sleep(lease / RENEWALS) => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = shared.renew(&mut calm).await {
            tracing::warn!(%error, "consumers are not renewed");
        }
    }
}
