//! The rows of an extraction, from lines to batches and rejects.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatch;
use osiris_core::rows::{Nested, Row, RowDecoder, RowFault, RowOptions};
use osiris_core::{Code, ColumnType, Error, Problem, Reject, Result, problem};
use tokio::sync::mpsc;

use super::lines::LineReader;
use crate::blocking::StopFlag;
use crate::config::{AddFilename, JsonlExtractorConfig, OnBadLines};
use crate::csv::{DeclaredType, find_all};

/// Rejects that are sent at a time.
const REJECTS: usize = 500;
/// How many bytes their lines have at most, besides the last one.
const REJECT_BYTES: usize = 8 << 20;

/// What the reader sends to the store.
pub(super) enum Piece {
    Rows(RecordBatch),
    Rejects(Vec<Reject>),
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Rows, rejected ones included.
    pub(super) rows: u64,
    /// Halves of surrogate pairs that were replaced.
    pub(super) altered: u64,
}

/// The configured types.
///
/// # Errors
/// Names that are not types, or not types of JSON.
pub(super) fn types(config: &JsonlExtractorConfig) -> Result<Vec<(String, ColumnType)>, Vec<Problem>> {
    let (mut types, mut problems) = (Vec::new(), Vec::new());
    for (column, name) in config.dtype.iter().flatten() {
        let pointer = format!("/dtype/{column}");
        match DeclaredType::named(pointer.clone(), name) {
            Ok(DeclaredType::Type(known)) if RowDecoder::can_have(&known) => types.push((column.clone(), known)),
            Ok(_) => problems.push(
                Problem::error(pointer, format!("JSON has no values of the type `{name}`"))
                    .with_hint("use VARCHAR or JSON, or DECIMAL(38,0) for large integers"),
            ),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(types) } else { Err(problems) }
}

/// Reads files in blocking code.
pub(super) struct RowReader<'a> {
    config: &'a JsonlExtractorConfig,
    decoder: RowDecoder,
    pieces: &'a mpsc::Sender<Piece>,
    stop: &'a StopFlag,
    /// Rows that may still be read.
    left: u64,
    rejects: Vec<Reject>,
    /// The bytes of their lines.
    reject_bytes: usize,
    rejected: u64,
}

impl<'a> RowReader<'a> {
    /// A reader of up to `limit` rows.
    ///
    /// # Errors
    /// For types that do not exist.
    pub(super) fn new(
        config: &'a JsonlExtractorConfig,
        limit: u64,
        pieces: &'a mpsc::Sender<Piece>,
        stop: &'a StopFlag,
    ) -> Result<Self> {
        let types = types(config).map_err(|problems| problem::error_of(&problems, "the configuration"))?;
        let mut options = RowOptions::new().with_nested(Nested::Json).with_types(types);
        if let Some(columns) = &config.columns {
            let added = AddFilename::column(config.add_filename.as_ref());
            let kept: HashSet<String> =
                columns.iter().map(String::as_str).chain(added).map(str::to_lowercase).collect();
            options = options.with_filter(Arc::new(move |name| kept.contains(&name.to_lowercase())));
        }
        let decoder = RowDecoder::new(options);
        Ok(Self { config, decoder, pieces, stop, left: limit, rejects: Vec::new(), reject_bytes: 0, rejected: 0 })
    }

