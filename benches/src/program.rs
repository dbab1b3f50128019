//! What the programs of the benchmarks share: how they end.
#![expect(clippy::print_stderr, reason = "a program for the benchmarks, not a library")]

use std::error::Error;
use std::process::ExitCode;

/// The exit code of a program; what failed is printed.
pub(crate) fn ended(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
