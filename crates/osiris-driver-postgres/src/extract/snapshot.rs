//! The read-only transaction of a reader, with one snapshot.
//!
//! Settings apply to the transaction only: behind a pooler the session then goes to another client.

use std::time::Duration;

use osiris_core::Result;

use crate::client::{Session, literal};

const CONTEXT: &str = "starting the read transaction";

/// Formats values independently of the server's settings: shortest exact numbers, ISO 8601 for the rest. Only our own
/// limits end a transaction that waits for others of the same step.
const SETTINGS: &str = "SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex; SET LOCAL intervalstyle = postgres; \
                        SET LOCAL idle_in_transaction_session_timeout = 0; \
                        SET LOCAL application_name = 'osiris extract'";

/// What a server that limits whole transactions is told besides.
const UNLIMITED: &str = "; SET LOCAL transaction_timeout = 0";

/// Options of a read transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Statement timeout.
    pub(super) statement_timeout: Option<Duration>,
    /// The snapshot to import, else a new one.
    pub(super) exported: Option<String>,
}

impl Snapshot {
    /// Begins the transaction.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn begin(&self, session: &mut Session) -> Result<()> {
        let more = if session.server().limits_transactions() { UNLIMITED } else { "" };
        session.begin(&format!("{}{more}", self.sql()), CONTEXT).await
    }

    fn sql(&self) -> String {
        // The snapshot must be set before any query.
        let snapshot = self.exported.as_ref().map(|id| format!("SET TRANSACTION SNAPSHOT {}; ", literal(id)));
        let millis = self.statement_timeout.map_or(0, |limit| limit.as_millis().clamp(1, 2_000_000_000));
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}SET LOCAL statement_timeout = {millis}; {SETTINGS}",
            snapshot.unwrap_or_default()
        )
    }
}

/// Ends the transaction and returns the session.
///
/// # Errors
/// What the server says.
pub(super) async fn end(mut session: Session) -> Result<()> {
    session.execute("COMMIT", "ending the read transaction").await?;
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
