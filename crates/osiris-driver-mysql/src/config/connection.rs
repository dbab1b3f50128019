//! The connection fields of `osiris_connections.yaml`, validated and combined into settings. No I/O.

use std::path::PathBuf;
use std::time::Duration;

use osiris_core::Secret;
use osiris_sql::dsn::{self, DsnParts};
use osiris_sql::tls::{DsnTls, Reach, Tls, TlsFields, TlsMode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::dsn::Dsn;

/// The default host.
pub(super) const HOST: &str = "localhost";
/// The port of MySQL.
pub(super) const PORT: u16 = 3306;
/// The default user.
pub(super) const USER: &str = "root";
/// The default of `connect_timeout`, in seconds.
const CONNECT_TIMEOUT: f64 = 10.0;

/// The fields as they are written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConnectionFields {
    /// Host name or IP address of the server.
    #[schemars(length(min = 1), extend("default" = HOST, "x-override" = "address"))]
    host: Option<String>,
    /// Port.
    #[schemars(range(min = 1, max = 65535), extend("default" = PORT, "x-override" = "address"))]
    port: Option<u16>,
    /// A Unix socket to use instead of `host` and `port`. Default: none.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    socket: Option<String>,
    /// The database of table names without a schema. Default: none, and every table name needs its schema.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    database: Option<String>,
    /// The user.
    #[schemars(
        length(min = 1),
        extend("default" = USER, "x-source" = false, "x-aliases" = ["username"], "x-override" = "address")
    )]
    user: Option<String>,
    /// The user's password. Default: none.
    password: Option<Secret>,
    /// A connection URL: `mysql://user:password@host:3306/database?ssl-mode=REQUIRED`. Replaces `host`, `port`, `socket`,
    /// `database`, `user` and `password`. `#`, `/`, `?`, `@` and `%` in the password are percent-encoded. Default: none.
    #[schemars(extend("x-aliases" = ["url"]))]
    dsn: Option<Secret>,
    /// The character set of the connection. It is always utf8mb4, whatever the tables use;
    /// `utf8` and `utf8mb3` are accepted as aliases. Default: `utf8mb4`.
    #[serde(default)]
    #[expect(dead_code, reason = "its type refuses other sets; there is nothing to be done with these")]
    #[schemars(extend("x-source" = false))]
    charset: Charset,
    /// Connect timeout in seconds, including TLS and authentication. Default: `timeout`, or 10.
    #[schemars(range(min = 0.001, max = 3600.0), extend("x-source" = false))]
    connect_timeout: Option<f64>,
    /// The same as `connect_timeout`, which is used where both are set. Default: none.
    #[schemars(range(min = 0.001, max = 3600.0), extend("x-source" = false))]
    timeout: Option<f64>,
    /// Read timeout in seconds: how long to wait for more data from the server.
    #[serde(default = "default_read_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    read_timeout: f64,
    /// Write timeout in seconds: how long a writer waits for the server before it checks whether the server still works
    /// on the statement, and how long the server waits for more rows. Default: `read_timeout`.
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    write_timeout: Option<f64>,
    /// Idle connections that the pool keeps for steps that run at the same time. Default: 5.
    #[schemars(range(min = 1, max = 1000), extend("x-source" = false))]
    pool_size: Option<u16>,
    /// Connections beyond `pool_size` that are opened when all are busy and closed after use. Default: 10.
    #[schemars(range(max = 1000), extend("x-source" = false))]
    max_overflow: Option<u16>,
    /// Maximum number of connections, all of them kept. Replaces `pool_size` and `max_overflow`. Default: their sum.
    #[schemars(range(min = 1, max = 2000), extend("x-source" = false))]
    max_connections: Option<u16>,
    /// Seconds after which an idle connection is replaced by a new one; -1: never.
    #[serde(default = "default_pool_recycle")]
    #[schemars(range(min = -1), extend("x-source" = false))]
    pool_recycle: i64,
    /// Whether an idle connection is pinged before it is used again.
    #[serde(default = "default_true")]
    #[schemars(extend("x-source" = false))]
    pool_pre_ping: bool,
    /// `disabled`, `preferred` (encrypted if the server supports it), `required` (encrypted, not verified), `verify-ca`
    /// (the certificate is signed by a trusted CA), `verify-full` (and matches `host`). Default: `required`;
    /// `preferred` for a host that is this machine; `verify-full` with a CA; with a `dsn`, its `ssl-mode`.
    #[schemars(extend("x-source" = false))]
    tls: Option<TlsMode>,
    #[serde(flatten)]
    ssl: TlsFields,
    /// Whether to log statements, at debug level.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    echo: bool,
}

