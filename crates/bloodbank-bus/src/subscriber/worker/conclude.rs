//! Conclusions: from what a handler said to what becomes of its message.

use std::time::Duration;

use chrono::Utc;
use tracing::{debug, error, warn};

use super::{PAUSE, Worker};
use crate::reading::{self, Escaped, Fault};
use crate::{Answer, Delivery, Handled, Reason, Settlement, TransportError, Verdict, headers};

/// The longest pause before a message is settled once more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Worker {
    /// From what the handler said to what becomes of the message.
    pub(super) async fn conclude(
        &self,
        name: &str,
        handled: Handled,
        told: Option<bool>,
        delivery: &Delivery,
    ) -> Settlement {
        let called = delivery.reply_to.is_some();
        let answer = if called { answer_of(&handled) } else { None };
        let told = match told {
            None if called => Box::pin(self.tell_caller(delivery, answer.clone())).await,
            told => told.unwrap_or(false),
        };
        let verdict = handled.verdict;
        let retry = &self.retry;
        match verdict {
            Verdict::Done | Verdict::Drop(_) => {
                // Whoever sends it again is answered as whoever called.
                self.finish(name, answer).await;
            }
            _ => self.release(name).await,
        }
        match verdict {
            Verdict::Done => {
                self.metrics.acked();
                self.done(delivery)
            }
            Verdict::Retry(reason) if told => {
                warn!(error = %Escaped(&reason), "the caller was told of a failure");
                self.metrics.processed("dropped");
                Settlement::Drop { reason: format!("its caller was told: {reason}") }
            }
            Verdict::Retry(reason) => match retry.after(delivery.attempt) {
                Some(after) if !self.is_ordered() => {
                    warn!(error = %Escaped(&reason), "tried again in {after:?}");
                    self.metrics.retries.increment(1);
                    self.metrics.processed("retried");
                    Settlement::Retry { after, headers: reading::retrying(delivery, &reason) }
                }
                _ => self.park(delivery, Reason::Exhausted, &reason),
            },
            Verdict::Park(reason) => self.park(delivery, Reason::Parked, &reason),
            Verdict::Drop(reason) => {
                warn!(reason = %Escaped(&reason), "dropped");
                self.metrics.processed("dropped");
                Settlement::Drop { reason }
            }
        }
    }

    /// What no handler takes is not handled, though nothing is wrong with it.
    fn done(&self, delivery: &Delivery) -> Settlement {
        match self.shared.handlers.find(&delivery.key) {
            None if self.shared.options.skip_others => Settlement::Drop {
                reason: "no handler takes it, and others are skipped".to_owned(),
            },
            _ => Settlement::Ack,
        }
    }

    /// Whether the caller was told, and still waited. Who calls is told of a failure at once, and decides
    /// whether to call again.
    pub(super) async fn tell_caller(&self, delivery: &Delivery, answer: Option<Vec<u8>>) -> bool {
        match answer {
            Some(answer) => self.reply(delivery, answer).await && !is_late(delivery),
            None => false,
        }
    }

    pub(super) fn park(&self, delivery: &Delivery, reason: Reason, error: &str) -> Settlement {
        error!(%reason, error = %Escaped(error), "parked");
        self.parking(delivery, reason, error)
    }

    pub(super) fn parking(&self, delivery: &Delivery, reason: Reason, error: &str) -> Settlement {
        self.metrics.parked(reason.as_str());
        self.metrics.processed("parked");
        Settlement::Park { headers: reading::parking(delivery, reason, error) }
    }

    /// Parks what no handler can take, and tells whoever called.
    pub(super) async fn park_fault(&self, delivery: &Delivery, fault: &Fault) -> Settlement {
        if delivery.reply_to.is_some()
            && let Ok(answer) = serde_json::to_vec(&Answer::Error(fault.to_string()))
        {
            self.reply(delivery, answer).await;
        }
        error!(reason = %fault.reason(), error = %Escaped(&fault.without_payload()), "parked");
        self.parking(delivery, fault.reason(), &fault.to_string())
    }

    /// Whether the caller was told.
    pub(super) async fn reply(&self, delivery: &Delivery, answer: Vec<u8>) -> bool {
        match self.shared.transport.answer(delivery, answer).await {
            Ok(()) => true,
            Err(TransportError::NoCaller) => {
                warn!("the answer came too late: its caller no longer waits");
                false
            }
            Err(error) => {
                warn!(error = %Escaped(&error), "the caller was not told");
                false
            }
        }
    }

    /// Settles until it is settled; what cannot be put where it should go stays in the queue. Whether it
    /// is settled.
    pub(in crate::subscriber) async fn settle(
        &self,
        delivery: &Delivery,
        settlement: Settlement,
    ) -> bool {
        match self.try_to_settle(delivery, settlement.clone()).await {
            Some(is_settled) => is_settled,
            // In a box, as it is rare: every task would have to have room for it.
            None => Box::pin(self.settle_later(delivery, settlement)).await,
        }
    }

    async fn settle_later(&self, delivery: &Delivery, settlement: Settlement) -> bool {
        let mut pause = PAUSE;
        while self.pause(pause).await.is_some() {
            if let Some(is_settled) = self.try_to_settle(delivery, settlement.clone()).await {
                return is_settled;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        false
    }

    /// Whether it is settled; `None` if that may be tried again.
    async fn try_to_settle(&self, delivery: &Delivery, settlement: Settlement) -> Option<bool> {
        match self.shared.transport.settle(delivery, settlement).await {
            Ok(()) => Some(true),
            Err(TransportError::Stale | TransportError::Closed) => {
                debug!("settled too late: the message comes again");
                Some(false)
            }
            Err(error) => {
                warn!(error = %Escaped(&error), queue = %delivery.queue, "not settled yet");
                None
            }
        }
    }
}

/// What the caller of a command is told. A layer that stops a message need not know whether somebody
/// calls.
pub(super) fn answer_of(handled: &Handled) -> Option<Vec<u8>> {
    let Handled { verdict, answer } = handled;
    let failure = || verdict.is_failure().then(|| Answer::Error(verdict.reason().to_owned()));
    let answer = answer.clone().or_else(failure)?;
    serde_json::to_vec(&answer).ok()
}

/// Whether the caller of a command has given up by now.
fn is_late(command: &Delivery) -> bool {
    let until = headers::time(&command.headers, headers::ANSWER_BY);
    until.is_some_and(|until| until < Utc::now())
}
