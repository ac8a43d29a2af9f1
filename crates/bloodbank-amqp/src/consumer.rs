//! Consuming one queue, over all connections to come.

mod intake;
mod pace;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Delivery, Durability, Subscription, Topology, TransportError, Waiting};
use futures_core::Stream;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer as Incoming};
use metrics::gauge;
use tokio::pin;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

pub(crate) use self::intake::{Intake, Intakes};
use self::pace::{Pace, Step, is_suspect};
use crate::assert;
use crate::config::AmqpConfig;
use crate::connect::channel_error;
use crate::link::{Generation, Link};
use crate::plan::{is_filling, limit_of};

/// The pause before a consumer that the broker has ended subscribes again.
const PAUSE: Duration = Duration::from_millis(250);
/// How long to wait for the first messages before all that were asked for are taken ahead.
const SHORTLY: Duration = Duration::from_millis(50);
/// How long a message that must be handled alone waits for handlers that are at work.
const BESIDE: Duration = Duration::from_secs(60);
/// How long saying goodbye may take.
const LEAVE: Duration = Duration::from_secs(2);
/// How often the depth of the queue is looked up, and how long that may take.
const MEASURE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(500);

/// A queue that is consumed.
pub(crate) struct Consumer {
    pub(crate) config: Arc<AmqpConfig>,
    pub(crate) link: Link,
    pub(crate) intakes: Intakes,
    pub(crate) declared: Arc<Mutex<Topology>>,
    pub(crate) queue: Arc<str>,
    pub(crate) prefetch: u16,
    pub(crate) sender: mpsc::Sender<Delivery>,
    /// Whether somebody takes what comes at once.
    pub(crate) waiting: Waiting,
}

/// A channel that has begun to consume.
pub(crate) struct Opened {
    generation: Arc<Generation>,
    intake: Arc<Intake>,
    incoming: Incoming,
    pace: Pace,
    sort: Sort,
}

/// What the topology says of a queue, for its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Its consumers compete.
    Shared,
    /// One consumer at a time gets all of it, until it lets go.
    Ordered,
    /// It goes with its last consumer; or it was declared elsewhere, so that it may. It has one pace.
    Other,
}

/// Why one channel's consuming ended.
enum End {
    /// Nobody wants more.
    Unwanted,
    /// To be opened again at once, at this pace.
    Again(Pace),
    Broken(String),
}

impl Consumer {
    /// Subscribes for the first time.
    pub(crate) async fn open(
        &self,
        generation: &Arc<Generation>,
    ) -> Result<Opened, TransportError> {
        self.open_at(None, generation, false).await
    }

    async fn open_at(
        &self,
        pace: Option<Pace>,
        generation: &Arc<Generation>,
        is_again: bool,
    ) -> Result<Opened, TransportError> {
        let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
        let sort = self.sort();
        let pace = pace.unwrap_or(match sort {
            Sort::Shared => Pace::Alone,
            // Whoever changes the pace of an ordered queue loses their turn.
            Sort::Ordered | Sort::Other => Pace::Full,
        });
        if is_again && pace == Pace::Alone {
            // What nobody begins with must not be counted as lost; but the queue must be there.
            assert::message_count(&channel, &self.queue).await?;
            self.waiting.wait().await;
        }
        let prefetch = pace.prefetch(self.prefetch);
        let started = self.start(&channel, prefetch).await;
        let incoming = started.map_err(|error| match crate::connect::code(&error) {
            Some(404) => TransportError::Undeclared { queue: self.queue.to_string() },
            _ => channel_error(&error),
        })?;
        let intake = Arc::new(Intake::new(channel, prefetch));
        self.intakes.add(intake.clone());
        Ok(Opened { generation: generation.clone(), intake, incoming, pace, sort })
    }

    async fn start(&self, channel: &Channel, prefetch: u16) -> Result<Incoming, lapin::Error> {
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let queue = self.queue.as_ref().into();
        let options = BasicConsumeOptions::default();
        channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
    }

    fn sort(&self) -> Sort {
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        match declared.queues.iter().find(|queue| *queue.name == *self.queue) {
            Some(queue) if queue.durability == Durability::Temporary => Sort::Other,
            Some(queue) if queue.ordered => Sort::Ordered,
            Some(_) => Sort::Shared,
            None => Sort::Other,
        }
    }

