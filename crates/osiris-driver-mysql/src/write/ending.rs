//! Ends the session of a dropped write: the server continues the statement, and keeps its locks, until it is killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use crate::client::Identity;
use crate::config::MysqlConnection;
use crate::wire;

/// Maximum time that a dropped write waits for the cancellation to reach the server.
const LIMIT: Duration = Duration::from_secs(3);

/// A statement that removes what the session created, and the named lock that proves that no other session has created
/// it since.
#[derive(Debug, Clone)]
pub(super) struct Cleanup {
    pub(super) lock: String,
    pub(super) sql: String,
}

/// Kills the session on the server and removes what it left. Waits briefly: the process may exit right after. Uses a
/// thread with its own runtime, since the step's runtime may be the one that waits here, or be shutting down.
pub(super) fn end(
    conn: Conn,
    session: Identity,
    connection: MysqlConnection,
    base_dir: PathBuf,
    cleanup: Option<Cleanup>,
) {
    let (done, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("osiris-mysql-kill".to_owned()).spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            let work = async {
                let _ = tokio::time::timeout(LIMIT, over(&session, &connection, &base_dir, cleanup)).await;
                drop(conn);
            };
            runtime.block_on(work);
            runtime.shutdown_background();
        }
        let _ = done.send(());
    });
    if thread.is_ok() {
        let _ = told.recv_timeout(LIMIT);
    }
}

/// Over another connection. A session that is not certainly ours is left alone: behind a load balancer this may be
/// another server.
async fn over(
    session: &Identity,
    connection: &MysqlConnection,
    base_dir: &Path,
    cleanup: Option<Cleanup>,
) -> mysql_async::Result<()> {
    let Ok(mut other) = wire::open(connection, base_dir).await else { return Ok(()) };
    if !kill(&mut other, session).await? {
        tracing::debug!(id = session.id, "failed to look up the session on the server");
    }
    if let Some(Cleanup { lock, sql }) = cleanup {
        // The killed session releases its lock as it ends; another session with the lock cleans up itself.
        let locked: Option<Option<u8>> = other.query_first(format!("SELECT GET_LOCK({lock}, 2)")).await?;
        if locked.flatten() == Some(1) {
            other.query_drop(sql).await?;
        }
    }
    other.disconnect().await
}

/// Kills the session if it exists; returns whether it did.
pub(super) async fn kill(other: &mut Conn, session: &Identity) -> mysql_async::Result<bool> {
    let here = identity(other).await?;
    if !session.is_of_same_server(&here) || other.query::<Row, _>(session.find()).await?.is_empty() {
        return Ok(false);
    }
    other.query_drop(session.kill()).await?;
    Ok(true)
}

/// Identifies the session of a connection.
pub(super) async fn identity(conn: &mut Conn) -> mysql_async::Result<Identity> {
    let mut answers = Vec::new();
    for question in [Identity::SERVER, Identity::UPTIME, Identity::SESSION] {
        let rows: Vec<Row> = conn.query(question).await?;
        answers.push(rows.into_iter().map(|row| row.unwrap().into_iter().map(as_text).collect()).collect::<Vec<_>>());
    }
    Ok(Identity::of(&answers[0], &answers[1], &answers[2]))
}

/// A field of a result as text.
pub(super) fn as_text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}
