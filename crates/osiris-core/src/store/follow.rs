//! What DuckDB says of its progress, as the progress of the step that waits for a statement.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use duckdb::{Connection, ProgressHandle};
use tokio::time::MissedTickBehavior;

use super::store_error;
use crate::{Progress, Result};

/// How often DuckDB is asked.
const EVERY: Duration = Duration::from_millis(50);

/// The statements of a connection, followed by the counters of a step.
pub(super) struct Followed {
    pub(super) handle: ProgressHandle,
    pub(super) progress: Arc<Progress>,
}

/// Has DuckDB estimate the progress of the statements of this connection.
pub(super) fn track(connection: &Connection) -> Result<()> {
    let tracked = connection.set_query_progress_tracking(true);
    tracked.map_err(|error| store_error(error, "the progress of the run store cannot be followed"))
}

impl Followed {
    /// Advances the counters while `work` goes on.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let look = || {
            if let Some(percent) = self.handle.query_progress().percentage() {
                self.progress.follow(percent);
            }
        };
        regularly(look, work).await
    }
}

/// Calls `look` again and again while `work` goes on.
pub(super) async fn regularly<T>(look: impl Fn(), work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => look(),
        }
    }
}
