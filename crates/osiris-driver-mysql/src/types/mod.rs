//! Conversions between MySQL types and run store types. A mapping is exact, unless the step allows otherwise.
//!
//! | MySQL, MariaDB | store | note |
//! | --- | --- | --- |
//! | TINYINT .. BIGINT, UNSIGNED too | TINYINT .. BIGINT, UTINYINT .. UBIGINT | `tinyint1: bool` makes TINYINT(1) BOOLEAN |
//! | DECIMAL(p<=38,s) | DECIMAL(p,s) | more digits: `decimal_overflow` |
//! | FLOAT, DOUBLE, YEAR | FLOAT, DOUBLE, USMALLINT | |
//! | DATE, DATETIME(n) | DATE, TIMESTAMP | zero dates: `zero_dates` |
//! | TIMESTAMP(n) | instant | UTC whatever the server's zone |
//! | TIME(n) | INTERVAL | or `time: time`, `time: text` |
//! | CHAR, VARCHAR, TEXT, ENUM, SET | VARCHAR | UTF-8 whatever the column's character set |
//! | BINARY, VARBINARY, BLOB, GEOMETRY | BLOB | or `geometry: wkt` |
//! | BIT(1), BIT(n) | BOOLEAN, UBIGINT | |
//! | JSON, MariaDB's too | JSON | |
//! | UUID, INET4, INET6 | UUID, VARCHAR | MariaDB |
//!
//! No I/O.

mod batch;
mod column;
pub(crate) mod ddl;
mod decimal;
mod temporal;
mod value;

pub(crate) use batch::{check, raw, values};
pub(crate) use column::{ColumnDecoder, ColumnPlan, Declared, Policies, SourceColumn, plan};
