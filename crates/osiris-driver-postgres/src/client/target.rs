//! What a client is opened for: a connection and its base directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use osiris_core::Result;

use super::Client;
use crate::config::PostgresConnection;

/// How a component gets its client.
pub type Connect = Arc<dyn Fn(ConnectionTarget) -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// Opens a separate client for each step.
pub fn connect() -> Connect {
    Arc::new(|target| Box::pin(async move { Client::open(&target).await }))
}

/// A connection and its base directory.
#[derive(Debug, Clone)]
pub struct ConnectionTarget {
    pub(crate) connection: PostgresConnection,
    pub(crate) base_dir: PathBuf,
}

impl ConnectionTarget {
    /// `connection`, whose relative certificate paths are resolved against `base_dir`.
    pub fn new(connection: &PostgresConnection, base_dir: &Path) -> Self {
        Self { connection: connection.clone(), base_dir: base_dir.to_owned() }
    }

    /// The same for a check that must finish within `limit`.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.connection.connect_timeout = self.connection.connect_timeout.min(limit);
        self.connection.timeout = self.connection.timeout.min(limit);
        self
    }

    /// The connection.
    pub fn connection(&self) -> &PostgresConnection {
        &self.connection
    }
}
