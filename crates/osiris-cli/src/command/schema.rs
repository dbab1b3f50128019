//! `schema`: the JSON Schemas of the files of a project.

use std::fmt::Write as _;

use osiris::Registry;
use osiris::pipeline::{connections_schema, pipeline_schema, settings_schema};
use serde_json::Value;

use crate::args::{SchemaArgs, SchemaFile, command_line};
use crate::command_error::CommandError;
use crate::console::Console;

pub(super) fn schema(args: &SchemaArgs, registry: &Registry, console: &Console) -> Result<u8, CommandError> {
    if args.reference {
        console.data(&settings_page())?;
        return Ok(0);
    }
    console.json(&match args.file {
        SchemaFile::Pipeline => pipeline_schema(registry),
        SchemaFile::Connections => connections_schema(registry),
        SchemaFile::Settings => settings_schema(),
    })?;
    Ok(0)
}

const SETTINGS: &str = "\
# Settings

Made by `cargo xtask docs` from the schema that `osiris schema settings` prints: edit that, not this page.

A setting is taken from the command line, else from its environment variable, else from `osiris.yaml` in the directory of the project, else
it has its default. A relative path in `osiris.yaml` starts there. A `.env` file is for the variables of connections and parameters: settings
in it have no effect.

| `osiris.yaml` | variable | option | meaning |
| --- | --- | --- | --- |
";

/// The settings, with the variable and the option of each.
fn settings_page() -> String {
    let schema = settings_schema();
    let program = command_line();
    let options = |name: &str| {
        let run = program.find_subcommand("run").into_iter().flat_map(clap::Command::get_arguments);
        run.filter_map(clap::Arg::get_long).any(|long| long == name)
    };
    let mut page = SETTINGS.to_owned();
    for (name, setting) in schema["properties"].as_object().into_iter().flatten() {
        let about = setting["description"].as_str().unwrap_or_default();
        let words: Vec<String> = setting["enum"].as_array().into_iter().flatten().filter_map(word).collect();
        let words = if words.is_empty() { String::new() } else { format!(" Values: {}.", words.join(", ")) };
        let option = name.replace('_', "-");
        let option = if options(&option) { format!("`--{option}`") } else { String::new() };
        let _ = writeln!(page, "| `{name}` | `OSIRIS_{}` | {option} | {about}{words} |", name.to_uppercase());
    }
    page
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(|word| format!("`{word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_variable_and_its_option_if_there_is_one() {
        let page = settings_page();
        assert!(page.contains("| `run_dir` | `OSIRIS_RUN_DIR` | `--run-dir` | "), "{page}");
        assert!(page.contains("| `store` | `OSIRIS_STORE` | `--store` | "), "{page}");
        assert!(page.contains("| `run_retention` | `OSIRIS_RUN_RETENTION` |  | "), "{page}");
        assert!(page.contains("Values: `text`, `json`."), "{page}");
    }
}
