//! `store record`: from RabbitMQ into the store.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::candystore::{EventStore, Recorded, Recorder, ReportKeeper};
use bloodbank::{Contracts, Queue, Transport};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bus::{self, interrupted};
use crate::figures::{count, count_of};
use crate::progress::{self, rate};
use crate::table::say;

/// Runs until it is interrupted.
pub(crate) async fn run(store: &EventStore) -> anyhow::Result<u8> {
    let contracts = store.contracts();
    let queue = queue(&contracts)?;
    let declared = contracts.bundle().exchange.as_ref();
    let Some(config) = AmqpConfig::from_env_and(declared)? else {
        bail!(
            "there is nothing to record from: on the embedded bus everything is in the store as soon \
             as it is published\nhelp: to record from RabbitMQ, {}",
            bus::SET_URL
        );
    };
    let amqp = bus::connect(config).await?;
    eprintln!("recording `{}` into {}; Ctrl-C ends", queue.name, store.url());
    let recorder = Recorder::new(store.clone(), Arc::new(amqp.clone()), queue);
    let status = tokio::spawn(progress::tell(recorder.progress(), line));
    let keeping = keep_reports(store, &amqp);
    let recorded = recorder.run_until(interrupted()).await;
    keeping.stop().await;
    amqp.close().await;
    status.await.context("the status cannot be told")?;
    say(summary(&recorded?))?;
    Ok(0)
}

/// Keeps what subscribers report of their messages, beside the record.
struct Keeping(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

fn keep_reports(store: &EventStore, amqp: &Amqp) -> Keeping {
    let keeper = ReportKeeper::from_env(store.clone(), Arc::new(amqp.clone()));
    Keeping(keeper.map(|keeper| {
        let (stop, stopped) = oneshot::channel();
        let kept = tokio::spawn(async move {
            let stopped = async {
                // An error means that there is nobody left to stop it.
                let _ = stopped.await;
            };
            if let Err(error) = keeper.run_until(stopped).await {
                eprintln!("note: what becomes of messages is not kept: {error}");
            }
        });
        (stop, kept)
    }))
}

impl Keeping {
    async fn stop(self) {
        if let Some((stop, kept)) = self.0 {
            // It may have ended by itself.
            let _ = stop.send(());
            let _ = kept.await;
        }
    }
}

/// The queue of registry.yaml that gets every event.
fn queue(contracts: &Contracts) -> anyhow::Result<Queue> {
    let mut queues = contracts.bundle().services.iter().flat_map(Queue::all_of);
    queues.find(|queue| queue.recorder).ok_or_else(|| {
        anyhow!(
            "no service of registry.yaml records events\nhelp: give one of them a `queue_name` and \
             `routing_keys: [\"#\"]`"
        )
    })
}

/// How it goes.
fn line(before: &Recorded, now: &Recorded, took: Duration) -> String {
    let rate = rate(now.stored.saturating_sub(before.stored), took);
    let line = format!("position {}  {} stored  {rate}", now.position, count(now.stored));
    match &now.trouble {
        Some(error) => format!("{line}  waiting: {error}"),
        None => line,
    }
}

fn summary(recorded: &Recorded) -> String {
    let Recorded { stored, duplicates, conflicts, position, .. } = recorded;
    format!(
        "{} stored, {} there already, {}; the last position is {position}",
        count(*stored),
        count(*duplicates),
        count_of(*conflicts, "conflict"),
    )
}
