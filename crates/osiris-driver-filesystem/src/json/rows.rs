//! The rows of an extraction, from JSON to batches and rejects.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use osiris_core::rows::{Nested, Row, RowDecoder, RowFault, RowOptions};
use osiris_core::{Code, ColumnType, Error, Problem, Reject, Result, problem};
use tokio::sync::mpsc;

use crate::blocking::StopFlag;
use crate::config::{AddFilename, OnBadLines};
use crate::csv::{DeclaredType, find_all};

/// Rejects that are sent at a time.
const REJECTS: usize = 500;
/// How many bytes their texts have at most, besides the last one.
const REJECT_BYTES: usize = 8 << 20;

/// What the reader sends to the store.
pub(super) enum Piece {
    Rows(RecordBatch),
    Rejects(Vec<Reject>),
}

/// What a row is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A line.
    Line,
    /// An element of an array.
    Element,
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Element => "element",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The settings of an extraction.
pub(crate) struct RowSettings {
    pub(crate) unit: Unit,
    pub(crate) dtype: Option<BTreeMap<String, String>>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) add_filename: Option<AddFilename>,
    pub(crate) on_bad_lines: OnBadLines,
    pub(crate) max_rejects: u64,
}

/// Where a row is.
pub(crate) struct At<'a> {
    /// The file.
    pub(crate) name: &'a str,
    /// Its number, from 1.
    pub(crate) number: u64,
    /// The byte at which it begins, where that helps to find it.
    pub(crate) byte: Option<u64>,
}

