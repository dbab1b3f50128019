//! A commit that has begun.

use std::sync::Arc;

use super::{CommitEnd, Phase};
use crate::Written;

/// A commit that has begun: what follows may change the destination for good.
///
/// If it is dropped unresolved, its outcome is unknown. A component that returns `Ok` from
/// [`write`](crate::Write::write) need not resolve it: core does, with the returned counts.
#[must_use = "resolve the commit: `committed` or `not_committed`"]
pub struct Commit {
    pub(super) phase: Arc<Phase>,
    pub(super) index: usize,
}

impl Commit {
    /// The destination has acknowledged it: `written` is what the step has written in total so far. From now on neither
    /// a time limit nor a cancellation makes the write fail; what remains (counting, removing what was replaced,
    /// closing the session) gets a short time.
    ///
    /// A failure to record this is logged, not returned: the ledger follows.
    ///
    /// # Cancel safety
    /// The outcome counts from the first poll on.
    pub async fn committed(self, written: Written) {
        self.phase.end(self.index, CommitEnd::Committed { written: Some(written) }).await;
    }

    /// Everything since [`begin_commit`](crate::ExecutionContext::begin_commit) is known to be undone, and to stay so:
    /// the server answered with an error, or said that the transaction was rolled back. Not for a connection that
    /// broke.
    ///
    /// # Cancel safety
    /// As for [`committed`](Self::committed).
    pub async fn not_committed(self) {
        self.phase.end(self.index, CommitEnd::NotCommitted).await;
    }
}
