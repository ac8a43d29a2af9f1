//! When the next event is due.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Pace;

/// How far a replay that was held up may catch up. Timers are coarser than the pauses of a fast one.
const SLACK: Duration = Duration::from_millis(20);

/// The longest time between two events: a month.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Tells when each event is due.
pub(super) struct Pacer {
    pace: Pace,
    last: Option<Instant>,
    /// When the first event was due, and when it happened.
    first: Option<(Instant, DateTime<Utc>)>,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> Self {
        Pacer { pace, last: None, first: None }
    }

    /// When an event is due that happened `at`; never before the one before it.
    pub(super) fn due(&mut self, now: Instant, at: DateTime<Utc>) -> Instant {
        let due = match self.pace {
            Pace::Full => now,
            Pace::Rate(rate) => match self.last {
                Some(last) => (last + span(1.0 / rate)).max(now.checked_sub(SLACK).unwrap_or(now)),
                None => now,
            },
            Pace::Speed(speed) => {
                let (start, first) = *self.first.get_or_insert((now, at));
                let passed = at.signed_duration_since(first).to_std().unwrap_or_default();
                start + span(passed.as_secs_f64() / speed)
            }
        };
        let due = self.last.map_or(due, |last| due.max(last));
        self.last = Some(due);
        due
    }
}

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_rate_is_never_exceeded_and_a_pause_is_not_made_up_for() {
        let mut pacer = Pacer::new(Pace::Rate(100.0));
        let (start, at) = (Instant::now(), Utc::now());
        assert_eq!(pacer.due(start, at), start);
        assert_eq!(pacer.due(start, at), start + Duration::from_millis(10));
        let late = start + Duration::from_secs(1);
        assert_eq!(pacer.due(late, at), late - SLACK);
        assert_eq!(pacer.due(late, at), late - SLACK / 2);
    }

    #[test]
    fn a_time_scale_keeps_distances_and_never_goes_back() {
        let mut pacer = Pacer::new(Pace::Speed(10.0));
        let (start, at) = (Instant::now(), Utc::now());
        let mut due = |seconds| pacer.due(start, at + TimeDelta::seconds(seconds)) - start;
        assert_eq!(due(0), Duration::ZERO);
        assert_eq!(due(20), Duration::from_secs(2));
        assert_eq!(due(5), Duration::from_secs(2));
        assert_eq!(due(30), Duration::from_secs(3));
        assert_eq!(due(10_000_000_000), LONGEST);
    }
}
