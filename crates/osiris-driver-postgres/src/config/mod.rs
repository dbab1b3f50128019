//! The configuration of the components, as pipelines write it. The doc comments are the reference; nothing here does I/O.

mod connection;
mod dsn;
mod extractor;
mod policies;
mod writer;

pub use connection::{PostgresConnection, ServerAddress};
pub use dsn::Dsn;
pub use extractor::ExtractorConfig;
pub use policies::{DecimalOverflow, InfinityPolicy, IntervalPolicy, NumericPolicy, Policies};
pub use writer::{NulBytes, WriterConfig};
