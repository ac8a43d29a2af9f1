//! What became of messages is kept for a while, in the transaction that settles them.

use std::time::Duration;

use bloodbank_bus::{Delivery, Report, Settlement, this_process};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::EventStore;

/// Days for which reports are kept; 0 for not at all.
const VARIABLE: &str = "BLOODBANK_REPORT_DAYS";
const DAYS: u64 = 7;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often to look for what is too old.
const LOOK: Duration = Duration::from_secs(60);

/// Whether reports are kept, and for how long.
#[derive(Debug)]
pub(super) struct Keeping(Option<Duration>);

impl Keeping {
    pub(super) fn new(keep: Option<Duration>) -> Self {
        Keeping(keep)
    }

    /// What is kept of a settlement.
    pub(super) fn report(&self, delivery: &Delivery, settlement: &Settlement) -> Option<Report> {
        self.0?;
        Some(Report::of(delivery, settlement)?.with_by(this_process()))
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
