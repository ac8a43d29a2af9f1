//! `store queues`: the queues of the bus in the store.

use std::io;
use std::time::Duration;

use anyhow::bail;
use bloodbank::candystore::{DamagedMessage, Embedded, EventStore, QueueStatus};
use bloodbank::{Start, Transport, serde_json};
use clap::Args;

use super::reset;
use crate::figures::{count, count_of};
use crate::table::{Table, say};

#[derive(Args)]
pub(crate) struct Queues {
    /// As JSON, one a line.
    #[arg(long, conflicts_with = "remove")]
    json: bool,
    /// Remove this queue with what it holds, so that it keeps nothing from being pruned. A dry run
    /// without `--yes`.
    #[arg(long, value_name = "QUEUE")]
    remove: Option<String>,
    /// Move this queue, so that it goes on reading where `--to` says: back, to hand out again what it
    /// has handed out, or on, to skip what waits. A dry run without `--yes`.
    #[arg(long, value_name = "QUEUE", requires = "to", conflicts_with_all = ["json", "remove"])]
    reset: Option<String>,
    /// `beginning`, `now`, a position, or since when: `2h`, `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "WHERE", requires = "reset", value_parser = reset::target)]
    to: Option<Start>,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

impl Queues {
    /// Otherwise it is a dry run, or only looks.
    pub(crate) fn writes(&self) -> bool {
        self.yes
    }

    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        if self.yes && self.remove.is_none() && self.reset.is_none() {
            bail!("`--yes` goes with `--remove` or `--reset`");
        }
        let bus = Embedded::new(store.clone());
        if let (Some(queue), Some(to)) = (&self.reset, self.to) {
            let done = reset::reset(&bus, queue, to, self.yes).await;
            bus.close().await;
            return done;
        }
        let queues = bus.queues().await?;
        let done = match &self.remove {
            Some(name) => self.remove(&bus, &queues, name).await,
            None => self.show(&queues),
        };
        bus.close().await;
        done
    }

    fn show(&self, queues: &[QueueStatus]) -> anyhow::Result<u8> {
        if self.json {
            queues.iter().try_for_each(|queue| say(as_json(queue)))?;
            return Ok(0);
        }
        if queues.is_empty() {
            eprintln!("no queues; services declare theirs when they listen");
            return Ok(0);
        }
        let heading = [
            "queue",
            "lag",
            "age",
            "ready",
            "delayed",
            "unsettled",
            "damaged",
            "consumers",
            "gets",
        ];
        let mut table = Table::new(heading);
        for status in queues {
            let age = &status.age.map(age).unwrap_or_default();
            let damaged = status.damaged.len() as u64;
            let counts = [
                status.lag,
                status.ready,
                status.delayed,
                status.unsettled,
                damaged,
                status.consumers,
            ];
            let [lag, ready, delayed, unsettled, damaged, consumers] = &counts.map(count);
            let name = &status.queue.name;
            let gets = patterns(status).join(" ");
            table.row([name, lag, age, ready, delayed, unsettled, damaged, consumers, &gets]);
        }
        table.print(&mut io::stdout().lock())?;
        Ok(0)
    }

    async fn remove(
        &self,
        bus: &Embedded,
        queues: &[QueueStatus],
        name: &str,
    ) -> anyhow::Result<u8> {
        let Some(status) = queues.iter().find(|status| status.queue.name == name) else {
            bail!("there is no queue `{name}`\nhelp: `bloodbank store queues` shows them all");
        };
        let held = count_of(status.ready + status.delayed + status.unsettled, "message");
        let what = format!("{name} with {held}; what is in the log stays there");
        if !self.yes {
            say(format_args!("would remove {what}"))?;
            eprintln!("a dry run; `--yes` does it");
            return Ok(0);
        }
        bus.remove_queue(name).await?;
        say(format_args!("removed {what}"))?;
        Ok(0)
    }
}

fn patterns(status: &QueueStatus) -> Vec<String> {
    status.queue.bindings.iter().map(|binding| binding.pattern.to_string()).collect()
}

/// In whole seconds, which is what matters of a lag.
fn age(age: Duration) -> String {
    format!("{} s", age.as_secs())
}

fn damaged(message: &DamagedMessage) -> serde_json::Value {
    serde_json::json!({ "position": message.position, "reason": message.reason })
}

fn as_json(status: &QueueStatus) -> serde_json::Value {
    serde_json::json!({
        "queue": status.queue,
        "cursor": status.cursor,
        "lag": status.lag,
        "age_seconds": status.age.map(|age| age.as_secs_f64()),
        "unread": status.unread,
        "ready": status.ready,
        "delayed": status.delayed,
        "unsettled": status.unsettled,
        "damaged": status.damaged.iter().map(damaged).collect::<Vec<_>>(),
        "consumers": status.consumers,
    })
}
