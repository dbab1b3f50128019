//! Inspects the connections of a project outside of a run: whether they work, and what they contain. Nothing here
//! changes anything on the server.

mod discover;
mod doctor;

use osiris_core::problem::ensure_none;
use osiris_core::{ConnectionRef, ConnectionUse, Driver, Redactor, Registry, ResolvedConnection, Result, connection};
use serde_json::{Map, Value};

use crate::connections_file::ConnectionsFile;
use crate::environment::Environment;

pub use discover::{CATALOG_LIFETIME, DiscoverOptions, Discovered};
pub use doctor::{ConnectionHealth, DOCTOR_LIMIT};

/// Checks and discovers over the connections of a project.
#[derive(Clone, Copy)]
pub struct ConnectionInspector<'a> {
    on_secrets: &'a (dyn Fn(&Redactor) + Sync),
    connections: &'a ConnectionsFile,
    registry: &'a Registry,
    environment: &'a Environment,
}

impl<'a> ConnectionInspector<'a> {
    /// The connections of `connections`, for the components of `registry`, with the variables of `environment`.
    pub fn new(connections: &'a ConnectionsFile, registry: &'a Registry, environment: &'a Environment) -> Self {
        Self { connections, registry, environment, on_secrets: &|_| () }
    }

    /// Hands over the secrets of each connection before anything is done with it: for a log that must mask them.
    #[must_use]
    pub fn with_secrets(mut self, on_secrets: &'a (dyn Fn(&Redactor) + Sync)) -> Self {
        self.on_secrets = on_secrets;
        self
    }

    /// The connection that a component uses: `reference`, else its family's default; none for a component without.
    ///
    /// # Errors
    /// There is no such connection, or it is not complete: everything that is wrong with it.
    fn connection_of(&self, driver: &dyn Driver, reference: Option<&ConnectionRef>) -> Result<ResolvedConnection> {
        match driver.spec().connection {
            ConnectionUse::None => Ok(ResolvedConnection::none()),
            ConnectionUse::Optional if reference.is_none() => Ok(ResolvedConnection::none()),
            _ => {
                let (reference, fields) = self.connections.connections().find(driver.spec().family(), reference)?;
                self.resolve(driver, &reference, fields)
            }
        }
    }

    /// Whether a connection of the file is complete. Nothing is opened.
    ///
    /// # Errors
    /// Everything that is wrong with its fields, or there is no such connection.
    pub fn ensure_complete(&self, reference: &ConnectionRef) -> Result<()> {
        let (reference, fields) = self.connections.connections().find(reference.family(), Some(reference))?;
        let of_family = |driver: &&std::sync::Arc<dyn Driver>| {
            driver.spec().family() == reference.family() && driver.spec().connection != ConnectionUse::None
        };
        match self.registry.iter().find(of_family) {
            Some(driver) => self.resolve(driver.as_ref(), &reference, fields).map(|_| ()),
            None => Ok(()),
        }
    }

    fn resolve(
        &self,
        driver: &dyn Driver,
        reference: &ConnectionRef,
        fields: &Map<String, Value>,
    ) -> Result<ResolvedConnection> {
        let lookup = |name: &str| self.environment.get(name);
        let schema = driver.connection_schema();
        let (resolved, problems) = connection::resolve(reference, fields, &Map::new(), schema, &lookup);
        (self.on_secrets)(resolved.redactor());
        let scrub = |error: osiris_core::Error| error.redacted(resolved.redactor());
        ensure_none(&problems, &reference.to_string()).map_err(scrub)?;
        ensure_none(&driver.family().check_connection(&resolved), &reference.to_string()).map_err(scrub)?;
        Ok(resolved)
    }
}
