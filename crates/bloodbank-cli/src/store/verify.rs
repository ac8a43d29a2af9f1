//! `store verify`: whether everything is as it was stored.

use bloodbank::candystore::{Checkpoint, EventStore, Problem, Verified, VerifyProgress};
use clap::Args;
use serde_json::json;

use crate::FINDINGS;
use crate::figures::{count, count_of};
use crate::hints;
use crate::progress::{clear, over};
use crate::table::say;

#[derive(Args)]
#[command(after_help = "Exits 100 when something is wrong.")]
pub(crate) struct Verify {
    /// What an earlier `verify` said of the head, kept outside of the store: everything up to there
    /// must still be what it was, whoever has written to the database since.
    #[arg(long, value_name = "POSITION:DIGEST", value_parser = hints::value::<Checkpoint>)]
    expect: Option<Checkpoint>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Exits 100 when something is wrong.
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let progress = |at: VerifyProgress| over(&format!("position {} of {}", at.done, at.of));
        let verified = match self.expect {
            Some(expected) => store.verify_against(expected, progress).await,
            None => store.verify(progress).await,
        };
        clear();
        let verified = verified?;
        match self.json {
            true => say(as_json(&verified))?,
            false => print(&verified)?,
        }
        Ok(if verified.is_clean() { 0 } else { FINDINGS })
    }
}

fn print(verified: &Verified) -> anyhow::Result<()> {
    for Problem { position, what, .. } in &verified.problems {
        match position {
            Some(position) => say(format_args!("position {position}: {what}"))?,
            None => say(what)?,
        }
    }
    let more = verified.found - verified.problems.len() as u64;
    if more > 0 {
        say(format_args!("and {} more", count_of(more, "problem")))?;
    }
    let found = match verified.found {
        0 => String::new(),
        found => format!("; {} in all", count_of(found, "problem")),
    };
    say(format_args!(
        "verified {}: {} damaged, {} lost, {} pruned{found}",
        count_of(verified.events, "event"),
        count(verified.damaged),
        count(verified.lost),
        count(verified.pruned),
    ))?;
    if verified.unchained > 0 {
        let older = count_of(verified.unchained, "event");
        say(format_args!("{older} have no digest: they were stored by an earlier version"))?;
    }
    if let Some(head) = verified.head {
        say(format_args!("head {head}"))?;
    }
    Ok(())
}

fn as_json(verified: &Verified) -> serde_json::Value {
    let problem = |problem: &Problem| json!({ "position": problem.position, "what": problem.what });
    json!({
        "events": verified.events,
        "damaged": verified.damaged,
        "lost": verified.lost,
        "pruned": verified.pruned,
        "unchained": verified.unchained,
        "head": verified.head.map(|head| head.to_string()),
        "found": verified.found,
        "problems": verified.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}
