//! From publishing to the handler, at a steady rate.
//!
//! The clock of a message starts when it was due, not when it was published: whoever falls behind
//! has to show it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bloodbank::chrono::{DateTime, Utc};
use bloodbank::events::{services, theboard};
use bloodbank::{Envelope, Received};
use futures_core::Stream;
use lapin::BasicProperties;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

use crate::setup;
use crate::support::meeting;

/// The messages of the first half of a second warm up.
const WARM_UP: Duration = Duration::from_millis(500);
const PREFETCH: u16 = 300;

/// Median and 99th percentile, in seconds.
pub(crate) fn run(runtime: &Runtime, who: &str, rate: usize, count: usize, url: &str) -> Vec<f64> {
    let times = Times::default();
    match who {
        "ours" => ours(runtime, rate, count, url, &times),
        "lapin" => lapin(runtime, rate, count, url, &times),
        other => panic!("nobody is called {other}"),
    }
    times.percentiles(rate)
}

/// How long each message took, in order of arrival.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<f64>>>);

impl Times {
    /// Notes a message that was due then; how many there are.
    fn note(&self, due: DateTime<Utc>) -> usize {
        let took = Utc::now().signed_duration_since(due);
        let mut times = self.0.lock().expect("no panic");
        times.push(took.as_seconds_f64());
        times.len()
    }

    fn percentiles(&self, rate: usize) -> Vec<f64> {
        let times = self.0.lock().expect("no panic");
        let warm = (WARM_UP.as_secs_f64() * rate as f64) as usize;
        let mut times = times[warm.min(times.len() - 1)..].to_vec();
        times.sort_by(f64::total_cmp);
        vec![times[times.len() / 2], times[times.len() * 99 / 100]]
    }
}

/// Calls at a steady rate, from a thread of its own: a sleep of tokio's is a millisecond at least.
fn pace(handle: &Handle, rate: usize, count: usize, mut publish: impl FnMut(DateTime<Utc>)) {
    let _runtime = handle.enter();
    let (start, began) = (Instant::now(), Utc::now());
    for index in 0..count {
        let due = Duration::from_secs_f64(index as f64 / rate as f64);
        std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
        publish(began + due);
    }
}

fn ours(runtime: &Runtime, rate: usize, count: usize, url: &str, times: &Times) {
    let bus = runtime.block_on(setup::bus(url, 1));
    let (done, mut all) = mpsc::channel(1);
    let times = times.clone();
    let subscriber = bus
        .subscriber::<services::TheboardSync>()
        .queue(setup::QUEUE)
        .bind(setup::KEY)
        .prefetch(PREFETCH)
        .on(move |meeting: Received<theboard::MeetingCreated>| {
            if times.note(meeting.envelope.timestamp) == count {
                let _ = done.try_send(());
            }
            std::future::ready(())
        });
    let consuming = runtime.spawn(subscriber.run_until(async move {
        all.recv().await;
    }));
    let publisher = bus.publisher::<services::TheboardProducer>();
    let (under_way, mut confirms) = mpsc::unbounded_channel();
    let confirming = runtime.spawn(async move {
        while let Some(publishing) = confirms.recv().await {
            let publishing: bloodbank::Publishing = publishing;
            publishing.await.expect("published");
        }
    });
    let event = meeting();
    pace(runtime.handle(), rate, count, |due| {
        let publishing = publisher.publish(&event).timestamp(due).into_future();
        let _ = under_way.send(publishing);
    });
    drop(under_way);
    runtime.block_on(confirming).expect("confirmed");
    runtime.block_on(consuming).expect("no panic").expect("consumed");
}

fn lapin(runtime: &Runtime, rate: usize, count: usize, url: &str, times: &Times) {
    let (_connection, channel) = runtime.block_on(setup::lapin(url));
    let select = channel.confirm_select(ConfirmSelectOptions::default());
    runtime.block_on(select).expect("confirms");
    let consuming = runtime.spawn(lapin_consuming(channel.clone(), count, times.clone()));
    let (under_way, mut confirms) = mpsc::unbounded_channel();
    let confirming = runtime.spawn(async move {
        while let Some(confirm) = confirms.recv().await {
            let confirm: lapin::PublisherConfirm = confirm;
            confirm.await.expect("a confirm");
        }
    });
    let mut envelope: Envelope = setup::envelope();
    let properties: BasicProperties = setup::properties();
    pace(runtime.handle(), rate, count, |due| {
        envelope.timestamp = due;
        let body = envelope.to_bytes().expect("JSON");
        let publishing = channel.basic_publish(
            setup::exchange().into(),
            setup::KEY.into(),
            BasicPublishOptions::default(),
            &body,
            properties.clone(),
        );
        let _ = under_way.send(runtime.block_on(publishing).expect("written"));
    });
    drop(under_way);
    runtime.block_on(confirming).expect("confirmed");
    runtime.block_on(consuming).expect("consumed");
}

async fn lapin_consuming(channel: lapin::Channel, count: usize, times: Times) {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.expect("a prefetch");
    let options = BasicConsumeOptions::default();
    let mut consumer = channel
        .basic_consume(setup::QUEUE.into(), "".into(), options, FieldTable::default())
        .await
        .expect("a consumer");
    for _ in 0..count {
        let next = std::future::poll_fn(|context| Pin::new(&mut consumer).poll_next(context));
        let delivery = next.await.expect("open").expect("a message");
        let envelope = Envelope::from_bytes(&delivery.data).expect("an envelope");
        times.note(envelope.timestamp);
        delivery.ack(BasicAckOptions::default()).await.expect("acknowledged");
    }
}
