//! Straight to the step that takes the rows, without a table.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::super::direct::{Arriving, DirectEdge, End, Passage, Passing};
use super::super::loader::{Columns, fit, table_schema};
use super::super::schema::{TableRef, TableSchema};
use super::MESSAGES_IN_FLIGHT;
use super::in_flight::InFlight;
use crate::{Error, Result};

/// The sink's side of a passage. When it is dropped unfinished, the taker is stopped.
pub(super) struct DirectWay {
    edge: DirectEdge,
    passage: Arc<Passage>,
    open: Mutex<Option<Open>>,
}

/// A passage through which rows go.
struct Open {
    lane: Lane,
    /// The only lasting sender: without it the taker sees the end.
    batches: mpsc::Sender<Passing>,
}

/// Sends batches to the taker. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lane {
    passage: Arc<Passage>,
    batches: mpsc::WeakSender<Passing>,
    schema: Arc<TableSchema>,
    /// What the taker was told to expect.
    arrow: SchemaRef,
}

impl DirectWay {
    pub(super) fn new(edge: DirectEdge, step: &str) -> Self {
        let passage = Passage::new(step, edge.to());
        Self { edge, passage, open: Mutex::default() }
    }

    pub(super) fn passage(&self) -> Arc<Passage> {
        Arc::clone(&self.passage)
    }

    /// Opens the passage for batches of `schema`, and hands the table over; a second declaration must be the same.
    pub(super) fn declare(&self, step: &str, schema: &Schema) -> Result<Lane> {
        let wanted = table_schema(schema)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*open {
            return if *open.lane.schema == wanted { Ok(open.lane.clone()) } else { Err(super::different_schemas()) };
        }
        let empty = RecordBatch::new_empty(Arc::new(schema.clone()));
        let arrow = fit(&empty, &wanted, Columns::Fixed)?.schema();
        let (batches, queue) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let arriving = Arriving::new(self.passage(), Arc::clone(&arrow), queue);
        self.edge.send(TableRef::arriving(step, wanted.clone(), arriving))?;
        let lane = Lane { passage: self.passage(), batches: batches.downgrade(), schema: Arc::new(wanted), arrow };
        *open = Some(Open { lane: lane.clone(), batches });
        Ok(lane)
    }

    /// The rows that the taker has taken, once it has taken all that were sent.
    pub(super) async fn rows(&self, in_flight: &InFlight) -> Result<u64> {
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(super::no_table());
        }
        in_flight.empty().await?;
        match self.passage.abandoned() {
            Some(error) => Err(error),
            None => Ok(self.passage.taken()),
        }
    }

    /// Lets the taker see the end.
    pub(super) async fn finish(self, step: &str, in_flight: &InFlight) -> Result<TableRef> {
        let rows = self.rows(in_flight).await?;
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Open { lane, batches }) = open else { return Err(super::no_table()) };
        if !self.passage.end(End::Whole) {
            return Err(self.passage.abandoned().unwrap_or_else(|| Error::unknown("the passage of rows had ended")));
        }
        drop(batches);
        Ok(TableRef::new(step, lane.schema.as_ref().clone(), rows))
    }
}

impl Drop for DirectWay {
    fn drop(&mut self) {
        self.passage.end(End::BrokenOff);
    }
}

impl Lane {
    pub(super) async fn send(&self, batch: &RecordBatch, room: OwnedSemaphorePermit) -> Result<()> {
        let ended = || self.passage.abandoned().unwrap_or_else(|| Error::unknown("the sink of these rows is finished"));
        let batch = self.fit(batch)?;
        let batches = self.batches.upgrade().ok_or_else(ended)?;
        batches.send(Passing { batch, room }).await.map_err(|_| ended())
    }

    /// The batch as it was announced. A column that it lacks is NULL.
    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let fitted = fit(batch, &self.schema, Columns::Fixed)?;
        let failed = |error| Error::unknown("a batch could not be handed over").with_source(error);
        let columns = fitted.columns().iter().zip(self.arrow.fields());
        let columns = columns.map(|(array, field)| -> Result<ArrayRef> {
            if array.data_type() == field.data_type() {
                return Ok(Arc::clone(array));
            }
            if array.null_count() == array.len() {
                return Ok(new_null_array(field.data_type(), array.len()));
            }
            cast_with_options(array, field.data_type(), &CastOptions { safe: false, ..Default::default() })
                .map_err(failed)
        });
        RecordBatch::try_new(Arc::clone(&self.arrow), columns.collect::<Result<_>>()?).map_err(failed)
    }
}
