//! Addresses of objects: `s3://bucket/key`. Parsed and compared here, without I/O.

use std::fmt;

use osiris_core::{Error, ErrorKind, Result};

use crate::client::percent_decode;

/// The kind of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Amazon S3 and what is compatible with it.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
    /// A web server, which can only be read.
    Https,
    /// The same without encryption.
    Http,
}

impl Scheme {
    const ALL: [(&'static str, Self); 5] =
        [("s3", Self::S3), ("gs", Self::Gs), ("az", Self::Az), ("https", Self::Https), ("http", Self::Http)];

    /// The kind of store for a scheme, in any case.
    pub(crate) fn named(scheme: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme)).map(|(_, found)| found)
    }

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, scheme)| *scheme == self).map_or("", |(name, _)| name)
    }

    /// Whether it is a web server: it has neither listings nor uploads.
    pub(crate) fn is_web(self) -> bool {
        matches!(self, Self::Https | Self::Http)
    }
}

/// Parses an address of a store: `s3://bucket/key`.
///
/// # Errors
/// For an unknown scheme, or when it is none of its scheme.
pub(crate) fn address(text: &str) -> Result<ObjectPath> {
    let (name, rest) = text.split_once("://").unwrap_or(("", text));
    let Some(scheme) = Scheme::named(name) else {
        return Err(Error::validation(format!("`{name}://` is not supported"))
            .with_hint("use a local path, or an address of `s3://`, `gs://`, `az://` or `https://`"));
    };
    if !cfg!(feature = "object-store") {
        return Err(Error::validation(format!("`{name}://` is not supported by this build"))
            .with_hint("build it with the feature `object-store`, or copy the file to this machine"));
    }
    ObjectPath::parse(scheme, rest)
}

/// The address of an object, of a prefix of objects, or of objects by a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectPath {
    /// The kind of store.
    pub(crate) scheme: Scheme,
    /// The bucket, the container, or the host with its port.
    pub(crate) bucket: String,
    /// The key, without percent-encoding and without `/` at its ends.
    pub(crate) key: String,
    /// Whether `/` ended it: it can only be a prefix.
    pub(crate) is_prefix: bool,
}

impl ObjectPath {
    /// Parses what follows `scheme://`.
    ///
    /// # Errors
    /// Without a bucket, for a key that could leave a prefix, or one that a store does not support.
    pub(crate) fn parse(scheme: Scheme, rest: &str) -> Result<Self> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') || (scheme.is_web() && key.contains(['?', '#'])) {
            // It may hold a password or a signature: it is not shown.
            return Err(Error::validation(format!(
                "an address of `{}://` has a user, a query or a fragment, which are not supported",
                scheme.name()
            ))
            .with_hint("write the host and the path alone; credentials are fields of the connection"));
        }
        if bucket.is_empty() || bucket.contains(['*', '?', '[', '{', '\\']) {
            return Err(Error::validation(format!("`{}://{rest}` names no {}", scheme.name(), bucket_of(scheme)))
                .with_hint(format!("write `{}://{}/key`", scheme.name(), bucket_of(scheme).to_uppercase())));
        }
        let at = Self { scheme, bucket: bucket.to_owned(), key: String::new(), is_prefix: true };
        let key = if scheme.is_web() { percent_decode(key) } else { key.to_owned() };
        at.with_key(&key)
    }

    /// The address of `relative` below this one.
    ///
    /// # Errors
    /// When it is not below, or not a key.
    pub(crate) fn join(&self, relative: &str) -> Result<Self> {
        if relative.starts_with('/') {
            return Err(leaves(relative));
        }
        match self.key.as_str() {
            "" => self.with_key(relative),
            key => self.with_key(&format!("{key}/{relative}")),
        }
    }

    fn with_key(&self, key: &str) -> Result<Self> {
        let is_prefix = key.is_empty() || key.ends_with('/');
        let key = key.strip_suffix('/').unwrap_or(key);
        for part in key.split('/') {
            if matches!(percent_decode(part).as_str(), "." | "..") {
                return Err(leaves(key));
            }
            if (part.is_empty() && !key.is_empty()) || part.contains(|c: char| c.is_ascii_control()) {
                return Err(Error::validation(format!(
                    "`{}://{}/{key}` is not a key",
                    self.scheme.name(),
                    self.bucket
                ))
                .with_hint("a key has no empty part (`//`) and no control characters"));
            }
        }
        Ok(Self { key: key.to_owned(), is_prefix, ..self.clone() })
    }

    /// Whether `other` is this address or one below it.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        let place = |path: &Self| (path.scheme, path.bucket.clone());
        place(self) == place(other) && self.below(&other.key).is_some()
    }

    /// What of `key` is below this address.
    pub(crate) fn below<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.key.is_empty() {
            return Some(key);
        }
        let rest = key.strip_prefix(&self.key)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// The address of another key in the same bucket.
    #[cfg(feature = "object-store")]
    pub(crate) fn sibling(&self, key: &str) -> Self {
        Self { key: key.to_owned(), is_prefix: false, ..self.clone() }
    }

    /// What holds it, in words: `bucket`, `container`, `host`.
    #[cfg(feature = "object-store")]
    pub(crate) fn bucket_kind(&self) -> &'static str {
        bucket_of(self.scheme)
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme.name(), self.bucket, self.key)
    }
}

