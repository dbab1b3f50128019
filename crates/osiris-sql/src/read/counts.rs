//! The rows that were read.

use osiris_core::Extracted;

/// Row counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Rows received from the server.
    pub read: u64,
    /// Of these, skipped as already read.
    pub deduplicated: u64,
    /// Values changed by a policy.
    pub altered: u64,
}

impl Counts {
    /// As a step reports them.
    pub fn extracted(self) -> Extracted {
        Extracted::rows(self.read).with_deduplicated(self.deduplicated).with_altered(self.altered)
    }

    /// Adds those of another statement.
    pub fn add(&mut self, other: Self) {
        self.read += other.read;
        self.deduplicated += other.deduplicated;
        self.altered += other.altered;
    }
}
