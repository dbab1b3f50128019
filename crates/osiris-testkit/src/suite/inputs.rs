//! The rules of components that read tables: processors and writers.

use osiris_core::{ErrorKind, Inputs, Role};

use crate::trial::{STEP, ensure, not_applicable};
use crate::{Job, Outcome, Sample, Subject, Trial, Verdict, Violation};

/// DRV-007: inputs are reached by the id of the step that made them; a missing one is an error that lists those present, and
/// `input_step` picks one of several for a component that takes one.
///
/// # Errors
/// What was seen instead.
pub async fn drv_007_finds_inputs_by_step_id_and_lists_those_present<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(8).await?;
    let stranger = ready.bench.table("stranger-step", Sample::new(2)).await?;
    let lost = ready.step(STEP).inputs(&Inputs::one(stranger.clone()));
    if trial.spec()?.role == Role::Transform {
        let failure = lost.run_unchecked().await;
        return match failure {
            Ok(_) => Err(Violation::new("it ran without the input that its configuration names")),
            Err(failure) => {
                let report = failure.error.report();
                ensure!(report.contains("stranger-step"), "the error does not list the inputs present: {report}");
                Ok(Verdict::Holds)
            }
        };
    }
    let failure = lost.input_step("sample-stpe").run_unchecked().await;
    let Err(failure) = failure else { return Err(Violation::new("it ran with an `input_step` that is not there")) };
    let report = failure.error.report();
    ensure!(report.contains("stranger-step"), "the error does not list the inputs present: {report}");
    let wanted = ready.inputs.iter().next().map(|input| input.table.clone());
    let wanted = wanted.ok_or_else(|| Violation::new("the job has no input"))?;
    let both = || ready.step(STEP).input(&stranger);
    let Err(failure) = both().run_unchecked().await else {
        return Err(Violation::new("it picked one of two inputs by itself"));
    };
    for step in ["stranger-step", wanted.step()] {
        ensure!(failure.error.report().contains(step), "the error does not list `{step}`: {:?}", failure.error);
    }
    let output = both().input_step(wanted.step()).run_unchecked().await?;
    ensure!(output.rows == wanted.rows(), "it wrote {} rows of {}", output.rows, wanted.rows());
    Ok(Verdict::Holds)
}

/// DRV-008: columns that the configuration names and the input lacks are an error that names them all.
///
/// # Errors
/// What was seen instead.
pub async fn drv_008_names_every_missing_column<S: Subject>(trial: &Trial<S>) -> Outcome {
    let missing = ["absent_one", "absent_two"];
    let job = trial.job(5).await?;
    let Some(config) = trial.subject().config_with_columns(job.config.clone(), &missing) else {
        return not_applicable("`Subject::config_with_columns` returns none");
    };
    let before = trial.place().listing()?;
    let ready = trial.ready_for(Job { config, ..job }).await?;
    let failure = ready.fail("its configuration names columns that the input lacks").await?;
    ensure!(failure.error.kind() == ErrorKind::Validation, "not a validation error: {:?}", failure.error);
    for column in missing {
        ensure!(failure.error.report().contains(column), "`{column}` is not named: {:?}", failure.error);
    }
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "files were changed before the check: {}", changes.unwrap_or_default());
    Ok(Verdict::Holds)
}

/// CRT-002: after a run, good or bad, every input has the rows, columns and types that it had.
///
/// # Errors
/// What was seen instead.
pub async fn crt_002_leaves_its_inputs_as_they_were<S: Subject>(trial: &Trial<S>) -> Outcome {
    let good = trial.job(40).await?;
    let faults = trial.subject().faults(trial.place()).await?.into_iter().map(|fault| fault.job);
    let jobs: Vec<Job> = faults.chain([good]).collect();
    for job in jobs {
        let job = trial.with_input(job, Sample::new(40))?;
        let ready = trial.ready_for(job).await?;
        let mut before = Vec::new();
        for input in ready.inputs.iter() {
            before.push(ready.bench.rows(&input.table).await?);
        }
        // Whether it ends well is another rule.
        drop(ready.step(STEP).run_unchecked().await);
        for (input, before) in ready.inputs.iter().zip(before) {
            let step = input.table.step();
            let present = ready.bench.store().table(step).await?;
            ensure!(present.as_ref() == Some(&input.table), "the input `{step}` is another table now");
            let after = ready.bench.query(&format!("SELECT * FROM {}", input.table.sql())).await?;
            ensure!(before.rows() == after.rows(), "the rows of the input `{step}` were changed");
            ensure!(before.columns() == after.columns(), "the columns of the input `{step}` were changed");
        }
    }
    Ok(Verdict::Holds)
}

/// CRT-004: without an input nothing runs, and nothing is changed.
///
/// # Errors
/// What was seen instead.
pub async fn crt_004_refuses_to_run_without_an_input<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(3).await?;
    let before = trial.place().listing()?;
    let outcome = ready.step(STEP).inputs(&Inputs::none()).run_unchecked().await;
    let Err(failure) = outcome else { return Err(Violation::new("it ran without an input")) };
    ensure!(failure.error.kind() == ErrorKind::Validation, "not a validation error: {:?}", failure.error);
    ensure!(
        failure.error.report().contains("needs"),
        "the error does not say how to name an input: {:?}",
        failure.error
    );
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "files were changed: {}", changes.unwrap_or_default());
    Ok(Verdict::Holds)
}
