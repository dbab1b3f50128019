//! Texts that databases read and print: ISO 8601 dates and times, decimals with all their digits, JSON. Exact, or nothing.

pub mod json;
pub mod number;
pub mod print;
pub mod temporal;
