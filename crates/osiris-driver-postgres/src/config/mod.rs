//! The configuration of the components. The doc comments end up in the component reference. No I/O.

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
