//! Handlers in order. Time is that of tokio, which passes when nothing else happens.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    CallError, Delivery, InMemory, Publisher, Queue, Received, RetryPolicy, Subscriber,
    Subscription, Topology, dead_letters_of, headers,
};
use bloodbank_testkit::catalog::{Any, CreateMooring, MooringCreated, Parcel, contracts, mooring};
use chrono::Utc;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::support::{Bus, on_q, parcel};

const MINUTE: Duration = Duration::from_secs(60);

/// A subscriber in order whose handler fails for ever.
fn failing(bus: &Bus) -> Subscriber<Any> {
    on_q(bus).strict_order().on(async |_: Received<Parcel>| Err::<(), _>("never"))
}

/// Waits until a parcel was parked, and takes it out.
async fn parked(bus: &Bus, memory: &InMemory) -> Delivery {
    let queue = dead_letters_of("q");
    while memory.depth(&queue) == 0 {
        sleep(Duration::from_millis(50)).await;
    }
    let mut dead = bus.subscribe(Subscription::new(queue)).await.unwrap();
    dead.recv().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_in_place_is_held_for_so_long_and_no_longer() {
    let every = |minutes| RetryPolicy::ladder([MINUTE * minutes; 5]);
    for (retry, hold, attempts) in [
        // They begin every ten minutes; the fourth could end at 31.
        (every(10), None, "3"),
        (every(10), Some(Duration::MAX), "6"),
        (every(10), Some(MINUTE * 5), "1"),
        (RetryPolicy::default(), None, "5"),
    ] {
        let memory = InMemory::new();
        let bus: Bus = Arc::new(memory.clone());
        let mut subscriber = failing(&bus).retry(retry.clone());
        if retry != RetryPolicy::default() {
            subscriber = subscriber.timeout(MINUTE);
        }
        if let Some(hold) = hold {
            subscriber = subscriber.hold_at_most(hold);
        }
        let doing = async {
            parcel(&bus, 0).await;
            let parked = parked(&bus, &memory).await;
            assert_eq!(parked.headers[headers::REASON], "exhausted");
            assert_eq!(parked.headers[headers::ATTEMPTS], attempts, "{retry:?} {hold:?}");
            let error = parked.headers[headers::ERROR].to_string();
            let is_cut = attempts != "6" && attempts != "5";
            assert_eq!(error.contains("it would be held for longer than"), is_cut, "{error}");
        };
        subscriber.run_until(doing).await.unwrap();
    }
}

#[tokio::test]
async fn what_expires_between_attempts_in_place_is_parked_with_what_was_noted() {
    let memory = InMemory::new();
    let bus: Bus = Arc::new(memory.clone());
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let subscriber = on_q(&bus).strict_order().retry(RetryPolicy::ladder([Duration::ZERO]));
    let subscriber = subscriber.on(async |received: Received<Parcel>| {
        let expires = headers::time(received.headers(), headers::EXPIRES_AT).unwrap();
        while Utc::now() < expires {
            sleep(Duration::from_millis(50)).await;
        }
        Err::<(), _>("too late")
    });
    let doing = async {
        publisher.publish(&Parcel { n: 0 }).expires_in(Duration::from_secs(2)).await.unwrap();
        let parked = parked(&bus, &memory).await;
        assert_eq!(parked.headers[headers::REASON], "expired");
        assert_eq!(parked.headers[headers::ATTEMPTS], "2");
    };
    subscriber.run_until(doing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn in_strict_order_nothing_overtakes_what_waits_for_its_turn() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut handled) = mpsc::unbounded_channel();
    let others = sender.clone();
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).strict_order();
    let subscriber = subscriber.queue("p").bind("lot.parcel");
    let subscriber = subscriber.queue("q").bind("lot.parcel").bind("terminal.mooring.created");
    // The parcels of both queues take turns.
    let subscriber = subscriber.concurrency_of::<Parcel>(1).on(move |it: Received<Parcel>| {
        let sender = sender.clone();
        async move {
            sleep(MINUTE).await;
            sender.send((it.queue().to_owned(), it.payload.n)).unwrap();
        }
    });
    let subscriber = subscriber.on(move |it: Received<MooringCreated>| {
        others.send((it.queue().to_owned(), it.payload.max_rounds)).unwrap();
        async {}
    });
    let doing = async {
        let publisher = Publisher::<Any>::new(bus.clone(), contracts());
        parcel(&bus, 1).await;
        parcel(&bus, 2).await;
        publisher.publish(&MooringCreated { max_rounds: 3, ..mooring("x") }).await.unwrap();
        let mut of = [Vec::new(), Vec::new()];
        for _ in 0..5 {
            let (queue, n) = handled.recv().await.unwrap();
            of[usize::from(queue == "q")].push(n);
        }
        assert_eq!(of, [vec![1, 2], vec![1, 2, 3]]);
    };
    subscriber.run_until(doing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_that_fail_take_no_turns_from_the_others() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut handled) = mpsc::unbounded_channel();
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q");
    let subscriber = subscriber.bind("terminal.mooring.created").ordered_by("/topic");
    let subscriber = subscriber.partitions(1).concurrency_of::<MooringCreated>(2);
    let subscriber = subscriber.retry(RetryPolicy::ladder([MINUTE])).timeout(MINUTE);
    let subscriber = subscriber.on(move |it: Received<MooringCreated>| {
        let (topic, attempt) = (it.payload.topic.clone(), it.attempt());
        let failed = topic.starts_with("bad") && attempt == 1;
        sender.send((topic, attempt)).unwrap();
        async move { if failed { Err("not yet") } else { Ok(()) } }
    });
    let doing = async {
        let publisher = Publisher::<Any>::new(bus.clone(), contracts());
        for topic in ["bad 1", "bad 2", "good"] {
            publisher.publish(&mooring(topic)).await.unwrap();
        }
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(handled.recv().await.unwrap());
        }
        let (first, again) = all.split_at(3);
        assert!(first.contains(&("good".to_owned(), 1)), "{all:?}");
        assert!(again.iter().all(|(_, attempt)| *attempt == 2), "{all:?}");
    };
    subscriber.run_until(doing).await.unwrap();
}

