//! Encodes rows for a channel. No I/O.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use osiris_core::{Column, Result};
use osiris_sql::write::{NULL_REFUSED, RowEncoder, RowError, WriteColumn};

use super::cell::{Cell, cell};
use super::chunk::{Channel, NULL, shown};
use super::convert::{Conversion, Form};

/// A column to write.
pub(super) type Field = WriteColumn<(Conversion, Form)>;

/// Encodes rows for a channel.
pub(super) struct RowWriter {
    pub(super) fields: Arc<[Field]>,
    pub(super) channel: Channel,
    /// Whether each row begins with its number, for the staging table of an upsert.
    pub(super) numbered: bool,
    /// Maximum bytes of a row.
    pub(super) max_bytes: usize,
}

/// The columns of one batch.
pub(super) struct Columns<'a> {
    arrays: &'a [ArrayRef],
    cells: Vec<Cell<'a>>,
    scratch: Vec<u8>,
}

impl RowEncoder for RowWriter {
    type Columns<'a> = Columns<'a>;

    fn columns<'a>(&'a self, batch: &'a RecordBatch) -> Result<Columns<'a>> {
        let arrays = batch.columns();
        let cells = arrays.iter().zip(self.fields.iter()).map(|(array, field)| cell(array, &field.conversion.0));
        Ok(Columns { arrays, cells: cells.collect::<Result<_>>()?, scratch: Vec::new() })
    }

    fn row(&self, columns: &mut Columns<'_>, row: usize, number: u64, out: &mut Vec<u8>) -> Result<u64, RowError> {
        let Columns { arrays, cells, scratch } = columns;
        let start = out.len();
        if self.numbered {
            self.put(itoa::Buffer::new().format(number).as_bytes(), Form::Plain, out);
        }
        for (index, field) in self.fields.iter().enumerate() {
            if self.channel == Channel::Load && (index > 0 || self.numbered) {
                out.push(b'\t');
            }
            if !arrays[index].is_null(row) {
                scratch.clear();
                cells[index](row, scratch).map_err(|reason| (Some(index), reason))?;
                self.put(scratch, field.conversion.1, out);
            } else if field.not_null {
                return Err((Some(index), NULL_REFUSED.into()));
            } else {
                self.put_null(out);
            }
        }
        if self.channel == Channel::Load {
            out.push(b'\n');
        }
        if out.len() - start > self.max_bytes {
            let reason = format!("row is larger than {} bytes: raise max_allowed_packet of the server", self.max_bytes);
            return Err((None, reason.into()));
        }
        Ok(0)
    }

    fn shown(batch: &RecordBatch, _: &[Column], row: usize) -> Option<String> {
        shown(batch, row)
    }
}

impl RowWriter {
    fn put_null(&self, out: &mut Vec<u8>) {
        match self.channel {
            Channel::Load => out.extend_from_slice(b"\\N"),
            Channel::Insert => out.extend_from_slice(&NULL.to_le_bytes()),
        }
    }

    fn put(&self, value: &[u8], form: Form, out: &mut Vec<u8>) {
        match self.channel {
            Channel::Load if form == Form::Text => escape(value, out),
            Channel::Load => out.extend_from_slice(value),
            Channel::Insert => {
                let length = u32::try_from(value.len()).unwrap_or(NULL - 1);
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(value);
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
    use osiris_core::ColumnType;
    use osiris_sql::write::{ChunkLimits, Encoder};

    use super::super::chunk::parameters;
    use super::super::convert::TextRule;
    use super::*;

    fn encoder(channel: Channel, rows: usize, numbered: bool) -> Encoder<RowWriter> {
        let number = Conversion::Integer { bits: None };
        let field = |name: &str, conversion, form, not_null| {
            let mut field = Field::new(Column::new(name, ColumnType::Varchar), name, "", (conversion, form));
            field.not_null = not_null;
            field
        };
        let fields =
            [field("id", number, Form::Plain, true), field("name", Conversion::Text(TextRule::Any), Form::Text, false)];
        let limits = ChunkLimits { rows, bytes: 1 << 20, max_bytes: 30 };
        let columns: Arc<[Field]> = Arc::new(fields);
        let rows = RowWriter { fields: Arc::clone(&columns), channel, numbered, max_bytes: 30 };
        Encoder::new(rows, &columns, limits)
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
        let chunk = encoder.next_chunk().unwrap();
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
        let (first, second) = (encoder.next_chunk().unwrap(), encoder.next_chunk().unwrap());
        assert_eq!(
            parameters(&first.slice(&(0..1))),
            [Value::Bytes(b"1".to_vec()), Value::Bytes(b"a\tb\\c\n\0".to_vec())]
        );
        assert_eq!(parameters(&second.slice(&(0..1))), [Value::Bytes(b"3".to_vec()), Value::NULL]);
        let reject = second.reject(0, None, "why".to_owned());
        assert_eq!((reject.row_number, reject.row.as_deref()), (Some(3), Some(r#"{"id":"3","name":null}"#)));
    }
}
