//! What all table writers share: their settings, the mapping of columns, the checks against a table, and reporting all
//! problems at once. No SQL and no I/O.

mod check;
mod mapping;
mod settings;
mod target;

pub use check::{TableCheck, WriteColumn, WritePlan};
pub use mapping::{MappedColumn, ensure_no_problems, map_columns, same_name};
pub use settings::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode, repeated_names};
pub use target::{KeyColumn, TargetColumn, TargetTable};