/// The character set of the connection.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Charset {
    #[default]
    Utf8mb4,
    Utf8,
    Utf8mb3,
}

fn default_read_timeout() -> f64 {
    30.0
}

fn default_pool_recycle() -> i64 {
    3600
}

fn default_true() -> bool {
    true
}

/// A MySQL or MariaDB server and the account to use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "ConnectionFields")]
#[schemars(with = "ConnectionFields")]
pub struct MysqlConnection {
    pub(crate) address: Address,
    pub(crate) database: Option<String>,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    /// As it is written: `read_timeout` where it is not.
    pub(crate) write_timeout: Option<Duration>,
    /// Whether the address is that of a `dsn`, which is secret.
    pub(crate) is_of_dsn: bool,
    pub(crate) pool: PoolLimits,
    pub(crate) tls: Tls,
    pub(crate) echo: bool,
}

impl MysqlConnection {
    /// How long a writer waits for the server, and the field that sets it.
    pub(crate) fn write_limit(&self) -> (Duration, &'static str) {
        match self.write_timeout {
            Some(limit) => (limit, "write_timeout"),
            None => (self.read_timeout, "read_timeout"),
        }
    }

    /// The address and the database of a `dsn` by the names of the fields that it replaces, without those that have
    /// their defaults.
    pub(crate) fn dsn_source(&self) -> Vec<(&'static str, String)> {
        if !self.is_of_dsn {
            return Vec::new();
        }
        let mut source: Vec<(&'static str, String)> = match &self.address {
            Address::Tcp { host, port } => [("host", host.clone(), HOST.to_owned())]
                .into_iter()
                .chain([("port", port.to_string(), PORT.to_string())])
                .filter(|(_, value, default)| value != default)
                .map(|(name, value, _)| (name, value))
                .collect(),
            Address::Socket(path) => vec![("socket", path.display().to_string())],
        };
        source.extend(self.database.iter().map(|database| ("database", database.clone())));
        source
    }
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// By TCP.
    Tcp { host: String, port: u16 },
    /// By a Unix socket.
    Socket(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The limits of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    /// Idle connections to keep.
    pub(crate) size: usize,
    /// Further connections that may be open.
    pub(crate) overflow: usize,
    /// Maximum age of an idle connection; `None`: no limit.
    pub(crate) recycle: Option<Duration>,
    /// Whether an idle connection is pinged before use.
    pub(crate) pre_ping: bool,
}

impl PoolLimits {
    /// The maximum number of connections.
    pub(crate) fn capacity(&self) -> usize {
        self.size + self.overflow
    }
}

impl TryFrom<ConnectionFields> for MysqlConnection {
    type Error = String;

