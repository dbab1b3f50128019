//! `init`: a small project, or a pipeline for the tables of a connection.

use std::path::{Path, PathBuf};

use osiris::core::{ConnectionRef, visible_line};
use osiris::pipeline::inspect::DiscoverOptions;
use osiris::pipeline::{TablesRequest, init as write_starter, init_file};
use osiris::{Environment, Project, Registry, Settings};

use super::discover::discovered;
use crate::args::InitArgs;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::logging;

pub(super) fn init(
    args: &InitArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    match &args.from {
        None => starter(&args.directory, console),
        Some(source) => tables(args, source, given, registry, console),
    }
}

fn starter(directory: &Path, console: &Console) -> Result<u8, CommandError> {
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

/// A pipeline for the tables of `source`, which are discovered.
fn tables(
    args: &InitArgs,
    source: &ConnectionRef,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let project = Project::of_directory(&args.directory, given, Environment::of_process())?;
    let log_secrets = logging::start(console, project.settings());
    let request = TablesRequest::new(source.clone(), &args.to).with_pattern(args.tables.clone());
    let options = DiscoverOptions {
        connection: Some(source.clone()),
        pattern: args.tables.clone(),
        refresh: true,
        cache: Some(project.catalog_cache()),
    };
    let found = discovered(&project, request.component(registry)?, &options, registry, &log_secrets)?;
    if let Some(no_match) = found.no_match {
        return Err(CommandError::Run(no_match));
    }
    let made = request.pipeline(source.alias(), &found.catalog, registry)?;
    let name = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.yaml", source.alias())));
    let file = if args.directory == Path::new(".") { name } else { args.directory.join(name) };
    init_file(&file, &made.text)?;
    for (name, reason) in &made.left_out {
        console.say(&format!("  not copied: {}: {reason}", visible_line(name)));
    }
    let count = made.tables.len();
    let ending = if count == 1 { "" } else { "s" };
    console.say(&format!("  wrote {}: {count} table{ending}", file.display()));
    console.say(&format!("next: osiris run {} --dry-run", file.display()));
    Ok(0)
}
