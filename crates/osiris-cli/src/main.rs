//! The program `osiris`: arguments, progress, tables, exit codes. What it does is done by the crates below it.

mod args;
mod command;
mod console;
mod failure;
mod human;
mod interrupt;
mod logging;
mod panic;
mod progress;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::Cli;
use console::Console;

fn main() -> ExitCode {
    panic::install();
    // Whatever panics has been reported by the hook: what is left is the exit code.
    std::panic::catch_unwind(program).unwrap_or(ExitCode::from(panic::EXIT_CODE))
}

fn program() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let colour = args::colour_before_parsing(&arguments);
    let parsed = Cli::command().color(colour).try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors: clap knows, and knows the stream.
            let code = if error.use_stderr() { failure::REFUSED } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let console = Console::new(&cli.global);
    match command::execute(&cli, &console) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            console.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
