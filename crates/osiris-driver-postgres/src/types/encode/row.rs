//! Encodes rows in binary COPY format (<https://www.postgresql.org/docs/current/sql-copy.html>, Binary Format).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use osiris_core::{Column, Result};
use osiris_sql::write::{NULL_REFUSED, RowEncoder, RowError, WriteColumn};

use super::cell::cell;
use super::convert::Conversion;
use super::text_rules::TextRules;
use super::{Cell, NULL};
use crate::types::json;

/// The header of COPY: signature, no flags, no extension.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The trailer of COPY.
pub(crate) const TRAILER: &[u8] = &[0xff, 0xff];

/// A column to write.
pub(crate) type Field = WriteColumn<Conversion>;

/// Encodes rows.
pub(crate) struct RowWriter {
    fields: Arc<[Field]>,
    /// Whether each row begins with its number, for a staging table.
    numbered: bool,
    rules: TextRules,
}

/// The columns of one batch.
pub(crate) struct Columns<'a> {
    arrays: &'a [ArrayRef],
    cells: Vec<Cell<'a>>,
    /// The number of fields of a row.
    count: [u8; 2],
}

impl RowWriter {
    /// `strip_nul`: whether NUL characters are removed from text instead of rejected.
    pub(crate) fn new(fields: Arc<[Field]>, numbered: bool, strip_nul: bool) -> Self {
        Self { fields, numbered, rules: TextRules::new(strip_nul) }
    }
}

impl RowEncoder for RowWriter {
    type Columns<'a> = Columns<'a>;

    fn columns<'a>(&'a self, batch: &'a RecordBatch) -> Result<Columns<'a>> {
        let arrays = batch.columns();
        let cell = |(array, field): (&'a ArrayRef, &'a Field)| {
            cell(array, &field.source.column_type, &field.conversion, &self.rules)
        };
        let cells = arrays.iter().zip(self.fields.iter()).map(cell).collect::<Result<_>>()?;
        let count = i16::try_from(self.fields.len() + usize::from(self.numbered)).unwrap_or(i16::MAX).to_be_bytes();
        Ok(Columns { arrays, cells, count })
    }

    fn row(&self, columns: &mut Columns<'_>, row: usize, number: u64, out: &mut Vec<u8>) -> Result<u64, RowError> {
        out.extend_from_slice(&columns.count);
        if self.numbered {
            out.extend_from_slice(&8_i32.to_be_bytes());
            out.extend_from_slice(&number.to_be_bytes());
        }
        let written = self.rules.row(|| {
            for (index, cell) in columns.cells.iter().enumerate() {
                if !columns.arrays[index].is_null(row) {
                    cell(row, out).map_err(|reason| (Some(index), reason))?;
                } else if self.fields[index].not_null {
                    return Err((Some(index), NULL_REFUSED.into()));
                } else {
                    out.extend_from_slice(&NULL.to_be_bytes());
                }
            }
            Ok(())
        });
        written.map(|((), altered)| altered)
    }

    fn shown(batch: &RecordBatch, columns: &[Column], row: usize) -> Option<String> {
        json::shown(batch, columns, row)
    }
}
