//! The mapping between the types of SQLite and those of the store, in both directions. A mapping is exact, or the value is
//! rejected.
//!
//! SQLite keeps a type with each value, and converts some values to the affinity of their column
//! (<https://www.sqlite.org/datatype3.html>). A column of the store has one type, which the declared type decides:
//!
//! | declared | store | values |
//! | --- | --- | --- |
//! | has `INT` in it | BIGINT | INTEGER |
//! | has `CHAR`, `CLOB` or `TEXT` in it | VARCHAR | TEXT in UTF-8 |
//! | has `REAL`, `FLOA` or `DOUB` in it | DOUBLE | REAL, and INTEGER up to 2^53 |
//! | `BOOLEAN`, `BOOL` | BOOLEAN | INTEGER 0 and 1 |
//! | `DECIMAL(p,s)`, `NUMERIC(p,s)`, p up to 38, also as `DECIMAL TEXT(p,s)` | DECIMAL(p,s) | INTEGER, TEXT, and REAL of up to 15 digits |
//! | `DATE` | DATE | TEXT `2024-01-31` |
//! | `TIME` | TIME | TEXT `23:59:59`, with up to six digits of a fraction |
//! | `DATETIME`, `TIMESTAMP` | TIMESTAMP | TEXT `2024-01-31 23:59:59` or with a `T`, without a zone |
//! | `TIMESTAMPTZ`, `TIMESTAMP WITH TIME ZONE` | instant | the same, followed by `Z` or an offset |
//! | anything else, or nothing, as for expressions | by its values | see below |
//!
//! Without such a type all values of the column are looked at first: only INTEGER is BIGINT, REAL is DOUBLE with or without
//! INTEGER, TEXT is VARCHAR, BLOB is BLOB. Other mixtures are an error.

mod affinity;
mod ddl;
mod read;
mod write;

pub(crate) use affinity::Affinity;
pub(crate) use ddl::{column_type, create_table};
pub(crate) use read::{ColumnPlan, Found, ValueDecoder, declared_type, plan, type_of_values};
pub(crate) use write::{Cell, ColumnDetails, Conversion, DIGITS, cell, conversion};
