//! Consuming what lies in the queue, from the first message to the last.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bloodbank::events::{services, theboard};
use bloodbank::{Message, Next, NoDedup, Received, Subscriber};
use futures_core::Stream;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::Notify;

use crate::setup;

/// Messages a second, and seconds of CPU time for each.
pub(crate) async fn run(who: &str, prefetch: usize, count: usize, url: &str) -> Vec<f64> {
    let prefetch = u16::try_from(prefetch).expect("a prefetch");
    match who {
        "ours" => ours(prefetch, count, url, |it| it.dedup(NoDedup)).await,
        "ours-dedup" => ours(prefetch, count, url, |it| it).await,
        "ours-layers" => ours(prefetch, count, url, |it| layered(it.dedup(NoDedup))).await,
        "ours-ordered" => ours(prefetch, count, url, |it| ordered(it.dedup(NoDedup), 1)).await,
        "ours-partitioned" => ours(prefetch, count, url, |it| ordered(it.dedup(NoDedup), 16)).await,
        "lapin" => lapin(prefetch, count, url, 1).await,
        "lapin-multiple" => lapin(prefetch, count, url, 100).await,
        other => panic!("nobody is called {other}"),
    }
}

/// Runs from the first message to the last, which tells.
struct Meter {
    count: usize,
    seen: AtomicUsize,
    first: OnceLock<(Instant, f64)>,
    done: Notify,
}

impl Meter {
    fn new(count: usize) -> Arc<Meter> {
        let (seen, first) = (AtomicUsize::new(0), OnceLock::new());
        Arc::new(Meter { count, seen, first, done: Notify::new() })
    }

    /// One more message; true if it is the last.
    fn tick(&self) -> bool {
        let before = self.seen.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            self.first.get_or_init(|| (Instant::now(), setup::cpu_time()));
        }
        if before + 1 == self.count {
            self.done.notify_one();
        }
        before + 1 == self.count
    }

    fn stop(&self) -> Vec<f64> {
        let (since, cpu) = self.first.get().expect("a message");
        let (took, cpu) = (since.elapsed(), setup::cpu_time() - cpu);
        vec![self.count as f64 / took.as_secs_f64(), cpu / self.count as f64]
    }
}

type Ours = Subscriber<services::TheboardSync>;

/// With three layers that hand on what they get.
fn layered(subscriber: Ours) -> Ours {
    (0..3).fold(subscriber, |subscriber, _| {
        subscriber.around(async |message: Message, next: Next| next.run(message).await)
    })
}

/// The events of a meeting one after the other.
fn ordered(subscriber: Ours, partitions: u16) -> Ours {
    subscriber.ordered_by("/meeting_id").partitions(partitions)
}

async fn ours(prefetch: u16, count: usize, url: &str, with: fn(Ours) -> Ours) -> Vec<f64> {
    let meter = Meter::new(count);
    let handled = meter.clone();
    let subscriber = setup::bus(url, 1)
        .await
        .subscriber::<services::TheboardSync>()
        .queue(setup::QUEUE)
        .bind(setup::KEY)
        .prefetch(prefetch)
        .on(move |meeting: Received<theboard::MeetingCreated>| {
            assert_eq!(meeting.payload.max_rounds, 5);
            handled.tick();
            std::future::ready(())
        });
    // It returns when every acknowledgement has been sent.
    with(subscriber).run_until(meter.done.notified()).await.expect("consumed");
    meter.stop()
}

async fn lapin(prefetch: u16, count: usize, url: &str, every: u64) -> Vec<f64> {
    let (_connection, channel) = setup::lapin(url).await;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.expect("a prefetch");
    let options = BasicConsumeOptions::default();
    let mut consumer = channel
        .basic_consume(setup::QUEUE.into(), "".into(), options, FieldTable::default())
        .await
        .expect("a consumer");
    let meter = Meter::new(count);
    loop {
        let next = poll_fn(|context| Pin::new(&mut consumer).poll_next(context)).await;
        let delivery = next.expect("open").expect("a message");
        let is_last = meter.tick();
        if is_last || delivery.delivery_tag.is_multiple_of(every) {
            let options = BasicAckOptions { multiple: every > 1 };
            delivery.ack(options).await.expect("acknowledged");
        }
        if is_last {
            // Closing waits until the acknowledgements are written, as ours does.
            channel.close(200, "done".into()).await.expect("closed");
            return meter.stop();
        }
    }
}
