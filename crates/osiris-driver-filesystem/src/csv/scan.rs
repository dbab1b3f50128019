//! Scans every byte of a CSV file once before DuckDB reads it: names, types, rows, bad lines, encoding. If the file
//! is ambiguous for DuckDB, a plain copy is written at the same time.

use std::io::{Read, Write};

use osiris_core::{Code, Error, Reject, Result};

use super::dialect::Dialect;
use super::head::{self, Start};
use super::infer::ColumnProfile;
use super::record::{Field, Next, RecordReader};
use crate::config::OnBadLines;
use crate::error::io_error;

/// The options of a scan.
pub(crate) struct ScanOptions<'a> {
    pub(crate) dialect: &'a Dialect,
    pub(crate) on_bad_lines: OnBadLines,
    /// Maximum number of rows.
    pub(crate) limit: Option<u64>,
    /// Maximum number of rejects to keep; the rest is only counted.
    pub(crate) keep_rejects: u64,
    /// The columns of the file, if it has no header.
    pub(crate) names: Option<&'a [String]>,
    /// Rows whose line numbers are requested, from 1, sorted.
    pub(crate) locate: &'a [u64],
    /// Called with the bytes of each piece read; ends the scan by an error.
    pub(crate) on_bytes: &'a (dyn Fn(u64) -> Result<()> + Sync),
}

/// The result of scanning a file.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// The names of the columns, unique.
    pub(crate) names: Vec<String>,
    /// One for each column.
    pub(crate) profiles: Vec<ColumnProfile>,
    /// The number of rows to load.
    pub(crate) rows: u64,
    /// The first bad lines.
    pub(crate) rejects: Vec<Reject>,
    /// How many there were.
    pub(crate) rejected: u64,
    /// The line numbers of the requested rows.
    pub(crate) located: Vec<u64>,
    /// Lines before the first record.
    pub(crate) preamble: u64,
    /// The bytes of the longest record.
    pub(crate) longest: usize,
    /// The line ending, as DuckDB's `new_line`.
    pub(crate) new_line: &'static str,
    /// Whether DuckDB reads the original file in the same way.
    pub(crate) plain: bool,
}

impl Scanned {
    /// Merges the scan of the following records. False when their line ending differs.
    pub(super) fn absorb(&mut self, behind: Self) -> bool {
        for (profile, other) in self.profiles.iter_mut().zip(&behind.profiles) {
            profile.merge(other);
        }
        self.rows += behind.rows;
        self.longest = self.longest.max(behind.longest);
        self.new_line == behind.new_line
    }
}

/// A plain copy of the records being written: one line ending, NULL as an empty field, no header, no comments, no blank
/// lines.
pub(crate) struct Copy<'a> {
    pub(crate) file: &'a mut dyn Write,
    pub(crate) name: String,
}

/// The delimiter of a plain copy. DuckDB ignores a space after a closing quote, so it cannot be a space.
pub(crate) fn copied_delimiter(delimiter: u8) -> u8 {
    if delimiter == b' ' { b',' } else { delimiter }
}

/// Scans `source`, named `name` in messages.
///
/// # Errors
/// When the file is empty, not UTF-8, has a bad line (unless these are rejected), or cannot be read.
pub(crate) fn scan(
    source: &mut dyn Read,
    name: &str,
    options: &ScanOptions<'_>,
    copy: Option<&mut Copy<'_>>,
) -> Result<Scanned> {
    Ok(Scan::start(source, name, options, copy)?.until(None)?.0)
}

/// The error for text after a closing quote.
pub(super) fn after_quote(name: &str, line: u64) -> Error {
    Error::validation(format!("`{name}`: line {line} has text after a closing quote"))
        .with_code(Code::BadLine)
        .with_hint("double the quotes inside the text (`\"\"`), check `delimiter`, or set `on_bad_lines: reject`")
}

/// `1 field`, `2 fields`.
pub(super) fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

/// A scan in the middle of a file.
pub(super) struct Scan<'a, 'c, 'f, R> {
    reader: RecordReader<R>,
    tally: Tally<'a, 'c, 'f>,
}

