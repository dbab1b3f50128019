//! The commands, one function each: from arguments to a call of the library, and its answer to the console.

mod add_connection;
mod components;
mod connections;
mod copy;
mod discover;
mod explain;
mod init;
#[cfg(feature = "mcp")]
mod mcp;
mod notify;
mod plan;
mod project;
mod rejects;
mod report;
mod rows;
mod run;
mod runs;
mod schema;
mod state;

use osiris::{Error, Registry};

use crate::args::{Cli, Command, command_line};
use crate::command_error::CommandError;
use crate::console::Console;

/// Runs a command and returns the exit code.
pub(crate) fn execute(cli: &Cli, registry: &Registry, console: &Console) -> Result<u8, CommandError> {
    let settings = || cli.global.settings();
    match &cli.command {
        Command::Init(args) => init::init(args, settings(), registry, console),
        Command::Validate(args) => project::validate(args, settings(), registry, console),
        Command::Plan(args) => plan::plan(args, settings(), registry, console),
        Command::Compile(args) => plan::compile(args, settings(), registry, console),
        Command::Run(args) => run::run(args, settings(), registry, console),
        Command::Copy(args) => copy::copy(args, settings(), registry, console),
        Command::Head(args) => rows::head(args, settings(), registry, console),
        Command::Exec(args) => rows::exec(args, settings(), registry, console),
        Command::Schema(args) => schema::schema(args, registry, console),
        Command::Components(command) => components::execute(command, settings(), registry, console),
        Command::Connections(command) => connections::execute(command, settings(), registry, console),
        Command::Discover(args) => discover::discover(args, settings(), registry, console).map(|()| 0),
        Command::Help(args) => console.data(&help(&args.command)?).map(|()| 0),
        Command::Man(args) => console.data(&manual(&args.command)?).map(|()| 0),
        Command::Version => {
            console.data(&format!("osiris {}\n", env!("CARGO_PKG_VERSION")))?;
            Ok(0)
        }
        Command::Runs(command) => runs::execute(command, settings(), console),
        Command::State(command) => state::execute(command, settings(), registry, console),
        Command::Explain(args) => explain::explain(args, console),
        #[cfg(feature = "mcp")]
        Command::Mcp(args) => mcp::mcp(args, settings(), registry, console),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut command_line(), "osiris", &mut script);
            console.data(&String::from_utf8_lossy(&script))?;
            Ok(0)
        }
    }
}

/// The help of a command, as `--help` prints it.
fn help(words: &[String]) -> Result<String, Error> {
    Ok(described(words)?.render_long_help().to_string())
}

/// The manual page of a command, in the language of `man`.
fn manual(words: &[String]) -> Result<String, Error> {
    let source = concat!("osiris ", env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    clap_mangen::Man::new(described(words)?).source(source).manual("Osiris").render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The command of these words.
fn described(words: &[String]) -> Result<clap::Command, Error> {
    let mut command = command_line();
    for word in words {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| {
            Error::validation(format!("unknown command `{}`", words.join(" ")))
                .with_hint("`osiris --help` lists the commands")
        })?;
    }
    Ok(command)
}

/// Waits for `work` on a runtime of its own.
fn wait<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(work);
    // A thread that waits for a terminal to type something, or for a server, would be waited for.
    runtime.shutdown_background();
    ended
}
