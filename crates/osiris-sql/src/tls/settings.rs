//! Combines the fields with TLS settings into one mode. No I/O here: files are read when a connection is opened.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::DsnTls;

/// How a server is reached, which decides how much TLS a connection has when it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Over a network, where others may listen and answer: encrypted, or not at all.
    #[default]
    Network,
    /// Over the loopback of this machine, which others only reach by its own software.
    Loopback,
    /// By a Unix socket: nothing leaves the machine.
    Socket,
    /// Over a network, at a host whose certificate is known to be good: its name is verified.
    Certified,
}

impl Reach {
    /// How the host of this name or address is reached.
    pub fn of_host(host: &str) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let named = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
        let loopback = named || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        if loopback { Self::Loopback } else { Self::Network }
    }

    fn default_mode(self) -> TlsMode {
        match self {
            Self::Network => TlsMode::Required,
            Self::Loopback => TlsMode::Preferred,
            Self::Socket => TlsMode::Disabled,
            Self::Certified => TlsMode::VerifyFull,
        }
    }
}

/// How a connection is encrypted and whom it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never encrypted.
    Disabled,
    /// Encrypted if the server can.
    Preferred,
    /// Encrypted; the server may be anybody.
    Required,
    /// The server's certificate is of a known authority.
    VerifyCa,
    /// And it was made for the name by which the server is reached.
    VerifyFull,
}

impl TlsMode {
    /// Whether the server's certificate is looked at.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }

    /// Its name, as `tls` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Preferred => "preferred",
            Self::Required => "required",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// What is known of a server that was reached with this mode, for a doctor.
    pub fn verified(self) -> &'static str {
        match self {
            Self::VerifyFull => "certificate and name",
            Self::VerifyCa => "certificate",
            Self::Disabled | Self::Preferred | Self::Required => "no",
        }
    }
}

/// TLS as other clients have it: on, off, or in one mapping.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Ssl {
    /// `true` is the same as `tls: verify-full`, `false` as `tls: disabled`.
    Switch(bool),
    /// In one mapping.
    Settings(SslSettings),
}

/// A mapping that may be a boolean, rather than one of two alternatives: so an unknown field of it is reported by its
/// name.
impl JsonSchema for Ssl {
    fn schema_name() -> Cow<'static, str> {
        "Ssl".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = SslSettings::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["boolean", "object"]));
        schema
    }
}

/// TLS in one mapping.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SslSettings {
    /// The same as `ssl_ca`.
    ca: Option<String>,
    /// The same as `ssl_cert`.
    cert: Option<String>,
    /// The same as `ssl_key`.
    key: Option<String>,
    /// Whether the server's certificate must be of a known authority. Default: true when there is a `ca`.
    verify_cert: Option<bool>,
    /// Whether it must have the server's name. Default: true when the certificate is verified.
    verify_identity: Option<bool>,
}

impl Ssl {
    fn mode(&self) -> Result<Option<TlsMode>, String> {
        match self {
            Self::Switch(true) => Ok(Some(TlsMode::VerifyFull)),
            Self::Switch(false) => Ok(Some(TlsMode::Disabled)),
            Self::Settings(settings) => settings.mode(),
        }
    }

    fn into_settings(self) -> SslSettings {
        match self {
            Self::Switch(_) => SslSettings::default(),
            Self::Settings(settings) => settings,
        }
    }
}

impl SslSettings {
    /// The mode it asks for; none when it says nothing about the server's certificate.
    fn mode(&self) -> Result<Option<TlsMode>, String> {
        Ok(match (self.verify_cert, self.verify_identity) {
            (Some(false), Some(true)) => {
                return Err("`ssl.verify_identity: true` needs `ssl.verify_cert`, which is false".to_owned());
            }
            (Some(false), _) => Some(TlsMode::Required),
            (_, Some(true)) | (Some(true), None) => Some(TlsMode::VerifyFull),
            (Some(true), Some(false)) => Some(TlsMode::VerifyCa),
            (None, Some(false)) => Some(if self.ca.is_some() { TlsMode::VerifyCa } else { TlsMode::Required }),
            (None, None) => self.ca.is_some().then_some(TlsMode::VerifyFull),
        })
    }
}

