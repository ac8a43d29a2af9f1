//! One message that ends its process, one that outlives its connections, and those beside them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::dead_letters::{self, Filter};
use bloodbank::events::{self, llm, services};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Delivery, Reason, Received, Settlement, Subscriber, Subscription, Transport};
use bloodbank_testkit::Proxy;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Space, prompts, until, until_depth};
use crate::worker::{self, Worker};

const POISON: &str = "poison";
/// The name of the log of workers that keep the order.
const ORDERED: &str = "ordered";
/// How long a handler takes with a healthy message.
const HANDLING: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(120);

fn subscriber(bus: &Bus) -> Subscriber<services::LlmCostCalculator> {
    bus.subscriber().queue("work").bind("llm.prompt")
}

async fn publish(bus: &Bus, texts: impl IntoIterator<Item = String>) -> HashMap<String, Uuid> {
    let publisher = bus.publisher::<services::LlmCollector>();
    let mut ids = HashMap::new();
    for text in texts {
        let prompt = llm::Prompt::new(Uuid::now_v7(), "Alice", "gpt-5", text.clone());
        ids.insert(text, publisher.publish(&prompt).await.unwrap().id);
    }
    ids
}

/// Is a process of its own when a test starts it so, until its input ends; else it is nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker() {
    let Some((url, log)) = worker::task() else { return };
    let amqp = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap();
    let bus = Bus::new(Arc::new(amqp), events::contracts());
    let is_ordered = log.ends_with(ORDERED);
    let mut subscriber = subscriber(&bus);
    if is_ordered {
        subscriber = subscriber.strict_order();
    }
    let subscriber = subscriber.on(move |received: Received<llm::Prompt>| {
        let log = log.clone();
        async move {
            if received.payload.prompt == POISON {
                std::process::abort();
            }
            sleep(HANDLING).await;
            worker::note(&log, &received.payload.prompt);
        }
    });
    subscriber.run_until(worker::end_of_input()).await.unwrap();
}

