//! Conversions between PostgreSQL types and run store types.

pub mod ddl;
pub(crate) mod decode;
pub mod encode;
pub mod json;
pub mod text;

pub use decode::{field, store_type};
