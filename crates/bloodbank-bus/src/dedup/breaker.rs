//! A breaker: who does not answer is left alone for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing is asked after the first failure; after each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After which time one who has never said what came of its question does not count any more.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// Lets questions through while they are answered. After a failure it lets none through for a while,
/// then a single one, which decides.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        pause: Duration,
        until: Instant,
        /// Whether one was let through.
        probing: bool,
    },
}

impl Breaker {
    /// Whether a question may be asked now. [`note`](Breaker::note) what came of it.
    pub(super) fn lets_through(&self) -> bool {
        match &mut *self.state() {
            State::Closed => true,
            State::Open { until, probing, .. } => {
                let now = Instant::now();
                let is_over = now >= *until;
                if is_over {
                    (*until, *probing) = (now + FORGOTTEN, true);
                }
                is_over
            }
        }
    }

    pub(super) fn note(&self, was_answered: bool) {
        let mut state = self.state();
        let pause = match &*state {
            _ if was_answered => return *state = State::Closed,
            State::Closed => FIRST_PAUSE,
            State::Open { pause, probing: true, .. } => (*pause * 2).min(LONGEST_PAUSE),
            // Asked before the first failure, and failed after it.
            State::Open { .. } => return,
        };
        *state = State::Open { pause, until: Instant::now() + pause, probing: false };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// How many seconds it lets nothing through.
    async fn closed_for(breaker: &Breaker) -> u64 {
        for seconds in 0..100 {
            if breaker.lets_through() {
                return seconds;
            }
            advance(Duration::from_secs(1)).await;
        }
        panic!("for ever")
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_question_decides_and_the_pauses_grow() {
        let breaker = Breaker::default();
        assert!(breaker.lets_through() && breaker.lets_through(), "all of them");
        for expected in [2, 4, 8, 16, 30, 30] {
            breaker.note(false);
            assert_eq!(closed_for(&breaker).await, expected);
            assert!(!breaker.lets_through(), "one is enough");
        }
        breaker.note(true);
        assert!(breaker.lets_through() && breaker.lets_through());
        breaker.note(false);
        assert_eq!(closed_for(&breaker).await, 2, "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_fail_together_count_once_and_one_that_never_ends_does_not_count() {
        let breaker = Breaker::default();
        breaker.note(false);
        breaker.note(false);
        assert_eq!(closed_for(&breaker).await, 2);
        assert_eq!(closed_for(&breaker).await, 5, "the first one was dropped");
    }
}
