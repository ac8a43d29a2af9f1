//! Layers around handlers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{
    CallError, Destination, Headers, InMemory, Message, Next, Publisher, Received, RetryPolicy,
    Subscriber, Subscription, Transport, Verbatim, Verdict, dead_letters_of, headers,
};
use bloodbank_core::{Envelope, Meta};
use bloodbank_testkit::catalog::{Any, CreateMooring, MooringCreated, Parcel, contracts};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;

use crate::support::{Bus, on_q, parcel};

/// The one dead letter of the queue `q`.
async fn dead_letter(bus: &Bus) -> Headers {
    let mut dead = bus.subscribe(Subscription::browse(dead_letters_of("q"))).await.unwrap();
    let letter = dead.recv().await.unwrap();
    assert!(dead.recv().await.is_none());
    letter.headers
}

/// Runs until a message with this body and these headers has left the queue.
async fn one(bus: &InMemory, subscriber: Subscriber<Any>, message: Verbatim) {
    let gone = async {
        bus.forward(message, Destination::queue("q")).await.unwrap();
        while bus.depth("q") + bus.unsettled("q") > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    subscriber.run_until(gone).await.unwrap();
}

fn bytes(key: &str, data: serde_json::Value) -> Vec<u8> {
    Envelope::new(key, "elsewhere", data, Meta::new()).to_bytes().unwrap()
}

fn a_parcel() -> Verbatim {
    Verbatim::stored("lot.parcel", bytes("lot.parcel", json!({"n": 1})), Headers::new())
}

#[tokio::test]
async fn the_first_layer_stands_outermost() {
    let (bus, log) = (InMemory::new(), Arc::<Mutex<Vec<String>>>::default());
    let shared: Bus = Arc::new(bus.clone());
    let (outer, inner, handler) = (log.clone(), log.clone(), log.clone());
    let say = |log: &Arc<Mutex<Vec<String>>>, word: &str| log.lock().unwrap().push(word.to_owned());
    let subscriber = on_q(&shared)
        .around(move |message, next| {
            let log = outer.clone();
            async move {
                say(&log, "outer begins");
                let handled = next.run(message).await;
                say(&log, "outer ends");
                handled
            }
        })
        .on(move |_: Received<Parcel>| {
            say(&handler, "handler");
            async {}
        })
        .layer(ServiceBuilder::new().timeout(Duration::from_secs(60)))
        .around(move |message, next| {
            let log = inner.clone();
            async move {
                say(&log, "inner begins");
                let handled = next.run(message).await;
                say(&log, "inner ends");
                handled
            }
        });
    one(&bus, subscriber, a_parcel()).await;
    let expected = ["outer begins", "inner begins", "handler", "inner ends", "outer ends"];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_layer_turns_an_error_into_parking() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let subscriber = on_q(&shared)
        .around(async |message: Message, next: Next| {
            let mut handled = next.run(message).await?;
            if matches!(&handled.verdict, Verdict::Retry(why) if why.contains("no such customer")) {
                handled.verdict = Verdict::Park("nobody to deliver to".to_owned());
            }
            Ok(handled)
        })
        .on(async |_: Received<Parcel>| Err::<(), _>("no such customer: 7"));
    one(&bus, subscriber, a_parcel()).await;
    let letter = dead_letter(&shared).await;
    assert_eq!(letter[headers::REASON], "parked");
    assert_eq!(letter[headers::ERROR], "nobody to deliver to");
}

/// Whose message it is.
#[derive(Debug, PartialEq)]
struct Tenant(String);

/// A subscriber whose handler is told the tenant.
fn of_tenants(bus: &Bus, tenants: mpsc::UnboundedSender<String>) -> Subscriber<Any> {
    on_q(bus)
        .around(async |mut message: Message, next: Next| {
            let tenant = message.headers().get("x-tenant").and_then(|value| value.as_str());
            let Some(tenant) = tenant.map(str::to_owned) else {
                return Ok(Verdict::Park("it does not say whose it is".to_owned()).into());
            };
            message.extensions_mut().insert(Tenant(tenant));
            next.run(message).await
        })
        .on(move |received: Received<Parcel>| {
            let received = received.map(|parcel| parcel.n);
            let Tenant(tenant) = received.extension().unwrap();
            tenants.send(tenant.clone()).unwrap();
            async {}
        })
}

#[tokio::test]
async fn a_layer_tells_the_handler_what_a_header_says() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let (sender, mut tenants) = mpsc::unbounded_channel();
    let message = a_parcel().with_header("x-tenant", "acme");
    one(&bus, of_tenants(&shared, sender.clone()), message).await;
    assert_eq!(tenants.recv().await.unwrap(), "acme");
    one(&bus, of_tenants(&shared, sender), a_parcel()).await;
    assert_eq!(dead_letter(&shared).await[headers::ERROR], "it does not say whose it is");
    assert!(tenants.try_recv().is_err(), "its handler was not called");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_tower_lets_a_message_come_again() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_q(&bus).layer(TimeoutLayer::new(Duration::from_secs(5)));
    let subscriber = subscriber.on(move |received: Received<Parcel>| {
        let sender = sender.clone();
        async move {
            if received.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            sender.send(received.headers()[headers::ERROR].clone()).unwrap();
        }
    });
    let done = async {
        parcel(&bus, 0).await;
        assert_eq!(seen.recv().await.unwrap(), "request timed out");
    };
    subscriber.run_until(done).await.unwrap();
}

