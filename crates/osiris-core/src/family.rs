//! What the components of one system share: the connection, discovery, and the health check.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Catalog, Error, Health, Result};

/// A family of components: those whose names begin with [`NAME`](Self::NAME) and that share a connection. It holds what
/// they share, such as the function that opens a client.
///
/// A component without a connection needs no family: it is added by
/// [`Registry::extractor`](crate::Registry::extractor) and its like.
#[async_trait]
pub trait Family: Send + Sync + 'static {
    /// What stands before the dot of its components' names, and after `@` in a connection reference.
    const NAME: &'static str;

    /// The schemes of addresses that lead to a connection of the family, such as `mysql` in `mysql://user@host/shop`, in lower
    /// case. Default: none.
    const SCHEMES: &'static [&'static str] = &[];

    /// Whether [`discover`](Self::discover) is implemented.
    const HAS_DISCOVERY: bool;

    /// Whether [`check`](Self::check) is implemented.
    const HAS_DOCTOR: bool;

    /// The resolved connection, parsed: that of all its components.
    type Connection: DeserializeOwned + JsonSchema + Send + Sync;

    /// What the connection leads to, by name, where its public fields do not say it, such as the host of a secret DSN;
    /// `server` and `database` are those of a database. A saved state is used for a step only while these and all other
    /// fields of its source are the same, and rows do not go directly from a database into itself. A field of a
    /// connection or a configuration that does not belong to the source, such as a batch size, has
    /// `#[schemars(extend("x-source" = false))]`. Pure.
    fn source(connection: &Self::Connection) -> Vec<(&'static str, String)> {
        let _ = connection;
        Vec::new()
    }

    /// Tables, views, endpoints, with their fields, sorted by name [DRV-019..021]. Resources that do not match
    /// `pattern` are removed [afterwards](Catalog::matching): it is passed for sources that can filter themselves.
    ///
    /// # Errors
    /// The source cannot be queried.
    async fn discover(&self, connection: &Self::Connection, pattern: Option<&str>) -> Result<Catalog> {
        let _ = (connection, pattern);
        Err(no_discovery(Self::NAME))
    }

    /// The same where relative paths of the connection, such as that of a database file or a certificate, start at `base`: for
    /// the tables of a pipeline. Default: [`discover`](Self::discover), for a connection without paths.
    ///
    /// # Errors
    /// The source cannot be queried.
    async fn discover_from(&self, connection: &Self::Connection, base: &Path) -> Result<Catalog> {
        let _ = base;
        self.discover(connection, None).await
    }

    /// The schema of the resources that discovery names without one, where the source has schemas. Pure.
    fn default_schema(connection: &Self::Connection) -> Option<String> {
        let _ = connection;
        None
    }

    /// Reports within `limit` whether the connection works and, if not, how to fix it. Never fails, never leaks a
    /// secret [DRV-022, 023].
    async fn check(&self, connection: &Self::Connection, limit: Duration) -> Health {
        let _ = (connection, limit);
        Health::unchecked()
    }
}

pub(crate) fn no_discovery(family: &str) -> Error {
    Error::validation(format!("the family `{family}` cannot discover"))
}
