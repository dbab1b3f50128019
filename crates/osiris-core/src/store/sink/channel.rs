//! The sink of a direct edge: batches go to the step that receives them, without a table.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::super::direct::{BatchInFlight, Channel, DirectEdge, End, RowStream};
use super::super::loader::{Columns, fit, table_schema};
use super::super::scan::{for_each_batch, selection};
use super::super::schema::{StepNote, TableRef, TableSchema};
use super::super::transaction::StoreTransaction;
use super::super::{Store, statement_error, store_error};
use super::in_flight::InFlight;
use super::{MESSAGES_IN_FLIGHT, SenderTarget, TableSender};
use crate::{Error, Progress, Result};

/// The sink's side of a channel. When it is dropped unfinished, the receiver is stopped.
pub(super) struct ChannelTarget {
    store: Store,
    end: Arc<SendingEnd>,
}

/// What a thread that sends rows shares with the sink.
struct SendingEnd {
    edge: DirectEdge,
    channel: Arc<Channel>,
    open: Mutex<Option<Open>>,
    /// The rows that were put into the channel.
    sent: Arc<AtomicU64>,
    /// The rows of each scan of CSV files in the SQL that made the rows.
    file_scans: Mutex<Vec<u64>>,
}

/// The parts of a channel that are there once its schema is known.
struct Open {
    sender: ChannelSender,
    /// The only strong sender: when it is dropped, the receiver sees the end.
    batches: mpsc::Sender<BatchInFlight>,
}

/// Sends batches to the receiver. Cheap to clone.
#[derive(Clone)]
pub(super) struct ChannelSender {
    channel: Arc<Channel>,
    batches: mpsc::WeakSender<BatchInFlight>,
    sent: Arc<AtomicU64>,
    /// The columns of the batches that are sent.
    sends: Arc<TableSchema>,
    /// The schema in which the receiver gets them.
    arrow: SchemaRef,
    /// The columns that they are to the receiver.
    schema: Arc<TableSchema>,
}

impl ChannelTarget {
    pub(super) fn new(store: Store, edge: DirectEdge, step: &str) -> Self {
        let channel = Channel::new(step, edge.to());
        let sent = Arc::new(AtomicU64::new(0));
        let end = SendingEnd { edge, channel, open: Mutex::default(), sent, file_scans: Mutex::default() };
        Self { store, end: Arc::new(end) }
    }

    pub(super) fn channel(&self) -> Arc<Channel> {
        Arc::clone(&self.end.channel)
    }

