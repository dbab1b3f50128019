//! `cargo xtask test-drivers`: every test of the workspace, or those of one driver, with the servers they need.

use std::process::Command;

use crate::args::Args;
use crate::duckdb::Build;
use crate::private::Private;
use crate::services::{self, Mode};
use crate::{Outcome, faults, shell, tools, workspace};

/// Names the services whose tests are left out, for the tests themselves.
pub(crate) const SKIPPED: &str = "OSIRIS_TEST_SKIPPED_SERVICES";

pub(crate) fn main(mut args: Args) -> Outcome {
    let driver = args.option("--driver")?;
    let mode = Mode::parse(args.option("--services")?.as_deref())?;
    if args.flag("--faults") {
        return faults::main(args, mode);
    }
    args.finish()?;
    run(driver.as_deref(), mode, None)
}

/// Runs the tests, in a home of their own when there is one.
pub(crate) fn run(driver: Option<&str>, mode: Mode, private: Option<&Private>) -> Outcome {
    let known = workspace::drivers()?;
    let drivers = match driver {
        None => known,
        Some(name) if known.iter().any(|driver| driver == name) => vec![name.to_owned()],
        Some(name) => return Err(format!("there is no driver `{name}`; there are: {}", known.join(", "))),
    };
    tools::NEXTEST.ensure()?;
    let skipped = services::prepare(mode, &drivers, &services::ThisMachine)?;
    for service in &skipped {
        println!("SKIPPED: every test that needs the service `{service}`");
    }
    for mut command in commands(driver, Build::of_checkout()) {
        if let Some(private) = private {
            private.enter(&mut command);
        }
        if mode == Mode::Required {
            command.env(faults::TOOLS, "required");
        }
        shell::run(command.env(SKIPPED, skipped.join(",")))?;
    }
    for service in &skipped {
        println!("SKIPPED: every test that needs the service `{service}`");
    }
    Ok(())
}

/// The whole workspace is tested with the features of the command line program: every driver, and a DuckDB as the checkout is set
/// up. A single driver's crate has no defaults, so it is told the same feature: one feature set, one DuckDB.
fn commands(driver: Option<&str>, build: Build) -> Vec<Command> {
    let cargo = |words: &[&str], selection: &[&str]| shell::cargo(&[words, selection].concat());
    let nextest = |selection: &[&str]| cargo(&["nextest", "run", "--locked", "--no-tests=fail"], selection);
    let doc = |selection: &[&str]| cargo(&["test", "--locked", "--quiet", "--doc"], selection);
    let workspace = build.workspace();
    // Whole pipelines run the program itself.
    let program = cargo(&["build", "--locked", "--quiet", "--bin", "osiris"], &workspace);
    let Some(driver) = driver else {
        return vec![program, nextest(&workspace), doc(&workspace)];
    };
    let package = format!("osiris-driver-{driver}");
    let features = build.features_of(&package);
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    let filter = format!("package({package}) or (package(osiris-e2e) and test({driver}))");
    let packages = ["-p", &package, "-p", "osiris-e2e"];
    vec![
        program,
        nextest(&[&packages, &features[..], &["-E", &filter]].concat()),
        doc(&[&["-p", &package], &features[..]].concat()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_driver_is_answered_with_the_known_ones() {
        let error = run(Some("oracle"), Mode::Skip, None).unwrap_err();
        assert!(error.contains("`oracle`") && error.contains("duckdb, filesystem"), "{error}");
    }

    #[test]
    fn one_driver_runs_its_own_tests_and_its_pipelines_and_fails_when_there_are_none() {
        let lines: Vec<String> = commands(Some("duckdb"), Build::Bundled).iter().map(shell::describe).collect();
        assert!(lines[1].contains("--no-tests=fail -p osiris-driver-duckdb -p osiris-e2e"), "{lines:?}");
        assert!(lines[1].contains("package(osiris-e2e) and test(duckdb)"), "{lines:?}");
    }
}
