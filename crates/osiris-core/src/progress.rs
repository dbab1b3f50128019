//! How far a step has come: counters that the driver advances and the command line polls.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// A part of a step's work that counts on its own: what is done of the whole begins anew with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Phase {
    /// A file is read to learn the types of its columns.
    InferringTypes = 1,
    /// Rows go into the run store.
    Loading = 2,
}

impl Phase {
    const ALL: [Self; 2] = [Self::InferringTypes, Self::Loading];

    /// What is being done, for people and for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InferringTypes => "inferring types",
            Self::Loading => "loading",
        }
    }
}

/// The counters of one step. Advancing them costs nothing worth measuring; reading them needs no lock [DRV-014].
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    total_rows: AtomicU64,
    total_bytes: AtomicU64,
    /// Whether `total_rows` is an estimate.
    is_estimate: AtomicBool,
    /// How much of its work DuckDB has done, of [`Progress::WHOLE`], as it estimates; 0 where it does not say.
    share: AtomicU64,
    /// Rows that have been taken and are counted once the work has ended.
    followed: AtomicU64,
    /// The [`Phase`] by its number; 0 where there is only one.
    phase: AtomicU8,
}

impl Progress {
    /// All of the work, in the unit of [`share`](Self::share).
    pub const WHOLE: u64 = 10_000;