    /// The rows of each scan of CSV files in the SQL that made the rows.
    pub(super) fn file_scans(&self) -> Vec<u64> {
        self.end.file_scans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `work` in a transaction in which what would be the step's table is sent. Nothing of it is kept.
    pub(super) async fn transaction<T, F>(
        &self,
        step: &str,
        in_flight: &InFlight,
        progress: &Arc<Progress>,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut StoreTransaction<'_>) -> Result<T> + Send + 'static,
    {
        let (end, step) = (Arc::clone(&self.end), step.to_owned());
        let (in_flight, counters) = (in_flight.clone(), Arc::clone(progress));
        let runtime = Handle::current();
        let run = move |connection: &Connection| {
            connection
                .execute_batch("BEGIN TRANSACTION")
                .map_err(|error| store_error(error, "no transaction could be started"))?;
            let send = |schema: &TableSchema, select: &str, script: &str| {
                let target = SenderTarget::Channel(end.declare(&step, &schema.arrow(), schema.restored())?);
                let sender = TableSender { target, in_flight: in_flight.clone(), progress: Arc::clone(&counters) };
                let sql = format!("SELECT {} FROM ({select})", selection(schema));
                let mut rows = 0;
                let failed = |error| statement_error(error, "the query failed", script);
                for_each_batch(connection, &sql, &schema.arrow(), &failed, |batch| {
                    rows += batch.num_rows() as u64;
                    runtime.block_on(sender.send(batch)).map(|()| true)
                })?;
                Ok(rows)
            };
            let (mut schema, mut view, mut file_scans) = (None, None, Vec::new());
            let result = work(&mut StoreTransaction {
                connection,
                step: &step,
                schema: &mut schema,
                view: &mut view,
                file_scans: &mut file_scans,
                send: Some(&send),
                script: String::new(),
            });
            *end.file_scans.lock().unwrap_or_else(PoisonError::into_inner) = file_scans;
            result
        };
        self.store.call_followed(progress, run).await
    }

    pub(super) fn declare(&self, step: &str, schema: &Schema) -> Result<ChannelSender> {
        self.declare_as(step, schema, table_schema(schema)?)
    }

    /// The same for batches of `batches` that are rows of `schema`.
    pub(super) fn declare_as(&self, step: &str, batches: &Schema, schema: TableSchema) -> Result<ChannelSender> {
        self.end.declare(step, batches, schema)
    }

    /// The number of rows that the receiver has read, once it has read all that were sent.
    pub(super) async fn rows(&self, in_flight: &InFlight) -> Result<u64> {
        self.end.rows(in_flight).await
    }

    /// Notes what was sent and lets the receiver see the end: in this order, since the receiver commits then, and a
    /// resumed run must know what it has written.
    pub(super) async fn finish(self, step: &str, in_flight: &InFlight, note: StepNote) -> Result<TableRef> {
        let rows = self.rows(in_flight).await?;
        let note = StepNote { sent_to: Some(self.end.edge.to().to_owned()), files: Vec::new(), ..note };
        self.store.note_sent(step, note).await?;
        self.end.finish(step, rows)
    }
}

impl SendingEnd {
    /// Opens the channel for batches of `batches`, which are rows of `schema`, and sends the table to the receiver; a
    /// second declaration must be the same. `schema` says more where Arrow has no type of the kind, such as BIT.
    fn declare(&self, step: &str, batches: &Schema, schema: TableSchema) -> Result<ChannelSender> {
        let sends = table_schema(batches)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*open {
            return if *open.sender.sends == sends && *open.sender.schema == schema {
                Ok(open.sender.clone())
            } else {
                Err(super::different_schemas())
            };
        }
        let empty = RecordBatch::new_empty(Arc::new(batches.clone()));
        let arrow = fit(&empty, &sends, Columns::Fixed)?.schema();
        let (batches, queue) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let rows = RowStream::new(Arc::clone(&self.channel), Arc::clone(&arrow), queue);
        self.edge.send(TableRef::streamed(step, schema.clone(), rows))?;
        let sender = ChannelSender {
            channel: Arc::clone(&self.channel),
            batches: batches.downgrade(),
            sent: Arc::clone(&self.sent),
            sends: Arc::new(sends),
            arrow,
            schema: Arc::new(schema),
        };
        *open = Some(Open { sender: sender.clone(), batches });
        Ok(sender)
    }

    async fn rows(&self, in_flight: &InFlight) -> Result<u64> {
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(super::no_table());
        }
        in_flight.empty().await?;
        if let Some(error) = self.channel.receiver_stopped() {
            return Err(error);
        }
        let (sent, received) = (self.sent.load(Relaxed), self.channel.received());
        if sent != received {
            return Err(Error::integrity(format!(
                "{sent} rows were sent to step `{}`, but it has read {received}",
                self.edge.to()
            ))
            .with_hint("nothing was written; this is a bug: please report it, and set `resume: store` at the step that reads, or `materialize: table`"));
        }
        Ok(received)
    }

    /// Lets the receiver see the end.
    fn finish(&self, step: &str, rows: u64) -> Result<TableRef> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Open { sender, batches }) = open else { return Err(super::no_table()) };
        if !self.channel.end(End::Complete) {
            return Err(self
                .channel
                .receiver_stopped()
                .unwrap_or_else(|| Error::unknown("the channel was already closed")));
        }
        drop(batches);
        Ok(TableRef::new(step, sender.schema.as_ref().clone(), rows))
    }
}

impl Drop for ChannelTarget {
    fn drop(&mut self) {
        self.end.channel.end(End::SenderStopped);
    }
}

impl ChannelSender {
    pub(super) async fn send(&self, batch: &RecordBatch, room: OwnedSemaphorePermit) -> Result<()> {
        let ended =
            || self.channel.receiver_stopped().unwrap_or_else(|| Error::unknown("the sink is already finished"));
        let batch = self.fit(batch)?;
        let (batches, rows) = (self.batches.upgrade().ok_or_else(ended)?, batch.num_rows() as u64);
        // Before they are on their way: the receiver may be faster than this line.
        self.sent.fetch_add(rows, Relaxed);
        self.channel.begin();
        batches.send(BatchInFlight { batch, room }).await.map_err(|_| ended())
    }

    /// The batch in the declared schema. A missing column is NULL.
    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let fitted = fit(batch, &self.sends, Columns::Fixed)?;
        let failed = |error| Error::unknown("cannot convert a batch to the declared schema").with_source(error);
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
