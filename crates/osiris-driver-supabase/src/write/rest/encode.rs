//! Encodes rows as JSON in chunks, in a separate thread, ahead of the one being sent. Values that cannot be written are
//! rejected here, before any request.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use osiris_core::{Reject, Result, TableScan};
use osiris_driver_postgres::types::encode::{ConversionError, JsonCell, TextRules};
use osiris_driver_postgres::types::json;
use osiris_sql::write::NULL_REFUSED;
use tokio::sync::mpsc;

use super::field::Field;

/// The limits of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Rows that are sent together, each an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    /// Where each row begins and ends.
    places: Vec<Range<usize>>,
    /// The number of each row in the input, from 1, if its order was kept.
    numbers: Vec<Option<u64>>,
    /// The number of changed values in each row.
    altered: Vec<u64>,
}

impl Chunk {
    pub(super) fn rows(&self) -> usize {
        self.places.len()
    }

    /// Some of its rows as an array.
    pub(super) fn body(&self, rows: &Range<usize>) -> Bytes {
        let (Some(first), Some(last)) =
            (self.places.get(rows.start), rows.end.checked_sub(1).and_then(|last| self.places.get(last)))
        else {
            return Bytes::from_static(b"[]");
        };
        let mut body = Vec::with_capacity(last.end.saturating_sub(first.start) + 2);
        body.push(b'[');
        body.extend_from_slice(&self.bytes[first.start..last.end]);
        body.push(b']');
        body.into()
    }

    /// One of its rows as a reject.
    pub(super) fn reject(&self, row: usize, column: Option<String>, reason: String) -> Reject {
        let text = self.places.get(row).map(|place| String::from_utf8_lossy(&self.bytes[place.clone()]).into_owned());
        Reject { row_number: self.number(row), column, reason, row: text }
    }

    /// The number of one of its rows.
    pub(super) fn number(&self, row: usize) -> Option<u64> {
        self.numbers.get(row).copied().flatten()
    }

    /// The number of changed values in some of its rows.
    pub(super) fn altered(&self, rows: &Range<usize>) -> u64 {
        self.altered.get(rows.clone()).unwrap_or_default().iter().sum()
    }

    fn push(&mut self, row: &Row, number: Option<u64>) {
        if !self.bytes.is_empty() {
            self.bytes.push(b',');
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&row.json);
        self.altered.push(row.altered);
        self.places.push(start..self.bytes.len());
        self.numbers.push(number);
    }
}

/// A row that is encoded.
#[derive(Debug, Default)]
struct Row {
    json: Vec<u8>,
    altered: u64,
}

/// The output of the thread.
pub(super) enum Piece {
    Chunk(Chunk),
    Refused(Vec<Reject>),
    /// The end, with the number of rows replaced by a later one with their key.
    Done {
        superseded: u64,
    },
}

/// How rows are encoded.
pub(super) struct Encoder {
    pub(super) fields: Arc<[Field]>,
    pub(super) limits: Limits,
    pub(super) strip_nul: bool,
    /// The positions of the key columns, if rows are sorted by key and only the last of each is kept.
    pub(super) last_of: Option<Vec<usize>>,
}

/// Encodes `scan`, whose columns are the fields.
pub(super) fn encoded(mut scan: TableScan, encoder: Encoder) -> mpsc::Receiver<Result<Piece>> {
    let (sender, pieces) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut work = Work::new(encoder);
        loop {
            let done = match scan.blocking_next() {
                Ok(Some(batch)) => work.take(&batch).map(|()| false),
                Ok(None) => {
                    work.end();
                    Ok(true)
                }
                Err(error) => Err(error),
            };
            let last = match done {
                Ok(last) => last,
                Err(error) => {
                    // The receiver may be gone: then nobody needs the error either.
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            while let Some(piece) = work.ready.pop_front() {
                if sender.blocking_send(Ok(piece)).is_err() {
                    return;
                }
            }
            if last {
                return;
            }
        }
    });
    pieces
}

struct Work {
    encoder: Encoder,
    rules: TextRules,
    chunk: Chunk,
    ready: VecDeque<Piece>,
    refused: Vec<Reject>,
    number: u64,
    /// The row that may still be replaced by a later one with its key.
    waiting: Option<(Vec<u8>, Row)>,
    superseded: u64,
}

