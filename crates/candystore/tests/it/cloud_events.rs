//! CloudEvents in the store: taken for the envelopes that they are, and kept as they came.

use std::sync::Arc;

use bloodbank_bus::{Encoded, EnvelopeForm, HeaderValue, Headers, Topology, Transport};
use bloodbank_core::Kind;
use bloodbank_testkit::catalog::{envelope, queue};
use candystore::{
    Appended, Embedded, EventStore, Filter, Incoming, ReplayState, ReplayTarget, Standing,
    StoredEvent,
};
use serde_json::json;

use crate::databases::{Database, on_both};
use crate::replay::{options, replay, take};
use crate::verifying::{problems, verify};

on_both!(
    a_cloud_event_is_stored_as_the_envelope_that_it_is_and_as_it_came,
    a_cloud_event_is_replayed_as_it_came,
    the_same_event_in_another_form_is_the_same_event,
    what_differs_in_its_attributes_only_is_kept_twice,
    a_cloud_event_goes_from_store_to_store,
);

const FORMS: [EnvelopeForm; 2] = [EnvelopeForm::CloudEvent, EnvelopeForm::CloudEventBinary];
const PARCEL: &str = "lot.parcel";

fn encoded(n: u32, form: EnvelopeForm) -> Encoded {
    let envelope = envelope(PARCEL, json!({ "n": n }));
    Encoded::in_form(envelope, Headers::new(), form).unwrap()
}

fn incoming(message: &Encoded) -> Incoming {
    Incoming::new(Kind::Event, message.key(), message.body().clone())
        .with_headers(message.headers().clone())
        .with_properties(message.properties())
}

async fn all(store: &EventStore, filter: Filter) -> Vec<StoredEvent> {
    store.pages(filter).await.unwrap().next().await.unwrap()
}

/// One of each form, appended by whoever records.
async fn two(store: &EventStore) -> Vec<Encoded> {
    let messages: Vec<Encoded> = (0..).zip(FORMS).map(|(n, form)| encoded(n, form)).collect();
    store.append(messages.iter().map(incoming).collect()).await.unwrap();
    messages
}

async fn a_cloud_event_is_stored_as_the_envelope_that_it_is_and_as_it_came(database: Database) {
    let store = database.open().await;
    let messages = two(&store).await;
    // The same by way of the bus in the store.
    let bus = Embedded::new(store.clone());
    bus.publish(encoded(2, EnvelopeForm::CloudEventBinary)).await.unwrap();
    for (event, message) in all(&store, Filter::new()).await.iter().zip(&messages) {
        assert_eq!((event.id, event.standing), (message.id(), Standing::Valid));
        assert_eq!((&*event.source, &*event.key), ("test", PARCEL));
        assert_eq!((&event.body, &event.headers), (message.body(), message.headers()));
        assert!(event.timestamp.is_some());
    }
    for n in 0..3 {
        let mut filter = Filter::new();
        filter.fields.push(format!("/n={n}").parse().unwrap());
        let found = all(&store, filter).await;
        assert_eq!(found.iter().map(|event| event.position).collect::<Vec<_>>(), [n + 1]);
    }
    let verified = verify(&store).await;
    assert!(verified.is_clean(), "{:?}", problems(&verified));
}

async fn a_cloud_event_is_replayed_as_it_came(database: Database) {
    let store = database.open().await;
    let messages = two(&store).await;
    let bus: Arc<dyn Transport> = Arc::new(Embedded::new(store.clone()));
    bus.declare(&Topology::new().with_parked_queue(queue("q", &["x"]))).await.unwrap();
    let into = options().with_target(ReplayTarget::Queue("q".to_owned()));
    let run = replay(&store, &bus, into).await.unwrap();
    assert_eq!((run.state, run.sent), (ReplayState::Done, 2));
    for (delivery, message) in take(&*bus, "q").await.iter().zip(&messages) {
        assert_eq!(&delivery.body, message.body());
        assert_eq!(&**delivery.envelope().unwrap(), &**message.envelope());
    }
}

async fn the_same_event_in_another_form_is_the_same_event(database: Database) {
    let store = database.open().await;
    let message = encoded(1, EnvelopeForm::Native);
    store.append(vec![incoming(&message)]).await.unwrap();
    for form in FORMS {
        let again = Encoded::in_form(message.envelope().clone(), Headers::new(), form).unwrap();
        let appended = store.append(vec![incoming(&again)]).await.unwrap();
        assert_eq!(appended, [Appended::Duplicate(1)], "{form:?}");
    }
}

async fn what_differs_in_its_attributes_only_is_kept_twice(database: Database) {
    let store = database.open().await;
    let without_time = |n| {
        let mut incoming = incoming(&encoded(7, EnvelopeForm::CloudEventBinary));
        incoming.headers.remove("cloudEvents_time");
        incoming.headers.insert("cloudEvents_number".to_owned(), n);
        incoming
    };
    let events = vec![without_time(HeaderValue::I32(1)), without_time(HeaderValue::I32(2))];
    let appended = store.append(events).await.unwrap();
    assert_eq!(appended, [Appended::Stored(1), Appended::Stored(2)]);
    for event in all(&store, Filter::new()).await {
        assert_eq!(event.standing, Standing::Malformed);
        assert!(event.violation.unwrap().contains("without `time`"));
    }
    assert!(verify(&store).await.is_clean());
}

async fn a_cloud_event_goes_from_store_to_store(database: Database) {
    let from = Database::sqlite().await.unwrap();
    let source = from.open().await;
    two(&source).await;
    let events = all(&source, Filter::new()).await;
    let lines = events.iter().map(StoredEvent::to_line);
    let store = database.open().await;
    store
        .append(lines.map(|line| Incoming::from_line(line.as_bytes()).unwrap()).collect())
        .await
        .unwrap();
    assert_eq!(all(&store, Filter::new()).await, events);
    let verified = verify(&store).await;
    assert!(verified.is_clean(), "{:?}", problems(&verified));
}
