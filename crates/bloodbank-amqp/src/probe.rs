//! What a broker says of itself, and what is asked of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amq_protocol::frame::{AMQPFrame, parse_frame};
use bloodbank_bus::TransportError;
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPClass, connection};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{BasicProperties, Channel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::connect::channel_error;
pub use crate::diff::{Planned, PlannedExchange, PlannedQueue, plan};
use crate::host::HostError;
use crate::link::Generation;

/// How long a broker may take for its greeting.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest greeting that is read.
const LONGEST: usize = 64 * 1024;

/// The product and version that a broker names in its greeting, which it sends to anybody:
/// `RabbitMQ 3.10.8`. Without TLS only.
///
/// # Errors
/// [`HostError`]: nothing listens there, or it speaks something else.
pub async fn version(host: &str, port: u16) -> Result<String, HostError> {
    match timeout(PATIENCE, greeting(host, port)).await {
        Ok(Ok(Greeting::Broker(version))) => Ok(version),
        Ok(Ok(Greeting::Tls)) => Err(HostError::SpeaksTls),
        Ok(Ok(Greeting::Stranger)) => Err(HostError::NotABroker),
        Ok(Err(error)) => Err(HostError::Other { reason: error.to_string() }),
        Err(_) => Err(HostError::Silent { waited: Some(PATIENCE) }),
    }
}

/// Whether anything listens there. Nothing is said to it: for brokers that want TLS first.
///
/// # Errors
/// [`HostError`]: nothing listens there.
pub async fn listens(host: &str, port: u16) -> Result<(), HostError> {
    match timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(HostError::Other { reason: error.to_string() }),
        Err(_) => Err(HostError::Silent { waited: Some(PATIENCE) }),
    }
}

/// Whether a broker greets at all. Only that somebody listens, where TLS comes first.
pub(crate) async fn greets(uri: &AMQPUri) -> Result<(), HostError> {
    let (host, port) = (&uri.authority.host, uri.authority.port);
    match uri.scheme {
        AMQPScheme::AMQP => version(host, port).await.map(|_| ()),
        AMQPScheme::AMQPS => listens(host, port).await,
    }
}

/// What answers to AMQP's header.
enum Greeting {
    /// A broker, with its product and version.
    Broker(String),
    /// A server that wants TLS first.
    Tls,
    Stranger,
}

/// How a TLS server begins to say that it has not understood: an alert, of SSL 3 or later.
const ALERT: [u8; 2] = [0x15, 3];

async fn greeting(host: &str, port: u16) -> std::io::Result<Greeting> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(b"AMQP\0\0\x09\x01").await?;
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST && stream.read_buf(&mut bytes).await? > 0 {
        if bytes.starts_with(&ALERT) {
            return Ok(Greeting::Tls);
        }
        if let Ok((_, frame)) = parse_frame(&bytes[..]) {
            return Ok(named_in(&frame).map_or(Greeting::Stranger, Greeting::Broker));
        }
    }
    Ok(Greeting::Stranger)
}

fn named_in(frame: &AMQPFrame) -> Option<String> {
    let AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Start(start))) = frame
    else {
        return None;
    };
    let text = |name: &str| match start.server_properties.inner().get(name) {
        Some(AMQPValue::LongString(text)) => {
            Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
        }
        _ => None,
    };
    Some(format!("{} {}", text("product")?, text("version")?))
}

/// How far the broker's clock is from ours, to the second; positive if it is ahead.
///
/// AMQP has no question for it, but a broker notes the time when a message dies: here in a temporary
/// queue in which messages live no time at all.
pub(crate) async fn clock_skew(generation: &Generation) -> Result<i64, TransportError> {
    let channel = generation.outgoing_channel().await.map_err(|error| channel_error(&error))?;
    let failed = |error: lapin::Error| channel_error(&error);
    let grave = temporary(&channel, FieldTable::default()).await.map_err(failed)?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(0));
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    let to = AMQPValue::LongString(grave.as_str().into());
    arguments.insert("x-dead-letter-routing-key".into(), to);
    let deadly = temporary(&channel, arguments).await.map_err(failed)?;
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    channel
        .basic_publish("".into(), deadly.as_str().into(), options, b"", properties)
        .await
        .map_err(failed)?;
    for _ in 0..40 {
        let got = channel.basic_get(grave.as_str().into(), BasicGetOptions { no_ack: true }).await;
        if let Some(message) = got.map_err(failed)? {
            let theirs = message.delivery.properties.headers().as_ref().and_then(time_of_death);
            let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let skew =
                theirs.and_then(|theirs| i64::try_from(theirs).ok()?.checked_sub_unsigned(ours));
            return skew.ok_or_else(|| TransportError::Unsupported {
                what: "asking the broker for its time".to_owned(),
            });
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(TransportError::Blocked)
}

async fn temporary(channel: &Channel, arguments: FieldTable) -> Result<String, lapin::Error> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel.queue_declare("".into(), options, arguments).await?;
    Ok(queue.name().as_str().to_owned())
}

fn time_of_death(headers: &FieldTable) -> Option<u64> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else { return None };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else { return None };
    match death.inner().get("time")? {
        AMQPValue::Timestamp(seconds) => Some(*seconds),
        _ => None,
    }
}
