//! Formats record batches as CSV: the same batch produces the same bytes, independent of locale and time zone.

use arrow::array::RecordBatch;
use arrow::buffer::NullBuffer;
use chrono::format::Item;
use csv::{QuoteStyle, Terminator};
use osiris_core::{Error, Result};

use crate::config::{CsvWriterConfig, Newline, Quoting};
use crate::text::{Style, Values, date_items, nulls};

const QUOTE: u8 = b'"';
/// U+FEFF in UTF-8: the byte order mark at the start of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// How batches are formatted.
pub(super) struct Formatter {
    delimiter: u8,
    newline: &'static [u8],
    quoting: Quoting,
    null: Vec<u8>,
    date_format: Option<Vec<Item<'static>>>,
    /// Whether a byte forces quotes.
    special: [bool; 256],
    /// Whether the delimiter may occur in numbers and dates.
    check_all: bool,
}

impl Formatter {
    /// The configured format.
    ///
    /// # Errors
    /// For a date format with unknown specifiers.
    pub(super) fn new(config: &CsvWriterConfig, delimiter: u8) -> Result<Self> {
        let mut special = [false; 256];
        for byte in [delimiter, QUOTE, b'\n', b'\r'] {
            special[usize::from(byte)] = true;
        }
        let date_format = config.date_format.as_deref().map(date_items).transpose().map_err(Error::validation)?;
        Ok(Self {
            delimiter,
            newline: match config.newline {
                Newline::Lf => b"\n",
                Newline::Crlf => b"\r\n",
                Newline::Cr => b"\r",
            },
            quoting: config.quoting,
            null: config.null_value.clone().into_bytes(),
            date_format,
            special,
            check_all: delimiter.is_ascii_alphanumeric() || b"+-.: ()\\".contains(&delimiter),
        })
    }

    /// The line terminator.
    pub(super) fn newline(&self) -> &'static [u8] {
        self.newline
    }

    /// Writes the header with `csv`; rows distinguish NULL and the empty string, which `csv` does not support.
    ///
    /// # Errors
    /// For a name that needs quotes with `quoting: none`.
    pub(super) fn header<'a>(&self, names: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) -> Result<()> {
        let names: Vec<&str> = names.collect();
        let mut quoted = matches!(self.quoting, Quoting::All | Quoting::Nonnumeric);
        for (index, name) in names.iter().enumerate() {
            let needed = self.needs_quotes(name.as_bytes()) || (index == 0 && name.as_bytes().starts_with(MARK));
            if needed && self.quoting == Quoting::None {
                return Err(Error::validation(format!(
                    "the column name `{name}` needs quotes, which `quoting: none` forbids"
                ))
                .with_hint("rename the column, or choose another `delimiter` or `quoting: minimal`"));
            }
            // Text that other readers do not misinterpret.
            quoted |= needed && !name.bytes().any(|byte| self.special[usize::from(byte)]);
        }
        let failed = |error| Error::unknown("the header could not be written").with_source(error);
        let terminator = if self.newline == b"\r\n" { Terminator::CRLF } else { Terminator::Any(self.newline[0]) };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .terminator(terminator)
            .quote_style(if quoted { QuoteStyle::Always } else { QuoteStyle::Necessary })
            .from_writer(out);
        writer.write_record(names).map_err(failed)?;
        writer.flush().map_err(|error| failed(error.into()))
    }

    /// Writes the rows of a batch; `first` is the number of its first row, for messages.
    ///
    /// # Errors
    /// For a value that needs quotes with `quoting: none`, or one without text form.
    pub(super) fn rows(&self, batch: &RecordBatch, first: u64, out: &mut Vec<u8>) -> Result<()> {
        let style = Style::plain(self.date_format.as_deref());
        let columns = batch
            .columns()
            .iter()
            .enumerate()
            .map(|(index, array)| Column::new(Values::new(array, style)?, nulls(array), index == 0, self))
            .collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.delimiter);
                }
                if column.nulls.is_some_and(|nulls| nulls.is_null(row)) {
                    out.extend_from_slice(&self.null);
                } else if let Err(NeedsQuotes) = column.write(self, row, out)? {
                    return Err(self.needs_quotes_error(batch, index, first + row as u64));
                }
            }
            out.extend_from_slice(self.newline);
        }
        Ok(())
    }

    fn needs_quotes_error(&self, batch: &RecordBatch, index: usize, row: u64) -> Error {
        let schema = batch.schema();
        Error::validation(format!(
            "row {}, column `{}`: the value needs quotes, which `quoting: none` forbids",
            row + 1,
            schema.field(index).name()
        ))
        .with_hint("choose another `delimiter`, a `null_value` if the text is empty, or `quoting: minimal`")
    }

    /// Whether a reader would misinterpret the text without quotes.
    #[inline]
    fn needs_quotes(&self, text: &[u8]) -> bool {
        // The empty string is always quoted: most readers take an empty field for NULL.
        if text.is_empty() {
            return self.quoting != Quoting::None || self.null.is_empty();
        }
        if text.len() == self.null.len() && text == self.null {
            return true;
        }
        if text.len() < 32 {
            return text.iter().any(|byte| self.special[usize::from(*byte)]);
        }
        memchr::memchr3(self.delimiter, QUOTE, b'\n', text).is_some() || memchr::memchr(b'\r', text).is_some()
    }
}

