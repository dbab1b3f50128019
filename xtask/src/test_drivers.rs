//! `cargo xtask test-drivers`: every test of the workspace, or those of one driver, with the servers they need.

use std::collections::BTreeSet;
use std::process::Command;

use crate::args::Args;
use crate::duckdb::Build;
use crate::private::Private;
use crate::services::{self, Mode};
use crate::{Outcome, faults, matrix, shell, tools, workspace};

/// Names the services whose tests are left out, for the tests themselves.
pub(crate) const SKIPPED: &str = "OSIRIS_TEST_SKIPPED_SERVICES";
/// The file to which each test that is left out adds a line.
pub(crate) const SKIPPED_LOG: &str = "OSIRIS_TEST_SKIPPED_LOG";
/// Runs tests, and fails when a selection has none.
pub(crate) const NEXTEST: [&str; 4] = ["nextest", "run", "--locked", "--no-tests=fail"];
/// Gives a build the features that the dependencies of tests bring, so that it shares with the tests what they compile: arrow, sqlx
/// and all of our crates. It selects nothing, for there are no examples; it only counts as a selection that needs them.
pub(crate) const AS_FOR_TESTS: &str = "--examples";

/// From where property tests get their inputs, by the variable that proptest reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seeds {
    /// The same inputs in every run: its result is that of the change, not of chance.
    Fixed,
    /// Others in every run: a case that fails is committed with the correction.
    New,
}

impl Seeds {
    const VARIABLE: &str = "PROPTEST_RNG_SEED";

    /// One that the caller has set counts.
    fn set(self, command: &mut Command) {
        if self == Self::Fixed && std::env::var_os(Self::VARIABLE).is_none() {
            command.env(Self::VARIABLE, "1");
        }
    }
}

pub(crate) fn main(mut args: Args) -> Outcome {
    let driver = args.option("--driver")?;
    let mode = Mode::parse(args.option("--services")?.as_deref())?;
    if args.flag("--faults") {
        return faults::main(args, mode);
    }
    if args.flag("--server-matrix") {
        return matrix::main(args, mode);
    }
    let seeds = if args.flag("--explore") { Seeds::New } else { Seeds::Fixed };
    args.finish()?;
    run(driver.as_deref(), mode, seeds, None)
}

/// Runs the tests, in a home of their own when there is one.
pub(crate) fn run(driver: Option<&str>, mode: Mode, seeds: Seeds, private: Option<&Private>) -> Outcome {
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
    let log = workspace::target_dir().join(format!("skipped-{}", std::process::id()));
    let failed = |error: std::io::Error| format!("{}: {error}", log.display());
    std::fs::create_dir_all(workspace::target_dir()).and_then(|()| std::fs::write(&log, "")).map_err(failed)?;
    for mut command in commands(driver, Build::of_checkout()) {
        if let Some(private) = private {
            private.enter(&mut command);
        }
        if mode == Mode::Required {
            command.env(faults::TOOLS, "required");
        }
        seeds.set(&mut command);
        shell::run(command.env(SKIPPED, skipped.join(",")).env(SKIPPED_LOG, &log))?;
    }
    let left_out = std::fs::read_to_string(&log).map_err(failed)?;
    std::fs::remove_file(&log).map_err(failed)?;
    println!("{}", summary(&skipped, &left_out));
    Ok(())
}

/// The last line: how many tests were not run, and which services they need.
fn summary(skipped: &[impl AsRef<str>], log: &str) -> String {
    let services: Vec<String> = skipped.iter().map(|service| format!("`{}`", service.as_ref())).collect();
    // A service by its name, what a server lacks by a description.
    let named = |what: &str| if what.contains(' ') { what.to_owned() } else { format!("`{what}`") };
    let lacking: BTreeSet<String> = log.lines().map(named).collect();
    let lacking = lacking.into_iter().collect::<Vec<_>>().join(" or ");
    match (log.lines().count(), services.is_empty()) {
        (0, true) => "every test was run".to_owned(),
        (0, false) => format!("SKIPPED: no test, although {} cannot be had", services.join(", ")),
        (1, _) => format!("SKIPPED: 1 test, which needs {lacking}, was not run"),
        (tests, _) => format!("SKIPPED: {tests} tests, which need {lacking}, were not run"),
    }
}

