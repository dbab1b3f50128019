//! Encodes batches as chunks for a channel. Rows that cannot be encoded are returned as rejects. No
//! I/O.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use osiris_core::{Reject, Result};

use super::cell::{ConversionError, cell};
use super::chunk::{Channel, Chunk, NULL, shown};
use super::convert::{Conversion, Form};

/// A column to write.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The name in the input.
    pub(super) source: String,
    /// The name in the table.
    pub(super) target: String,
    pub(super) conversion: Conversion,
    pub(super) form: Form,
    pub(super) not_null: bool,
}

/// The limits of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Maximum bytes of a row, and of a chunk, for the channel.
    pub(super) row_bytes: usize,
}

/// Fills chunks from batches.
pub(super) struct Encoder {
    fields: Arc<[Field]>,
    channel: Channel,
    limits: Limits,
    /// Whether each row begins with its number, for the staging table of an upsert.
    numbered: bool,
    next_number: u64,
    bytes: Vec<u8>,
    chunk: Chunk,
    full: VecDeque<Chunk>,
    refused: Vec<Reject>,
}

impl Encoder {
    pub(super) fn new(fields: Arc<[Field]>, channel: Channel, limits: Limits, numbered: bool) -> Self {
        let (bytes, chunk) = (Vec::new(), Chunk::default());
        Self {
            fields,
            channel,
            limits,
            numbered,
            next_number: 1,
            bytes,
            chunk,
            full: VecDeque::new(),
            refused: Vec::new(),
        }
    }

    /// Encodes a batch whose columns are the fields, in order.
    ///
    /// # Errors
    /// For a type that a scan of the run store never returns.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let fields = Arc::clone(&self.fields);
        let columns = batch.columns();
        let cells = columns
            .iter()
            .zip(fields.iter())
            .map(|(column, field)| cell(column, &field.conversion))
            .collect::<Result<Vec<_>>>()?;
        let first = self.next_number;
        self.chunk.batches.push((first, batch.clone()));
        let mut scratch = Vec::new();
        for row in 0..batch.num_rows() {
            let number = self.next_number;
            self.next_number += 1;
            let start = self.bytes.len();
            if self.numbered {
                self.put(itoa::Buffer::new().format(number).as_bytes(), Form::Plain);
            }
            let mut refusal: Option<(usize, ConversionError)> = None;
            for (index, field) in fields.iter().enumerate() {
                if self.channel == Channel::Load && (index > 0 || self.numbered) {
                    self.bytes.push(b'\t');
                }
                if columns[index].is_null(row) {
                    if field.not_null {
                        refusal = Some((index, "NULL, but the column is NOT NULL".into()));
                        break;
                    }
                    self.put_null();
                } else {
                    scratch.clear();
                    if let Err(reason) = cells[index](row, &mut scratch) {
                        refusal = Some((index, reason));
                        break;
                    }
                    self.put(&scratch, field.form);
                }
            }
            if self.channel == Channel::Load {
                self.bytes.push(b'\n');
            }
            if refusal.is_none() && self.bytes.len() - start > self.limits.row_bytes {
                let reason = format!(
                    "row is larger than {} bytes: raise max_allowed_packet of the server",
                    self.limits.row_bytes
                );
                refusal = Some((usize::MAX, reason.into()));
            }
            match refusal {
                None => self.keep(number, batch, first, start),
                Some((index, reason)) => {
                    self.bytes.truncate(start);
                    let column = fields.get(index).map(|field| field.source.clone());
                    let shown = shown(batch, row);
                    self.refused.push(Reject {
                        row_number: Some(number),
                        column,
                        reason: reason.into_owned(),
                        row: shown,
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds the row that was encoded last, from `start` on, to the chunk, or to the next one if it is full.
    fn keep(&mut self, number: u64, batch: &RecordBatch, first: u64, start: usize) {
        if self.bytes.len() > self.limits.row_bytes && !self.chunk.ends.is_empty() {
            let row = self.bytes.split_off(start);
            self.cut();
            self.chunk.batches.push((first, batch.clone()));
            self.bytes.extend_from_slice(&row);
        }
        self.chunk.ends.push(self.bytes.len());
        self.chunk.numbers.push(number);
        if self.bytes.len() >= self.limits.bytes || self.chunk.ends.len() >= self.limits.rows {
            self.cut();
            self.chunk.batches.push((first, batch.clone()));
        }
    }

    /// Finishes the current chunk.
    pub(super) fn cut(&mut self) {
        let mut chunk = std::mem::take(&mut self.chunk);
        if chunk.ends.is_empty() {
            return;
        }
        let capacity = self.bytes.len() + self.bytes.len() / 16;
        chunk.bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity)).into();
        self.full.push_back(chunk);
    }

    /// A full chunk.
    pub(super) fn next(&mut self) -> Option<Chunk> {
        self.full.pop_front()
    }

    /// The rows rejected since the last call.
    pub(super) fn refused(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.refused)
    }

    fn put_null(&mut self) {
        match self.channel {
            Channel::Load => self.bytes.extend_from_slice(b"\\N"),
            Channel::Insert => self.bytes.extend_from_slice(&NULL.to_le_bytes()),
        }
    }

    fn put(&mut self, value: &[u8], form: Form) {
        match self.channel {
            Channel::Load if form == Form::Text => escape(value, &mut self.bytes),
            Channel::Load => self.bytes.extend_from_slice(value),
            Channel::Insert => {
                let length = u32::try_from(value.len()).unwrap_or(NULL - 1);
                self.bytes.extend_from_slice(&length.to_le_bytes());
                self.bytes.extend_from_slice(value);
            }
        }
    }
}

/// Characters to escape in a file: those around fields and lines, the escape character, and NUL.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    let mut done = 0;
    for (index, byte) in value.iter().enumerate() {
        let letter = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            0 => b'0',
            _ => continue,
        };
        out.extend_from_slice(&value[done..index]);
        out.extend_from_slice(&[b'\\', letter]);
        done = index + 1;
    }
    out.extend_from_slice(&value[done..]);
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use mysql_async::Value;

