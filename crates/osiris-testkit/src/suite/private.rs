//! The rule about who can read what a run leaves.

use std::path::Path;
use std::time::Duration;

use osiris_core::Role;

use crate::alone::Alone;
use crate::trial::{STEP, not_applicable};
use crate::{BenchOptions, Outcome, Ready, Sample, Subject, Trial, Verdict, Violation};

/// Rows enough for a step to be looked at while it runs.
const ROWS: u64 = 20_000;
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(1);

/// CRT-010: whatever a component makes in the directory of its run is private to its user, while it runs and afterwards, however
/// it ends: directories have the mode 0700, files 0600, although the umask would let everybody read and write.
///
/// # Errors
/// What was seen instead.
pub async fn crt_010_leaves_only_private_files_in_its_run<S: Subject>(trial: &Trial<S>) -> Outcome {
    if !cfg!(unix) {
        return not_applicable("files have no modes on this system");
    }
    let body = async {
        let job = trial.job(ROWS).await?;
        let ready = in_a_file(trial, job.clone()).await?;
        let run = ready.step(STEP).run_unchecked();
        watched(&ready, run).await??;
        let run = ready.step("dry-run").dry_run().run_unchecked();
        watched(&ready, run).await??;
        for fault in trial.subject().faults(trial.place()).await? {
            let job = trial.with_input(fault.job, Sample::new(50))?;
            let ready = in_a_file(trial, job).await?;
            drop(watched(&ready, ready.step(STEP).run_unchecked()).await?);
        }
        if trial.spec()?.role == Role::Extract
            && let Some(incremental) = trial.subject().prepare_incremental(trial.place()).await?
        {
            let ready = in_a_file(trial, incremental.job).await?;
            watched(&ready, ready.step(STEP).run_unchecked()).await??;
        }
        Ok(Verdict::Holds)
    };
    Ok(Alone::new().with_umask("000").run(trial.test(), body).await?.0)
}

async fn in_a_file<S: Subject>(trial: &Trial<S>, job: crate::Job) -> Result<Ready, Violation> {
    let bench = trial.bench_with(&BenchOptions::new().in_a_file().with_threads(2))?;
    Ready::new(trial.subject().component(), bench, job).await
}

/// Runs a step, and looks at the directory of its run again and again.
async fn watched<T>(ready: &Ready, run: impl Future<Output = T>) -> Result<T, Violation> {
    let mut run = std::pin::pin!(run);
    loop {
        let ended = tokio::time::timeout(PAUSE, &mut run).await;
        private(ready.bench.scratch())?;
        if let Ok(ended) = ended {
            return Ok(ended);
        }
    }
}

/// Whether nobody but the owner can get at anything below `directory`.
#[cfg(unix)]
fn private(directory: &Path) -> Result<(), Violation> {
    use std::os::unix::fs::PermissionsExt;
    // What is gone meanwhile was temporary.
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for entry in entries.flatten() {
        let Ok(found) = entry.path().symlink_metadata() else { continue };
        let mode = found.permissions().mode() & 0o777;
        crate::trial::ensure!(mode & 0o077 == 0, "{} has the mode {mode:o}", entry.path().display());
        if found.is_dir() {
            private(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), Violation> {
    Ok(())
}
