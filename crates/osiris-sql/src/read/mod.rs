//! What reading a SQL source needs besides its SQL: the rows that an incremental extraction selects, and how a table is
//! divided among several connections, and the statements that read it. No dialect, and no I/O.

pub mod cursor;
pub mod ranges;
pub mod source;
