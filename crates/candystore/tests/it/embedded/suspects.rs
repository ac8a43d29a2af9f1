//! A message that ends its process, and those beside it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{Reason, Received, Subscriber, headers};
use bloodbank_testkit::catalog::{Any, Parcel, contracts, queue};
use candystore::{Embedded, EmbeddedOptions, StoreUrl};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::{PARCEL, browse, bus, declare, number, parcels};
use crate::databases::{Database, on_both};

on_both!(of_what_a_crashing_process_holds_only_the_culprit_is_parked,);

const POISON: u32 = 20;
const ALL: u32 = 60;
const LEASE: Duration = Duration::from_millis(400);

/// A process with a subscriber, that says when it comes to the poison and does nothing more then.
fn process(
    url: StoreUrl,
    handled: Arc<Mutex<BTreeSet<u32>>>,
    poisoned: mpsc::Sender<()>,
) -> Runtime {
    let runtime = Runtime::new().unwrap();
    runtime.spawn(async move {
        let options = EmbeddedOptions::default().with_lease(LEASE);
        let store = Database::at(url).open().await;
        let bus = Arc::new(Embedded::with_options(store, options));
        let subscriber = Subscriber::<Any>::new(bus, contracts()).queue("q").bind(PARCEL);
        let subscriber = subscriber.on(move |received: Received<Parcel>| {
            let (handled, poisoned) = (handled.clone(), poisoned.clone());
            async move {
                if received.payload.n == POISON {
                    poisoned.send(()).await.unwrap();
                    std::future::pending::<()>().await;
                }
                handled.lock().unwrap().insert(received.payload.n);
            }
        });
        subscriber.run_until(std::future::pending()).await
    });
    runtime
}

async fn of_what_a_crashing_process_holds_only_the_culprit_is_parked(database: Database) {
    let looking = bus(&database).await;
    declare(&looking, queue("q", &[PARCEL])).await;
    parcels(&looking, 0..ALL).await;
    let handled = Arc::default();
    let started = Instant::now();
    let (mut crashes, mut parked) = (0, Vec::new());
    while parked.is_empty() {
        let (poisoned, mut poison) = mpsc::channel(1);
        let process = process(database.url.clone(), Arc::clone(&handled), poisoned);
        while parked.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(120), "after {crashes} crashes");
            if timeout(LEASE, poison.recv()).await.is_ok() {
                crashes += 1;
                break;
            }
            parked = browse(&looking, "q.dlq").await;
        }
        while !parked.is_empty() && handled.lock().unwrap().len() < ALL as usize - 1 {
            assert!(started.elapsed() < Duration::from_secs(120), "{handled:?}");
            sleep(Duration::from_millis(20)).await;
        }
        process.shutdown_background();
    }
    let parked: Vec<_> = parked
        .iter()
        .map(|letter| (number(letter), letter.headers[headers::REASON].to_string()))
        .collect();
    assert_eq!(parked, [(POISON, Reason::DeliveryLimit.as_str().to_owned())]);
    assert_eq!(browse(&looking, "q.dlq").await.len(), 1);
    // A runtime that is dropped may still take leave in good order, which is not counted as a loss.
    assert!(crashes >= 21, "{crashes}");
}
