//! `store repair-clock`: times that a wrong clock has given.

use bloodbank::candystore::{ClockRepair, EventStore};
use clap::Args;

use crate::figures::count_of;
use crate::table::say;
use crate::when;

#[derive(Args)]
#[command(after_help = "Where times go back, the events of the future, or else the fewer events, \
                        are taken for the wrong ones. They get the time of the nearest event on the \
                        other side; the times that they were stored with are kept in the table \
                        `repairs`.")]
pub(crate) struct RepairClock {
    /// Do it.
    #[arg(long)]
    yes: bool,
}

impl RepairClock {
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let repairs = store.repair_clock(self.yes).await?;
        for ClockRepair { first, last, were, becomes, .. } in &repairs {
            let (from, to, time) = (when::show(were.0), when::show(were.1), when::show(*becomes));
            match first == last {
                true => say(format_args!("position {first}: stored {from}, becomes {time}"))?,
                false => say(format_args!(
                    "positions {first} to {last}: stored {from} to {to}, become {time}"
                ))?,
            }
        }
        let ranges = count_of(repairs.len() as u64, "range");
        match (repairs.is_empty(), self.yes) {
            (true, _) => say("no time goes back or is ahead of the clock")?,
            (false, true) => say(format_args!("{ranges} put right"))?,
            (false, false) => eprintln!("a dry run; `--yes` does it"),
        }
        Ok(0)
    }
}
