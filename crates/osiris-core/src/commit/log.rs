//! The log that keeps intents when the process ends.

use serde::{Deserialize, Serialize};

use super::Intent;
use crate::{Result, StepCounts, Written};

/// One commit of one attempt of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// The step.
    pub step: String,
    /// What its rows depend on.
    pub fingerprint: Option<String>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The commit among those of the attempt, from 1.
    pub number: u32,
    /// The rows of the step's input; `None` for a streamed input.
    pub read: Option<u64>,
    /// The rows that the destination had refused by then.
    pub rejected: u64,
    /// What was about to change.
    pub intent: Intent,
}

impl CommitRecord {
    /// The counts of the step if this was its last commit; `None` unless both the rows read and the rows written were
    /// counted: if one were derived from the other, the equation between them could not fail.
    pub fn counts(&self, written: Option<Written>) -> Option<StepCounts> {
        let written = written.or(self.intent.written())?;
        let mut counts = StepCounts { read: self.read?, rejected: self.rejected, ..StepCounts::default() };
        written.add_to(&mut counts);
        Some(counts)
    }
}

/// The known outcome of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CommitEnd {
    /// It took place.
    Committed {
        /// The counts of the step so far; `None` if they were not counted.
        written: Option<Written>,
    },
    /// It did not take place and no longer can.
    NotCommitted,
}

/// Keeps the intents of a run for the run that resumes it. Both methods may block: core calls them on blocking threads.
pub trait CommitLog: Send + Sync {
    /// Records that a commit begins. It is durable when this returns.
    ///
    /// # Errors
    /// It could not be made durable. The commit does not take place then.
    fn begun(&self, record: &CommitRecord) -> Result<()>;

    /// Records its outcome.
    ///
    /// # Errors
    /// It could not be made durable. The running step still knows the outcome; after a crash the destination has to be
    /// asked.
    fn ended(&self, record: &CommitRecord, end: &CommitEnd) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn record(read: Option<u64>) -> CommitRecord {
        CommitRecord {
            step: "load".to_owned(),
            fingerprint: None,
            attempt: 1,
            number: 1,
            read,
            rejected: 1,
            intent: Intent::new("table `t`"),
        }
    }

    #[test]
    fn s49_rows_that_nobody_counted_as_read_prove_nothing() {
        let written = Some(Written::inserted(2));
        assert_eq!(record(None).counts(written), None);
        assert_eq!(record(Some(3)).counts(None), None);
        assert_eq!(record(Some(3)).counts(written).unwrap().imbalance(Role::Write), None);
        assert!(record(Some(4)).counts(written).unwrap().imbalance(Role::Write).is_some());
    }
}
