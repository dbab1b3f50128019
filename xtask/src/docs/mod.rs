//! `cargo xtask docs`: the pages that are made from the program itself, so that they cannot say anything else.

mod brief;
mod calls;
pub(crate) mod cli;
mod contract;
mod rules;

use std::process::Command;

use crate::args::Args;
use crate::duckdb::Build;
use crate::test_drivers::AS_FOR_TESTS;
use crate::{Outcome, shell, workspace};

/// How to bring the pages up to date.
const FIX: &str = "run `cargo xtask docs` and commit what it writes";

pub(crate) fn main(mut args: Args) -> Outcome {
    let only_check = args.flag("--check");
    args.finish()?;
    if only_check {
        return check();
    }
    for (path, text) in pages()? {
        workspace::write(path, &text)?;
        println!("wrote {path}");
    }
    Ok(())
}

/// Fails when a page is not what the program says, or names what is not there.
pub(crate) fn check() -> Outcome {
    brief::check()?;
    let stale: Vec<&str> = pages()?
        .into_iter()
        .filter(|(path, text)| workspace::read(path).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    if stale.is_empty() { Ok(()) } else { Err(format!("stale: {}\nhint: {FIX}", stale.join(", "))) }
}

fn pages() -> Outcome<Vec<(&'static str, String)>> {
    let mut build = shell::cargo(&["build", "--locked", "--quiet", "--bin", "osiris", AS_FOR_TESTS]);
    shell::run(build.args(Build::of_checkout().workspace()))?;
    Ok(vec![
        ("docs/reference/components.md", osiris(&["components", "reference"])?),
        ("docs/reference/cli.md", cli::page(&osiris)?),
        ("docs/reference/settings.md", osiris(&["schema", "settings", "--reference"])?),
        ("docs/reference/errors.md", osiris(&["explain", "--reference"])?),
        ("docs/driver-spec.md", rules::page()?),
        ("docs/driver-contract.md", contract::page()?),
    ])
}

/// What the program prints, whatever the terminal and the environment of the caller.
fn osiris(arguments: &[&str]) -> Outcome<String> {
    let mut command = Command::new(workspace::target_dir().join("debug").join("osiris"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OSIRIS_")) {
        command.env_remove(name);
    }
    command.current_dir(workspace::root()).env("COLUMNS", "100").env("NO_COLOR", "1");
    shell::capture(command.args(arguments))
}
