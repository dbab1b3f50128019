//! The transaction that a reader works in: it changes nothing, and reads one snapshot.
//!
//! What is set is set for the transaction only: behind a pooler the session is somebody else's a moment later.

use std::time::Duration;

use osiris_core::Result;

use crate::client::{Session, literal};

const DOING: &str = "beginning to read";

/// How values are printed, whatever the server's own settings: shortest exact numbers, ISO 8601 in the rest. No limit but ours
/// ends a transaction that waits for others of the same step.
const SETTINGS: &str = "SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex; SET LOCAL intervalstyle = postgres; \
                        SET LOCAL idle_in_transaction_session_timeout = 0; \
                        SET LOCAL application_name = 'osiris extract'";

/// How a transaction begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// When the server ends a statement.
    pub(super) statement_timeout: Option<Duration>,
    /// The snapshot of another transaction to see; else what there is now.
    pub(super) exported: Option<String>,
}

impl Snapshot {
    /// Begins it.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn begin(&self, session: &mut Session) -> Result<()> {
        session.begin(&self.sql(), DOING).await
    }

    fn sql(&self) -> String {
        // The snapshot comes before whatever could be taken for a query.
        let snapshot = self.exported.as_ref().map(|id| format!("SET TRANSACTION SNAPSHOT {}; ", literal(id)));
        let millis = self.statement_timeout.map_or(0, |limit| limit.as_millis().clamp(1, 2_000_000_000));
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}SET LOCAL statement_timeout = {millis}; {SETTINGS}",
            snapshot.unwrap_or_default()
        )
    }
}

/// Ends it and gives the session back.
///
/// # Errors
/// What the server says.
pub(super) async fn end(mut session: Session) -> Result<()> {
    session.execute("COMMIT", "ending to read").await?;
    session.release().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_taken_before_anything_else_and_no_limit_is_zero() {
        let snapshot = Snapshot { statement_timeout: None, exported: Some("0003-1".to_owned()) };
        assert!(snapshot.sql().starts_with(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '0003-1'; SET LOCAL statement_timeout = 0;"
        ));
        let snapshot = Snapshot { statement_timeout: Some(Duration::from_micros(1)), exported: None };
        assert!(snapshot.sql().contains("READ ONLY; SET LOCAL statement_timeout = 1;"));
    }
}
