//! The connection fields of `osiris_connections.yaml`, validated and combined into settings. No I/O.

use std::time::Duration;

use osiris_core::Secret;
use osiris_driver_postgres::{Dsn, PostgresConnection, ServerAddress};
use osiris_http::Url;
use osiris_sql::dsn;
use osiris_sql::tls::{Reach, Tls, TlsFields, TlsMode};
use schemars::JsonSchema;
use serde::Deserialize;

/// The fields as they are written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConnectionFields {
    /// The URL of the project, such as `https://abcdefgh.supabase.co`; any http or https URL is accepted. Default:
    /// derived from `project_id`.
    #[schemars(length(min = 1), extend("x-source" = false, "x-override" = "address"))]
    url: Option<String>,
    /// The project reference, as in the URL of the dashboard. Default: none.
    #[schemars(length(min = 1), extend("x-source" = false, "x-override" = "address"))]
    project_id: Option<String>,
    /// The key of the REST API: a secret (service role) key, which bypasses row level security, or a publishable (anon)
    /// key, which does not. Where both `service_role_key` and `anon_key` are given, `service_role_key` is used. Default:
    /// none, and only the database is used.
    #[schemars(extend("x-aliases" = ["service_role_key", "anon_key"], "x-yielding-aliases" = ["anon_key"]))]
    key: Option<Secret>,
    /// A connection URL: `postgresql://user:password@host:5432/postgres?sslmode=require`. Replaces the
    /// fields that begin with `pg_`. `#`, `/`, `?`, `@` and `%` in the password are percent-encoded. Default: none.
    #[schemars(extend("x-aliases" = ["pg_dsn", "sql_dsn"]))]
    dsn: Option<Secret>,
    /// The host of the database. Default: none, and the database is not used.
    #[schemars(length(min = 1), extend("x-source" = false, "x-aliases" = ["host"], "x-override" = "address"))]
    pg_host: Option<String>,
    /// Port. Default: 5432.
    #[schemars(range(min = 1, max = 65535), extend("x-source" = false, "x-aliases" = ["port"], "x-override" = "address"))]
    pg_port: Option<u16>,
    /// The user. Default: `postgres`.
    #[schemars(length(min = 1), extend("x-source" = false, "x-aliases" = ["user"], "x-override" = "address"))]
    pg_user: Option<String>,
    /// The user's password. Default: none.
    #[schemars(extend("x-aliases" = ["password"]))]
    pg_password: Option<Secret>,
    /// The database. Default: `postgres`.
    #[schemars(length(min = 1), extend("x-source" = false, "x-aliases" = ["database"], "x-override" = "address"))]
    pg_database: Option<String>,
    /// A URL that accepts SQL over HTTP, for tables that are created over the REST channel: the project's SQL service,
    /// or the Management API, `https://api.supabase.com/v1/projects/<reference>/database/query`. Default:
    /// `{url}/pg/query`.
    #[schemars(length(min = 1), extend("x-source" = false, "x-override" = "refused"))]
    sql_url: Option<String>,
    /// The key for `sql_url`: for the Management API a personal access token. Default: `key`.
    sql_key: Option<Secret>,
    /// `postgres`: COPY to and from the database. `rest`: the REST API. `auto`: `postgres` if `dsn` or `pg_host` is
    /// set, else `rest`. Default: `auto`.
    #[serde(default)]
    #[schemars(extend("x-source" = false, "x-override" = "allowed"))]
    channel: ChannelChoice,
    /// TLS mode of the database connection: `disabled`, `preferred` (if the server supports it), `required` (the server
    /// is not verified), `verify-ca` (the certificate is signed by a trusted CA), `verify-full` (and matches
    /// `pg_host`). Default: `required`, `preferred` for a host that is this machine, `verify-full` for Supabase's own
    /// hosts (which needs the certificate from the project's database settings as `ssl_ca`) and with a CA; with a
    /// `dsn`, its `sslmode`. `ssl_ca` is for both channels, `ssl_cert` and `ssl_key` are for the database.
    #[schemars(extend("x-source" = false))]
    tls: Option<TlsMode>,
    #[serde(flatten)]
    ssl: TlsFields,
    /// Time limit for a request to the REST API, and read timeout of the database, in seconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false, "x-override" = "allowed"))]
    timeout: f64,
    /// Connect timeout in seconds, including TLS and authentication.
    #[serde(default = "default_connect_timeout")]
    #[schemars(range(min = 0.001, max = 3600.0), extend("x-source" = false))]
    connect_timeout: f64,
    /// The schema of the tables of steps that name none. Default: `public`.
    #[schemars(length(min = 1, max = 63))]
    schema: Option<String>,
    /// Number of retries of a request over REST, for steps that set none. Default: at least 3, and as many as fit into
    /// 90 s.
    #[schemars(range(max = 20), extend("x-source" = false))]
    retries: Option<u32>,
    /// Accepted for compatibility, without effect, with a warning: a key is no session that expires.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for compatibility")]
    #[schemars(extend("x-source" = false, "x-no-effect" = "a key is no session that expires"))]
    auto_refresh_token: bool,
}

