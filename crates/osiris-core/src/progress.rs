//! How far a step has come: counters that the driver advances and the command line polls.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one step. Advancing them costs nothing worth measuring; reading them needs no lock [DRV-014].
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    total_rows: AtomicU64,
    total_bytes: AtomicU64,
}

impl Progress {
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
    }

    /// How many bytes there are in all, once known.
    pub fn expect_bytes(&self, bytes: u64) {
        self.total_bytes.store(bytes, Relaxed);
    }

    /// Resets all counters, at the start of an attempt.
    pub(crate) fn reset(&self) {
        for counter in [&self.rows, &self.bytes, &self.total_rows, &self.total_bytes] {
            counter.store(0, Relaxed);
        }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Rows in all, where known.
    pub fn total_rows(&self) -> Option<u64> {
        Some(self.total_rows.load(Relaxed)).filter(|total| *total > 0)
    }

    /// Bytes in all, where known.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.total_bytes.load(Relaxed)).filter(|total| *total > 0)
    }
}
