//! What writers of tables have in common whatever they write to: the words of their configuration, which column goes
//! where, and problems that are told all at once. It knows no SQL and does no I/O.

mod mapping;
mod settings;

pub use mapping::{MappedColumn, ensure_no_problems, map_columns, same_name};
pub use settings::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode, repeated_names};
