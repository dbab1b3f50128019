//! `cargo xtask test-drivers --faults`: the fault matrix of the crate in `tests`, in full, and its table.

use crate::args::Args;
use crate::duckdb::Build;
use crate::services::{self, Mode};
use crate::test_drivers::SKIPPED;
use crate::{Outcome, shell, workspace};

/// What can be chosen, and the variables by which the test is told.
const CHOICES: [(&str, &str); 4] = [
    ("--seed", "OSIRIS_TEST_FAULTS_SEED"),
    ("--repeats", "OSIRIS_TEST_FAULTS_REPEATS"),
    ("--minutes", "OSIRIS_TEST_FAULTS_MINUTES"),
    ("--only", "OSIRIS_TEST_FAULTS_ONLY"),
];
/// Says that a machine without the tools of some faults is an error: `required`.
pub(crate) const TOOLS: &str = "OSIRIS_TEST_FAULTS_TOOLS";

pub(crate) fn main(mut args: Args, mode: Mode) -> Outcome {
    let mut chosen = Vec::new();
    for (option, variable) in CHOICES {
        if let Some(value) = args.option(option)? {
            if option != "--only" && value.parse::<u64>().is_err() {
                return Err(format!("{option} {value}: expected a number"));
            }
            chosen.push((variable, value));
        }
    }
    args.finish()?;
    let skipped = services::prepare(mode, &workspace::drivers()?, &services::ThisMachine)?;
    for service in &skipped {
        println!("SKIPPED: every fault that needs the service `{service}`");
    }
    let build = Build::of_checkout();
    shell::run(shell::cargo(&["build", "--locked", "--quiet", "--bin", "osiris"]).args(build.workspace()))?;
    // Not by nextest, which would end it after some minutes.
    let mut test = shell::cargo(&["test", "--locked", "--quiet", "--test", "it"]);
    test.args(build.workspace()).env(SKIPPED, skipped.join(",")).envs(chosen);
    if mode == Mode::Required {
        test.env(TOOLS, "required");
    }
    shell::run(test.args(["--", "--ignored", "--exact", "--nocapture", TEST]))
}

/// The test with all of it.
const TEST: &str = "faults::fault_matrix_in_full_loses_and_doubles_nothing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_that_is_no_number_is_refused() {
        let words = ["--minutes", "long"].map(str::to_owned);
        assert_eq!(main(Args::new(words), Mode::Skip).unwrap_err(), "--minutes long: expected a number");
    }

    #[test]
    fn the_test_that_is_run_is_there() {
        let name = TEST.rsplit("::").next().unwrap();
        assert!(workspace::read("tests/it/faults/mod.rs").unwrap().contains(&format!("async fn {name}()")));
    }
}
