//! `copy`: a pipeline of two or three steps that is in no file.

use osiris::pipeline::CopyPipeline;
use osiris::{PlanOptions, Registry, Settings};

use super::project;
use super::run::{self, Choices};
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
    let plan = project.plan_copy(&copy, registry, &PlanOptions { dry_run: args.dry_run, ..PlanOptions::default() })?;
    let choices =
        Choices { force: args.force, wait: args.wait, progress: args.progress, json: args.json, ..Choices::default() };
    run::execute(&project, &plan, None, &choices, console)
}
