//! Publishing: so many messages, with so many of them without a confirm at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{BasicPublishArguments, Channel, ConfirmSelectArguments};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, FieldTable, FieldValue, Nack, Return};
use bloodbank::Publishing;
use bloodbank::events::services;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use tokio::sync::Semaphore;

use crate::setup;
use crate::support::meeting;

/// Messages a second, and seconds of CPU time for each.
pub(crate) async fn run(who: &str, window: usize, count: usize, url: &str) -> Vec<f64> {
    match who {
        "ours" => ours(window, count, url).await,
        "lapin" => lapin(window, count, url).await,
        "amqprs" => amqprs(window, count, url).await,
        other => panic!("nobody is called {other}"),
    }
}

/// From here on time runs.
struct Clock {
    since: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Clock {
        Clock { since: Instant::now(), cpu: setup::cpu_time() }
    }

    fn stop(self, count: usize) -> Vec<f64> {
        let (took, cpu) = (self.since.elapsed(), setup::cpu_time() - self.cpu);
        vec![count as f64 / took.as_secs_f64(), cpu / count as f64]
    }
}

async fn ours(window: usize, count: usize, url: &str) -> Vec<f64> {
    let publisher = setup::bus(url, window).await.publisher::<services::TheboardProducer>();
    let event = meeting();
    publisher.publish(&event).await.expect("published");
    let clock = Clock::start();
    let mut under_way: VecDeque<Publishing> = VecDeque::with_capacity(window);
    for _ in 0..count {
        if under_way.len() == window
            && let Some(first) = under_way.pop_front()
        {
            first.await.expect("published");
        }
        under_way.push_back(publisher.publish(&event).enqueue().await.expect("accepted"));
    }
    for publishing in under_way {
        publishing.await.expect("published");
    }
    clock.stop(count)
}

async fn lapin(window: usize, count: usize, url: &str) -> Vec<f64> {
    let (_connection, channel) = setup::lapin(url).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let body = [setup::body()];
    lapin_on(&channel, 1, 1, &body).await;
    let clock = Clock::start();
    lapin_on(&channel, window, count, &body).await;
    clock.stop(count)
}

/// Publishes with lapin as its users do; the bodies take turns.
pub(crate) async fn lapin_on(
    channel: &lapin::Channel,
    window: usize,
    count: usize,
    bodies: &[Vec<u8>],
) {
    let properties = setup::properties();
    let mut under_way = VecDeque::with_capacity(window);
    for body in bodies.iter().cycle().take(count) {
        if under_way.len() == window
            && let Some(first) = under_way.pop_front()
        {
            confirmed(first).await;
        }
        let publishing = channel.basic_publish(
            setup::exchange().into(),
            setup::KEY.into(),
            BasicPublishOptions::default(),
            body,
            properties.clone(),
        );
        under_way.push_back(publishing.await.expect("written"));
    }
    for first in under_way {
        confirmed(first).await;
    }
}

async fn confirmed(confirm: lapin::PublisherConfirm) {
    assert!(confirm.await.expect("a confirm").is_ack());
}

async fn amqprs(window: usize, count: usize, url: &str) -> Vec<f64> {
    let (_, address) = url.split_once('@').expect("a URL");
    let (host, vhost) = address.split_once('/').expect("a vhost");
    let (host, port) = host.split_once(':').expect("a port");
    let port = port.parse().expect("a port");
    let mut arguments = OpenConnectionArguments::new(host, port, "guest", "guest");
    arguments.virtual_host(vhost);
    let connection = Connection::open(&arguments).await.expect("a connection");
    let channel = connection.open_channel(None).await.expect("a channel");
    let room = Arc::new(Semaphore::new(window));
    let confirms = Confirms { room: room.clone(), told: AtomicU64::new(0) };
    channel.register_callback(confirms).await.expect("registered");
    channel.confirm_select(ConfirmSelectArguments::default()).await.expect("confirms");

    let (body, properties) = (setup::body(), amqprs_properties());
    let clock = Clock::start();
    for _ in 0..count {
        room.acquire().await.expect("open").forget();
        let arguments = BasicPublishArguments::new(setup::exchange(), setup::KEY);
        channel.basic_publish(properties.clone(), body.clone(), arguments).await.expect("written");
    }
    let _all = room.acquire_many(window as u32).await.expect("open");
    clock.stop(count)
}

fn amqprs_properties() -> BasicProperties {
    let envelope = setup::envelope();
    let schema = envelope.schema.unwrap_or_default();
    let mut headers = FieldTable::new();
    let name = setup::SCHEMA_HEADER.try_into().expect("short");
    headers.insert(name, FieldValue::S(schema.try_into().expect("short enough")));
    BasicProperties::default()
        .with_content_type("application/json")
        .with_delivery_mode(2)
        .with_message_id(&envelope.id.to_string())
        .with_timestamp(envelope.timestamp.timestamp().unsigned_abs())
        .with_message_type(setup::KEY)
        .with_app_id(setup::SOURCE)
        .with_headers(headers)
        .finish()
}

/// Makes room as the broker confirms.
struct Confirms {
    room: Arc<Semaphore>,
    told: AtomicU64,
}

#[async_trait::async_trait]
impl ChannelCallback for Confirms {
    async fn close(&mut self, _: &Channel, _: CloseChannel) -> Result<(), amqprs::error::Error> {
        panic!("the broker closes the channel");
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), amqprs::error::Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        // RabbitMQ confirms the messages of one queue in order.
        let before = self.told.swap(ack.delivery_tag(), Ordering::Relaxed);
        self.room.add_permits(usize::try_from(ack.delivery_tag() - before).unwrap_or(0));
    }

    async fn publish_nack(&mut self, _: &Channel, _: Nack) {
        panic!("the broker refuses a message");
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {
        panic!("the broker returns a message");
    }
}
