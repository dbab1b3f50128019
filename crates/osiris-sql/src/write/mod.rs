//! What all table writers share: their settings, the mapping of columns, and reporting all problems at once. No SQL and
//! no I/O.

mod mapping;
mod settings;

pub use mapping::{MappedColumn, ensure_no_problems, map_columns, same_name};
pub use settings::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode, repeated_names};
