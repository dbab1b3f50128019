//! Opens a bucket with the credentials of a connection. Nothing is taken from the environment or from a file of this
//! machine: without credentials, requests are anonymous.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider};
use osiris_core::{Error, Result, RetryPolicy, Secret};
use osiris_http::{TlsSettings, bare_client};
use url::Url;

use super::address::{ObjectPath, Scheme};
use super::error::failed;
use crate::client::Location;
use crate::config::FilesystemConnection;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest time without a byte of the response.
const IDLE: Duration = Duration::from_secs(60);

/// A bucket, a container or a web server.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// Its client.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Whether requests are anonymous.
    pub(crate) is_anonymous: bool,
}

impl Bucket {
    /// The bucket of `at`, over the connection of `location`. No network I/O. A request is tried as `retry` says.
    ///
    /// # Errors
    /// When fields of the connection are missing or contradict each other, or `ssl_ca` cannot be read.
    pub(crate) fn open(location: &Location, at: &ObjectPath, retry: &RetryPolicy) -> Result<Self> {
        let connection = location.connection();
        check_encryption(connection, at)?;
        let tls = match &connection.ssl_ca {
            None => TlsSettings::system(),
            Some(path) => TlsSettings::with_ca_file(&location.base().join(path))?,
        };
        let connector = Connector { tls, redirects: at.scheme.is_web() };
        let (store, is_anonymous) = match at.scheme {
            Scheme::S3 => amazon(connection, at, retry, connector)?,
            Scheme::Gs => google(connection, at, retry, connector)?,
            Scheme::Az => azure(connection, at, retry, connector)?,
            Scheme::Https | Scheme::Http => web(at, retry, connector)?,
        };
        Ok(Self { store, is_anonymous })
    }

    /// The key of an address as the client has it.
    ///
    /// # Errors
    /// For a key that the client does not support.
    pub(crate) fn key(&self, path: &ObjectPath) -> Result<Key> {
        Key::parse(&path.key).map_err(|error| self.failed(error.into(), "cannot be used", path))
    }

    /// Converts an error about `path`.
    pub(crate) fn failed(&self, error: object_store::Error, what: &str, path: &ObjectPath) -> Error {
        failed(&error, what, path, self.is_anonymous)
    }
}

type Opened = (Arc<dyn ObjectStore>, bool);

fn amazon(
    connection: &FilesystemConnection,
    at: &ObjectPath,
    retry: &RetryPolicy,
    connector: Connector,
) -> Result<Opened> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&at.bucket)
        .with_allow_http(connection.allow_http)
        .with_retry(retries(retry))
        .with_http_connector(connector);
    if let Some(region) = &connection.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &connection.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let is_anonymous = match (&connection.access_key_id, &connection.secret_access_key) {
        (Some(id), Some(secret)) => {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose());
            if let Some(token) = &connection.session_token {
                builder = builder.with_token(token.expose());
            }
            false
        }
        (None, None) => {
            builder = builder.with_skip_signature(true);
            true
        }
        _ => return Err(incomplete("`access_key_id` and `secret_access_key` belong together")),
    };
    Ok((Arc::new(builder.build().map_err(|error| failed(&error, "cannot be opened", at, is_anonymous))?), is_anonymous))
}

fn google(
    connection: &FilesystemConnection,
    at: &ObjectPath,
    retry: &RetryPolicy,
    connector: Connector,
) -> Result<Opened> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&at.bucket)
        .with_client_options(ClientOptions::new().with_allow_http(connection.allow_http))
        .with_retry(retries(retry))
        .with_http_connector(connector);
    let builder = match &connection.endpoint {
        Some(endpoint) => builder.with_base_url(endpoint),
        None => builder,
    };
    let is_anonymous = connection.service_account.is_none();
    let builder = match &connection.service_account {
        Some(account) => builder.with_service_account_key(account.expose()),
        // Without any credentials the client would look for files of the `gcloud` program.
        None => {
            let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
            builder.with_credentials(Arc::new(nobody)).with_skip_signature(true)
        }
    };
    // Its error may quote the key.
    let built = builder.build().map_err(|_| incomplete("`service_account` is not the JSON of a service account"))?;
    Ok((Arc::new(built), is_anonymous))
}

fn azure(
    connection: &FilesystemConnection,
    at: &ObjectPath,
    retry: &RetryPolicy,
    connector: Connector,
) -> Result<Opened> {
    let account = connection
        .account
        .as_ref()
        .ok_or_else(|| incomplete("an `az://` address needs `account`: the storage account"))?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&at.bucket)
        .with_allow_http(connection.allow_http)
        .with_retry(retries(retry))
        .with_http_connector(connector);
    if let Some(endpoint) = &connection.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let mut is_anonymous = false;
    builder = match (&connection.access_key, &connection.sas_token) {
        (Some(key), None) => builder.with_access_key(key.expose()),
        (None, Some(token)) => builder.with_sas_authorization(pairs(token)),
        (None, None) => {
            is_anonymous = true;
            builder.with_skip_signature(true)
        }
        (Some(_), Some(_)) => return Err(incomplete("`access_key` and `sas_token` exclude each other")),
    };
    // Its error may quote the key.
    let built = builder.build().map_err(|_| incomplete("`access_key` or `endpoint` is not one of Azure"))?;
    Ok((Arc::new(built), is_anonymous))
}