    /// Whether no more rows are wanted.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Reads the lines of a file, named `name`.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8; a bad line, unless these are rejected.
    pub(super) fn file(&mut self, source: &mut dyn Read, name: &str) -> Result<()> {
        if let Some(column) = AddFilename::column(self.config.add_filename.as_ref()) {
            self.decoder.set_constant(column, name);
        }
        let mut lines = LineReader::new(source, name);
        while !self.is_full() && lines.advance()? {
            self.stop.check()?;
            let row = Row::new(lines.text());
            match self.decoder.check(&row) {
                Ok(()) => self.row(&row, lines.number())?,
                Err(fault) => self.bad_line(&fault, name, &lines)?,
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>, line: u64) -> Result<()> {
        self.decoder.push(row).map_err(|error| error.with_context("line", line))?;
        self.left -= 1;
        while let Some(batch) = self.decoder.next_batch() {
            self.send(Piece::Rows(batch))?;
        }
        Ok(())
    }

    fn bad_line(&mut self, fault: &RowFault, name: &str, lines: &LineReader<'_>) -> Result<()> {
        // Without that name, the line would be a good one.
        if fault.is_about_constant() || self.config.on_bad_lines == OnBadLines::Error {
            if lines.number() == 1 && lines.text().trim_start().starts_with('[') {
                let error = Error::validation(format!("`{name}` is an array, not JSON lines")).with_code(Code::BadLine);
                return Err(error.with_hint("`jq -c '.[]'` makes it JSON lines"));
            }
            let error = Error::validation(format!("`{name}`: line {}: {fault}", lines.number()));
            let code = (!fault.is_about_constant()).then_some(Code::BadLine);
            return Err(error.with_code(code).with_hint(hint(fault)));
        }
        self.rejected += 1;
        self.reject_bytes += lines.text().len();
        self.rejects.push(Reject {
            row_number: Some(lines.number()),
            column: fault.column().map(str::to_owned),
            reason: format!("`{name}`: {}", fault.reason()),
            row: Some(lines.text().to_owned()),
        });
        let is_full = self.rejects.len() >= REJECTS || self.reject_bytes >= REJECT_BYTES;
        if is_full { self.send_rejects() } else { Ok(()) }
    }

    fn send_rejects(&mut self) -> Result<()> {
        let rejects = std::mem::take(&mut self.rejects);
        self.reject_bytes = 0;
        if rejects.is_empty() { Ok(()) } else { self.send(Piece::Rejects(rejects)) }
    }

    /// Waits while the store has enough to do.
    fn send(&self, piece: Piece) -> Result<()> {
        // The error of the store is the one that is reported.
        self.pieces.blocking_send(piece).map_err(|_| Error::cancelled("cancelled"))
    }

    /// Sends what is left. `name` is that of the first file.
    ///
    /// # Errors
    /// When there are no columns, or not those of the configuration.
    pub(super) fn finish(mut self, name: &str) -> Result<Done> {
        self.send_rejects()?;
        let done = Done { rows: self.decoder.rows() + self.rejected, altered: self.decoder.altered() };
        if self.decoder.rows() == 0 && self.rejected > self.config.max_rejects {
            // The step fails because of these.
            return Ok(done);
        }
        self.check_names()?;
        if self.decoder.columns().is_empty() && self.config.dtype.as_ref().is_none_or(|types| types.is_empty()) {
            return Err(without_columns(name, self.decoder.rows()));
        }
        while let Some(batch) = self.decoder.finish()? {
            self.send(Piece::Rows(batch))?;
        }
        Ok(done)
    }

    /// Checks that the keys of the configuration are those of the lines.
    fn check_names(&self) -> Result<()> {
        let keys: Vec<&str> = self.decoder.keys().collect();
        let types = || self.config.dtype.iter().flat_map(|types| types.keys());
        for name in types() {
            let other = keys.iter().find(|key| key.to_lowercase() == name.to_lowercase());
            if let Some(other) = other.filter(|_| !keys.contains(&name.as_str())) {
                return Err(Error::validation(format!("`dtype` names the key `{name}`, but the lines have `{other}`"))
                    .with_hint(format!("write `dtype: {{{other}: ...}}`")));
            }
        }
        // Keys may come with later rows, and a file without rows has none.
        if self.is_full() || self.decoder.rows() == 0 {
            return Ok(());
        }
        let found: HashSet<String> =
            self.decoder.columns().iter().chain(types()).map(|name| name.to_lowercase()).collect();
        let wanted = self.config.columns.iter().flatten();
        let missing: Vec<String> = wanted.filter(|name| !found.contains(&name.to_lowercase())).cloned().collect();
        let is_missing = |key: &&str| missing.iter().any(|name| name.to_lowercase() == key.to_lowercase());
        let others: Vec<String> = keys.into_iter().filter(|key| !is_missing(key)).map(str::to_owned).collect();
        find_all(&others, &missing, "columns").map(drop)
    }
}

/// What to do about a bad line.
fn hint(fault: &RowFault) -> String {
    match fault.column() {
        _ if fault.is_about_constant() => AddFilename::TAKEN.to_owned(),
        Some(column) => format!("fix the value, set another type for `{column}`, or set `on_bad_lines: reject`"),
        None => "each line must be one JSON object: fix the line, or set `on_bad_lines: reject`".to_owned(),
    }
}

/// The error of files from which no column is known.
fn without_columns(name: &str, rows: u64) -> Error {
    let error = match rows {
        0 => Error::validation(format!("`{name}` has no rows, so its columns are unknown")),
        _ => Error::validation(format!("no line of `{name}` has a key that is read")),
    };
    error.with_hint("set the columns and their types, for example `dtype: {id: BIGINT}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bad_lines_that_are_long_do_not_wait_for_many() {
        let config = json!({"path": "t.jsonl", "on_bad_lines": "reject", "max_rejects": 9});
        let config: JsonlExtractorConfig = serde_json::from_value(config).unwrap();
        let (pieces, mut arriving) = mpsc::channel(8);
        let stop = StopFlag::default();
        let mut reader = RowReader::new(&config, u64::MAX, &pieces, &stop).unwrap();
        let text = format!("{}\n", "x".repeat(REJECT_BYTES / 2)).repeat(3);
        reader.file(&mut text.as_bytes(), "t.jsonl").unwrap();
        let Ok(Piece::Rejects(rejects)) = arriving.try_recv() else { panic!("no rejects") };
        assert_eq!(rejects.len(), 2);
        assert!(arriving.try_recv().is_err());
    }
}
