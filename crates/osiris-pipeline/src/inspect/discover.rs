//! What a connection contains: queried once, then cached for a while below the run directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use osiris_core::{Catalog, ConnectionRef, Driver, Error, ResolvedConnection, Result};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::ConnectionInspector;
use crate::file::{file_error, write_atomically};

/// How long a cached catalog is used.
pub const CATALOG_LIFETIME: Duration = Duration::from_secs(600);

/// What to discover, and how.
#[derive(Debug, Clone)]
pub struct DiscoverOptions {
    /// The connection; default: that of the component's family.
    pub connection: Option<ConnectionRef>,
    /// Only resources that match this [pattern](Catalog::matching).
    pub pattern: Option<String>,
    /// Ignore the cache.
    pub refresh: bool,
    /// The directory of cached catalogs; `None`: nothing is cached.
    pub cache: Option<PathBuf>,
}

/// What was discovered.
#[derive(Debug)]
pub struct Discovered {
    /// The resources.
    pub catalog: Catalog,
    /// Whether it comes from the cache; the catalog has the time of discovery.
    pub cached: bool,
    /// What to say of a pattern that matches nothing, with the nearest name.
    pub no_match: Option<Error>,
}

impl ConnectionInspector<'_> {
    /// What a component could read or write, over one of its connections. A pattern that matches nothing is no error.
    ///
    /// # Errors
    /// The component is unknown or cannot discover; the connection is incomplete, or does not respond; the catalog
    /// cannot be cached.
    pub async fn discover(&self, component: &str, options: &DiscoverOptions) -> Result<Discovered> {
        let driver = self.registry.get(component)?;
        if !driver.family().has_discovery() {
            let able =
                self.registry.iter().filter(|driver| driver.family().has_discovery()).map(|driver| driver.spec().name);
            let able = able.collect::<Vec<_>>().join(", ");
            let able = if able.is_empty() { "none of this build".to_owned() } else { able };
            return Err(Error::validation(format!("`{component}` cannot discover"))
                .with_hint(format!("components that can: {able}")));
        }
        let connection = self.connection_of(driver.as_ref(), options.connection.as_ref())?;
        let pattern = options.pattern.as_deref();
        let (catalog, cached) = catalog(driver.as_ref(), &connection, pattern, options).await?;
        let no_match = match pattern {
            Some(pattern) if catalog.resources.is_empty() => {
                let (all, _) = self::catalog(driver.as_ref(), &connection, None, options).await?;
                Some(all.no_match(pattern))
            }
            _ => None,
        };
        Ok(Discovered { catalog, cached, no_match })
    }
}

/// The resources that match a pattern, and whether they come from the cache.
async fn catalog(
    driver: &dyn Driver,
    connection: &ResolvedConnection,
    pattern: Option<&str>,
    options: &DiscoverOptions,
) -> Result<(Catalog, bool)> {
    let path = options
        .cache
        .as_deref()
        .map(|directory| directory.join(format!("{}.json", fingerprint(driver, connection, pattern))));
    if let Some(catalog) = path.as_deref().filter(|_| !options.refresh).and_then(read_cached) {
        return Ok((catalog, true));
    }
    let catalog = driver.family().discover(connection, pattern).await?;
    if let Some(path) = path {
        // An earlier version made it readable by everybody. It may belong to another user: then it stays as it is.
        if let Some(directory) = path.parent().filter(|directory| directory.is_dir()) {
            let _ = osiris_core::private::tighten_all(directory);
        }
        write_atomically(&path, json!(catalog).to_string().as_bytes()).map_err(|error| file_error(error, &path))?;
    }
    Ok((catalog, false))
}

/// A hash of everything that a catalog depends on. Secrets are left out: the name of the file could be used to test
/// guesses of a password.
fn fingerprint(driver: &dyn Driver, connection: &ResolvedConnection, pattern: Option<&str>) -> String {
    let spec = driver.spec();
    let schema = driver.connection_schema();
    let open: Map<String, Value> = connection.fields().as_object().cloned().unwrap_or_default();
    let open: Map<String, Value> = open.into_iter().filter(|(name, _)| !schema.is_secret(name)).collect();
    let basis = json!([spec.name, spec.version, open, pattern]).to_string();
    let digest = Sha256::digest(connection.redactor().scrub(&basis).as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A cached catalog that is not too old. One that cannot be read is ignored.
fn read_cached(path: &Path) -> Option<Catalog> {
    let catalog: Catalog = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let age = (Utc::now() - catalog.discovered_at).to_std().ok()?;
    (age < CATALOG_LIFETIME).then_some(catalog)
}
