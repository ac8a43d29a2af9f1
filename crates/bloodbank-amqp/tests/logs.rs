//! No payload gets into the logs of a service, whatever it logs. Alone in its binary: it listens to
//! every thread of the process, at the level `trace`.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::{Arc, Mutex};

use bloodbank_amqp::{Amqp, AmqpConfig};
use bloodbank_bus::{
    Inbox, PublishError, Publisher, Subscription, Topology, Transport, TransportError,
};
use bloodbank_testkit::catalog::{Any, CreateMooring, MooringCreated, contracts, mooring, queue};
use bloodbank_testkit::{Broker, Proxy};
use tracing_subscriber::filter::LevelFilter;

/// Stands in every payload.
const MARKER: &str = "a secret that nobody logs";

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Publishes an event and consumes it, and sends a command that nobody takes.
async fn work(amqp: &Amqp) {
    let bus: Arc<dyn Transport> = Arc::new(amqp.clone());
    let topology = Topology::new().with_parked_queue(queue("work", &["terminal.mooring.#"]));
    amqp.declare(&topology).await.unwrap();
    let subscription = Subscription::new("work");
    let mut inbox: Inbox<MooringCreated> =
        Inbox::open(bus.clone(), contracts(), subscription).await.unwrap();
    let publisher = Publisher::<Any>::new(bus, contracts());
    publisher.publish(&mooring(MARKER)).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!(received.payload.topic, MARKER);
    inbox.ack(received).await.unwrap();
    let error = publisher.send(&CreateMooring { topic: MARKER.to_owned() }).await.unwrap_err();
    let is_unroutable =
        matches!(&error, PublishError::Transport { source: TransportError::Unroutable { .. }, .. });
    assert!(is_unroutable, "{error}");
}

/// Breaks the connection while messages are on their way, again and again.
async fn cut(amqp: &Amqp, proxy: &Proxy) {
    let publisher = Publisher::<Any>::new(Arc::new(amqp.clone()), contracts());
    let event = mooring(MARKER);
    for _ in 0..3 {
        // They start as they are made.
        let publishing: Vec<_> =
            (0..200).map(|_| publisher.publish(&event).into_future()).collect();
        proxy.cut();
        for published in publishing {
            // It is of no interest here what became of it.
            let _ = published.await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_payload_is_logged_at_any_level() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(|| Log).init();
    let broker = Broker::start().await;
    let proxy = Proxy::start(("127.0.0.1", broker.port())).await;
    let url = broker.url_via(&proxy, &broker.fresh_vhost());
    let amqp = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap();
    work(&amqp).await;
    cut(&amqp, &proxy).await;
    amqp.close().await;

    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    // What the client library would have said of the connection we say.
    assert!(log.contains("connected") && log.contains("the connection is lost"), "{log}");
    assert!(!log.contains(MARKER), "{log}");
    let as_list = format!("{:?}", MARKER.as_bytes());
    assert!(!log.contains(as_list.trim_matches(['[', ']'])), "{log}");
    // Our calls of it may trace what they do, and that is all.
    let is_loud = |line: &&str| {
        line.contains(" lapin::") && !line.contains(" TRACE ") && !line.contains(" DEBUG ")
    };
    let loud: Vec<&str> = log.lines().filter(is_loud).collect();
    assert!(loud.is_empty(), "{loud:?}");
}
