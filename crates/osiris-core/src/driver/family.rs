//! From a typed family to a [`FamilyDriver`]: its schema, the parse of a connection, time limits, redaction.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::FamilyDriver;
use super::parsed::Parsed;
use crate::config::ConfigSchema;
use crate::family::no_discovery;
use crate::problem::ensure_none;
use crate::{Catalog, Error, Family, Health, Problem, ResolvedConnection, Result};

/// A family by the type of its connection, whatever else it is.
#[async_trait]
pub(crate) trait TypedFamily<T>: Send + Sync {
    fn name(&self) -> &'static str;
    fn schemes(&self) -> &'static [&'static str];
    fn has_discovery(&self) -> bool;
    fn has_doctor(&self) -> bool;
    fn source(&self, connection: &T) -> Vec<(&'static str, String)>;
    async fn discover_from(&self, connection: &T, base: &Path) -> Result<Catalog>;
    fn default_schema(&self, connection: &T) -> Option<String>;
    async fn discover(&self, connection: &T, pattern: Option<&str>) -> Result<Catalog>;
    async fn check(&self, connection: &T, limit: Duration) -> Health;
}

#[async_trait]
impl<F: Family> TypedFamily<F::Connection> for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn schemes(&self) -> &'static [&'static str] {
        F::SCHEMES
    }

    fn has_discovery(&self) -> bool {
        F::HAS_DISCOVERY
    }

    fn has_doctor(&self) -> bool {
        F::HAS_DOCTOR
    }

    fn source(&self, connection: &F::Connection) -> Vec<(&'static str, String)> {
        F::source(connection)
    }

    async fn discover_from(&self, connection: &F::Connection, base: &Path) -> Result<Catalog> {
        Family::discover_from(self, connection, base).await
    }

    fn default_schema(&self, connection: &F::Connection) -> Option<String> {
        F::default_schema(connection)
    }

    async fn discover(&self, connection: &F::Connection, pattern: Option<&str>) -> Result<Catalog> {
        Family::discover(self, connection, pattern).await
    }

    async fn check(&self, connection: &F::Connection, limit: Duration) -> Health {
        Family::check(self, connection, limit).await
    }
}

/// The family of a component that was added without one: it has a name.
pub(crate) struct Unnamed(pub(crate) &'static str);

#[async_trait]
impl<T: Sync> TypedFamily<T> for Unnamed {
    fn name(&self) -> &'static str {
        self.0
    }

    fn schemes(&self) -> &'static [&'static str] {
        &[]
    }

    fn has_discovery(&self) -> bool {
        false
    }

    fn has_doctor(&self) -> bool {
        false
    }

    fn source(&self, _: &T) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    async fn discover_from(&self, _: &T, _: &Path) -> Result<Catalog> {
        Err(no_discovery(self.0))
    }

    fn default_schema(&self, _: &T) -> Option<String> {
        None
    }

    async fn discover(&self, _: &T, _: Option<&str>) -> Result<Catalog> {
        Err(no_discovery(self.0))
    }

    async fn check(&self, _: &T, _: Duration) -> Health {
        Health::unchecked()
    }
}

/// A family with the schema of its connection.
pub(crate) struct FamilyAdapter<T> {
    family: Box<dyn TypedFamily<T>>,
    connection_schema: ConfigSchema,
}

impl<T: DeserializeOwned + JsonSchema + Send + Sync> FamilyAdapter<T> {
    pub(crate) fn new(family: impl TypedFamily<T> + 'static) -> Arc<Self> {
        Arc::new(Self { family: Box::new(family), connection_schema: ConfigSchema::of::<T>() })
    }

    /// What a connection leads to that its public fields do not say.
    pub(super) fn source(&self, connection: &T) -> Vec<(&'static str, String)> {
        self.family.source(connection)
    }

    pub(super) fn schema(&self) -> &ConfigSchema {
        &self.connection_schema
    }

    pub(super) fn parse(&self, connection: &ResolvedConnection) -> Parsed<T> {
        Parsed::of(connection.fields(), &self.connection_schema, |_| Vec::new())
    }
}

fn invalid(problems: &[Problem]) -> Error {
    let error = ensure_none(problems, "the connection").err();
    error.unwrap_or_else(|| Error::validation("the connection is not valid"))
}

#[async_trait]
impl<T: DeserializeOwned + JsonSchema + Send + Sync> FamilyDriver for FamilyAdapter<T> {
    fn name(&self) -> &'static str {
        self.family.name()
    }

    fn schemes(&self) -> &'static [&'static str] {
        self.family.schemes()
    }

    fn connection_schema(&self) -> &ConfigSchema {
        &self.connection_schema
    }

    fn check_connection(&self, connection: &ResolvedConnection) -> Vec<Problem> {
        self.parse(connection).problems
    }

    fn has_discovery(&self) -> bool {
        self.family.has_discovery()
    }

    fn has_doctor(&self) -> bool {
        self.family.has_doctor()
    }

    async fn discover_from(&self, connection: &ResolvedConnection, base: &Path) -> Result<Catalog> {
        if !self.family.has_discovery() {
            return Err(no_discovery(self.family.name()));
        }
        let Parsed { problems, value, .. } = self.parse(connection);
        let parsed = value.ok_or_else(|| invalid(&problems))?;
        let discovered = self.family.discover_from(&parsed, base).await;
        discovered.map_err(|error| error.redacted(connection.redactor()))
    }

    fn default_schema(&self, connection: &ResolvedConnection) -> Option<String> {
        self.family.default_schema(&self.parse(connection).value?)
    }

    async fn discover(&self, connection: &ResolvedConnection, pattern: Option<&str>) -> Result<Catalog> {
        if !self.family.has_discovery() {
            return Err(no_discovery(self.family.name()));
        }
        let Parsed { problems, value, .. } = self.parse(connection);
        let parsed = value.ok_or_else(|| invalid(&problems))?;
        let discovered = self.family.discover(&parsed, pattern).await;
        let catalog = discovered.map_err(|error| error.redacted(connection.redactor()))?;
        match pattern {
            Some(pattern) => catalog.matching(pattern),
            None => Ok(catalog),
        }
    }

    async fn check(&self, connection: &ResolvedConnection, limit: Duration) -> Health {
        let started = Instant::now();
        if !self.family.has_doctor() {
            return Health::unchecked();
        }
        let Parsed { problems, value, .. } = self.parse(connection);
        let Some(parsed) = value else { return Health::failed(started.elapsed(), &invalid(&problems)) };
        let checked = tokio::time::timeout(limit, self.family.check(&parsed, limit)).await;
        let mut health = checked.unwrap_or_else(|_| {
            let error = Error::timeout(format!("no response within {} s", limit.as_secs_f64()))
                .with_hint("check host, port and firewalls; for a slow server, raise the limit");
            Health::failed(started.elapsed(), &error)
        });
        health.message = connection.redactor().scrub(&health.message).into_owned();
        for detail in health.details.values_mut() {
            *detail = connection.redactor().scrub(detail).into_owned();
        }
        health
    }
}