    /// `rows` more were handled.
    pub fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Relaxed);
    }

    /// `bytes` more went over the wire or the disk.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// How many rows there are in all, once known.
    pub fn expect_rows(&self, rows: impl Into<Option<u64>>) {
        self.total_rows.store(rows.into().unwrap_or_default(), Relaxed);
        self.is_estimate.store(false, Relaxed);
    }

    /// About how many rows there are in all, such as by the statistics of a database. An estimate never replaces a
    /// number that is known.
    pub fn estimate_rows(&self, rows: u64) {
        if self.total_rows.compare_exchange(0, rows, Relaxed, Relaxed).is_ok() {
            self.is_estimate.store(true, Relaxed);
        }
    }

    /// How many bytes there are in all, once known.
    pub fn expect_bytes(&self, bytes: u64) {
        self.total_bytes.store(bytes, Relaxed);
    }

    /// Another part of the work begins. What DuckDB said of its progress was about the one before.
    pub fn enter(&self, phase: Phase) {
        self.share.store(0, Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    /// The share of its work that DuckDB estimates to have done. A step may run several statements: the share never
    /// falls, and is never the whole before the step has ended.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 9,900")]
    pub(crate) fn follow(&self, percent: f64) {
        let share = (percent.clamp(0.0, 99.0) * 100.0) as u64;
        self.share.fetch_max(share, Relaxed);
    }

    /// So many rows have been taken by work that counts them once it has ended.
    pub(crate) fn follow_rows(&self, rows: u64) {
        self.followed.fetch_max(rows, Relaxed);
    }

    /// Resets all counters, at the start of an attempt.
    pub(crate) fn reset(&self) {
        for counter in [&self.rows, &self.bytes, &self.total_rows, &self.total_bytes, &self.share, &self.followed] {
            counter.store(0, Relaxed);
        }
        self.phase.store(0, Relaxed);
        self.is_estimate.store(false, Relaxed);
    }

    /// Rows so far; while DuckDB works, as many of a known total as it estimates.
    pub fn rows(&self) -> u64 {
        let total = self.total_rows().filter(|_| !self.is_estimate());
        self.counted_rows().max(self.share_of(total))
    }

    fn counted_rows(&self) -> u64 {
        self.rows.load(Relaxed).max(self.followed.load(Relaxed))
    }

    /// Bytes so far; while DuckDB works, as many of a known total as it estimates.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed).max(self.share_of(self.total_bytes()))
    }

    /// Rows in all, where known or [estimated](Self::is_estimate). An estimate of fewer rows than have come is dropped.
    pub fn total_rows(&self) -> Option<u64> {
        let least = if self.is_estimate.load(Relaxed) { self.counted_rows() } else { 0 };
        Some(self.total_rows.load(Relaxed)).filter(|total| *total > 0 && *total >= least)
    }

    /// Whether [`total_rows`](Self::total_rows) is an estimate.
    pub fn is_estimate(&self) -> bool {
        self.is_estimate.load(Relaxed) && self.total_rows().is_some()
    }

    /// Bytes in all, where known.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.total_bytes.load(Relaxed)).filter(|total| *total > 0)
    }

    /// How much of its work DuckDB has done, of [`Progress::WHOLE`], where it estimates that.
    pub fn share(&self) -> Option<u64> {
        Some(self.share.load(Relaxed)).filter(|share| *share > 0)
    }

    /// The part of the work that goes on, where a step has several.
    pub fn phase(&self) -> Option<Phase> {
        let number = self.phase.load(Relaxed);
        Phase::ALL.into_iter().find(|phase| *phase as u8 == number)
    }

    fn share_of(&self, total: Option<u64>) -> u64 {
        let part =
            total.and_then(|total| Some(u128::from(total) * u128::from(self.share()?) / u128::from(Self::WHOLE)));
        part.and_then(|part| u64::try_from(part).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_marked_and_never_replaces_what_is_known() {
        let progress = Progress::default();
        progress.estimate_rows(90);
        assert_eq!((progress.total_rows(), progress.is_estimate()), (Some(90), true));
        progress.expect_rows(100);
        progress.estimate_rows(90);
        assert_eq!((progress.total_rows(), progress.is_estimate()), (Some(100), false));
        progress.reset();
        assert_eq!((progress.total_rows(), progress.is_estimate()), (None, false));
    }

    #[test]
    fn an_estimate_of_fewer_rows_than_have_come_is_dropped() {
        let progress = Progress::default();
        progress.estimate_rows(90);
        progress.add_rows(90);
        assert_eq!((progress.total_rows(), progress.is_estimate()), (Some(90), true));
        progress.add_rows(1);
        assert_eq!((progress.rows(), progress.total_rows(), progress.is_estimate()), (91, None, false));
        progress.reset();
        progress.expect_rows(90);
        progress.add_rows(91);
        assert_eq!(progress.total_rows(), Some(90), "what is known is not an estimate");
    }

    #[test]
    fn a_phase_begins_its_share_anew() {
        let progress = Progress::default();
        assert_eq!(progress.phase(), None);
        progress.enter(Phase::InferringTypes);
        progress.follow(90.0);
        progress.enter(Phase::Loading);
        assert_eq!((progress.phase(), progress.share()), (Some(Phase::Loading), None));
        progress.follow(10.0);
        assert_eq!(progress.share(), Some(1_000));
        progress.reset();
        assert_eq!(progress.phase(), None, "another attempt begins");
    }

    #[test]
    fn counters_follow_duckdb_until_they_are_counted() {
        let progress = Progress::default();
        progress.follow(12.345);
        assert_eq!((progress.rows(), progress.share()), (0, Some(1_234)), "nothing is known of the total");
        progress.expect_rows(1_000);
        progress.expect_bytes(50);
        assert_eq!((progress.rows(), progress.bytes()), (123, 6));
        progress.follow(5.0);
        progress.follow(-1.0);
        assert_eq!(progress.rows(), 123, "another statement begins");
        progress.follow(100.0);
        assert_eq!(progress.rows(), 990, "the step has not ended");
        progress.add_rows(1_000);
        assert_eq!(progress.rows(), 1_000);
        progress.follow_rows(5);
        assert_eq!(progress.rows(), 1_000);
        progress.reset();
        progress.estimate_rows(1_000);
        progress.follow(50.0);
        assert_eq!((progress.rows(), progress.share()), (0, Some(5_000)), "an estimate of an estimate");
    }
}
