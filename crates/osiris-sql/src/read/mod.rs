//! What reading a SQL source takes beside its SQL: which rows an incremental extraction asks for, and how a table is divided
//! among several connections. No SQL, and no I/O.

pub mod cursor;
pub mod ranges;
