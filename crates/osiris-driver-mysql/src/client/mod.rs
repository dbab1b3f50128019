//! Connections to the server: pooled among the steps that run at the same time, killed when their
//! work is cancelled. This module has no statements of the extractor or the writer.

mod identity;
mod info;
mod open;
mod pool;
mod proxy;
mod quote;
mod session;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use osiris_core::{Result, Secret};

pub(crate) use identity::Identity;
pub(crate) use info::{ServerInfo, SqlMode};
pub use pool::Client;
pub(crate) use proxy::Bridge;
pub(crate) use quote::{literal, quote};
pub(crate) use session::Session;

use crate::config::MysqlConnection;

/// How a component gets its client. Components with the same one share connections.
pub type Connect = Arc<dyn Fn(Target) -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// The default: one pool for each connection, shared by the steps that use it at the same time.
pub fn connect() -> Connect {
    let pools = Arc::new(pool::Pools::default());
    Arc::new(move |target| {
        let pools = Arc::clone(&pools);
        Box::pin(async move { pools.client(target).await })
    })
}

/// A connection and its base directory.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) connection: MysqlConnection,
    pub(crate) base_dir: PathBuf,
}

impl Target {
    /// `connection`, whose relative certificate paths are resolved against `base_dir`.
    pub fn new(connection: &MysqlConnection, base_dir: &Path) -> Self {
        Self { connection: connection.clone(), base_dir: base_dir.to_owned() }
    }

    /// The description of connecting in messages.
    pub(crate) fn doing(&self) -> String {
        format!("connecting to {} as `{}`", self.connection.address, self.connection.user)
    }

    /// Whether both have the same server, account and settings.
    fn is_same(&self, other: &Self) -> bool {
        let (one, two) = (&self.connection, &other.connection);
        let password =
            |connection: &MysqlConnection| connection.password.as_ref().map(Secret::expose).map(str::to_owned);
        one.address == two.address
            && one.user == two.user
            && password(one) == password(two)
            && one.database == two.database
            && one.tls == two.tls
            && one.pool == two.pool
            && (one.connect_timeout, one.read_timeout, one.echo) == (two.connect_timeout, two.read_timeout, two.echo)
            && self.base_dir == other.base_dir
    }
}
