//! What the tests share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::events::{self, keys, llm};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Exchange, Queue, Topology, Transport};
use bloodbank_testkit::Broker;
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep};

/// A vhost of one's own on the shared broker.
pub(crate) struct Space {
    pub(crate) broker: &'static Broker,
    pub(crate) vhost: String,
}

impl Space {
    pub(crate) async fn fresh() -> Space {
        let broker = Broker::shared().await;
        Space { broker, vhost: broker.fresh_vhost() }
    }

    pub(crate) fn url(&self) -> String {
        self.broker.url(&self.vhost)
    }

    pub(crate) fn config(&self) -> AmqpConfig {
        AmqpConfig::from_urls(&self.url()).unwrap()
    }

    pub(crate) async fn amqp(&self) -> Amqp {
        Amqp::connect(self.config()).await.unwrap()
    }

    pub(crate) async fn bus(&self) -> Bus {
        Bus::new(Arc::new(self.amqp().await), events::contracts())
    }

    /// A channel that knows nothing of us.
    pub(crate) async fn raw(&self) -> Raw {
        raw(&self.url()).await
    }
}

/// A channel, and the connection that it needs.
pub(crate) struct Raw {
    _connection: lapin::Connection,
    pub(crate) channel: lapin::Channel,
}

pub(crate) async fn raw(url: &str) -> Raw {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(url, properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    Raw { _connection: connection, channel }
}

impl Raw {
    pub(crate) async fn get(&self, queue: &str) -> lapin::message::BasicGetMessage {
        let options = lapin::options::BasicGetOptions { no_ack: true };
        let started = Instant::now();
        loop {
            if let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap() {
                return message;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "nothing comes to {queue}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn declare(&self, queue: &str) {
        let options = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    }

    pub(crate) async fn delete(&self, queue: &str) {
        let options = lapin::options::QueueDeleteOptions::default();
        self.channel.queue_delete(queue.into(), options).await.unwrap();
    }
}

pub(crate) fn prompt() -> llm::Prompt {
    llm::Prompt::new(Uuid::now_v7(), "Alice", "gpt-5", "Hello?")
}

/// A queue for prompts, with its dead letters.
pub(crate) fn prompts(queue: &str) -> Topology {
    let queue = Queue::new(queue).bind(Exchange::Events, keys::LLM_PROMPT.parse().unwrap());
    Topology::new().with_parked_queue(queue)
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, most: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < most, "after {most:?} still not: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn until_depth(amqp: &Amqp, queue: &str, depth: u32) {
    until(&format!("{depth} in {queue}"), Duration::from_secs(10), async || {
        amqp.depth(queue).await == Ok(depth)
    })
    .await;
}

/// Closes quietly what no test looks at any more.
pub(crate) async fn close(transport: &Amqp) {
    Transport::close(transport).await;
}

/// The warnings of this thread while it lives.
pub(crate) struct Warnings {
    texts: Arc<Mutex<Vec<String>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Warnings {
    pub(crate) fn listen() -> Warnings {
        let texts = Arc::<Mutex<Vec<String>>>::default();
        let guard = tracing::subscriber::set_default(Recorder(texts.clone()));
        Warnings { texts, _guard: guard }
    }

    pub(crate) fn hold(&self, word: &str) -> bool {
        self.count(word) > 0
    }

    pub(crate) fn count(&self, word: &str) -> usize {
        self.texts.lock().unwrap().iter().filter(|text| text.contains(word)).count()
    }
}

struct Recorder(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl tracing::field::Visit for Words {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
