//! `validate`, and how the other commands find their project.

use std::path::Path;
use std::sync::Arc;

use osiris::pipeline::{FAILURE_VERSION, parse};
use osiris::{Diagnostics, Environment, Plan, PlanOptions, Project, Registry, Settings, SourceFile};
use serde_json::{Value, json};

use super::wait;
use crate::args::{Selection, ValidateArgs};
use crate::command_error::CommandError;
use crate::console::Console;

pub(super) fn validate(
    args: &ValidateArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let project = Project::of_pipeline(&args.selection.file, given, Environment::of_process())?;
    let source = Arc::new(SourceFile::read(&args.selection.file)?);
    let checked = checked(&project, &source, registry, &args.selection.options())?;
    if args.json {
        console.json(&checked.to_json())?;
        return Ok(0);
    }
    let Checked { steps, groups, warnings, complete } = checked;
    if !warnings.is_empty() {
        console.say(&console.rendered(&warnings));
    }
    let ending = if steps == 1 { "" } else { "s" };
    let (good, file) = (console.good("valid"), args.selection.file.display());
    let unchecked = if complete {
        "nothing was opened: `osiris run --dry-run` checks connections and tables"
    } else {
        "in part: what the variables above belong to was not checked, and `osiris run` refuses without them"
    };
    console.say(&format!("{good} {file}: {steps} step{ending} ({unchecked})"));
    for group in groups {
        console.say(&format!("  the tables of `{group}` are found when it runs; `osiris plan` lists them"));
    }
    Ok(0)
}

/// A pipeline that is valid, as far as it could be checked.
pub(super) struct Checked {
    steps: usize,
    /// The groups whose tables nobody has asked the source for.
    groups: Vec<String>,
    warnings: Diagnostics,
    complete: bool,
}

impl Checked {
    pub(super) fn to_json(&self) -> Value {
        let mut answer = json!({
            "version": FAILURE_VERSION,
            "ok": true,
            "complete": self.complete,
            "steps": self.steps,
            "diagnostics": self.warnings.to_json(),
        });
        if !self.groups.is_empty() {
            answer["groups"] = json!(self.groups);
        }
        answer
    }
}

/// Checks a pipeline. A machine that only checks files has no secrets.
pub(super) fn checked(
    project: &Project,
    source: &Arc<SourceFile>,
    registry: &Registry,
    options: &PlanOptions,
) -> Result<Checked, Diagnostics> {
    match project.plan(source, registry, options) {
        Ok(plan) => Ok(Checked {
            steps: plan.steps().len(),
            groups: plan.groups().iter().map(|group| group.id.clone()).collect(),
            warnings: plan.warnings().clone(),
            complete: true,
        }),
        Err(diagnostics) => {
            let warnings = diagnostics.without_environment()?;
            Ok(Checked { steps: steps_of(source), groups: Vec::new(), warnings, complete: false })
        }
    }
}

fn steps_of(source: &Arc<SourceFile>) -> usize {
    parse(source, &mut Diagnostics::default()).map_or(0, |pipeline| pipeline.steps.len())
}

/// The pipeline that the user chose, planned, with the tables that its sources have; what is worth a warning has been said.
pub(super) fn planned(
    selection: &Selection,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<(Project, Plan), CommandError> {
    chosen(selection, given, console, |project, source| plan(project, source, registry, &selection.options()))
}

/// The same, with the tables that the last run has read.
pub(super) fn recorded(
    selection: &Selection,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<(Project, Plan), CommandError> {
    chosen(selection, given, console, |project, source| {
        Ok(project.plan_recorded(source, registry, &selection.options())?)
    })
}

/// The same, with one step for all tables of a group.
pub(super) fn outlined(
    selection: &Selection,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<(Project, Plan), CommandError> {
    chosen(selection, given, console, |project, source| Ok(project.plan(source, registry, &selection.options())?))
}

fn chosen(
    selection: &Selection,
    given: Settings,
    console: &Console,
    plan: impl FnOnce(&Project, &Arc<SourceFile>) -> Result<Plan, CommandError>,
) -> Result<(Project, Plan), CommandError> {
    let project = Project::of_pipeline(&selection.file, given, Environment::of_process())?;
    let source = Arc::new(SourceFile::read(&selection.file)?);
    let plan = plan(&project, &source)?;
    warn(&plan, console);
    Ok((project, plan))
}

/// A pipeline, planned; the sources of its groups are asked for their tables.
pub(super) fn plan(
    project: &Project,
    source: &Arc<SourceFile>,
    registry: &Registry,
    options: &PlanOptions,
) -> Result<Plan, CommandError> {
    let plan = project.plan(source, registry, options)?;
    if !plan.is_outline() {
        return Ok(plan);
    }
    wait(project.plan_tables(source, registry, options)).map_err(CommandError::of_plan)
}

/// The warnings of a plan. Where secrets are written out in files is a line: `validate` shows each.
pub(super) fn warn(plan: &Plan, console: &Console) {
    let (warnings, secrets) = plan.warnings().without_literal_secrets();
    if !warnings.is_empty() {
        console.say(&console.rendered(&warnings));
    }
    let fields = if secrets == 1 { "secret is" } else { "secrets are" };
    if secrets > 0 {
        console.warning_line(&format!(
            "{secrets} {fields} written in the connections file: `osiris validate` shows where"
        ));
    }
}

/// The project of the current directory.
pub(super) fn here(given: Settings) -> Result<Project, CommandError> {
    Ok(Project::of_directory(Path::new("."), given, Environment::of_process())?)
}
