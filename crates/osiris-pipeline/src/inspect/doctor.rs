//! Whether connections work: each is checked by its family, all at the same time.

use std::time::{Duration, Instant};

use futures::future::join_all;
use osiris_core::{ConnectionRef, Health, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use super::ConnectionInspector;

/// How long a connection may take to respond, by default [DRV-022].
pub const DOCTOR_LIMIT: Duration = Duration::from_secs(2);

/// The health of a connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionHealth {
    /// `@family.alias`.
    pub name: String,
    /// Whether it was checked at all. It cannot be when its family has no check, or is not in this build.
    pub checked: bool,
    /// The result of the check.
    #[serde(flatten)]
    pub health: Health,
}

impl ConnectionHealth {
    /// Whether something is wrong that the user should fix. A connection that could not be checked has not failed.
    pub fn is_failed(&self) -> bool {
        self.checked && !self.health.ok
    }
}

impl ConnectionInspector<'_> {
    /// Checks every connection of the file, or only the one named, within `limit` each; sorted by name.
    ///
    /// # Errors
    /// There is no connection of that name. Any other problem is in the result.
    pub async fn doctor(&self, only: Option<&ConnectionRef>, limit: Duration) -> Result<Vec<ConnectionHealth>> {
        let all = self.connections.connections();
        let chosen = match only {
            Some(reference) => vec![all.find(reference.family(), Some(reference))?],
            None => all.iter().collect(),
        };
        Ok(join_all(chosen.iter().map(|(reference, fields)| self.check(reference, fields, limit))).await)
    }

    async fn check(&self, reference: &ConnectionRef, fields: &Map<String, Value>, limit: Duration) -> ConnectionHealth {
        let name = reference.to_string();
        let answer = |checked, health| ConnectionHealth { name, checked, health };
        let mut family = self.registry.iter().filter(|driver| driver.spec().family() == reference.family()).peekable();
        let is_known = family.peek().is_some();
        let Some(driver) = family.find(|driver| driver.family().has_doctor()) else {
            let mut health = Health::unchecked();
            if !is_known {
                health.message = format!("this build has no component of the family `{}`", reference.family());
            }
            return answer(false, health);
        };
        let started = Instant::now();
        match self.resolve(driver.as_ref(), reference, fields) {
            Ok(resolved) => answer(true, driver.family().check(&resolved, limit).await),
            Err(error) => answer(true, Health::failed(started.elapsed(), &error)),
        }
    }
}
