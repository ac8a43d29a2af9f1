//! `store retention`: how long events are kept, as registry.yaml has it.

use std::io;

use bloodbank::candystore::{EventStore, RetentionPlan, RetentionRule, RetentionRun};
use clap::Args;
use serde_json::{Value, json};

use crate::figures::{count, count_of, size};
use crate::table::{Table, say};
use crate::{span, when};

#[derive(Args)]
#[command(
    after_help = "The rules stand under `retention` in registry.yaml, and the first that matches a \
                        key counts. The processes that record into the store, and those that consume \
                        from the bus in it, carry them out, one of them about once an hour."
)]
pub(crate) struct Retention {
    /// As JSON: one line for each rule, and one for the last run.
    #[arg(long)]
    json: bool,
}

impl Retention {
    pub(super) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let rules = RetentionRule::all_of(&store.contracts());
        let (plans, run) = (store.plan_retention().await?, store.retention_run().await?);
        let of = |rule: &RetentionRule| plans.iter().find(|plan| plan.rule == *rule);
        if self.json {
            rules.iter().try_for_each(|rule| say(rule_json(rule, of(rule))))?;
            say(json!({ "run": run_json(&run) }))?;
            return Ok(0);
        }
        if rules.is_empty() {
            eprintln!("registry.yaml has no rules under `retention`: everything is kept");
        } else {
            let mut table = Table::new(["keys", "keep", "would go", "size", "held"]);
            for rule in &rules {
                let plan = of(rule).map(|found| &found.plan);
                let events = plan.map(|plan| count(plan.events())).unwrap_or_default();
                let bytes = plan.map(|plan| size(plan.bytes())).unwrap_or_default();
                let held = plan.map(|plan| count(plan.held)).unwrap_or_default();
                table.row([rule.keys.as_str(), &kept(rule), &events, &bytes, &held]);
            }
            table.print(&mut io::stdout().lock())?;
        }
        say(last(&run))?;
        Ok(0)
    }
}

fn kept(rule: &RetentionRule) -> String {
    rule.keep.map_or_else(|| "forever".to_owned(), span::show)
}

fn last(run: &RetentionRun) -> String {
    let Some(began) = run.began else { return "it was never carried out".to_owned() };
    let began = when::show(began);
    let due = when::show(run.due);
    match (run.ended, &run.error) {
        (None, _) => format!("it began at {began}, and has not ended"),
        (Some(_), Some(error)) => format!("it failed at {began}: {error}; due again at {due}"),
        (Some(_), None) => format!(
            "last carried out at {began}: {} pruned, {} held; due again at {due}",
            count_of(run.events, "event"),
            count(run.held),
        ),
    }
}

fn rule_json(rule: &RetentionRule, plan: Option<&RetentionPlan>) -> Value {
    let plan = plan.map(|found| &found.plan);
    json!({
        "keys": rule.keys.as_str(),
        "keep_s": rule.keep.map(|keep| keep.as_secs()),
        "events": plan.map(|plan| plan.events()),
        "bytes": plan.map(|plan| plan.bytes()),
        "held": plan.map(|plan| plan.held),
    })
}

fn run_json(run: &RetentionRun) -> Value {
    json!({
        "began": run.began,
        "ended": run.ended,
        "events": run.events,
        "held": run.held,
        "error": run.error,
        "due": run.due,
    })
}
