//! The head of a CSV file: skipped rows, the header, and the start of the records.

use std::io::Read;

use osiris_core::{Code, Error, Result};

use super::dialect::Dialect;
use super::header::{from_header, numbered};
use super::record::{Next, RecordReader};
use super::scan::{ScanOptions, after_quote, fields};
use crate::config::Header;

/// The position of the reader once the names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// After the header.
    BehindHeader,
    /// At the first record, which was read for its width.
    OnRecord,
}

/// The head of a file.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) start: Start,
    /// The names of the columns.
    pub(super) names: Vec<String>,
    /// Whether a skipped line has a quote, which may be unbalanced.
    pub(super) passed_quote: bool,
}

/// Reads up to the first record and finds the names of the columns.
///
/// # Errors
/// When there is no header, or `columns` has another number of names.
pub(super) fn read<R: Read>(reader: &mut RecordReader<R>, name: &str, options: &ScanOptions<'_>) -> Result<Head> {
    let dialect = options.dialect;
    let mut passed_quote = false;
    for _ in 0..dialect.skip_rows {
        reader.skip_line()?;
        passed_quote |= reader.line_has_quote();
    }
    let rows_above = match dialect.header {
        Header::Present(_) => 0,
        Header::Row(row) => row,
    };
    // Rows are records: a line break in quotes does not end one, unlike the lines of `skip_rows`.
    for _ in 0..rows_above {
        if reader.next()? == Next::End {
            return Err(empty(name, dialect));
        }
        passed_quote |= reader.line_has_quote();
    }
    let head = |start, names, passed_quote| Ok(Head { start, names, passed_quote });
    loop {
        match reader.next()? {
            Next::Record => break,
            Next::Blank => {}
            Next::Comment => passed_quote |= reader.line_has_quote(),
            Next::AfterQuote => return Err(after_quote(name, reader.line())),
            Next::End => {
                return match (dialect.header, options.names) {
                    (Header::Present(false), Some(names)) => head(Start::BehindHeader, names.to_vec(), passed_quote),
                    _ => Err(empty(name, dialect)),
                };
            }
        }
    }
    if dialect.header == Header::Present(false) {
        let names = match options.names {
            Some(names) if names.len() != reader.width() => return Err(miscounted(name, names.len(), reader)),
            Some(names) => names.to_vec(),
            None => numbered(reader.width()),
        };
        return head(Start::OnRecord, names, passed_quote);
    }
    let written: Vec<String> = reader.fields().map(|field| field.text()).collect();
    head(Start::BehindHeader, from_header(name, &written), passed_quote)
}

fn empty(name: &str, dialect: &Dialect) -> Error {
    if dialect.skip_rows > 0 || matches!(dialect.header, Header::Row(1..)) {
        return Error::validation(format!("`{name}` ends within the rows to skip"))
            .with_hint("lower `skip_rows` or `header`");
    }
    Error::validation(format!("`{name}` is empty: it has no header"))
        .with_code(Code::InvalidFile)
        .with_hint("check how the file was created: a file without rows still needs a header")
}

fn miscounted<R: Read>(name: &str, names: usize, reader: &RecordReader<R>) -> Error {
    Error::validation(format!(
        "`{name}`: `columns` has {names}, but line {} has {}",
        reader.line(),
        fields(reader.width())
    ))
    .with_hint("with `header: false`, name every column of the file")
}
