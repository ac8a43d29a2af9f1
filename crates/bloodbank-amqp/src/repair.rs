//! Looks from time to time whether what was declared is still there, and declares again what somebody
//! has deleted. Without it a deleted exchange would swallow events: the broker confirms what it routes
//! nowhere.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Topology, TransportError};
use metrics::counter;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tracing::{debug, error, warn};

use crate::assert::Missing;
use crate::config::{AmqpConfig, Mode};
use crate::connect::channel_error;
use crate::link::Generation;
use crate::plan::Plan;
use crate::supervisor::ASSERT;

/// How long those who miss an exchange wait before they try again, where we cannot declare it.
const AGAIN: Duration = Duration::from_millis(200);

/// How often an exchange is looked for that is missing still; what goes there fails until it is found.
const ABSENT: Duration = Duration::from_secs(1);

/// Why it is looked whether everything is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It is time to look at the exchanges, and to link them again.
    Exchanges,
    /// It is time to look at the queues as well, and to bind them again.
    Queues,
    /// Somebody met an exchange that was not there, and another process may have declared it since.
    Missed,
}

/// What looks after one connection's topology.
pub(crate) struct Repair<'s> {
    config: &'s AmqpConfig,
    declared: &'s Mutex<Topology>,
    generation: &'s Generation,
    /// What was missing at the last look, where it is not ours to declare it.
    told: Vec<Missing>,
    /// Whether something is missing that we cannot declare.
    is_broken: bool,
    /// When everything was there.
    whole: Instant,
}

impl<'s> Repair<'s> {
    pub(crate) fn new(
        config: &'s AmqpConfig,
        declared: &'s Mutex<Topology>,
        generation: &'s Generation,
    ) -> Self {
        let whole = Instant::now();
        Repair { config, declared, generation, told: Vec::new(), is_broken: false, whole }
    }

    pub(crate) async fn run(mut self) -> Infallible {
        if self.config.mode == Mode::Off {
            // All is taken for granted.
            return self.wait_for_others().await;
        }
        let mut exchanges = every(self.config.look_at_exchanges);
        let mut queues = every(self.config.look_at_queues);
        loop {
            let cause = tokio::select! {
                biased;
                _ = queues.tick() => Cause::Queues,
                () = self.generation.missed.notified() => Cause::Missed,
                _ = exchanges.tick() => Cause::Exchanges,
                () = sleep(ABSENT), if self.generation.absent.is_any() => Cause::Missed,
            };
            let looked = timeout(ASSERT, self.look(cause)).await;
            self.is_broken = !self.told.is_empty() || !matches!(looked, Ok(Ok(())));
            match looked {
                Ok(Ok(())) => {}
                // It is lost, and everything is declared on the next one.
                Ok(Err(TransportError::Disconnected { .. })) => {}
                Ok(Err(error)) => warn!(%error, "the topology cannot be declared again"),
                Err(_) => debug!("the broker does not say in time what it has"),
            }
            if self.is_broken {
                sleep(AGAIN).await;
            }
            self.look_for_absent().await;
        }
    }

    /// Gives others time to declare what was met missing, again and again.
    async fn wait_for_others(&self) -> Infallible {
        loop {
            tokio::select! {
                () = self.generation.missed.notified() => sleep(AGAIN).await,
                () = sleep(ABSENT), if self.generation.absent.is_any() => {}
            }
            self.look_for_absent().await;
        }
    }

    /// Looks for what was met missing, and tells those who wait for it.
    async fn look_for_absent(&self) {
        let looking = self.generation.absent.look(self.generation);
        match timeout(ASSERT, looking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "the broker does not say which exchanges it has"),
            Err(_) => debug!("the broker does not say in time which exchanges it has"),
        }
        self.generation.repaired.notify_waiters();
    }

    async fn look(&mut self, cause: Cause) -> Result<(), TransportError> {
        let topology = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let plan = Plan::of(&self.config.exchanges, &topology)?;
        let missing = plan.missing(self.generation, cause == Cause::Queues).await?;
        match self.config.mode {
            Mode::Create => self.mend(&plan, missing, cause).await?,
            _ => self.tell(missing),
        }
        Ok(())
    }

    /// Declares what is missing.
    async fn mend(
        &mut self,
        plan: &Plan,
        mut missing: Vec<Missing>,
        cause: Cause,
    ) -> Result<(), TransportError> {
        if missing.is_empty() {
            // Bindings cannot be looked at, and go with their exchange: another process may have
            // declared it again. Those of queues are many, and are made anew more rarely.
            let channel = self.generation.channel().await.map_err(|error| channel_error(&error))?;
            let bound = match cause {
                Cause::Exchanges => plan.link(&channel).await,
                Cause::Queues | Cause::Missed => plan.bind(&channel).await,
            };
            match bound {
                Ok(()) => {
                    // It closes with the connection at the latest.
                    let _ = channel.close(200, "done".into()).await;
                }
                Err(TransportError::Undeclared { queue }) => missing.push(Missing::queue(queue)),
                // Deleted just now.
                Err(TransportError::NoExchange { exchange }) => {
                    missing.push(Missing::exchange(exchange));
                }
                Err(error) => return Err(error),
            }
        }
        if !missing.is_empty() {
            let channel = self.generation.channel().await.map_err(|error| channel_error(&error))?;
            plan.declare(&channel, false).await?;
            let _ = channel.close(200, "done".into()).await;
        }
        for Missing { what, name } in &missing {
            counter!("bloodbank_topology_repaired_total", "what" => *what).increment(1);
            error!(
                what, name, at_most = ?self.whole.elapsed(),
                "it was missing and is declared again; events that were confirmed in this time may \
                 not have reached their queues, and can be replayed from the store"
            );
        }
        self.whole = Instant::now();
        Ok(())
    }

    /// Says what is missing, once.
    fn tell(&mut self, missing: Vec<Missing>) {
        for it in missing.iter().filter(|it| !self.told.contains(it)) {
            let Missing { what, name } = it;
            error!(
                what, name, at_most = ?self.whole.elapsed(),
                "it is missing, and RABBIT_TOPOLOGY=verify lets us declare nothing; events that are \
                 confirmed may not reach their queues"
            );
        }
        if missing.is_empty() {
            self.whole = Instant::now();
        }
        self.told = missing;
    }
}

fn every(period: Duration) -> Interval {
    // An interval of nothing would panic.
    let period = period.max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
