//! CloudEvents, as we and others publish them.

use bloodbank_bus::dead_letters::{self, Filter};
use bloodbank_bus::{
    Destination, EnvelopeForm, Exchange, HeaderValue, Headers, Properties, Publisher, Queue,
    Reason, Received, Subscriber, Verbatim, Verdict, headers,
};
use bloodbank_core::{Envelope, Meta};
use serde_json::{Value, json};
use uuid::Uuid;

use super::tools::{Bus, PARCEL, browse, declare, declare_q, holds, ladder, log, run};
use crate::catalog::{Any, CreateMooring, Parcel, contracts};

const CREATE: &str = "terminal.mooring.create";
const FORMS: [EnvelopeForm; 2] = [EnvelopeForm::CloudEvent, EnvelopeForm::CloudEventBinary];
const STRUCTURED: &str = "application/cloudevents+json";

fn publisher(bus: &Bus, form: EnvelopeForm) -> Publisher<Any> {
    Publisher::new(bus.clone(), contracts()).in_form(form)
}

/// What a handler sees of an envelope, without what the bus notes beside it.
fn seen(received: &Received<Parcel>) -> Envelope {
    (*received.envelope).clone()
}

fn properties(media: &str) -> Option<Box<Properties>> {
    let mut properties = Properties::default();
    properties.content_type = Some(media.to_owned());
    properties.boxed()
}

/// An event of somebody else's, in the structured form.
fn structured(event: &Value) -> Verbatim {
    Verbatim::stored(PARCEL, event.to_string().into_bytes(), Headers::new())
        .with_properties(properties(STRUCTURED))
}

fn event(n: u32) -> Value {
    json!({
        "specversion": "1.0", "id": Uuid::now_v7(), "source": "/yard", "type": PARCEL,
        "time": "2026-01-31T13:00:00+01:00", "tenant": "x", "data": {"n": n},
    })
}

/// The same in the binary form, with a prefix.
fn binary(event: &Value, prefix: &str) -> Verbatim {
    let attributes = event.as_object().unwrap().iter().filter(|(name, _)| *name != "data");
    let header = |value: &Value| HeaderValue::from(value.as_str().unwrap());
    let headers = attributes.map(|(name, value)| (format!("{prefix}{name}"), header(value)));
    Verbatim::stored(PARCEL, event["data"].to_string().into_bytes(), headers.collect())
        .with_properties(properties("application/json"))
}

pub async fn what_is_published_as_a_cloud_event_reaches_its_handler_whole(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL).on(
        move |received: Received<Parcel>| {
            sender.send((seen(&received), received.payload.n)).unwrap();
            async {}
        },
    ));
    for (n, form) in (0..).zip(FORMS) {
        let id = Uuid::now_v7();
        let meta = Meta::new().with_correlation_id(id).with_causation_id(id).with_session_id("s é");
        let meta = meta.with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let parcel = Parcel { n };
        let draft = publisher(&bus, form).named("lot-7");
        let sealed = draft.publish(&parcel).meta(meta.with_tracestate("a=1")).seal().unwrap();
        let mut said = Envelope::clone(&sealed);
        draft.publish_sealed(sealed).await.unwrap();
        let (heard, number) = calls.next().await;
        assert_eq!(number, n);
        // What is written has microseconds.
        said.timestamp = heard.timestamp;
        assert_eq!(heard, said, "{form:?}");
    }
    running.stop().await.unwrap();
}

pub async fn a_call_as_a_cloud_event_is_answered(bus: Bus) {
    declare(&bus, [Queue::of_command(CREATE).unwrap()]).await;
    let handler =
        |received: Received<CreateMooring>| async { Ok::<_, String>(received.payload.topic) };
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(handler));
    for form in FORMS {
        let command = CreateMooring { topic: format!("{form:?}") };
        let answer: String = publisher(&bus, form).call(&command).await.unwrap();
        assert_eq!(answer, command.topic);
    }
    running.stop().await.unwrap();
}