fn web(at: &ObjectPath, retry: &RetryPolicy, connector: Connector) -> Result<Opened> {
    let scheme = if at.scheme == Scheme::Https { "https" } else { "http" };
    let built = HttpBuilder::new()
        .with_url(format!("{scheme}://{}", at.bucket))
        .with_client_options(ClientOptions::new().with_allow_http(at.scheme == Scheme::Http))
        .with_retry(retries(retry))
        .with_http_connector(connector)
        .build();
    Ok((Arc::new(built.map_err(|error| failed(&error, "cannot be opened", at, true))?), true))
}

/// The parameters of a shared access signature.
fn pairs(token: &Secret) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(token.expose().trim().trim_start_matches('?').as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Checks that nothing is sent unencrypted, unless the connection allows it.
fn check_encryption(connection: &FilesystemConnection, at: &ObjectPath) -> Result<()> {
    let endpoint = connection.endpoint.as_deref().filter(|_| !at.scheme.is_web());
    let is_plain = match endpoint {
        None => at.scheme == Scheme::Http,
        Some(text) => {
            let invalid = || {
                Error::validation("`endpoint` is not the address of a server")
                    .with_hint("write `https://HOST` or `https://HOST:PORT`, without user, query and fragment")
            };
            let url = Url::parse(text).map_err(|_| invalid())?;
            let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            if !is_bare || url.fragment().is_some() || !["http", "https"].contains(&url.scheme()) {
                return Err(invalid());
            }
            url.scheme() == "http"
        }
    };
    if is_plain && !connection.allow_http {
        return Err(Error::validation(format!("`{at}` would be transferred without encryption"))
            .with_hint("use `https://`, or set `allow_http: true` in the connection"));
    }
    Ok(())
}

fn incomplete(message: &'static str) -> Error {
    Error::validation(message).with_hint("correct the connection in the connections file")
}

fn retries(policy: &RetryPolicy) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: policy.initial_delay, max_backoff: policy.max_delay, base: 2.0 },
        max_retries: usize::try_from(policy.max_attempts.saturating_sub(1)).unwrap_or(usize::MAX),
        retry_timeout: policy.longest_delay(),
    }
}

/// The HTTP client of this project: its TLS needs no provider of the process.
#[derive(Debug)]
struct Connector {
    tls: TlsSettings,
    redirects: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = bare_client(&self.tls, CONNECT, IDLE, self.redirects);
        let client = client.map_err(|error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) })?;
        Ok(HttpClient::new(client))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn opened(connection: &FilesystemConnection, scheme: Scheme) -> Result<Bucket> {
        let location = Location::new(connection, Path::new("."));
        Bucket::open(&location, &ObjectPath::parse(scheme, "lake/a.csv").unwrap(), &RetryPolicy::never())
    }

    #[test]
    fn without_credentials_requests_are_anonymous() {
        let connection = FilesystemConnection { account: Some("me".to_owned()), ..FilesystemConnection::default() };
        for scheme in [Scheme::S3, Scheme::Gs, Scheme::Az, Scheme::Https] {
            assert!(opened(&connection, scheme).unwrap().is_anonymous, "{scheme:?}");
        }
    }

    fn of(fields: serde_json::Value) -> FilesystemConnection {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn a_connection_has_the_credentials_of_its_stores() {
        let amazon = of(serde_json::json!({
            "region": "eu-central-1", "endpoint": "https://minio.example.com:9000", "access_key_id": "id",
            "secret_access_key": "pw-of-nobody", "session_token": "pw-of-nobody",
        }));
        let without = opened(&of(serde_json::json!({"ssl_ca": "no-such.pem"})), Scheme::S3).unwrap_err();
        assert!(without.context().iter().any(|(name, _)| *name == "ssl_ca"), "{}", without.report());
        let azure = of(serde_json::json!({"account": "me", "sas_token": "?sv=2024&sig=a%2Bb"}));
        for (connection, scheme) in [(amazon, Scheme::S3), (azure, Scheme::Az)] {
            let bucket = opened(&connection, scheme).unwrap();
            assert!(!bucket.is_anonymous);
            assert!(!format!("{connection:?}").contains("pw-of-nobody"));
        }
    }

    #[test]
    fn half_of_the_credentials_are_refused() {
        for (fields, scheme) in [
            (serde_json::json!({"access_key_id": "id"}), Scheme::S3),
            (serde_json::json!({"secret_access_key": "pw-of-nobody"}), Scheme::S3),
            (serde_json::json!({"service_account": "pw-of-nobody"}), Scheme::Gs),
            (serde_json::json!({}), Scheme::Az),
            (serde_json::json!({"account": "me", "access_key": "pw-of-nobody", "sas_token": "x"}), Scheme::Az),
            (serde_json::json!({"account": "me", "access_key": "pw-of-nobody!"}), Scheme::Az),
        ] {
            let error = opened(&of(fields), scheme).unwrap_err();
            assert_eq!(error.kind(), osiris_core::ErrorKind::Validation);
            assert!(!error.report().contains("pw-of-nobody"), "{}", error.report());
        }
    }

    #[test]
    fn what_is_not_encrypted_must_be_allowed() {
        let mut connection = FilesystemConnection::default();
        assert!(opened(&connection, Scheme::Http).unwrap_err().hint().unwrap().contains("allow_http"));
        connection.endpoint = Some("http://localhost:9000".to_owned());
        assert!(opened(&connection, Scheme::S3).unwrap_err().hint().unwrap().contains("allow_http"));
        connection.allow_http = true;
        opened(&connection, Scheme::S3).unwrap();
        opened(&connection, Scheme::Http).unwrap();
        connection.endpoint = Some("https://me:pw@localhost".to_owned());
        let refused = opened(&connection, Scheme::S3).unwrap_err();
        assert!(!refused.report().contains("pw@"), "{}", refused.report());
    }
}
