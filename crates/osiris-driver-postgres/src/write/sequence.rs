//! The sequences behind columns that were written: after numbers of ours the next default must not be one of them. MySQL moves its
//! counters by itself; PostgreSQL does not.

use osiris_core::Result;

use super::failure::Failure;
use super::target::TargetTable;
use super::transaction::Transaction;
use crate::client::{literal, quote};
use crate::types::encode::Field;

const DOING: &str = "moving a sequence on";

/// Moves each sequence that is behind the greatest number of its column past it. A sequence is never moved back. One that cannot
/// be moved, since the number is beyond its end, stays as it is.
///
/// # Errors
/// When the server is gone, or refuses for another reason.
pub(super) async fn move_on(tx: &mut Transaction, table: &str, target: &TargetTable, fields: &[Field]) -> Result<()> {
    for field in fields {
        let Some(sequence) = target.column(&field.target).and_then(|column| column.sequence.clone()) else { continue };
        let column = quote(&field.target);
        let sql = format!(
            "SELECT pg_catalog.setval({}, m.top::bigint) FROM (SELECT max({column}) AS top FROM {table}) m, {sequence} q \
             WHERE m.top > q.last_value OR (m.top = q.last_value AND NOT q.is_called)",
            literal(&sequence)
        );
        tx.run("SAVEPOINT osiris_sequence", DOING).await?;
        match tx.attempt_rows(&sql, DOING).await {
            Ok(_) => {
                tx.run("RELEASE SAVEPOINT osiris_sequence", DOING).await?;
            }
            Err(Failure::Server(refusal)) if refusal.is_about_rows() => {
                tracing::warn!(sequence, reason = refusal.message, "the sequence was left where it is");
                tx.run("ROLLBACK TO SAVEPOINT osiris_sequence; RELEASE SAVEPOINT osiris_sequence", DOING).await?;
            }
            Err(failure) => return Err(failure.into_error(DOING)),
        }
    }
    Ok(())
}
