//! Connections to the server: both address families are tried, TLS is spoken by our own rules, poolers are recognised, work
//! that is dropped is cancelled at the server. Sessions carry no settings of ours, since behind a pooler they would be somebody
//! else's: what a job needs it sets with `SET LOCAL` inside its transaction.

mod backend;
mod bridge;
mod cancel;
mod encryption;
mod info;
mod net;
mod open;
mod quote;
mod session;
mod target;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osiris_core::Result;

pub(crate) use backend::Backend;
pub use info::ServerInfo;
pub use quote::{literal, quote, quote_path};
pub use session::Session;
pub use target::{Connect, ConnectionTarget, connect};

use self::session::Idle;
use crate::error::within;

/// A server that has been signed in to. Cheap to clone; the last clone to go closes its sessions.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What the sessions of one client share.
pub(crate) struct Shared {
    target: ConnectionTarget,
    info: ServerInfo,
    kept: Mutex<Vec<Idle>>,
}

impl Client {
    /// Signs in and asks the server what it is.
    ///
    /// # Errors
    /// Whatever is in the way to it.
    pub async fn open(target: &ConnectionTarget) -> Result<Self> {
        let mut opened = open::open(target, open::Route::Watched).await?;
        let limit = target.connection.connect_timeout;
        let asked = within(limit, "asking the server for its settings", info::read(&mut opened)).await;
        let info = asked.map_err(|error| open::at(error, target))?;
        let server = &target.connection.address;
        tracing::debug!(%server, version = info.version, tls = info.tls, pooler = info.pooler, "signed in");
        let shared = Shared { target: target.clone(), info, kept: Mutex::default() };
        let client = Self { shared: Arc::new(shared) };
        match opened.into_idle() {
            Ok(idle) => client.shared.keep(idle),
            // The rows shall not make the detour on which this one was watched.
            Err(connection) => open::close(connection).await,
        }
        Ok(client)
    }

    /// What it was opened for.
    pub fn target(&self) -> &ConnectionTarget {
        &self.shared.target
    }

    /// What the server said of itself.
    pub fn info(&self) -> &ServerInfo {
        &self.shared.info
    }

    /// Where it is, in words.
    pub fn address(&self) -> String {
        self.shared.target.connection.address.to_string()
    }

    /// Whether a transaction pooler is in between: then everything has to happen inside explicit transactions, statements may
    /// have no names and settings must be local.
    pub(crate) fn pooler(&self) -> bool {
        self.shared.info.pooler
    }

    /// A session of one's own.
    ///
    /// # Errors
    /// When a new one is needed and cannot be opened.
    pub async fn acquire(&self) -> Result<Session> {
        let kept = self.shared.take();
        let idle = match kept {
            Some(idle) => idle,
            None => open::session(&self.shared.target, open::Route::Straight).await?,
        };
        Ok(Session::new(idle, Arc::clone(&self.shared)))
    }

    /// A session of one's own that sends much, in writes of any size.
    ///
    /// # Errors
    /// When a new one is needed and cannot be opened.
    pub(crate) async fn acquire_for_upload(&self) -> Result<Session> {
        let kept = self.shared.kept().extract_if(.., |idle| idle.bridged).next();
        let idle = match kept {
            Some(idle) => idle,
            None => open::session(&self.shared.target, open::Route::Upload).await?,
        };
        Ok(Session::new(idle, Arc::clone(&self.shared)))
    }

    /// Says good-bye to the server where nobody else uses these sessions.
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

    /// A poisoned lock guards a list that is whole: nothing panics between two states of it.
    fn kept(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
