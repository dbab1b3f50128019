//! `run`: a plan, a runtime, two signals, an exit code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use osiris::http::Webhook;
use osiris::pipeline::{CleanOptions, ExitCode, PastRun, Wait, failure_notice, refusal_notice, unplanned_notice};
use osiris::{Environment, Error, Plan, PlanOptions, Project, Registry, RunOptions, Settings, SourceFile};
use serde_json::Value;

use super::{notify, project, report, wait};
use crate::args::{ProgressArg, RunArgs, params};
use crate::command_error::CommandError;
use crate::console::Console;
use crate::progress::Display;
use crate::{interrupt, logging};

pub(super) fn run(args: &RunArgs, given: Settings, registry: &Registry, console: &Console) -> Result<u8, CommandError> {
    let given = Settings { store: args.store.map(Into::into), ..given };
    let project = match &args.file {
        Some(file) => Project::of_pipeline(file, given, Environment::of_process())?,
        None => project::here(given)?,
    };
    let choices = Choices {
        keep: args.keep,
        force: args.force,
        assume_written: args.assume_written.clone(),
        wait: args.wait,
        progress: args.progress,
        json: args.json,
    };
    let planned = match &args.resume {
        None => first(&project, args, registry).map(|plan| (None, plan, None)),
        Some(run) => again(&project, args, run.as_deref(), registry),
    };
    match planned {
        Ok((of_past, plan, past)) => {
            execute(of_past.as_ref().unwrap_or(&project), &plan, past.as_ref(), &choices, console)
        }
        Err(error) => Ok(unplanned(&project, args, &error, console)),
    }
}

/// What a user may choose for a run.
#[derive(Debug, Default)]
pub(super) struct Choices {
    pub(super) keep: bool,
    pub(super) force: bool,
    pub(super) assume_written: Vec<String>,
    pub(super) wait: Option<Option<Duration>>,
    pub(super) progress: ProgressArg,
    pub(super) json: bool,
}

/// Runs a plan to its end and reports it.
pub(super) fn execute(
    project: &Project,
    plan: &Plan,
    past: Option<&PastRun>,
    choices: &Choices,
    console: &Console,
) -> Result<u8, CommandError> {
    let log_secrets = logging::start(console, project.settings());
    log_secrets.add(plan.redactor());
    let webhook = if plan.is_dry_run() { None } else { notify::webhook(project, console) };
    webhook.iter().for_each(|webhook| log_secrets.add(webhook.redactor()));
    project::warn(plan, console);
    let writes_stdout = writes_stdout(plan);
    if let (true, Some(step)) = (choices.json, &writes_stdout) {
        let message = format!("step `{step}` writes to the standard output, where --json would print its result");
        let error = Error::validation(message).with_hint("leave out --json; the ledger is in the run's directory");
        let notice = refusal_notice(plan, &error);
        return Ok(refused(&CommandError::Refused(error), notice, webhook.as_ref(), choices.json, console));
    }
    let options = RunOptions {
        keep: choices.keep,
        force: choices.force,
        assume_written: choices.assume_written.clone(),
        wait: wait_of(choices.wait),
        ..project.run_options()
    };
    let cancel = options.cancel.clone();
    let bars = console.bars().clone();
    let display = Display::new(console, plan, choices.progress, writes_stdout.is_none())?;
    let interrupted = cancel.clone();
    interrupt::listen(move || cancel.cancel(), move || bars.suspend(report::interrupting), report::ending_at_once)?;
    let ended = wait(osiris::run(plan, &options, past, &display));
    let code = match &ended {
        Ok(report) => report.outcome.exit_code(),
        Err(error) => ExitCode::of_error(error).code(),
    };
    let printing = interrupt::end_unread(move || interrupted.is_cancelled(), code);
    drop(display);
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            let notice = refusal_notice(plan, &error);
            return Ok(refused(&CommandError::Run(error), notice, webhook.as_ref(), choices.json, console));
        }
    };
    let code = match report::ended(&ended, plan, choices.json, console) {
        Ok(()) => code,
        Err(error) => {
            // The steps have run: that their report cannot be printed is no refusal.
            console.command_error(&error);
            if code == ExitCode::Done.code() { ExitCode::Failed.code() } else { code }
        }
    };
    notify::post(webhook.as_ref(), failure_notice(plan, &ended), console);
    #[cfg(feature = "otel")]
    if !plan.is_dry_run() {
        crate::otel::export(plan.name(), &ended, console);
    }
    drop(printing);
    if !plan.is_dry_run() {
        remove_old_runs(project);
    }
    Ok(code)
}

/// Says why nothing runs, then posts it. Returns the exit code.
fn refused(
    error: &CommandError,
    notice: Option<Value>,
    webhook: Option<&Webhook>,
    json: bool,
    console: &Console,
) -> u8 {
    console.failure(error, json);
    notify::post(webhook, notice, console);
    error.exit_code().code()
}

/// The same where there is no plan. What starts the program every night is not told of a mistake in the pipeline file otherwise.
fn unplanned(project: &Project, args: &RunArgs, error: &CommandError, console: &Console) -> u8 {
    let webhook = if args.dry_run { None } else { notify::webhook(project, console) };
    let file = args.file.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    let notice = unplanned_notice(file.as_deref(), &error.to_json());
    refused(error, Some(notice), webhook.as_ref(), args.json, console)
}

/// As the settings say. What cannot be removed changes nothing about the run, and is tried again after the next.
fn remove_old_runs(project: &Project) {
    let Some(age) = project.settings().run_retention else { return };
    let cleaned = project.runs().clean(&CleanOptions::new().with_older_than(age));
    let failures = match cleaned {
        Ok(cleaned) => cleaned.failures,
        Err(error) => vec![error],
    };
    failures.iter().for_each(|error| tracing::warn!("an old run could not be removed: {error}"));
}

fn wait_of(given: Option<Option<Duration>>) -> Wait {
    match given {
        None => Wait::No,
        Some(None) => Wait::Forever,
        Some(Some(limit)) => Wait::AtMost(limit),
    }
}

fn first(project: &Project, args: &RunArgs, registry: &Registry) -> Result<Plan, CommandError> {
    let file = args.file.as_deref().unwrap_or(Path::new(""));
    let options = PlanOptions { params: params(&args.params), profile: args.profile.clone(), dry_run: args.dry_run };
    let source = Arc::new(SourceFile::read(file)?);
    project::plan(project, &source, registry, &options)
}

/// Returns the project of the run to be resumed as well.
fn again(
    project: &Project,
    args: &RunArgs,
    run: Option<&str>,
    registry: &Registry,
) -> Result<(Option<Project>, Plan, Option<PastRun>), CommandError> {
    let past = project.resumable(run, args.file.as_deref(), args.force)?;
    let (project, plan) = project.plan_again(&past, registry, params(&args.params))?;
    Ok((Some(project), plan, Some(past)))
}

/// The step that prints its table, if there is one.
fn writes_stdout(plan: &Plan) -> Option<String> {
    plan.steps().iter().find(|step| step.prepared.stdio().stdout).map(|step| step.id.clone())
}
