//! Converts rows to Arrow for the step's table. Values without an exact JSON form are text and are converted to the
//! column's type by [`values`](super::values).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use osiris_core::{ColumnType, Error, Result, TableSender};
use osiris_http::{Document, Nested, Row, RowDecoder, RowOptions};

use super::plan::TypedColumn;
use super::selected::HIDDEN;
use super::values::{self, Values};

/// The output of rows.
pub(super) struct Output {
    sender: TableSender,
    decoder: Option<RowDecoder>,
    /// The columns whose values are converted.
    converted: Arc<HashMap<String, Values>>,
    altered: u64,
}

impl Output {
    pub(super) fn new(sender: TableSender, columns: &[TypedColumn], infinity: crate::config::InfinityPolicy) -> Self {
        let mut converted = HashMap::new();
        let mut declared = Vec::new();
        for TypedColumn { name, column_type } in columns {
            if values::is_converted(column_type) {
                converted.insert(name.clone(), Values { column_type: column_type.clone(), infinity });
                declared.push((name.clone(), ColumnType::Varchar));
            } else {
                declared.push((name.clone(), column_type.clone()));
            }
        }
        let options = RowOptions::new()
            .with_nested(Nested::Json)
            .with_columns(declared)
            .with_filter(Arc::new(|name: &str| !name.starts_with(HIDDEN)));
        Self { sender, decoder: Some(RowDecoder::new(options)), converted: Arc::new(converted), altered: 0 }
    }

    /// Adds the rows of a page selected by `keep`; all of them if it is empty.
    pub(super) async fn push(&mut self, document: Document, keep: Vec<bool>) -> Result<()> {
        let Some(decoder) = self.decoder.take() else { return Ok(()) };
        let keeps = move |index: usize, _: &Row<'_>| keep.is_empty() || keep.get(index).copied().unwrap_or(false);
        let mut decoder = decoder.decode_where(document, keeps).await?;
        while let Some(batch) = decoder.next_batch() {
            self.send(batch).await?;
        }
        self.decoder = Some(decoder);
        Ok(())
    }

    /// Sends the remaining rows. Returns the number of changed values.
    pub(super) async fn finish(mut self) -> Result<u64> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(self.altered) };
        while let Some(batch) = decoder.finish()? {
            self.send(batch).await?;
        }
        Ok(self.altered + decoder.altered())
    }

    async fn send(&mut self, batch: RecordBatch) -> Result<()> {
        if self.converted.is_empty() {
            return self.sender.send(batch).await;
        }
        let converted = Arc::clone(&self.converted);
        let work = move || convert(&batch, &converted);
        let (batch, altered) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::unknown("converting rows was interrupted").with_source(error))??;
        self.altered += altered;
        self.sender.send(batch).await
    }
}

/// The batch with the types of the columns, and the number of changed values.
fn convert(batch: &RecordBatch, converted: &HashMap<String, Values>) -> Result<(RecordBatch, u64)> {
    let (mut fields, mut arrays, mut altered) = (Vec::new(), Vec::new(), 0);
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        match converted.get(field.name()) {
            None => {
                fields.push(Arc::clone(field));
                arrays.push(Arc::clone(array));
            }
            Some(values) => {
                let (array, changed) = values.convert(field.name(), array)?;
                altered += changed;
                fields.push(Arc::new(osiris_driver_postgres::types::field(field.name(), &values.column_type)));
                arrays.push(array);
            }
        }
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| Error::unknown("failed to build a batch of rows").with_source(error))?;
    Ok((batch, altered))
}
