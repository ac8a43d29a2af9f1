//! `up --demo`: traffic over all contracts, made from their examples.
//!
//! It goes through the same doors as other traffic. What a service of registry.yaml may publish is
//! published with the rights of that service, under the source `demo-<service>`; what none may publish,
//! or where there is no registry, under `demo-<domain>`. Events are handled from queues of the demo's own,
//! `demo.<queue>`, so that it takes nothing from services that run; commands from their worker queues, of
//! which there is one each.

mod fresh;
mod handlers;
mod traffic;
mod workflow;

use anyhow::bail;
use bloodbank::{Bus, Contracts};
use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::traffic::Traffic;
use self::workflow::Workflows;

/// The most messages a second that one task makes.
const RATE_OF_ONE: f64 = 50.0;

/// What the demo does.
#[derive(Args)]
pub(crate) struct DemoFlags {
    /// Also feed it traffic: workflows over all contracts, made from their examples, with refusals,
    /// handlers that fail, and dead letters.
    #[arg(long)]
    demo: bool,
    /// How many messages a second the demo publishes.
    #[arg(long, value_name = "N", requires = "demo", default_value_t = 5.0, value_parser = rate)]
    rate: f64,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.01..=10_000.0).contains(rate));
    rate.ok_or_else(|| format!("`{text}` is not a rate; expected 0.01 to 10000 messages a second"))
}

/// The demo, while it runs.
pub(super) struct Demo {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl DemoFlags {
    /// How many messages a second, if there is to be a demo.
    pub(super) fn wanted(&self) -> Option<f64> {
        self.demo.then_some(self.rate)
    }
}

/// Looks whether there is something that a demo can say.
///
/// # Errors
/// If no contract has an example that it accepts.
pub(super) fn check(contracts: &Contracts) -> anyhow::Result<()> {
    let workflows = Workflows::of(contracts);
    if workflows.is_empty() {
        bail!(
            "no contract has an example, so that the demo has nothing to say\nhelp: add `examples` to them"
        );
    }
    if !workflows.silent.is_empty() {
        let silent = workflows.silent.join(", ");
        eprintln!("note: the demo leaves out contracts without a valid example: {silent}");
    }
    Ok(())
}

impl Demo {
    /// Begins to listen and then to publish, so many messages a second.
    pub(super) async fn start(bus: &Bus, rate: f64) -> anyhow::Result<Self> {
        let (mut tasks, stop) = (JoinSet::new(), watch::Sender::new(false));
        handlers::start(bus, &mut tasks, &stop).await?;
        // At most 10,000 a second, so that it fits.
        let count = (rate / RATE_OF_ONE).ceil().max(1.0) as u32;
        for _ in 0..count {
            let traffic = Traffic::new(bus.clone(), rate / f64::from(count));
            let mut stopped = stop.subscribe();
            tasks.spawn(async move {
                tokio::select! {
                    () = traffic.run() => {}
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
            });
        }
        Ok(Demo { tasks, stop })
    }

    /// Ends it; handlers finish what they have begun.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
