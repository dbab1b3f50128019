//! The rules of writers.

use std::time::Duration;

use osiris_core::{ErrorKind, Problem};
use serde_json::Value;

use super::cancel::{MANY_ROWS, MOMENTS, Stop, no_new_files, stopped};
use super::run::dry_run_finds_faults;
use crate::alone::Alone;
use crate::corpus::COLUMN_NAMES;
use crate::trial::{INPUT, STEP, ensure};
use crate::{Destination, Job, Mode, Outcome, Rows, Sample, Trial, Verdict, Violation};

pub use super::batches::drv_028_writes_in_batches;
pub use super::cancel::crt_003_releases_everything_on_success_failure_and_cancellation;
pub use super::commit::crt_009_is_neither_dropped_nor_repeated_once_it_commits;
pub use super::direct::drv_024_takes_arriving_rows_if_it_streams;
pub use super::features::drv_032_lists_its_modes;
pub use super::inputs::{
    crt_002_leaves_its_inputs_as_they_were, crt_004_refuses_to_run_without_an_input,
    drv_007_finds_inputs_by_step_id_and_lists_those_present, drv_008_names_every_missing_column,
};

/// Compares what the destination holds with `expected`.
pub(super) async fn holds<S: Destination>(
    trial: &Trial<S>,
    expected: Option<&Rows>,
    when: &str,
) -> Result<(), Violation> {
    let found = trial.subject().read(trial.place()).await;
    let found = found.map_err(|error| Violation::new(format!("{when}: the destination cannot be read: {error:?}")))?;
    match (expected, &found) {
        (None, None) => Ok(()),
        (None, Some(found)) if found.is_empty() => Ok(()),
        (None, Some(found)) => Err(Violation::new(format!("{when}: the destination holds {} rows", found.len()))),
        (Some(_), None) => Err(Violation::new(format!("{when}: the destination holds nothing"))),
        (Some(expected), Some(found)) => match expected.difference(found) {
            None => Ok(()),
            Some(difference) => Err(Violation::new(format!("{when}: {difference}"))),
        },
    }
}

/// Writes `sample` in `mode`, with the configuration of the subject.
pub(super) async fn write<S: Destination>(
    trial: &Trial<S>,
    job: &Job,
    mode: Mode,
    sample: Sample,
) -> Result<u64, Violation> {
    let ready = trial.ready_for(job_of(trial, job, mode, sample)).await?;
    Ok(ready.run().await?.rows)
}

pub(super) fn job_of<S: Destination>(trial: &Trial<S>, job: &Job, mode: Mode, sample: Sample) -> Job {
    let config: Value = trial.subject().with_mode(job.config.clone(), mode);
    Job::new(config).connection(job.connection.clone()).input(INPUT, sample)
}

/// DRV-024: a writer takes its rows from the run store and writes every one, whatever values they have and whatever their
/// columns are called.
///
/// # Errors
/// What was seen instead.
pub async fn drv_024_writes_every_row_of_its_input<S: Destination>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(1000).await?;
    ready.run().await?;
    holds(trial, Some(&Sample::new(1000).text()?), "after a write").await?;
    let job = trial.job(0).await?;
    let columns: Vec<String> =
        COLUMN_NAMES.iter().map(|name| format!("1 AS \"{}\"", name.replace('"', "\"\""))).collect();
    let sql = format!("SELECT {}", columns.join(", "));
    let job = Job::new(job.config).connection(job.connection).input(INPUT, sql.as_str());
    trial.ready_for(job).await?.run().await?;
    let expected = Rows::new(COLUMN_NAMES).row(COLUMN_NAMES.map(|_| "1"));
    holds(trial, Some(&expected), "after a write of columns with difficult names").await?;
    Ok(Verdict::Holds)
}

/// DRV-026: a dry run of a writer ends well and leaves the destination as it was, there or not; faults are found.
///
/// # Errors
/// What was seen instead.
pub async fn drv_026_writes_nothing_in_a_dry_run<S: Destination>(trial: &Trial<S>) -> Outcome {
    let job = trial.job(30).await?;
    let ready = trial.ready_for(job.clone()).await?;
    let before = trial.place().listing()?;
    ready.step(STEP).dry_run().run_unchecked().await?;
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "a dry run changed files: {}", changes.unwrap_or_default());
    holds(trial, None, "after a dry run").await?;
    ready.run().await?;
    // A subject may make its destination ready for a mode, such as for a key.
    let other = Sample::new(10).starting_at(5000);
    let jobs: Vec<Job> = trial.subject().modes().into_iter().map(|mode| job_of(trial, &job, mode, other)).collect();
    let before = trial.place().listing()?;
    for job in jobs {
        let ready = trial.ready_for(job).await?;
        ready.step(STEP).dry_run().run_unchecked().await?;
        holds(trial, Some(&Sample::new(30).text()?), "after a dry run over old rows").await?;
    }
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "a dry run changed files: {}", changes.unwrap_or_default());
    dry_run_finds_faults(trial).await
}

