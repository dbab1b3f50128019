//! PostgreSQL's types and those of the store.

pub(crate) mod ddl;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod json;
pub(crate) mod text;

pub(crate) use decode::{Policies, field, store_type};
