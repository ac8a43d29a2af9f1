//! From a full queue of RabbitMQ's into the store: read, judged, committed, then acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::candystore::Recorder;
use bloodbank::{Destination, Exchange, Headers, Queue, Topology, Transport, Verbatim};
use bloodbank_testkit::Broker;
use tokio::sync::oneshot;

use crate::place::{Backend, Places, open};
use crate::report::{median, thousands};
use crate::support::heading;
use crate::workflow::{Event, Workflow};

const ROUNDS: usize = 5;
const EVENTS: usize = 50_000;
/// Publishing that fills the queue; not measured.
const WINDOW: usize = 1_000;

pub(crate) async fn run(places: &Places) {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let broker = Broker::start().await;
    let backends = places.backends();
    let mut rates = vec![Vec::new(); backends.len()];
    for _ in 0..ROUNDS {
        for (backend, rates) in backends.iter().zip(&mut rates) {
            rates.push(record(places, *backend, &broker.fresh_url()).await);
        }
    }
    heading(&format!("store: RabbitMQ to store, {EVENTS} events in a queue, {ROUNDS} rounds"));
    println!("{:<26} {:>12}", "", "per s");
    for (backend, rates) in backends.iter().zip(rates) {
        println!("{:<26} {:>12}", backend.name(), thousands(median(&rates)));
    }
}

/// Events a second, from the start of the recorder to its last commit.
async fn record(places: &Places, backend: Backend, url: &str) -> f64 {
    let config = AmqpConfig::from_urls(url).expect("a URL");
    let amqp = Amqp::connect(config).await.expect("a connection");
    let queue = Queue::new("bench").bind(Exchange::Events, "#".parse().expect("a pattern"));
    let topology = Topology::new().with_parked_queue(queue.clone().recorder());
    amqp.declare(&topology).await.expect("declared");
    fill(&amqp, Workflow::new().take(EVENTS)).await;

    let store = open(&places.url(backend).await).await;
    let recorder = Recorder::new(store.clone(), Arc::new(amqp.clone()), queue);
    let (mut progress, (stop, stopped)) = (recorder.progress(), oneshot::channel::<()>());
    let since = Instant::now();
    let recording = tokio::spawn(recorder.run_until(async {
        // It is dropped when everything is stored.
        let _ = stopped.await;
    }));
    let all = progress.wait_for(|recorded| recorded.stored == EVENTS as u64).await;
    let took = since.elapsed();
    drop(all.expect("recorded"));
    drop(stop);
    recording.await.expect("no panic").expect("recorded");
    amqp.close().await;
    EVENTS as f64 / took.as_secs_f64()
}

async fn fill(amqp: &Amqp, events: impl Iterator<Item = Event>) {
    let mut under_way = VecDeque::with_capacity(WINDOW);
    for event in events {
        if under_way.len() == WINDOW
            && let Some(first) = under_way.pop_front()
        {
            confirmed(first).await;
        }
        let message = Verbatim::stored(&*event.key, event.body, Headers::new());
        let mut confirm = amqp.forward(message, Destination::Exchange(Exchange::Events));
        confirm.accepted().await;
        under_way.push_back(confirm);
    }
    for last in under_way {
        confirmed(last).await;
    }
}

async fn confirmed(confirm: bloodbank::Confirm) {
    confirm.await.expect("confirmed");
}
