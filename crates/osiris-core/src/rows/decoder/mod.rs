//! Decodes rows into batches. Types follow the values: a column that meets a value it cannot hold exactly takes the
//! wider type of the store's lattice. Batches that were made before stay as they are; the store widens them.

mod check;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;

use super::column::{Column, Pushed, Value};
use super::cursor::{Cursor, ParseError, unescape};
use super::document::{Document, Row};
use super::names::{ColumnId, Names, NodeId, Place};
use super::options::RowOptions;
use super::repair::repaired;
use crate::{ColumnType, Error, Result};

pub use check::RowFault;

/// The most rows in a batch.
const MAX_ROWS: usize = 122_880;
/// About what a cell takes that is NULL.
const NULL_BYTES: usize = 8;
/// How many times the size of a batch its cells may take if all were NULL: tables of the usual form have their batches by
/// the bytes of their values.
const SPARSE: usize = 4;

/// Decodes rows into batches. Send them through a widening sender of the step's sink.
pub struct RowDecoder {
    names: Names,
    columns: Vec<Column>,
    /// The member of each position, for rows that are arrays.
    positions: Vec<usize>,
    declared: usize,
    /// The types that columns must have, by the names of their members.
    types: HashMap<String, ColumnType>,
    /// A member that every row gets, and its value.
    constant: Option<(usize, Arc<str>)>,
    batch_bytes: usize,
    ready: VecDeque<RecordBatch>,
    rows: usize,
    bytes: usize,
    total: u64,
    /// The rows that the server sent, those included that are not kept.
    received: u64,
    /// How many rows were checked, as a mark on the members of each.
    checked: u64,
    altered: u64,
    row_altered: u64,
    sent: bool,
    scratch: String,
}

/// Why a row could not be added.
enum RowError {
    Json(ParseError),
    Error(Error),
    /// This column must have this type first, and the rows before it a batch of their own.
    Widen(ColumnId, ColumnType),
}

impl From<ParseError> for RowError {
    fn from(error: ParseError) -> Self {
        Self::Json(error)
    }
}

impl RowDecoder {
    /// A decoder without any row.
    pub fn new(options: RowOptions) -> Self {
        let batch_bytes = options.batch_bytes;
        let names = Names::new(options.clone());
        let mut columns: Vec<Column> = names.columns().iter().map(|_| Column::new()).collect();
        let mut seen = std::collections::HashSet::new();
        let declared = options.columns.iter().filter(|(name, _)| seen.insert(name));
        for (column, (_, column_type)) in columns.iter_mut().zip(declared) {
            *column = Column::declared(column_type);
        }
        let declared = columns.len();
        let mut decoder = Self {
            names,
            columns,
            positions: Vec::new(),
            declared,
            types: options.types.iter().cloned().collect(),
            constant: None,
            batch_bytes,
            ready: VecDeque::new(),
            rows: 0,
            bytes: 0,
            total: 0,
            received: 0,
            checked: 0,
            altered: 0,
            row_altered: 0,
            sent: false,
            scratch: String::new(),
        };
        decoder.set_names(&options.names);
        decoder
    }

    /// Sets the columns of rows that are arrays, from the next row on: for APIs that name them on each page.
    pub fn set_names<S: AsRef<str>>(&mut self, names: &[S]) {
        self.positions = names.iter().map(|name| self.names.find(Names::ROOT, name.as_ref())).collect();
    }

    /// Reads one row: an object, an array whose columns are [named](Self::set_names), or a single value, whose column is
    /// `value`. Null is a row of NULLs.
    ///
    /// # Errors
    /// Invalid JSON, a member that occurs twice, an array that does not fit the names.
    pub fn push(&mut self, row: &Row<'_>) -> Result<()> {
        self.received += 1;
        loop {
            self.row_altered = 0;
            match self.read(row.as_str()).and_then(|()| self.put_constant()) {
                Ok(()) => break,
                Err(RowError::Json(error)) => return Err(error.into()),
                Err(RowError::Error(error)) => return Err(error),
                Err(RowError::Widen(column, column_type)) => self.widen(column, &column_type)?,
            }
        }
        self.rows += 1;
        self.total += 1;
        self.altered += self.row_altered;
        if self.is_full() { self.flush() } else { Ok(()) }
    }

