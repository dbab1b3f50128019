//! The channels of a project: its database and its REST API. This module opens them and has no statements or requests
//! of the extractor or the writer.

pub(crate) mod advice;
mod channel;
pub(crate) mod rest;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use osiris_core::{Error, Result};
use osiris_driver_postgres::client::{Client as Database, ConnectionTarget};
use tokio::sync::OnceCell;

pub(crate) use channel::Channel;
pub(crate) use rest::Rest;

use crate::config::SupabaseConnection;

/// How a component gets its client.
pub type Connect = Arc<dyn Fn(Target) -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// The default: the channel chosen by the connection is opened at once, the other one on demand.
pub fn connect() -> Connect {
    Arc::new(|target| Box::pin(Client::open(target)))
}

/// A connection and its base directory.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) connection: SupabaseConnection,
    pub(crate) base_dir: PathBuf,
    /// No retries.
    pub(crate) once: bool,
}

impl Target {
    /// `connection`, whose relative certificate paths are resolved against `base_dir`.
    pub fn new(connection: &SupabaseConnection, base_dir: &Path) -> Self {
        Self { connection: connection.clone(), base_dir: base_dir.to_owned(), once: false }
    }

    /// The same for a check that must finish within `limit`, without retries.
    #[must_use]
    pub(crate) fn once(mut self, limit: Duration) -> Self {
        self.connection.limit_times(limit);
        self.once = true;
        self
    }
}

/// A connected project. Cheap to clone; dropping the last clone closes the connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    channel: Channel,
    direct: OnceCell<Database>,
    rest: Option<Rest>,
}

impl Client {
    /// A client with its channel opened: the database is connected; the REST API is not called yet.
    pub(crate) async fn open(target: Target) -> Result<Self> {
        let client = Self::prepare(target)?;
        tracing::info!(channel = client.channel().name(), "channel of this step");
        if client.channel() == Channel::Postgres {
            client.direct().await?;
        }
        Ok(client)
    }

    /// The same without I/O, except for reading certificates.
    pub(crate) fn prepare(target: Target) -> Result<Self> {
        let channel = Channel::choose(&target.connection)?;
        let rest = Rest::new(&target)?;
        Ok(Self { shared: Arc::new(Shared { target, channel, direct: OnceCell::new(), rest }) })
    }

    /// The channel of the rows.
    pub(crate) fn channel(&self) -> Channel {
        self.shared.channel
    }

    /// The target it was created for.
    pub(crate) fn target(&self) -> &Target {
        &self.shared.target
    }

    /// Whether the connection has a database address.
    pub(crate) fn has_direct(&self) -> bool {
        self.shared.target.connection.direct.is_some()
    }

    /// Whether the connection has a REST API.
    pub(crate) fn has_rest(&self) -> bool {
        self.shared.rest.is_some()
    }

    /// The database, connected on first use.
    ///
    /// # Errors
    /// When the connection has no address for it, or connecting fails.
    pub(crate) async fn direct(&self) -> Result<Database> {
        let opened = self.shared.direct.get_or_try_init(|| self.open_database()).await;
        Ok(opened?.clone())
    }

    async fn open_database(&self) -> Result<Database> {
        let target = &self.shared.target;
        let database = target.connection.direct.as_ref().ok_or_else(|| {
            Error::validation("the connection has no database")
                .with_hint("set `dsn`, or `pg_host`, `pg_user`, `pg_password` and `pg_database`")
        })?;
        let opened = Database::open(&ConnectionTarget::new(database, &target.base_dir)).await;
        opened.map_err(|error| advice::of_connecting(error, database, self.has_rest()))
    }

    /// The REST API.
    ///
    /// # Errors
    /// When the connection has no URL or no key.
    pub(crate) fn rest(&self) -> Result<Rest> {
        self.shared.rest.clone().ok_or_else(|| {
            Error::validation("the connection has no REST API").with_hint("set `url` or `project_id`, and `key`")
        })
    }

    /// Closes connections that no other clone uses.
    pub(crate) async fn close(self) {
        let shared = Arc::into_inner(self.shared);
        if let Some(direct) = shared.and_then(|shared| shared.direct.into_inner()) {
            direct.close().await;
        }
    }
}
