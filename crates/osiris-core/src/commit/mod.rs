//! The point of no return of a write: what is recorded before it, how long core waits after it, and what happens when
//! the outcome stays unknown.
//!
//! A writer may take its time to prepare: until then a time limit or a cancellation drops it, and a later attempt
//! starts over. Before the first statement or request that may change the destination permanently it calls
//! [`begin_commit`](crate::ExecutionContext::begin_commit) with an [`Intent`]. Core then
//!
//! 1. records the intent durably in the [`CommitLog`] of the run. If that fails the write does not begin;
//! 2. no longer drops the writer at its time limit or at the first cancellation, but waits for it, as long as
//!    [`CommitLimits`] allow;
//! 3. never begins the step again while the outcome is unknown, unless the intent is
//!    [repeatable](Intent::with_repeatable).
//!
//! The writer resolves the [`Commit`] it got as [`committed`](Commit::committed) or as
//! [`not_committed`](Commit::not_committed) when it knows that everything was rolled back. A commit that is dropped
//! without either has an unknown outcome: core asks the component ([`Write::outcome`](crate::Write::outcome)), and if
//! that does not know either, the step ends as [ambiguous](crate::ErrorKind::Ambiguous). A resumed run asks in the same
//! way about what it finds in the log.

mod guard;
mod intent;
mod log;
mod phase;

pub use guard::Commit;
pub use intent::{CommitLimits, CommitOutcome, Intent};
pub use log::{CommitEnd, CommitLog, CommitRecord};

pub(crate) use phase::{Phase, Standing};
