//! How long things took, in buckets whose bounds never change.

/// How many buckets there are: one below zero, one below [`FIRST`], two for each time that doubles, and
/// one for all beyond.
pub(crate) const BUCKETS: usize = 53;

/// The upper bound of the shortest times, in microseconds.
const FIRST: i64 = 128;

/// How many times are in each bucket. What is taken away is below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Histogram(pub(crate) [i64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; BUCKETS])
    }
}

impl Histogram {
    /// Adds so many of a time in microseconds.
    pub(crate) fn add(&mut self, time: i64, count: i64) {
        self.0[bucket(time)] += count;
    }

    pub(crate) fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// The time that so many of a hundred do not exceed, in microseconds; within 20 %, and within 64 µs
    /// below 128. Below zero it is 0, and beyond the last bound it is that. `None` where there are none.
    pub(crate) fn quantile(&self, percent: i64) -> Option<i64> {
        let total: i64 = self.0.iter().sum();
        if total <= 0 {
            return None;
        }
        let rank = (total.saturating_mul(percent) / 100).max(1);
        let rank = rank + i64::from(rank.saturating_mul(100) < total.saturating_mul(percent));
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map(middle)
    }
}

fn bucket(time: i64) -> usize {
    if time < 0 {
        return 0;
    }
    let Some(doubled) = (time / FIRST).checked_ilog2() else { return 1 };
    let low = FIRST << doubled;
    let is_upper = time - low >= low / 2;
    (2 + 2 * doubled as usize + usize::from(is_upper)).min(BUCKETS - 1)
}

/// The lower bound of a bucket from the third on.
fn low(bucket: usize) -> i64 {
    let low = FIRST << ((bucket - 2) / 2);
    if bucket.is_multiple_of(2) { low } else { low + low / 2 }
}

/// What stands for the times of a bucket: as far from one bound as from the other, in proportion.
fn middle(bucket: usize) -> i64 {
    match bucket {
        0 => 0,
        1 => FIRST / 2,
        last if last + 1 >= BUCKETS => low(BUCKETS - 1),
        bucket => {
            let (low, high) = (low(bucket), low(bucket + 1));
            low + low * (high - low) / (low + high)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_belong_to_the_bucket_above() {
        let found = [-1, 0, 127, 128, 191, 192, 255, 256, 383, 384].map(bucket);
        assert_eq!(found, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
        assert_eq!([bucket(i64::MAX), bucket(i64::MIN)], [BUCKETS - 1, 0]);
        for bucket_of_it in 2..BUCKETS {
            assert_eq!(bucket(low(bucket_of_it)), bucket_of_it);
        }
    }

    #[test]
    fn without_times_there_is_no_quantile() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(50), None);
        histogram.add(-5, 1);
        assert_eq!(histogram.quantile(50), Some(0));
        histogram.add(-5, -1);
        assert_eq!(histogram.quantile(99), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_the_error(
            mut times in prop::collection::vec(0_i64..3_600_000_000, 1..300),
            percent in prop::sample::select(vec![50_i64, 95, 99]),
        ) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|time| histogram.add(*time, 1));
            times.sort_unstable();
            let rank = (times.len() * percent as usize).div_ceil(100).max(1);
            let (exact, found) = (times[rank - 1], histogram.quantile(percent).unwrap());
            let error = (found - exact).abs();
            prop_assert!(error <= 64 || error as f64 <= 0.2 * exact as f64, "{exact} {found}");
        }
    }
}
