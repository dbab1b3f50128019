//! What the counters of a step say at one moment, and what follows from them.

use std::time::Duration;

use osiris::core::{Phase, Progress};

/// Before that a speed says nothing.
const SETTLED: Duration = Duration::from_secs(1);

/// The counters of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    pub(super) rows: u64,
    pub(super) total_rows: Option<u64>,
    /// Whether `total_rows` is an estimate.
    pub(super) is_estimate: bool,
    pub(super) bytes: u64,
    pub(super) total_bytes: Option<u64>,
    pub(super) phase: Option<Phase>,
    /// Since the step began.
    pub(super) elapsed: Duration,
    /// Since the phase began.
    pub(super) in_phase: Duration,
    /// What DuckDB estimates, of [`Progress::WHOLE`].
    pub(super) by_duckdb: Option<u64>,
}

/// How much of how much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) done: u64,
    pub(super) all: u64,
    pub(super) is_estimate: bool,
}

impl Sample {
    pub(super) fn of(progress: &Progress, elapsed: Duration, in_phase: Duration) -> Self {
        Self {
            rows: progress.rows(),
            total_rows: progress.total_rows(),
            is_estimate: progress.is_estimate(),
            bytes: progress.bytes(),
            total_bytes: progress.total_bytes(),
            phase: progress.phase(),
            elapsed,
            in_phase,
            by_duckdb: progress.share(),
        }
    }

    /// Bytes where they are known, else rows, else what DuckDB says of its work; what is complete gives way to what is not.
    pub(super) fn share(&self) -> Option<Share> {
        let of = |done: u64, all: u64, is_estimate| Share { done: done.min(all), all, is_estimate };
        let bytes = self.total_bytes.map(|all| of(self.bytes, all, false));
        let rows = self.total_rows.map(|all| of(self.rows, all, self.is_estimate));
        let work = self.by_duckdb.map(|done| of(done, Progress::WHOLE, true));
        let known = || [bytes, rows, work].into_iter().flatten();
        known().find(|share| share.done < share.all).or_else(|| known().next())
    }

    /// Rows per second.
    pub(super) fn rate(&self) -> Option<u64> {
        let rate = u128::from(self.rows) * 1000 / self.in_phase.as_millis().max(1);
        u64::try_from(rate).ok().filter(|rate| *rate > 0 && self.in_phase >= SETTLED)
    }

    /// The time that the rest of the phase takes at the speed so far.
    pub(super) fn left(&self) -> Option<Duration> {
        let Share { done, all, .. } = self.share().filter(|share| share.done > 0 && share.done < share.all)?;
        let millis = self.in_phase.as_millis() * u128::from(all - done) / u128::from(done);
        u64::try_from(millis).ok().map(Duration::from_millis).filter(|_| self.in_phase >= SETTLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(progress: &Progress, seconds: u64) -> Sample {
        Sample::of(progress, Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    #[test]
    fn bytes_count_before_rows_until_they_are_complete() {
        let progress = Progress::default();
        assert_eq!(at(&progress, 1).share(), None);
        progress.add_rows(150);
        progress.estimate_rows(1_000);
        assert_eq!(at(&progress, 1).share(), Some(Share { done: 150, all: 1_000, is_estimate: true }));
        progress.add_bytes(20);
        progress.expect_bytes(40);
        assert_eq!(at(&progress, 1).share(), Some(Share { done: 20, all: 40, is_estimate: false }));
        progress.add_bytes(20);
        assert_eq!(at(&progress, 1).share(), Some(Share { done: 150, all: 1_000, is_estimate: true }));
        progress.expect_rows(100);
        assert_eq!(at(&progress, 1).share(), Some(Share { done: 40, all: 40, is_estimate: false }), "all is complete");
    }

    #[test]
    fn the_time_left_follows_from_the_speed_so_far() {
        let progress = Progress::default();
        progress.add_rows(250);
        progress.expect_rows(1_000);
        assert_eq!((at(&progress, 2).rate(), at(&progress, 2).left()), (Some(125), Some(Duration::from_secs(6))));
        assert_eq!((at(&progress, 0).rate(), at(&progress, 0).left()), (None, None), "too early to say");
        progress.add_rows(750);
        assert_eq!(at(&progress, 2).left(), None);
    }
}
