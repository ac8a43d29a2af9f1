//! What travels beside a message, and what an envelope holds that this version does not know.

use std::collections::BTreeMap;

use bloodbank_bus::{
    Delivery, Destination, Exchange, HeaderValue, Headers, Properties, Reason, Received,
    Subscriber, Verbatim, Verdict, dead_letters, headers,
};
use bloodbank_core::{Envelope, Meta};
use serde_json::{Value, json};

use super::tools::{Bus, PARCEL, declare_q, eventually, holds, ladder, log, run};
use crate::catalog::{Any, Parcel, contracts};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A header of every type.
fn every_header() -> Headers {
    let value = HeaderValue::from("grün");
    let list = HeaderValue::List(vec![HeaderValue::I32(1), value.clone(), HeaderValue::Null]);
    let table = BTreeMap::from([("a".to_owned(), list.clone()), ("b".to_owned(), value.clone())]);
    let values = [
        value,
        HeaderValue::Null,
        HeaderValue::Bool(true),
        HeaderValue::I8(-8),
        HeaderValue::U8(8),
        HeaderValue::I16(-16),
        HeaderValue::U16(16),
        HeaderValue::I32(-32),
        HeaderValue::U32(32),
        HeaderValue::I64(-64),
        HeaderValue::F32(0.1),
        HeaderValue::F64(-1e300),
        HeaderValue::Decimal { scale: 2, value: 314 },
        HeaderValue::RawText(vec![0xff, b'a']),
        HeaderValue::Bytes(vec![0, 1, 0xfe]),
        HeaderValue::Time(1_769_860_800),
        list,
        HeaderValue::Table(table),
    ];
    values.into_iter().enumerate().map(|(n, value)| (format!("x-{n}"), value)).collect()
}

/// Every property, none of them what an envelope would say.
fn every_property() -> Properties {
    let mut all = Properties::default();
    all.content_type = Some("text/plain".to_owned());
    all.content_encoding = Some("gzip".to_owned());
    all.priority = Some(7);
    all.correlation_id = Some("work 7".to_owned());
    all.reply_to = Some("somebody".to_owned());
    all.message_id = Some("m-1".to_owned());
    all.timestamp = Some(1_769_860_800);
    all.kind = Some("a kind".to_owned());
    all.app_id = Some("a stranger".to_owned());
    all
}

fn from_a_stranger(body: &[u8]) -> Verbatim {
    let message = Verbatim::stored(PARCEL, body, every_header());
    message.with_properties(every_property().boxed())
}

fn is_as_it_came(delivery: &Delivery) {
    for (name, value) in every_header() {
        assert_eq!(delivery.headers.get(&name), Some(&value), "{name}");
    }
    assert_eq!(delivery.properties.as_deref(), Some(&every_property()));
}

pub async fn what_a_stranger_says_beside_its_bytes_survives_parking_and_redriving(bus: Bus) {
    declare_q(&bus).await;
    bus.forward(from_a_stranger(b"garbage"), Destination::Exchange(Exchange::Events))
        .await
        .unwrap();
    is_as_it_came(&holds(&bus, "q", 1).await[0]);
    let park = async || {
        let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
        let running = run(subscriber.on(async |_: Received<Parcel>| {}));
        let parked = holds(&bus, "q.dlq", 1).await.remove(0);
        running.stop().await.unwrap();
        parked
    };
    for redrives in 0..2 {
        let parked = park().await;
        is_as_it_came(&parked);
        assert_eq!(parked.headers[headers::REASON], Reason::NoEnvelope.as_str());
        assert_eq!(headers::count(&parked.headers, headers::REDRIVES).unwrap_or(0), redrives);
        let all = dead_letters::Filter::all();
        let redriven = dead_letters::redrive(&*bus, "q.dlq", &all, u32::MAX).await.unwrap();
        assert_eq!(redriven.count, 1, "{:?}", redriven.failed);
        is_as_it_came(&holds(&bus, "q", 1).await[0]);
    }
}

