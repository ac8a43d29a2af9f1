//! Many processes on one server.

use std::time::Duration;

use bloodbank_bus::{Settlement, Transport};
use bloodbank_testkit::catalog::queue;
use bloodbank_testkit::{Postgres, PostgresOptions};
use candystore::StoreUrl;
use tokio::time::sleep;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::{PARCEL, bus, consume, declare, number, parcels, recv};
use crate::databases::Database;
use crate::raw;

const PROCESSES: u32 = 20;
/// For how long nothing happens.
const IDLE: Duration = Duration::from_secs(10);

async fn connect(database: &Database) -> Client {
    let StoreUrl::Postgres(url) = &database.url else { unreachable!() };
    raw::connect(url).await
}

async fn number_of(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_processes_have_two_connections_each_at_most_and_ask_nothing_while_nothing_happens()
{
    if !bloodbank_testkit::postgres() {
        return;
    }
    // Nobody else has connections there, or transactions.
    let server = Postgres::start().await;
    let database = Database::at(server.fresh_url().await.parse().unwrap());
    let publisher = bus(&database).await;
    let mut all = Vec::new();
    for n in 0..PROCESSES {
        let (bus, name) = (bus(&database).await, format!("q{n}"));
        declare(&bus, queue(&name, &[PARCEL])).await;
        let deliveries = consume(&bus, &name, 10).await;
        all.push((bus, deliveries));
    }
    // Each hears of the other's events, one after the other: nobody waits for a look.
    for round in 0..5 {
        parcels(&publisher, round..round + 1).await;
        for (bus, deliveries) in &mut all {
            let delivery = recv(deliveries).await;
            assert_eq!(number(&delivery), round);
            bus.settle(&delivery, Settlement::Ack).await.unwrap();
        }
    }
    let client = connect(&database).await;
    let connections = "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let connections = number_of(&client, connections).await;
    assert!(connections <= i64::from(2 * (PROCESSES + 1)), "{connections}");
    let transactions = "SELECT xact_commit + xact_rollback FROM pg_stat_database \
         WHERE datname = current_database()";
    // A server counts what an idle connection did up to ten seconds later.
    sleep(Duration::from_secs(11)).await;
    let before = number_of(&client, transactions).await;
    sleep(IDLE).await;
    let asked = number_of(&client, transactions).await - before;
    let seconds = i64::from(PROCESSES) * IDLE.as_secs() as i64;
    // Leases and the net below what the server tells: about a question each four seconds.
    assert!(2 * asked < seconds, "{asked} transactions in {seconds} s of idle processes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_is_told_once_and_what_is_settled_is_not() {
    let Some(database) = Database::postgres().await else { return };
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    let mut deliveries = consume(&bus, "q", 10).await;
    let StoreUrl::Postgres(url) = &database.url else { unreachable!() };
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) =
            std::future::poll_fn(|context| connection.poll_message(context)).await
        {
            if let AsyncMessage::Notification(told) = message {
                tell.send(told.payload().parse::<i64>().unwrap()).unwrap();
            }
        }
    });
    let channel = "SELECT 'candystore ' || hashtext(current_schema())";
    let channel: String = client.query_one(channel, &[]).await.unwrap().get(0);
    client.batch_execute(&format!("LISTEN \"{channel}\"")).await.unwrap();
    let commits = "SELECT commits FROM head";
    for n in 0..3 {
        parcels(&bus, n..n + 1).await;
        let delivery = recv(&mut deliveries).await;
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), number_of(&client, commits).await);
    }
    assert!(told.is_empty());
}

/// A server whose connections are few: three of them are for its owner.
const FEW: PostgresOptions = PostgresOptions { settings: &[("max_connections", "16")] };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_connections_are_few_a_process_goes_on_with_one() {
    if !bloodbank_testkit::postgres() {
        return;
    }
    let server = Postgres::start_with(FEW).await;
    let database = Database::at(server.fresh_url().await.parse().unwrap());
    let mut all = Vec::new();
    for n in 0..8 {
        let (bus, name) = (bus(&database).await, format!("q{n}"));
        declare(&bus, queue(&name, &[PARCEL])).await;
        let deliveries = consume(&bus, &name, 10).await;
        all.push((bus, deliveries));
    }
    let publisher = all[0].0.clone();
    for round in 0..5 {
        parcels(&publisher, round..round + 1).await;
        for (bus, deliveries) in &mut all {
            let delivery = recv(deliveries).await;
            assert_eq!(number(&delivery), round);
            bus.settle(&delivery, Settlement::Ack).await.unwrap();
        }
    }
    // Others can still connect.
    let client = connect(&database).await;
    let connections = "SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    assert!(number_of(&client, connections).await <= 13);
    for (bus, deliveries) in all {
        assert_eq!(bus.queues().await.unwrap().len(), 16);
        deliveries.close().await;
    }
}