/// Commands whose handler fails at the first attempt, and what it was called with.
fn failing_commands(
    subscriber: Subscriber<Any>,
) -> (Subscriber<Any>, mpsc::UnboundedReceiver<(String, u32)>) {
    let (sender, handled) = mpsc::unbounded_channel();
    let subscriber = subscriber.handle(move |it: Received<CreateMooring>| {
        let (topic, attempt) = (it.payload.topic.clone(), it.attempt());
        let failed = topic == "bad" && attempt == 1;
        sender.send((topic, attempt)).unwrap();
        async move { if failed { Err("not yet") } else { Ok(()) } }
    });
    (subscriber, handled)
}

fn create(topic: &str) -> CreateMooring {
    CreateMooring { topic: topic.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn commands_have_no_order_of_keys() {
    let bus: Bus = Arc::new(InMemory::new());
    let subscriber = on_q(&bus).ordered_by("/n").on(async |_: Received<Parcel>| {});
    let subscriber = subscriber.retry(RetryPolicy::ladder([MINUTE])).concurrency(1);
    let (subscriber, mut handled) = failing_commands(subscriber);
    let doing = async {
        let publisher = Publisher::<Any>::new(bus.clone(), contracts());
        for topic in ["bad", "good"] {
            publisher.send(&create(topic)).await.unwrap();
        }
        for expected in [("bad", 1), ("good", 1), ("bad", 2)] {
            let (topic, attempt) = handled.recv().await.unwrap();
            assert_eq!((&*topic, attempt), expected);
        }
    };
    subscriber.run_until(doing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn in_order_a_failed_call_whose_caller_is_gone_is_tried_again_in_place() {
    let memory = InMemory::new();
    let bus: Bus = Arc::new(memory.clone());
    let queue = Queue::of_command("terminal.mooring.create").unwrap();
    let name = queue.name.clone();
    bus.declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let bad = create("bad");
    let gone = publisher.call::<()>(&bad).within(Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(gone, CallError::NoAnswer { .. }), "{gone}");
    publisher.send(&create("good")).await.unwrap();
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).strict_order();
    let (subscriber, mut handled) =
        failing_commands(subscriber.retry(RetryPolicy::ladder([MINUTE])));
    let doing = async {
        for expected in [("bad", 1), ("bad", 2), ("good", 1)] {
            let (topic, attempt) = handled.recv().await.unwrap();
            assert_eq!((&*topic, attempt), expected);
        }
        // One that waits is told at once, and nothing is tried again.
        let told = publisher.call::<()>(&bad).await.unwrap_err();
        assert!(
            matches!(&told, CallError::Handler { reason, .. } if reason == "not yet"),
            "{told}"
        );
    };
    subscriber.run_until(doing).await.unwrap();
    assert_eq!((memory.depth(&name), memory.depth(&dead_letters_of(&name))), (0, 0));
}
