//! `validate`, and how the other commands find their project.

use std::path::Path;
use std::sync::Arc;

use osiris::pipeline::{FAILURE_VERSION, parse};
use osiris::{Diagnostics, Environment, Plan, PlanOptions, Project, Registry, Settings, SourceFile};
use serde_json::{Value, json};

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
    let Checked { steps, warnings, complete } = checked;
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
    Ok(0)
}

/// A pipeline that is valid, as far as it could be checked.
pub(super) struct Checked {
    steps: usize,
    warnings: Diagnostics,
    complete: bool,
}

impl Checked {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "version": FAILURE_VERSION,
            "ok": true,
            "complete": self.complete,
            "steps": self.steps,
            "diagnostics": self.warnings.to_json(),
        })
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
        Ok(plan) => Ok(Checked { steps: plan.steps().len(), warnings: plan.warnings().clone(), complete: true }),
        Err(diagnostics) => {
            let warnings = diagnostics.without_environment()?;
            Ok(Checked { steps: steps_of(source), warnings, complete: false })
        }
    }
}

fn steps_of(source: &Arc<SourceFile>) -> usize {
    parse(source, &mut Diagnostics::default()).map_or(0, |pipeline| pipeline.steps.len())
}

/// The pipeline that the user chose, planned; what is worth a warning has been said.
pub(super) fn planned(
    selection: &Selection,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<(Project, Plan), CommandError> {
    let project = Project::of_pipeline(&selection.file, given, Environment::of_process())?;
    let source = Arc::new(SourceFile::read(&selection.file)?);
    let plan = project.plan(&source, registry, &selection.options())?;
    warn(&plan, console);
    Ok((project, plan))
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