impl Work {
    fn new(encoder: Encoder) -> Self {
        let rules = TextRules::new(encoder.strip_nul);
        Self {
            encoder,
            rules,
            chunk: Chunk::default(),
            ready: VecDeque::new(),
            refused: Vec::new(),
            number: 0,
            waiting: None,
            superseded: 0,
        }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let fields = Arc::clone(&self.encoder.fields);
        let rules = std::mem::take(&mut self.rules);
        let cells = batch
            .columns()
            .iter()
            .zip(fields.iter())
            .map(|(array, field)| JsonCell::new(array, &field.source.column_type, &field.conversion, &rules));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        let mut scratch = Vec::new();
        for index in 0..batch.num_rows() {
            self.number += 1;
            let mut json = Vec::new();
            match rules.row(|| object(&cells, &fields, index, &mut json, &mut scratch)) {
                Ok((places, altered)) => self.keep(Row { json, altered }, &places),
                Err((column, reason)) => self.refuse(batch, index, column, reason.into_owned()),
            }
        }
        drop(cells);
        self.rules = rules;
        if !self.refused.is_empty() {
            self.ready.push_back(Piece::Refused(std::mem::take(&mut self.refused)));
        }
        Ok(())
    }

    fn keep(&mut self, row: Row, places: &[Range<usize>]) {
        let Some(keys) = &self.encoder.last_of else { return self.push(&row, Some(self.number)) };
        let mut key = Vec::new();
        for place in keys.iter().filter_map(|index| places.get(*index)) {
            key.extend_from_slice(&row.json[place.clone()]);
            key.push(b',');
        }
        match self.waiting.replace((key, row)) {
            Some((before, _)) if Some(&before) == self.waiting.as_ref().map(|(key, _)| key) => self.superseded += 1,
            Some((_, before)) => self.push(&before, None),
            None => {}
        }
    }

    fn push(&mut self, row: &Row, number: Option<u64>) {
        let Limits { rows, bytes } = self.encoder.limits;
        if self.chunk.rows() > 0 && self.chunk.bytes.len() + row.json.len() > bytes {
            self.cut();
        }
        self.chunk.push(row, number);
        if self.chunk.rows() >= rows {
            self.cut();
        }
    }

    fn refuse(&mut self, batch: &RecordBatch, row: usize, column: usize, reason: String) {
        let columns: Vec<_> = self.encoder.fields.iter().map(|field| field.source.clone()).collect();
        let number = self.encoder.last_of.is_none().then_some(self.number);
        let column = columns.get(column).map(|column| column.name.clone());
        self.refused.push(Reject { row_number: number, column, reason, row: json::shown(batch, &columns, row) });
    }

    fn cut(&mut self) {
        if self.chunk.rows() > 0 {
            self.ready.push_back(Piece::Chunk(std::mem::take(&mut self.chunk)));
        }
    }

    fn end(&mut self) {
        if let Some((_, row)) = self.waiting.take() {
            self.push(&row, None);
        }
        self.cut();
        self.ready.push_back(Piece::Done { superseded: self.superseded });
    }
}

/// Writes a row as an object and returns the positions of its values; or the column that cannot be written, and the
/// reason.
fn object(
    cells: &[JsonCell<'_>],
    fields: &[Field],
    row: usize,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<Vec<Range<usize>>, (usize, ConversionError)> {
    let mut places = Vec::with_capacity(cells.len());
    out.push(b'{');
    for (index, (cell, field)) in cells.iter().zip(fields).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::string(&field.target, out);
        out.push(b':');
        let start = out.len();
        if field.not_null && cell.is_null(row) {
            return Err((index, NULL_REFUSED.into()));
        }
        cell.write(row, scratch, out).map_err(|reason| (index, reason))?;
        places.push(start..out.len());
    }
    out.push(b'}');
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(rows: &[&str]) -> Chunk {
        let mut chunk = Chunk::default();
        for (index, row) in rows.iter().enumerate() {
            let row = Row { json: (*row).into(), altered: u64::from(index == 1) };
            chunk.push(&row, u64::try_from(index + 1).ok());
        }
        chunk
    }

    #[test]
    fn any_rows_of_a_chunk_are_a_body_of_their_own() {
        let chunk = chunk(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
        assert_eq!(&chunk.body(&(0..3))[..], br#"[{"a":1},{"a":2},{"a":3}]"#);
        assert_eq!(&chunk.body(&(1..2))[..], br#"[{"a":2}]"#);
        assert_eq!(&chunk.body(&(0..0))[..], b"[]");
        assert_eq!([0..3, 0..1, 1..2].map(|rows| chunk.altered(&rows)), [1, 0, 1]);
        let reject = chunk.reject(2, None, "bad".to_owned());
        assert_eq!((reject.row_number, reject.row.as_deref()), (Some(3), Some(r#"{"a":3}"#)));
    }
}
