//! Converts errors of object stores. What a server says is reduced to its code: the rest may quote a key or a signature.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use osiris_core::{Code, Error, ErrorKind};
use osiris_http::transport_error;

use super::address::{ObjectPath, Scheme};

/// Codes of S3, Google and Azure for credentials that are wrong, not insufficient.
const WRONG_CREDENTIALS: &[&str] = &[
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidSecurity",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    INVALID_GRANT,
];
const INVALID_GRANT: &str = "invalid_grant";
/// Codes for a bucket that is not there.
const NO_BUCKET: &[&str] = &["ContainerNotFound", "NoSuchBucket"];
/// Codes for a bucket that another region has.
const OTHER_REGION: &[&str] =
    &["AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect"];
/// Codes of a server that has too much to do.
const TOO_BUSY: &[&str] = &["RequestLimitExceeded", "ServerBusy", "SlowDown", "TooManyRequests"];

/// The error of a request about `path`: `` `s3://bucket/key` cannot be read: ... ``.
pub(super) fn failed(error: &object_store::Error, what: &str, path: &ObjectPath, is_anonymous: bool) -> Error {
    let about = format!("`{path}` {what}");
    if let Some(ours) = transport_error(error, &about, path.scheme != Scheme::Http) {
        return ours;
    }
    let answer = Answer::of(error);
    let has = |codes: &[&str]| answer.code.as_deref().is_some_and(|code| codes.contains(&code));
    let ours = match (error, answer.status) {
        _ if has(WRONG_CREDENTIALS) => wrong_credentials(&about),
        _ if has(NO_BUCKET) => no_bucket(path),
        _ if has(OTHER_REGION) || answer.is_bare_redirect => other_region(&about, path),
        _ if has(TOO_BUSY) => too_busy(&about),
        (_, Some(429)) => too_busy(&about),
        (object_store::Error::NotFound { .. }, _) | (_, Some(404)) => missing(path),
        (object_store::Error::Unauthenticated { .. }, _) | (_, Some(401)) => wrong_credentials(&about),
        (object_store::Error::PermissionDenied { .. }, _) | (_, Some(403)) => denied(&about, is_anonymous),
        (object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. }, _) => changed(path),
        (object_store::Error::AlreadyExists { .. }, _) => {
            Error::validation(format!("{about}: it exists already")).with_hint("write to another path")
        }
        (_, Some(500..)) => Error::network(format!("{about}: the server failed")).with_hint("try again later"),
        (object_store::Error::InvalidPath { .. }, _) => {
            Error::validation(format!("{about}: there is a key with an empty part, `.` or `..`"))
                .with_hint("read from a prefix without such keys")
        }
        _ => Error::new(ErrorKind::Unknown, format!("{about}: the server sent an unexpected response"))
            .with_code(Code::UnexpectedResponse)
            .with_hint("check `endpoint` and `region`: another service may answer there"),
    };
    ours.with_source(answer)
}

fn wrong_credentials(about: &str) -> Error {
    Error::auth(format!("{about}: the credentials were rejected"))
        .with_hint("check the credentials of the connection, and the clock of this machine")
}

fn no_bucket(path: &ObjectPath) -> Error {
    Error::validation(format!("the {} `{}` does not exist", path.bucket_kind(), path.bucket))
        .with_code(Code::FileNotFound)
        .with_hint("check its name, and `region`, `endpoint` or `account` of the connection")
}

fn other_region(about: &str, path: &ObjectPath) -> Error {
    Error::validation(format!("{about}: the {} `{}` is in another region", path.bucket_kind(), path.bucket))
        .with_code(Code::UnexpectedResponse)
        .with_hint("set `region` in the connection")
}

fn too_busy(about: &str) -> Error {
    Error::network(format!("{about}: the server limits the rate of requests"))
        .with_code(Code::RateLimited)
        .with_hint("try again later")
}

fn denied(about: &str, is_anonymous: bool) -> Error {
    Error::permission(format!("{about}: access was denied")).with_hint(if is_anonymous {
        "the request was anonymous: set the credentials of the store in a connection of the family `filesystem`"
    } else {
        "grant the account of the connection access to it; a missing object is reported so, too, without the right to list"
    })
}

