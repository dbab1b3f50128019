//! The transaction that a reader works in: it can change nothing, and sees one moment.

use osiris_core::Result;

use crate::client::Session;

const DOING: &str = "beginning to read";

/// Begins it.
///
/// # Errors
/// What the server says.
pub(super) async fn begin(session: &mut Session) -> Result<()> {
    // For the next transaction only: the session's own level stays.
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", DOING).await?;
    session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", DOING).await?;
    Ok(())
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
