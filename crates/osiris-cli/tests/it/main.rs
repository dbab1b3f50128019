//! The program as its user sees it: what it says, and its exit codes. Whole pipelines are tested in the package
//! `osiris-e2e`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod commands;
mod help;
#[cfg(feature = "otel")]
mod otel;
mod output;
mod refused;
mod schema;
mod settings;

use osiris_e2e::Program;

fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_osiris"))
}
