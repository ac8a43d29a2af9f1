//! Claims: whether a message is new, and that nobody else takes it up meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use bloodbank_core::Envelope;
use tokio::time::sleep;
use tracing::warn;

use super::{PAUSE, Worker};
use crate::{Claim, Delivery, headers};

/// How often a claim on a message is renewed while it is handled.
const RENEWAL: Duration = Duration::from_secs(20);

impl Worker {
    /// Says again and again that somebody is at it.
    pub(super) async fn keep_claim(&self, name: &str) -> Infallible {
        loop {
            sleep(RENEWAL).await;
            if let Err(error) = self.shared.options.dedup.renew(name).await {
                warn!(%error, "another worker may take up what is being handled");
            }
        }
    }

    /// Waits while another worker is at the same message; `None` on shutdown.
    pub(super) async fn claim(&self, name: &str) -> Option<Claim> {
        loop {
            match self.shared.options.dedup.begin(name).await {
                Ok(Claim::Busy) => {}
                Ok(claim) => return Some(claim),
                Err(error) => {
                    warn!(%error, "a message is handled without a look at what was handled before");
                    return Some(Claim::New);
                }
            }
            self.pause(PAUSE).await?;
        }
    }

    pub(super) async fn finish(&self, name: &str, answer: Option<Vec<u8>>) {
        let finished = self.shared.options.dedup.finish(name, answer.map(Into::into)).await;
        if let Err(error) = finished {
            warn!(%error, "a message that was handled may be handled again");
        }
    }

    pub(super) async fn release(&self, name: &str) {
        if let Err(error) = self.shared.options.dedup.release(name).await {
            warn!(%error, "a message that was not handled may be taken for one that is");
        }
    }
}

/// A message on one queue; in a replay it is another one.
pub(super) fn name_of(envelope: &Envelope, delivery: &Delivery) -> String {
    match headers::text(&delivery.headers, headers::REPLAY) {
        None => format!("{}/{}", delivery.queue, envelope.id),
        Some(replay) => format!("{}/{}/{replay}", delivery.queue, envelope.id),
    }
}
