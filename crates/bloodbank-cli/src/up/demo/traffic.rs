//! Messages, at a rate.

use std::time::{Duration, Instant};

use bloodbank::uuid::Uuid;
use bloodbank::{Bus, CheckError, DynamicPublisher, Kind, Meta, PublishError};
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::fresh::{Ids, broken};
use super::workflow::{Step, Version, Workflow, Workflows};

/// How often it is looked whether the contracts were swapped.
const LOOK: Duration = Duration::from_secs(5);

/// How long is waited where the bus takes nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// How often something is said that breaks its contract.
const REFUSED: f64 = 0.03;

/// How often what goes wrong does so.
const WRONG: f64 = 0.15;

/// How often a workflow goes on in another domain.
const ON: f64 = 0.3;

/// How often something follows from the first message, and not from the last.
const FROM_FIRST: f64 = 0.25;

/// Publishes workflows.
pub(super) struct Traffic {
    bus: Bus,
    ticks: Interval,
    workflows: Workflows,
    looked: Instant,
}

/// A piece of work that is told: what its messages have in common.
#[derive(Default)]
struct Work {
    ids: Ids,
    first: Option<Uuid>,
    last: Option<Uuid>,
}

impl Traffic {
    pub(super) fn new(bus: Bus, rate: f64) -> Self {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let workflows = Workflows::of(&bus.contracts().current());
        Traffic { bus, ticks, workflows, looked: Instant::now() }
    }

    /// One workflow after the other; never done.
    pub(super) async fn run(mut self) {
        loop {
            if self.looked.elapsed() > LOOK {
                self.workflows = Workflows::of(&self.bus.contracts().current());
                self.looked = Instant::now();
            }
            let mut work = Work::default();
            loop {
                if let Err(error) = self.tell(&mut work).await {
                    tracing::warn!(code = %error.code(), %error, "the demo cannot publish");
                    sleep(PAUSE).await;
                    break;
                }
                if fastrand::f64() > ON {
                    break;
                }
            }
        }
    }

    /// All steps of a domain.
    async fn tell(&mut self, work: &mut Work) -> Result<(), PublishError> {
        let Traffic { bus, ticks, workflows, .. } = self;
        let Some(Workflow { steps }) = fastrand::choice(&workflows.domains) else {
            // After a reload there may be none.
            ticks.tick().await;
            return Ok(());
        };
        for step in steps {
            let is_alone = steps.len() == 1;
            if step.is_wrong && !is_alone && fastrand::f64() > WRONG {
                continue;
            }
            ticks.tick().await;
            work.take(bus, step).await?;
        }
        Ok(())
    }
}

impl Work {
    async fn take(&mut self, bus: &Bus, step: &Step) -> Result<(), PublishError> {
        let Some(version) = fastrand::choice(&step.versions) else { return Ok(()) };
        let publisher = publisher(bus, version);
        if fastrand::f64() < REFUSED {
            self.refuse(bus, &publisher, step.kind, version).await?;
        }
        let Some(example) = fastrand::choice(&version.examples) else { return Ok(()) };
        let mut payload = self.ids.freshen(example);
        if bus.contracts().current().check(&version.route, &payload).is_err() {
            // Its ids or times are not any ids or times.
            payload = example.clone();
        }
        match self.say(&publisher, step.kind, &version.route, payload).await {
            Ok(id) => {
                self.first.get_or_insert(id);
                self.last = Some(id);
                Ok(())
            }
            // The contracts or the registry were swapped meanwhile.
            Err(PublishError::Seal(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says something that breaks the contract; nobody gets it.
    async fn refuse(
        &self,
        bus: &Bus,
        publisher: &DynamicPublisher,
        kind: Kind,
        version: &Version,
    ) -> Result<(), PublishError> {
        let contracts = bus.contracts().current();
        let mut bad = version.counterexamples.clone();
        bad.extend(version.examples.iter().flat_map(broken));
        bad.retain(|payload| {
            matches!(contracts.check(&version.route, payload), Err(CheckError::Refused(_)))
        });
        let Some(payload) = fastrand::choice(bad) else { return Ok(()) };
        match self.say(publisher, kind, &version.route, payload).await {
            Ok(_) | Err(PublishError::Seal(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn say(
        &self,
        publisher: &DynamicPublisher,
        kind: Kind,
        route: &str,
        payload: Value,
    ) -> Result<Uuid, PublishError> {
        let mut meta = Meta::new();
        meta.correlation_id = self.first;
        meta.causation_id = if fastrand::f64() < FROM_FIRST { self.first } else { self.last };
        let draft = match kind {
            Kind::Event => publisher.publish(route, payload),
            Kind::Command => publisher.send(route, payload),
        };
        Ok(draft.meta(meta).await?.id)
    }
}

/// Of a service that may say it, if the registry has one.
fn publisher(bus: &Bus, version: &Version) -> DynamicPublisher {
    let service = fastrand::choice(&version.services);
    match service.map(|name| (name, bus.dynamic_publisher(name))) {
        Some((name, Ok(publisher))) => publisher.named(&format!("demo-{name}")),
        _ => {
            let domain = version.route.split('.').next().unwrap_or_default();
            bus.unrestricted_publisher(&format!("demo-{domain}"))
        }
    }
}
