//! From the outbox to the bus.

use bloodbank_bus::{Exchange, Queue, Topology, Transport};
use bloodbank_core::{Code, Contracts, LiveContracts};
use bloodbank_outbox::{Outbox, retry};
use bloodbank_testkit::catalog::{self, Board, CreateMooring, mooring};
use serde_json::json;

use crate::place::{Connection, Running, bus, numbers, places, until};

#[tokio::test]
async fn rows_are_sent_in_order_and_deleted() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        connection.parcels(0..600).await;
        let relay = Running::start(place.relay(&bus).batch(100).window(7));
        place.until_empty().await;
        connection.parcels(600..601).await;
        place.until_empty().await;
        relay.stop().await;
        assert_eq!(numbers(&bus).await, Vec::from_iter(0..601));
    }
}

#[tokio::test]
async fn an_event_that_no_queue_wants_is_done() {
    for place in places().await {
        let (bus, mut connection) = (bloodbank_bus::InMemory::new(), place.connect().await);
        connection.parcels([1]).await;
        let relay = Running::start(place.relay(&bus));
        place.until_empty().await;
        relay.stop().await;
        assert_eq!(bus.unrouted(), 1);
    }
}

/// A worker queue of the command.
fn worker() -> Topology {
    let key = "terminal.mooring.create".parse().unwrap();
    Topology::new().with_queue(Queue::new("worker").bind(Exchange::Commands, key))
}

pub(crate) async fn send(connection: &Connection) {
    let outbox = Outbox::<Board>::new(catalog::contracts());
    let command = CreateMooring { topic: "t".to_owned() };
    match connection {
        Connection::Sqlite(tx) => outbox.send(tx, &command).now().unwrap(),
        Connection::Postgres(tx) => outbox.send(&**tx, &command).await.unwrap(),
    };
}

#[tokio::test]
async fn a_command_without_a_worker_queue_holds_up_what_is_behind_it() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        connection.parcels([1]).await;
        send(&connection).await;
        connection.parcels([2]).await;
        let relay = Running::start(place.relay(&bus).window(1));
        until(async || place.waiting().await.first().is_some_and(|row| row.attempts > 1)).await;
        let waiting = place.waiting().await;
        assert_eq!(waiting.len(), 2, "{waiting:?}");
        let error = waiting[0].last_error.as_deref().unwrap();
        assert!(error.starts_with("no queue takes `terminal.mooring.create`"), "{error}");
        assert_eq!(numbers(&bus).await, [1]);
        bus.declare(&worker()).await.unwrap();
        place.until_empty().await;
        relay.stop().await;
        assert_eq!((numbers(&bus).await, bus.depth("worker")), (vec![1, 2], 1));
    }
}

#[tokio::test]
async fn what_fails_is_parked_where_the_relay_may_skip_and_comes_back_by_a_retry() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        send(&connection).await;
        connection.parcels([1, 2]).await;
        let relay = Running::start(place.relay(&bus).skip_after(3).window(1));
        until(async || bus.depth("q") == 2 && place.waiting().await.len() == 1).await;
        let parked = place.waiting().await.remove(0);
        assert_eq!((parked.attempts, parked.parked.is_some()), (3, true), "{parked:?}");
        assert!(parked.last_error.unwrap().contains("no queue takes"));
        bus.declare(&worker()).await.unwrap();
        assert_eq!(retry(&mut place.source(), Some(uuid::Uuid::nil())).await.unwrap(), 0);
        assert_eq!(retry(&mut place.source(), Some(parked.id)).await.unwrap(), 1);
        place.until_empty().await;
        relay.stop().await;
        assert_eq!((numbers(&bus).await, bus.depth("worker")), (vec![1, 2], 1));
        assert_eq!(retry(&mut place.source(), None).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_is_behind_a_failure_is_sent_twice_at_most() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        send(&connection).await;
        connection.parcels([1, 2]).await;
        let relay = Running::start(place.relay(&bus));
        until(async || place.waiting().await[0].attempts > 3).await;
        assert_eq!(numbers(&bus).await, [1, 2]);
        bus.declare(&worker()).await.unwrap();
        place.until_empty().await;
        relay.stop().await;
        assert_eq!((numbers(&bus).await, bus.depth("worker")), (vec![1, 2, 1, 2], 1));
    }
}

