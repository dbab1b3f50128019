//! Cancels abandoned statements on the server. A server notices a closed socket only when it next has
//! something to send.

use std::time::Duration;

use osiris_core::Result;
use osiris_sql::{CONNECT_TIMEOUT, within};

use super::backend::Backend;
use super::open::{self, ConnectPath};
use super::session::execute;
use crate::client::ConnectionTarget;

/// Maximum time that a cancelled step waits for the cancellation to reach the server.
const LIMIT: Duration = Duration::from_secs(2);

/// Cancels the statement of `process` and waits briefly: the step counts as ended when this returns, and our
/// own process may exit right after. Uses a thread with its own runtime, since the step's runtime may be the one that
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
        // The process may already have ended.
        if let Ok(Ok(Err(error))) = cancelled {
            tracing::debug!(process = process.id(), error = error.message(), "failed to cancel the statement");
        }
        let _ = done.send(());
    });
    if thread.is_ok() {
        let _ = told.recv_timeout(LIMIT);
    }
}

async fn tell(target: &ConnectionTarget, process: &Backend) -> Result<()> {
    const CONTEXT: &str = "cancelling the statement on the server";
    let mut opened = open::open(target, ConnectPath::Direct).await?;
    // If it is no longer that process, or another server, nothing is cancelled.
    let sql = format!(
        "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity WHERE {} AND state <> 'idle'",
        process.condition()
    );
    let cancelled = execute(&mut opened.connection, &sql, CONTEXT);
    within(target.connection.connect_timeout, CONNECT_TIMEOUT, CONTEXT, cancelled).await?;
    open::close(opened.connection).await;
    Ok(())
}
