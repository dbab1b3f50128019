//! Ending at the server what nobody waits for any more. A closed socket alone is noticed only when the server next has
//! something to say.

use std::time::Duration;

use osiris_core::Result;

use super::backend::Backend;
use super::open::{self, Route};
use super::session::execute;
use crate::client::ConnectionTarget;
use crate::error::within;

/// How long a cancelled step waits at most for the server to be told.
const LIMIT: Duration = Duration::from_secs(2);

/// Tells the server to end what `process` does, and waits for it a little: the step counts as ended when this returns, and our
/// own process may end right after it. A thread with a runtime of its own does it, since the step's runtime may be the one that
/// waits here.
pub(super) fn cancel(target: ConnectionTarget, process: Backend) {
    let (done, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("osiris-pg-cancel".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let cancelled = runtime.map(|runtime| {
            let cancelled = runtime.block_on(async { tokio::time::timeout(LIMIT, tell(&target, &process)).await });
            runtime.shutdown_background();
            cancelled
        });
        // A process that ended by itself is no longer there to be cancelled.
        if let Ok(Ok(Err(error))) = cancelled {
            tracing::debug!(process = process.id(), error = error.message(), "the statement was not cancelled");
        }
        let _ = done.send(());
    });
    if thread.is_ok() {
        let _ = told.recv_timeout(LIMIT);
    }
}

async fn tell(target: &ConnectionTarget, process: &Backend) -> Result<()> {
    const DOING: &str = "cancelling the statement on the server";
    let mut opened = open::open(target, Route::Straight).await?;
    // Where it is not that process any more, or this is another server, nothing is ended.
    let sql = format!(
        "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity WHERE {} AND state <> 'idle'",
        process.condition()
    );
    within(target.connection.connect_timeout, DOING, execute(&mut opened.connection, &sql, DOING)).await?;
    open::close(opened.connection).await;
    Ok(())
}