/// The catalog, where a mooring's topic has at most 5 characters.
pub(crate) fn stricter() -> Contracts {
    let mut bundle = json!(catalog::contracts().bundle());
    bundle["$defs"]["mooring"]["properties"]["topic"]["maxLength"] = json!(5);
    Contracts::from_json(&bundle.to_string()).unwrap()
}

#[tokio::test]
async fn a_row_that_its_contract_no_longer_accepts_is_told_of_and_kept() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        let outbox = Outbox::<Board>::new(catalog::contracts());
        connection.parcels([1]).await;
        let event = mooring("a secret topic");
        match &connection {
            Connection::Sqlite(tx) => outbox.publish(tx, &event).now().unwrap(),
            Connection::Postgres(tx) => outbox.publish(&**tx, &event).await.unwrap(),
        };
        connection.parcels([2]).await;
        let contracts = LiveContracts::from(stricter());
        let relay = Running::start(place.relay_by(&bus, contracts.clone()));
        until(async || place.waiting().await.first().is_some_and(|row| row.attempts > 0)).await;
        let waiting = place.waiting().await;
        let error = waiting[0].last_error.as_deref().unwrap();
        assert!(error.starts_with("the contracts in force refuse what was written"), "{error}");
        assert!(error.contains("/topic"), "{error}");
        // What is behind it was not sent before it.
        assert_eq!((waiting.len(), bus.depth("q")), (2, 1));
        contracts.replace(catalog::contracts());
        place.until_empty().await;
        relay.stop().await;
        assert_eq!(bus.depth("q"), 3);
    }
}

#[tokio::test]
async fn what_was_written_as_an_event_is_not_sent_as_a_command() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        connection.parcels([1]).await;
        connection.run("UPDATE bloodbank_outbox SET kind = 2").await;
        let relay = Running::start(place.relay(&bus).skip_after(1));
        until(async || place.waiting().await.iter().any(|row| row.parked.is_some())).await;
        relay.stop().await;
        let error = place.waiting().await.remove(0).last_error.unwrap();
        assert!(error.contains("`lot.parcel` is an event"), "{error}");
        assert_eq!(bus.depth("q"), 0);
    }
}

#[tokio::test]
async fn a_damaged_row_is_told_of_and_what_was_sent_before_it_is_not_sent_again() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        if matches!(connection, Connection::Postgres(_)) {
            // Its columns have types.
            continue;
        }
        connection.parcels([1, 2, 3]).await;
        connection.run("UPDATE bloodbank_outbox SET key = x'ff' WHERE seq = 2").await;
        let relay = Running::start(place.relay(&bus).skip_after(2));
        until(async || bus.depth("q") == 2).await;
        relay.stop().await;
        assert_eq!(numbers(&bus).await, [1, 3]);
    }
}

#[tokio::test]
async fn what_others_write_with_headers_is_sent_with_them() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        connection.parcels([1]).await;
        connection.run("UPDATE bloodbank_outbox SET headers = '{\"x-tenant\": \"blue\"}'").await;
        let relay = Running::start(place.relay(&bus));
        place.until_empty().await;
        relay.stop().await;
        let browse = bloodbank_bus::Subscription::browse("q");
        let mut deliveries = bus.subscribe(browse).await.unwrap();
        let delivery = deliveries.recv().await.unwrap();
        assert_eq!(bloodbank_bus::headers::text(&delivery.headers, "x-tenant"), Some("blue"));
    }
}

#[tokio::test]
async fn a_relay_ends_where_the_bus_is_closed() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        connection.parcels([1]).await;
        bus.close().await;
        let ended = place.relay(&bus).run_until(std::future::pending()).await;
        assert_eq!(ended.unwrap_err().code(), Code::BusClosed);
        assert_eq!(place.waiting().await[0].attempts, 0);
    }
}