/// The error of an object that is not there.
pub(super) fn missing(path: &ObjectPath) -> Error {
    Error::validation(format!("`{path}` does not exist")).with_code(Code::FileNotFound)
}

/// The error of an object that was replaced or removed while it was read.
pub(super) fn changed(path: &ObjectPath) -> Error {
    Error::unknown(format!("`{path}` was changed while it was read"))
        .with_code(Code::SourceChanged)
        .with_hint("run it again once nobody writes there")
        .with_retryable(true)
}

/// What a server has answered.
#[derive(Debug, Default)]
struct Answer {
    status: Option<u16>,
    code: Option<String>,
    is_bare_redirect: bool,
    /// The error itself, where it is none of a server.
    other: Option<String>,
}

impl Answer {
    fn of(error: &object_store::Error) -> Self {
        // The types that have the status and the text are private: both are in the message.
        let text = error.to_string();
        let status = text.split("status code: ").nth(1).and_then(|rest| rest.get(..3)?.parse().ok());
        let code = between(&text, "<Code>", "</Code>").filter(|code| code.bytes().all(|c| c.is_ascii_alphanumeric()));
        // What Google says of a key that is not one of its own.
        let code = code.or_else(|| text.contains(INVALID_GRANT).then_some(INVALID_GRANT));
        let is_bare_redirect = text.contains("redirect without LOCATION");
        let is_answer = status.is_some() || code.is_some() || is_bare_redirect;
        let innermost = successors(Some(error as &(dyn StdError + 'static)), |cause| (*cause).source()).last();
        let other = innermost.filter(|_| !is_answer).map(ToString::to_string);
        Self { status, code: code.map(str::to_owned), is_bare_redirect, other }
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    Some(text.split_once(from)?.1.split_once(to)?.0)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.code, &self.other) {
            (Some(status), Some(code), _) => write!(f, "status {status}, {code}"),
            (Some(status), None, _) => write!(f, "status {status}"),
            (None, Some(code), _) => f.write_str(code),
            (None, None, Some(other)) => f.write_str(other),
            (None, None, None) => f.write_str("a redirect to nowhere"),
        }
    }
}

impl StdError for Answer {}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: &str, body: &str) -> Error {
        let text = format!("Server returned non-2xx status code: {status}: {body}");
        let error = object_store::Error::Generic { store: "S3", source: text.into() };
        failed(&error, "cannot be read", &ObjectPath::parse(Scheme::S3, "lake/a.csv").unwrap(), false)
    }

    #[test]
    fn the_answer_of_a_server_becomes_a_kind_and_an_advice() {
        let xml = |code: &str| format!("<Error><Code>{code}</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>");
        for (status, body, kind, code, says) in [
            ("403 Forbidden", xml("SignatureDoesNotMatch"), ErrorKind::Auth, Code::AuthenticationFailed, "rejected"),
            (
                "400 Oh",
                "{\"error\":\"invalid_grant\"}".to_owned(),
                ErrorKind::Auth,
                Code::AuthenticationFailed,
                "rejected",
            ),
            ("403 Forbidden", xml("AccessDenied"), ErrorKind::Permission, Code::PermissionDenied, "denied"),
            ("404 Not Found", xml("NoSuchBucket"), ErrorKind::Validation, Code::FileNotFound, "bucket `lake`"),
            ("404 Not Found", xml("NoSuchKey"), ErrorKind::Validation, Code::FileNotFound, "does not exist"),
            ("301 Moved", xml("PermanentRedirect"), ErrorKind::Validation, Code::UnexpectedResponse, "region"),
            ("503 Slow Down", xml("SlowDown"), ErrorKind::Network, Code::RateLimited, "rate"),
            ("500 Oh", String::new(), ErrorKind::Network, Code::NetworkFailed, "failed"),
            ("418 Teapot", "<html>".to_owned(), ErrorKind::Unknown, Code::UnexpectedResponse, "unexpected"),
        ] {
            let error = of(status, &body);
            assert_eq!((error.kind(), error.code()), (kind, code), "{status} {body}");
            assert!(error.message().contains(says), "{error}");
            assert!(error.hint().is_some() || code == Code::FileNotFound, "{status} {body}");
            assert!(!error.report().contains("AKIASECRET"), "{}", error.report());
        }
        assert!(of("503 Slow Down", "").is_retryable());
    }
}