pub async fn what_a_stranger_says_beside_an_envelope_survives_retries(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.retry(ladder([50, 50])).on(move |received: Received<Parcel>| {
        let beside = (received.headers().clone(), received.properties().cloned());
        sender.send((received.attempt(), beside)).unwrap();
        async { Verdict::Retry("again".to_owned()) }
    }));
    let body = Envelope::new(PARCEL, "s", json!({"n": 1}), Meta::new()).to_bytes().unwrap();
    bus.forward(from_a_stranger(&body), Destination::queue("q")).await.unwrap();
    for attempt in 1..=3 {
        let (which, (beside, properties)) = calls.next().await;
        assert_eq!((which, properties), (attempt, Some(every_property())));
        for (name, value) in every_header() {
            assert_eq!(beside.get(&name), Some(&value), "{name} at attempt {attempt}");
        }
    }
    is_as_it_came(&holds(&bus, "q.dlq", 1).await[0]);
    running.stop().await.unwrap();
}

/// An envelope with these fields besides.
fn with_fields(fields: &Value) -> Vec<u8> {
    let envelope = Envelope::new(PARCEL, "elsewhere", json!({"n": 1}), Meta::new());
    let mut envelope = serde_json::to_value(envelope).unwrap();
    envelope.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    envelope.to_string().into_bytes()
}

pub async fn fields_that_this_version_does_not_know_reach_the_handler(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.envelope.clone()).unwrap();
        async {}
    }));
    let fields = json!({"tenant": {"name": "x"}, "weight": 1.5, "tracestate": "a=1"});
    let message = Verbatim::stored(PARCEL, with_fields(&fields), Headers::new());
    bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
    let said = calls.next().await;
    assert_eq!(Value::from(said.extra.clone()), json!({"tenant": {"name": "x"}, "weight": 1.5}));
    assert_eq!(said.tracestate.as_deref(), Some("a=1"));
    running.stop().await.unwrap();
}

pub async fn a_trace_that_stands_only_in_the_headers_is_understood(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.on(move |received: Received<Parcel>| {
        sender.send((received.envelope.clone(), received.meta())).unwrap();
        async {}
    }));
    let traced = |fields: Value| {
        Verbatim::stored(PARCEL, with_fields(&fields), Headers::new())
            .with_header(headers::TRACEPARENT, TRACE)
            .with_header(headers::TRACESTATE, "a=1")
    };
    bus.forward(traced(json!({})), Destination::queue("q")).await.unwrap();
    let (said, next) = calls.next().await;
    assert_eq!(
        (said.traceparent.as_deref(), said.tracestate.as_deref()),
        (Some(TRACE), Some("a=1"))
    );
    assert_eq!(
        (next.traceparent.as_deref(), next.tracestate.as_deref()),
        (Some(TRACE), Some("a=1"))
    );
    let other = TRACE.replace('7', "8");
    bus.forward(traced(json!({"traceparent": other})), Destination::queue("q")).await.unwrap();
    let (said, _) = calls.next().await;
    assert_eq!((said.traceparent.as_ref(), said.tracestate.as_ref()), (Some(&other), None));
    running.stop().await.unwrap();
}

pub async fn an_envelope_that_breaks_its_bounds_is_parked_with_the_field(bus: Bus) {
    declare_q(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.on(async |_: Received<Parcel>| {}));
    let fields = [
        ("source", json!("")),
        ("session_id", json!("s".repeat(256))),
        ("schema", json!("not a URI")),
        ("traceparent", json!("00")),
    ];
    for (name, value) in &fields {
        let message = Verbatim::stored(PARCEL, with_fields(&json!({*name: value})), Headers::new());
        bus.forward(message, Destination::queue("q")).await.unwrap();
    }
    let parked = eventually("the dead letters", || async {
        let parked = holds_any(&bus).await;
        (parked.len() == fields.len()).then_some(parked)
    })
    .await;
    for (name, _) in &fields {
        let said = format!("not an envelope as its schema wants it: (envelope)/{name}  expected ");
        let found = parked.iter().filter(|letter| {
            letter.error.as_ref().is_some_and(|error| error.starts_with(&said))
                && letter.reason == Some(Reason::NoEnvelope)
        });
        assert_eq!(found.count(), 1, "{name}: {parked:?}");
    }
    running.stop().await.unwrap();
}

async fn holds_any(bus: &Bus) -> Vec<dead_letters::DeadLetter> {
    dead_letters::list(&**bus, "q.dlq", &dead_letters::Filter::all()).await.unwrap()
}
