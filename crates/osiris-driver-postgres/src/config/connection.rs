//! The connection fields of `osiris_connections.yaml`, validated and combined into settings. No I/O.

use std::time::Duration;

use osiris_core::Secret;
use osiris_sql::dsn;
use osiris_sql::tls::{Reach, Tls, TlsFields, TlsMode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::dsn::Dsn;

/// The port of PostgreSQL.
const PORT: u16 = 5432;
/// The default role and database of a PostgreSQL server.
const POSTGRES: &str = "postgres";

/// The fields as they are written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConnectionFields {
    /// Host name or IP address of the server. Default: `localhost`.
    #[schemars(length(min = 1), extend("x-source" = false, "x-override" = "address"))]
    host: Option<String>,
    /// Port. Default: 5432.
    #[schemars(range(min = 1, max = 65535), extend("x-source" = false, "x-override" = "address"))]
    port: Option<u16>,
    /// The database. Default: the value of `user`.
    #[schemars(length(min = 1), extend("x-source" = false, "x-aliases" = ["dbname"], "x-override" = "address"))]
    database: Option<String>,
    /// The role. Default: `postgres`.
    #[schemars(length(min = 1), extend("x-source" = false, "x-aliases" = ["username"], "x-override" = "address"))]
    user: Option<String>,
    /// The role's password. Default: none.
    password: Option<Secret>,
    /// A connection URL: `postgresql://user:password@host:5432/database?sslmode=require`. Replaces `host`, `port`,
    /// `database`, `user` and `password`. `#`, `/`, `?`, `@` and `%` in the password are percent-encoded. Default: none.
    #[schemars(extend("x-aliases" = ["url"]))]
    dsn: Option<Secret>,
    /// TLS mode: `disabled`, `preferred` (if the server supports it), `required` (the server's certificate is not
    /// verified), `verify-ca` (the certificate is signed by a trusted CA), `verify-full` (and matches `host`). Default:
    /// `required`, `preferred` for a host that is this machine, `verify-full` with a CA; with a `dsn`, its `sslmode`.
    #[schemars(extend("x-source" = false))]
    tls: Option<TlsMode>,
    #[serde(flatten)]
    ssl: TlsFields,
    /// Read timeout in seconds: how long to wait for more data from the server.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false, "x-aliases" = ["read_timeout"], "x-override" = "allowed"))]
    timeout: f64,
    /// Connect timeout in seconds, including TLS and authentication.
    #[serde(default = "default_connect_timeout")]
    #[schemars(range(min = 0.001, max = 3600.0), extend("x-source" = false))]
    connect_timeout: f64,
}

fn default_timeout() -> f64 {
    30.0
}

fn default_connect_timeout() -> f64 {
    10.0
}

/// A PostgreSQL server and the role to use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "ConnectionFields")]
#[schemars(with = "ConnectionFields")]
#[non_exhaustive]
pub struct PostgresConnection {
    /// The address of the server and the credentials.
    pub address: ServerAddress,
    /// TLS settings.
    pub tls: Tls,
    /// Read timeout: how long to wait for more data from the server.
    pub timeout: Duration,
    /// Connect timeout, including TLS and authentication.
    pub connect_timeout: Duration,
}

impl PostgresConnection {
    /// A connection with the default timeouts: 30 s to read, 10 s to connect.
    pub fn new(address: ServerAddress, tls: Tls) -> Self {
        Self { address, tls, timeout: Duration::from_secs(30), connect_timeout: Duration::from_secs(10) }
    }

    /// A connection with other timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeout: Duration, connect_timeout: Duration) -> Self {
        (self.timeout, self.connect_timeout) = (timeout, connect_timeout);
        self
    }
}

/// The address of the server and the credentials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerAddress {
    /// Host name or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The role's password.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
}

