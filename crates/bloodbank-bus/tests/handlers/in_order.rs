//! Handlers in order. Time is that of tokio, which passes when nothing else happens.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Delivery, InMemory, Publisher, Received, RetryPolicy, Subscriber, Subscription,
    dead_letters_of, headers,
};
use bloodbank_testkit::catalog::{Any, Parcel, contracts};
use chrono::Utc;
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
