//! How rows get into DuckDB: the table function `osiris_rows(token)` returns the rows that are registered under the
//! token, once.
//!
//! Tokens are random, and no statement shows them: SQL of a step that calls the function finds nothing.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk, to_duckdb_logical_type_for_field,
};

use super::error::OWN;
use super::quote_text;
use crate::{Error, Result};

/// The name of the table function.
pub(super) const ROWS: &str = "osiris_rows";

/// Where registered rows come from.
pub(super) trait BatchSource: Send {
    /// The next batch, of the registered schema, or `None` at the end. Blocks until there is one. A call means that the
    /// batch before has been read in full.
    fn next(&mut self) -> Result<Option<RecordBatch>>;
}

impl BatchSource for Option<RecordBatch> {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.take())
    }
}

/// Registered rows, which SQL may read until this is dropped.
#[derive(Debug)]
pub(super) struct ArrowScan {
    token: String,
}

impl ArrowScan {
    /// Registers the rows of `source`.
    pub(super) fn new(schema: SchemaRef, source: impl BatchSource + 'static) -> Self {
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        registered().insert(token.clone(), Registered { schema, source: Some(Box::new(source)) });
        Self { token }
    }

    /// The call of the table function that returns the rows.
    pub(super) fn sql(&self) -> String {
        format!("{ROWS}({})", quote_text(&self.token))
    }
}

impl Drop for ArrowScan {
    fn drop(&mut self) {
        let gone = registered().remove(&self.token);
        // Dropping a source may take longer than the lock should be held.
        drop(gone);
    }
}

struct Registered {
    schema: SchemaRef,
    /// `None` once a statement has begun to read.
    source: Option<Box<dyn BatchSource>>,
}

/// All registered rows of the process: a table function in safe Rust gets nothing but its parameters. Runs that are
/// embedded in the same process share this map; their tokens differ.
static REGISTERED: LazyLock<Mutex<HashMap<String, Registered>>> = LazyLock::new(Mutex::default);

fn registered() -> MutexGuard<'static, HashMap<String, Registered>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn begin(token: &str) -> Result<Box<dyn BatchSource>> {
    let source = registered().get_mut(token).and_then(|entry| entry.source.take());
    source.ok_or_else(|| Error::unknown("streamed input was already read"))
}

/// The table function.
pub(super) struct Rows;

/// How far a statement has read. DuckDB calls from one thread at a time.
#[derive(Default)]
pub(super) struct Position {
    source: Option<Box<dyn BatchSource>>,
    batch: Option<RecordBatch>,
    /// The first row of the batch that has not been returned.
    first: usize,
    ended: bool,
}

impl Position {
    /// At most `most` rows, or `None` at the end.
    fn next(&mut self, token: &str, most: usize) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.first < batch.num_rows()) {
                let rows = most.min(batch.num_rows() - self.first);
                let next = batch.slice(self.first, rows);
                self.first += rows;
                return Ok(Some(next));
            }
            if self.ended {
                return Ok(None);
            }
            let source = match &mut self.source {
                Some(source) => source,
                none => none.insert(begin(token)?),
            };
            (self.batch, self.first) = (None, 0);
            self.batch = source.next()?;
            self.ended = self.batch.is_none();
        }
    }
}

impl VTab for Rows {
    type InitData = Mutex<Position>;
    type BindData = String;

    fn bind(bind: &BindInfo) -> Result<String, Box<dyn StdError>> {
        // Converting NULL to a string would abort the process.
        let token = Some(bind.get_parameter(0)).filter(|token| !token.is_null());
        let token = token.map(|token| token.to_string()).unwrap_or_default();
        let schema = registered().get(&token).map(|entry| entry.schema.clone());
        let schema = schema.ok_or_else(|| format!("`{ROWS}` is not for pipelines: name the table of a step"))?;
        for field in schema.fields() {
            bind.add_result_column(field.name(), to_duckdb_logical_type_for_field(field)?);
        }
        Ok(token)
    }

    fn init(_: &InitInfo) -> Result<Self::InitData, Box<dyn StdError>> {
        Ok(Mutex::default())
    }

    fn func(info: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Box<dyn StdError>> {
        let most = output.flat_vector(0).capacity();
        let mut position = info.get_init_data().lock().unwrap_or_else(PoisonError::into_inner);
        match position.next(info.get_bind_data(), most).map_err(|error| format!("{OWN}{error}"))? {
            Some(rows) => record_batch_to_duckdb_data_chunk(&rows, output),
            None => {
                output.set_len(0);
                Ok(())
            }
        }
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeHandle::from(LogicalTypeId::Varchar)])
    }
}
