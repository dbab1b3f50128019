#![doc = include_str!("../README.md")]

mod args;
mod command;
mod command_error;
mod console;
mod csv;
mod human;
mod interrupt;
mod logging;
#[cfg(feature = "otel")]
mod otel;
mod panic;
mod progress;
mod prompt;
mod report;
mod table;
mod terminal;

use std::process::ExitCode;

use clap::FromArgMatches;
use osiris::Registry;
use osiris::pipeline::ExitCode as Code;

use args::Cli;
use console::Console;

/// Runs the program with the components of `registry`: reads the command line of the process, does what it says,
/// prints, and returns the exit code. It installs a panic hook and, while a pipeline runs, handlers of signals; call it
/// once, from `main`.
pub fn main_with(registry: Registry) -> ExitCode {
    panic::install();
    // Whatever panics has been reported by the hook: what is left is the exit code.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program(&registry)));
    ended.unwrap_or(ExitCode::from(Code::Failed.code()))
}

fn program(registry: &Registry) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let colour = args::colour_before_parsing(&arguments);
    let parsed = args::command_line().color(colour).try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let error = args::with_our_command(error);
            // Help and version are no errors: clap knows, and knows the stream.
            let code = if error.use_stderr() { Code::Refused } else { Code::Done };
            console::usage(&error, colour);
            return ExitCode::from(code.code());
        }
    };
    let console = Console::new(&cli.global);
    match command::execute(&cli, registry, &console) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console.failure(&error, cli.command.is_json());
            ExitCode::from(error.exit_code().code())
        }
    }
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
