//! A driver in a repository of its own: the manifest of a template with versions instead of the workspace's, and the program that has
//! the driver beside those of Osiris. Besides those that are made of the templates there is one whose source is here, as an example.

use std::path::Path;
use std::process::Command;

use crate::duckdb::{self, Build};
use crate::{Outcome, new_driver, shell, workspace};

/// The manifest of a crate that is a member of no workspace: `ours` is that of the workspace.
pub(crate) fn manifest(template: &str, ours: &str) -> Outcome<String> {
    let mut text = String::new();
    let mut section = "";
    for line in template.lines() {
        if line.starts_with('[') {
            section = line;
        }
        match section {
            "[lints]" => {}
            "[package]" => {
                if let Some(line) = package_line(line, ours)? {
                    text.push_str(&(line + "\n"));
                }
            }
            "[dependencies]" | "[dev-dependencies]" => {
                text.push_str(&(dependency_line(line, ours)? + "\n"));
                if line == "[dependencies]" {
                    text.push_str(&program_dependencies(ours)?);
                }
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    let features = "bundled = [\"osiris-core/bundled\"]";
    let program = "bundled = [\"osiris-cli/bundled\", \"osiris-core/bundled\"]";
    Ok(text.trim_end().replace(features, program) + "\n\n[workspace]\n")
}

/// `version.workspace = true` with the workspace's value. What only a registry reads is the author's to write.
fn package_line(line: &str, ours: &str) -> Outcome<Option<String>> {
    let Some(key) = line.strip_suffix(".workspace = true") else { return Ok(Some(line.to_owned())) };
    if ["keywords", "categories", "license"].contains(&key) {
        return Ok(None);
    }
    let package = section_of(ours, "[workspace.package]")?;
    let value = package.lines().find(|line| line.starts_with(&format!("{key} = ")));
    value.map(|line| Some(line.to_owned())).ok_or_else(|| format!("Cargo.toml: no `{key}` in [workspace.package]"))
}

/// What the program of the crate needs besides the driver: SQL and files.
fn program_dependencies(ours: &str) -> Outcome<String> {
    let version = package_line("version.workspace = true", ours)?.unwrap_or_default();
    Ok(format!(
        "osiris = {{ {version}, default-features = false, features = [\"duckdb\", \"filesystem\"] }}\n\
         osiris-cli = {{ {version}, default-features = false }}\n"
    ))
}

/// `name.workspace = true` or `name = { workspace = true, .. }` as it is written outside of the workspace.
fn dependency_line(line: &str, ours: &str) -> Outcome<String> {
    if let Some(name) = line.strip_suffix(".workspace = true") {
        return Ok(format!("{name} = {}", dependency(name, ours)?));
    }
    let Some((name, rest)) = line.split_once(" = { workspace = true, features = [") else {
        return Ok(line.to_owned());
    };
    let more = rest.strip_suffix("] }").ok_or_else(|| format!("cannot read `{line}`"))?;
    let value = dependency(name, ours)?;
    let with = match value.strip_suffix(" }") {
        None => format!("{{ version = {value}, features = [{more}] }}"),
        Some(table) => match table.split_once("features = [") {
            Some((before, features)) => format!("{before}features = [{more}, {features} }}"),
            None => format!("{table}, features = [{more}] }}"),
        },
    };
    Ok(format!("{name} = {with}"))
}

/// What the workspace depends on under this name, by version alone.
fn dependency(name: &str, ours: &str) -> Outcome<String> {
    let dependencies = section_of(ours, "[workspace.dependencies]")?;
    let value = dependencies.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
    let value = value.ok_or_else(|| format!("Cargo.toml: no `{name}` in [workspace.dependencies]"))?;
    let Some((before, path)) = value.split_once("path = \"") else { return Ok(value.to_owned()) };
    let (_, after) = path.split_once("\", ").ok_or_else(|| format!("Cargo.toml: `{name}` has no version"))?;
    Ok(format!("{before}{after}"))
}

fn section_of<'a>(manifest: &'a str, section: &str) -> Outcome<&'a str> {
    let start = manifest.find(section).ok_or_else(|| format!("Cargo.toml: no {section}"))?;
    let rest = &manifest[start + section.len()..];
    Ok(rest.find("\n[").map_or(rest, |end| &rest[..end]))
}

/// The program that has the driver of the crate `name` beside those of Osiris.
pub(crate) fn program(name: &str) -> String {
    format!(
        "//! `osiris` with one more driver.

use std::process::ExitCode;

fn main() -> ExitCode {{
    let registered = osiris::registry().and_then(|mut registry| {{
        osiris_driver_{name}::register(&mut registry)?;
        Ok(registry)
    }});
    match registered {{
        Ok(registry) => osiris_cli::main_with(registry),
        Err(error) => {{
            eprintln!(\"error: {{error}}\");
            ExitCode::FAILURE
        }}
    }}
}}
"
    )
}

/// Makes a driver of each template, and a copy of the example, outside of the workspace, beside `directory`. Runs the suite of the one for files, and a pipeline with
/// its program; compiles the others. `sources` says in a manifest where our crates are.
pub(crate) fn check(directory: &Path, sources: &str) -> Outcome {
    check_example(&directory.with_file_name(format!("{NAME}-example")), sources)?;
    for kind in COMPILED {
        let directory = directory.with_file_name(format!("{NAME}-{kind}"));
        make(kind, &format!("{NAME}{kind}"), &directory, sources)?;
        shell::run(&mut cargo(&directory, &["check", "--quiet", "--all-targets"]))?;
    }
    make("file", NAME, directory, sources)?;
    shell::run(&mut cargo(directory, &["test", "--quiet"]))?;
    let shelf = directory.join("shelf");
    std::fs::create_dir_all(&shelf).map_err(|error| format!("{}: {error}", shelf.display()))?;
    workspace::write(directory.join("pipeline.yaml"), PIPELINE)?;
    let connections = format!("version: 1\nconnections: {{{NAME}: {{shelf: {{directory: {shelf:?}}}}}}}\n");
    workspace::write(directory.join("osiris_connections.yaml"), &connections)?;
    // Without what the tests bring it must compile too. The program that the tests have compiled runs: another would take minutes.
    shell::run(&mut cargo(directory, &["check", "--quiet", "--bins"]))?;
    let program = workspace::target_dir().join("debug").join(format!("osiris-driver-{NAME}"));
    shell::run(Command::new(program).current_dir(directory).args(["run", "pipeline.yaml"]))
}

/// Runs the tests of a copy of the example, and its pipeline with its program.
fn check_example(directory: &Path, sources: &str) -> Outcome {
    remove(directory)?;
    for file in EXAMPLE_FILES {
        workspace::write(directory.join(file), &workspace::read(format!("{EXAMPLE}/{file}"))?)?;
    }
    let manifest = workspace::read(format!("{EXAMPLE}/Cargo.toml"))?;
    let (own, _) = manifest.split_once(PATCH).ok_or_else(|| format!("{EXAMPLE}/Cargo.toml: no {PATCH}"))?;
    with_sources(directory, own, sources)?;
    shell::run(&mut cargo(directory, &["test", "--quiet"]))?;
    shell::run(&mut cargo(directory, &["run", "--quiet", "--", "run", "pipeline.yaml"]))?;
    let written = workspace::read(directory.join("out/sections.csv"))?;
    match written == EXAMPLE_RESULT {
        true => Ok(()),
        false => Err(format!("{EXAMPLE}: the pipeline wrote\n{written}\ninstead of\n{EXAMPLE_RESULT}")),
    }
}

/// The manifest of a crate with what says where our crates are, and the versions of our lock file.
fn with_sources(directory: &Path, manifest: &str, sources: &str) -> Outcome {
    workspace::write(directory.join("Cargo.toml"), &format!("{manifest}\n{sources}"))?;
    workspace::write(directory.join("Cargo.lock"), &workspace::read("Cargo.lock")?)
}

fn remove(directory: &Path) -> Outcome {
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    Ok(())
}

/// A crate of a template, with our crates from `sources` and the versions of our lock file.
fn make(kind: &str, name: &str, directory: &Path, sources: &str) -> Outcome {
    remove(directory)?;
    new_driver::write_outside(kind, name, directory)?;
    let manifest = workspace::read(directory.join("Cargo.toml"))?;
    with_sources(directory, &manifest, sources)
}

/// Cargo for such a crate, with the DuckDB of this checkout.
fn cargo(directory: &Path, arguments: &[&str]) -> Command {
    let features: &[&str] = if Build::of_checkout() == Build::Bundled { &["--features", "bundled"] } else { &[] };
    let (task, rest) = arguments.split_at(1);
    let mut command = shell::cargo(task);
    command.args(features).args(rest).current_dir(directory).env("CARGO_TARGET_DIR", workspace::target_dir());
    duckdb::announce_outside(&mut command);
    command
}

/// A component in a crate of its own: its directory, its files but the manifest, and what its pipeline writes.
pub(crate) const EXAMPLE: &str = "examples/own-driver";
const EXAMPLE_FILES: [&str; 4] = ["src/main.rs", "src/ini.rs", "app.ini", "pipeline.yaml"];
const EXAMPLE_RESULT: &str = "n,section\n1,\"\"\n1,database\n2,web\n";
/// Where its manifest says that our crates are those of this checkout.
const PATCH: &str = "[patch.crates-io]";

/// The kinds of drivers whose crates are compiled and not run: their suites run in the workspace.
const COMPILED: [&str; 2] = ["http", "sql"];

/// The family of the driver that is made outside.
const NAME: &str = "outside";

const PIPELINE: &str = "oml_version: \"0.1.0\"
name: outside
steps:
  - {id: made, component: duckdb.processor, config: {query: \"SELECT 1::BIGINT AS id, 'Alien' AS title\"}}
  - {id: written, component: outside.writer, needs: [made], config: {table: movies, connection: \"@outside.shelf\"}}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_outside_of_the_workspace_names_versions() {
        let ours = "[workspace.package]\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n\n[workspace.dependencies]\n\
                    osiris-core = { path = \"crates/osiris-core\", version = \"0.1.0\" }\nserde = \"1.0\"\n\
                    tokio = { version = \"1.54\", features = [\"rt\"] }\n\n[profile.dev]\n";
        let template = "[package]\nname = \"x\"\nversion.workspace = true\nlicense.workspace = true\n\n[features]\n\
                        bundled = [\"osiris-core/bundled\"]\n\n[dependencies]\nosiris-core.workspace = true\n\n[dev-dependencies]\n\
                        tokio = { workspace = true, features = [\"time\"] }\nserde = { workspace = true, features = [\"rc\"] }\n\n\
                        [lints]\nworkspace = true\n";
        assert_eq!(
            manifest(template, ours).unwrap(),
            "[package]\nname = \"x\"\nversion = \"0.1.0\"\n\n[features]\n\
             bundled = [\"osiris-cli/bundled\", \"osiris-core/bundled\"]\n\n[dependencies]\n\
             osiris = { version = \"0.1.0\", default-features = false, features = [\"duckdb\", \"filesystem\"] }\n\
             osiris-cli = { version = \"0.1.0\", default-features = false }\nosiris-core = { version = \"0.1.0\" }\n\n\
             [dev-dependencies]\ntokio = { version = \"1.54\", features = [\"time\", \"rt\"] }\n\
             serde = { version = \"1.0\", features = [\"rc\"] }\n\n[workspace]\n"
        );
        assert!(manifest("[dependencies]\nnothing.workspace = true\n", ours).unwrap_err().contains("no `nothing`"));
    }

    #[test]
    fn g58_the_example_names_our_versions_and_no_other_crate() {
        let (ours, example) =
            (workspace::read("Cargo.toml").unwrap(), workspace::read(format!("{EXAMPLE}/Cargo.toml")).unwrap());
        let dependencies = section_of(&example, "[dependencies]").unwrap().trim();
        assert_eq!(dependencies.lines().count(), 2, "{dependencies}");
        for line in dependencies.lines() {
            let (name, value) = line.split_once(" = ").unwrap();
            // All crates have one version, and nobody in the workspace depends on the program.
            let wanted = dependency("osiris", &ours).unwrap();
            let version = |table: &str| table.split("version = ").nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
            assert_eq!(version(value), version(&wanted), "{name}");
        }
        for key in ["edition", "rust-version"] {
            let line = package_line(&format!("{key}.workspace = true"), &ours).unwrap().unwrap();
            assert!(example.contains(&line), "{line}");
        }
        assert!(example.contains("\n[workspace]\n") && example.contains(PATCH));
        for file in EXAMPLE_FILES {
            assert!(workspace::root().join(EXAMPLE).join(file).is_file(), "{file}");
        }
    }
}
