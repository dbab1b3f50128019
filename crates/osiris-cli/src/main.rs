//! The program `osiris`, with every driver that is compiled in.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match osiris::registry() {
        Ok(registry) => osiris_cli::main_with(registry),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
