//! Messages that nobody waits for any more.

use bloodbank_bus::dead_letters::{self, Filter};
use bloodbank_bus::{
    CallError, Delivery, Destination, Exchange, Publisher, Queue, Reason, Received, Subscriber,
    Verbatim, headers,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::tools::{Bus, PARCEL, copy, declare, declare_q, holds, inbox, log, ms, next, run};
use crate::catalog::{Any, CreateMooring, Parcel, contracts};

const CREATE: &str = "terminal.mooring.create";
const WORKERS: &str = "commands.terminal.mooring.create";
const LONG_AGO: &str = "2026-01-31T12:00:00.000Z";

fn publisher(bus: &Bus) -> Publisher<Any> {
    Publisher::new(bus.clone(), contracts())
}

fn create() -> CreateMooring {
    CreateMooring { topic: "x".to_owned() }
}

fn expired(n: u32) -> Verbatim {
    copy(n, Uuid::now_v7()).with_header(headers::EXPIRES_AT, LONG_AGO)
}

fn expect_expired(parked: &Delivery) {
    assert_eq!(parked.headers[headers::REASON], Reason::Expired.as_str());
    let said = parked.headers[headers::ERROR].to_string();
    assert!(said.contains("it expired at "), "{said}");
}

pub async fn a_message_that_has_expired_is_parked_and_one_that_has_not_is_handled(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    publisher(&bus).publish(&Parcel { n: 0 }).expires_in(ms(1)).await.unwrap();
    publisher(&bus).publish(&Parcel { n: 1 }).expires_in(ms(600_000)).await.unwrap();
    bus.forward(expired(2), Destination::Exchange(Exchange::Events)).await.unwrap();
    publisher(&bus).publish(&Parcel { n: 3 }).await.unwrap();
    sleep(ms(20)).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.concurrency(1).on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    assert_eq!(calls.take(2).await, [1, 3]);
    holds(&bus, "q.dlq", 2).await.iter().for_each(expect_expired);
    running.stop().await.unwrap();
    assert!(calls.so_far().is_empty());
    // An inbox does not hand it out, either.
    bus.forward(expired(4), Destination::queue("q")).await.unwrap();
    publisher(&bus).publish(&Parcel { n: 5 }).await.unwrap();
    let mut inbox = inbox::<Parcel>(&bus, "q").await;
    let received = next(&mut inbox).await;
    assert_eq!((received.payload.n, inbox.parked()), (5, 1));
    inbox.ack(received).await.unwrap();
}

pub async fn a_command_that_has_expired_is_not_carried_out_and_its_caller_is_told(bus: Bus) {
    let (sender, mut calls) = log();
    declare(&bus, [Queue::of_command(CREATE).unwrap()]).await;
    let (publisher, command) = (publisher(&bus), create());
    let call = publisher.call::<()>(&command).expires_in(ms(1)).within(ms(10_000));
    let late = async {
        holds(&bus, WORKERS, 1).await;
        // Nobody is so quick that it has not expired by now.
        tokio::time::sleep(ms(20)).await;
        run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(
            move |received: Received<CreateMooring>| {
                sender.send(received.payload.topic).unwrap();
                async { Ok::<_, String>(()) }
            },
        ))
    };
    let (called, running) = tokio::join!(call.into_future(), late);
    let CallError::Handler { reason, .. } = called.unwrap_err() else { panic!("not told") };
    assert!(reason.contains("it expired at "), "{reason}");
    expect_expired(&holds(&bus, &bloodbank_bus::dead_letters_of(WORKERS), 1).await[0]);
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn a_command_of_a_caller_who_is_gone_is_carried_out_unless_it_expires(bus: Bus) {
    let (sender, mut calls) = log();
    declare(&bus, [Queue::of_command(CREATE).unwrap()]).await;
    let publisher = publisher(&bus);
    for (topic, expires) in [("kept", None), ("expired", Some(ms(600_000)))] {
        let command = CreateMooring { topic: topic.to_owned() };
        let call = publisher.call::<()>(&command).within(ms(200));
        let call = match expires {
            // It does not outlive the call.
            Some(time) => call.expires_in(time),
            None => call,
        };
        let gone = call.await.unwrap_err();
        assert!(matches!(gone, CallError::NoAnswer { .. }), "{gone}");
    }
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(
        move |received: Received<CreateMooring>| {
            sender.send(received.payload.topic).unwrap();
            async { Ok::<_, String>(()) }
        },
    ));
    assert_eq!(calls.next().await, "kept");
    expect_expired(&holds(&bus, &bloodbank_bus::dead_letters_of(WORKERS), 1).await[0]);
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn an_unrouted_event_that_is_brought_back_does_not_expire(bus: Bus) {
    let Some(unrouted) = bus.unrouted_queue() else { return };
    bus.forward(expired(1), Destination::Exchange(Exchange::Events)).await.unwrap();
    holds(&bus, &unrouted, 1).await;
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let redriven = dead_letters::redrive(&*bus, &unrouted, &Filter::all(), 100).await.unwrap();
    assert_eq!((redriven.count, redriven.unrouted), (1, 0));
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    assert_eq!(calls.next().await, 1);
    running.stop().await.unwrap();
    holds(&bus, "q.dlq", 0).await;
}

pub async fn what_is_brought_back_or_replayed_does_not_expire(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    bus.forward(expired(1), Destination::queue("q")).await.unwrap();
    holds(&bus, "q.dlq", 1).await;
    let redriven = dead_letters::redrive(&*bus, "q.dlq", &Filter::all(), 100).await.unwrap();
    assert_eq!(redriven.count, 1);
    assert_eq!(calls.next().await, 1);
    let replayed = expired(2).with_header(headers::REPLAY, "r");
    bus.forward(replayed, Destination::queue("q")).await.unwrap();
    assert_eq!(calls.next().await, 2);
    calls.ends().await;
    running.stop().await.unwrap();
}
