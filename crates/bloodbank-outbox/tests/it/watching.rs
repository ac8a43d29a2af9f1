//! What a relay tells of itself.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bloodbank_core::LiveContracts;
use bloodbank_outbox::Outbox;
use bloodbank_testkit::catalog::{self, Board, mooring};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::place::{Connection, Place, Running, bus, until};
use crate::relaying::stricter;

/// Every figure by its name and labels; gauges as the bits of a float.
#[derive(Default)]
struct Figures(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Figures {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }

    fn get(&self, name: &str) -> Option<u64> {
        Some(self.0.lock().unwrap().get(name)?.load(Ordering::Relaxed))
    }
}

impl Recorder for Figures {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn a_relay_counts_what_waits_what_it_sends_and_what_fails() {
    let figures = Figures::default();
    let _here = metrics::set_default_local_recorder(&figures);
    let place = Place::sqlite().await;
    let (bus, mut connection) = (bus().await, place.connect().await);
    connection.parcels(0..3).await;
    connection.run("UPDATE bloodbank_outbox SET parked = '2026-01-01' WHERE seq = 1").await;
    connection.run("UPDATE bloodbank_outbox SET kind = 2 WHERE seq = 3").await;
    let relay = Running::start(place.relay(&bus).skip_after(1));
    until(async || place.waiting().await.iter().all(|row| row.parked.is_some())).await;
    relay.stop().await;
    let label = "outbox=bloodbank_outbox";
    let gauge = |name: &str| figures.get(&format!("{name} {label}")).map(f64::from_bits);
    assert_eq!(gauge("bloodbank_outbox_waiting_messages"), Some(2.0));
    assert_eq!(gauge("bloodbank_outbox_parked_messages"), Some(1.0));
    assert!(gauge("bloodbank_outbox_oldest_seconds").is_some_and(|age| age >= 0.0));
    assert_eq!(figures.get(&format!("bloodbank_outbox_sent_messages_total {label}")), Some(1));
    let failed = format!("bloodbank_outbox_failed_messages_total {label} code=wrong-kind");
    assert_eq!(figures.get(&failed), Some(1));
}

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_log_names_what_failed_and_holds_nothing_of_its_payload() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let place = Place::sqlite().await;
    let Connection::Sqlite(connection) = place.connect().await else { unreachable!() };
    let outbox = Outbox::<Board>::new(catalog::contracts());
    let written = outbox.publish(&connection, &mooring("a secret topic")).now().unwrap();
    let relay = place.relay_by(&bus().await, LiveContracts::from(stricter()));
    let relay = Running::start(relay.skip_after(3));
    until(async || place.waiting().await[0].parked.is_some()).await;
    relay.stop().await;
    let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // Once when it is new, and once when it is given up.
    assert_eq!(said.matches(&written.id.to_string()).count(), 2, "{said}");
    assert!(said.contains("key=terminal.mooring.created code=payload-refused"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}