    use super::super::convert::TextRule;
    use super::*;

    fn encoder(channel: Channel, rows: usize, numbered: bool) -> Encoder {
        let number = Conversion::Integer { bits: None };
        let field = |name: &str, conversion, form, not_null| Field {
            source: name.to_owned(),
            target: name.to_owned(),
            conversion,
            form,
            not_null,
        };
        let fields =
            [field("id", number, Form::Plain, true), field("name", Conversion::Text(TextRule::Any), Form::Text, false)];
        Encoder::new(Arc::new(fields), channel, Limits { rows, bytes: 1 << 20, row_bytes: 30 }, numbered)
    }

    fn batch() -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let names = vec![Some("a\tb\\c\n\0"), Some("x"), None, Some("more than thirty bytes in one row")];
        let names: ArrayRef = Arc::new(StringArray::from(names));
        RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("name", names, true)]).unwrap()
    }

    #[test]
    fn lines_are_escaped_and_rows_that_do_not_fit_are_refused() {
        let mut encoder = encoder(Channel::Load, 10, true);
        encoder.push(&batch()).unwrap();
        encoder.cut();
        let chunk = encoder.next().unwrap();
        assert_eq!(chunk.slice(&(0..2)), "1\t1\ta\\tb\\\\c\\n\\0\n3\t3\t\\N\n");
        assert_eq!(chunk.slice(&(1..2)), "3\t3\t\\N\n");
        let refused = encoder.refused();
        assert_eq!(refused.iter().map(|reject| reject.row_number.unwrap()).collect::<Vec<_>>(), [2, 4]);
        assert_eq!((refused[0].column.as_deref(), refused[1].column.as_deref()), (Some("id"), None));
        assert_eq!(refused[0].row.as_deref(), Some(r#"{"id":null,"name":"x"}"#));
    }

    #[test]
    fn parameters_are_the_cells_and_chunks_end_at_the_limit_of_rows() {
        let mut encoder = encoder(Channel::Insert, 1, false);
        encoder.push(&batch()).unwrap();
        let (first, second) = (encoder.next().unwrap(), encoder.next().unwrap());
        assert_eq!(first.parameters(&(0..1)), [Value::Bytes(b"1".to_vec()), Value::Bytes(b"a\tb\\c\n\0".to_vec())]);
        assert_eq!(second.parameters(&(0..1)), [Value::Bytes(b"3".to_vec()), Value::NULL]);
        let reject = second.reject(0, None, "why".to_owned());
        assert_eq!((reject.row_number, reject.row.as_deref()), (Some(3), Some(r#"{"id":"3","name":null}"#)));
    }
}
