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

/// The longest that events stay beyond their time to go with a whole partition.
const MOST_PATIENCE: Duration = Duration::from_secs(24 * 3_600);

/// How long events of some keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionRule {
    /// Which keys; of several rules that match a key, the first counts.
    pub keys: TopicPattern,
    /// How long, from when they were stored; `None` for ever.
    ///
    /// On PostgreSQL events stay up to a twentieth of it longer, and at most a day, if a whole partition
    /// goes with them then.
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
        prune.patience = (self.keep? / 20).min(MOST_PATIENCE);
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
        let mut plans = Vec::new();
        for (rule, prune) in self.retention_rules() {
            plans.push(RetentionPlan { rule, plan: self.plan_prune(prune).await? });
        }
        Ok(plans)
    }

    /// The rules that let anything go, and what.
    fn retention_rules(&self) -> Vec<(RetentionRule, Prune)> {
        let rules = RetentionRule::all_of(&self.contracts());
        let prune = |(place, rule): (usize, &RetentionRule)| {
            Some((rule.clone(), rule.prune(&rules[..place])?))
        };
        rules.iter().enumerate().filter_map(prune).collect()
    }

    /// Carries retention out, if it is due and no other process is at it; `None` if not, and if another
    /// process has taken over, as this one was not heard of for two minutes. The processes
    /// that record into the store, and those that consume from the bus in it, do this by themselves,
    /// about once an hour.
    ///
    /// # Errors
    /// If the database fails. It is due again an hour later.
    pub async fn retain(&self) -> Result<Option<RetentionRun>, StoreError> {
        let Some(lease) = Lease::take(self).await? else { return Ok(None) };
        let mut done = Done::default();
        let carried_out = lease.keep(self, self.carry_out(&lease, &mut done)).await;
        lease.end(self, done.events, done.held, carried_out.as_ref().err()).await?;
        match carried_out? {
            Some(()) => self.retention_run().await.map(Some),
            None => {
                tracing::warn!("another process has taken retention over");
                Ok(None)
            }
        }
    }

    /// Carries out one rule after the other; `None` if another process has taken over.
    async fn carry_out(&self, lease: &Lease, done: &mut Done) -> Result<Option<()>, StoreError> {
        for (rule, prune) in self.retention_rules() {
            if !lease.renew(self).await? {
                return Ok(None);
            }
            let plan = self.plan_prune(prune).await?;
            done.held += plan.held;
            if plan.is_empty() {
                continue;
            }
            let mut pruning = Pruning::begin(self, &plan).await?;
            let mut is_ours = true;
            while is_ours && pruning.step().await? {
                is_ours = lease.renew(self).await?;
            }
            let pruned = pruning.done.events;
            done.events += pruned;
            let (keys, keep) = (rule.keys.to_string(), rule.keep);
            tracing::info!(keys, ?keep, events = pruned, held = plan.held, "retention has pruned");
            if !is_ours {
                return Ok(None);
            }
        }
        Ok(Some(()))
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

/// What a run has done so far.
#[derive(Default)]
struct Done {
    events: u64,
    held: u64,
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

#[cfg(test)]
mod tests {
    use bloodbank_core::{Bundle, BundledRetention, Envelope, Kind, Meta};

    use super::*;
    use crate::writer::Transaction;
    use crate::{Incoming, StoreOptions, StoreUrl};

    #[tokio::test]
    async fn a_run_that_has_lost_its_lease_ends_with_all_its_rules() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(StoreUrl::file(folder.path().join("store.db")));
        let rule =
            |keys: &str| BundledRetention { keys: keys.to_owned(), keep: "1h".parse().unwrap() };
        let retention = vec![rule("a.b"), rule("c.d")];
        let contracts = Contracts::new(Bundle { retention, ..Bundle::default() });
        let store = EventStore::open(options, contracts).await.unwrap();
        let old = |key: &str| {
            let envelope = Envelope::new(key, "test", serde_json::json!({}), Meta::new());
            let incoming = Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap());
            incoming.with_received(DateTime::UNIX_EPOCH)
        };
        store.append(vec![old("a.b"), old("c.d")]).await.unwrap();
        let lease = Lease::take(&store).await.unwrap().unwrap();
        let steal =
            async |t: &mut Transaction| t.execute("UPDATE retention SET owner = NULL", &[]).await;
        store.writer().run(steal).await.unwrap();
        let mut done = Done::default();
        assert_eq!(store.carry_out(&lease, &mut done).await, Ok(None));
        assert_eq!((done.events, store.count(&crate::Filter::new()).await), (0, Ok(2)));
        let long = async {
            std::future::pending::<()>().await;
            Ok(Some(()))
        };
        assert_eq!(lease.keep_each(Duration::from_millis(1), &store, long).await, Ok(None));
    }
}
