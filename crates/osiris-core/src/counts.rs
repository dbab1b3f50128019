//! The row counts of one step: the lines of the ledger, and the two equations that prove nothing was lost.

use serde::{Deserialize, Serialize};

use crate::Role;

/// The row counts of one step, by outcome.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepCounts {
    /// Rows that came out of the source (extract) or out of the upstream tables (transform, write).
    pub read: u64,
    /// Rows in the step's table.
    pub stored: u64,
    /// Rows left out because an earlier run or page already had them.
    pub deduplicated: u64,
    /// Rows that the source, a cast or the destination rejected; kept in the reject table.
    pub rejected: u64,
    /// Rows new in the destination.
    pub inserted: u64,
    /// Rows that replaced existing ones.
    pub updated: u64,
    /// Rows that existed already and were equal.
    pub unchanged: u64,
    /// Rows ignored as configured: by a writer because their key existed, by an extractor because the item was null.
    pub ignored: u64,
    /// Rows of the destination that were deleted, as the mode requires.
    pub deleted: u64,
    /// Values changed on the way, as a policy of the step allows.
    pub altered: u64,
    /// Rows of the source that were not read, as a policy of the step allows: those without a cursor.
    pub skipped: u64,
}

impl StepCounts {
    /// Rows that the destination acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.inserted + self.updated + self.unchanged + self.ignored
    }

    /// Checks the step's equation: `read = stored + deduplicated + ignored + rejected` for an extraction, `read =
    /// inserted + updated + unchanged + ignored + rejected` for a write. A transformation has none: SQL makes the rows it makes.
    ///
    /// Returns a description of the difference, or `None`.
    pub fn imbalance(&self, role: Role) -> Option<String> {
        match role {
            Role::Extract => {
                let accounted = self.stored + self.deduplicated + self.ignored + self.rejected;
                (self.read != accounted).then(|| {
                    format!(
                        "the source gave {} rows, but {accounted} are accounted for \
                         ({} stored + {} deduplicated + {} ignored + {} rejected)",
                        self.read, self.stored, self.deduplicated, self.ignored, self.rejected
                    )
                })
            }
            Role::Transform => None,
            Role::Write => {
                let accounted = self.acknowledged() + self.rejected;
                (self.read != accounted).then(|| {
                    format!(
                        "{} rows were to be written, but the destination accounts for {accounted} \
                         ({} inserted + {} updated + {} unchanged + {} ignored + {} rejected)",
                        self.read, self.inserted, self.updated, self.unchanged, self.ignored, self.rejected
                    )
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_row_is_an_imbalance() {
        let counts = StepCounts { read: 3, stored: 2, ..StepCounts::default() };
        assert!(counts.imbalance(Role::Extract).unwrap().contains("3 rows, but 2"));
        let counts = StepCounts { read: 3, inserted: 1, ignored: 1, ..StepCounts::default() };
        assert!(counts.imbalance(Role::Write).unwrap().contains("accounts for 2"));
    }

    #[test]
    fn rejected_and_deduplicated_rows_are_accounted_for() {
        let counts =
            StepCounts { read: 6, stored: 2, deduplicated: 2, ignored: 1, rejected: 1, ..StepCounts::default() };
        assert_eq!(counts.imbalance(Role::Extract), None);
        let counts =
            StepCounts { read: 4, inserted: 1, updated: 1, unchanged: 1, rejected: 1, ..StepCounts::default() };
        assert_eq!(counts.imbalance(Role::Write), None);
    }
}
