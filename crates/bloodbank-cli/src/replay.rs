//! `replay`: events of the past, sent again.

mod list;
mod show;
mod which;

use std::env;
use std::fs;

use anyhow::{Context, bail};
use bloodbank::amqp::Exchanges;
use bloodbank::candystore::{
    self, EventStore, Pace, ReplayError, ReplayOptions, ReplayPlan, ReplayRun, ReplayState,
    ReplayTarget,
};
use bloodbank::uuid::Uuid;
use clap::Args;

use self::which::Which;
use crate::bus::{Connected, block_on, interrupted};
use crate::contracts::{self, Source};
use crate::table::say;
use crate::trail::Trail;
use crate::{FINDINGS, hints, place, progress, store};

/// Exit code for a replay that the user has stopped, as shells have it.
const INTERRUPTED: u8 = 130;

/// How many replays are listed.
const LISTED: u32 = 50;

#[derive(Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    which: Which,
    /// Send them into this queue, past all bindings.
    #[arg(long, value_name = "NAME", conflicts_with = "live")]
    queue: Option<String>,
    /// Send them to the live exchange: to everybody, as if they happened now.
    #[arg(long)]
    live: bool,
    /// The most events a second.
    #[arg(long, value_name = "N", conflicts_with = "speed", value_parser = factor)]
    rate: Option<f64>,
    /// So many times as fast as they happened, by their timestamps: `1`, `10`, `0.5`.
    #[arg(long, value_name = "X", value_parser = factor)]
    speed: Option<f64>,
    /// Pass over events that break the contracts of today, instead of refusing.
    #[arg(long)]
    skip_invalid: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Go on with the replay of this id, which was stopped or has failed.
    #[arg(long, value_name = "ID", value_parser = place::id)]
    #[arg(conflicts_with_all = which::NAMES)]
    #[arg(conflicts_with_all = ["queue", "live"])]
    resume: Option<Uuid>,
    /// Show the last replays.
    #[arg(long)]
    #[arg(conflicts_with_all = which::NAMES)]
    #[arg(conflicts_with_all = ["queue", "live", "rate", "speed", "skip_invalid", "yes", "resume"])]
    list: bool,
    /// Show them as JSON, one a line.
    #[arg(long, requires = "list")]
    json: bool,
}

fn factor(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    number.ok_or_else(|| format!("`{text}` is no number above 0"))
}

impl Replay {
    /// Exits 0 when all is sent, 100 when events break their contract, 130 when it was interrupted.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        block_on(async {
            if self.list {
                let store = store::open_to_read(contracts::none()).await?;
                return self.list(&store.replays(LISTED).await?);
            }
            let contracts = source.read_own()?.contracts;
            let store = match self.yes {
                true => store::open_existing(contracts).await?,
                false => store::open_to_read(contracts).await?,
            };
            match self.resume {
                Some(id) => self.go_on(&store, id).await,
                None => self.begin(&store).await,
            }
        })
    }

    fn list(&self, runs: &[ReplayRun]) -> anyhow::Result<u8> {
        match (runs, self.json) {
            (_, true) => list::lines(runs)?,
            ([], _) => eprintln!("no replays"),
            _ => list::table(runs)?,
        }
        Ok(0)
    }

    async fn begin(&self, store: &EventStore) -> anyhow::Result<u8> {
        let plan = store.plan_replay(self.which.filter()).await?;
        let options = self.change(ReplayOptions::new(author()).with_target(self.target()));
        if let Some(code) = self.only_shown(store, &plan, &options)? {
            return Ok(code);
        }
        let bus = Connected::open(store.contracts()).await?;
        let begun = candystore::Replay::begin(store.clone(), bus.transport(), &plan, options);
        finish(store, &bus, begun.await).await
    }

    async fn go_on(&self, store: &EventStore, id: Uuid) -> anyhow::Result<u8> {
        let run = store.replay(id).await?;
        let mut run = run.with_context(|| {
            format!("there is no replay {id}\nhelp: `bloodbank replay --list` shows them")
        })?;
        if run.state == ReplayState::Done {
            return Err(ReplayError::Over { id }.into());
        }
        run.options = self.change(run.options);
        let rest = store.plan_replay(run.rest()).await?;
        if let Some(code) = self.only_shown(store, &rest, &run.options)? {
            return Ok(code);
        }
        let bus = Connected::open(store.contracts()).await?;
        if !run.lease().is_zero() {
            eprintln!(
                "the record says that it is running; waiting for up to {} s whether it is heard of, \
                 as it is not if its process was killed",
                run.lease().as_secs() + 1
            );
        }
        let resumed = candystore::Replay::resume(store.clone(), bus.transport(), run);
        finish(store, &bus, resumed.await).await
    }

    fn target(&self) -> ReplayTarget {
        match (&self.queue, self.live) {
            (Some(queue), _) => ReplayTarget::Queue(queue.clone()),
            (None, true) => ReplayTarget::Live,
            (None, false) => ReplayTarget::Replay,
        }
    }

    fn change(&self, mut options: ReplayOptions) -> ReplayOptions {
        options.pace = match (self.rate, self.speed) {
            (Some(rate), _) => Pace::Rate(rate),
            (None, Some(speed)) => Pace::Speed(speed),
            (None, None) => options.pace,
        };
        options.skip_invalid |= self.skip_invalid;
        options
    }

    /// Shows what would be sent. The exit code, if that was all.
    fn only_shown(
        &self,
        store: &EventStore,
        plan: &ReplayPlan,
        options: &ReplayOptions,
    ) -> anyhow::Result<Option<u8>> {
        let exchanges = Exchanges::from_env_and(store.contracts().bundle().exchange.as_ref())?;
        show::plan(plan, options, &exchanges)?;
        if plan.count == 0 {
            eprintln!("no events; there is nothing to send");
            return Ok(Some(0));
        }
        if !self.yes {
            eprintln!("a dry run; `--yes` does it");
            return Ok(Some(0));
        }
        if plan.unfit > 0 && !options.skip_invalid {
            eprintln!("nothing was sent; `--skip-invalid` sends the others");
            return Ok(Some(FINDINGS));
        }
        Ok(None)
    }
}

/// Carries it out, and says what came of it.
async fn finish(
    store: &EventStore,
    bus: &Connected,
    replay: Result<candystore::Replay, ReplayError>,
) -> anyhow::Result<u8> {
    let replay = replay?;
    let id = replay.progress().borrow().id;
    Trail::in_store(store).done("replay", &id.to_string(), String::new()).await;
    eprintln!("replay {id}; Ctrl-C stops it");
    let telling = tokio::spawn(progress::tell(replay.progress(), show::line));
    let ended = replay.run_until(interrupted()).await;
    telling.await.context("the progress cannot be told")?;
    bus.transport().close().await;
    let resume = format!("`bloodbank replay --resume {id} --yes` goes on");
    let run: ReplayRun = match ended {
        Ok(run) => run,
        Err(error) => {
            let said = hints::explained(&error.into());
            bail!("{said}\nhelp: {resume}");
        }
    };
    say(show::summary(&run))?;
    match run.state {
        ReplayState::Done => Ok(0),
        _ => {
            eprintln!("{resume}");
            Ok(INTERRUPTED)
        }
    }
}

/// Who we are, for the record: `user@host`, as far as the machine says.
pub(crate) fn author() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok());
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| env::var("HOSTNAME").ok());
    let known = |name: Option<String>| {
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        name.unwrap_or_else(|| "unknown".to_owned())
    };
    format!("{}@{}", known(user), known(host))
}
