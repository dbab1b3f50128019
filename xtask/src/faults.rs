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
/// Lets single calls of the program fail.
const TRACER: &str = "strace";

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
    prepare_tracer()?;
    let build = Build::of_checkout();
    shell::run(shell::cargo(&["build", "--locked", "--quiet", "--bin", "osiris"]).args(build.workspace()))?;
    // Not by nextest, which would end it after some minutes.
    let mut test = shell::cargo(&["test", "--locked", "--quiet", "--test", "it"]);
    test.args(build.workspace()).env(SKIPPED, skipped.join(",")).envs(chosen);
    shell::run(test.args(["--", "--ignored", "--exact", "--nocapture", TEST]))
}

/// The test with all of it.
const TEST: &str = "faults::fault_matrix_in_full_loses_and_doubles_nothing";

/// Without it, faults at single calls are left out.
pub(crate) fn prepare_tracer() -> Outcome {
    if shell::find_program(TRACER, &[]).is_some() {
        return Ok(());
    }
    if shell::can_apt_install() {
        return shell::apt_install(TRACER);
    }
    println!("SKIPPED: faults at single system calls, which need `{TRACER}`");
    Ok(())
}

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