/// The fields of a connection that are about TLS, but for `tls` itself, whose default every family documents. Flattened
/// into the fields of a connection.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TlsFields {
    /// A PEM file with the only CA certificates to trust. Default: those of the system.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub ssl_ca: Option<String>,
    /// A PEM file with the client certificate. Default: none.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub ssl_cert: Option<String>,
    /// A PEM file with the private key of `ssl_cert`. Default: none.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub ssl_key: Option<String>,
    /// `true` is the same as `tls: verify-full`. Default: false.
    #[schemars(extend("x-source" = false))]
    pub require_ssl: Option<bool>,
    /// The same settings as `tls`, `ssl_ca`, `ssl_cert` and `ssl_key` in one mapping. `true` is the same as
    /// `tls: verify-full`, `false` as `tls: disabled`. Default: none.
    #[schemars(extend("x-source" = false))]
    pub ssl: Option<Ssl>,
}

/// TLS as it will be done. Paths may be relative to the pipeline file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tls {
    /// How.
    pub mode: TlsMode,
    /// The only authorities that count, where given.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Default for Tls {
    /// Encrypted, whoever the server is.
    fn default() -> Self {
        Self { mode: TlsMode::Required, ca: None, identity: None }
    }
}

impl Tls {
    /// What `tls`, the fields and a `dsn` come to together, for a server that is reached like this. Every contradiction is
    /// added to `problems`, with the names of both sides; what is returned then is of no use.
    pub fn combine(
        tls: Option<TlsMode>,
        fields: TlsFields,
        dsn: DsnTls,
        reach: Reach,
        problems: &mut Vec<String>,
    ) -> Self {
        let (dsn_mode, dsn_ca) = dsn.into_named();
        let asked = fields.asked_mode(tls, dsn_mode).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let ssl = fields.ssl.map(Ssl::into_settings).unwrap_or_default();
        let of_field = |name: &str, value: Option<String>| value.map(|value| (format!("`{name}`"), value));
        let mut once = |name: &str, outer, inner, dsn| {
            let given = [of_field(&format!("ssl_{name}"), outer), of_field(&format!("ssl.{name}"), inner), dsn];
            let mut given = given.into_iter().flatten();
            let first = given.next()?;
            problems.extend(given.map(|(other, _)| format!("{} and {other} are the same: keep one", first.0)));
            Some(first)
        };
        let ca = once("ca", fields.ssl_ca, ssl.ca, dsn_ca);
        let cert = once("cert", fields.ssl_cert, ssl.cert, None);
        let key = once("key", fields.ssl_key, ssl.key, None);
        let identity = match (cert, key) {
            (Some((_, cert)), Some((_, key))) => Some((PathBuf::from(cert), PathBuf::from(key))),
            (None, None) => None,
            (cert, _) => {
                let (one, other) = if cert.is_some() { ("ssl_cert", "ssl_key") } else { ("ssl_key", "ssl_cert") };
                problems.push(format!("`{one}` needs `{other}`"));
                None
            }
        };
        let mode = match &asked {
            Some((_, mode)) => *mode,
            None if ca.is_some() => TlsMode::VerifyFull,
            None if identity.is_some() => TlsMode::Required,
            None => reach.default_mode(),
        };
        if let Some((name, mode)) = &asked {
            let asks = format!("{name} asks for `{}`", mode.name());
            if let (Some((ca, _)), false) = (&ca, mode.verifies()) {
                problems.push(format!(
                    "{ca} verifies the server, but {asks}: use `verify-ca` or `verify-full`, or keep one"
                ));
            }
            if identity.is_some() && *mode == TlsMode::Disabled {
                problems.push(format!("`ssl_cert` needs TLS, but {asks}: keep one"));
            }
        }
        if reach == Reach::Socket && mode.verifies() {
            let name = asked.map(|(name, _)| name).or(ca.clone().map(|(name, _)| name)).unwrap_or_default();
            problems.push(format!("a server behind a Unix socket has no name to verify: leave {name} out"));
        }
        Self { mode, ca: ca.map(|(_, path)| PathBuf::from(path)), identity }
    }
}