/// The whole workspace is tested with the features of the command line program: every driver, and a DuckDB as the checkout is set
/// up. A single driver's crate has no defaults, so it is told the same feature: one feature set, one DuckDB.
fn commands(driver: Option<&str>, build: Build) -> Vec<Command> {
    let cargo = |words: &[&str], selection: &[&str]| shell::cargo(&[words, selection].concat());
    let nextest = |selection: &[&str]| cargo(&NEXTEST, selection);
    let doc = |selection: &[&str]| cargo(&["test", "--locked", "--quiet", "--doc"], selection);
    let workspace = build.workspace();
    // Whole pipelines run the program itself.
    let program = cargo(&["build", "--locked", "--quiet", "--bin", "osiris", AS_FOR_TESTS], &workspace);
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
        let error = run(Some("oracle"), Mode::Skip, Seeds::Fixed, None).unwrap_err();
        assert!(error.contains("`oracle`") && error.contains("duckdb, filesystem"), "{error}");
    }

    #[test]
    fn what_is_built_as_for_tests_selects_no_example() {
        let members = workspace::directories_of_members().unwrap();
        assert!(members.len() > 10);
        for member in members {
            let examples = workspace::root().join(&member).join("examples");
            assert!(!examples.exists(), "{member}: its examples would be compiled with the program");
        }
    }

    #[test]
    fn a_run_without_tests_fails() {
        let package = workspace::target_dir().join(format!("testless-{}", std::process::id()));
        let manifest = "[package]\nname = \"testless\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
        let lock = "version = 4\n\n[[package]]\nname = \"testless\"\nversion = \"0.0.0\"\n";
        std::fs::create_dir_all(package.join("src")).unwrap();
        std::fs::write(package.join("Cargo.toml"), manifest).unwrap();
        std::fs::write(package.join("Cargo.lock"), lock).unwrap();
        let run = |source: &str| {
            std::fs::write(package.join("src/lib.rs"), source).unwrap();
            let mut command = shell::cargo(&NEXTEST);
            command.current_dir(&package).env("CARGO_TARGET_DIR", package.join("target"));
            // What selects features and profiles of this workspace means nothing there.
            command.env_remove("NEXTEST_PROFILE").env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
            let output = command.output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (succeeded, said) = run("");
        assert!(!succeeded && said.contains("no tests to run"), "{said}");
        let (succeeded, said) = run("#[test] fn passes() {}");
        assert!(succeeded, "{said}");
        std::fs::remove_dir_all(&package).unwrap();
    }

    #[test]
    fn the_last_line_says_how_many_tests_were_not_run() {
        assert_eq!(summary(&[] as &[&str], ""), "every test was run");
        assert_eq!(summary(&["mariadb"], ""), "SKIPPED: no test, although `mariadb` cannot be had");
        assert_eq!(summary(&["mariadb"], "mariadb\n"), "SKIPPED: 1 test, which needs `mariadb`, was not run");
        let both = summary(&["mariadb", "mysql"], "mariadb\nmysql\nmysql\n");
        assert_eq!(both, "SKIPPED: 3 tests, which need `mariadb` or `mysql`, were not run");
        let lacking = summary(&[] as &[&str], "the extension `hstore` of PostgreSQL\n");
        assert_eq!(lacking, "SKIPPED: 1 test, which needs the extension `hstore` of PostgreSQL, was not run");
    }

    #[test]
    fn property_tests_get_the_same_inputs_unless_new_ones_are_asked_for() {
        let seed = |seeds: Seeds| {
            let mut command = Command::new("true");
            seeds.set(&mut command);
            command.get_envs().any(|(name, _)| name == Seeds::VARIABLE)
        };
        assert!(!seed(Seeds::New));
        assert_eq!(seed(Seeds::Fixed), std::env::var_os(Seeds::VARIABLE).is_none());
    }

    #[test]
    fn one_driver_runs_its_own_tests_and_its_pipelines() {
        let lines: Vec<String> = commands(Some("duckdb"), Build::Bundled).iter().map(shell::describe).collect();
        assert!(
            lines[1].contains("nextest run --locked --no-tests=fail -p osiris-driver-duckdb -p osiris-e2e"),
            "{lines:?}"
        );
        assert!(lines[1].contains("package(osiris-e2e) and test(duckdb)"), "{lines:?}");
    }
}
