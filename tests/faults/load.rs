//! A publisher and a subscriber at a steady rate, and what became of every event.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bloodbank::events::{self, llm, services};
use bloodbank::uuid::Uuid;
use bloodbank::{
    BoxFuture, Bus, Claim, Dedup, DedupError, Envelope, LocalDedup, PublishError, Publisher, Queue,
    Received, Service, SubscribeError, Subscription, Topology, TransportError,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::checker::{Checker, Tally};

/// Events are published in small groups: a timer per event would be coarser than it looks.
const TICK: Duration = Duration::from_millis(10);
/// Events of one group: 1,000 in a second.
const GROUP: u64 = 10;
/// A call that takes this much longer than its deadline is taken for one that never ends.
const NEVER: Duration = Duration::from_secs(15);
/// The pause before an event whose outcome is unknown is published again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long anything may take that comes after the faults.
const DRAIN: Duration = Duration::from_secs(60);
/// Where events go that no queue wants.
const UNROUTED: &str = "bloodbank.unrouted";
/// The queue of the registry that the load goes through.
pub(crate) const QUEUE: &str = "llm_cost_calculator_queue";

/// A mistake that is made on purpose, at one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    Drop(u64),
    Double(u64),
}

/// What publisher and subscriber write down.
#[derive(Default)]
struct Log {
    checker: Mutex<Checker>,
    /// Of the longest call of publish, in microseconds.
    longest: AtomicU64,
    /// For how long the machine let nothing of ours run, in microseconds.
    stalled: AtomicU64,
    /// How often the memory of what was handled could not be asked.
    unasked: AtomicU64,
    paused: AtomicBool,
    ended: AtomicBool,
}

impl Log {
    fn checker(&self) -> MutexGuard<'_, Checker> {
        self.checker.lock().expect("nobody panics with the lock")
    }
}

/// How the load is to be.
#[derive(Clone)]
pub(crate) struct Options {
    /// How long a publish may take, as the bus is configured.
    pub(crate) deadline: Duration,
    pub(crate) mistake: Option<Mistake>,
    /// Whether events may lie in the queue for what nobody listens to.
    pub(crate) unrouted: bool,
    /// What remembers the events that were handled.
    pub(crate) dedup: Arc<dyn Dedup>,
}

impl Options {
    /// With a memory in this process, and without a mistake.
    pub(crate) fn new(deadline: Duration) -> Self {
        Options { deadline, mistake: None, unrouted: false, dedup: Arc::new(LocalDedup::default()) }
    }
}

/// A running load.
pub(crate) struct Load {
    bus: Bus,
    log: Arc<Log>,
    options: Options,
    publishing: JoinHandle<()>,
    subscribing: JoinHandle<Result<(), SubscribeError>>,
    stop: oneshot::Sender<()>,
    /// How long everything confirmed may take to arrive after the last fault.
    drain: Duration,
}

/// What came of a load.
pub(crate) struct Report {
    pub(crate) tally: Tally,
    pub(crate) longest: Duration,
    /// For how long the machine let nothing of ours run, at most.
    pub(crate) stalled: Duration,
}

impl Load {
    /// Starts to publish and to consume.
    pub(crate) async fn start(bus: Bus, options: Options) -> Load {
        let log = Arc::new(Log::default());
        declare(&bus).await;
        let watching = log.clone();
        std::thread::spawn(move || watch_machine(&watching));
        let (stop, stopped) = oneshot::channel();
        let (handler_log, mistake) = (log.clone(), options.mistake);
        let subscriber = bus
            .subscriber::<services::LlmCostCalculator>()
            .on(move |received: Received<llm::Prompt>| {
                handle(&handler_log, &received, mistake);
                std::future::ready(())
            })
            .skip_others()
            .dedup(Counting { inner: options.dedup.clone(), log: log.clone() });
        let subscribing = tokio::spawn(subscriber.run_until(async move {
            // An error says the same: it is over.
            let _ = stopped.await;
        }));
        let publishing = tokio::spawn(publish(bus.publisher(), log.clone(), options.deadline));
        Load { bus, log, options, publishing, subscribing, stop, drain: DRAIN }
    }

