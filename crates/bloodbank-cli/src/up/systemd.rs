//! What the service manager is told, where there is one: nothing without NOTIFY_SOCKET.

use std::time::Duration;

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::time::{MissedTickBehavior, interval};

/// Each part that is to start is started.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// The service ends.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says as often as the manager wants that the process is alive; never done.
pub(super) async fn watchdog() {
    let Some(time) = watchdog_enabled() else { return std::future::pending().await };
    // Twice in that time, as systemd advises.
    let mut ticks = interval((time / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