impl TlsFields {
    /// The mode that the `dsn`, `tls`, `require_ssl` and `ssl` ask for, when they agree, and the first that does.
    fn asked_mode(
        &self,
        tls: Option<TlsMode>,
        dsn: Option<(String, TlsMode)>,
    ) -> Result<Option<(String, TlsMode)>, String> {
        let ssl = self.ssl.as_ref().map_or(Ok(None), Ssl::mode)?;
        let required = (self.require_ssl == Some(true)).then_some(TlsMode::VerifyFull);
        let fields = [("`tls`", tls), ("`require_ssl`", required), ("`ssl`", ssl)];
        let fields = fields.into_iter().filter_map(|(name, mode)| Some((name.to_owned(), mode?)));
        let mut given = dsn.into_iter().chain(fields);
        let Some((one, first)) = given.next() else { return Ok(None) };
        match given.find(|(_, mode)| *mode != first) {
            Some((other, _)) => Err(format!("{one} and {other} ask for different kinds of TLS: keep one")),
            None => Ok(Some((one, first))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mode(fields: Value) -> Result<TlsMode, Vec<String>> {
        let reach = match (fields["socket"].is_string(), fields["host"].as_str()) {
            (true, _) => Reach::Socket,
            (false, Some("certified")) => Reach::Certified,
            (false, host) => Reach::of_host(host.unwrap_or("db.example.com")),
        };
        let tls = serde_json::from_value(fields["tls"].clone()).unwrap();
        let mut dsn = DsnTls::default();
        let mode: Option<TlsMode> = serde_json::from_value(fields["dsn_mode"].clone()).unwrap();
        mode.into_iter().for_each(|mode| dsn.set_mode("ssl-mode", mode));
        fields["dsn_ca"].as_str().into_iter().for_each(|ca| dsn.set_ca("ssl-ca", ca));
        let mut problems = Vec::new();
        let tls = Tls::combine(tls, serde_json::from_value(fields).unwrap(), dsn, reach, &mut problems);
        if problems.is_empty() { Ok(tls.mode) } else { Err(problems) }
    }

    #[test]
    fn every_spelling_comes_to_one_of_the_five_modes() {
        for (fields, expected) in [
            (json!({}), TlsMode::Required),
            (json!({"host": "127.0.0.1"}), TlsMode::Preferred),
            (json!({"host": "certified"}), TlsMode::VerifyFull),
            (json!({"host": "certified", "tls": "preferred"}), TlsMode::Preferred),
            (json!({"tls": "disabled"}), TlsMode::Disabled),
            (json!({"tls": "verify-ca"}), TlsMode::VerifyCa),
            (json!({"require_ssl": true}), TlsMode::VerifyFull),
            (json!({"require_ssl": false}), TlsMode::Required),
            (json!({"ssl_ca": "ca.pem"}), TlsMode::VerifyFull),
            (json!({"tls": "verify-ca", "ssl_ca": "ca.pem"}), TlsMode::VerifyCa),
            (json!({"require_ssl": true, "tls": "verify-full"}), TlsMode::VerifyFull),
            (json!({"ssl": {"ca": "ca.pem"}}), TlsMode::VerifyFull),
            (json!({"ssl": {"ca": "ca.pem", "verify_identity": false}}), TlsMode::VerifyCa),
            (json!({"ssl": {"verify_cert": false}}), TlsMode::Required),
            (json!({"ssl": {"verify_identity": true}}), TlsMode::VerifyFull),
            (json!({"ssl": {"cert": "c", "key": "k"}}), TlsMode::Required),
            (json!({"tls": "verify-full", "ssl": {"cert": "c", "key": "k"}}), TlsMode::VerifyFull),
            (json!({"socket": "s"}), TlsMode::Disabled),
            (json!({"ssl": true}), TlsMode::VerifyFull),
            (json!({"host": "127.0.0.1", "ssl": true}), TlsMode::VerifyFull),
            (json!({"ssl": true, "ssl_ca": "ca.pem"}), TlsMode::VerifyFull),
            (json!({"ssl": false}), TlsMode::Disabled),
            (json!({"ssl": false, "tls": "disabled"}), TlsMode::Disabled),
            (json!({"dsn_mode": "preferred"}), TlsMode::Preferred),
            (json!({"dsn_mode": "required", "tls": "required", "require_ssl": false}), TlsMode::Required),
            (json!({"dsn_ca": "ca.pem"}), TlsMode::VerifyFull),
            (json!({"dsn_ca": "ca.pem", "require_ssl": true}), TlsMode::VerifyFull),
        ] {
            assert_eq!(mode(fields.clone()), Ok(expected), "{fields}");
        }
    }

    #[test]
    fn s38_only_the_machine_itself_may_be_reached_without_tls_by_default() {
        for host in
            ["localhost", "LOCALHOST", "db.localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1"]
        {
            assert_eq!(Reach::of_host(host), Reach::Loopback, "{host}");
        }
        for host in
            ["db.example.com", "localhost.example.com", "10.0.0.1", "192.168.1.1", "0.0.0.0", "fe80::1", "mylocalhost"]
        {
            assert_eq!(Reach::of_host(host), Reach::Network, "{host}");
        }
    }

    #[test]
    fn a_wrong_ssl_is_reported_by_what_is_wrong_with_it() {
        let schema = osiris_core::ConfigSchema::of::<TlsFields>();
        let found = |ssl: Value| schema.violations(&json!({"ssl": ssl})).into_iter().map(|problem| problem.message);
        assert_eq!(found(json!(true)).count() + found(json!(false)).count() + found(json!({"ca": "c"})).count(), 0);
        assert_eq!(found(json!({"cart": "c"})).collect::<Vec<_>>(), ["unknown field `cart`"]);
        assert_eq!(found(json!("yes")).collect::<Vec<_>>(), ["expected true or false or a mapping, found a string"]);
    }

    #[test]
    fn contradictions_are_refused() {
        for fields in [
            json!({"tls": "required", "ssl_ca": "ca.pem"}),
            json!({"tls": "disabled", "require_ssl": true}),
            json!({"tls": "disabled", "ssl": {"verify_cert": true}}),
            json!({"ssl": {"verify_cert": false, "verify_identity": true}}),
            json!({"ssl": true, "tls": "required"}),
            json!({"ssl": false, "require_ssl": true}),
            json!({"ssl": false, "ssl_ca": "ca.pem"}),
            json!({"ssl_cert": "c"}),
            json!({"ssl_key": "k"}),
            json!({"ssl_ca": "a", "ssl": {"ca": "b"}}),
            json!({"socket": "s", "tls": "verify-full"}),
            json!({"tls": "disabled", "ssl_cert": "c", "ssl_key": "k"}),
        ] {
            assert!(mode(fields.clone()).is_err(), "{fields}");
        }
    }

    #[test]
    fn a_contradiction_names_both_sides() {
        for (fields, expected) in [
            (
                json!({"dsn_mode": "disabled", "tls": "required"}),
                "`ssl-mode` of the `dsn` and `tls` ask for different kinds of TLS: keep one",
            ),
            (
                json!({"dsn_mode": "required", "require_ssl": true}),
                "`ssl-mode` of the `dsn` and `require_ssl` ask for different kinds of TLS: keep one",
            ),
            (
                json!({"dsn_mode": "required", "ssl": true}),
                "`ssl-mode` of the `dsn` and `ssl` ask for different kinds of TLS: keep one",
            ),
            (
                json!({"dsn_mode": "required", "ssl_ca": "ca.pem"}),
                "`ssl_ca` verifies the server, but `ssl-mode` of the `dsn` asks for `required`: use `verify-ca` or \
                 `verify-full`, or keep one",
            ),
            (
                json!({"tls": "preferred", "dsn_ca": "ca.pem"}),
                "`ssl-ca` of the `dsn` verifies the server, but `tls` asks for `preferred`: use `verify-ca` or \
                 `verify-full`, or keep one",
            ),
            (
                json!({"dsn_ca": "a.pem", "ssl_ca": "b.pem"}),
                "`ssl_ca` and `ssl-ca` of the `dsn` are the same: keep one",
            ),
            (
                json!({"dsn_mode": "disabled", "ssl_cert": "c", "ssl_key": "k"}),
                "`ssl_cert` needs TLS, but `ssl-mode` of the `dsn` asks for `disabled`: keep one",
            ),
            (
                json!({"dsn_mode": "verify-ca", "socket": "s"}),
                "a server behind a Unix socket has no name to verify: leave `ssl-mode` of the `dsn` out",
            ),
        ] {
            assert_eq!(mode(fields.clone()), Err(vec![expected.to_owned()]), "{fields}");
        }
    }
}
