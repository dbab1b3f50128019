//! The connection: the PostHog server, the project and the key.

use std::borrow::Cow;
use std::time::Duration;

use osiris_core::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Where PostHog is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// PostHog Cloud, `us.posthog.com`.
    #[default]
    Us,
    /// PostHog Cloud, `eu.posthog.com`.
    Eu,
    /// A self-hosted PostHog, at `custom_base_url`.
    SelfHosted,
}

impl Region {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::SelfHosted => "self_hosted",
        }
    }
}

/// The number of a project, as PostHog's settings page shows it; written as a number or as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectId(String);

impl ProjectId {
    /// The number, in digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ProjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text.trim().to_owned(),
        };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text));
        }
        Err(D::Error::custom("invalid project id: expected the number that the project's settings page shows"))
    }
}

impl JsonSchema for ProjectId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ProjectId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "minimum": 0, "minLength": 1})
    }
}

/// A connection to a project, validated.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Fields")]
pub struct ConnectionConfig {
    pub(crate) api_key: Secret,
    pub(crate) project_id: ProjectId,
    pub(crate) region: Region,
    pub(crate) base_url: String,
    pub(crate) timeout: Duration,
}

/// A connection to a PostHog project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// A personal API key (`phx_...`) with the scope `query:read`. A project key (`phc_...`) can only send events and
    /// is rejected.
    api_key: Secret,
    /// The number of the project.
    #[schemars(extend("x-override" = "refused"))]
    project_id: ProjectId,
    /// Where PostHog is. Default: `us`.
    #[serde(default)]
    #[schemars(extend("x-override" = "address"))]
    region: Region,
    /// The address of a self-hosted PostHog, such as `https://posthog.example.com`. Required with
    /// `region: self_hosted`, not allowed with others. Default: none.
    #[serde(default)]
    #[schemars(extend("x-override" = "address"))]
    custom_base_url: Option<String>,
    /// How long one request may take, in seconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 600), extend("x-source" = false, "x-override" = "allowed"))]
    timeout: u64,
}

fn default_timeout() -> u64 {
    60
}

impl TryFrom<Fields> for ConnectionConfig {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { api_key, project_id, region, custom_base_url, timeout } = fields;
        if api_key.expose().trim().is_empty() {
            return Err("api_key: must not be empty".to_owned());
        }
        if api_key.expose().starts_with("phc_") {
            return Err("api_key: project keys (`phc_...`) can only send events; create a personal API key \
                        (`phx_...`) with the scope `query:read` in PostHog's user settings"
                .to_owned());
        }
        let base_url = match (region, custom_base_url) {
            (Region::Us, None) => "https://us.posthog.com".to_owned(),
            (Region::Eu, None) => "https://eu.posthog.com".to_owned(),
            (Region::SelfHosted, Some(url)) => url,
            (Region::SelfHosted, None) => {
                return Err(
                    "custom_base_url: missing; `region: self_hosted` needs the address of your PostHog".to_owned()
                );
            }
            (region, Some(_)) => {
                return Err(format!(
                    "custom_base_url: conflicts with `region: {}`; remove it, or set `region: self_hosted`",
                    region.name()
                ));
            }
        };
        osiris_http::HttpSettings::new(&base_url)
            .map_err(|error| format!("custom_base_url: {}; {}", error.message(), error.hint().unwrap_or_default()))?;
        Ok(Self { api_key, project_id, region, base_url, timeout: Duration::from_secs(timeout) })
    }
}

impl JsonSchema for ConnectionConfig {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ConnectionConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Fields::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(fields: Value) -> Result<ConnectionConfig, String> {
        serde_json::from_value(fields).map_err(|error| error.to_string())
    }

    #[test]
    fn a_region_has_its_address_and_a_project_its_number() {
        let connection = parse(json!({"api_key": "phx_1", "project_id": 42})).unwrap();
        assert_eq!((connection.base_url.as_str(), connection.project_id.as_str()), ("https://us.posthog.com", "42"));
        let connection = parse(json!({"api_key": "phx_1", "project_id": "42", "region": "eu"})).unwrap();
        assert_eq!((connection.base_url.as_str(), connection.timeout.as_secs()), ("https://eu.posthog.com", 60));
    }

    #[test]
    fn keys_of_the_wrong_kind_and_contradictions_are_told() {
        let key = "project keys (`phc_...`)";
        for (fields, expected) in [
            (json!({"api_key": "phc_1", "project_id": 1}), key),
            (json!({"api_key": " ", "project_id": 1}), "must not be empty"),
            (json!({"api_key": "phx_1", "project_id": "my project"}), "invalid project id"),
            (json!({"api_key": "phx_1", "project_id": 1, "region": "self_hosted"}), "needs the address"),
            (
                json!({"api_key": "phx_1", "project_id": 1, "custom_base_url": "http://h"}),
                "conflicts with `region: us`",
            ),
        ] {
            let error = parse(fields.clone()).unwrap_err();
            assert!(error.contains(expected) && !error.contains("phc_1"), "{fields}: {error}");
        }
    }
}