pub async fn cloud_events_of_strangers_are_understood(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL).on(
        move |received: Received<Parcel>| {
            sender.send((seen(&received), received.payload.n)).unwrap();
            async {}
        },
    ));
    let messages = [
        structured(&event(0)),
        binary(&event(1), "cloudEvents_"),
        binary(&event(2), "cloudEvents:"),
        binary(&event(3), "ce-"),
        binary(&event(4), "cloudEvents_")
            .with_header("cloudEvents_time", HeaderValue::I64(1_769_860_800_000)),
        binary(&event(5), "cloudEvents_")
            .with_header("cloudEvents_time", HeaderValue::Time(1_769_860_800)),
    ];
    for (n, message) in (0..).zip(messages) {
        bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
        let (envelope, number) = calls.next().await;
        assert_eq!((number, &*envelope.source, &*envelope.event_type), (n, "/yard", PARCEL));
        assert_eq!(envelope.timestamp.to_rfc3339(), "2026-01-31T12:00:00+00:00");
        assert_eq!(envelope.extra["tenant"], "x");
    }
    running.stop().await.unwrap();
}

pub async fn what_is_not_a_cloud_event_of_json_is_parked_with_the_reason(bus: Bus) {
    declare_q(&bus).await;
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts())
        .queue("q")
        .bind(PARCEL)
        .on(|_: Received<Parcel>| async { Verdict::Drop("it reached its handler".to_owned()) }));
    let without = |name: &str| {
        let mut event = event(0);
        event.as_object_mut().unwrap().shift_remove(name);
        event
    };
    let with = |name: &str, value: Value| {
        let mut event = event(0);
        event[name] = value;
        event
    };
    let mut not_json = binary(&event(0), "cloudEvents_");
    not_json.body = b"<n>1</n>".as_slice().into();
    let cases = [
        (structured(&without("specversion")), "without `specversion`"),
        (structured(&with("specversion", json!("0.3"))), "are not taken in"),
        (structured(&with("data_base64", json!("aGk="))), "both `data` and `data_base64`"),
        (
            structured(&event(0)).with_properties(properties("application/cloudevents-batch+json")),
            "cloudevents-batch+json` is not taken in",
        ),
        (binary(&with("specversion", json!("2.0")), "cloudEvents_"), "are not taken in"),
        (binary(&without("time"), "cloudEvents_"), "without `time`"),
        (not_json, "its data is not JSON"),
        (binary(&event(0), "cloudEvents_").with_properties(properties("text/xml")), "not JSON"),
    ];
    for (message, expected) in cases {
        let body = message.body.clone();
        bus.forward(message, Destination::queue("q")).await.unwrap();
        let parked = holds(&bus, "q.dlq", 1).await.remove(0);
        assert_eq!(parked.headers[headers::REASON], Reason::NoEnvelope.as_str());
        let said = parked.headers[headers::ERROR].to_string();
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(parked.body, body);
        dead_letters::purge(&*bus, "q.dlq", &Filter::all()).await.unwrap();
    }
    running.stop().await.unwrap();
    assert!(browse(&bus, "q").await.is_empty());
}

pub async fn a_cloud_event_survives_retries_parking_and_redriving(bus: Bus) {
    for (name, message) in
        [("one", structured(&event(7))), ("two", binary(&event(7), "cloudEvents_"))]
    {
        let (sender, mut calls) = log();
        declare(&bus, [Queue::new(name)]).await;
        let body = message.body.clone();
        let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue(name).bind(PARCEL);
        let running = run(subscriber.retry(ladder([100])).on(move |received: Received<Parcel>| {
            let redriven = received.headers().contains_key(headers::REDRIVES);
            sender.send((received.attempt(), seen(&received).extra["tenant"].clone())).unwrap();
            async move { if redriven { Ok(()) } else { Err("not now") } }
        }));
        bus.forward(message, Destination::queue(name)).await.unwrap();
        assert_eq!(calls.take(2).await, [(1, json!("x")), (2, json!("x"))]);
        let dead = format!("{name}.dlq");
        let parked = holds(&bus, &dead, 1).await.remove(0);
        assert_eq!((&parked.body, parked.envelope().unwrap().source.as_str()), (&body, "/yard"));
        dead_letters::redrive(&*bus, &dead, &Filter::all(), 100).await.unwrap();
        assert_eq!(calls.next().await, (1, json!("x")));
        running.stop().await.unwrap();
        holds(&bus, name, 0).await;
    }
}
