//! Rows become visible in the order of commits, which is not that of their numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bloodbank_outbox::Outbox;
use bloodbank_testkit::catalog::{self, Any, Parcel};
use tokio_postgres::Client;

use crate::place::{Connection, Place, Running, bus, connect, numbers, until};

#[tokio::test]
async fn a_row_that_becomes_visible_behind_a_later_one_is_not_lost() {
    let Some(place) = Place::postgres().await else { return };
    let bus = bus().await;
    let Connection::Postgres(slow) = place.connect().await else { unreachable!() };
    let outbox = Outbox::<Any>::new(catalog::contracts());
    let relay = Running::start(place.relay(&bus));
    slow.batch_execute("BEGIN").await.unwrap();
    outbox.publish(&*slow, &Parcel { n: 1 }).await.unwrap();
    // It has the higher number, and is sent and gone before the lower one can be seen.
    place.connect().await.parcels([2]).await;
    until(async || bus.depth("q") == 1).await;
    place.until_empty().await;
    slow.batch_execute("COMMIT").await.unwrap();
    until(async || bus.depth("q") == 2).await;
    place.until_empty().await;
    relay.stop().await;
    assert_eq!(numbers(&bus).await, [2, 1]);
}

const AGGREGATES: u32 = 8;
const WRITERS: u32 = 8;
const EVENTS: u32 = 3_000;

/// The writers contend for the rows of few aggregates, so that numbers are given in another order than
/// rows become visible.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_lose_nothing_and_each_aggregate_keeps_its_order() {
    let Some(place) = Place::postgres().await else { return };
    let Place::Postgres(url) = &place else { unreachable!() };
    let (bus, client) = (bus().await, connect(url).await);
    let table = "CREATE TABLE aggregates (id integer PRIMARY KEY, n integer NOT NULL)";
    client.batch_execute(table).await.unwrap();
    let fill =
        format!("INSERT INTO aggregates SELECT g, 0 FROM generate_series(0, {AGGREGATES} - 1) g");
    client.batch_execute(&fill).await.unwrap();
    let relay = Running::start(place.relay(&bus));
    let left = Arc::new(AtomicU32::new(EVENTS));
    let late = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch(connect(url).await, late.clone()));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        writers.push(tokio::spawn(write(connect(url).await, writer, left.clone())));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    place.until_empty().await;
    watch.abort();
    relay.stop().await;

    let mut last = HashMap::<u64, u64>::new();
    let sent = numbers(&bus).await;
    assert_eq!(sent.len(), EVENTS as usize);
    for number in sent {
        let (aggregate, n) = (number / 1_000_000, number % 1_000_000);
        let before = last.insert(aggregate, n).unwrap_or(0);
        assert_eq!(n, before + 1, "aggregate {aggregate}");
    }
    for row in client.query("SELECT id, n FROM aggregates", &[]).await.unwrap() {
        let (id, n): (i32, i32) = (row.get(0), row.get(1));
        assert_eq!(last[&(id as u64)], n as u64, "aggregate {id}");
    }
    assert!(late.load(Ordering::Relaxed), "no row became visible behind a later one");
}

async fn write(mut client: Client, writer: u32, left: Arc<AtomicU32>) {
    let outbox = Outbox::<Any>::new(catalog::contracts());
    let mut turn = writer;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let aggregate = (turn >> 16) % AGGREGATES;
        let tx = client.transaction().await.unwrap();
        let change = format!("UPDATE aggregates SET n = n + 1 WHERE id = {aggregate} RETURNING n");
        let n: i32 = tx.query_one(&change, &[]).await.unwrap().get(0);
        let parcel = Parcel { n: aggregate * 1_000_000 + n as u32 };
        outbox.publish(&tx, &parcel).await.unwrap();
        // Some take longer between the number and the commit than others.
        if turn.is_multiple_of(5) {
            tx.query_one("SELECT pg_sleep(0.003)::text", &[]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

/// Notes whether a row became visible after one with a higher number: without that, the test would say
/// nothing.
async fn watch(client: Client, late: Arc<AtomicBool>) {
    let mut highest = 0_i64;
    let mut seen = std::collections::HashSet::new();
    loop {
        let rows = client.query("SELECT seq FROM bloodbank_outbox", &[]).await.unwrap();
        let rows: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if rows.iter().any(|seq| *seq < highest && !seen.contains(seq)) {
            late.store(true, Ordering::Relaxed);
        }
        highest = rows.iter().copied().max().unwrap_or(0).max(highest);
        seen.extend(rows);
    }
}
