//! One subscriber at work, from its first queue to the end of its last handler.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bloodbank_core::Service;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use super::consumer::{self, Consumer};
use super::plan::Planned;
use super::reporter::Reporter;
use super::worker::Shared;
use super::{SubscribeError, Subscriber, layers};
use crate::{Phase, Start, Subscription, Topology, Transport, TransportError};

impl<S: Service> Subscriber<S> {
    /// Consumes until `shutdown` is done: then takes nothing new, lets handlers finish, sends every
    /// acknowledgement, and returns.
    ///
    /// # Errors
    /// See [`SubscribeError`]. Broken connections are none: the transport subscribes again.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), SubscribeError> {
        let (topology, queues) = self.plan()?;
        self.tell_of_commands();
        check_starts(&*self.transport, &topology).await?;
        self.transport.declare(&topology).await?;
        let (stop, stopped) = watch::channel(false);
        let (reporter, reporting) = Reporter::start(&self.transport, S::NAME);
        let shared = Arc::new(Shared {
            transport: self.transport,
            contracts: self.contracts,
            handlers: self.handlers,
            layers: layers::all(&self.layers),
            options: self.options,
            dedup_fails: AtomicBool::new(false),
            stopped,
            reporter,
        });
        let mut consumers = Vec::new();
        let mut ended = Ok(());
        for Planned { queue, retry, role } in queues {
            match Consumer::start(shared.clone(), queue, retry, role).await {
                Ok(consumer) => {
                    self.watched.0.consumes(consumer.worker());
                    consumers.push(consumer);
                }
                Err(error) => {
                    ended = Err(error.into());
                    break;
                }
            }
        }
        if ended.is_ok() {
            self.watched.0.enter(Phase::Running);
            self.ready.send_replace(true);
            ended = tokio::select! {
                () = shutdown => Ok(()),
                queue = consumer::first_to_end(&mut consumers) => Err(why_ended(&shared, queue).await),
            };
        }
        // An error would mean that no worker listens, which is what is wanted.
        let _ = stop.send(true);
        self.watched.0.enter(Phase::Draining);
        shared.handlers.begin_no_more();
        let drained = drain(&mut consumers, shared.options.drain).await;
        drop(shared);
        reporting.end().await;
        ended.and(drained)
    }

    /// An idempotency key does less than its name says where processes do not share a memory.
    fn tell_of_commands(&self) {
        if self.options.dedup.is_shared() || self.handlers.commands().is_empty() {
            return;
        }
        info!(
            service = S::NAME,
            "a command that is sent twice under one idempotency key is carried out once per process, as \
             processes do not share their memory of what was handled; where there are several, give \
             them `.dedup(RedisDedup::connect(url).await?)`, or note each id in the handler's database"
        );
    }
}

/// Where a bus keeps no record, a new queue cannot begin with the past.
async fn check_starts(
    transport: &dyn Transport,
    topology: &Topology,
) -> Result<(), TransportError> {
    if transport.keeps_history() {
        return Ok(());
    }
    for queue in topology.queues.iter().filter(|queue| queue.start != Start::Now) {
        let name = &queue.name;
        if !transport.has_queue(name).await? {
            let what = format!(
                "beginning `{name}` with what was published before it is there: it keeps no record"
            );
            return Err(TransportError::Unsupported { what });
        }
        info!(queue = %name, "the queue is there, and goes on where it was");
    }
    Ok(())
}

/// Asks the transport once more, which says why it has ended a consumer.
async fn why_ended(shared: &Shared, queue: String) -> SubscribeError {
    let again = shared.transport.subscribe(Subscription::new(&*queue)).await;
    let source = again.err().unwrap_or(TransportError::Closed);
    SubscribeError::Ended { queue, source }
}

/// Lets workers finish; ends those that do not.
async fn drain(consumers: &mut Vec<Consumer>, time: Duration) -> Result<(), SubscribeError> {
    let finish = async {
        for consumer in consumers.iter_mut() {
            consumer.finish().await;
        }
    };
    let on_time = timeout(time, finish).await.is_ok();
    let unfinished: usize = consumers.iter().map(Consumer::working).sum();
    for consumer in consumers.drain(..) {
        consumer.close().await;
    }
    if on_time { Ok(()) } else { Err(SubscribeError::Drain { unfinished, waited: time }) }
}
