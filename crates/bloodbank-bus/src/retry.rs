//! When a message that failed is tried again.

use std::time::Duration;

use bloodbank_core::{BundledService, QueueLimits};

use crate::Queue;

/// How long to wait after each failure. The attempt is counted in the message, not in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    delays: Vec<Duration>,
}

/// After 1 s, 10 s, 1 min and 10 min; then the message is parked.
impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy::ladder([1, 10, 60, 600].map(Duration::from_secs))
    }
}

impl RetryPolicy {
    /// One more attempt after each of these delays, in order.
    pub fn ladder(delays: impl IntoIterator<Item = Duration>) -> Self {
        RetryPolicy { delays: delays.into_iter().collect() }
    }

    /// What registry.yaml says of a queue of a service: one for its events, or the worker queue of a
    /// command that it carries out. `None` if it says nothing.
    pub fn of_queue(service: &BundledService, queue: &str) -> Option<Self> {
        let named = service.queues.iter().find(|named| named.name == queue);
        let is_worker = || Queue::workers_of(service).iter().any(|worker| worker.name == queue);
        let limits: &QueueLimits = match named {
            Some(named) => &named.limits,
            None if is_worker() => &service.limits,
            None => return None,
        };
        let delays = limits.retries.as_ref()?;
        Some(RetryPolicy::ladder(delays.iter().map(|delay| delay.duration())))
    }

    /// No second attempt: what fails is parked.
    pub fn never() -> Self {
        RetryPolicy::ladder([])
    }

    /// The delays between attempts.
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// How long to wait after this attempt (from 1) has failed; `None` when it was the last.
    pub fn after(&self, attempt: u32) -> Option<Duration> {
        let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
        self.delays.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_attempts_by_default() {
        let policy = RetryPolicy::default();
        let waits: Vec<_> = (1..=5).map(|attempt| policy.after(attempt)).collect();
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(waits, [seconds(1), seconds(10), seconds(60), seconds(600), None]);
        assert_eq!(RetryPolicy::never().after(1), None);
    }
}
