//! One channel that consumes, and what of it is settled.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Delivery, DeliveryTag, Subscription, TransportError};
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Channel, Consumer as Incoming};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::{LEAVE, LOOK, pace};
use crate::acks::Acks;
use crate::wire;

/// How long an acknowledgement waits for others at most.
const GATHER: Duration = Duration::from_millis(5);
/// How many acknowledgements one frame tells at most.
const MOST_GATHERED: u64 = 100;

/// Numbers channels that consume; a delivery tag means nothing without it.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// One channel that consumes.
pub(crate) struct Intake {
    pub(crate) number: u64,
    pub(super) channel: Channel,
    acks: Mutex<Acks>,
    /// Held from the look at what is to be told until it is told: frames must go out in order, or
    /// one names a tag that a later one has told already.
    telling: tokio::sync::Mutex<()>,
    /// How many acknowledgements are worth a frame.
    enough: AtomicU64,
    /// Told when something is settled.
    changed: Notify,
    /// Told when there is something to acknowledge by and by.
    dirty: Notify,
    is_dirty: AtomicBool,
}

impl Intake {
    pub(crate) fn new(channel: Channel, prefetch: u16) -> Self {
        Intake {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            channel,
            acks: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
            enough: AtomicU64::new(enough(prefetch)),
            changed: Notify::new(),
            dirty: Notify::new(),
            is_dirty: AtomicBool::new(false),
        }
    }

    /// So much is taken ahead from now on.
    pub(super) fn set_prefetch(&self, prefetch: u16) {
        self.enough.store(enough(prefetch), Ordering::Relaxed);
    }

    /// A message that came on this channel.
    pub(crate) fn receive(&self, queue: &Arc<str>, message: lapin::message::Delivery) -> Delivery {
        self.acks().deliver(message.delivery_tag);
        let tag = DeliveryTag { consumer: self.number, number: message.delivery_tag };
        let came = wire::Incoming {
            exchange: message.exchange.as_str(),
            routing_key: message.routing_key.as_str(),
            redelivered: message.redelivered,
            properties: &message.properties,
        };
        let lost = pace::lost(&message);
        wire::delivery(tag, queue, &came, message.data).with_lost(lost)
    }

    /// Notes that somebody begins with a message; false if it is not theirs any more.
    pub(crate) fn start(&self, tag: u64) -> bool {
        self.channel.status().connected() && self.acks().start(tag)
    }

    /// From here on nobody begins with what is not begun. Says which these are, in order.
    pub(super) fn hold_back(&self) -> Vec<u64> {
        self.acks().give_up_rest()
    }

    /// How many messages are not settled.
    pub(super) fn unsettled(&self) -> u16 {
        u16::try_from(self.acks().open()).unwrap_or(u16::MAX)
    }

    /// Waits until everything is settled.
    pub(super) async fn done(&self) {
        self.settled_but(0).await;
    }

    /// Waits until no more than so many are not settled.
    pub(super) async fn settled_but(&self, most: usize) {
        self.until(|acks| acks.open() <= most as u64).await;
    }

    /// Waits until this one is settled.
    pub(super) async fn settled(&self, tag: u64) {
        self.until(|acks| !acks.is_open(tag)).await;
    }

    /// Waits until something holds, or the channel is gone: nothing is settled there any more.
    async fn until(&self, holds: impl Fn(&Acks) -> bool) {
        while !holds(&self.acks()) && self.channel.status().connected() {
            // The end of a channel tells nobody here.
            let _ = timeout(LOOK, self.changed.notified()).await;
        }
    }

    /// Lets go of the channel and of the queue in one: the broker puts back what is open, in its
    /// order, before another consumer gets anything.
    pub(super) async fn let_go(&self) {
        let closing = async {
            self.flush_all().await;
            self.channel.close(200, "done".into()).await
        };
        if self.channel.status().connected() {
            let _ = timeout(LEAVE, closing).await;
        }
    }

    /// Sends what is left to acknowledge, and gives back the rest, in order. Says how many these are.
    pub(crate) async fn give_back(&self) -> usize {
        self.flush_all().await;
        let _telling = self.telling.lock().await;
        // From here on they are stale, so that nothing tells of them a second time.
        let open = self.acks().give_up();
        let options = BasicNackOptions { requeue: true, multiple: true };
        for tags in open.chunks(usize::from(Subscription::MOST_IN_ORDER)) {
            // One error tells that the channel is gone, and that all of it is given back.
            if let Some(&last) = tags.last()
                && self.channel.basic_nack(last, options).await.is_err()
            {
                break;
            }
        }
        open.len()
    }

    /// Takes nothing more. Else what is given back would come again at once, and each time count as
    /// an attempt.
    pub(super) async fn cancel(&self, incoming: &Incoming) {
        if self.channel.status().connected() {
            let options = lapin::options::BasicCancelOptions::default();
            // A broker that does not answer ends the consumer with its channel.
            let _ = timeout(LEAVE, self.channel.basic_cancel(incoming.tag(), options)).await;
        }
    }

