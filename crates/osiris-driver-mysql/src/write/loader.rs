//! Loads rows into a table in chunks. A chunk that the server does not accept without any warning is rolled back and
//! halved until the failing rows are isolated: those are rejects. The caller owns the transaction.

use std::ops::Range;
use std::sync::Arc;

use osiris_core::{ExecutionContext, Reject, Result, TableScan};
use tokio::sync::mpsc;

use super::answer::{Done, StatementError};
use super::chunk::{Channel, Chunk};
use super::encode::{Encoder, Field, Limits};
use super::refusal::{is_about_rows, is_harmless, reason};
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

/// The result of loading.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Rows sent and accepted.
    pub(super) taken: u64,
    /// Rows replaced by a later one with their key.
    pub(super) replaced: u64,
    /// Bytes sent.
    pub(super) bytes: u64,
}

enum ChunkOutcome {
    Taken { replaced: u64 },
    Refused { column: Option<String>, reason: String },
}

/// The state of one load.
pub(super) struct Loader<'a> {
    session: &'a mut Session,
    destination: Destination,
    channel: Channel,
    ctx: &'a ExecutionContext,
    loaded: Loaded,
}

impl<'a> Loader<'a> {
    pub(super) fn new(session: &'a mut Session, destination: Destination, ctx: &'a ExecutionContext) -> Self {
        let channel = if session.facts().local_infile { Channel::Load } else { Channel::Insert };
        Self { session, destination, channel, ctx, loaded: Loaded::default() }
    }

    /// Loads all rows of `scan`, whose columns are the fields of the destination.
    ///
    /// # Errors
    /// On any failure other than single rows, or when too many rows are rejected.
    pub(super) async fn run(mut self, scan: TableScan, batch_size: Option<u64>) -> Result<Loaded> {
        tracing::debug!(channel = ?self.channel, table = %self.destination.table, "loading");
        let mut pieces = encoded(scan, self.encoder(batch_size));
        while let Some(piece) = self.session.meanwhile(pieces.recv()).await? {
            match piece? {
                Piece::Refused(rejects) => self.ctx.rejects().push(rejects).await?,
                Piece::Chunk(chunk) => self.chunk(&chunk).await?,
            }
        }
        Ok(self.loaded)
    }

    fn encoder(&self, batch_size: Option<u64>) -> Encoder {
        let most = usize::try_from(batch_size.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let cells = self.destination.fields.len() + usize::from(self.destination.numbered);
        let limits = match self.channel {
            Channel::Load => Limits { rows: most, bytes: CHUNK, row_bytes: usize::MAX },
            Channel::Insert => {
                // A packet has the values with up to nine bytes of length each, two of type, and the message header.
                let room = self.session.facts().max_packet.saturating_sub(1024 + cells * 16);
                Limits {
                    rows: most.min((PARAMETERS / cells).max(1)),
                    bytes: (room / 2).min(CHUNK / 4),
                    row_bytes: room,
                }
            }
        };
        Encoder::new(Arc::clone(&self.destination.fields), self.channel, limits, self.destination.numbered)
    }

    async fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        let mut waiting = Vec::new();
        waiting.push(0..chunk.rows());
        while let Some(rows) = waiting.pop() {
            if rows.is_empty() {
                continue;
            }
            self.session.run("SAVEPOINT osiris", CONTEXT).await?;
            match self.send(chunk, &rows).await? {
                ChunkOutcome::Taken { replaced } => {
                    let taken = u64::try_from(rows.len()).unwrap_or(0);
                    self.loaded.taken += taken;
                    self.loaded.replaced += replaced;
                    self.ctx.progress().add_rows(taken);
                }
                ChunkOutcome::Refused { column, reason } => {
                    self.session.run("ROLLBACK TO SAVEPOINT osiris", CONTEXT).await?;
                    if rows.len() == 1 {
                        self.ctx.rejects().push(vec![chunk.reject(rows.start, column, reason)]).await?;
                        continue;
                    }
                    let middle = rows.start + rows.len() / 2;
                    waiting.push(middle..rows.end);
                    waiting.push(rows.start..middle);
                }
            }
        }
        let bytes = u64::try_from(chunk.slice(&(0..chunk.rows())).len()).unwrap_or(0);
        self.loaded.bytes += bytes;
        self.ctx.progress().add_bytes(bytes);
        if self.destination.commit_each {
            self.session.run("COMMIT", CONTEXT).await?;
            self.session.run("START TRANSACTION", CONTEXT).await?;
        }
        Ok(())
    }

    async fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> Result<ChunkOutcome> {
        let sent = match self.channel {
            Channel::Load => self.session.load(&self.load_sql(), chunk.slice(rows), CONTEXT).await,
            Channel::Insert => {
                self.session.execute(&self.insert_sql(rows.len()), chunk.parameters(rows), CONTEXT).await
            }
        };
        match sent {
            Ok(done) => self.judge(&done, rows.len()).await,
            Err(StatementError::Server { code, state, message }) if is_about_rows(code, &state) => {
                let (column, reason) = reason(&message);
                Ok(ChunkOutcome::Refused { column, reason })
            }
            Err(failure) => Err(failure.into_error(CONTEXT)),
        }
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
            complaint = warnings.iter().find(|warning| !is_harmless(warning)).map(|warning| reason(&warning.message));
        }
        let skipped = done.number("Skipped").unwrap_or(0) > 0 || done.affected != rows + replaced;
        match complaint {
            Some((column, reason)) => Ok(ChunkOutcome::Refused { column, reason }),
            None if skipped => Ok(ChunkOutcome::Refused {
                column: None,
                reason: "row skipped by the server without a warning".to_owned(),
            }),
            None => Ok(ChunkOutcome::Taken { replaced }),
        }
    }

    fn columns(&self) -> impl Iterator<Item = (String, Option<super::convert::Form>)> {
        let number = self.destination.numbered.then(|| (crate::client::quote(NUMBER), None));
        let fields = self.destination.fields.iter();
        number.into_iter().chain(fields.map(|field| (crate::client::quote(&field.target), Some(field.form))))
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

enum Piece {
    Chunk(Chunk),
    Refused(Vec<Reject>),
}

/// Encodes in a separate thread, one chunk ahead of the one being sent.
fn encoded(mut scan: TableScan, mut encoder: Encoder) -> mpsc::Receiver<Result<Piece>> {
    let (sender, pieces) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let hand_over = |encoder: &mut Encoder| {
            let refused = encoder.refused();
            if !refused.is_empty() && sender.blocking_send(Ok(Piece::Refused(refused))).is_err() {
                return false;
            }
            while let Some(chunk) = encoder.next() {
                if sender.blocking_send(Ok(Piece::Chunk(chunk))).is_err() {
                    return false;
                }
            }
            true
        };
        loop {
            match scan.blocking_next() {
                Ok(Some(batch)) => {
                    if let Err(error) = encoder.push(&batch) {
                        let _ = sender.blocking_send(Err(error));
                        return;
                    }
                    if !hand_over(&mut encoder) {
                        return;
                    }
                }
                Ok(None) => {
                    encoder.cut();
                    hand_over(&mut encoder);
                    return;
                }
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            }
        }
    });
    pieces
}