fn lines(log: &Path) -> Vec<String> {
    fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Whether a queue has no message, also none that is delivered and not settled.
fn is_settled(space: &Space, queue: &str) -> bool {
    let queues = ["-q", "-p", &space.vhost, "list_queues", "name", "messages"];
    space.broker.ctl(&queues).lines().any(|line| line == format!("{queue}\t0"))
}

/// Restarts workers as they crash, until all but the poison are settled and something is parked.
async fn until_quiet(
    space: &Space,
    amqp: &Amqp,
    workers: usize,
    log: &Path,
    healthy: usize,
) -> u32 {
    let start = || Worker::start("suspects::a_worker", &space.url(), log);
    let mut running: Vec<Worker> = (0..workers).map(|_| start()).collect();
    let (mut crashes, started) = (0, Instant::now());
    loop {
        for worker in &mut running {
            if worker.has_ended() {
                crashes += 1;
                *worker = start();
            }
        }
        let mut handled = lines(log);
        handled.sort_unstable();
        handled.dedup();
        // A worker that is ended before it has acknowledged gives its last message back.
        if handled.len() == healthy
            && amqp.depth("work.dlq").await.unwrap() > 0
            && is_settled(space, "work")
        {
            return crashes;
        }
        assert!(started.elapsed() < LONG, "after {crashes} crashes {} handled", handled.len());
        sleep(Duration::from_millis(20)).await;
    }
}

async fn only_the_poison_is_parked(workers: usize, name: &str) {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let bus = Bus::new(Arc::new(amqp.clone()), events::contracts());
    let mut topology = prompts("work");
    topology.queues[0].ordered = name == ORDERED;
    bus.transport().declare(&topology).await.unwrap();
    // Among the first, so that it ends its process before any other message is done.
    let texts = (0..200).map(|n| if n == 3 { POISON.to_owned() } else { n.to_string() });
    let ids = publish(&bus, texts).await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join(name);
    let crashes = until_quiet(&space, &amqp, workers, &log, 199).await;
    until_depth(&amqp, "work", 0).await;
    let letters = dead_letters::list(&amqp, "work.dlq", &Filter::all()).await.unwrap();
    let parked: Vec<_> = letters.iter().map(|letter| (letter.id.clone(), letter.reason)).collect();
    let poison = Some(ids[POISON].to_string());
    assert_eq!(parked, [(poison, Some(Reason::DeliveryLimit))], "after {crashes} crashes");
    let error = letters[0].error.clone().unwrap_or_default();
    assert!(error.starts_with("its consumer was lost 2"), "{error}");
    assert!(crashes <= 21, "{crashes}");
}

/// Takes one message out and gives it back, so that the broker counts it as lost.
async fn lose(space: &Space, times: usize) {
    let raw = space.raw().await;
    for _ in 0..times {
        let message = raw.channel.basic_get("work".into(), BasicGetOptions::default()).await;
        let message = message.unwrap().expect("a message is ready");
        let options = BasicNackOptions { requeue: true, multiple: false };
        raw.channel.basic_nack(message.delivery.delivery_tag, options).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_meets_a_suspect_holds_it_back_and_counts_no_loss() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    amqp.declare(&prompts("work")).await.unwrap();
    let bus = Bus::new(Arc::new(amqp.clone()), events::contracts());
    publish(&bus, (0..40).map(|n| n.to_string())).await;
    let subscription = Subscription::new("work").with_prefetch(10);
    let mut deliveries = amqp.subscribe(subscription).await.unwrap();
    let mut begun = Vec::new();
    while begun.len() < 10 {
        begun.push(timeout(LONG, deliveries.recv()).await.unwrap().unwrap());
    }
    // Two, so that one waits for the other.
    lose(&space, 2).await;
    let raw = space.raw().await;
    let first = raw.channel.basic_get("work".into(), BasicGetOptions::default()).await.unwrap();
    lose(&space, 2).await;
    let options = BasicNackOptions { requeue: true, multiple: false };
    raw.channel.basic_nack(first.unwrap().delivery.delivery_tag, options).await.unwrap();
    let mut losses = Vec::new();
    for delivery in begun {
        losses.push(delivery.lost);
        amqp.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    while losses.len() < 40 {
        let delivery = timeout(LONG, deliveries.recv()).await.unwrap().unwrap();
        losses.push(delivery.lost);
        if delivery.lost >= Delivery::SUSPECT {
            sleep(HANDLING).await;
            assert!(deliveries.try_recv().is_none(), "it is handed out alone");
        }
        amqp.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    // One that was on its way when the consumer changed its pace may have come back once.
    losses.retain(|lost| *lost >= Delivery::SUSPECT);
    assert_eq!(losses, [2, 3], "one was taken out once more, and neither was given back");
    deliveries.close().await;
}

#[tokio::test]
async fn of_what_a_crashing_process_holds_only_the_culprit_is_parked() {
    only_the_poison_is_parked(1, "shared").await;
}

#[tokio::test]
async fn of_what_three_crashing_processes_hold_only_the_culprit_is_parked() {
    only_the_poison_is_parked(3, "shared").await;
}

#[tokio::test]
async fn of_what_two_crashing_processes_hold_in_order_only_the_culprit_is_parked() {
    only_the_poison_is_parked(2, ORDERED).await;
}

/// Connections are cut again and again while one handler is at work on its first message.
async fn cuts_park_nothing(concurrency: usize) {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let proxy = Proxy::start(("127.0.0.1", space.broker.port())).await;
    let direct = space.bus().await;
    direct.transport().declare(&prompts("work")).await.unwrap();
    let ids = publish(&direct, (0..100).map(|n| n.to_string())).await;
    let url = space.broker.url_via(&proxy, &space.vhost);
    let amqp = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap();
    let looking = space.amqp().await;
    let bus = Bus::new(Arc::new(amqp.clone()), events::contracts());
    let gate = Arc::new(Semaphore::new(0));
    let counts: Arc<Vec<AtomicUsize>> = Arc::new((0..100).map(|_| AtomicUsize::new(0)).collect());
    let (at_gate, at_counts) = (gate.clone(), counts.clone());
    let subscriber =
        subscriber(&bus).concurrency(concurrency).on(move |received: Received<llm::Prompt>| {
            let (gate, counts) = (at_gate.clone(), at_counts.clone());
            async move {
                let number: usize = received.payload.prompt.parse().unwrap();
                counts[number].fetch_add(1, Ordering::Relaxed);
                if number == 0 {
                    gate.acquire().await.unwrap().forget();
                }
            }
        });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(subscriber.run_until(async { drop(stopped.await) }));
    until("the long one is begun", LONG, async || counts[0].load(Ordering::Relaxed) == 1).await;
    for _ in 0..22 {
        let accepted = proxy.accepted();
        proxy.cut();
        until("connected again", LONG, async || proxy.accepted() >= accepted + 2).await;
        // So that what comes again has come, if it does.
        let come = async { while looking.depth("work").await.unwrap_or(1) > 0 {} };
        let _ = timeout(Duration::from_millis(700), come).await;
    }
    gate.add_permits(1);
    until("all are handled", LONG, async || {
        counts.iter().all(|count| count.load(Ordering::Relaxed) > 0)
    })
    .await;
    until("the queue is empty", LONG, async || is_settled(&space, "work")).await;
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(looking.depth("work.dlq").await, Ok(0), "nothing was parked");
    let twice = counts.iter().filter(|count| count.load(Ordering::Relaxed) > 1).count();
    assert_eq!((twice, ids.len()), (0, 100), "one process handles nothing twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flapping_network_parks_nothing_behind_a_long_handler() {
    cuts_park_nothing(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flapping_network_parks_nothing_beside_a_long_handler() {
    cuts_park_nothing(8).await;
}