impl ServerAddress {
    /// The address of a server with the defaults of PostgreSQL: port 5432, and `postgres` for role and database.
    pub fn new(host: &str) -> Self {
        Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: PORT,
            user: POSTGRES.to_owned(),
            password: None,
            database: POSTGRES.to_owned(),
        }
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl TryFrom<ConnectionFields> for PostgresConnection {
    type Error = String;

    fn try_from(mut fields: ConnectionFields) -> Result<Self, String> {
        let mut problems = Vec::new();
        let dsn = dsn::parsed(fields.dsn.take(), Dsn::parse, &mut problems);
        problems.extend(dsn.as_ref().and_then(|_| fields.conflict_with_dsn()));
        problems.extend(fields.host.as_deref().and_then(|host| dsn::host_problem("host", host, dsn::NO_SOCKETS)));
        let mut address = match &dsn {
            Some(dsn) => dsn.address.clone(),
            None => fields.address(),
        };
        let names_database = dsn.as_ref().map_or(fields.database.is_some(), |dsn| dsn.names_database);
        if !names_database {
            address.database.clone_from(&address.user);
        }
        let ssl = std::mem::take(&mut fields.ssl);
        let dsn_tls = dsn.map(|dsn| dsn.tls).unwrap_or_default();
        let tls = Tls::combine(fields.tls, ssl, dsn_tls, Reach::of_host(&address.host), &mut problems);
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let seconds = |value| Duration::try_from_secs_f64(value).map_err(|error| error.to_string());
        Ok(Self { address, tls, timeout: seconds(fields.timeout)?, connect_timeout: seconds(fields.connect_timeout)? })
    }
}

impl ConnectionFields {
    /// Reports fields that conflict with the `dsn`.
    fn conflict_with_dsn(&self) -> Option<String> {
        dsn::conflict(&[
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("database", self.database.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
        ])
    }

    fn address(&mut self) -> ServerAddress {
        let mut address = ServerAddress::new(self.host.as_deref().unwrap_or("localhost"));
        address.port = self.port.unwrap_or(PORT);
        address.password = self.password.take();
        if let Some(user) = self.user.take() {
            address.user = user;
        }
        if let Some(database) = self.database.clone() {
            address.database = database;
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use osiris_core::ConfigSchema;
    use serde_json::{Value, json};

    use super::*;

    fn parse(fields: Value) -> Result<PostgresConnection, String> {
        let problems = ConfigSchema::of::<PostgresConnection>().violations(&fields);
        if !problems.is_empty() {
            return Err(format!("{problems:?}"));
        }
        ConfigSchema::parse(&fields).map_err(|problem| problem.message)
    }

    #[test]
    fn an_empty_connection_has_the_documented_defaults() {
        let connection = parse(json!({})).unwrap();
        assert_eq!(connection.address.to_string(), "localhost:5432");
        assert_eq!((connection.address.user.as_str(), connection.address.database.as_str()), ("postgres", "postgres"));
        assert_eq!((connection.connect_timeout.as_secs(), connection.timeout.as_secs()), (10, 30));
        assert_eq!(connection.tls.mode, TlsMode::Preferred);
        assert_eq!(parse(json!({"host": "db.example.com"})).unwrap().tls.mode, TlsMode::Required);
    }

    #[test]
    fn the_database_has_the_name_of_the_role_unless_it_is_given() {
        let database = |fields| parse(fields).unwrap().address.database;
        assert_eq!(database(json!({"user": "etl"})), "etl");
        assert_eq!(database(json!({"user": "etl", "database": "shop"})), "shop");
        assert_eq!(database(json!({"dsn": "postgresql://etl@h"})), "etl");
        assert_eq!(database(json!({"dsn": "postgresql://etl@h/shop"})), "shop");
        assert_eq!(database(json!({"dsn": "postgresql://etl@h?dbname=shop"})), "shop");
    }

    #[test]
    fn a_dsn_says_it_all_and_conflicts_with_the_fields() {
        let connection =
            parse(json!({"dsn": "postgresql://etl:p%40%2F%2B@[::1]:6000/shop?sslmode=verify-full"})).unwrap();
        assert_eq!(connection.address.to_string(), "[::1]:6000");
        assert_eq!(connection.address.password.as_ref().map(Secret::expose), Some("p@/+"));
        assert_eq!(connection.tls.mode, TlsMode::VerifyFull);
        let problem = parse(json!({"dsn": "postgresql://h/d", "host": "h", "port": 1, "ssl_key": "k"})).unwrap_err();
        assert!(problem.contains("`dsn` conflicts with `host`, `port`") && problem.contains("`ssl_cert`"), "{problem}");
        let problem = parse(json!({"dsn": "postgresql://h/d?sslmode=disable", "tls": "verify-full"})).unwrap_err();
        assert!(problem.contains("`sslmode` of the `dsn` and `tls` ask for different kinds of TLS"), "{problem}");
    }

    #[test]
    fn a_host_is_one_name_or_address() {
        assert_eq!(parse(json!({"host": "[::1]"})).unwrap().address.to_string(), "[::1]:5432");
        let problem = parse(json!({"host": "/run/postgresql", "ssl_key": "k"})).unwrap_err();
        assert!(problem.contains("`host`: ") && problem.contains("Unix sockets are not supported"), "{problem}");
        assert!(problem.contains("`ssl_cert`"), "{problem}");
        let problem = parse(json!({"host": "h1,h2"})).unwrap_err();
        assert!(problem.contains("`host`: it names more than one host"), "{problem}");
    }

    #[test]
    fn secrets_do_not_show() {
        let schema = ConfigSchema::of::<PostgresConnection>();
        assert!(schema.is_secret("password") && schema.is_secret("dsn"));
        for fields in [json!({"password": "hunter2"}), json!({"dsn": "postgresql://u:hunter2@h/d"})] {
            assert!(!format!("{:?}", parse(fields).unwrap()).contains("hunter2"));
        }
    }
}
