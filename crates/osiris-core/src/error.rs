//! The one error type of Osiris: a kind that drives behaviour, a message for the person who must fix it, and the
//! source.
//!
//! Only [`ErrorKind`], the marks about retries and the mark of a failed connection may be acted upon by code.
//! Everything else is for reading, and never holds a secret or a cell value.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Code, Redactor};

/// The result of anything in Osiris that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// The kind of an error. Code decides by it what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ErrorKind {
    /// Authentication failed: wrong password, key or token.
    Auth,
    /// The server could not be reached, the connection was lost, or the server is overloaded (429, 5xx).
    Network,
    /// Access was denied: a missing grant, a file mode.
    Permission,
    /// A time limit was exceeded; includes deadlocks and lock waits.
    Timeout,
    /// The input is invalid: configuration, SQL, data.
    Validation,
    /// Any other error.
    Unknown,
    /// Rows are missing or rejected: the ledger does not balance, an assertion failed, too many rejects.
    Integrity,
    /// The user or the runner asked to stop.
    Cancelled,
    /// A write whose outcome is unknown: all, none or some of its rows are in the destination. Never retried.
    Ambiguous,
}

impl ErrorKind {
    /// The name used in telemetry and in `osiris` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Network => "network",
            Self::Permission => "permission",
            Self::Timeout => "timeout",
            Self::Validation => "validation",
            Self::Unknown => "unknown",
            Self::Integrity => "integrity",
            Self::Cancelled => "cancelled",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// Whether an error of this kind is retried unless it says otherwise: network and timeout only.
    pub const fn is_retried_by_default(self) -> bool {
        matches!(self, Self::Network | Self::Timeout)
    }

    /// The code of an error that has none of its own.
    const fn code(self) -> Code {
        match self {
            Self::Auth => Code::AuthenticationFailed,
            Self::Network => Code::NetworkFailed,
            Self::Permission => Code::PermissionDenied,
            Self::Timeout => Code::NoResponse,
            Self::Validation => Code::InvalidInput,
            Self::Unknown => Code::Unexpected,
            Self::Integrity => Code::LedgerUnbalanced,
            Self::Cancelled => Code::Interrupted,
            Self::Ambiguous => Code::OutcomeUnknown,
        }
    }

