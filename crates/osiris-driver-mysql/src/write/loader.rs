//! Rows out of the store into one table of the server, in chunks. A chunk that the server does not take whole, without a single
//! warning, is taken back and halved until the rows at fault are alone: those are rejects. The caller owns the transaction.

use std::ops::Range;
use std::sync::Arc;

use osiris_core::{ExecutionContext, Reject, Result, TableScan};
use tokio::sync::mpsc;

use super::answer::{Done, Failure};
use super::chunk::{Channel, Chunk};
use super::encode::{Encoder, Field, Limits};
use super::refusal::{is_about_rows, is_harmless, reason};
use super::session::Session;

/// The size of a chunk, in bytes.
const CHUNK: usize = 16 << 20;
/// The most parameters a prepared statement has.
const PARAMETERS: usize = 65_535;
/// Column of the staging table of an upsert that holds the number of a row.
pub(super) const NUMBER: &str = "osiris_row";
const DOING: &str = "sending rows";

/// Where rows go.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// The table in SQL.
    pub(super) table: String,
    pub(super) fields: Arc<[Field]>,
    /// Whether each row has its number as well, in [`NUMBER`].
    pub(super) numbered: bool,
    /// Whether a row replaces an earlier one of its key.
    pub(super) replace: bool,
    /// Whether every chunk is committed: the table is of no use to anybody before the last one.
    pub(super) commit_each: bool,
}

/// What loading came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Rows that were sent and taken.
    pub(super) taken: u64,
    /// Rows that a later one of their key replaced.
    pub(super) replaced: u64,
    /// Bytes that were sent.
    pub(super) bytes: u64,
}

enum Verdict {
    Taken { replaced: u64 },
    Refused { column: Option<String>, reason: String },
}

/// The work of one load.
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

    /// Loads every row of `scan`, whose columns are the fields of the destination.
    ///
    /// # Errors
    /// Anything but single rows at fault, or too many of those.
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
                // A packet holds the values with up to nine bytes of length each, two of type, and the head of the message.
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
            self.session.run("SAVEPOINT osiris", DOING).await?;
            match self.send(chunk, &rows).await? {
                Verdict::Taken { replaced } => {
                    let taken = u64::try_from(rows.len()).unwrap_or(0);
                    self.loaded.taken += taken;
                    self.loaded.replaced += replaced;
                    self.ctx.progress().add_rows(taken);
                }
                Verdict::Refused { column, reason } => {
                    self.session.run("ROLLBACK TO SAVEPOINT osiris", DOING).await?;
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
            self.session.run("COMMIT", DOING).await?;
            self.session.run("START TRANSACTION", DOING).await?;
        }
        Ok(())
    }

    async fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> Result<Verdict> {
        let sent = match self.channel {
            Channel::Load => self.session.load(&self.load_sql(), chunk.slice(rows), DOING).await,
            Channel::Insert => self.session.execute(&self.insert_sql(rows.len()), chunk.parameters(rows), DOING).await,
        };
        match sent {
            Ok(done) => self.judge(&done, rows.len()).await,
            Err(Failure::Server { code, state, message }) if is_about_rows(code, &state) => {
                let (column, reason) = reason(&message);
                Ok(Verdict::Refused { column, reason })
            }
            Err(failure) => Err(failure.into_error(DOING)),
        }
    }

    /// Whether every row arrived as it was sent.
    async fn judge(&mut self, done: &Done, rows: usize) -> Result<Verdict> {
        let rows = u64::try_from(rows).unwrap_or(0);
        let replaced = match self.channel {
            _ if !self.destination.replace => 0,
            Channel::Load => done.number("Deleted").unwrap_or(0),
            // One for each new row, one more for each that had to go.
            Channel::Insert => done.affected.saturating_sub(rows),
        };
        let mut complaint = None;
        if done.warnings > 0 {
            let warnings = self.session.warnings().await?;
            complaint = warnings.iter().find(|warning| !is_harmless(warning)).map(|warning| reason(&warning.message));
        }
        let skipped = done.number("Skipped").unwrap_or(0) > 0 || done.affected != rows + replaced;
        match complaint {
            Some((column, reason)) => Ok(Verdict::Refused { column, reason }),
            None if skipped => {
                Ok(Verdict::Refused { column: None, reason: "the server left it out without a reason".to_owned() })
            }
            None => Ok(Verdict::Taken { replaced }),
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

/// Encodes on a thread of its own, one chunk ahead of the one being sent.
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
