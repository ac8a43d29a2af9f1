//! What became of messages is kept for a while, in the transaction that settles them.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{Delivery, Report, Settlement, headers, this_process};
use tokio::sync::watch;
use tokio::time::sleep;

use super::seat::Held;
use crate::EventStore;

/// Days for which reports are kept; 0 for not at all.
const VARIABLE: &str = "BLOODBANK_REPORT_DAYS";
const DAYS: u64 = 7;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often to look for what is too old.
const LOOK: Duration = Duration::from_secs(600);

/// What is kept of a settlement.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Nothing,
    /// A message of the log was handled at the first attempt.
    Handled {
        queue: Arc<str>,
        position: i64,
    },
    /// Anything else.
    Report(Box<Report>),
}

/// Whether reports are kept, and for how long.
#[derive(Debug)]
pub(super) struct Keeping(Option<Duration>);

impl Keeping {
    pub(super) fn new(keep: Option<Duration>) -> Self {
        Keeping(keep)
    }

    /// What is kept of a settlement.
    pub(super) fn of(&self, delivery: &Delivery, held: &Held, settlement: &Settlement) -> Kept {
        if self.0.is_none() {
            return Kept::Nothing;
        }
        let is_first = delivery.attempt == 1 && !delivery.headers.contains_key(headers::REPLAY);
        if let (Settlement::Ack, (position, 0), true) = (settlement, held.place, is_first) {
            return Kept::Handled { queue: delivery.queue.clone(), position };
        }
        let report = Report::of(delivery, settlement);
        report.map_or(Kept::Nothing, |report| Kept::Report(report.with_by(this_process()).into()))
    }

    /// Removes what is too old, as long as there is the bus.
    pub(super) fn prune_now_and_then(
        &self,
        store: &EventStore,
        mut closing: watch::Receiver<bool>,
    ) {
        let (Some(keep), store) = (self.0, store.clone()) else { return };
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = sleep(LOOK) => {}
                    _ = closing.wait_for(|closing| *closing) => return,
                }
                if let Err(error) = store.prune_reports(keep).await {
                    tracing::warn!(%error, "old reports of what became of messages are not removed");
                }
            }
        });
    }
}

/// For how long reports are kept, as the environment says; `None` for not at all.
pub(crate) fn reports_from_env() -> Option<Duration> {
    let said = std::env::var(VARIABLE).ok();
    let days = said.as_deref().and_then(|days| {
        let read = days.trim().parse::<u64>();
        read.inspect_err(|_| {
            tracing::warn!("{VARIABLE} is not a number of days; it is {DAYS}");
        })
        .ok()
    });
    let days = u32::try_from(days.unwrap_or(DAYS)).unwrap_or(u32::MAX);
    (days > 0).then(|| DAY.saturating_mul(days))
}
