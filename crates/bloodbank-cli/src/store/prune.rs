//! `store prune`: old events go.

use std::io;
use std::time::Duration;

use bloodbank::TopicPattern;
use bloodbank::candystore::{self, EventStore, Position, PrunePlan, StoreUrl};
use clap::Args;

use crate::figures::{count, count_of, parse_size, size};
use crate::progress::{clear, over};
use crate::table::{Table, say};
use crate::trail::Trail;
use crate::{span, when};

#[derive(Args)]
#[command(
    after_help = "An event goes if any of the limits reaches it. What was pruned is recorded, so \
                        that `verify` tells it from what was lost."
)]
pub(crate) struct Prune {
    /// Events whose keys match; `#` is all of them. May be given several times.
    #[arg(long = "key", value_name = "PATTERN", required = true)]
    keys: Vec<TopicPattern>,
    #[command(flatten)]
    limits: Limits,
    /// Also what a durable queue still needs: it will never get it.
    #[arg(long)]
    force: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Then give the freed space of a SQLite file back to the disk. Nobody else can write meanwhile.
    #[arg(long, requires = "yes")]
    vacuum: bool,
}

/// Which events go; at least one of these.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Limits {
    /// Those that were stored longer ago: `12h`, `30d`.
    #[arg(long, value_name = "AGE", value_parser = span::parse)]
    older_than: Option<Duration>,
    /// All but the newest N of each key.
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
    /// The oldest, until the bodies of all these keys together have at most this size: `500MB`.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_bytes: Option<u64>,
}

impl Prune {
    /// Otherwise it is a dry run.
    pub(crate) fn writes(&self) -> bool {
        self.yes
    }

    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let plan = store.plan_prune(self.wanted()).await?;
        if self.yes {
            self.prune(store, &plan).await?;
        } else {
            show(&plan)?;
        }
        Ok(0)
    }

    fn wanted(&self) -> candystore::Prune {
        let mut prune = candystore::Prune::new(self.keys.clone());
        let Limits { older_than, keep, max_bytes } = self.limits;
        (prune.older_than, prune.keep, prune.max_bytes) = (older_than, keep, max_bytes);
        prune.force = self.force;
        prune
    }

    async fn prune(&self, store: &EventStore, plan: &PrunePlan) -> anyhow::Result<()> {
        let of = count(plan.events());
        let done = store.prune(plan, |done| over(&format!("{} of {of}", count(done.events))));
        let done = done.await;
        clear();
        let done = done?;
        let pruned = count_of(done.events, "event");
        let keys: Vec<_> = self.keys.iter().map(|pattern| pattern.as_str()).collect();
        Trail::in_store(store).done("store.prune", &keys.join(", "), pruned.clone()).await;
        say(format_args!("{pruned} pruned"))?;
        say_held(plan.held, plan.needed)?;
        if let Some(position) = done.held_from {
            say(format_args!(
                "position {position} and what follows stay: a durable queue has come to need them"
            ))?;
        }
        self.space(store).await
    }

    async fn space(&self, store: &EventStore) -> anyhow::Result<()> {
        match store.url() {
            StoreUrl::Sqlite(_) if !self.vacuum => eprintln!(
                "the file keeps its size, and what is stored next goes into the freed space; \
                 `--vacuum` gives it back to the disk"
            ),
            StoreUrl::Sqlite(_) => {
                if let Some(vacuumed) = store.vacuum().await? {
                    let (before, after) = (size(vacuumed.before), size(vacuumed.after));
                    say(format_args!("the file had {before}, and has {after}"))?;
                }
            }
            _ => eprintln!(
                "what is stored next goes into the freed space once PostgreSQL has vacuumed, which \
                 it does by itself"
            ),
        }
        Ok(())
    }
}

fn show(plan: &PrunePlan) -> anyhow::Result<()> {
    if !plan.keys.is_empty() {
        let heading = ["key", "events", "bytes", "first", "stored", "last", "stored"];
        let mut table = Table::new(heading);
        for key in &plan.keys {
            let [(first, stored_first), (last, stored_last)] = [key.first, key.last];
            table.row([
                &key.key,
                &count(key.events),
                &count(key.bytes),
                &first.to_string(),
                &when::show(stored_first),
                &last.to_string(),
                &when::show(stored_last),
            ]);
        }
        table.print(&mut io::stdout().lock())?;
    }
    let (events, bytes) = (plan.events(), plan.bytes());
    say(format_args!("{} would go, {}", count_of(events, "event"), size(bytes)))?;
    say_held(plan.held, plan.needed)?;
    if events > 0 {
        eprintln!("a dry run; `--yes` does it");
    }
    Ok(())
}

fn say_held(held: u64, needed: Option<Position>) -> io::Result<()> {
    match needed {
        Some(position) if held > 0 => say(format_args!(
            "{} more stay: a durable queue still needs position {position} and what follows; \
             `--force` lets them go, too",
            count(held)
        )),
        _ => Ok(()),
    }
}
