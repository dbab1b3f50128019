//! The result of a health check: whether a connection works and, if not, how to fix it.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The state of a connection [DRV-022, DRV-023].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether it works.
    pub ok: bool,
    /// How long the check took, in milliseconds.
    pub latency_ms: u64,
    /// `ok`, or why not.
    pub category: HealthCategory,
    /// How to fix it, or that it works. Never a secret.
    pub message: String,
    /// `server_version`, `database`, `tls`, ...
    pub details: BTreeMap<String, String>,
}

/// The category of a [`Health`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthCategory {
    /// It works.
    Ok,
    /// Wrong user, password, key or token.
    Auth,
    /// It cannot be reached.
    Network,
    /// A grant is missing.
    Permission,
    /// No response within the limit.
    Timeout,
    /// None of these, or the family has no check.
    Unknown,
}

impl Health {
    /// The connection works.
    pub fn ok(latency: Duration, message: impl Into<String>) -> Self {
        Self::new(true, latency, HealthCategory::Ok, message)
    }

    /// The check ended in `error`. Where its kind is no category, the detail `kind` names it, as a run would.
    pub fn failed(latency: Duration, error: &Error) -> Self {
        let category = match error.kind().category() {
            "auth" => HealthCategory::Auth,
            "network" => HealthCategory::Network,
            "permission" => HealthCategory::Permission,
            "timeout" => HealthCategory::Timeout,
            _ => HealthCategory::Unknown,
        };
        let message = match error.hint() {
            Some(hint) => format!("{}: {hint}", error.message()),
            None => error.message().to_owned(),
        };
        let health = Self::new(false, latency, category, message);
        match category {
            HealthCategory::Unknown => health.with_detail("kind", error.kind().as_str()),
            _ => health,
        }
    }

    /// The family has no check.
    pub fn unchecked() -> Self {
        Self::new(false, Duration::ZERO, HealthCategory::Unknown, "this family has no check")
    }

    fn new(ok: bool, latency: Duration, category: HealthCategory, message: impl Into<String>) -> Self {
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        Self { ok, latency_ms, category, message: message.into(), details: BTreeMap::new() }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with_detail(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_no_category_is_in_the_details() {
        let failed = |error: Error| {
            let health = Health::failed(Duration::ZERO, &error);
            (health.category, health.details.get("kind").cloned())
        };
        assert_eq!(failed(Error::network("x")), (HealthCategory::Network, None));
        assert_eq!(failed(Error::validation("no project 7")), (HealthCategory::Unknown, Some("validation".to_owned())));
    }
}
