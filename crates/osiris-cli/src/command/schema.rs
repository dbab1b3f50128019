//! `schema`: the JSON Schemas of the files of a project.

use osiris::Registry;
use osiris::pipeline::{connections_schema, pipeline_schema, settings_schema};

use crate::args::{SchemaArgs, SchemaFile};
use crate::command_error::CommandError;
use crate::console::Console;

pub(super) fn schema(args: &SchemaArgs, registry: &Registry, console: &Console) -> Result<u8, CommandError> {
    console.json(&match args.file {
        SchemaFile::Pipeline => pipeline_schema(registry),
        SchemaFile::Connections => connections_schema(registry),
        SchemaFile::Settings => settings_schema(),
    })?;
    Ok(0)
}