fn default_timeout() -> f64 {
    30.0
}

fn default_connect_timeout() -> f64 {
    10.0
}

/// The channel that the rows use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelChoice {
    /// The database if its address is set, else the REST API.
    #[default]
    Auto,
    /// The REST API.
    Rest,
    /// The database.
    Postgres,
}

/// A Supabase project, or a self-hosted PostgreSQL and PostgREST: reached over its REST API, its database, or both.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "ConnectionFields")]
#[schemars(with = "ConnectionFields")]
pub struct SupabaseConnection {
    pub(crate) rest: Option<RestAddress>,
    /// The database.
    pub(crate) direct: Option<PostgresConnection>,
    pub(crate) channel: ChannelChoice,
    pub(crate) tls: Tls,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    /// The schema of steps that name none.
    schema: Option<String>,
    /// The retries of steps that set none.
    pub(crate) retries: Option<u32>,
}

/// The schema of tables where nobody names one.
const PUBLIC: &str = "public";

/// The URL and key of the REST API.
#[derive(Debug, Clone)]
pub(crate) struct RestAddress {
    /// The project's address, without `/rest/v1`.
    pub(crate) url: Url,
    pub(crate) key: Secret,
    /// The SQL endpoint and its key.
    pub(crate) sql: SqlAddress,
}

/// An endpoint that accepts SQL over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct SqlAddress {
    pub(crate) url: Url,
    pub(crate) key: Secret,
}

impl TryFrom<ConnectionFields> for SupabaseConnection {
    type Error = String;

    fn try_from(mut fields: ConnectionFields) -> Result<Self, String> {
        let mut problems = Vec::new();
        let dsn = dsn::parsed(fields.dsn.take(), Dsn::parse, &mut problems);
        problems.extend(fields.given_besides_a_dsn(dsn.is_some()));
        problems.extend(fields.pg_host.as_deref().and_then(|host| dsn::host_problem("pg_host", host, dsn::NO_SOCKETS)));
        let rest = fields.rest(dsn.is_some()).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let host = fields.pg_host.clone().or_else(|| dsn.as_ref().map(|dsn| dsn.address.host.clone()));
        let reach = match &host {
            Some(host) if is_supabase(host) => Reach::Certified,
            Some(host) => Reach::of_host(host),
            None => Reach::Network,
        };
        let ssl = std::mem::take(&mut fields.ssl);
        let (address, dsn_tls) = dsn.map(|dsn| (dsn.address, dsn.tls)).unzip();
        let tls = Tls::combine(fields.tls, ssl, dsn_tls.unwrap_or_default(), reach, &mut problems);
        let direct = address.or_else(|| fields.direct());
        if problems.is_empty() {
            problems.extend(lacking(fields.channel, rest.is_some(), direct.is_some()));
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let seconds = |value| Duration::try_from_secs_f64(value).map_err(|error| error.to_string());
        let (timeout, connect_timeout) = (seconds(fields.timeout)?, seconds(fields.connect_timeout)?);
        let direct =
            direct.map(|address| PostgresConnection::new(address, tls.clone()).with_timeouts(timeout, connect_timeout));
        let (channel, schema, retries) = (fields.channel, fields.schema, fields.retries);
        Ok(Self { rest, direct, channel, tls, timeout, connect_timeout, schema, retries })
    }
}

impl SupabaseConnection {
    /// The schema of the tables of a step that names none.
    pub(crate) fn schema(&self) -> &str {
        self.schema.as_deref().unwrap_or(PUBLIC)
    }

