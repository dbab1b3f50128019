//! What a writer is about to commit, and the outcome that a destination can report afterwards.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Written;

/// What is about to change for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    destination: String,
    #[serde(default)]
    repeatable: bool,
    #[serde(default)]
    in_parts: bool,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    token: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<Written>,
}

impl Intent {
    /// A commit of all rows or none to `destination`: a description for the user who has to check it, such as
    /// ``table `db.t` of host:3306``. It must not hold a secret. Not repeatable.
    pub fn new(destination: impl Into<String>) -> Self {
        Self { destination: destination.into(), repeatable: false, in_parts: false, token: Value::Null, written: None }
    }

    /// Whether doing it a second time leaves the same destination, also when the first time takes effect late: an
    /// upsert, an overwrite, an append that ignores keys that are there. Such a write may be tried again while its
    /// outcome is unknown.
    #[must_use]
    pub fn with_repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = repeatable;
        self
    }

    /// Says that the rows become visible in several parts (one request commits some of them), so that an unknown
    /// outcome may mean that some are there. Core compares the files of the input again at the end; whoever removes other
    /// rows then calls [`TableRef::ensure_unchanged`](crate::TableRef::ensure_unchanged) before.
    #[must_use]
    pub fn with_parts(mut self) -> Self {
        self.in_parts = true;
        self
    }

    /// What identifies the commit when the destination is asked for its outcome later, in the component's own form: the
    /// id of a transaction, the length and hash of a file, an idempotency key. It is kept in the run directory: no
    /// secret, no cell value.
    #[must_use]
    pub fn with_token(mut self, token: Value) -> Self {
        self.token = token;
        self
    }

    /// What the step will have written once this is committed, as far as the destination has counted it by now. Without
    /// it, a run that learns of the commit only later cannot balance its ledger.
    #[must_use]
    pub fn with_written(mut self, written: Written) -> Self {
        self.written = Some(written);
        self
    }

    /// The description of the destination.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Whether it can be repeated safely.
    pub fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// Whether some of the rows may be there and others not.
    pub fn is_in_parts(&self) -> bool {
        self.in_parts
    }

    /// The component's own token, or null.
    pub fn token(&self) -> &Value {
        &self.token
    }

    /// The counts once it is committed.
    pub fn written(&self) -> Option<Written> {
        self.written
    }
}

/// The outcome of a commit, as the destination reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It took place.
    Committed {
        /// The counts, where they are known better than from the [`Intent`].
        written: Option<Written>,
    },
    /// It did not take place and no longer can: whatever was in flight is known to be lost.
    NotCommitted,
    /// The destination cannot tell, or the commit may still take place.
    Unknown,
}

/// How long core waits for a writer that has begun to commit, once its step timed out or was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitLimits {
    /// For the response to a commit. Default 60 s: longer than any component's own limit for a request or statement, so
    /// that the component can find out the outcome itself first.
    pub answer: Duration,
    /// For what remains to be done once the outcome is known: counting, removing what was replaced, closing the
    /// session. Default 10 s.
    pub finishing: Duration,
    /// For [asking](crate::Write::outcome) the destination afterwards. Default 30 s.
    pub asking: Duration,
}

impl Default for CommitLimits {
    fn default() -> Self {
        Self { answer: Duration::from_secs(60), finishing: Duration::from_secs(10), asking: Duration::from_secs(30) }
    }
}
