//! The read-only transaction of a reader, with one snapshot.

use osiris_core::Result;

use crate::client::Session;

const CONTEXT: &str = "starting the read transaction";

/// Begins the transaction.
///
/// # Errors
/// What the server says.
pub(super) async fn begin(session: &mut Session) -> Result<()> {
    // For the next transaction only: the session's level is unchanged.
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", CONTEXT).await?;
    session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", CONTEXT).await?;
    Ok(())
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
