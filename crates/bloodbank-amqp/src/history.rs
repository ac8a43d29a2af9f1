//! A stream beside the queues that keeps every event for a while.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bloodbank_bus::{Deliveries, TransportError};
use futures_core::Stream;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::{mpsc, oneshot};

use crate::connect::{channel_error, code};
use crate::consumer::{Intake, Intakes};
use crate::exchanges::Exchanges;
use crate::link::Generation;
use crate::wire::short;

/// The stream's name.
const HISTORY: &str = "bloodbank.history";
/// How long it keeps events.
const MAX_AGE: &str = "7D";
/// How much it keeps at most, in bytes.
const MAX_BYTES: i64 = 10_000_000_000;
/// How many deliveries are taken ahead.
const AHEAD: u16 = 200;

/// Declares the stream, bound where recorders are.
pub(crate) async fn declare(
    generation: &Generation,
    exchanges: &Exchanges,
) -> Result<(), TransportError> {
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
    arguments.insert("x-max-age".into(), AMQPValue::LongString(MAX_AGE.into()));
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(MAX_BYTES));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let failed = |error: lapin::Error| channel_error(&error);
    channel.queue_declare(HISTORY.into(), options, arguments).await.map_err(failed)?;
    channel
        .queue_bind(
            HISTORY.into(),
            short(&exchanges.events)?,
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(failed)
}

/// Reads the stream from about `age` ago on, and goes on with what comes. Ends with its connection.
pub(crate) async fn read(
    generation: &Generation,
    intakes: &Intakes,
    age: Duration,
) -> Result<Deliveries, TransportError> {
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    let failed = |error: lapin::Error| match code(&error) {
        Some(404) => TransportError::Undeclared { queue: HISTORY.to_owned() },
        _ => channel_error(&error),
    };
    channel.basic_qos(AHEAD, BasicQosOptions::default()).await.map_err(failed)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = AMQPValue::Timestamp(now.saturating_sub(age).as_secs());
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), since);
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(HISTORY.into(), "".into(), options, arguments).await;
    let mut consumer = consumer.map_err(failed)?;
    let intake = Arc::new(Intake::new(channel, AHEAD));
    intakes.add(intake.clone());
    let (sender, receiver) = mpsc::channel(usize::from(AHEAD));
    let (closed_sender, closed) = oneshot::channel::<()>();
    let (intakes, queue) = (intakes.clone(), Arc::from(HISTORY));
    tokio::spawn(async move {
        let hand_out = async {
            while let Some(Ok(message)) = poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx)).await
            {
                if sender.send(intake.receive(&queue, message)).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = sender.closed() => {}
            () = hand_out => {}
            never = intake.keep_flushing() => match never {},
        }
        drop(sender);
        intake.close().await;
        intakes.remove(intake.number);
        drop(closed_sender);
    });
    Ok(Deliveries::new(receiver, || {}).with_closed(closed))
}
