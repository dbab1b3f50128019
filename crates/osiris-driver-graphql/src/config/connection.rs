//! The connection: the endpoint and its credentials.

use std::collections::BTreeMap;

use osiris_core::Secret;
use osiris_http::HttpSettings;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A GraphQL endpoint.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("allOf" = [
    {
        "if": {"properties": {"auth_type": {"enum": ["bearer", "basic", "api_key"]}}, "required": ["auth_type"]},
        "then": {"required": ["auth_token"]},
    },
    {
        "if": {"properties": {"auth_type": {"const": "basic"}}, "required": ["auth_type"]},
        "then": {"required": ["auth_username"]},
    },
]))]
pub struct ConnectionConfig {
    /// The address that takes queries, such as `https://api.example.com/graphql`.
    #[serde(deserialize_with = "address")]
    #[schemars(length(min = 1), extend("x-override" = "address", "x-aliases" = ["graphql_endpoint", "graphql_url"]))]
    pub endpoint: String,
    /// How requests are authenticated. Default: none.
    #[serde(default)]
    pub auth_type: AuthType,
    /// The token of `bearer`, the password of `basic`, the key of `api_key`. Default: none.
    #[serde(default)]
    pub auth_token: Option<Secret>,
    /// The user of `basic`. Default: none.
    #[serde(default)]
    pub auth_username: Option<String>,
    /// The header that carries the key of `api_key`.
    #[serde(default = "key_header")]
    #[schemars(length(min = 1))]
    pub auth_header_name: String,
    /// Further headers, all of them secret. Default: none. They are sent to the endpoint's own host only. A step may add headers whose
    /// names are not those of credentials, such as `X-Trace`; these are not treated as secrets.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true, "x-override" = "headers"))]
    pub headers: BTreeMap<String, Secret>,
    /// Whether the server's certificate is checked.
    #[serde(default = "yes")]
    #[schemars(extend("x-override" = "address"))]
    pub validate_ssl: bool,
    /// A PEM file with the certificate authorities to trust instead of the operating system's. Default: none. A
    /// relative path starts at the pipeline file.
    #[serde(default)]
    pub ssl_ca: Option<String>,
    /// How long one request may take, in seconds.
    #[serde(default = "timeout")]
    #[schemars(range(min = 1, max = 3600), extend("x-override" = "allowed"))]
    pub timeout: u64,
}

/// How requests are authenticated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// Not at all, or by `headers`.
    #[default]
    None,
    /// `Authorization: Bearer <auth_token>`.
    Bearer,
    /// `Authorization: Basic`, of `auth_username` and `auth_token`.
    Basic,
    /// The header `auth_header_name` with `auth_token`.
    ApiKey,
}

/// An address that requests can go to.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let advice = |error: osiris_core::Error| match error.hint() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().to_owned(),
    };
    HttpSettings::new(&text).map_err(|error| D::Error::custom(advice(error)))?;
    Ok(text)
}

fn key_header() -> String {
    "X-API-Key".to_owned()
}

const fn yes() -> bool {
    true
}

const fn timeout() -> u64 {
    30
}