    /// Reads every row of a document.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn push_document(&mut self, document: &Document) -> Result<()> {
        document.rows().try_for_each(|row| self.push(&row))
    }

    /// Like [`push_document`](Self::push_document) on a thread for blocking work, so that the network is not kept
    /// waiting.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub async fn decode(self, document: Document) -> Result<Self> {
        self.decode_where(document, |_, _| true).await
    }

    /// Like [`decode`](Self::decode), for the rows for which `keep` is true; it is given each row's index and text.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub async fn decode_where(
        mut self,
        document: Document,
        mut keep: impl FnMut(usize, &Row<'_>) -> bool + Send + 'static,
    ) -> Result<Self> {
        let work = move || {
            for (index, row) in document.rows().enumerate() {
                if keep(index, &row) {
                    self.push(&row)?;
                } else {
                    self.received += 1;
                }
            }
            Ok(self)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::unknown("failed to decode rows").with_source(error))?
    }

    /// The next batch that is full.
    pub fn next_batch(&mut self) -> Option<RecordBatch> {
        self.ready.pop_front()
    }

    /// The next batch, full or not. Rows in which no column has had a value yet wait for [`finish`](Self::finish).
    ///
    /// # Errors
    /// When Arrow refuses a batch, which is a bug.
    pub fn take_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.ready.is_empty() && self.rows > 0 && self.columns.iter().any(|column| column.column_type().is_some()) {
            self.flush()?;
        }
        Ok(self.ready.pop_front())
    }

    /// The remaining batches. Columns without any value become text; declared columns exist even without rows. Call it
    /// until it returns `None`.
    ///
    /// # Errors
    /// When there are rows and not one column; when Arrow refuses a batch, which is a bug.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Some(batch));
        }
        self.add_known();
        if self.rows == 0 && self.columns.iter().all(Column::was_taken) {
            return Ok(None);
        }
        if self.columns.is_empty() {
            return Err(Error::validation(format!("none of the {} rows has a member", self.rows))
                .with_hint("check the request: the rows are empty"));
        }
        self.batch(true)?;
        Ok(self.ready.pop_front())
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        self.total
    }

    /// How many halves of surrogate pairs, which no text and no JSON column can hold, were replaced by U+FFFD: for the
    /// ledger.
    pub fn altered(&self) -> u64 {
        self.altered
    }

    /// Whether the rows so far are a batch. Where each row has keys of its own, most cells are NULL.
    fn is_full(&self) -> bool {
        let cells = self.rows.saturating_mul(self.columns.len()).saturating_mul(NULL_BYTES);
        let is_sparse = cells >= self.batch_bytes.saturating_mul(SPARSE);
        self.bytes >= self.batch_bytes || is_sparse || self.rows >= MAX_ROWS
    }

    fn flush(&mut self) -> Result<()> {
        if self.columns.iter().all(|column| column.column_type().is_none()) {
            return Ok(());
        }
        self.batch(false)
    }

    /// Makes a batch of the rows so far: of the columns that have values in them, of all for the last one.
    fn batch(&mut self, last: bool) -> Result<()> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (index, (column, name)) in self.columns.iter_mut().zip(self.names.columns()).enumerate() {
            let wanted = last || column.has_values() || (index < self.declared && !self.sent);
            if !wanted {
                column.truncate(0);
                continue;
            }
            let array = column.take(self.rows).map_err(not_made)?;
            let column_type = column.column_type().unwrap_or(&ColumnType::Varchar);
            fields.push(column_type.arrow_field(name, true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(not_made)?;
        self.ready.push_back(batch);
        (self.rows, self.bytes, self.sent) = (0, 0, true);
        Ok(())
    }

    /// Removes what the current row has added, and gives a column its wider type.
    fn widen(&mut self, column: ColumnId, column_type: &ColumnType) -> Result<()> {
        let rows = self.rows;
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        if self.columns[column].retype(column_type) {
            return Ok(());
        }
        self.flush()?;
        self.columns[column].retype(column_type);
        Ok(())
    }

    fn read(&mut self, row: &str) -> Result<(), RowError> {
        let mut cursor = Cursor::new(row);
        match cursor.peek()? {
            b'{' => self.object(&mut cursor, Names::ROOT)?,
            b'[' => self.array(&mut cursor)?,
            b'n' => cursor.word("null")?,
            _ => {
                let at = self.names.find(Names::ROOT, "value");
                self.value(&mut cursor, Names::ROOT, at)?;
            }
        }
        Ok(cursor.end()?)
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, node: NodeId) -> Result<(), RowError> {
        cursor.expect(b'{')?;
        if cursor.eat(b'}')? {
            return Ok(());
        }
        let mut likely = 0;
        loop {
            let at = self.member(cursor, node, likely)?;
            self.value(cursor, node, at)?;
            likely = at + 1;
            if !cursor.another(b'}')? {
                return Ok(());
            }
        }
    }

    /// The member whose key is next; usually the one that is `likely`.
    #[inline]
    fn member(&mut self, cursor: &mut Cursor<'_>, node: NodeId, likely: usize) -> Result<usize, ParseError> {
        match self.names.expected(node, likely) {
            Some(name) if cursor.eat_key(name)? => Ok(likely),
            _ => {
                let (key, replaced) = cursor.key()?.unescaped();
                self.row_altered += replaced;
                Ok(self.names.find(node, &key))
            }
        }
    }

    fn array(&mut self, cursor: &mut Cursor<'_>) -> Result<(), RowError> {
        cursor.expect(b'[')?;
        let mut count = 0;
        if !cursor.eat(b']')? {
            loop {
                let Some(&at) = self.positions.get(count) else { return Err(self.wrong_length(count + 1)) };
                self.value(cursor, Names::ROOT, at)?;
                count += 1;
                if !cursor.another(b']')? {
                    break;
                }
            }
        }
        if count == self.positions.len() && count > 0 { Ok(()) } else { Err(self.wrong_length(count)) }
    }

    fn wrong_length(&self, count: usize) -> RowError {
        let (row, expected) = (self.received, self.positions.len());
        let more = if count > expected { " or more" } else { "" };
        if expected == 0 {
            return RowError::Error(
                Error::validation(format!("row {row} is a list: expected an object"))
                    .with_hint("the path to the rows must lead to a list of objects"),
            );
        }
        RowError::Error(
            Error::validation(format!("row {row} has {count}{more} values: expected {expected}"))
                .with_hint("the response does not have the expected form"),
        )
    }

    fn put_constant(&mut self) -> Result<(), RowError> {
        let Some((at, value)) = self.constant.clone() else { return Ok(()) };
        self.put(Names::ROOT, at, Value::Text(&value))
    }

    /// Adds the columns that were in no row: those that have a type, and that of the constant.
    fn add_known(&mut self) {
        let mut names: Vec<String> = self.types.keys().cloned().collect();
        names.sort();
        for name in names {
            let at = self.names.find(Names::ROOT, &name);
            self.column(Names::ROOT, at);
        }
        if let Some((at, _)) = self.constant {
            self.column(Names::ROOT, at);
        }
    }

    /// Adds the value at `cursor` to its column.
    fn value(&mut self, cursor: &mut Cursor<'_>, node: NodeId, at: usize) -> Result<(), RowError> {
        match cursor.peek()? {
            b'"' => {
                let text = cursor.string()?;
                if !text.escaped && !self.names.member(node, at).embedded {
                    return self.put(node, at, Value::Text(text.text));
                }
                let mut clean = std::mem::take(&mut self.scratch);
                clean.clear();
                self.row_altered += unescape(text.text, &mut clean);
                let put = self.embedded_or_text(&clean, node, at);
                self.scratch = clean;
                put
            }
            b'{' => match self.names.inside(node, at) {
                Some(inside) => self.object(cursor, inside),
                None => {
                    let json = cursor.skip()?;
                    self.json(json, node, at)
                }
            },
            b'[' => {
                let json = cursor.skip()?;
                self.json(json, node, at)
            }
            b'n' => {
                cursor.word("null")?;
                self.column(node, at);
                Ok(())
            }
            b't' => {
                cursor.word("true")?;
                self.put(node, at, Value::Bool(true))
            }
            b'f' => {
                cursor.word("false")?;
                self.put(node, at, Value::Bool(false))
            }
            _ => {
                let number = cursor.number()?;
                self.put(node, at, Value::Number(number))
            }
        }
    }

    /// A text that may hold an object in JSON.
    fn embedded_or_text(&mut self, text: &str, node: NodeId, at: usize) -> Result<(), RowError> {
        if self.names.member(node, at).embedded && is_object(text) {
            let inside = self.names.inside(node, at);
            return match inside {
                Some(inside) => self.object(&mut Cursor::new(text), inside),
                None => self.json(text, node, at),
            };
        }
        self.put(node, at, Value::Text(text))
    }

    /// Nested JSON, kept as it is.
    fn json(&mut self, text: &str, node: NodeId, at: usize) -> Result<(), RowError> {
        let (json, replaced) = repaired(text);
        self.row_altered += replaced;
        self.put(node, at, Value::Json(&json))
    }

    /// The column of a member, created if needed; `None` when the filter leaves it out.
    #[inline]
    fn column(&mut self, node: NodeId, at: usize) -> Option<ColumnId> {
        let Place::Column(column) = self.names.place(node, at) else { return None };
        if column >= self.columns.len() {
            self.columns.resize_with(column + 1, Column::new);
            if let Some(column_type) = self.types.get(self.names.key(node, at)).filter(|_| node == Names::ROOT) {
                self.columns[column] = Column::typed(column_type);
            }
        }
        Some(column)
    }

    #[inline]
    fn put(&mut self, node: NodeId, at: usize, value: Value<'_>) -> Result<(), RowError> {
        let Some(column) = self.column(node, at) else { return Ok(()) };
        match self.columns[column].push(self.rows, value) {
            Pushed::Done(bytes) => {
                self.bytes += bytes;
                Ok(())
            }
            Pushed::Needs(column_type) => self.needs(column, column_type, value),
            Pushed::Twice => {
                let (name, row) = (&self.names.columns()[column], self.received);
                Err(RowError::Error(
                    Error::validation(format!("row {row} has the member `{name}` more than once"))
                        .with_hint("JSON does not define which one counts: fix the source"),
                ))
            }
        }
    }

    /// Widens at once where the rows so far allow it, which is the usual case of a column's first value.
    fn needs(&mut self, column: ColumnId, column_type: ColumnType, value: Value<'_>) -> Result<(), RowError> {
        if !self.columns[column].retype(&column_type) {
            return Err(RowError::Widen(column, column_type));
        }
        match self.columns[column].push(self.rows, value) {
            Pushed::Done(bytes) => {
                self.bytes += bytes;
                Ok(())
            }
            _ => Err(RowError::Error(Error::unknown("a value does not fit the inferred type"))),
        }
    }
}

impl std::fmt::Debug for RowDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowDecoder")
            .field("rows", &self.total)
            .field("columns", &self.names.columns())
            .finish_non_exhaustive()
    }
}

fn is_object(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.peek() == Ok(b'{') && cursor.skip().is_ok() && cursor.end().is_ok()
}

fn not_made(error: arrow::error::ArrowError) -> Error {
    Error::unknown("failed to build a batch of rows").with_source(error)
}

#[cfg(test)]
mod tests;
