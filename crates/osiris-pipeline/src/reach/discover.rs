//! What a connection holds: asked once, then remembered for a while below the run directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use osiris_core::{Catalog, ConnectionRef, Driver, Error, ResolvedConnection, Result};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Reach;
use crate::file::{file_error, write_atomically};

/// How long a catalog is taken for true.
pub const CATALOG_LIFETIME: Duration = Duration::from_secs(600);

/// What to discover, and how.
#[derive(Debug, Clone)]
pub struct DiscoverOptions {
    /// The connection; default: that of the component's family.
    pub connection: Option<ConnectionRef>,
    /// Only resources that fit this [pattern](Catalog::matching).
    pub pattern: Option<String>,
    /// Ask, whatever is remembered.
    pub refresh: bool,
    /// The directory of remembered catalogs; none: nothing is remembered.
    pub cache: Option<PathBuf>,
}

/// What was discovered.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovered {
    /// The resources.
    pub catalog: Catalog,
    /// Whether it was remembered from an earlier time, which the catalog states.
    pub remembered: bool,
}

impl Reach<'_> {
    /// What a component could read or write, over one of its connections.
    ///
    /// # Errors
    /// The component is unknown or cannot discover; the connection is not complete, or does not answer; the catalog cannot
    /// be remembered.
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
        let path = options.cache.as_deref().map(|directory| {
            directory.join(format!("{}.json", fingerprint(driver.as_ref(), &connection, options.pattern.as_deref())))
        });
        if let Some(catalog) = path.as_deref().filter(|_| !options.refresh).and_then(remembered) {
            return Ok(Discovered { catalog, remembered: true });
        }
        let catalog = driver.family().discover(&connection, options.pattern.as_deref()).await?;
        if let Some(path) = path {
            // An earlier version made it readable by everybody. Of somebody else it need not be ours to change.
            if let Some(directory) = path.parent().filter(|directory| directory.is_dir()) {
                let _ = osiris_core::private::tighten_all(directory);
            }
            write_atomically(&path, json!(catalog).to_string().as_bytes()).map_err(|error| file_error(error, &path))?;
        }
        Ok(Discovered { catalog, remembered: false })
    }
}

/// What a catalog depends on, in one word. Secrets are left out: whoever reads the name of the file could try passwords on it.
fn fingerprint(driver: &dyn Driver, connection: &ResolvedConnection, pattern: Option<&str>) -> String {
    let spec = driver.spec();
    let schema = driver.connection_schema();
    let open: Map<String, Value> = connection.fields().as_object().cloned().unwrap_or_default();
    let open: Map<String, Value> = open.into_iter().filter(|(name, _)| !schema.is_secret(name)).collect();
    let basis = json!([spec.name, spec.version, open, pattern]).to_string();
    let digest = Sha256::digest(connection.redactor().scrub(&basis).as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A catalog that is not too old. One that cannot be read is as good as none.
fn remembered(path: &Path) -> Option<Catalog> {
    let catalog: Catalog = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let age = (Utc::now() - catalog.discovered_at).to_std().ok()?;
    (age < CATALOG_LIFETIME).then_some(catalog)
}
