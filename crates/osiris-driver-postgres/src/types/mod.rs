//! PostgreSQL's types and those of the store.

pub mod ddl;
pub(crate) mod decode;
pub mod encode;
pub mod json;
pub mod text;

pub use decode::{field, store_type};
