//! The top of a CSV file: rows to skip, the line of names, and where the records begin.

use std::io::Read;

use osiris_core::{Error, Result};

use super::dialect::Dialect;
use super::header::{numbered, unique};
use super::record::{Next, RecordReader};
use super::scan::{ScanOptions, after_quote, fields};
use crate::config::Header;

/// Where the reader stands once the names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Behind the header.
    BehindHeader,
    /// On the first record, which had to be looked at for its width.
    OnRecord,
}

/// What the top of a file came to.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) start: Start,
    /// The names of the columns.
    pub(super) names: Vec<String>,
    /// Whether a line that was passed over has a quote: it need not be one of a pair.
    pub(super) passed_quote: bool,
}

/// Reads up to the first record and finds the names of the columns.
///
/// # Errors
/// There is not even a header, or `columns` does not name as many as there are.
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
    let trimmed: Vec<&str> = written.iter().map(|name| name.trim()).collect();
    let (names, changed) = unique(&trimmed);
    if changed {
        tracing::warn!(file = name, columns = ?names, "the header has empty or repeated names; they were made unique");
    }
    head(Start::BehindHeader, names, passed_quote)
}

fn empty(name: &str, dialect: &Dialect) -> Error {
    if dialect.skip_rows > 0 || matches!(dialect.header, Header::Row(1..)) {
        return Error::validation(format!("`{name}` has nothing behind the rows to skip"))
            .with_hint("lower `skip_rows` or `header`");
    }
    Error::validation(format!("`{name}` is empty: it has not even a header"))
        .with_hint("check what made the file; a file without rows still needs its header")
}

fn miscounted<R: Read>(name: &str, names: usize, reader: &RecordReader<R>) -> Error {
    Error::validation(format!(
        "`{name}`: `columns` names {names}, line {} has {}",
        reader.line(),
        fields(reader.width())
    ))
    .with_hint("with `header: false`, name every column of the file")
}
