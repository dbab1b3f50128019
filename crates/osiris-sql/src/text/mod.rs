//! Texts that databases read and print: ISO 8601 dates and times, and decimals with all their digits. Exact, or nothing.

pub mod number;
pub mod print;
pub mod temporal;
