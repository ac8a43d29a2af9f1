//! What handlers share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{InMemory, Publisher, Received, Subscriber, with_state};
use bloodbank_testkit::catalog::{Any, CreateMooring, MooringCreated, Parcel, contracts, mooring};
use tokio::time::sleep;

use crate::support::{Bus, on_q, parcel};

/// What a service would write to.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Vec<String>>>);

async fn note(store: Store, parcel: Received<Parcel>) {
    store.0.lock().unwrap().push(format!("parcel {}", parcel.payload.n));
}

async fn note_all(store: Store, moorings: Vec<Received<MooringCreated>>) {
    store.0.lock().unwrap().push(format!("{} moorings", moorings.len()));
}

async fn create(store: Store, command: Received<CreateMooring>) -> Result<usize, String> {
    let mut notes = store.0.lock().unwrap();
    notes.push(format!("create {}", command.payload.topic));
    Ok(notes.len())
}

#[tokio::test]
async fn handlers_of_every_kind_are_given_what_they_share() {
    let bus: Bus = Arc::new(InMemory::new());
    let store = Store::default();
    let subscriber = on_q(&bus)
        .bind("terminal.mooring.created")
        .on(with_state(&store, note))
        .on_batch(1, Duration::from_secs(1), with_state(&store, note_all))
        .handle(with_state(&store, create));
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let until = async |count: usize| {
        while store.0.lock().unwrap().len() < count {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let doing = async {
        parcel(&bus, 7).await;
        until(1).await;
        publisher.publish(&mooring("x")).await.unwrap();
        until(2).await;
        let command = CreateMooring { topic: "y".into() };
        assert_eq!(publisher.call::<usize>(&command).await.unwrap(), 3);
    };
    subscriber.run_until(doing).await.unwrap();
    assert_eq!(*store.0.lock().unwrap(), ["parcel 7", "1 moorings", "create y"]);
}

/// A closure says the type of the state by itself.
#[tokio::test]
async fn a_closure_needs_no_clones_of_its_own() {
    let bus: Bus = Arc::new(InMemory::new());
    let store = Store::default();
    let subscriber: Subscriber<Any> =
        on_q(&bus).on(with_state(&store, async |store, received: Received<Parcel>| {
            note(store, received).await;
        }));
    let doing = async {
        parcel(&bus, 1).await;
        while store.0.lock().unwrap().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    subscriber.run_until(doing).await.unwrap();
}
