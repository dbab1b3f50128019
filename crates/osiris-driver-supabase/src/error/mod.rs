//! Converts PostgREST errors. A message never has a cell value: one quoted by the server is masked, and its
//! DETAIL, which repeats whole rows, is dropped.

mod rest;

pub(crate) use osiris_driver_postgres::error::{is_there_already, sqlstate};
pub(crate) use rest::rest_error;