impl<'a, 'c, 'f, R: Read> Scan<'a, 'c, 'f, R> {
    /// Starts at the head of the file and reads the names.
    ///
    /// # Errors
    /// As for [`scan`].
    pub(super) fn start(
        source: R,
        name: &'a str,
        options: &'a ScanOptions<'a>,
        copy: Option<&'c mut Copy<'f>>,
    ) -> Result<Self> {
        let dialect = options.dialect;
        let mut reader = RecordReader::new(source, name, dialect.delimiter(name), dialect.comment);
        let head = head::read(&mut reader, name, options)?;
        let mut tally = Tally::new(name, options, head.names, copy);
        // DuckDB's `skip` counts records, and a quote may join many lines into one.
        tally.scanned.plain &= !head.passed_quote;
        if head.start == Start::OnRecord {
            tally.scanned.preamble = reader.line() - 1;
            tally.record(&reader)?;
        } else {
            tally.scanned.preamble = reader.next_line() - 1;
            // DuckDB's `skip` cannot count a line end inside the header.
            tally.scanned.plain &= reader.next_line() == reader.line() + 1;
        }
        Ok(Self { reader, tally })
    }

    /// Starts at a record, in a file with these column `names`.
    pub(super) fn continued(source: R, name: &'a str, options: &'a ScanOptions<'a>, names: Vec<String>) -> Self {
        let reader = RecordReader::continued(source, name, options.dialect.delimiter(name), options.dialect.comment);
        Self { reader, tally: Tally::new(name, options, names, None) }
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.tally.scanned.names
    }

    /// Scans the records that begin before `end`, or all of them. Returns where the next one begins.
    ///
    /// # Errors
    /// As for [`scan`].
    pub(super) fn until(mut self, end: Option<u64>) -> Result<(Scanned, u64)> {
        self.tally.records(&mut self.reader, end.unwrap_or(u64::MAX))?;
        let mut scanned = self.tally.scanned;
        scanned.plain &= self.reader.endings().uniform();
        scanned.new_line = self.reader.endings().new_line();
        scanned.longest = self.reader.longest();
        Ok((scanned, self.reader.position()))
    }
}

struct Tally<'a, 'c, 'f> {
    name: &'a str,
    options: &'a ScanOptions<'a>,
    skip_blank: bool,
    scanned: Scanned,
    copy: Option<&'c mut Copy<'f>>,
    /// The current line of the copy.
    line: Vec<u8>,
}

impl<'a, 'c, 'f> Tally<'a, 'c, 'f> {
    fn new(name: &'a str, options: &'a ScanOptions<'a>, names: Vec<String>, copy: Option<&'c mut Copy<'f>>) -> Self {
        let scanned = Scanned {
            profiles: vec![ColumnProfile::default(); names.len()],
            rows: 0,
            rejects: Vec::new(),
            rejected: 0,
            located: Vec::new(),
            preamble: 0,
            longest: 0,
            new_line: "\\n",
            plain: options.dialect.delimiter(name) != b' ',
            names,
        };
        let skip_blank = options.dialect.skips_blank_lines(scanned.names.len());
        Self { name, options, skip_blank, scanned, copy, line: Vec::new() }
    }

    fn full(&self) -> bool {
        self.options.limit.is_some_and(|limit| self.scanned.rows >= limit)
    }

    fn records<R: Read>(&mut self, reader: &mut RecordReader<R>, end: u64) -> Result<()> {
        let mut reported = reader.position();
        while !self.full() && reader.position() < end {
            match reader.next()? {
                Next::Record => self.record(reader)?,
                // DuckDB also skips such lines, but reads them as NULL if there is one column.
                Next::Blank if self.skip_blank => self.scanned.plain &= self.scanned.names.len() > 1,
                Next::Blank => self.blank(reader)?,
                Next::Comment => self.scanned.plain = false,
                Next::AfterQuote => {
                    self.bad_line(reader, after_quote(self.name, reader.line()), "text after a closing quote")?;
                }
                Next::End => break,
            }
            if reader.position() - reported >= 1 << 20 {
                (self.options.on_bytes)(reader.position() - reported)?;
                reported = reader.position();
            }
        }
        (self.options.on_bytes)(reader.position() - reported)
    }