    /// Consumes until nobody wants more, over all connections; `closed` ends after the last frame.
    pub(crate) async fn run(self, first: Opened, _closed: oneshot::Sender<()>) {
        let (mut current, mut pause) = (Some(first), PAUSE);
        // `None` is that of a consumer that is opened for the first time.
        let mut pace = None;
        loop {
            if let Some(mut opened) = current.take() {
                let end = self.take_in(&mut opened).await;
                self.leave(&opened, &end).await;
                (pause, pace) = match end {
                    End::Unwanted => return self.forget(),
                    End::Again(pace) => (Duration::ZERO, Some(pace)),
                    End::Broken(why) => {
                        warn!(queue = %self.queue, %why, "consuming anew");
                        (PAUSE, (opened.sort == Sort::Ordered).then_some(opened.pace))
                    }
                };
            }
            tokio::select! {
                () = self.sender.closed() => return self.forget(),
                again = self.again(pace, pause) => match again {
                    Ok(again) => current = again,
                    // There will be nothing more; the end of `sender` tells whoever listens.
                    Err(_) => return,
                }
            }
            pause = PAUSE;
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
    async fn again(
        &self,
        pace: Option<Pace>,
        pause: Duration,
    ) -> Result<Option<Opened>, TransportError> {
        sleep(pause).await;
        let far = Instant::now() + Duration::from_secs(3_600);
        let generation = match self.link.up(far).await {
            Ok(generation) => generation,
            Err(TransportError::Closed) => return Err(TransportError::Closed),
            Err(_) => return Ok(None),
        };
        tokio::select! {
            opened = self.open_or_declare(pace, &generation) => Ok(opened),
            // A broker that stands still would hold it up for ever.
            () = self.link.left(&generation) => Ok(None),
        }
    }

    async fn open_or_declare(
        &self,
        pace: Option<Pace>,
        generation: &Arc<Generation>,
    ) -> Option<Opened> {
        match self.open_at(pace, generation, true).await {
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
    async fn take_in(&self, opened: &mut Opened) -> End {
        let (generation, intake) = (opened.generation.clone(), opened.intake.clone());
        tokio::select! {
            end = self.hand_out_all(opened) => end,
            never = intake.keep_flushing() => match never {},
            () = self.link.left(&generation) => End::Broken("the connection is lost".into()),
        }
    }

    async fn hand_out_all(&self, opened: &mut Opened) -> End {
        let mut measure = tokio::time::interval(MEASURE);
        let mut filling = false;
        let closed = self.sender.closed();
        pin!(closed);
        loop {
            let ended = tokio::select! {
                biased;
                () = &mut closed => return End::Unwanted,
                message = next(&mut opened.incoming) => match message {
                    Ok(Some(message)) => match self.try_hand_out(opened, message) {
                        Ok(None) => {
                            // Others on this task have their turn, however much comes.
                            tokio::task::consume_budget().await;
                            None
                        }
                        Ok(Some((delivery, step))) => tokio::select! {
                            biased;
                            end = Box::pin(self.hand_out(opened, delivery, step)) => end,
                            () = &mut closed => return End::Unwanted,
                        },
                        Err(end) => return end,
                    },
                    Ok(None) => return End::Broken("the broker has cancelled the consumer".into()),
                    Err(error) => return End::Broken(error.to_string()),
                },
                _ = measure.tick() => {
                    filling = self.measure(&opened.intake, filling).await;
                    None
                }
            };
            if let Some(end) = ended {
                return end;
            }
        }
    }

    /// Hands out one message if there is room for it and the pace stays as it is, which is nearly
    /// always so; else gives what is to be done.
    fn try_hand_out(
        &self,
        opened: &Opened,
        message: lapin::message::Delivery,
    ) -> Result<Option<(Delivery, Step)>, End> {
        let delivery = opened.intake.receive(&self.queue, message);
        let is_one_pace = self.prefetch <= 1 || opened.sort == Sort::Other;
        let step = match is_one_pace {
            true => Step::HandOut,
            false => opened.pace.step(delivery.lost),
        };
        if step != Step::HandOut {
            return Ok(Some((delivery, step)));
        }
        match self.sender.try_send(delivery) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(delivery)) => Ok(Some((delivery, step))),
            Err(TrySendError::Closed(_)) => Err(End::Unwanted),
        }
    }

    /// Hands out one message, unless it is to come alone, and changes the pace if that is due.
    async fn hand_out(&self, opened: &mut Opened, delivery: Delivery, step: Step) -> Option<End> {
        let mut held = Vec::new();
        // What is held was received, and nobody can begin with it.
        if matches!(step, Step::HoldAndGo(_)) {
            held.push(delivery);
        } else if self.sender.send(delivery).await.is_err() {
            return Some(End::Unwanted);
        }
        match step {
            Step::HandOut => None,
            Step::HandOutAndGo(pace) | Step::HoldAndGo(pace) if opened.sort == Sort::Ordered => {
                if pace == Pace::Alone {
                    opened.intake.hold_back();
                }
                // Nobody else may have the next one before this one is settled.
                opened.intake.done().await;
                Some(End::Again(pace))
            }
            Step::HandOutAndGo(pace) | Step::HoldAndGo(pace) => {
                self.go(opened, pace, held).await.err().map(|error| End::Broken(error.to_string()))
            }
        }
    }

    /// Changes the pace: another consumer on the same channel, so that what is begun can be settled.
    /// What is held is handed out alone before.
    async fn go(
        &self,
        opened: &mut Opened,
        pace: Pace,
        mut held: Vec<Delivery>,
    ) -> Result<(), lapin::Error> {
        debug!(queue = %self.queue, ?pace, "another pace");
        let Opened { intake, incoming, .. } = opened;
        let options = lapin::options::BasicCancelOptions::default();
        intake.channel.basic_cancel(incoming.tag(), options).await?;
        // What had come before the broker knew.
        while let Some(message) = next(incoming).await? {
            let delivery = intake.receive(&self.queue, message);
            if pace == Pace::Alone && is_suspect(delivery.lost) {
                held.push(delivery);
            } else if self.sender.send(delivery).await.is_err() {
                // It is noticed by whoever waits for it.
                break;
            }
        }
        let mut prefetch = pace.prefetch(self.prefetch);
        match pace {
            Pace::Alone => {
                self.hand_out_alone(intake, held).await;
                self.waiting.wait().await;
            }
            Pace::Full => {
                // What is not settled by then counts, for as long as this consumer lasts.
                let _ = timeout(SHORTLY, intake.done()).await;
                prefetch = prefetch.saturating_sub(intake.unsettled()).max(1);
            }
        }
        intake.set_prefetch(prefetch);
        opened.incoming = self.start(&intake.channel, prefetch).await?;
        opened.pace = pace;
        Ok(())
    }

    /// Hands out messages one by one: each when the one before it is settled, and the first when
    /// everything else is.
    async fn hand_out_alone(&self, intake: &Intake, mut held: Vec<Delivery>) {
        // What handlers have begun with is not waited for any longer; it is not what comes next.
        let _ = timeout(BESIDE, intake.settled_but(held.len())).await;
        // One that ends its process was lost at least as often as those that it takes with it. Among
        // those that were lost as often, it is not the same ones that go with it each time.
        fastrand::shuffle(&mut held);
        held.sort_by_key(|delivery| delivery.lost);
        for delivery in held {
            let tag = delivery.tag.number;
            if self.sender.send(delivery).await.is_err() {
                // It is noticed by whoever waits for it.
                return;
            }
            intake.settled(tag).await;
        }
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

    async fn leave(&self, opened: &Opened, end: &End) {
        // Without a goodbye: the next consumer must not begin before what is open is put back.
        let in_one = opened.sort == Sort::Ordered && self.prefetch <= Subscription::MOST_IN_ORDER;
        if in_one || matches!(end, End::Again(_)) {
            opened.intake.let_go().await;
        } else {
            opened.intake.cancel(&opened.incoming).await;
            opened.intake.close().await;
        }
        self.intakes.remove(opened.intake.number);
    }
}

/// The next message; `None` when the consumer has ended.
async fn next(incoming: &mut Incoming) -> Result<Option<lapin::message::Delivery>, lapin::Error> {
    poll_fn(|context| Pin::new(&mut *incoming).poll_next(context)).await.transpose()
}
