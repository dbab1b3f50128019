//! `mcp`: the commands as tools of the Model Context Protocol, over the standard streams. Nothing but the protocol goes to the
//! standard output.

mod arguments;
mod input;
mod mask;
mod server;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use osiris::core::CancellationToken;
use osiris::pipeline::ExitCode;
use osiris::{Error, Registry, Settings};
use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;

use super::{project, report, wait};
use crate::args::McpArgs;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::{interrupt, logging};

use input::Input;
use server::Server;
use tools::Tools;

/// Serves until the input ends or the program is interrupted. A run that is going on is rolled back then.
pub(super) fn mcp(args: &McpArgs, given: Settings, registry: &Registry, console: &Console) -> Result<u8, CommandError> {
    // What was given is meant where the program was started.
    let absolute = |path: Option<PathBuf>| path.map(|path| std::path::absolute(&path).unwrap_or(path));
    let given = Settings { connections: absolute(given.connections), run_dir: absolute(given.run_dir), ..given };
    let directory = enter(&args.directory)?;
    let project = project::here(given.clone())?;
    let secrets = logging::start(console, project.settings());
    // A signal ends the service; it and the end of the input halt what the tools do.
    let (stop, halt, bars) = (CancellationToken::new(), CancellationToken::new(), console.bars().clone());
    let (stopping, halting) = (stop.clone(), halt.clone());
    let cancel = move || {
        halting.cancel();
        stopping.cancel();
    };
    interrupt::listen(cancel, move || bars.suspend(report::interrupting), report::ending_at_once)?;
    // Ends when the last tool has: each holds the other end.
    let (working, ended) = channel::<()>();
    let tools = Tools {
        directory,
        registry: registry.clone(),
        given,
        secrets,
        allow_run: args.allow_run,
        allow_writes: args.allow_writes,
        halt: halt.clone(),
        _working: working,
    };
    // One of its own for the service, which cancels it at its end.
    let served = wait(serve(Server::new(tools), stop.child_token(), halt.clone()));
    halt.cancel();
    let _ = ended.recv();
    let code = if stop.is_cancelled() { ExitCode::Interrupted } else { ExitCode::Done };
    served.map(|()| code.code()).map_err(CommandError::Run)
}

async fn serve(server: Server, stop: CancellationToken, halt: CancellationToken) -> Result<(), Error> {
    let (input, output) = rmcp::transport::stdio();
    match server.serve_with_ct((Input::new(input, halt), output), stop).await {
        Ok(running) => drop(running.waiting().await),
        // It has ended before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {}
        Err(error) => return Err(Error::unknown("the protocol could not begin").with_source(error)),
    }
    Ok(())
}

/// Makes a directory the current one. Returns its name without links.
fn enter(directory: &Path) -> Result<PathBuf, Error> {
    let entered = directory.canonicalize().and_then(|real| std::env::set_current_dir(&real).map(|()| real));
    entered.map_err(|error| {
        Error::validation(format!("cannot use `{}` as the project's directory", directory.display())).with_source(error)
    })
}
