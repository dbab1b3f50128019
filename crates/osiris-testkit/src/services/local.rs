//! A server that a command starts at a port of this machine, such as a script of the tests on an engine of somebody else.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use tokio::net::TcpStream;

use super::guardian::Guardian;
use super::template::services_dir;
use crate::skipped::is_skipped;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the packages of a service are, which `cargo xtask test-drivers --services required` fetches. `None` when tests that need
/// it are left out.
///
/// # Errors
/// When they are not there.
#[expect(clippy::print_stdout, reason = "a test that is left out must be seen")]
pub fn packages(service: &str, edition: &str) -> Result<Option<PathBuf>> {
    if is_skipped(service) {
        println!("SKIPPED: this test needs the service `{service}`");
        return Ok(None);
    }
    let directory = services_dir()?.join(format!("{service}-{edition}"));
    if directory.is_dir() {
        return Ok(Some(directory));
    }
    Err(Error::unknown(format!("the packages of the service `{service}` are not there"))
        .with_hint("`cargo xtask test-drivers --services required` fetches them"))
}

/// A server. Ends when dropped, or with the process.
pub struct LocalServer {
    guardian: Guardian,
    directory: PathBuf,
    address: SocketAddr,
}

impl LocalServer {
    /// Starts the command that listens at the port that it is made for, and waits until it does.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(name: &str, command: impl Fn(u16) -> Vec<String>) -> Result<Self> {
        let mut refused = None;
        // A port may be taken between finding and using it.
        for _ in 0..5 {
            let port = crate::fault::refused_port()?;
            let directory = services_dir()?.join(format!("run-{name}-{}-{port}", std::process::id()));
            fs::create_dir_all(&directory)?;
            let server = Self {
                guardian: Guardian::start(&directory, &command(port), &directory.join("log"))?,
                directory,
                address: (Ipv4Addr::LOCALHOST, port).into(),
            };
            match server.ready().await {
                Ok(()) => return Ok(server),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::unknown(format!("no port was found for {name}"))))
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).await.is_err() {
            let log = self.log();
            let failed = ["EADDRINUSE", "address already in use", "Traceback", "Cannot find module"];
            if Instant::now() > deadline || failed.iter().any(|word| log.contains(word)) {
                return Err(Error::unknown("the server does not get ready").with_context("log", log));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        let _ = self.guardian.end("kill");
        let _ = fs::remove_dir_all(&self.directory);
    }
}