/// A value needs quotes with `quoting: none`.
struct NeedsQuotes;

/// When the fields of a column are quoted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Always,
    /// Checked for each value.
    Checked,
    /// Never needed.
    Never,
}

struct Column<'a> {
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
    policy: Policy,
    /// Whether a file may begin with one of the values: a byte order mark there is quoted.
    first: bool,
}

impl<'a> Column<'a> {
    fn new(values: Values<'a>, nulls: Option<&'a NullBuffer>, first: bool, formatter: &Formatter) -> Result<Self> {
        let always = match formatter.quoting {
            Quoting::All => true,
            Quoting::Nonnumeric => !values.is_numeric(),
            Quoting::Minimal | Quoting::None => false,
        };
        let checked = values.is_free_text() || formatter.check_all || !formatter.null.is_empty();
        let policy = match (always, checked) {
            (true, _) => Policy::Always,
            (false, true) => Policy::Checked,
            (false, false) => Policy::Never,
        };
        Ok(Self { values, nulls, policy, first })
    }

    #[inline]
    fn write(&self, formatter: &Formatter, row: usize, out: &mut Vec<u8>) -> Result<Result<(), NeedsQuotes>> {
        let start = out.len();
        self.values.write(row, out)?;
        let quotes = match self.policy {
            Policy::Never => false,
            Policy::Always => true,
            Policy::Checked => {
                let text = &out[start..];
                formatter.needs_quotes(text) || (self.first && text.starts_with(MARK))
            }
        };
        if !quotes {
            return Ok(Ok(()));
        }
        if formatter.quoting == Quoting::None {
            return Ok(Err(NeedsQuotes));
        }
        quote_from(start, out);
        Ok(Ok(()))
    }
}

/// Quotes the text written from `start` on.
fn quote_from(start: usize, out: &mut Vec<u8>) {
    let inner = memchr::memchr_iter(QUOTE, &out[start..]).count();
    if inner == 0 {
        out.push(QUOTE);
        out.push(QUOTE);
        let end = out.len();
        out.copy_within(start..end - 2, start + 1);
        out[start] = QUOTE;
        return;
    }
    let text = out.split_off(start);
    out.push(QUOTE);
    for byte in text {
        if byte == QUOTE {
            out.push(QUOTE);
        }
        out.push(byte);
    }
    out.push(QUOTE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    fn config(json: serde_json::Value) -> CsvWriterConfig {
        let mut config = json;
        config["path"] = "x.csv".into();
        serde_json::from_value(config).unwrap()
    }

    fn written(json: serde_json::Value, delimiter: u8) -> Result<String> {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-2)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a,\"b\""), Some(""), None]));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let mut out = Vec::new();
        Formatter::new(&config(json), delimiter)?.rows(&batch, 0, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn null_and_the_empty_text_stay_apart() {
        let text = written(serde_json::json!({}), b',').unwrap();
        assert_eq!(text, "1,\"a,\"\"b\"\"\"\n,\"\"\n-2,\n");
        let text = written(serde_json::json!({"null_value": "NULL"}), b';').unwrap();
        assert_eq!(text, "1;\"a,\"\"b\"\"\"\nNULL;\"\"\n-2;NULL\n");
    }

    #[test]
    fn quoting_is_as_asked() {
        let text = written(serde_json::json!({"quoting": "all", "newline": "crlf"}), b',').unwrap();
        assert_eq!(text, "\"1\",\"a,\"\"b\"\"\"\r\n,\"\"\r\n\"-2\",\r\n");
        let text = written(serde_json::json!({"quoting": "nonnumeric"}), b',').unwrap();
        assert_eq!(text, "1,\"a,\"\"b\"\"\"\n,\"\"\n-2,\n");
    }

    #[test]
    fn a_value_that_needs_forbidden_quotes_is_named() {
        let error = written(serde_json::json!({"quoting": "none"}), b',').unwrap_err();
        assert_eq!(error.message(), "row 1, column `t`: the value needs quotes, which `quoting: none` forbids");
    }

    #[test]
    fn a_delimiter_inside_a_number_forces_quotes() {
        assert!(written(serde_json::json!({}), b'-').unwrap().contains("\"-2\"-"));
        assert!(written(serde_json::json!({"null_value": "1"}), b',').unwrap().starts_with("\"1\","));
    }
}
