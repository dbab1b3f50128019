//! The guard of SQL sources against lists of statements.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod guard_mysql;
mod guard_postgres;
