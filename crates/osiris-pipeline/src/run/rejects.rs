//! Exporting what a step rejected, whether it ended well or not.

use std::path::PathBuf;

use osiris_core::{ExecutionContext, RejectReason};

use super::directory::RunDirectory;

/// How many reasons are reported of a step.
const REASONS: usize = 5;

/// The most frequent reasons of the step's rejects. A failure is logged: the file with the rows has them too.
pub(super) async fn reasons(ctx: &ExecutionContext) -> Vec<RejectReason> {
    if ctx.rejects().is_empty() {
        return Vec::new();
    }
    ctx.rejects().reasons(REASONS).await.unwrap_or_else(|error| {
        tracing::warn!(step = ctx.step_id(), %error, "the rejects could not be grouped");
        Vec::new()
    })
}

/// Writes the step's rejects to the run directory and returns the file. A failure is logged, not returned: the step's
/// own error is the one that matters, and the rows are in the store.
pub(super) async fn export(ctx: &ExecutionContext, directory: &RunDirectory) -> Option<PathBuf> {
    if ctx.rejects().is_empty() {
        return None;
    }
    let path = directory.rejects_file(ctx.step_id());
    match ctx.rejects().export(&path).await {
        Ok(()) => {
            ctx.log_artifact("rejects", &path);
            Some(path)
        }
        Err(error) => {
            tracing::warn!(step = ctx.step_id(), %error, "the rejects could not be exported");
            None
        }
    }
}
