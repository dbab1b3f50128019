//! What reading a SQL source needs besides its SQL: the rows that an incremental extraction selects, and how a table is
//! divided among several connections. No SQL, and no I/O.

pub mod cursor;
pub mod ranges;
