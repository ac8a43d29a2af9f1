//! Several processes on one database are one bus.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Deliveries, Encoded, Exchange, Headers, Publisher, Queue, Received, Settlement, Subscriber,
    Subscription, Topology, Transport, TransportError,
};
use bloodbank_testkit::catalog::{Any, CreateMooring, contracts, envelope, queue};
use candystore::{Embedded, EmbeddedOptions};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, oneshot};
use tokio::time::{sleep, timeout};

use super::{PARCEL, browse, bus, consume, declare, nothing, number, parcels, recv};
use crate::databases::{Database, behind_a_pooler, on_both};

on_both!(
    what_one_process_publishes_another_receives,
    processes_compete_for_the_messages_of_a_queue,
    one_process_answers_the_call_of_another,
    what_a_dead_process_held_comes_again_and_is_marked,
    a_process_that_was_away_for_too_long_knows_it_and_goes_on,
    the_temporary_queue_of_a_dead_process_goes,
    an_ordered_queue_goes_to_the_oldest_consumer_of_all_processes,
);

behind_a_pooler!(
    what_one_process_publishes_another_receives,
    processes_compete_for_the_messages_of_a_queue,
    one_process_answers_the_call_of_another,
    what_a_dead_process_held_comes_again_and_is_marked,
    a_process_that_was_away_for_too_long_knows_it_and_goes_on,
    an_ordered_queue_goes_to_the_oldest_consumer_of_all_processes,
);

const LEASE: Duration = Duration::from_secs(2);

/// One whose consumers are soon given up.
async fn short(database: &Database) -> Arc<Embedded> {
    let options = EmbeddedOptions::default().with_lease(LEASE);
    Arc::new(Embedded::with_options(database.open().await, options))
}

async fn what_one_process_publishes_another_receives(database: Database) {
    let (here, there) = (bus(&database).await, bus(&database).await);
    declare(&there, queue("q", &[PARCEL])).await;
    let mut deliveries = consume(&there, "q", 10).await;
    parcels(&here, 0..3).await;
    for n in 0..3 {
        let delivery = recv(&mut deliveries).await;
        assert_eq!((number(&delivery), delivery.redelivered), (n, false));
        // Only whoever has it may settle it.
        assert!(there.is_current(&delivery) && !here.is_current(&delivery));
        assert_eq!(here.settle(&delivery, Settlement::Ack).await, Err(TransportError::Stale));
        there.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    // A binding that one process adds holds for the other at once, from then on.
    parcels(&here, 3..4).await;
    let added = queue("q", &["lot.session.#"]);
    here.declare(&Topology::new().with_parked_queue(added)).await.unwrap();
    there
        .publish(Encoded::new(envelope("lot.session.started", json!({})), Headers::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(number(&recv(&mut deliveries).await), 3);
    assert_eq!(&*recv(&mut deliveries).await.key, "lot.session.started");
}

async fn processes_compete_for_the_messages_of_a_queue(database: Database) {
    let (a, b) = (bus(&database).await, bus(&database).await);
    declare(&a, queue("q", &[PARCEL])).await;
    // Neither goes on before both have their first.
    let barrier = Arc::new(Barrier::new(2));
    let mut consumers = Vec::new();
    for bus in [&a, &b] {
        let (bus, mut deliveries) = (bus.clone(), consume(bus, "q", 10).await);
        let barrier = barrier.clone();
        consumers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Ok(Some(delivery)) = timeout(Duration::from_secs(3), deliveries.recv()).await
            {
                if seen.is_empty() {
                    barrier.wait().await;
                }
                seen.push(number(&delivery));
                bus.settle(&delivery, Settlement::Ack).await.unwrap();
            }
            seen
        }));
    }
    parcels(&a, 0..300).await;
    let mut all = Vec::new();
    for consumer in consumers {
        let seen = consumer.await.unwrap();
        assert!(seen.is_sorted(), "each in order");
        all.extend(seen);
    }
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<_>>(), "each once");
    assert!(browse(&a, "q").await.is_empty());
}

