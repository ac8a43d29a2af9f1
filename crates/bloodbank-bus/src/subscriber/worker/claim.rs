//! Claims: whether a message is new, and that nobody else takes it up meanwhile.

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use bloodbank_core::Envelope;
use tokio::time::sleep;
use tracing::{info, warn};
use uuid::Uuid;

use super::{PAUSE, Worker};
use crate::reading::Escaped;
use crate::{Claim, Dedup, DedupError, Delivery, headers};

impl Worker {
    /// Says again and again that somebody is at it.
    pub(super) async fn keep_claim(&self, name: &str) -> Infallible {
        let every = self.dedup().renewal();
        loop {
            sleep(every).await;
            self.tell(self.dedup().renew(name).await);
        }
    }

    /// What is known of a message, which is now taken if nothing is. Where order is strict, this waits
    /// while somebody else is at it, as nothing may overtake it. `None` on shutdown.
    pub(super) async fn claim(&self, name: &str) -> Option<Claim> {
        loop {
            match self.tell(self.dedup().begin(name).await) {
                Some(Claim::Busy) if self.is_ordered() => Box::pin(self.pause(PAUSE)).await?,
                known => return Some(known.unwrap_or(Claim::New)),
            }
        }
    }

    pub(super) async fn finish(&self, name: &str, answer: Option<Vec<u8>>) {
        self.tell(self.dedup().finish(name, answer.map(Into::into)).await);
    }

    pub(super) async fn release(&self, name: &str) {
        self.tell(self.dedup().release(name).await);
    }

    fn dedup(&self) -> &dyn Dedup {
        &*self.shared.options.dedup
    }

    /// Tells once that the memory of what was handled fails, and once that it works again.
    fn tell<T>(&self, asked: Result<T, DedupError>) -> Option<T> {
        let fails = &self.shared.dedup_fails;
        match &asked {
            Ok(_) => {
                if fails.load(Ordering::Relaxed) && fails.swap(false, Ordering::Relaxed) {
                    info!("the memory of handled messages can be reached again");
                }
            }
            Err(error) => {
                if !fails.swap(true, Ordering::Relaxed) {
                    warn!(
                        error = %Escaped(error),
                        "until it can be, messages are handled without a look at what was handled \
                         before, and may be handled twice"
                    );
                }
            }
        }
        asked.ok()
    }
}

/// A message on one queue; in a replay it is another one.
pub(super) fn name_of(envelope: &Envelope, delivery: &Delivery) -> String {
    let mut buffer = Uuid::encode_buffer();
    let id: &str = envelope.id.hyphenated().encode_lower(&mut buffer);
    match headers::text(&delivery.headers, headers::REPLAY) {
        None => [&*delivery.queue, id].join("/"),
        Some(replay) => [&*delivery.queue, id, replay].join("/"),
    }
}