/// DRV-030: a writer states its destination: the same in every mode, another for another place, and whether it replaces what is
/// there.
///
/// # Errors
/// What was seen instead.
pub async fn drv_030_states_its_destination<S: Destination>(trial: &Trial<S>) -> Outcome {
    let job = trial.job(3).await?;
    let bench = trial.bench()?;
    let stated = |config: &Value| {
        let step = bench.prepare(trial.subject().component(), config, &job.connection)?.into_step()?;
        step.destination().ok_or_else(|| Violation::new(format!("no destination is stated for {config}")))
    };
    let plain = stated(&job.config)?;
    let other = stated(&trial.subject().with_other_destination(job.config.clone()))?;
    ensure!(!plain.is_same_as(&other), "two destinations are stated to be the same: {plain} and {other}");
    for mode in trial.subject().modes() {
        let destination = stated(&trial.subject().with_mode(job.config.clone(), mode))?;
        ensure!(destination.is_same_as(&plain), "{}: another destination, {destination}", mode.as_str());
        let replaces = mode == Mode::Overwrite;
        ensure!(
            destination.replaces() == replaces,
            "{}: it states that it {} what is there",
            mode.as_str(),
            if replaces { "keeps" } else { "replaces" }
        );
    }
    Ok(Verdict::Holds)
}

/// CRT-005: each of append, overwrite and upsert does what it says, or is refused by name at validation.
///
/// # Errors
/// What was seen instead.
pub async fn crt_005_supports_each_mode_or_refuses_it_by_name<S: Destination>(trial: &Trial<S>) -> Outcome {
    let supported = trial.subject().modes();
    let (old, new) = (Sample::new(60), Sample::new(60).starting_at(40));
    for mode in Mode::ALL {
        let job = trial.job(0).await?;
        if supported.contains(&mode) {
            let first = if supported.contains(&Mode::Overwrite) { Mode::Overwrite } else { mode };
            write(trial, &job, first, old).await?;
            let rows = write(trial, &job, mode, new).await?;
            ensure!(rows == new.rows(), "{}: {rows} of {} rows were acknowledged", mode.as_str(), new.rows());
            holds(trial, Some(&after(mode, old, new)?), mode.as_str()).await?;
        } else {
            refuses(trial, &job, mode).await?;
        }
    }
    Ok(Verdict::Holds)
}

async fn refuses<S: Destination>(trial: &Trial<S>, job: &Job, mode: Mode) -> Result<(), Violation> {
    let before = trial.place().listing()?;
    let ready = trial.ready_for(job_of(trial, job, mode, Sample::new(3))).await?;
    let problems = ready.bench.config_problems(trial.subject().component(), &ready.job.config)?;
    let named = problems.iter().any(|problem| problem.is_error() && problem.to_string().contains(mode.as_str()));
    ensure!(named, "`{}` is not refused by name: {problems:?}", mode.as_str());
    let refused = problems.iter().any(Problem::is_error);
    let failure = ready.fail("its mode is not supported").await?;
    ensure!(refused && failure.error.kind() == ErrorKind::Validation, "{:?}", failure.error);
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "a refused mode changed files: {}", changes.unwrap_or_default());
    Ok(())
}

/// CRT-005: after a failure, or a stop at any of many moments, the destination holds the old rows or the new, never a
/// mixture, and no other file is left. For the modes that are [atomic](Destination::atomic_modes).
///
/// # Errors
/// What was seen instead.
pub async fn crt_005_leaves_the_old_rows_or_the_new<S: Destination>(trial: &Trial<S>) -> Outcome {
    let old = Sample::new(25);
    for mode in trial.subject().atomic_modes() {
        let job = trial.job(0).await?;
        write(trial, &job, mode, old).await?;
        let faults = trial.subject().faults(trial.place()).await?;
        let files = trial.place().listing()?;
        for fault in faults {
            let mut broken = trial.with_input(fault.job, Sample::new(MANY_ROWS))?;
            broken.config = trial.subject().with_mode(broken.config, mode);
            trial.ready_for(broken).await?.fail(&fault.name).await?;
            holds(trial, Some(&old.text()?), &format!("{}, {}", mode.as_str(), fault.name)).await?;
        }
        for stop in [Stop::Token, Stop::Drop] {
            for moment in MOMENTS.into_iter().map(Duration::from_micros) {
                stop_between(trial, &job, mode, stop, moment).await?;
                no_new_files(trial, &files).await?;
            }
        }
    }
    Ok(Verdict::Holds)
}

