//! `store record`: from RabbitMQ into the store.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bloodbank::amqp::AmqpConfig;
use bloodbank::candystore::{EventStore, Recorded, Recorder};
use bloodbank::{Contracts, Queue, Transport};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::bus::{self, interrupted};
use crate::table::say;

/// How often the status is told, on a terminal and in a log.
const ON_TERMINAL: Duration = Duration::from_secs(1);
const IN_LOG: Duration = Duration::from_secs(10);

/// Runs until it is interrupted.
pub(crate) async fn run(store: &EventStore) -> anyhow::Result<u8> {
    let queue = queue(store.contracts())?;
    let Some(config) = bus::explained(AmqpConfig::from_env())? else {
        bail!(
            "there is nothing to record from: on the embedded bus everything is in the store as soon \
             as it is published\nhelp: to record from RabbitMQ, {}",
            bus::SET_URL
        );
    };
    let amqp = bus::connect(config).await?;
    eprintln!("recording `{}` into {}; Ctrl-C ends", queue.name, store.url());
    let recorder = Recorder::new(store.clone(), Arc::new(amqp.clone()), queue);
    let status = tokio::spawn(tell(recorder.progress()));
    let recorded = recorder.run_until(interrupted()).await;
    amqp.close().await;
    status.await.context("the status cannot be told")?;
    say(summary(&recorded?))?;
    Ok(0)
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

/// Tells how it goes, where something has changed, until the recorder is gone.
async fn tell(mut progress: watch::Receiver<Recorded>) {
    let terminal = stderr().is_terminal();
    let period = if terminal { ON_TERMINAL } else { IN_LOG };
    let mut before = Recorded::default();
    loop {
        tokio::select! {
            // Nothing is waited for but the end.
            _ = progress.wait_for(|_| false) => return,
            () = sleep(period) => {}
        }
        let now = progress.borrow().clone();
        if now != before {
            show(&status(&before, &now, period), terminal);
        }
        before = now;
    }
}

/// On a terminal in place of the line before.
fn show(line: &str, terminal: bool) {
    match terminal {
        true => eprint!("{line}\x1b[K\r"),
        false => eprintln!("{line}"),
    }
}

fn status(before: &Recorded, now: &Recorded, took: Duration) -> String {
    let rate = (now.stored - before.stored) as f64 / took.as_secs_f64().max(0.001);
    let line = format!("position {}  {} stored  {rate:.0}/s", now.position, now.stored);
    match &now.trouble {
        Some(error) => {
            let error = error.to_string();
            format!("{line}  waiting: {}", error.lines().next().unwrap_or_default())
        }
        None => line,
    }
}

fn summary(recorded: &Recorded) -> String {
    let Recorded { stored, duplicates, conflicts, position, .. } = recorded;
    format!(
        "{stored} stored, {duplicates} came again, {conflicts} in quarantine; the last position is \
         {position}"
    )
}
