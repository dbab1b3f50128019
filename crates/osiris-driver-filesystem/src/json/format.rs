//! Formats record batches as JSON objects: keys in the order of the columns, exact numbers, JSON embedded as it is.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use osiris_core::{ColumnType, Error, Result, TableSchema};

use crate::config::Nulls;
use crate::text::{Style, Values, embedded, not_finite, nulls, string};

/// What stands between rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each is a line.
    Lines,
    /// Each is an element of an array, in a line of its own.
    Array,
}

/// How batches are formatted.
pub(crate) struct Formatter {
    members: Vec<Member>,
    nulls: Nulls,
    layout: Layout,
}

/// The key of a column.
struct Member {
    name: String,
    /// The key in quotes and the colon.
    key: Vec<u8>,
    /// Whether the values are JSON.
    is_json: bool,
}

impl Formatter {
    /// A format for these columns of a table.
    pub(crate) fn new(columns: &[String], schema: &TableSchema, nulls: Nulls, layout: Layout) -> Self {
        let member = |name: &String| {
            let mut key = Vec::new();
            string(name, &mut key);
            key.push(b':');
            let is_json = schema.column(name).is_some_and(|column| column.column_type == ColumnType::Json);
            Member { name: name.clone(), key, is_json }
        };
        Self { members: columns.iter().map(member).collect(), nulls, layout }
    }

    /// Writes the rows of a batch; `first` is the number of its first row, for messages, and `begins` whether that is the first of
    /// the file.
    ///
    /// # Errors
    /// For NaN and infinity, and for JSON that DuckDB alone accepts.
    pub(crate) fn rows(&self, batch: &RecordBatch, first: u64, begins: bool, out: &mut Vec<u8>) -> Result<()> {
        let cells = batch.columns().iter().zip(&self.members).map(|(array, member)| Cells::new(array, member));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            if self.layout == Layout::Array {
                out.extend_from_slice(if begins && row == 0 { b"\n" } else { b",\n" });
            }
            out.push(b'{');
            let start = out.len();
            for cells in &cells {
                let is_null = cells.nulls.is_some_and(|nulls| nulls.is_null(row));
                if is_null && self.nulls == Nulls::Omit {
                    continue;
                }
                if out.len() > start {
                    out.push(b',');
                }
                out.extend_from_slice(&cells.member.key);
                if is_null {
                    out.extend_from_slice(b"null");
                } else {
                    cells.write(row, out).map_err(|error| cells.error(&error, first + row as u64))?;
                }
            }
            out.push(b'}');
            if self.layout == Layout::Lines {
                out.push(b'\n');
            }
        }
        Ok(())
    }
}

/// The values of a column of a batch.
struct Cells<'a> {
    member: &'a Member,
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef, member: &'a Member) -> Result<Self> {
        Ok(Self { member, values: Values::new(array, Style::json())?, nulls: nulls(array) })
    }

    /// Writes the value of a row that is not NULL.
    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        match &self.values {
            Values::Text(texts) if self.member.is_json => embedded(texts.value(row), out)?,
            Values::Text(texts) => string(texts.value(row), out),
            Values::Float32(floats) if !floats.value(row).is_finite() => return Err(not_finite()),
            Values::Float64(floats) if !floats.value(row).is_finite() => return Err(not_finite()),
            Values::Boolean(_) | Values::Nested(..) => self.values.write(row, out)?,
            values if values.is_numeric() => values.write(row, out)?,
            values => {
                out.push(b'"');
                if matches!(values, Values::Bytes(_)) {
                    // The backslash of `\x`.
                    out.push(b'\\');
                }
                values.write(row, out)?;
                out.push(b'"');
            }
        }
        Ok(())
    }

    fn error(&self, error: &Error, row: u64) -> Error {
        Error::validation(format!("row {}, column `{}`: {}", row + 1, self.member.name, error.message()))
            .with_hint(error.hint().unwrap_or_default().to_owned())
    }
}
