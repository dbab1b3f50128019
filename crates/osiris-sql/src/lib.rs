//! What the SQL databases of Osiris share: the guard that lets a statement only read, TLS to database servers,
//! incremental reading, batches of values, and what writers of tables have in common.
//!
//! For authors of drivers. It knows the dialects that it guards, and no driver; it opens no connection of its own.

pub mod batch;
pub mod calendar;
pub mod catalog;
pub mod config;
pub mod guard;
pub mod read;
pub mod text;
pub mod tls;
pub mod write;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
