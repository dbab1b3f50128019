//! The way of rows into DuckDB: the table function `osiris_rows(token)` gives the rows that were offered under the token, once.
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

use super::quote_text;
use crate::{Error, Result};

/// The name of the table function.
pub(super) const ROWS: &str = "osiris_rows";

/// Where offered rows come from.
pub(super) trait Feed: Send {
    /// The next batch, of the schema that was offered; nothing at the end. Blocks until there is one. That it is asked for says that
    /// the batch before it has been taken whole.
    fn next(&mut self) -> Result<Option<RecordBatch>>;
}

impl Feed for Option<RecordBatch> {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.take())
    }
}

/// Rows that SQL may read, until this is dropped.
#[derive(Debug)]
pub(super) struct Offer {
    token: String,
}

impl Offer {
    /// Offers what `feed` gives.
    pub(super) fn new(schema: SchemaRef, feed: impl Feed + 'static) -> Self {
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        offered().insert(token.clone(), Offered { schema, feed: Some(Box::new(feed)) });
        Self { token }
    }

    /// The call of the function that gives the rows.
    pub(super) fn sql(&self) -> String {
        format!("{ROWS}({})", quote_text(&self.token))
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let gone = offered().remove(&self.token);
        // The end of a feed may be more work than a lock should be held for.
        drop(gone);
    }
}

struct Offered {
    schema: SchemaRef,
    /// Gone once somebody has begun to read.
    feed: Option<Box<dyn Feed>>,
}

/// All offers of the process: a function of DuckDB that is written in safe Rust knows nothing but its parameters.
static OFFERED: LazyLock<Mutex<HashMap<String, Offered>>> = LazyLock::new(Mutex::default);

fn offered() -> MutexGuard<'static, HashMap<String, Offered>> {
    OFFERED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn begin(token: &str) -> Result<Box<dyn Feed>> {
    let feed = offered().get_mut(token).and_then(|offered| offered.feed.take());
    feed.ok_or_else(|| Error::unknown("rows that pass can be read once, and they were"))
}

/// The table function.
pub(super) struct Rows;

/// How far a statement has come. DuckDB asks from one thread at a time.
#[derive(Default)]
pub(super) struct Position {
    feed: Option<Box<dyn Feed>>,
    batch: Option<RecordBatch>,
    /// Of the batch, what is left begins here.
    first: usize,
    ended: bool,
}

impl Position {
    /// The next `most` rows at most; nothing at the end.
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
            let feed = match &mut self.feed {
                Some(feed) => feed,
                none => none.insert(begin(token)?),
            };
            (self.batch, self.first) = (None, 0);
            self.batch = feed.next()?;
            self.ended = self.batch.is_none();
        }
    }
}

impl VTab for Rows {
    type InitData = Mutex<Position>;
    type BindData = String;

    fn bind(bind: &BindInfo) -> Result<String, Box<dyn StdError>> {
        // NULL has no text: asking for it would end the process.
        let token = Some(bind.get_parameter(0)).filter(|token| !token.is_null());
        let token = token.map(|token| token.to_string()).unwrap_or_default();
        let schema = offered().get(&token).map(|offered| offered.schema.clone());
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
        match position.next(info.get_bind_data(), most)? {
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
