//! `copy`: a pipeline of two or three steps that is in no file.

use osiris::pipeline::CopyPipeline;
use osiris::{PlanOptions, Registry, Settings};

use super::run::{self, Choices};
use super::{project, wait};
use crate::args::CopyArgs;
use crate::command_error::CommandError;
use crate::console::Console;

pub(super) fn copy(
    args: &CopyArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let copy: CopyPipeline = args.request().pipeline(registry)?;
    if args.print {
        console.data(&copy.text())?;
        return Ok(0);
    }
    let project = project::here(Settings { store: args.store.map(Into::into), ..given })?;
    let options = PlanOptions { dry_run: args.dry_run, ..PlanOptions::default() };
    let plan = wait(project.plan_copy(&copy, registry, &options)).map_err(CommandError::of_plan)?;
    let choices =
        Choices { force: args.force, wait: args.wait, progress: args.progress, json: args.json, ..Choices::default() };
    run::execute(&project, &plan, None, &choices, console)
}
