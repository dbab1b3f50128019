//! Connections to the server: tries both address families, negotiates TLS, detects poolers, and cancels
//! dropped work on the server. Sessions have no settings of ours, since behind a pooler they would be
//! another client's: each task uses `SET LOCAL` inside its transaction.

mod backend;
mod cancel;
mod encryption;
mod info;
mod net;
mod open;
mod proxy;
mod quote;
mod session;
mod target;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osiris_core::Result;
use osiris_sql::{CONNECT_TIMEOUT, within};

pub(crate) use backend::Backend;
pub use info::ServerInfo;
pub use quote::{literal, quote, quote_path};
pub use session::Session;
pub use target::{Connect, ConnectionTarget, connect};

use self::session::Idle;

/// A connected server. Cheap to clone; dropping the last clone closes its sessions.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// State shared by the sessions of a client.
pub(crate) struct Shared {
    target: ConnectionTarget,
    info: ServerInfo,
    kept: Mutex<Vec<Idle>>,
}

impl Client {
    /// Connects and reads the server's version and settings.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn open(target: &ConnectionTarget) -> Result<Self> {
        let mut opened = open::open(target, open::ConnectPath::Inspected).await?;
        let limit = target.connection.connect_timeout;
        let asked = within(limit, CONNECT_TIMEOUT, "reading the server's settings", info::read(&mut opened)).await;
        let info = asked.map_err(|error| open::at(error, target))?;
        let server = &target.connection.address;
        tracing::debug!(%server, version = info.version, tls = info.tls, pooler = info.pooler, "signed in");
        let shared = Shared { target: target.clone(), info, kept: Mutex::default() };
        let client = Self { shared: Arc::new(shared) };
        match opened.into_idle() {
            Ok(idle) => client.shared.keep(idle),
            // Rows must not go through the proxy that inspected this connection.
            Err(connection) => open::close(connection).await,
        }
        Ok(client)
    }

    /// The target it was opened for.
    pub fn target(&self) -> &ConnectionTarget {
        &self.shared.target
    }

    /// The server's version and settings.
    pub fn info(&self) -> &ServerInfo {
        &self.shared.info
    }

    /// The address for messages.
    pub fn address(&self) -> String {
        self.shared.target.connection.address.to_string()
    }

    /// Whether the connection goes through a transaction pooler: then everything must run in explicit transactions,
    /// statements must be unnamed and settings local.
    pub(crate) fn pooler(&self) -> bool {
        self.shared.info.pooler
    }

    /// Opens or reuses a session.
    ///
    /// # Errors
    /// When a new one is needed and cannot be opened.
    pub async fn acquire(&self) -> Result<Session> {
        let kept = self.shared.take();
        let idle = match kept {
            Some(idle) => idle,
            None => open::session(&self.shared.target, open::ConnectPath::Direct).await?,
        };
        Ok(Session::new(idle, Arc::clone(&self.shared)))
    }

    /// Opens or reuses a session for bulk uploads in writes of any size.
    ///
    /// # Errors
    /// When a new one is needed and cannot be opened.
    pub(crate) async fn acquire_for_upload(&self) -> Result<Session> {
        let kept = self.shared.kept().extract_if(.., |idle| idle.proxied).next();
        let idle = match kept {
            Some(idle) => idle,
            None => open::session(&self.shared.target, open::ConnectPath::Proxied).await?,
        };
        Ok(Session::new(idle, Arc::clone(&self.shared)))
    }

    /// Closes the sessions cleanly if this is the last clone.
    pub async fn close(self) {
        if let Some(shared) = Arc::into_inner(self.shared) {
            for idle in shared.kept.into_inner().unwrap_or_else(PoisonError::into_inner) {
                open::close(idle.connection).await;
            }
        }
    }
}

impl Shared {
    fn keep(&self, idle: Idle) {
        self.kept().push(idle);
    }

    fn take(&self) -> Option<Idle> {
        self.kept().pop()
    }

    /// A poisoned lock is harmless: nothing panics while the list is inconsistent.
    fn kept(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
