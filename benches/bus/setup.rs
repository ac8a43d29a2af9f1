//! What all contenders have in common: the event, its bytes, the topology, and their own CPU time.

use std::sync::Arc;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::events::{self, theboard};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Contract, Envelope, Exchange, Meta, Queue, Topology, serde_json};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::support::meeting;

pub(crate) const QUEUE: &str = "bench";
pub(crate) const KEY: &str = "theboard.meeting.created";
pub(crate) const SOURCE: &str = "theboard-producer";
pub(crate) const SCHEMA_HEADER: &str = "x-bloodbank-schema";

/// The exchange that everybody publishes to.
pub(crate) fn exchange() -> &'static str {
    Exchange::Events.name()
}

/// The queue behind it, as a subscriber of ours declares it.
pub(crate) fn queue() -> Queue {
    Queue::new(QUEUE).bind(Exchange::Events, KEY.parse().expect("a pattern"))
}

pub(crate) fn topology(queue: Queue) -> Topology {
    Topology::new().with_parked_queue(queue)
}

/// An event as it stands on the wire.
pub(crate) fn envelope() -> Envelope {
    envelope_of(&meeting())
}

fn envelope_of(meeting: &theboard::MeetingCreated) -> Envelope {
    let data = serde_json::to_value(meeting).expect("JSON");
    let mut envelope = Envelope::new(KEY, SOURCE, data, Meta::new());
    envelope.schema = Some(theboard::MeetingCreated::SCHEMA_ID.to_owned());
    envelope
}

/// The bytes of an event.
pub(crate) fn body() -> Vec<u8> {
    envelope().to_bytes().expect("JSON")
}

/// The bytes of an event of one of so many meetings.
pub(crate) fn body_of(meeting: u128) -> Vec<u8> {
    let mut event = self::meeting();
    event.meeting_id = Uuid::from_u128(meeting);
    envelope_of(&event).to_bytes().expect("JSON")
}

/// The properties that ours come with, too.
pub(crate) fn properties() -> BasicProperties {
    let envelope = envelope();
    let schema = envelope.schema.unwrap_or_default();
    let mut headers = FieldTable::default();
    headers.insert(SCHEMA_HEADER.into(), AMQPValue::LongString(schema.into()));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(envelope.id.to_string().into())
        .with_timestamp(envelope.timestamp.timestamp().unsigned_abs())
        .with_type(KEY.into())
        .with_app_id(SOURCE.into())
        .with_headers(headers)
}

/// Our transport, with a window of so many messages.
pub(crate) async fn amqp(url: &str, window: usize) -> Amqp {
    let mut config = AmqpConfig::from_urls(url).expect("a URL");
    // Less than what it is set to anyway is the caller's to keep.
    config.window = config.window.max(window);
    Amqp::connect(config).await.expect("a connection")
}

pub(crate) async fn bus(url: &str, window: usize) -> Bus {
    Bus::new(Arc::new(amqp(url, window).await), events::contracts())
}

/// A connection of lapin's, to be kept, and a channel on it.
pub(crate) async fn lapin(url: &str) -> (Connection, Channel) {
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

/// Seconds of CPU time that this process has used, with all its threads.
pub(crate) fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // After the name, which may hold anything, user and system time are the 12th and 13th.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    // There are 100 of them in a second on every Linux.
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
