//! The database or the bus is away.

use std::time::Duration;

use bloodbank_bus::{Queue, Topology, Transport};
use bloodbank_outbox::{Postgres, Source, create_tables};

use crate::place::{Connection, Place, Running, bus, numbers, places, until};
use crate::relaying::send;

#[tokio::test]
async fn a_commit_wakes_the_relay_on_postgres() {
    let Some(place) = Place::postgres().await else { return };
    let (bus, mut connection) = (bus().await, place.connect().await);
    let relay = Running::start(place.relay(&bus).poll(Duration::from_secs(3_600)));
    for n in 0..10 {
        connection.parcels([n]).await;
        place.until_empty().await;
    }
    relay.stop().await;
    assert_eq!(numbers(&bus).await, Vec::from_iter(0..10));
}

#[tokio::test]
async fn a_relay_goes_on_when_the_server_is_back() {
    if !bloodbank_testkit::postgres() {
        return;
    }
    let server = bloodbank_testkit::Postgres::start().await;
    let place = Place::Postgres(server.fresh_url().await);
    create_tables(&mut place.source()).await.unwrap();
    let bus = bus().await;
    let relay = Running::start(place.relay(&bus));
    for n in 0..3 {
        place.connect().await.parcels([n]).await;
        place.until_empty().await;
        server.restart().await;
    }
    place.connect().await.parcels([3]).await;
    place.until_empty().await;
    relay.stop().await;
    assert_eq!(numbers(&bus).await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn who_has_lost_the_connection_sends_nothing() {
    let Some(place) = Place::postgres().await else { return };
    let Place::Postgres(url) = &place else { unreachable!() };
    let mut source = Postgres::from_url(url).unwrap();
    assert!(source.lead().await.unwrap());
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'bloodbank-outbox'";
    let Connection::Postgres(client) = place.connect().await else { unreachable!() };
    let own = format!("{end} AND datname = current_database()");
    client.batch_execute(&own).await.unwrap();
    until(async || source.query("SELECT CAST(1 AS bigint)", Vec::new()).await.is_err()).await;
    let mut other = place.source();
    until(async || other.lead().await.unwrap()).await;
    assert!(!source.lead().await.unwrap());
}

#[tokio::test]
async fn a_queue_that_is_full_is_waited_for() {
    for place in places().await {
        let (bus, connection) = (bloodbank_bus::InMemory::new(), place.connect().await);
        // One of events would let its oldest go.
        let full = Queue::of_command("terminal.mooring.create").unwrap().with_max_len(2);
        let name = full.name.clone();
        bus.declare(&Topology::new().with_queue(full)).await.unwrap();
        for _ in 0..4 {
            send(&connection).await;
        }
        let relay = Running::start(place.relay(&bus).skip_after(1));
        until(async || place.waiting().await.first().is_some_and(|row| row.last_error.is_some()))
            .await;
        let waiting = place.waiting().await;
        assert_eq!((waiting.len(), waiting[0].attempts), (2, 0), "{waiting:?}");
        let mut deliveries = bus.subscribe(bloodbank_bus::Subscription::new(name)).await.unwrap();
        let mut bodies = 0;
        while bodies < 4 {
            let delivery = deliveries.recv().await.unwrap();
            bus.settle(&delivery, bloodbank_bus::Settlement::Ack).await.unwrap();
            bodies += 1;
        }
        place.until_empty().await;
        relay.stop().await;
    }
}
