//! The embedded bus across processes and restarts. Another process is another store on the same
//! database; one that dies is a runtime that ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Deliveries, Delivery, Destination, Exchange, Headers, Publisher, Queue, Received, Settlement,
    Subscriber, Subscription, Topology, Transport, TransportError, Verbatim,
};
use bloodbank_core::{Envelope, Meta};
use bloodbank_testkit::catalog::{Any, CreateMeeting, Prompt, envelope, queue};
use candystore::{Embedded, EmbeddedOptions};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::databases::{Database, on_both};

on_both!(
    what_one_process_publishes_another_receives,
    processes_compete_for_the_messages_of_a_queue,
    one_process_answers_the_call_of_another,
    a_queue_keeps_its_place_while_nobody_is_there,
    what_was_parked_or_waits_for_a_retry_is_there_after_a_restart,
    what_a_dead_process_held_comes_again_and_is_marked,
    a_process_that_was_away_for_too_long_knows_it_and_goes_on,
    the_temporary_queue_of_a_dead_process_goes,
    an_ordered_queue_goes_to_the_oldest_consumer_of_all_processes,
    what_another_message_of_the_same_id_says_is_refused,
    a_full_queue_counts_only_what_it_wants,
    what_is_forwarded_waits_behind_what_was_published_before,
    many_wanted_messages_among_many_more_are_all_found,
);

const PROMPT: &str = "llm.prompt";
const LEASE: Duration = Duration::from_millis(500);

async fn bus(database: &Database) -> Arc<Embedded> {
    Arc::new(Embedded::new(database.open().await))
}

/// One whose consumers are soon given up.
async fn short(database: &Database) -> Arc<Embedded> {
    let options = EmbeddedOptions::default().with_lease(LEASE);
    Arc::new(Embedded::with_options(database.open().await, options))
}

async fn declare(bus: &Embedded, queue: Queue) {
    bus.declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
}

async fn prompts(bus: &Arc<Embedded>, numbers: std::ops::Range<u32>) {
    let publisher = Publisher::<Any>::new(bus.clone());
    let mut under_way = Vec::new();
    for n in numbers {
        under_way.push(publisher.enqueue(&Prompt { n }).await.unwrap());
    }
    for publishing in under_way {
        publishing.await.unwrap();
    }
}

async fn consume(bus: &Embedded, queue: &str, prefetch: u16) -> Deliveries {
    bus.subscribe(Subscription::new(queue).with_prefetch(prefetch)).await.unwrap()
}

async fn recv(deliveries: &mut Deliveries) -> Delivery {
    let delivery = timeout(Duration::from_secs(10), deliveries.recv()).await;
    delivery.expect("a delivery in 10 s").expect("the consumer goes on")
}

async fn nothing(deliveries: &mut Deliveries) {
    let more = timeout(Duration::from_millis(300), deliveries.recv()).await;
    assert!(more.is_err(), "{more:?}");
}

async fn browse(bus: &Embedded, queue: &str) -> Vec<Delivery> {
    let mut deliveries = bus.subscribe(Subscription::browse(queue)).await.unwrap();
    let mut all = Vec::new();
    while let Some(delivery) = deliveries.recv().await {
        all.push(delivery);
    }
    deliveries.close().await;
    all
}

fn number(delivery: &Delivery) -> u32 {
    let envelope = Envelope::from_bytes(&delivery.body).unwrap();
    serde_json::from_value::<Prompt>(envelope.data).unwrap().n
}

fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

async fn what_one_process_publishes_another_receives(database: Database) {
    let (here, there) = (bus(&database).await, bus(&database).await);
    declare(&there, queue("q", &[PROMPT])).await;
    let mut deliveries = consume(&there, "q", 10).await;
    prompts(&here, 0..3).await;
    for n in 0..3 {
        let delivery = recv(&mut deliveries).await;
        assert_eq!((number(&delivery), delivery.redelivered), (n, false));
        // Only whoever has it may settle it.
        assert!(there.is_current(&delivery) && !here.is_current(&delivery));
        assert_eq!(here.settle(&delivery, Settlement::Ack).await, Err(TransportError::Stale));
        there.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    // A binding that one process adds holds for the other at once, from then on.
    prompts(&here, 3..4).await;
    let added = queue("q", &["llm.session.#"]);
    here.declare(&Topology::new().with_parked_queue(added)).await.unwrap();
    there.publish(envelope("llm.session.started", json!({})), Headers::new()).await.unwrap();
    assert_eq!(number(&recv(&mut deliveries).await), 3);
    assert_eq!(&*recv(&mut deliveries).await.key, "llm.session.started");
}

async fn processes_compete_for_the_messages_of_a_queue(database: Database) {
    let (a, b) = (bus(&database).await, bus(&database).await);
    declare(&a, queue("q", &[PROMPT])).await;
    let mut consumers = Vec::new();
    for bus in [&a, &b] {
        let (bus, mut deliveries) = (bus.clone(), consume(bus, "q", 10).await);
        consumers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Ok(Some(delivery)) = timeout(Duration::from_secs(2), deliveries.recv()).await
            {
                seen.push(number(&delivery));
                sleep(Duration::from_millis(1)).await;
                bus.settle(&delivery, Settlement::Ack).await.unwrap();
            }
            seen
        }));
    }
    prompts(&a, 0..300).await;
    let mut all = Vec::new();
    for consumer in consumers {
        let seen = consumer.await.unwrap();
        assert!(!seen.is_empty(), "both get some");
        assert!(seen.is_sorted(), "in order");
        all.extend(seen);
    }
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<_>>(), "each once");
    assert!(browse(&a, "q").await.is_empty());
}

