//! Order key by key, over three processes that are killed again and again.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::events::{self, llm, services};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Exchange, Queue, Received, Topology};
use tokio::time::{Instant, sleep};

use crate::support::{Space, until};
use crate::worker::{self, Worker};

/// The same as for the other faults: the value `full` asks for the long form.
const FORM: &str = "BLOODBANK_FAULTS";
const KEYS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(240);

/// Is a process of its own when a test starts it so, until its input ends; else it is nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker() {
    work(16).await;
}

/// As [`a_worker`], where the queue has a single partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_a_single_partition() {
    work(1).await;
}

async fn work(partitions: u16) {
    let Some((url, log)) = worker::task() else { return };
    let amqp = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap();
    let bus = Bus::new(Arc::new(amqp), events::contracts());
    let subscriber = bus
        .subscriber::<services::LlmCostCalculator>()
        .queue("work")
        .bind("llm.prompt")
        .ordered_by("/agent_name")
        .partitions(partitions)
        .concurrency(64)
        .on(move |received: Received<llm::Prompt>| {
            let line = format!("{} {}", &*received.payload.agent_name, received.payload.prompt);
            worker::note(&log, &line);
            sleep(Duration::from_millis(2))
        });
    subscriber.run_until(worker::end_of_input()).await.unwrap();
}

/// The numbers of each key in the order in which they were first handled.
fn firsts(log: &Path) -> (HashMap<String, Vec<usize>>, usize) {
    let (mut firsts, mut count) = (HashMap::<String, Vec<usize>>::new(), 0);
    for line in fs::read_to_string(log).unwrap_or_default().lines() {
        // A killed process may leave half a line.
        let Some((key, number)) = line.split_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        let numbers = firsts.entry(key.to_owned()).or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
            count += 1;
        }
    }
    (firsts, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_each_key_holds_while_processes_are_killed() {
    order_holds("keys::a_worker").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_each_key_holds_in_a_single_partition_while_processes_are_killed() {
    order_holds("keys::a_worker_of_a_single_partition").await;
}

async fn order_holds(worker: &str) {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let is_full = std::env::var(FORM).is_ok_and(|form| form == "full");
    let (rounds, kills, pause) = if is_full { (60, 24, 5.0) } else { (5, 3, 2.5) };
    let space = Space::fresh().await;
    let bus = space.bus().await;
    let queue = Queue::new("work").bind(Exchange::Events, "llm.prompt".parse().unwrap()).ordered();
    bus.transport().declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("handled");
    let start = || Worker::start(worker, &space.url(), &log);
    let mut workers: Vec<Worker> = (0..3).map(|_| start()).collect();
    let published = Arc::new(AtomicBool::new(false));
    let (publisher, done) = (bus.publisher::<services::LlmCollector>(), published.clone());
    let publishing = tokio::spawn(async move {
        for round in 0..rounds {
            for key in 0..KEYS {
                let agent = format!("agent-{key}");
                let prompt = llm::Prompt::new(Uuid::now_v7(), agent, "gpt-5", round.to_string());
                publisher.publish(&prompt).await.unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    until("something is handled", PATIENCE, async || firsts(&log).1 > 0).await;
    for kill in 0..kills {
        // As long as there is something to disturb.
        let end = Instant::now() + Duration::from_secs_f64(pause);
        while Instant::now() < end {
            sleep(Duration::from_millis(100)).await;
        }
        workers[kill % 3] = start();
    }
    publishing.await.unwrap();
    until("everything is handled", PATIENCE, async || firsts(&log).1 == rounds * KEYS).await;
    let (firsts, _) = firsts(&log);
    let wrong: Vec<_> =
        firsts.iter().filter(|(_, numbers)| !numbers.iter().copied().eq(0..rounds)).collect();
    assert!(wrong.is_empty() && firsts.len() == KEYS, "{} keys: {wrong:?}", firsts.len());
    let amqp = space.amqp().await;
    assert_eq!(amqp.depth("work.dlq").await, Ok(0), "nothing was parked");
}