    /// Shortens the timeouts to `limit`.
    pub(crate) fn limit_times(&mut self, limit: Duration) {
        self.connect_timeout = self.connect_timeout.min(limit);
        self.timeout = self.timeout.min(limit);
        let (timeout, connect_timeout) = (self.timeout, self.connect_timeout);
        self.direct = self.direct.take().map(|direct| direct.with_timeouts(timeout, connect_timeout));
    }
}

/// Whether a host belongs to Supabase: the database of a project or its pooler.
pub(crate) fn is_supabase(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    [".supabase.co", ".supabase.com", ".supabase.net"].iter().any(|domain| host.ends_with(domain))
}

/// The fields that the chosen channel needs and that are missing.
fn lacking(channel: ChannelChoice, rest: bool, direct: bool) -> Option<String> {
    let missing = match channel {
        ChannelChoice::Auto if !rest && !direct => {
            "set a REST API (`url` or `project_id`, and `key`), a database (`dsn`, or `pg_host` and so on), or both"
        }
        ChannelChoice::Rest if !rest => "`channel: rest` needs `url` or `project_id`, and `key`",
        ChannelChoice::Postgres if !direct => "`channel: postgres` needs `dsn`, or `pg_host` and so on",
        _ => return None,
    };
    Some(missing.to_owned())
}

impl ConnectionFields {
    /// Fields that conflict with the `dsn`, or have no effect without a host.
    fn given_besides_a_dsn(&self, has_dsn: bool) -> Option<String> {
        let given = [
            ("pg_host", self.pg_host.is_some()),
            ("pg_port", self.pg_port.is_some()),
            ("pg_user", self.pg_user.is_some()),
            ("pg_password", self.pg_password.is_some()),
            ("pg_database", self.pg_database.is_some()),
        ];
        if has_dsn {
            return dsn::conflict(&given);
        }
        let given = given.iter().filter(|(_, given)| *given && self.pg_host.is_none());
        let named: Vec<String> = given.map(|(name, _)| format!("`{name}`")).collect();
        (!named.is_empty()).then(|| format!("{} has no effect without `pg_host`: set it, or a `dsn`", named.join(", ")))
    }

    fn direct(&mut self) -> Option<ServerAddress> {
        let mut address = ServerAddress::new(&self.pg_host.take()?);
        address.port = self.pg_port.unwrap_or(address.port);
        address.password = self.pg_password.take();
        if let Some(user) = self.pg_user.take() {
            address.user = user;
        }
        if let Some(database) = self.pg_database.take() {
            address.database = database;
        }
        Some(address)
    }

    fn rest(&mut self, has_dsn: bool) -> Result<Option<RestAddress>, String> {
        let address = match (self.url.take(), self.project_id.take()) {
            (Some(_), Some(_)) => return Err("`url` conflicts with `project_id`: set one of them".to_owned()),
            (Some(url), None) => Some(url),
            (None, Some(id)) if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                Some(format!("https://{id}.supabase.co"))
            }
            (None, Some(_)) => {
                return Err(
                    "`project_id` is the reference in the dashboard's address, such as `abcdefgh`; an address \
                            belongs in `url`"
                        .to_owned(),
                );
            }
            (None, None) => None,
        };
        let key = self.key.take().filter(|key| !key.expose().trim().is_empty());
        match (address, key) {
            (Some(address), Some(key)) => {
                let url = project_url(&address)?;
                let sql =
                    SqlAddress { url: self.sql_url(&url)?, key: self.sql_key.take().unwrap_or_else(|| key.clone()) };
                Ok(Some(RestAddress { url, key, sql }))
            }
            // A connection with a database works without the key.
            (Some(address), None) if has_dsn || self.pg_host.is_some() => project_url(&address).map(|_| None),
            (Some(_), None) => Err("`key`: missing; copy it from the project's API settings".to_owned()),
            (None, Some(_)) => Err("`key` needs `url` or `project_id`".to_owned()),
            (None, None) => Ok(None),
        }
    }
}

impl ConnectionFields {
    fn sql_url(&mut self, project: &Url) -> Result<Url, String> {
        let address = match self.sql_url.take() {
            Some(address) => address,
            None => format!("{}/pg/query", project.as_str().trim_end_matches('/')),
        };
        let checked = osiris_http::HttpSettings::new(&address);
        checked.map_err(|error| format!("`sql_url`: {}; {}", error.message(), error.hint().unwrap_or_default()))?;
        Url::parse(&address).map_err(|error| format!("`sql_url`: {error}"))
    }
}

/// The project's URL; users also paste that of its REST API.
fn project_url(address: &str) -> Result<Url, String> {
    let address = address.trim().trim_end_matches('/');
    let address = address.strip_suffix("/rest/v1").unwrap_or(address);
    let checked = osiris_http::HttpSettings::new(address);
    checked.map_err(|error| format!("`url`: {}; {}", error.message(), error.hint().unwrap_or_default()))?;
    let url = Url::parse(address).map_err(|error| format!("`url`: {error}"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("`url`: remove the query (`?`) and the fragment (`#`)".to_owned());
    }
    Ok(url)
}
