//! What PostgREST says, as kinds of errors. A message never holds a cell value: where the server quotes one, it is masked, and its
//! DETAIL, which repeats whole rows, is never shown.

mod rest;

pub(crate) use osiris_driver_postgres::error::sqlstate;
pub(crate) use rest::rest_error;