async fn one_process_answers_the_call_of_another(database: Database) {
    let (here, there) = (bus(&database).await, bus(&database).await);
    declare(&there, Queue::of_command("theboard.meeting.create").unwrap()).await;
    let subscriber = Subscriber::<Any>::new(there.clone());
    let subscriber = subscriber.handle(|received: Received<CreateMeeting>| async move {
        Ok::<_, String>(format!("{}!", received.payload.topic))
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(subscriber.run_until(async { drop(stopped.await) }));
    let publisher = Publisher::<Any>::new(here.clone());
    for topic in ["one", "two"] {
        let command = CreateMeeting { topic: topic.to_owned() };
        assert_eq!(publisher.call::<String>(&command).await.unwrap(), format!("{topic}!"));
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    // What the worker is told of who waits is not for those who only record.
    assert_eq!(here.store().position().await.unwrap(), 2);
}

async fn a_queue_keeps_its_place_while_nobody_is_there(database: Database) {
    let first = bus(&database).await;
    declare(&first, queue("q", &[PROMPT])).await;
    prompts(&first, 0..4).await;
    let mut deliveries = consume(&first, "q", 3).await;
    for _ in 0..2 {
        let delivery = recv(&mut deliveries).await;
        first.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    first.close().await;
    drop((first, deliveries));
    // Somebody else publishes in the meantime.
    let publisher = bus(&database).await;
    prompts(&publisher, 4..6).await;
    publisher.close().await;
    let again = bus(&database).await;
    declare(&again, queue("q", &[PROMPT])).await;
    assert_eq!(numbers(&browse(&again, "q").await), [2, 3, 4, 5]);
    assert_eq!(again.store().position().await.unwrap(), 6);
}

async fn what_was_parked_or_waits_for_a_retry_is_there_after_a_restart(database: Database) {
    let first = bus(&database).await;
    declare(&first, queue("q", &[PROMPT])).await;
    prompts(&first, 0..3).await;
    let mut deliveries = consume(&first, "q", 10).await;
    let note = |text: &str| Headers::from([("x-note".to_owned(), text.to_owned())]);
    for settlement in [
        Settlement::Park { headers: note("parked") },
        Settlement::Retry { after: Duration::from_millis(1_500), headers: note("later") },
        Settlement::Ack,
    ] {
        let delivery = recv(&mut deliveries).await;
        first.settle(&delivery, settlement).await.unwrap();
    }
    first.close().await;
    let again = bus(&database).await;
    let parked = browse(&again, "q.dlq").await;
    assert_eq!((numbers(&parked), &*parked[0].headers["x-note"]), (vec![0], "parked"));
    assert!(browse(&again, "q").await.is_empty(), "its time has not come");
    let later = recv(&mut consume(&again, "q", 10).await).await;
    assert_eq!((number(&later), &*later.headers["x-note"]), (1, "later"));
    assert!(!later.redelivered);
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
            declare(&bus, queue("q", &[PROMPT])).await;
            prompts(&bus, 0..3).await;
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
    declare(&other, queue("q", &[PROMPT])).await;
    let (url, (tell, told)) = (database.url.clone(), oneshot::channel());
    // On a single thread, so that nothing of it goes on while it is held up.
    let away = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let bus = short(&Database::at(url)).await;
            prompts(&bus, 0..1).await;
            let mut deliveries = consume(&bus, "q", 1).await;
            let delivery = recv(&mut deliveries).await;
            assert!(bus.is_current(&delivery));
            tell.send(()).unwrap();
            std::thread::sleep(LEASE * 4);
            assert!(!bus.is_current(&delivery));
            let late = bus.settle(&delivery, Settlement::Ack).await;
            assert_eq!(late, Err(TransportError::Stale));
            prompts(&bus, 1..2).await;
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
            let topology = Topology::new().with_queue(queue("t", &[PROMPT]).temporary());
            bus.declare(&topology).await.unwrap();
            (consume(&bus, "t", 1).await, bus)
        })
        .await;
    prompts(&other, 0..2).await;
    drop(process);
    sleep(LEASE * 2).await;
    let gone = other.subscribe(Subscription::new("t")).await;
    assert_eq!(gone.err(), Some(TransportError::Undeclared { queue: "t".to_owned() }));
}

async fn an_ordered_queue_goes_to_the_oldest_consumer_of_all_processes(database: Database) {
    let (a, b) = (bus(&database).await, bus(&database).await);
    declare(&a, queue("o", &[PROMPT]).ordered()).await;
    let mut first = consume(&a, "o", 2).await;
    let mut second = consume(&b, "o", 2).await;
    prompts(&b, 0..4).await;
    assert_eq!(number(&recv(&mut first).await), 0);
    nothing(&mut second).await;
    first.close().await;
    for n in [0, 1] {
        assert_eq!(number(&recv(&mut second).await), n);
    }
    nothing(&mut second).await;
}

async fn what_another_message_of_the_same_id_says_is_refused(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PROMPT])).await;
    let publisher = Publisher::<Any>::new(bus.clone());
    let id = Uuid::now_v7();
    let say = async |n| publisher.publish_with(&Prompt { n }, Meta::new().with_id(id)).await;
    say(0).await.unwrap();
    say(0).await.unwrap();
    let refused = say(1).await.unwrap_err().to_string();
    assert!(refused.contains("position 1") && refused.contains("quarantine"), "{refused}");
    assert_eq!(numbers(&browse(&bus, "q").await), [0]);
}

