//! What a connection URL says about TLS.

use super::TlsMode;

/// A setting with its name for messages.
type Named<T> = (String, T);

/// What a `dsn` says about TLS, by the names of its parameters.
#[derive(Debug, Clone, Default)]
pub struct DsnTls {
    mode: Option<Named<TlsMode>>,
    ca: Option<Named<String>>,
}

impl DsnTls {
    /// Its parameter `name` asks for this mode.
    pub fn set_mode(&mut self, name: &str, mode: TlsMode) {
        self.mode = Some((of_dsn(name), mode));
    }

    /// Its parameter `name` is the file of the CA.
    pub fn set_ca(&mut self, name: &str, path: &str) {
        self.ca = Some((of_dsn(name), path.to_owned()));
    }

    /// The mode.
    pub fn mode(&self) -> Option<TlsMode> {
        self.mode.as_ref().map(|(_, mode)| *mode)
    }

    /// The file of the CA.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_ref().map(|(_, path)| path.as_str())
    }

    /// The mode and the CA, each with its name for messages.
    pub(super) fn into_named(self) -> (Option<Named<TlsMode>>, Option<Named<String>>) {
        (self.mode, self.ca)
    }
}

fn of_dsn(name: &str) -> String {
    format!("`{name}` of the `dsn`")
}
