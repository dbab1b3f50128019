//! Sends chunks of rows to a table. A chunk that the server does not accept without any warning is rolled back. The
//! caller owns the transaction.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use osiris_core::{ExecutionContext, Result, TableScan};
use osiris_sql::write::{Chunk, ChunkLimits, ChunkOutcome, ChunkSink, Encoder, Loaded, load};

use super::answer::{Done, StatementError};
use super::chunk::{Channel, parameters};
use super::encode::{Field, RowWriter};
use super::refusal::{RowFault, is_about_rows, is_harmless};
use super::session::Session;

/// The size of a chunk in bytes.
const CHUNK: usize = 16 << 20;
/// Maximum parameters of a prepared statement.
const PARAMETERS: usize = 65_535;
/// The column of the staging table with the number of a row.
pub(super) const NUMBER: &str = "osiris_row";
const CONTEXT: &str = "sending rows";

/// The destination of rows.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// The table in SQL.
    pub(super) table: String,
    pub(super) fields: Arc<[Field]>,
    /// Whether each row also has its number, in [`NUMBER`].
    pub(super) numbered: bool,
    /// Whether a row replaces an earlier one with its key.
    pub(super) replace: bool,
    /// Whether every chunk is committed: nobody uses the table before the last one.
    pub(super) commit_each: bool,
}

/// The state of one load.
pub(super) struct Loader<'a> {
    session: &'a mut Session,
    destination: Destination,
    channel: Channel,
    ctx: &'a ExecutionContext,
}

impl<'a> Loader<'a> {
    pub(super) fn new(session: &'a mut Session, destination: Destination, ctx: &'a ExecutionContext) -> Self {
        let channel = if session.facts().local_infile { Channel::Load } else { Channel::Insert };
        Self { session, destination, channel, ctx }
    }

    /// Loads all rows of `scan`, whose columns are the fields of the destination.
    ///
    /// # Errors
    /// On any failure other than single rows, or when too many rows are rejected.
    pub(super) async fn run(mut self, scan: TableScan, batch_size: Option<u64>) -> Result<Loaded> {
        tracing::debug!(channel = ?self.channel, table = %self.destination.table, "loading");
        let (encoder, ctx) = (self.encoder(batch_size), self.ctx);
        load(scan, encoder, &mut self, ctx).await
    }

    fn encoder(&self, batch_size: Option<u64>) -> Encoder<RowWriter> {
        let most = usize::try_from(batch_size.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let fields = Arc::clone(&self.destination.fields);
        let numbered = self.destination.numbered;
        let cells = fields.len() + usize::from(numbered);
        let limits = match self.channel {
            Channel::Load => ChunkLimits { rows: most, bytes: CHUNK, max_bytes: usize::MAX },
            Channel::Insert => {
                // A packet has the values with up to nine bytes of length each, two of type, and the message header.
                let room = self.session.facts().max_packet.saturating_sub(1024 + cells * 16);
                ChunkLimits {
                    rows: most.min((PARAMETERS / cells).max(1)),
                    bytes: (room / 2).min(CHUNK / 4),
                    max_bytes: room,
                }
            }
        };
        let rows = RowWriter { fields, channel: self.channel, numbered, max_bytes: limits.max_bytes };
        Encoder::new(rows, &self.destination.fields, limits)
    }

    /// Whether every row was stored unchanged.
    async fn judge(&mut self, done: &Done, rows: usize) -> Result<ChunkOutcome> {
        let rows = u64::try_from(rows).unwrap_or(0);
        let replaced = match self.channel {
            _ if !self.destination.replace => 0,
            Channel::Load => done.number("Deleted").unwrap_or(0),
            // One for each new row, one more for each replaced row.
            Channel::Insert => done.affected.saturating_sub(rows),
        };
        let mut complaint = None;
        if done.warnings > 0 {
            let warnings = self.session.warnings().await?;
            complaint = warnings
                .iter()
                .find(|warning| !is_harmless(warning))
                .map(|warning| RowFault::of(warning.code, &warning.message));
        }
        let skipped = done.number("Skipped").unwrap_or(0) > 0 || done.affected != rows + replaced;
        Ok(match complaint {
            Some(complaint) => refused(complaint),
            None if skipped => {
                let reason = "row skipped by the server without a warning".to_owned();
                ChunkOutcome::Refused { row: None, column: None, reason }
            }
            None => ChunkOutcome::Taken { replaced },
        })
    }

    fn columns(&self) -> impl Iterator<Item = (String, Option<super::convert::Form>)> {
        let number = self.destination.numbered.then(|| (crate::client::quote(NUMBER), None));
        let fields = self.destination.fields.iter();
        number.into_iter().chain(fields.map(|field| (crate::client::quote(&field.target), Some(field.conversion.1))))
    }

    fn load_sql(&self) -> String {
        let (mut list, mut assignments) = (Vec::new(), Vec::new());
        for (index, (name, form)) in self.columns().enumerate() {
            let variable = format!("@osiris_{index}");
            match form.and_then(|form| form.expression(&variable)) {
                None => list.push(name),
                Some(expression) => {
                    assignments.push(format!("{name} = {expression}"));
                    list.push(variable);
                }
            }
        }
        let replace = if self.destination.replace { " REPLACE" } else { "" };
        let set = if assignments.is_empty() { String::new() } else { format!(" SET {}", assignments.join(", ")) };
        format!(
            "LOAD DATA LOCAL INFILE 'osiris'{replace} INTO TABLE {} CHARACTER SET utf8mb4 \
             FIELDS TERMINATED BY '\\t' ENCLOSED BY '' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' STARTING BY '' ({}){set}",
            self.destination.table,
            list.join(", ")
        )
    }

    fn insert_sql(&self, rows: usize) -> String {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (name, form) in self.columns() {
            names.push(name);
            values.push(form.and_then(|form| form.expression("?")).unwrap_or_else(|| "?".to_owned()));
        }
        let row = format!("({})", values.join(","));
        let verb = if self.destination.replace { "REPLACE" } else { "INSERT" };
        format!("{verb} INTO {} ({}) VALUES {}", self.destination.table, names.join(", "), vec![row; rows].join(","))
    }
}

impl ChunkSink for Loader<'_> {
    async fn meanwhile<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> Result<T> {
        self.session.meanwhile(work).await
    }

    async fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> Result<ChunkOutcome> {
        self.session.run("SAVEPOINT osiris", CONTEXT).await?;
        let sent = match self.channel {
            Channel::Load => self.session.load(&self.load_sql(), chunk.slice(rows), CONTEXT).await,
            Channel::Insert => {
                self.session.execute(&self.insert_sql(rows.len()), parameters(&chunk.slice(rows)), CONTEXT).await
            }
        };
        let outcome = match sent {
            Ok(done) => self.judge(&done, rows.len()).await?,
            Err(StatementError::Server { code, state, message }) if is_about_rows(code, &state) => {
                refused(RowFault::of(code, &message))
            }
            Err(failure) => return Err(failure.into_error(CONTEXT)),
        };
        if let ChunkOutcome::Refused { .. } = outcome {
            self.session.run("ROLLBACK TO SAVEPOINT osiris", CONTEXT).await?;
        }
        Ok(outcome)
    }

    async fn end_chunk(&mut self) -> Result<()> {
        if self.destination.commit_each {
            self.session.run("COMMIT", CONTEXT).await?;
            self.session.run("START TRANSACTION", CONTEXT).await?;
        }
        Ok(())
    }
}

fn refused(RowFault { column, reason, .. }: RowFault) -> ChunkOutcome {
    ChunkOutcome::Refused { row: None, column, reason }
}