    /// Gives back what is open, and lets go.
    pub(crate) async fn close(&self) {
        let closing = async {
            self.give_back().await;
            self.channel.close(200, "done".into()).await
        };
        if self.channel.status().connected() {
            // A broker that does not answer gives back what is open, too.
            let _ = timeout(LEAVE, closing).await;
        }
    }

    pub(crate) fn is_open(&self, tag: u64) -> bool {
        self.channel.status().connected() && self.acks().is_open(tag)
    }

    /// Acknowledges, now or with the next ones.
    pub(crate) async fn ack(&self, tag: u64) -> Result<(), TransportError> {
        let untold = {
            let mut acks = self.acks();
            if !self.channel.status().connected() || !acks.settle(tag) {
                return Err(TransportError::Stale);
            }
            self.changed.notify_one();
            acks.untold()
        };
        if untold >= self.enough.load(Ordering::Relaxed) {
            return self.tell_in_a_row().await.map(|_| ());
        }
        if !self.is_dirty.swap(true, Ordering::AcqRel) {
            self.dirty.notify_one();
        }
        Ok(())
    }

    pub(crate) async fn requeue(&self, tag: u64) -> Result<(), TransportError> {
        if !self.is_open(tag) {
            return Err(TransportError::Stale);
        }
        let options = BasicNackOptions { requeue: true, multiple: false };
        let nacked = self.channel.basic_nack(tag, options).await;
        // Only now: a frame that acknowledges up to a later tag must come after it.
        self.acks().settle_told(tag);
        self.changed.notify_one();
        nacked.map_err(|_| TransportError::Stale)
    }

    /// Sends what was acknowledged, a little later, again and again.
    pub(crate) async fn keep_flushing(&self) -> Infallible {
        loop {
            self.dirty.notified().await;
            sleep(GATHER).await;
            self.flush().await;
        }
    }

    async fn flush_all(&self) {
        self.flush().await;
        self.flush().await; // What is ahead comes second.
    }

    /// Tells the broker what it does not know yet.
    pub(crate) async fn flush(&self) {
        self.is_dirty.store(false, Ordering::Release);
        let told = match self.tell_in_a_row().await {
            Ok(false) => self.tell_ahead().await,
            told => told.map(|_| ()),
        };
        if let Err(error) = told {
            debug!(%error, "acknowledgements were not sent; the messages come again");
        }
        if self.acks().is_ahead() {
            // Only if the one they wait for is not settled by then.
            self.dirty.notify_one();
        }
    }

    /// Tells of the tags that are settled in a row, if there are any.
    async fn tell_in_a_row(&self) -> Result<bool, TransportError> {
        let _telling = self.telling.lock().await;
        let up_to = self.acks().take();
        match up_to {
            Some(up_to) => self.tell(up_to, true).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn tell_ahead(&self) -> Result<(), TransportError> {
        let _telling = self.telling.lock().await;
        let ahead = self.acks().take_ahead();
        for tag in ahead {
            self.tell(tag, false).await?;
        }
        Ok(())
    }

    async fn tell(&self, tag: u64, multiple: bool) -> Result<(), TransportError> {
        let options = BasicAckOptions { multiple };
        self.channel.basic_ack(tag, options).await.map_err(|_| TransportError::Stale)
    }

    fn acks(&self) -> MutexGuard<'_, Acks> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn enough(prefetch: u16) -> u64 {
    u64::from(prefetch / 4).clamp(1, MOST_GATHERED)
}

/// The channels that consume at the moment, by number.
#[derive(Clone, Default)]
pub(crate) struct Intakes(Arc<Mutex<Vec<Arc<Intake>>>>);

impl Intakes {
    pub(crate) fn add(&self, intake: Arc<Intake>) {
        self.lock().push(intake);
    }

    pub(crate) fn remove(&self, number: u64) {
        self.lock().retain(|intake| intake.number != number);
    }

    pub(crate) fn find(&self, tag: DeliveryTag) -> Result<Arc<Intake>, TransportError> {
        let intakes = self.lock();
        let found = intakes.iter().find(|intake| intake.number == tag.consumer);
        found.cloned().ok_or(TransportError::Stale)
    }

    /// Notes that somebody begins with a message; false if it is not theirs any more.
    pub(crate) fn start(&self, tag: DeliveryTag) -> bool {
        self.find(tag).is_ok_and(|intake| intake.start(tag.number))
    }

    /// Sends every acknowledgement so far.
    pub(crate) async fn flush(&self) {
        let all = self.lock().clone();
        for intake in all {
            // A broker that does not answer gets none.
            let _ = timeout(LEAVE, intake.flush_all()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Intake>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
