//! What the processes are about: a source, a bus, and the queues on it.

use std::sync::Arc;

use bloodbank_amqp::{Amqp, AmqpConfig};
use bloodbank_bus::{Topology, Transport};
use bloodbank_outbox::{Postgres, Relay, Source, Sqlite};
use bloodbank_testkit::catalog::{self, queue};

/// The key of the events.
pub(crate) const KEY: &str = "lot.parcel";

/// The queue that the judge reads.
pub(crate) const JUDGED: &str = "judged";

/// The queue that is handled.
pub(crate) const HANDLED: &str = "handled";

pub(crate) fn source(url: &str) -> Box<dyn Source> {
    match url.strip_prefix("sqlite:") {
        Some(path) => Box::new(Sqlite::new(path)),
        None => Box::new(Postgres::from_url(url).unwrap()),
    }
}

pub(crate) async fn bus(broker: &str) -> Arc<Amqp> {
    Arc::new(Amqp::connect(AmqpConfig::from_urls(broker).unwrap()).await.unwrap())
}

pub(crate) async fn declare(broker: &str) -> Arc<Amqp> {
    let bus = bus(broker).await;
    let topology = Topology::new().with_queue(queue(JUDGED, &[KEY]));
    bus.declare(&topology.with_parked_queue(queue(HANDLED, &[KEY]))).await.unwrap();
    bus
}

pub(crate) async fn relay(url: &str, broker: &str) {
    let relay = Relay::new(bus(broker).await, catalog::contracts(), source(url));
    relay.run_until(std::future::pending()).await.unwrap();
}
