//! Consuming one queue, over all connections to come.

mod intake;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Delivery, Durability, Topology, TransportError};
use futures_core::Stream;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer as Incoming};
use metrics::gauge;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

pub(crate) use self::intake::{Intake, Intakes};
use crate::assert;
use crate::config::AmqpConfig;
use crate::connect::channel_error;
use crate::link::{Generation, Link};

/// The pause before a consumer that the broker has ended subscribes again.
const PAUSE: Duration = Duration::from_millis(250);
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
    /// When there will never be a connection again.
    async fn again(&self) -> Result<Option<Opened>, TransportError> {
        sleep(PAUSE).await;
        let far = Instant::now() + Duration::from_secs(3_600);
        let generation = match self.link.up(far).await {
            Ok(generation) => generation,
            Err(error @ (TransportError::Refused { .. } | TransportError::Closed)) => {
                return Err(error);
            }
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
                _ = measure.tick() => self.measure(intake).await,
            }
        }
    }

    async fn hand_out(&self, intake: &Intake, message: lapin::message::Delivery) -> bool {
        let delivery = intake.receive(&self.queue, message);
        self.sender.send(delivery).await.is_ok()
    }

    /// Looks up how many messages wait.
    async fn measure(&self, intake: &Intake) {
        let looked = assert::message_count(&intake.channel, &self.queue);
        if let Ok(Ok(count)) = timeout(LOOK, looked).await {
            gauge!("bloodbank_queue_depth", "queue" => self.queue.to_string())
                .set(f64::from(count));
        }
    }

    async fn leave(&self, opened: &Opened) {
        opened.intake.cancel(&opened.incoming).await;
        opened.intake.close().await;
        self.intakes.remove(opened.intake.number);
    }
}
