//! `init` and `validate`, and how the other commands find their project.

use std::path::Path;
use std::sync::Arc;

use osiris::pipeline::init as write_starter;
use osiris::{Environment, Plan, Project, Registry, Settings, SourceFile};

use crate::args::Selection;
use crate::command_error::CommandError;
use crate::console::Console;

pub(super) fn init(directory: &Path, console: &Console) -> Result<u8, CommandError> {
    let files = write_starter(directory)?;
    for file in &files {
        console.say(&format!("  wrote {}", directory.join(file).display()));
    }
    if directory != Path::new(".") {
        console.say(&format!("next: cd {}", directory.display()));
    }
    console.say("next: osiris run pipeline.yaml");
    Ok(0)
}

pub(super) fn validate(
    selection: &Selection,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let (_, plan) = planned(selection, given, registry, console)?;
    let steps = plan.steps().len();
    let ending = if steps == 1 { "" } else { "s" };
    console.say(&format!("{} {}: {steps} step{ending}", console.good("valid"), selection.file.display()));
    Ok(0)
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

pub(super) fn warn(plan: &Plan, console: &Console) {
    if !plan.warnings().is_empty() {
        console.say(&plan.warnings().render(console.styled()));
    }
}

/// The project of the current directory.
pub(super) fn here(given: Settings) -> Result<Project, CommandError> {
    Ok(Project::of_directory(Path::new("."), given, Environment::of_process())?)
}
