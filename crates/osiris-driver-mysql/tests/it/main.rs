//! The driver through the eyes of a runner: real servers, a real store. The same files are two modules, one for each server: a test
//! that is about one of them asks `Server::IS_MARIADB`, or lies in the directory of that module.

#![allow(clippy::duplicate_mod, reason = "every test runs with both servers")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod mariadb;
mod mysql;
