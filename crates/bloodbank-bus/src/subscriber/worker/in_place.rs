//! Attempts in place, where order is kept: nothing overtakes a message that failed.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_core::Envelope;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::warn;

use super::super::TIMEOUT;
use super::Worker;
use super::attempt::Attempted;
use super::conclude::answer_of;
use crate::reading::{self, Escaped};
use crate::{Delivery, Verdict};

/// What an attempt needs while it runs.
struct Room<'a> {
    _turn: Option<SemaphorePermit<'a>>,
    _slot: SemaphorePermit<'a>,
}

impl Worker {
    /// Calls the handler until it is done, as often as the policy says and the time for it lasts, which
    /// began then. `None` on shutdown.
    pub(super) async fn attempt_in_place(
        &self,
        envelope: Arc<Envelope>,
        delivery: &Arc<Delivery>,
        since: Instant,
    ) -> Option<Attempted> {
        let mut delivery = Arc::clone(delivery);
        loop {
            let room = self.room(&delivery.key).await?;
            let outcome = self.attempt(envelope.clone(), &delivery).await;
            drop(room);
            let mut attempted = Attempted { outcome, told: None, delivery };
            let Some((after, next)) = self.next_in_place(&mut attempted, since).await else {
                return Some(attempted);
            };
            self.pause(after).await?;
            if !self.shared.transport.is_current(&next) {
                return None;
            }
            delivery = next;
        }
    }

    /// The pause before the next attempt, and the delivery as that one knows it; `None` if there is none.
    async fn next_in_place(
        &self,
        attempted: &mut Attempted,
        since: Instant,
    ) -> Option<(Duration, Arc<Delivery>)> {
        let Attempted { outcome, told, delivery } = attempted;
        let handled = outcome.as_mut().ok()?;
        let Verdict::Retry(_) = handled.verdict else { return None };
        if delivery.reply_to.is_some() {
            let is_told = self.tell_caller(delivery, answer_of(handled)).await;
            if *told.insert(is_told) {
                return None;
            }
        }
        let Verdict::Retry(reason) = &mut handled.verdict else { return None };
        let after = self.retry.after(delivery.attempt)?;
        if !self.has_time(since, after) {
            reason.push_str(&self.out_of_time());
            return None;
        }
        warn!(attempt = delivery.attempt, error = %Escaped(reason), "tried again in {after:?}");
        self.metrics.retries.increment(1);
        let mut next = Delivery::clone(delivery);
        next.headers.extend(reading::retrying(delivery, reason));
        next.attempt += 1;
        Some((after, Arc::new(next)))
    }

    /// Waits until one more handler may run, of those of this key and of all; `None` on shutdown. An
    /// attempt has that, and not its message: while it pauses, others are handled.
    async fn room(&self, key: &str) -> Option<Room<'_>> {
        let mut stopped = self.shared.stopped.clone();
        let room = async {
            // In this order: who waits for its turn takes nobody's slot.
            let turn = match self.shared.handlers.limit(key) {
                Some(limit) => Some(limit.acquire().await.ok()?),
                None => None,
            };
            Some(Room { _turn: turn, _slot: self.slots.acquire().await.ok()? })
        };
        tokio::select! {
            room = room => room,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        }
    }

    /// Whether one more attempt after a pause would end in time. Handlers that may take longer than the
    /// broker gives them are not held to that.
    fn has_time(&self, since: Instant, pause: Duration) -> bool {
        let options = &self.shared.options;
        let needed = pause.saturating_add(options.timeout.min(TIMEOUT));
        since.elapsed().saturating_add(needed) <= options.hold
    }

    fn out_of_time(&self) -> String {
        let hold = self.shared.options.hold;
        format!(" (not tried again: it would be held for longer than {hold:?}, with all behind it)")
    }
}