    fn try_from(mut fields: ConnectionFields) -> Result<Self, String> {
        let mut problems = Vec::new();
        let host_problem = |host: &str| dsn::host_problem("host", host, "for a Unix socket, set `socket`");
        problems.extend(fields.host.as_deref().and_then(host_problem));
        let dsn = dsn::parsed(fields.dsn.take(), Dsn::parse, &mut problems);
        let is_of_dsn = dsn.is_some();
        let ssl = std::mem::take(&mut fields.ssl);
        let dsn_tls = dsn.map(|dsn| {
            problems.extend(fields.conflict_with_dsn());
            fields.take_from(dsn)
        });
        let host = fields.host.unwrap_or_else(|| HOST.to_owned());
        let reach = if fields.socket.is_some() { Reach::Socket } else { Reach::of_host(&host) };
        let address = match fields.socket {
            Some(path) => Address::Socket(PathBuf::from(path)),
            None => Address::Tcp { host, port: fields.port.unwrap_or(PORT) },
        };
        if fields.max_connections.is_some() && (fields.pool_size.is_some() || fields.max_overflow.is_some()) {
            problems
                .push("`max_connections` conflicts with `pool_size` and `max_overflow`: set one or the other".into());
        }
        let (size, overflow) = match fields.max_connections {
            Some(size) => (size, 0),
            None => (fields.pool_size.unwrap_or(5), fields.max_overflow.unwrap_or(10)),
        };
        let tls = Tls::combine(fields.tls, ssl, dsn_tls.unwrap_or_default(), reach, &mut problems);
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let seconds = |value| Duration::try_from_secs_f64(value).map_err(|error| error.to_string());
        Ok(Self {
            address,
            database: fields.database,
            user: fields.user.unwrap_or_else(|| USER.to_owned()),
            password: fields.password,
            connect_timeout: seconds(fields.connect_timeout.or(fields.timeout).unwrap_or(CONNECT_TIMEOUT))?,
            read_timeout: seconds(fields.read_timeout)?,
            write_timeout: fields.write_timeout.map(seconds).transpose()?,
            is_of_dsn,
            pool: PoolLimits {
                size: size.into(),
                overflow: overflow.into(),
                recycle: u64::try_from(fields.pool_recycle).ok().map(Duration::from_secs),
                pre_ping: fields.pool_pre_ping,
            },
            tls,
            echo: fields.echo,
        })
    }
}

impl ConnectionFields {
    /// Reports fields that conflict with the `dsn`.
    fn conflict_with_dsn(&self) -> Option<String> {
        dsn::conflict(&[
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("socket", self.socket.is_some()),
            ("database", self.database.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
        ])
    }

    /// Sets the fields that the `dsn` replaces, and returns what it says about TLS.
    fn take_from(&mut self, dsn: Dsn) -> DsnTls {
        let DsnParts { host, port, database, user, password, .. } = dsn.parts;
        (self.host, self.port, self.socket) = (host, port, dsn.socket);
        (self.database, self.user, self.password) = (database, user, password);
        dsn.tls
    }
}

#[cfg(test)]
mod tests {
    use osiris_core::ConfigSchema;
    use serde_json::{Value, json};

    use super::*;

    fn parse(fields: Value) -> Result<MysqlConnection, String> {
        let problems = ConfigSchema::of::<MysqlConnection>().violations(&fields);
        if !problems.is_empty() {
            return Err(format!("{problems:?}"));
        }
        ConfigSchema::parse(&fields).map_err(|problem| problem.message)
    }

    #[test]
    fn an_empty_connection_has_the_documented_defaults() {
        let connection = parse(json!({})).unwrap();
        assert_eq!(connection.address.to_string(), "localhost:3306");
        assert_eq!((connection.user.as_str(), connection.database), ("root", None));
        assert_eq!((connection.connect_timeout.as_secs(), connection.read_timeout.as_secs()), (10, 30));
        assert_eq!(connection.pool.capacity(), 15);
        assert_eq!(connection.pool.recycle, Some(Duration::from_secs(3600)));
        assert_eq!(connection.tls.mode, TlsMode::Preferred);
        assert_eq!(parse(json!({"host": "db.example.com"})).unwrap().tls.mode, TlsMode::Required);
    }

    #[test]
    fn max_connections_stands_instead_of_the_two() {
        let pool = parse(json!({"max_connections": 3, "pool_recycle": -1})).unwrap().pool;
        assert_eq!((pool.size, pool.overflow, pool.recycle), (3, 0, None));
        let problem = parse(json!({"max_connections": 3, "pool_size": 1})).unwrap_err();
        assert!(problem.contains("conflicts with `pool_size`"), "{problem}");
    }

    #[test]
    fn all_contradictions_are_told_at_once() {
        let problem = parse(json!({"max_connections": 3, "pool_size": 1, "ssl_key": "k"})).unwrap_err();
        assert!(problem.contains("`max_connections`") && problem.contains("`ssl_cert`"), "{problem}");
    }

    #[test]
    fn unknown_fields_charsets_and_ports_are_refused() {
        for (fields, wanted) in [
            (json!({"hots": "h"}), "host"),
            (json!({"charset": "latin1"}), "utf8mb4"),
            (json!({"port": 0}), "too small"),
            (json!({"tls": "yes"}), "verify-full"),
        ] {
            let problem = parse(fields).unwrap_err();
            assert!(problem.contains(wanted), "{problem}");
        }
    }

