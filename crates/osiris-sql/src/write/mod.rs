//! What all table writers share: their settings, the mapping of columns, the checks against a table, reporting all
//! problems at once, and loading rows in chunks into a [`ChunkSink`]. No SQL.

mod check;
mod chunk;
mod encode;
mod load;
mod mapping;
mod pending;
mod report;
mod settings;
mod target;
mod watch;

pub use check::{TableCheck, WriteColumn, WritePlan};
pub use chunk::{Chunk, ChunkLimits};
pub use encode::{CellEncoder, ConversionError, Encoder, RowEncoder, RowError};
pub use load::{ChunkOutcome, ChunkSink, Loaded, load};
pub use mapping::{MappedColumn, ensure_no_problems, map_columns, problems_error, same_name};
pub use pending::{PendingRanges, RowNumber, is_single};
pub use report::{
    MAX_DUPLICATES, NULL_REFUSED, RefusingKeys, UniqueKeys, add_written, key_sources, open_scan, refuse_duplicates,
    refuse_nulls, run_ddl, show_ddl, table_is_gone,
};
pub use settings::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode, repeated_names};
pub use target::{KeyColumn, TargetColumn, TargetTable};
pub use watch::Silence;