fn bucket_of(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 | Scheme::Gs => "bucket",
        Scheme::Az => "container",
        Scheme::Https | Scheme::Http => "host",
    }
}

/// The error of a key that is not below `base_dir`, or could leave it.
pub(crate) fn leaves(path: &str) -> Error {
    Error::new(ErrorKind::Permission, format!("`{path}` is outside the connection's base_dir, or could lead out of it"))
        .with_hint("use a key below base_dir, without `.` and `..`, or another connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(rest: &str) -> Result<ObjectPath> {
        ObjectPath::parse(Scheme::S3, rest)
    }

    #[test]
    fn an_address_has_a_bucket_and_a_key() {
        let path = parsed("lake/in/a b.csv").unwrap();
        assert_eq!((path.bucket.as_str(), path.key.as_str(), path.is_prefix), ("lake", "in/a b.csv", false));
        assert_eq!(path.to_string(), "s3://lake/in/a b.csv");
        assert!(parsed("lake/in/").unwrap().is_prefix && parsed("lake").unwrap().is_prefix);
        for wrong in ["", "/a.csv", "lake/a//b.csv", "lake/a\nb.csv", "*/a.csv"] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_key_leaves_its_prefix() {
        let base = parsed("lake/raw/").unwrap();
        assert_eq!(base.join("in/*.csv").unwrap().to_string(), "s3://lake/raw/in/*.csv");
        for wrong in ["../a.csv", "in/../../a.csv", "%2e%2e/a.csv", "in/%2E./a.csv", "/a.csv", "./a.csv"] {
            assert_eq!(base.join(wrong).unwrap_err().kind(), ErrorKind::Permission, "{wrong}");
        }
        assert!(base.contains(&parsed("lake/raw/a.csv").unwrap()));
        for other in ["lake/rawer/a.csv", "lake/a.csv", "pond/raw/a.csv"] {
            assert!(!base.contains(&parsed(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn an_address_of_a_web_server_is_decoded_and_has_no_secret() {
        let path = ObjectPath::parse(Scheme::Https, "example.com:8443/a%20b.csv").unwrap();
        assert_eq!((path.bucket.as_str(), path.key.as_str()), ("example.com:8443", "a b.csv"));
        for wrong in ["me:secret@example.com/a.csv", "example.com/a.csv?sig=secret"] {
            let error = ObjectPath::parse(Scheme::Https, wrong).unwrap_err();
            assert!(!error.report().contains("secret"), "{}", error.report());
        }
    }
}