    #[test]
    fn a_dsn_says_it_all_and_conflicts_with_the_fields() {
        let dsn = "mysql://etl:p%40%2F%2B@[::1]:6000/shop?ssl-mode=VERIFY_IDENTITY";
        let connection = parse(json!({"dsn": dsn})).unwrap();
        assert_eq!(connection.address.to_string(), "[::1]:6000");
        assert_eq!((connection.user.as_str(), connection.database.as_deref()), ("etl", Some("shop")));
        assert_eq!(connection.password.as_ref().map(Secret::expose), Some("p@/+"));
        assert_eq!(connection.tls.mode, TlsMode::VerifyFull);
        let problem = parse(json!({"dsn": "mysql://h/d", "host": "h", "port": 1, "ssl_key": "k"})).unwrap_err();
        assert!(problem.contains("`dsn` conflicts with `host`, `port`") && problem.contains("`ssl_cert`"), "{problem}");
        let contradiction = json!({"dsn": "mysql://h/d?ssl-mode=REQUIRED", "require_ssl": true});
        let problem = parse(contradiction).unwrap_err();
        assert!(
            problem.contains("`ssl-mode` of the `dsn` and `require_ssl` ask for different kinds of TLS"),
            "{problem}"
        );
    }

    #[test]
    fn a_host_is_one_name_or_address_and_a_socket_has_its_own_field() {
        assert!(parse(json!({"host": "::1"})).is_ok());
        let problem = parse(json!({"host": "/run/mysqld.sock", "ssl_key": "k"})).unwrap_err();
        assert!(problem.contains("`host`: ") && problem.contains("for a Unix socket, set `socket`"), "{problem}");
        assert!(problem.contains("`ssl_cert`"), "{problem}");
        let problem = parse(json!({"host": "h1,h2"})).unwrap_err();
        assert!(problem.contains("`host`: it names more than one host"), "{problem}");
    }

    /// So a state that was saved with the one is taken over by the other.
    #[test]
    fn a_dsn_is_the_source_that_its_fields_are() {
        let source = |dsn: &str| parse(json!({"dsn": dsn})).unwrap().dsn_source();
        assert_eq!(source("mysql://u:p@localhost:3306"), []);
        let expected = [("host", "db"), ("port", "3307"), ("database", "shop")];
        assert_eq!(source("mysql://u:p@db:3307/shop"), expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(parse(json!({"host": "db"})).unwrap().dsn_source(), []);
    }

    #[test]
    fn a_timeout_is_that_of_connecting_and_a_write_waits_as_long_as_a_read_unless_it_is_told() {
        let connect = |fields| parse(fields).unwrap().connect_timeout.as_secs();
        assert_eq!(connect(json!({"timeout": 7})), 7);
        assert_eq!(connect(json!({"timeout": 7, "connect_timeout": 3})), 3);
        let write = |fields| parse(fields).unwrap().write_limit();
        assert_eq!(write(json!({"read_timeout": 5})), (Duration::from_secs(5), "read_timeout"));
        assert_eq!(write(json!({"write_timeout": 90})), (Duration::from_secs(90), "write_timeout"));
    }

    #[test]
    fn ssl_is_a_switch_or_a_mapping() {
        let mode = |ssl: Value| parse(json!({"host": "db", "ssl": ssl})).map(|connection| connection.tls.mode);
        assert_eq!(mode(json!(true)), Ok(TlsMode::VerifyFull));
        assert_eq!(mode(json!(false)), Ok(TlsMode::Disabled));
        assert_eq!(mode(json!({"verify_cert": false})), Ok(TlsMode::Required));
        assert!(mode(json!("on")).unwrap_err().contains("true or false or a mapping"));
    }

    #[test]
    fn the_password_is_a_secret_and_does_not_show() {
        let schema = ConfigSchema::of::<MysqlConnection>();
        assert!(schema.is_secret("password") && schema.is_secret("dsn"));
        let connection = parse(json!({"dsn": "mysql://u:hunter2@h/d"})).unwrap();
        assert!(!format!("{connection:?}").contains("hunter2"));
        assert_eq!(schema.field_named("username"), Some("user"));
        let connection = parse(json!({"password": "hunter2"})).unwrap();
        assert!(!format!("{connection:?}").contains("hunter2"));
    }
}