    /// The category that metrics, events and doctors report. They know only the first six kinds.
    pub const fn category(self) -> &'static str {
        match self {
            Self::Integrity => Self::Validation.as_str(),
            Self::Cancelled | Self::Ambiguous => Self::Unknown.as_str(),
            kind => kind.as_str(),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error: one pointer wide.
///
/// `Display` prints the step (when known) and the message. [`hint`](Error::hint) says what to do next and
/// [`report`](Error::report) prints everything, sources included.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Option<Code>,
    retryable: bool,
    retry_after: Option<Duration>,
    retried_for: Option<Duration>,
    connection: bool,
    step: Option<String>,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    context: Vec<(&'static str, String)>,
    source: Option<Source>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        $($(#[$doc])*
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(ErrorKind::$kind, message)
        })*
    };
}

impl Error {
    /// An error of `kind`, retryable when the kind is.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: None,
            retryable: kind.is_retried_by_default(),
            retry_after: None,
            retried_for: None,
            connection: false,
            step: None,
            message: message.into(),
            hint: None,
            context: Vec::new(),
            source: None,
        }))
    }

    constructors! {
        /// Shorthand for [`ErrorKind::Auth`].
        auth => Auth,
        /// Shorthand for [`ErrorKind::Network`].
        network => Network,
        /// Shorthand for [`ErrorKind::Permission`].
        permission => Permission,
        /// Shorthand for [`ErrorKind::Timeout`].
        timeout => Timeout,
        /// Shorthand for [`ErrorKind::Validation`].
        validation => Validation,
        /// Shorthand for [`ErrorKind::Unknown`].
        unknown => Unknown,
        /// Shorthand for [`ErrorKind::Integrity`].
        integrity => Integrity,
        /// Shorthand for [`ErrorKind::Cancelled`].
        cancelled => Cancelled,
        /// Shorthand for [`ErrorKind::Ambiguous`].
        ambiguous => Ambiguous,
    }

    /// Says what to do next, in the imperative.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says which kind of mistake it is, where that is known better than by the kind of the error. `None` changes nothing.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Option<Code>>) -> Self {
        self.0.code = code.into().or(self.0.code);
        self
    }

    /// Adds a fact, such as the table or the path. Never a cell value or a secret.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Attaches what caused this error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Names the step, unless an inner layer already did.
    #[must_use]
    pub fn with_step(mut self, step: impl Into<String>) -> Self {
        self.0.step.get_or_insert_with(|| step.into());
        self
    }

    /// Overrides whether a later try may succeed, such as `false` for a write whose outcome is unknown.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// The name of the host could not be resolved, because of this. Another try is of use only where the resolver failed for the
    /// moment, and did not say that there is no such host.
    #[must_use]
    pub fn with_unknown_host(self, cause: &(dyn std::error::Error + 'static)) -> Self {
        // EAI_AGAIN, as glibc, musl and macOS write it.
        const FOR_THE_MOMENT: [&str; 3] = ["Temporary failure in name resolution", "Try again", "temporary failure"];
        let mut causes = std::iter::successors(Some(cause), |cause| (*cause).source()).map(ToString::to_string);
        let passes = causes.any(|text| FOR_THE_MOMENT.iter().any(|known| text.contains(known)));
        self.with_code(Code::UnknownHost).with_retryable(passes)
    }

    /// The delay that the server asked for; implies retryable.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retryable = true;
        self.0.retry_after = Some(delay);
        self
    }

    /// How long a lower layer has already retried: upper layers need not retry for that long again.
    #[must_use]
    pub fn with_retried_for(mut self, time: Duration) -> Self {
        self.0.retried_for = Some(time);
        self
    }

    /// Marks an error of the connection itself: it could not be opened, authentication failed, or it was lost. A
    /// statement or request that the server rejects is not one.
    #[must_use]
    pub fn with_connection_failed(mut self) -> Self {
        self.0.connection = true;
        self
    }

    /// The same error with every known secret masked, in its message, facts, hint and sources. Sources that hold a
    /// secret become plain text and can no longer be downcast.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        self.0.code = self.known_code();
        let inner = &mut *self.0;
        inner.message = redactor.scrub(&inner.message).into_owned().into();
        inner.hint = inner.hint.take().map(|hint| redactor.scrub(&hint).into_owned().into());
        for (_, value) in &mut inner.context {
            *value = redactor.scrub(value).into_owned();
        }
        let mut chain = Vec::new();
        let mut source = inner.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(cause) = source {
            chain.push(redactor.scrub(&cause.to_string()).into_owned());
            source = cause.source();
        }
        inner.source = None;
        for text in chain.into_iter().rev() {
            inner.source = Some(Box::new(Cause { text, source: inner.source.take() }));
        }
        self
    }

    /// The kind: the only thing, with [`is_retryable`](Self::is_retryable), that code may act upon.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The kind of mistake, for `osiris explain`: [its own](Self::with_code), else that of the nearest cause of the same kind, else that of
    /// the kind.
    pub fn code(&self) -> Code {
        self.known_code().unwrap_or_else(|| self.0.kind.code())
    }

    /// Without that of the kind.
    fn known_code(&self) -> Option<Code> {
        self.0.code.or_else(|| {
            let causes = std::iter::successors(self.source(), |cause| (*cause).source());
            causes.filter_map(known_to).find_map(|(kind, code)| (kind == self.0.kind).then_some(code))
        })
    }

    /// Whether a later try may succeed. Never for [`ErrorKind::Ambiguous`]: it might write a second time.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable && self.0.kind != ErrorKind::Ambiguous
    }

    /// How long the server asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How long a lower layer has already retried.
    pub fn retried_for(&self) -> Option<Duration> {
        self.0.retried_for
    }

    /// Whether the connection itself failed: [marked](Self::with_connection_failed), or authentication failed.
    pub fn is_connection_failed(&self) -> bool {
        self.0.connection || self.0.kind == ErrorKind::Auth
    }

    /// The step that failed, once the core has named it.
    pub fn step(&self) -> Option<&str> {
        self.0.step.as_deref()
    }

    /// The message alone, without step and sources.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Facts in addition to the message.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// The whole error as text: step, message, facts, every source, hint. Not redacted: pass it through the run's
    /// [`Redactor`](crate::Redactor) before it leaves the process.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        for (key, value) in &self.0.context {
            text.push_str(&format!("\n  {key}: {value}"));
        }
        let mut source = self.source();
        while let Some(cause) = source {
            text.push_str(&format!("\n  caused by: {cause}"));
            source = cause.source();
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("\nhint: {hint}"));
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.0.step {
            write!(f, "step `{step}`: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error: {}", self.0.kind, self.report())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A source of which only the redacted text is kept, since a secret may be in it; it cannot be downcast.
#[derive(Debug)]
struct Cause {
    text: String,
    source: Option<Source>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    /// Kinds of I/O errors that have a meaning for a user get theirs; the message is the operating system's.
    fn from(error: io::Error) -> Self {
        Self::new(kind_of_io(error.kind()), error.to_string()).with_source(error)
    }
}

fn kind_of_io(kind: io::ErrorKind) -> ErrorKind {
    use io::ErrorKind as Io;
    match kind {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Permission,
        Io::TimedOut => ErrorKind::Timeout,
        Io::ConnectionRefused
        | Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::NotConnected
        | Io::BrokenPipe
        | Io::HostUnreachable
        | Io::NetworkUnreachable => ErrorKind::Network,
        Io::NotFound | Io::IsADirectory | Io::NotADirectory | Io::InvalidInput | Io::InvalidData => {
            ErrorKind::Validation
        }
        _ => ErrorKind::Unknown,
    }
}

fn code_of_io(kind: io::ErrorKind) -> Option<Code> {
    use io::ErrorKind as Io;
    match kind {
        Io::ConnectionRefused => Some(Code::ConnectionRefused),
        Io::NotFound => Some(Code::FileNotFound),
        Io::StorageFull | Io::QuotaExceeded => Some(Code::DiskFull),
        Io::OutOfMemory => Some(Code::OutOfMemory),
        _ => None,
    }
}

/// The kind and the code of a cause that has a code of its own.
fn known_to(cause: &(dyn StdError + 'static)) -> Option<(ErrorKind, Code)> {
    if let Some(ours) = cause.downcast_ref::<Error>() {
        return Some((ours.0.kind, ours.0.code?));
    }
    let kind = cause.downcast_ref::<io::Error>()?.kind();
    Some((kind_of_io(kind), code_of_io(kind)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_own_code_or_that_of_a_cause_of_its_kind_or_that_of_the_kind() {
        let refused = || Error::network("refused").with_code(Code::ConnectionRefused);
        assert_eq!(Error::network("x").code(), Code::NetworkFailed);
        assert_eq!(refused().code(), Code::ConnectionRefused);
        assert_eq!(Error::network("reading").with_source(refused()).code(), Code::ConnectionRefused);
        assert_eq!(Error::ambiguous("writing").with_source(refused()).code(), Code::OutcomeUnknown);
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Error::from(full()).code(), Code::DiskFull);
        assert_eq!(Error::unknown("writing").with_source(full()).code(), Code::DiskFull);
        assert_eq!(Error::network("writing").with_source(full()).code(), Code::NetworkFailed);
    }

    #[test]
    fn an_unknown_host_is_looked_up_again_only_where_the_resolver_had_no_answer() {
        for (said, passes) in [
            ("failed to lookup address information: Name or service not known", false),
            ("failed to lookup address information: nodename nor servname provided, or not known", false),
            ("failed to lookup address information: Temporary failure in name resolution", true),
            ("failed to lookup address information: Try again", true),
        ] {
            let cause = Error::network("connecting").with_source(io::Error::other(said));
            let error = Error::network("unknown host").with_unknown_host(&cause);
            assert_eq!((error.code(), error.is_retryable()), (Code::UnknownHost, passes), "{said}");
        }
    }

    #[test]
    fn a_code_survives_the_redaction_of_its_cause() {
        let cause = Error::validation("no table pw").with_code(Code::TableNotFound);
        let error = Error::validation("reading").with_source(cause).redacted(&Redactor::new(["pw"]));
        assert_eq!(error.code(), Code::TableNotFound);
    }
}
