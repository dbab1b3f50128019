//! Encoded rows in binary COPY format (<https://www.postgresql.org/docs/current/sql-copy.html>, Binary Format), with
//! what is needed to send some of them again and to report a rejected one.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use bytes::Bytes;
use osiris_core::{Column, Reject, Result};

use super::cell::cell;
use super::convert::Conversion;
use super::text_rules::TextRules;
use super::{ConversionError, NULL};
use crate::types::json;

/// The header of COPY: signature, no flags, no extension.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The trailer of COPY.
pub(crate) const TRAILER: &[u8] = &[0xff, 0xff];

/// A column to write.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The column of the input.
    pub(crate) source: Column,
    /// The name in the table.
    pub(crate) target: String,
    /// The SQL type of the table's column.
    pub(crate) target_type: String,
    pub(crate) conversion: Conversion,
    pub(crate) not_null: bool,
}

/// The limits of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// Encoded rows that are sent together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk {
    bytes: Bytes,
    /// Where each row ends.
    ends: Vec<usize>,
    /// The number of each row in the input, from 1.
    numbers: Vec<u64>,
    /// The rows with changed values, and their number.
    altered: Vec<(usize, u64)>,
    /// The batches of the rows, with the number of their first row, to report a rejected row.
    batches: Vec<(u64, RecordBatch)>,
    columns: Arc<[Column]>,
}

impl Chunk {
    pub(crate) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Some of its rows, without header and trailer.
    pub(crate) fn slice(&self, rows: &Range<usize>) -> Bytes {
        self.bytes.slice(self.start(rows.start)..self.start(rows.end))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of changed values in some of its rows.
    pub(crate) fn altered(&self, rows: &Range<usize>) -> u64 {
        self.altered.iter().filter(|(row, _)| rows.contains(row)).map(|(_, values)| values).sum()
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// One of its rows as a reject.
    pub(crate) fn reject(&self, row: usize, column: Option<String>, reason: String) -> Reject {
        let number = self.numbers.get(row).copied();
        let shown = number.and_then(|number| {
            let (first, batch) = self.batches.iter().rev().find(|(first, _)| *first <= number)?;
            json::shown(batch, &self.columns, usize::try_from(number - first).ok()?)
        });
        Reject { row_number: number, column, reason, row: shown }
    }
}

/// Fills chunks from batches.
pub(crate) struct Encoder {
    fields: Arc<[Field]>,
    columns: Arc<[Column]>,
    limits: Limits,
    /// Whether each row begins with its number, for a staging table.
    numbered: bool,
    rules: TextRules,
    next_number: u64,
    bytes: Vec<u8>,
    chunk: Chunk,
    full: VecDeque<Chunk>,
    refused: Vec<Reject>,
}

impl Encoder {
    /// `strip_nul`: whether NUL characters are removed from text instead of rejected.
    pub(crate) fn new(fields: Arc<[Field]>, limits: Limits, numbered: bool, strip_nul: bool) -> Self {
        let columns: Arc<[Column]> = fields.iter().map(|field| field.source.clone()).collect();
        Self {
            chunk: Chunk { columns: Arc::clone(&columns), ..Chunk::default() },
            fields,
            columns,
            limits,
            numbered,
            rules: TextRules::new(strip_nul),
            next_number: 1,
            bytes: Vec::new(),
            full: VecDeque::new(),
            refused: Vec::new(),
        }
    }

    /// Encodes a batch whose columns are the fields, in order.
    ///
    /// # Errors
    /// For a type that a scan of the run store never returns.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let fields = Arc::clone(&self.fields);
        let rules = std::mem::take(&mut self.rules);
        let done = self.rows(batch, &fields, &rules);
        self.rules = rules;
        done
    }

    fn rows(&mut self, batch: &RecordBatch, fields: &[Field], rules: &TextRules) -> Result<()> {
        let columns = batch.columns();
        let cells = columns
            .iter()
            .zip(fields)
            .map(|(values, field)| cell(values, &field.source.column_type, &field.conversion, rules))
            .collect::<Result<Vec<_>>>()?;
        let count = i16::try_from(fields.len() + usize::from(self.numbered)).unwrap_or(i16::MAX).to_be_bytes();
        let first = self.next_number;
        for row in 0..batch.num_rows() {
            let number = self.next_number;
            self.next_number += 1;
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&count);
            if self.numbered {
                self.bytes.extend_from_slice(&8_i32.to_be_bytes());
                self.bytes.extend_from_slice(&number.to_be_bytes());
            }
            let written = rules.row(|| {
                for (index, cell) in cells.iter().enumerate() {
                    let done = if !columns[index].is_null(row) {
                        cell(row, &mut self.bytes)
                    } else if fields[index].not_null {
                        Err("NULL, but the column is NOT NULL".into())
                    } else {
                        self.bytes.extend_from_slice(&NULL.to_be_bytes());
                        Ok(())
                    };
                    done.map_err(|reason: ConversionError| (index, reason))?;
                }
                Ok(())
            });
            match written {
                Ok(((), altered)) => self.keep(number, altered, first, batch),
                Err((index, reason)) => {
                    self.bytes.truncate(start);
                    self.refused.push(Reject {
                        row_number: Some(number),
                        column: fields.get(index).map(|field| field.source.name.clone()),
                        reason: reason.into_owned(),
                        row: json::shown(batch, &self.columns, row),
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds the row that was encoded last to the chunk.
    fn keep(&mut self, number: u64, altered: u64, first: u64, batch: &RecordBatch) {
        // A chunk keeps only batches with at least one of its rows.
        if self.chunk.batches.last().is_none_or(|(last, _)| *last != first) {
            self.chunk.batches.push((first, batch.clone()));
        }
        if altered > 0 {
            self.chunk.altered.push((self.chunk.ends.len(), altered));
        }
        self.chunk.ends.push(self.bytes.len());
        self.chunk.numbers.push(number);
        if self.bytes.len() >= self.limits.bytes || self.chunk.ends.len() >= self.limits.rows {
            self.cut();
        }
    }

    /// Finishes the current chunk.
    pub(crate) fn cut(&mut self) {
        if self.chunk.ends.is_empty() {
            return;
        }
        let next = Chunk { columns: Arc::clone(&self.columns), ..Chunk::default() };
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        let capacity = self.bytes.len() + self.bytes.len() / 16;
        chunk.bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity)).into();
        self.full.push_back(chunk);
    }

    /// A full chunk.
    pub(crate) fn next(&mut self) -> Option<Chunk> {
        self.full.pop_front()
    }

    /// The rows rejected since the last call.
    pub(crate) fn refused(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.refused)
    }
}
