//! What is not due yet, on the embedded bus: every process that consumes or schedules sends what is due.

use std::sync::Weak;
use std::time::Duration;

use bloodbank_bus::Encoded;
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Embedded;
use super::shared::Shared;
use crate::scheduled::Scheduled;
use crate::{StoreError, scheduler};

/// The longest pause between two looks, whatever is written.
const NET: Duration = Duration::from_secs(30);
/// The longest pause where something is written: it may be something that is due sooner.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest.
const PAUSE: Duration = Duration::from_millis(10);

/// A message as it is kept until it is due.
pub(super) fn scheduled(message: Encoded, due: DateTime<Utc>) -> Scheduled {
    let properties = message.properties();
    let (envelope, body, headers) = message.into_parts();
    let kept = Scheduled::new(envelope.id, envelope.kind(), &*envelope.event_type, due, body);
    Scheduled { headers, properties, ..kept }
}

/// Sends what is due, until the bus is closed or dropped.
pub(super) async fn send_due(shared: Weak<Shared>, mut closing: watch::Receiver<bool>) {
    while let Some(shared) = shared.upgrade() {
        if *closing.borrow() {
            return;
        }
        let embedded = Embedded { shared };
        let Ok(mut pulse) = embedded.store().pulse() else { return };
        let pause = match scheduler::send_due(embedded.store(), &embedded).await {
            Ok(next) => until(next),
            // Whoever only consumes leaves it to those who may publish.
            Err(StoreError::Denied { .. }) => return,
            Err(error) => {
                tracing::warn!(%error, "scheduled messages have to wait");
                LOOK
            }
        };
        drop(embedded);
        tokio::select! {
            // An error means that the bus was dropped.
            _ = closing.wait_for(|closing| *closing) => return,
            () = sleep(pause) => {}
            () = written(&mut pulse) => {}
        }
    }
}

/// Until something was written, and a little longer.
async fn written(pulse: &mut watch::Receiver<i64>) {
    let (_, written) = tokio::join!(sleep(LOOK), pulse.changed());
    if written.is_err() {
        // There is no store any more, and the bus ends, too.
        std::future::pending::<()>().await;
    }
}

/// How long to wait for the next message. What is due by now cannot be sent from here.
fn until(next: Option<DateTime<Utc>>) -> Duration {
    let left = next.and_then(|next| next.signed_duration_since(Utc::now()).to_std().ok());
    left.map_or(NET, |left| left.clamp(PAUSE, NET))
}
