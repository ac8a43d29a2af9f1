//! Retention that is carried out by itself, as registry.yaml has it.

mod keeping;
mod lease;

use std::time::Duration;

use bloodbank_core::{Contracts, TopicPattern};
use chrono::{DateTime, Utc};

pub(crate) use self::keeping::keep;
use self::lease::Lease;
use crate::prune::Pruning;
use crate::sql::{Connection, Row, micros_to_time};
use crate::{EventStore, Prune, PrunePlan, StoreError};

/// How long events of some keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionRule {
    /// Which keys; of several rules that match a key, the first counts.
    pub keys: TopicPattern,
    /// How long, from when they were stored; `None` for ever.
    pub keep: Option<Duration>,
}

/// What a rule would let go now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionPlan {
    /// The rule.
    pub rule: RetentionRule,
    /// What would go.
    pub plan: PrunePlan,
}

/// When retention was carried out the last time, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionRun {
    /// When it began; `None` if it never has.
    pub began: Option<DateTime<Utc>>,
    /// When it ended; `None` if it has not.
    pub ended: Option<DateTime<Utc>>,
    /// How many events it let go.
    pub events: u64,
    /// How many stayed though their time is over, as a queue or a replay still needs them.
    pub held: u64,
    /// Why it failed, if it has.
    pub error: Option<String>,
    /// When it is carried out the next time, if a process is there that does so.
    pub due: DateTime<Utc>,
}

impl RetentionRule {
    /// The rules of the registry that contracts were read with.
    pub fn all_of(contracts: &Contracts) -> Vec<Self> {
        let rule = |rule: &bloodbank_core::BundledRetention| {
            // The reader has refused what is not a pattern.
            let keys = rule.keys.parse().ok()?;
            Some(RetentionRule { keys, keep: rule.keep.duration() })
        };
        contracts.bundle().retention.iter().filter_map(rule).collect()
    }

    /// What it lets go, where these rules stand before it.
    fn prune(&self, before: &[RetentionRule]) -> Option<Prune> {
        let mut prune = Prune::new(vec![self.keys.clone()]).with_older_than(self.keep?);
        prune.except = before.iter().map(|rule| rule.keys.clone()).collect();
        Some(prune)
    }
}

impl EventStore {
    /// What each rule of the registry that the contracts were read with would let go now. Those that
    /// keep for ever are left out.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn plan_retention(&self) -> Result<Vec<RetentionPlan>, StoreError> {
        let (rules, mut plans) = (RetentionRule::all_of(&self.contracts()), Vec::new());
        for (place, rule) in rules.iter().enumerate() {
            if let Some(prune) = rule.prune(&rules[..place]) {
                let plan = self.plan_prune(prune).await?;
                plans.push(RetentionPlan { rule: rule.clone(), plan });
            }
        }
        Ok(plans)
    }

    /// Carries retention out, if it is due and no other process is at it; `None` if not. The processes
    /// that record into the store, and those that consume from the bus in it, do this by themselves,
    /// about once an hour.
    ///
    /// # Errors
    /// If the database fails. It is due again an hour later.
    pub async fn retain(&self) -> Result<Option<RetentionRun>, StoreError> {
        let Some(lease) = Lease::take(self).await? else { return Ok(None) };
        let (mut events, mut held) = (0, 0);
        let done = self.carry_out(&lease, &mut events, &mut held).await;
        lease.end(self, events, held, done.as_ref().err()).await?;
        done?;
        self.retention_run().await.map(Some)
    }

    async fn carry_out(
        &self,
        lease: &Lease,
        events: &mut u64,
        held: &mut u64,
    ) -> Result<(), StoreError> {
        for RetentionPlan { rule, plan } in self.plan_retention().await? {
            *held += plan.held;
            if plan.keys.is_empty() {
                continue;
            }
            let mut pruning = Pruning::begin(self, &plan).await?;
            while pruning.step().await? && lease.renew(self).await? {}
            let pruned = pruning.done.events;
            *events += pruned;
            let (keys, keep) = (rule.keys.to_string(), rule.keep);
            tracing::info!(keys, ?keep, events = pruned, held = plan.held, "retention has pruned");
        }
        Ok(())
    }

    /// When retention was carried out the last time, and what came of it.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn retention_run(&self) -> Result<RetentionRun, StoreError> {
        let sql = "SELECT began, ended, events, held, error, due FROM retention";
        let row =
            self.readers().run(async |c: &mut Connection| c.query_one(sql, &[]).await).await?;
        RetentionRun::of(&row)
    }
}

impl RetentionRun {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let time = |column| row.maybe_int(column)?.map(micros_to_time).transpose();
        Ok(RetentionRun {
            began: time(0)?,
            ended: time(1)?,
            events: row.position(2)?,
            held: row.position(3)?,
            error: row.maybe_text(4)?.map(str::to_owned),
            due: micros_to_time(row.int(5)?)?,
        })
    }
}
