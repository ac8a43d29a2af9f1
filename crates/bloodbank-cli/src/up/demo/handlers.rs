//! Who handles what the demo publishes, and sometimes fails.

use std::time::Duration;

use bloodbank::events::services::Any;
use bloodbank::{Bus, Inbox, Kind, Queue, Received, RetryPolicy, Subscriber, TransportError};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// When what failed is tried again: soon, so that a demo need not be long.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// How often a handler fails once, and how often each time, so that the message becomes a dead letter.
const FAILS_ONCE: f64 = 0.03;
const FAILS_ALWAYS: f64 = 0.006;

/// Why.
const REASONS: [&str; 4] = [
    "the database did not answer in time",
    "the upstream service answered 503",
    "no such record: it may have been deleted meanwhile",
    "the quota of today is used up",
];

/// Declares the queues and begins to handle what comes.
pub(super) async fn start(
    bus: &Bus,
    tasks: &mut JoinSet<()>,
    stop: &watch::Sender<bool>,
) -> Result<(), TransportError> {
    let contracts = bus.contracts().current();
    let services = &contracts.bundle().services;
    let queues = services.iter().flat_map(Queue::all_of);
    let mut queues: Vec<_> =
        queues.filter(|queue| queue.is_of_events() && !queue.recorder).collect();
    if queues.is_empty() {
        let everything = bloodbank::TopicPattern::everything();
        queues.push(Queue::new("everything").bind(bloodbank::Exchange::Events, everything));
    }
    for queue in queues {
        let subscriber = Subscriber::<Any>::new(bus.transport().clone(), bus.contracts().clone());
        let named = subscriber.queue(format!("demo.{}", queue.name));
        let bindings = queue.bindings.iter().map(|binding| binding.pattern.as_str());
        let subscriber = bindings
            .fold(named, |subscriber, pattern| subscriber.bind(pattern))
            .retry(RetryPolicy::ladder(RETRIES))
            .on_any(handle);
        let (ready, mut stopped) = (subscriber.ready(), stop.subscribe());
        tasks.spawn(async move {
            let stopped = async move {
                // An error means that there is nobody left to work for.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            if let Err(error) = subscriber.run_until(stopped).await {
                tracing::warn!(code = %error.code(), %error, "a handler of the demo has ended");
            }
        });
        ready.await;
    }
    let commands = contracts.bundle().contracts.iter().filter(|it| it.kind == Kind::Command);
    for queue in commands.flat_map(|it| it.routes()).filter_map(|route| Queue::of_command(&route)) {
        let inbox = bus.inbox::<Value>(queue).await?;
        let mut stopped = stop.subscribe();
        tasks.spawn(async move {
            tokio::select! {
                () = carry_out(inbox) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    }
    Ok(())
}

async fn handle(received: Received<Value>) -> Result<(), &'static str> {
    sleep(Duration::from_millis(fastrand::u64(1..40))).await;
    let luck = luck(&received);
    let fails = luck < FAILS_ALWAYS || (luck < FAILS_ONCE && received.attempt() == 1);
    match fails {
        true => Err(fastrand::choice(REASONS).unwrap_or_default()),
        false => Ok(()),
    }
}

/// From 0 to 1, the same for each attempt of a message.
fn luck(received: &Received<Value>) -> f64 {
    let mut random = fastrand::Rng::with_seed(received.envelope.id.as_u64_pair().1);
    random.f64()
}

/// Carries out commands, and puts some aside; done when the queue is gone.
async fn carry_out(mut inbox: Inbox<Value>) {
    loop {
        match inbox.next().await {
            Ok(Some(received)) => {
                sleep(Duration::from_millis(fastrand::u64(5..60))).await;
                let settled = match luck(&received) < FAILS_ALWAYS {
                    true => inbox.park(received, REASONS[0]).await,
                    false => inbox.ack(received).await,
                };
                if let Err(error) = settled {
                    tracing::debug!(%error, "a command comes again");
                }
            }
            Ok(None) => return,
            Err(error) => tracing::debug!(%error, "a command cannot be put aside"),
        }
    }
}