    fn record<R: Read>(&mut self, reader: &RecordReader<R>) -> Result<()> {
        let width = self.scanned.names.len();
        if reader.width() != width {
            let (line, found) = (reader.line(), fields(reader.width()));
            let error = Error::validation(format!("`{}`: line {line} has {found}, expected {width}", self.name))
                .with_code(Code::BadLine)
                .with_hint("fix the line, check `delimiter`, or set `on_bad_lines: reject`");
            return self.bad_line(reader, error, &format!("{found}, expected {width}"));
        }
        let na_values = &self.options.dialect.na_values;
        for (profile, field) in self.scanned.profiles.iter_mut().zip(reader.fields()) {
            let null = field.raw.is_empty() || (!na_values.is_empty() && is_na(&field, na_values));
            // DuckDB skips spaces before a quote and reads the rest as a quoted field.
            self.scanned.plain &= field.quoted || field.raw.first() != Some(&b' ') || !field.raw.contains(&b'"');
            if !null {
                if field.escaped {
                    profile.observe(b"\"");
                } else {
                    profile.observe_prefix(field.until_end, field.raw.len());
                }
            } else if field.quoted {
                profile.quoted_null = true;
            }
        }
        self.count(reader.line());
        self.copy_record(reader)
    }

    fn count(&mut self, line: u64) {
        self.scanned.rows += 1;
        if self.options.locate.get(self.scanned.located.len()) == Some(&self.scanned.rows) {
            self.scanned.located.push(line);
        }
    }

    /// An empty line that is a row of NULLs.
    fn blank<R: Read>(&mut self, reader: &RecordReader<R>) -> Result<()> {
        let width = self.scanned.names.len();
        self.scanned.plain &= width == 1;
        self.count(reader.line());
        if self.copy.is_some() {
            let delimiter = copied_delimiter(self.options.dialect.delimiter(self.name));
            self.line.clear();
            self.line.resize(width - 1, delimiter);
            self.write_line(reader.line())?;
        }
        Ok(())
    }

    fn bad_line<R: Read>(&mut self, reader: &RecordReader<R>, error: Error, reason: &str) -> Result<()> {
        if self.options.on_bad_lines == OnBadLines::Error {
            return Err(error);
        }
        self.scanned.plain = false;
        self.scanned.rejected += 1;
        if self.scanned.rejected <= self.options.keep_rejects {
            let text = String::from_utf8_lossy(reader.raw());
            self.scanned.rejects.push(Reject {
                row_number: Some(reader.line()),
                column: None,
                reason: format!("`{}`: {reason}", self.name),
                row: Some(text.trim_end_matches(['\n', '\r']).to_owned()),
            });
        }
        Ok(())
    }

    fn copy_record<R: Read>(&mut self, reader: &RecordReader<R>) -> Result<()> {
        if self.copy.is_none() {
            return Ok(());
        }
        let original = self.options.dialect.delimiter(self.name);
        let delimiter = copied_delimiter(original);
        self.line.clear();
        for (index, field) in reader.fields().enumerate() {
            if index > 0 {
                self.line.push(delimiter);
            }
            if is_na(&field, &self.options.dialect.na_values) {
                continue;
            }
            if field.quoted {
                self.line.push(b'"');
                self.line.extend_from_slice(field.raw);
                self.line.push(b'"');
            } else if field.raw.contains(&b'"') || (original != delimiter && field.raw.contains(&delimiter)) {
                self.line.push(b'"');
                self.line.extend(
                    field
                        .raw
                        .iter()
                        .flat_map(|byte| if *byte == b'"' { [Some(b'"'); 2] } else { [Some(*byte), None] })
                        .flatten(),
                );
                self.line.push(b'"');
            } else {
                self.line.extend_from_slice(field.raw);
            }
        }
        self.write_line(reader.line())
    }

    fn write_line(&mut self, line: u64) -> Result<()> {
        self.line.push(b'\n');
        let Some(copy) = &mut self.copy else { return Ok(()) };
        copy.file.write_all(&self.line).map_err(|error| {
            io_error("could not be copied to the scratch directory", &copy.name, error).with_context("line", line)
        })
    }
}

/// Whether the field is a NULL value.
fn is_na(field: &Field<'_>, na_values: &[String]) -> bool {
    if field.escaped {
        return na_values.iter().any(|na| *na == field.text());
    }
    na_values.iter().any(|na| na.as_bytes() == field.raw)
}