async fn stop_between<S: Destination>(
    trial: &Trial<S>,
    job: &Job,
    mode: Mode,
    stop: Stop,
    moment: Duration,
) -> Result<(), Violation> {
    let before = trial.subject().read(trial.place()).await?.unwrap_or_default();
    let rows = Sample::new(MANY_ROWS).starting_at(before.len() as u64 * 7);
    let after = match mode {
        Mode::Append => before.clone().and(&rows.text()?),
        Mode::Overwrite => rows.text()?,
        Mode::Upsert => merged(&before, &rows.text()?),
    };
    let ready = trial.ready_for(job_of(trial, job, mode, rows)).await?;
    let stopped = stopped(&ready, stop, moment).await?;
    settle(trial).await?;
    let found = trial.subject().read(trial.place()).await?.unwrap_or_default();
    let from_new = after.difference(&found);
    let from_old = before.difference(&found);
    let is_new = from_new.is_none();
    ensure!(
        is_new || (stopped && from_old.is_none()),
        "{} {} after {moment:?} ({stop:?}): {} rows are there, before there were {}, complete are {}. {}",
        mode.as_str(),
        if stopped { "stopped" } else { "done" },
        found.len(),
        before.len(),
        after.len(),
        from_new.unwrap_or_default()
    );
    // Back to few rows, so that append does not grow from round to round.
    if mode == Mode::Append && is_new {
        let reset = trial.job(0).await?;
        write(trial, &reset, mode, Sample::new(25)).await?;
    }
    Ok(())
}

/// Waits until the files of the place have stopped changing: a blocking thread may be at its last write.
async fn settle<S: Destination>(trial: &Trial<S>) -> Result<(), Violation> {
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    let mut before = trial.place().listing().unwrap_or_default();
    while std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let now = trial.place().listing().unwrap_or_default();
        if now == before {
            return Ok(());
        }
        before = now;
    }
    Err(Violation::new("files go on changing after the step was stopped"))
}

/// What a destination with the rows of `old` holds when those of `new` have been written.
pub(super) fn after(mode: Mode, old: Sample, new: Sample) -> Result<Rows, Violation> {
    Ok(match mode {
        Mode::Append => old.text()?.and(&new.text()?),
        Mode::Overwrite => new.text()?,
        Mode::Upsert => merged(&old.text()?, &new.text()?),
    })
}

/// `new` over `old`, by the column `id`.
fn merged(old: &Rows, new: &Rows) -> Rows {
    let key = |rows: &Rows| rows.columns().iter().position(|column| column == "id").unwrap_or(0);
    let (old_key, new_key) = (key(old), key(new));
    let taken: std::collections::BTreeSet<_> = new.rows().iter().map(|row| row[new_key].clone()).collect();
    let mut kept = Rows::new(old.columns().iter().cloned());
    old.rows().iter().filter(|row| !taken.contains(&row[old_key])).for_each(|row| kept.push(row.clone()));
    kept.and(new)
}

/// CRT-005: when the disk is full, the old file is there as it was and nothing else.
///
/// # Errors
/// What was seen instead.
pub async fn crt_005_keeps_the_old_file_when_the_disk_is_full<S: Destination>(trial: &Trial<S>) -> Outcome {
    if !trial.subject().writes_files() {
        return Ok(Verdict::Holds);
    }
    let body = async {
        for mode in trial.subject().modes() {
            let job = trial.job(0).await?;
            let old = Sample::new(10);
            write(trial, &job, mode, old).await?;
            let files = trial.place().listing()?;
            let large = Sample::new(40_000).starting_at(100).with_padding(200);
            let small = Job::new(job.config.clone()).connection(job.connection.clone());
            // In append mode the columns have to be those of the old file.
            let large = if mode == Mode::Append { Sample::new(400_000).starting_at(100) } else { large };
            let job = job_of(trial, &small, mode, large);
            let failure = trial.ready_for(job).await?.fail("the disk is full").await?;
            ensure!(!failure.error.message().is_empty(), "the error says nothing");
            holds(trial, Some(&old.text()?), "after a full disk").await?;
            no_new_files(trial, &files).await?;
        }
        Ok(Verdict::Holds)
    };
    Ok(Alone::new().with_file_size_limit(512).run(trial.test(), body).await?.0)
}
