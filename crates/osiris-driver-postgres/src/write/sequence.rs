//! Advances the sequences of written columns, so that the next default is not a value that was written. MySQL advances
//! its counters automatically; PostgreSQL does not.

use osiris_core::Result;

use super::failure::StatementError;
use super::target::Target;
use super::transaction::Transaction;
use crate::client::{literal, quote};
use crate::types::encode::Field;

const CONTEXT: &str = "advancing a sequence";

/// Advances each sequence past the greatest value of its column. Never moves a sequence back. One that cannot
/// be advanced, because the value is out of its range, is unchanged.
///
/// # Errors
/// When the connection is lost, or the server rejects it for another reason.
pub(super) async fn move_on(tx: &mut Transaction, table: &str, target: &Target, fields: &[Field]) -> Result<()> {
    for field in fields {
        let Some(sequence) = target.table.column(&field.target).and_then(|column| column.details.sequence.clone())
        else {
            continue;
        };
        let column = quote(&field.target);
        let sql = format!(
            "SELECT pg_catalog.setval({}, m.top::bigint) FROM (SELECT max({column}) AS top FROM {table}) m, {sequence} q \
             WHERE m.top > q.last_value OR (m.top = q.last_value AND NOT q.is_called)",
            literal(&sequence)
        );
        tx.run("SAVEPOINT osiris_sequence", CONTEXT).await?;
        match tx.attempt_rows(&sql, CONTEXT).await {
            Ok(_) => {
                tx.run("RELEASE SAVEPOINT osiris_sequence", CONTEXT).await?;
            }
            Err(StatementError::Server(refusal)) if refusal.is_about_rows() => {
                tracing::warn!(sequence, reason = refusal.message, "failed to advance the sequence");
                tx.run("ROLLBACK TO SAVEPOINT osiris_sequence; RELEASE SAVEPOINT osiris_sequence", CONTEXT).await?;
            }
            Err(failure) => return Err(failure.into_error(CONTEXT)),
        }
    }
    Ok(())
}
