//! What no queue takes, among much that has one.

use std::collections::HashSet;
use std::time::Duration;

use bloodbank::amqp::Amqp;
use bloodbank::chrono::Utc;
use bloodbank::events::{candystore, conversation, keys, services};
use bloodbank::serde_json::{Value, to_value};
use bloodbank::uuid::Uuid;
use bloodbank::{
    Destination, Encoded, Envelope, Exchange, Headers, Meta, Queue, Service, Settlement,
    Subscription, Topology, Transport, TransportError, Validated, Verbatim,
};

use crate::support::{Space, close, until_depth};

const COMMANDS: usize = 20_000;

fn command(key: &str, data: Value) -> Validated<Envelope> {
    let envelope = Envelope::new(key, "test", data, Meta::new());
    services::Any::contracts().validate(envelope).unwrap()
}

/// A tenth, without a rhythm that windows could share.
fn is_unroutable(number: usize) -> bool {
    (number.wrapping_mul(2_654_435_761) >> 9).is_multiple_of(10)
}

async fn exactly_the_unroutable_ones_are_told(window: usize) {
    let space = Space::fresh().await;
    let mut config = space.config();
    config.window = window;
    config.deadline = Duration::from_secs(60);
    let amqp = Amqp::connect(config).await.unwrap();
    let queue = Queue::of_command(keys::CONVERSATION_MESSAGE_POST).unwrap();
    let name = queue.name.clone();
    amqp.declare(&Topology::new().with_queue(queue)).await.unwrap();
    let post = to_value(conversation::PostMessage::new(Uuid::now_v7(), "Hello")).unwrap();
    let replay = to_value(candystore::ReplayEvents::new(Uuid::now_v7(), "#", Utc::now())).unwrap();

    let mut sent = Vec::with_capacity(COMMANDS);
    for number in 0..COMMANDS {
        let envelope = match is_unroutable(number) {
            true => command(keys::CANDYSTORE_EVENTS_REPLAY, replay.clone()),
            false => command(keys::CONVERSATION_MESSAGE_POST, post.clone()),
        };
        sent.push((
            number,
            envelope.id,
            amqp.publish(Encoded::new(envelope, Headers::new()).unwrap()),
        ));
    }
    let mut expected = HashSet::new();
    for (number, id, confirm) in sent {
        match (is_unroutable(number), confirm.await) {
            (true, Err(TransportError::Unroutable { key })) => {
                assert_eq!(key, keys::CANDYSTORE_EVENTS_REPLAY);
            }
            (false, Ok(())) => assert!(expected.insert(id)),
            (unroutable, outcome) => panic!("{number}, unroutable {unroutable}: {outcome:?}"),
        }
    }
    assert!((1_800..2_200).contains(&(COMMANDS - expected.len())), "{}", expected.len());

    let subscription = Subscription::new(&*name).with_prefetch(1_000);
    let mut deliveries = amqp.subscribe(subscription).await.unwrap();
    for _ in 0..expected.len() {
        let delivery = deliveries.recv().await.unwrap();
        let id = Envelope::from_bytes(&delivery.body).unwrap().id;
        assert!(expected.remove(&id), "{id} came twice, or was never accepted");
        amqp.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    deliveries.close().await;
    until_depth(&amqp, &name, 0).await;
    close(&amqp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_unroutable_commands_are_told_with_a_window_of_256() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    exactly_the_unroutable_ones_are_told(256).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_unroutable_commands_are_told_with_a_window_of_1000() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    exactly_the_unroutable_ones_are_told(1_000).await;
}

#[tokio::test]
async fn one_command_sent_twice_at_once_is_unroutable_twice() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = Amqp::connect(space.config()).await.unwrap();
    let replay = to_value(candystore::ReplayEvents::new(Uuid::now_v7(), "#", Utc::now())).unwrap();
    let envelope = command(keys::CANDYSTORE_EVENTS_REPLAY, replay);
    let both =
        [(), ()].map(|()| amqp.publish(Encoded::new(envelope.clone(), Headers::new()).unwrap()));
    for confirm in both {
        let outcome = confirm.await;
        assert!(matches!(outcome, Err(TransportError::Unroutable { .. })), "{outcome:?}");
    }
    // Nothing of it is left for a later one, which is taken.
    let queue = Queue::of_command(keys::CANDYSTORE_EVENTS_REPLAY).unwrap();
    amqp.declare(&Topology::new().with_queue(queue)).await.unwrap();
    amqp.publish(Encoded::new(envelope, Headers::new()).unwrap()).await.unwrap();
    close(&amqp).await;
}

#[tokio::test]
async fn a_replay_that_nobody_hears_is_told_from_what_goes_into_a_queue_of_that_name() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = Amqp::connect(space.config()).await.unwrap();
    amqp.declare(&Topology::new().with_queue(Queue::new(keys::LLM_PROMPT))).await.unwrap();
    let mut under_way = Vec::new();
    for number in 0..100 {
        let data = to_value(number).unwrap();
        let event = Envelope::new(keys::LLM_PROMPT, "test", data, Meta::new()).to_bytes().unwrap();
        let event = Verbatim::stored(keys::LLM_PROMPT, event, Headers::new());
        let queued = amqp.forward(event.clone(), Destination::queue(keys::LLM_PROMPT));
        let replayed = amqp.forward(event, Destination::Exchange(Exchange::Replay));
        under_way.push((queued, replayed));
    }
    let unroutable = TransportError::Unroutable { key: keys::LLM_PROMPT.to_owned() };
    for (queued, replayed) in under_way {
        assert_eq!(queued.await, Ok(()));
        assert_eq!(replayed.await, Err(unroutable.clone()));
    }
    close(&amqp).await;
}