#[tokio::test]
async fn a_limit_of_tower_holds_for_all_handlers() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let now = Arc::new(AtomicUsize::new(0));
    let subscriber = on_q(&bus).concurrency(8).layer(ConcurrencyLimitLayer::new(2));
    let subscriber = subscriber.on(move |_: Received<Parcel>| {
        let (sender, now) = (sender.clone(), now.clone());
        async move {
            let at_a_time = now.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(Duration::from_millis(20)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            sender.send(at_a_time).unwrap();
        }
    });
    let done = async {
        for n in 0..12 {
            parcel(&bus, n).await;
        }
        let mut most = 0;
        for _ in 0..12 {
            most = most.max(seen.recv().await.unwrap());
        }
        assert_eq!(most, 2);
    };
    subscriber.run_until(done).await.unwrap();
}

#[tokio::test]
async fn what_breaks_its_contract_is_parked_as_that_through_any_layer() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let subscriber = Subscriber::<Any>::new(shared.clone(), contracts());
    let subscriber = subscriber.queue("q").bind("terminal.mooring.created");
    let subscriber = subscriber
        .layer(TimeoutLayer::new(Duration::from_secs(60)))
        .around(async |message: Message, next: Next| next.run(message).await)
        .on(async |_: Received<MooringCreated>| {});
    let key = "terminal.mooring.created";
    let message = Verbatim::stored(key, bytes(key, json!({"topic": 7})), Headers::new());
    one(&bus, subscriber, message).await;
    assert_eq!(dead_letter(&shared).await[headers::REASON], "breaks-contract");
}

#[tokio::test]
async fn an_error_of_a_layer_is_told_to_who_calls_and_else_means_retry() {
    #[derive(Debug, thiserror::Error)]
    #[error("no")]
    struct No(#[source] std::fmt::Error);

    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let refuses = |subscriber: Subscriber<Any>| {
        subscriber.around(async |_: Message, _: Next| Err(No(std::fmt::Error).into()))
    };
    let subscriber = Subscriber::<Any>::new(shared.clone(), contracts())
        .handle(async |_: Received<CreateMooring>| Ok::<_, String>(()));
    let calling = async {
        let publisher = Publisher::<Any>::new(shared.clone(), contracts());
        let command = CreateMooring { topic: "x".into() };
        let error = publisher.call::<()>(&command).await.unwrap_err();
        let CallError::Handler { reason, .. } = error else { panic!("{error}") };
        assert_eq!(reason, format!("no: {}", std::fmt::Error));
    };
    refuses(subscriber).run_until(calling).await.unwrap();

    let subscriber = on_q(&shared).retry(RetryPolicy::never());
    let subscriber = refuses(subscriber).on(async |_: Received<Parcel>| {});
    one(&bus, subscriber, a_parcel()).await;
    assert_eq!(dead_letter(&shared).await[headers::REASON], "exhausted");
}

#[tokio::test]
async fn a_layer_that_panics_before_its_future_is_made_ends_no_subscriber() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let subscriber = on_q(&shared).retry(RetryPolicy::ladder([Duration::from_millis(10)]));
    let subscriber = subscriber
        .around(|message: Message, next: Next| {
            assert!(message.delivery().attempt > 1, "on purpose");
            async move { next.run(message).await }
        })
        .on(async |received: Received<Parcel>| match received.headers()[headers::ERROR].as_str() {
            Some("the handler panicked: on purpose") => Verdict::Done,
            other => Verdict::Park(format!("{other:?}")),
        });
    one(&bus, subscriber, a_parcel()).await;
    assert_eq!(bus.depth(&dead_letters_of("q")), 0);
}
