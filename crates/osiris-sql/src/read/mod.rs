//! What reading a SQL source needs besides its SQL: the statements that read it, the rows that an incremental
//! extraction selects, how a table is divided among several connections, and how long a reader waits. No dialect; what
//! it needs of a connection it asks of a [`ReadSession`].

mod counts;
pub mod cursor;
pub mod ranges;
mod rows;
mod session;
pub mod source;
mod wait;

pub use counts::Counts;
pub use rows::RowCollector;
pub use session::{ReadSession, ReaderSession, SqlSession, StatementReader, read_ranges};
pub use wait::WaitLimits;
