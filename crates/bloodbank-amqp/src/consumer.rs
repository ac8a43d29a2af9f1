//! Consuming one queue, over all connections to come.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Delivery, DeliveryTag, Durability, Topology, TransportError};
use futures_core::Stream;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer as Incoming};
use metrics::gauge;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use crate::acks::Acks;
use crate::assert;
use crate::config::AmqpConfig;
use crate::connect::channel_error;
use crate::link::{Generation, Link};
use crate::plan::{is_filling, limit_of};
use crate::wire;

/// How long an acknowledgement waits for others at most.
const GATHER: Duration = Duration::from_millis(5);
/// How many acknowledgements one frame tells at most.
const MOST_GATHERED: u64 = 100;
/// The most messages that a quorum queue puts back in order, if they come back at once.
const MOST_IN_ORDER: usize = 32;
/// The pause before a consumer that the broker has ended subscribes again.
const PAUSE: Duration = Duration::from_millis(250);
/// How long saying goodbye may take.
const LEAVE: Duration = Duration::from_secs(2);
/// How often the depth of the queue is looked up, and how long that may take.
const MEASURE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(500);

/// Numbers channels that consume; a delivery tag means nothing without it.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// One channel that consumes.
pub(crate) struct Intake {
    pub(crate) number: u64,
    channel: Channel,
    acks: Mutex<Acks>,
    /// Held from the look at what is to be told until it is told: frames must go out in order, or
    /// one names a tag that a later one has told already.
    telling: tokio::sync::Mutex<()>,
    /// How many acknowledgements are worth a frame.
    enough: u64,
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
            enough: u64::from(prefetch / 4).clamp(1, MOST_GATHERED),
            dirty: Notify::new(),
            is_dirty: AtomicBool::new(false),
        }
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
        wire::delivery(tag, queue, &came, message.data)
    }

    /// Sends what is left to acknowledge, and gives back the rest, in order. Says how many these are.
    pub(crate) async fn give_back(&self) -> usize {
        self.flush_all().await;
        let _telling = self.telling.lock().await;
        // From here on they are stale, so that nothing tells of them a second time.
        let open = self.acks().give_up();
        let options = BasicNackOptions { requeue: true, multiple: true };
        for tags in open.chunks(MOST_IN_ORDER) {
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
    async fn cancel(&self, incoming: &Incoming) {
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
            acks.untold()
        };
        if untold >= self.enough {
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

/// A queue that is consumed.
pub(crate) struct Consumer {
    pub(crate) config: Arc<AmqpConfig>,
    pub(crate) link: Link,
    pub(crate) intakes: Intakes,
    pub(crate) declared: Arc<Mutex<Topology>>,
    pub(crate) queue: Arc<str>,
    pub(crate) prefetch: u16,
    pub(crate) sender: mpsc::Sender<Delivery>,
}

/// A channel that has begun to consume.
pub(crate) struct Opened {
    generation: Arc<Generation>,
    intake: Arc<Intake>,
    incoming: Incoming,
}

/// Why one channel's consuming ended.
enum End {
    /// Nobody wants more.
    Unwanted,
    Broken(String),
}

impl Consumer {
    /// Subscribes for the first time.
    pub(crate) async fn open(
        &self,
        generation: &Arc<Generation>,
    ) -> Result<Opened, TransportError> {
        let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
        let started = self.start(&channel).await;
        let incoming = started.map_err(|error| match crate::connect::code(&error) {
            Some(404) => TransportError::Undeclared { queue: self.queue.to_string() },
            _ => channel_error(&error),
        })?;
        let intake = Arc::new(Intake::new(channel, self.prefetch));
        self.intakes.add(intake.clone());
        Ok(Opened { generation: generation.clone(), intake, incoming })
    }

    async fn start(&self, channel: &Channel) -> Result<Incoming, lapin::Error> {
        channel.basic_qos(self.prefetch.max(1), BasicQosOptions::default()).await?;
        let queue = self.queue.as_ref().into();
        let options = BasicConsumeOptions::default();
        channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
    }

    /// Consumes until nobody wants more, over all connections; `closed` ends after the last frame.
    pub(crate) async fn run(self, first: Opened, _closed: oneshot::Sender<()>) {
        let mut current = Some(first);
        loop {
            if let Some(opened) = current.take() {
                let end = self.take_in(&opened).await;
                self.leave(&opened).await;
                match end {
                    End::Unwanted => return self.forget(),
                    End::Broken(why) => warn!(queue = %self.queue, %why, "consuming anew"),
                }
            }
            tokio::select! {
                () = self.sender.closed() => return self.forget(),
                again = self.again() => match again {
                    Ok(again) => current = again,
                    // There will be nothing more; the end of `sender` tells whoever listens.
                    Err(_) => return,
                }
            }
        }
    }

    /// A temporary queue goes with its consumer, and is not to be declared again.
    fn forget(&self) {
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        declared
            .queues
            .retain(|queue| *queue.name != *self.queue || queue.durability == Durability::Durable);
    }

    /// # Errors
    /// [`TransportError::Closed`]. A broker that refuses us may take us later.
    async fn again(&self) -> Result<Option<Opened>, TransportError> {
        sleep(PAUSE).await;
        let far = Instant::now() + Duration::from_secs(3_600);
        let generation = match self.link.up(far).await {
            Ok(generation) => generation,
            Err(TransportError::Closed) => return Err(TransportError::Closed),
            Err(_) => return Ok(None),
        };
        tokio::select! {
            opened = self.open_or_declare(&generation) => Ok(opened),
            // A broker that stands still would hold it up for ever.
            () = self.link.left(&generation) => Ok(None),
        }
    }

    async fn open_or_declare(&self, generation: &Arc<Generation>) -> Option<Opened> {
        match self.open(generation).await {
            Ok(opened) => Some(opened),
            Err(error) => {
                warn!(queue = %self.queue, %error, "cannot be consumed at the moment");
                if matches!(error, TransportError::Undeclared { .. }) {
                    self.declare_again(generation).await;
                }
                None
            }
        }
    }

    /// A queue that somebody has deleted is declared again, where that is ours to do.
    async fn declare_again(&self, generation: &Generation) {
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Ok(channel) = generation.channel().await
            && let Err(error) = assert::all(&channel, &self.config, &declared).await
        {
            warn!(%error, "the topology cannot be declared");
        }
    }

    /// Hands out deliveries from one channel, and sends acknowledgements that nothing else sends.
    async fn take_in(&self, opened: &Opened) -> End {
        let Opened { generation, intake, incoming } = opened;
        tokio::select! {
            end = self.hand_out_all(intake, incoming.clone()) => end,
            never = intake.keep_flushing() => match never {},
            () = self.link.left(generation) => End::Broken("the connection is lost".into()),
        }
    }

    async fn hand_out_all(&self, intake: &Intake, mut incoming: Incoming) -> End {
        let mut measure = tokio::time::interval(MEASURE);
        let mut filling = false;
        loop {
            tokio::select! {
                biased;
                () = self.sender.closed() => return End::Unwanted,
                message = poll_fn(|context| Pin::new(&mut incoming).poll_next(context)) => {
                    match message {
                        Some(Ok(message)) => {
                            if !self.hand_out(intake, message).await {
                                return End::Unwanted;
                            }
                        }
                        Some(Err(error)) => return End::Broken(error.to_string()),
                        None => return End::Broken("the broker has cancelled the consumer".into()),
                    }
                }
                _ = measure.tick() => filling = self.measure(intake, filling).await,
            }
        }
    }

    async fn hand_out(&self, intake: &Intake, message: lapin::message::Delivery) -> bool {
        let delivery = intake.receive(&self.queue, message);
        self.sender.send(delivery).await.is_ok()
    }

    /// Looks up how many messages wait. Tells when the queue begins to fill; gives whether it does.
    async fn measure(&self, intake: &Intake, was_filling: bool) -> bool {
        let looked = assert::message_count(&intake.channel, &self.queue);
        let Ok(Ok(count)) = timeout(LOOK, looked).await else { return was_filling };
        gauge!("bloodbank_queue_depth", "queue" => self.queue.to_string()).set(f64::from(count));
        let limit = {
            let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
            let known = declared.queues.iter().find(|known| *known.name == *self.queue);
            known.and_then(limit_of)
        };
        let Some(limit) = limit else { return false };
        let filling = is_filling(usize::try_from(count).unwrap_or(usize::MAX), limit);
        if filling && !was_filling {
            warn!(queue = %self.queue, messages = count, limit, "the queue is filling up");
        }
        filling
    }

    async fn leave(&self, opened: &Opened) {
        opened.intake.cancel(&opened.incoming).await;
        opened.intake.close().await;
        self.intakes.remove(opened.intake.number);
    }
}