    /// Waits until events are confirmed again, and then for a while.
    pub(crate) async fn flows(&self, time: Duration) {
        let count = || self.log.checker().confirmed_count();
        // Answers to what was sent before the fault may still come in.
        let enough = count() + 500;
        let end = Instant::now() + DRAIN;
        while count() < enough {
            if Instant::now() > end {
                panic!(
                    "too little is confirmed {DRAIN:?} after a fault: {}",
                    self.log.checker().state()
                );
            }
            sleep(TICK * 5).await;
        }
        sleep(time).await;
    }

    /// How many calls of publish have failed.
    pub(crate) fn failed_calls(&self) -> u64 {
        self.log.checker().tally().failed_calls
    }

    /// How often the memory of what was handled could not be asked.
    pub(crate) fn unasked(&self) -> u64 {
        self.log.unasked.load(Ordering::Relaxed)
    }

    /// Publishes nothing until [`go_on`](Load::go_on), and waits until everything is handled.
    pub(crate) async fn pause(&self) {
        self.log.paused.store(true, Ordering::Relaxed);
        let end = Instant::now() + self.drain;
        let mut before = None;
        // Calls under way count up something when they end.
        while Instant::now() < end {
            sleep(self.options.deadline + AGAIN * 2).await;
            let now = self.settled().await;
            if now.lost == 0 && before.as_ref() == Some(&now) {
                return;
            }
            before = Some(now);
        }
    }

    /// Publishes on.
    pub(crate) fn go_on(&self) {
        self.log.paused.store(false, Ordering::Relaxed);
    }

    /// Publishes no more, waits until everything confirmed has arrived, and gives the account.
    pub(crate) async fn finish(mut self) -> Report {
        self.log.ended.store(true, Ordering::Relaxed);
        (&mut self.publishing).await.expect("the publisher ends by itself");
        let end = Instant::now() + self.drain;
        let mut tally = self.settled().await;
        while Instant::now() < end && tally.lost > 0 {
            sleep(TICK * 10).await;
            tally = self.settled().await;
        }
        // An error means that the subscriber has ended, which is told next.
        let _ = self.stop.send(());
        let ended = timeout(DRAIN, self.subscribing).await.expect("a subscriber that stops");
        ended.expect("the subscriber does not panic").expect("the subscriber runs to its end");
        timeout(DRAIN, self.bus.close()).await.expect("a bus that can be closed");
        let micros = |count: &AtomicU64| Duration::from_micros(count.load(Ordering::Relaxed));
        let (longest, stalled) = (micros(&self.log.longest), micros(&self.log.stalled));
        Report { tally: self.log.checker().tally(), longest, stalled }
    }

    /// The account so far, with what lies in the queue for what nobody listens to.
    async fn settled(&self) -> Tally {
        if self.options.unrouted && self.log.checker().missing() > 0 {
            let browsing = self.bus.transport().subscribe(Subscription::browse(UNROUTED));
            if let Ok(mut deliveries) = browsing.await {
                while let Some(delivery) = deliveries.recv().await {
                    let envelope = Envelope::from_bytes(&delivery.body).expect("an envelope");
                    let number = envelope.data.get("prompt").and_then(|text| text.as_str());
                    let number = number.and_then(|text| text.parse().ok()).expect("a number");
                    self.log.checker().unrouted(number);
                }
                deliveries.close().await;
            }
        }
        self.log.checker().tally()
    }
}

/// Declares the queue, so that it is bound before the first event; the subscriber does so again.
async fn declare(bus: &Bus) {
    let contracts = services::LlmCostCalculator::contracts();
    let service = contracts
        .bundle()
        .service(services::LlmCostCalculator::NAME)
        .expect("it is in the registry");
    let queues = Queue::all_of(service);
    let topology = queues.into_iter().fold(Topology::new(), Topology::with_parked_queue);
    bus.transport().declare(&topology).await.expect("the queue can be declared");
}