impl At<'_> {
    /// ` at byte 12`, or nothing.
    fn byte(&self) -> String {
        self.byte.map_or_else(String::new, |byte| format!(" at byte {byte}"))
    }
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
pub(crate) fn types(dtype: Option<&BTreeMap<String, String>>) -> Result<Vec<(String, ColumnType)>, Vec<Problem>> {
    let (mut types, mut problems) = (Vec::new(), Vec::new());
    for (column, name) in dtype.into_iter().flatten() {
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

/// Makes batches of rows in blocking code.
pub(crate) struct RowReader<'a> {
    settings: &'a RowSettings,
    decoder: RowDecoder,
    pieces: &'a mpsc::Sender<Piece>,
    stop: &'a StopFlag,
    /// Rows that may still be read.
    left: u64,
    rejects: Vec<Reject>,
    /// The bytes of their texts.
    reject_bytes: usize,
    rejected: u64,
}

impl<'a> RowReader<'a> {
    /// A reader of up to `limit` rows.
    ///
    /// # Errors
    /// For types that do not exist.
    pub(super) fn new(
        settings: &'a RowSettings,
        limit: u64,
        pieces: &'a mpsc::Sender<Piece>,
        stop: &'a StopFlag,
    ) -> Result<Self> {
        let types =
            types(settings.dtype.as_ref()).map_err(|problems| problem::error_of(&problems, "the configuration"))?;
        let mut options = RowOptions::new().with_nested(Nested::Json).with_types(types);
        if let Some(columns) = &settings.columns {
            let added = AddFilename::column(settings.add_filename.as_ref());
            let kept: HashSet<String> =
                columns.iter().map(String::as_str).chain(added).map(str::to_lowercase).collect();
            options = options.with_filter(Arc::new(move |name| kept.contains(&name.to_lowercase())));
        }
        let decoder = RowDecoder::new(options);
        Ok(Self { settings, decoder, pieces, stop, left: limit, rejects: Vec::new(), reject_bytes: 0, rejected: 0 })
    }

    /// Whether no more rows are wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Whether bad rows are rejected.
    pub(crate) fn rejects_bad(&self) -> bool {
        self.settings.on_bad_lines == OnBadLines::Reject
    }

    /// Begins the file `name`.
    pub(super) fn begin(&mut self, name: &str) {
        if let Some(column) = AddFilename::column(self.settings.add_filename.as_ref()) {
            self.decoder.set_constant(column, name);
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A bad row, unless these are rejected; when the run ends.
    pub(crate) fn add(&mut self, row: &Row<'_>, at: &At<'_>) -> Result<()> {
        self.stop.check()?;
        match self.decoder.check(row) {
            Ok(()) => self.push(row, at.number),
            Err(fault) => self.bad_row(&fault, row, at),
        }
    }

    fn push(&mut self, row: &Row<'_>, number: u64) -> Result<()> {
        self.decoder.push(row).map_err(|error| error.with_context(self.settings.unit.word(), number))?;
        self.left -= 1;
        while let Some(batch) = self.decoder.next_batch() {
            self.send(Piece::Rows(batch))?;
        }
        Ok(())
    }

    fn bad_row(&mut self, fault: &RowFault, row: &Row<'_>, at: &At<'_>) -> Result<()> {
        let (name, unit) = (at.name, self.settings.unit);
        // Without that name, the row would be a good one.
        if fault.is_about_constant() || !self.rejects_bad() {
            let error = Error::validation(format!("`{name}`: {unit} {}{}: {fault}", at.number, at.byte()));
            let code = (!fault.is_about_constant()).then_some(Code::BadLine);
            return Err(error.with_code(code).with_hint(hint(fault, unit)));
        }
        let text = row.as_str();
        self.rejected += 1;
        self.reject_bytes += text.len();
        let byte = at.byte.map_or_else(String::new, |byte| format!("byte {byte}: "));
        self.rejects.push(Reject {
            row_number: Some(at.number),
            column: fault.column().map(str::to_owned),
            reason: format!("`{name}`: {byte}{}", fault.reason()),
            row: Some(text.to_owned()),
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
        if self.decoder.rows() == 0 && self.rejected > self.settings.max_rejects {
            // The step fails because of these.
            return Ok(done);
        }
        self.check_names()?;
        if self.decoder.columns().is_empty() && self.settings.dtype.as_ref().is_none_or(|types| types.is_empty()) {
            return Err(without_columns(name, self.decoder.rows(), self.settings.unit));
        }
        while let Some(batch) = self.decoder.finish()? {
            self.send(Piece::Rows(batch))?;
        }
        Ok(done)
    }

    /// Checks that the keys of the configuration are those of the rows.
    fn check_names(&self) -> Result<()> {
        let keys: Vec<&str> = self.decoder.keys().collect();
        let types = || self.settings.dtype.iter().flat_map(|types| types.keys());
        for name in types() {
            let other = keys.iter().find(|key| key.to_lowercase() == name.to_lowercase());
            if let Some(other) = other.filter(|_| !keys.contains(&name.as_str())) {
                return Err(Error::validation(format!(
                    "`dtype` names the key `{name}`, but the {}s have `{other}`",
                    self.settings.unit
                ))
                .with_hint(format!("write `dtype: {{{other}: ...}}`")));
            }
        }
        // Keys may come with later rows, and a file without rows has none.
        if self.is_full() || self.decoder.rows() == 0 {
            return Ok(());
        }
        let found: HashSet<String> =
            self.decoder.columns().iter().chain(types()).map(|name| name.to_lowercase()).collect();
        let wanted = self.settings.columns.iter().flatten();
        let missing: Vec<String> = wanted.filter(|name| !found.contains(&name.to_lowercase())).cloned().collect();
        let is_missing = |key: &&str| missing.iter().any(|name| name.to_lowercase() == key.to_lowercase());
        let others: Vec<String> = keys.into_iter().filter(|key| !is_missing(key)).map(str::to_owned).collect();
        find_all(&others, &missing, "columns").map(drop)
    }
}

/// What to do about a bad row.
fn hint(fault: &RowFault, unit: Unit) -> String {
    match fault.column() {
        _ if fault.is_about_constant() => AddFilename::TAKEN.to_owned(),
        Some(column) => format!("fix the value, set another type for `{column}`, or set `on_bad_lines: reject`"),
        None => format!("each {unit} must be one JSON object: fix the {unit}, or set `on_bad_lines: reject`"),
    }
}

/// The error of files from which no column is known.
fn without_columns(name: &str, rows: u64, unit: Unit) -> Error {
    let error = match rows {
        0 => Error::validation(format!("`{name}` has no rows, so its columns are unknown")),
        _ => Error::validation(format!("no {unit} of `{name}` has a key that is read")),
    };
    error.with_hint("set the columns and their types, for example `dtype: {id: BIGINT}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_that_are_long_do_not_wait_for_many() {
        let settings = RowSettings {
            unit: Unit::Line,
            dtype: None,
            columns: None,
            add_filename: None,
            on_bad_lines: OnBadLines::Reject,
            max_rejects: 9,
        };
        let (pieces, mut arriving) = mpsc::channel(8);
        let stop = StopFlag::default();
        let mut reader = RowReader::new(&settings, u64::MAX, &pieces, &stop).unwrap();
        let text = "x".repeat(REJECT_BYTES / 2);
        for number in 1..=3 {
            reader.add(&Row::new(&text), &At { name: "t.jsonl", number, byte: None }).unwrap();
        }
        let Ok(Piece::Rejects(rejects)) = arriving.try_recv() else { panic!("no rejects") };
        assert_eq!(rejects.len(), 2);
        assert!(arriving.try_recv().is_err());
    }
}
