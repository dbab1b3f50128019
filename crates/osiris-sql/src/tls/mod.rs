//! TLS to database servers: how a connection asks for it, and with the feature `tls` the rules by which a server is
//! believed. This module opens no connection.

mod dsn;
#[cfg(feature = "tls")]
mod rules;
mod settings;

pub use dsn::DsnTls;
#[cfg(feature = "tls")]
pub use rules::{authorities, client_config, provider, refused, system_roots};
pub use settings::{Reach, Ssl, SslSettings, Tls, TlsFields, TlsMode};