/// Sees on a thread of its own how late it wakes up: a shared machine may have other things to do.
fn watch_machine(log: &Log) {
    while !log.ended.load(Ordering::Relaxed) {
        let since = Instant::now();
        std::thread::sleep(TICK);
        let late = since.elapsed().saturating_sub(TICK).as_micros();
        log.stalled.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn handle(log: &Log, received: &Received<llm::Prompt>, mistake: Option<Mistake>) {
    let number = received.payload.prompt.parse().expect("a number");
    if mistake != Some(Mistake::Drop(number)) {
        log.checker().handled(number);
    }
    if mistake == Some(Mistake::Double(number)) {
        log.checker().handled(number);
    }
}

/// Publishes at a steady rate, whatever becomes of it, until the end; then waits for all outcomes.
async fn publish(publisher: Publisher<services::LlmCollector>, log: Arc<Log>, deadline: Duration) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = tokio::task::JoinSet::new();
    let mut number = 0;
    while !log.ended.load(Ordering::Relaxed) {
        ticks.tick().await;
        while calls.try_join_next().is_some() {}
        if log.paused.load(Ordering::Relaxed) {
            continue;
        }
        for _ in 0..GROUP {
            number += 1;
            log.checker().published();
            calls.spawn(publish_one(publisher.clone(), log.clone(), deadline, number));
        }
    }
    while let Some(call) = calls.join_next().await {
        call.expect("a call does not panic");
    }
}

/// Publishes one event until its outcome is known, each time with the same id.
async fn publish_one(
    publisher: Publisher<services::LlmCollector>,
    log: Arc<Log>,
    deadline: Duration,
    number: u64,
) {
    let id = Uuid::now_v7();
    let prompt = llm::Prompt::new(id, "Alice", "gpt-5", number.to_string());
    loop {
        let since = Instant::now();
        let call = publisher.publish(&prompt).id(id);
        let outcome = timeout(deadline + NEVER, call).await;
        let took = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        log.longest.fetch_max(took, Ordering::Relaxed);
        match outcome {
            Ok(Ok(_)) => return log.checker().confirmed(number),
            Ok(Err(PublishError::Transport { source, .. })) => {
                log.checker().failed(&source);
                match source {
                    TransportError::Unknown => sleep(AGAIN).await,
                    TransportError::Disconnected { .. }
                    | TransportError::Blocked
                    | TransportError::Refused { .. }
                    | TransportError::NoExchange { .. }
                    | TransportError::Nacked { .. } => return,
                    other => panic!("event {number}: {other}"),
                }
            }
            Ok(Err(error)) => panic!("event {number}: {error}"),
            Err(_) => return,
        }
    }
}

/// A memory that writes down what it is asked: once for each delivery.
struct Counting {
    inner: Arc<dyn Dedup>,
    log: Arc<Log>,
}

impl Dedup for Counting {
    fn begin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>> {
        Box::pin(async move {
            let claim = self.inner.begin(name).await.inspect_err(|_| {
                // It is handled all the same.
                self.log.checker().received(false);
                self.log.unasked.fetch_add(1, Ordering::Relaxed);
            })?;
            match claim {
                Claim::New => self.log.checker().received(false),
                Claim::Done(_) => self.log.checker().received(true),
                // Asked again later.
                Claim::Busy => {}
            }
            Ok(claim)
        })
    }

    fn finish<'a>(
        &'a self,
        name: &'a str,
        answer: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>> {
        self.inner.finish(name, answer)
    }

    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        self.inner.release(name)
    }
}

/// A mistake that is made on purpose is found.
pub(crate) async fn test() {
    for (mistake, expected) in
        [(None, (0, 0)), (Some(Mistake::Drop(17)), (1, 0)), (Some(Mistake::Double(17)), (0, 1))]
    {
        let options = Options { mistake, ..Options::new(Duration::from_secs(1)) };
        let mut load = Load::start(Bus::in_memory(events::contracts()), options).await;
        load.drain = Duration::from_millis(300);
        sleep(Duration::from_millis(200)).await;
        let Report { tally, .. } = load.finish().await;
        assert!(tally.confirmed > 50, "{tally:?}");
        assert_eq!((tally.lost, tally.twice), expected, "{mistake:?}: {tally:?}");
    }
}