async fn a_full_queue_counts_only_what_it_wants(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("small", &[PROMPT]).with_max_len(3)).await;
    let publisher = Publisher::<Any>::new(bus.clone());
    let full = "queue `small` is full with 3 messages";
    for n in 0..3 {
        publisher.publish(&Prompt { n }).await.unwrap();
        for _ in 0..5 {
            let other = envelope("llm.session.started", json!({}));
            bus.publish(other, Headers::new()).await.unwrap();
        }
    }
    let stored = bus.store().position().await.unwrap();
    for _ in 0..2 {
        let error = publisher.publish(&Prompt { n: 3 }).await.unwrap_err().to_string();
        assert!(error.contains(full), "{error}");
    }
    assert_eq!(bus.store().position().await.unwrap(), stored, "nothing is stored");
    // What is delivered and not settled counts, too.
    let mut deliveries = consume(&bus, "small", 1).await;
    let first = recv(&mut deliveries).await;
    publisher.publish(&Prompt { n: 3 }).await.unwrap_err();
    bus.settle(&first, Settlement::Ack).await.unwrap();
    publisher.publish(&Prompt { n: 3 }).await.unwrap();
    let copy = Verbatim::stored(PROMPT, *b"{}", Headers::new());
    let error = bus.forward(copy, Destination::queue("small")).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains(full), "{error}");
}

async fn what_is_forwarded_waits_behind_what_was_published_before(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PROMPT])).await;
    let put = async |n| {
        let body = envelope(PROMPT, json!(Prompt { n })).to_bytes().unwrap();
        let copy = Verbatim::stored(PROMPT, body, Headers::new());
        bus.forward(copy, Destination::queue("q")).await.unwrap();
    };
    prompts(&bus, 0..2).await;
    put(2).await;
    put(3).await;
    prompts(&bus, 4..5).await;
    put(5).await;
    assert_eq!(numbers(&browse(&bus, "q").await), [0, 1, 2, 3, 4, 5]);
    let mut deliveries = consume(&bus, "q", 1).await;
    for n in 0..6 {
        let delivery = recv(&mut deliveries).await;
        assert_eq!(number(&delivery), n);
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    // A copy of what is stored goes to nobody a second time by way of the exchange.
    assert_eq!(bus.store().position().await.unwrap(), 3);
    let stored = bus.store().at(1).await.unwrap().unwrap();
    let copy = Verbatim::stored(PROMPT, stored.body, Headers::new());
    bus.forward(copy, Destination::Exchange(Exchange::Events)).await.unwrap();
    nothing(&mut deliveries).await;
}

async fn many_wanted_messages_among_many_more_are_all_found(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &["llm.session.started"])).await;
    for _ in 0..3 {
        prompts(&bus, 0..1_700).await;
        bus.publish(envelope("llm.session.started", json!({})), Headers::new()).await.unwrap();
    }
    let mut deliveries = consume(&bus, "q", 10).await;
    for _ in 0..3 {
        let delivery = recv(&mut deliveries).await;
        assert_eq!(&*delivery.key, "llm.session.started");
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    prompts(&bus, 0..1_100).await;
    bus.publish(envelope("llm.session.started", json!({})), Headers::new()).await.unwrap();
    assert_eq!(&*recv(&mut deliveries).await.key, "llm.session.started");
}