async fn one_process_answers_the_call_of_another(database: Database) {
    let (here, there) = (bus(&database).await, bus(&database).await);
    declare(&there, Queue::of_command("terminal.mooring.create").unwrap()).await;
    declare(&there, Queue::new("audit").bind(Exchange::Audit, "#".parse().unwrap())).await;
    let subscriber = Subscriber::<Any>::new(there.clone(), contracts());
    let subscriber = subscriber.handle(|received: Received<CreateMooring>| async move {
        Ok::<_, String>(format!("{}!", received.payload.topic))
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(subscriber.run_until(async { drop(stopped.await) }));
    let publisher = Publisher::<Any>::new(here.clone(), contracts());
    for topic in ["one", "two"] {
        let command = CreateMooring { topic: topic.to_owned() };
        assert_eq!(publisher.call::<String>(&command).await.unwrap(), format!("{topic}!"));
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    // Who records commands answers none of them.
    let recorded = browse(&here, "audit").await;
    assert!(recorded.len() == 2 && recorded.iter().all(|copy| copy.reply_to.is_none()));
    assert_eq!(here.store().position().await.unwrap(), 2);
}

/// A process of its own, which ends with it, without a word to anybody.
struct Process(Option<Runtime>);

impl Process {
    fn new() -> Self {
        Process(Some(Runtime::new().unwrap()))
    }

    async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.0.as_ref().unwrap().spawn(work).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// A process with the first two of three messages in its hands.
async fn with_two_of_three(database: &Database) -> (Process, Arc<Embedded>, Deliveries) {
    let (process, database) = (Process::new(), Database::at(database.url.clone()));
    let (bus, deliveries) = process
        .run(async move {
            let bus = short(&database).await;
            declare(&bus, queue("q", &[PARCEL])).await;
            parcels(&bus, 0..3).await;
            let mut deliveries = consume(&bus, "q", 2).await;
            assert_eq!(number(&recv(&mut deliveries).await), 0);
            (bus, deliveries)
        })
        .await;
    (process, bus, deliveries)
}

async fn what_a_dead_process_held_comes_again_and_is_marked(database: Database) {
    let (process, _bus, _deliveries) = with_two_of_three(&database).await;
    let other = short(&database).await;
    let mut deliveries = consume(&other, "q", 10).await;
    assert_eq!(number(&recv(&mut deliveries).await), 2);
    // As long as it lives, what it holds is its own.
    sleep(LEASE * 2).await;
    nothing(&mut deliveries).await;
    drop(process);
    for n in [0, 1] {
        let delivery = recv(&mut deliveries).await;
        assert_eq!((number(&delivery), delivery.redelivered, delivery.attempt), (n, true, 1));
    }
    nothing(&mut deliveries).await;
}

async fn a_process_that_was_away_for_too_long_knows_it_and_goes_on(database: Database) {
    let other = short(&database).await;
    declare(&other, queue("q", &[PARCEL])).await;
    let (url, (tell, told)) = (database.url.clone(), oneshot::channel());
    // On a single thread, so that nothing of it goes on while it is held up.
    let away = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let bus = short(&Database::at(url)).await;
            parcels(&bus, 0..1).await;
            let mut deliveries = consume(&bus, "q", 1).await;
            let delivery = recv(&mut deliveries).await;
            assert!(bus.is_current(&delivery));
            tell.send(()).unwrap();
            std::thread::sleep(LEASE * 2);
            assert!(!bus.is_current(&delivery));
            let late = bus.settle(&delivery, Settlement::Ack).await;
            assert_eq!(late, Err(TransportError::Stale));
            parcels(&bus, 1..2).await;
            let next = recv(&mut deliveries).await;
            assert_eq!(number(&next), 1);
            bus.settle(&next, Settlement::Ack).await.unwrap();
            bus.close().await;
        });
    });
    told.await.unwrap();
    let mut deliveries = consume(&other, "q", 1).await;
    let again = recv(&mut deliveries).await;
    assert_eq!((number(&again), again.redelivered), (0, true));
    tokio::task::spawn_blocking(move || away.join().unwrap()).await.unwrap();
    other.settle(&again, Settlement::Ack).await.unwrap();
    nothing(&mut deliveries).await;
}

async fn the_temporary_queue_of_a_dead_process_goes(database: Database) {
    let (process, url) = (Process::new(), database.url.clone());
    let other = short(&database).await;
    let _deliveries = process
        .run(async move {
            let bus = short(&Database::at(url)).await;
            let topology = Topology::new().with_queue(queue("t", &[PARCEL]).temporary());
            bus.declare(&topology).await.unwrap();
            (consume(&bus, "t", 1).await, bus)
        })
        .await;
    parcels(&other, 0..2).await;
    drop(process);
    sleep(LEASE * 2).await;
    let gone = other.subscribe(Subscription::new("t")).await;
    assert_eq!(gone.err(), Some(TransportError::Undeclared { queue: "t".to_owned() }));
}

async fn an_ordered_queue_goes_to_the_oldest_consumer_of_all_processes(database: Database) {
    let (a, b) = (bus(&database).await, bus(&database).await);
    declare(&a, queue("o", &[PARCEL]).ordered()).await;
    let mut first = consume(&a, "o", 2).await;
    let mut second = consume(&b, "o", 2).await;
    parcels(&b, 0..4).await;
    assert_eq!(number(&recv(&mut first).await), 0);
    nothing(&mut second).await;
    first.close().await;
    for n in [0, 1] {
        assert_eq!(number(&recv(&mut second).await), n);
    }
    nothing(&mut second).await;
}
