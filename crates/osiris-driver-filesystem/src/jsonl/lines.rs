//! The lines of a text in UTF-8, one at a time.

use std::io::{BufRead as _, BufReader, Read};
use std::string::FromUtf8Error;

use osiris_core::rows::Row;
use osiris_core::{Code, Error, Result};

use crate::error::unpack;
use crate::json::{At, RowReader, RowSource};

/// The longest line: a file without line ends is something else.
const MAX_LINE: u64 = 256 << 20;
/// U+FEFF in UTF-8: the byte order mark at the start of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Files with an object in each line.
pub(super) struct Lines;

impl RowSource for Lines {
    fn read(&self, source: &mut dyn Read, name: &str, rows: &mut RowReader<'_>) -> Result<()> {
        let mut lines = LineReader::new(source, name);
        while !rows.is_full() && lines.advance()? {
            if lines.number == 1 && !rows.rejects_bad() && lines.text().trim_start().starts_with('[') {
                let error = Error::validation(format!("`{name}` is an array, not JSON lines"));
                return Err(error.with_code(Code::BadLine).with_hint("read it with `filesystem.json_extractor`"));
            }
            rows.add(&Row::new(lines.text()), &At { name, number: lines.number, byte: None })?;
        }
        Ok(())
    }
}

/// Reads lines, without those that are blank.
pub(super) struct LineReader<'a> {
    source: BufReader<&'a mut dyn Read>,
    name: &'a str,
    line: String,
    /// The number of the line, from 1.
    number: u64,
    /// Where the line begins in the source, and how many bytes it has there.
    start: u64,
    length: u64,
}

impl<'a> LineReader<'a> {
    /// A reader at the start of `source`, named `name` in messages.
    pub(super) fn new(source: &'a mut dyn Read, name: &'a str) -> Self {
        let source = BufReader::with_capacity(1 << 18, source);
        Self { source, name, line: String::new(), number: 0, start: 0, length: 0 }
    }

    /// Steps to the next line that is not blank; false at the end. A byte order mark is accepted at the start.
    ///
    /// # Errors
    /// When the source cannot be read, is not UTF-8, or has a line that is too long.
    pub(super) fn advance(&mut self) -> Result<bool> {
        loop {
            let mut bytes = std::mem::take(&mut self.line).into_bytes();
            bytes.clear();
            self.start += self.length;
            let read = self.source.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes);
            self.length = read.map_err(|error| unpack("cannot be read", self.name, error))? as u64;
            if self.length == 0 {
                return Ok(false);
            }
            self.number += 1;
            if self.length > MAX_LINE {
                return Err(self.too_long());
            }
            let text = String::from_utf8(bytes);
            self.line = text.map_err(|error| self.not_utf8(&error))?;
            if self.number == 1 && self.line.as_bytes().starts_with(MARK) {
                self.line.drain(..MARK.len());
            }
            if !self.line.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
                return Ok(true);
            }
        }
    }

    /// The current line, without its end.
    pub(super) fn text(&self) -> &str {
        self.line.trim_end_matches(['\n', '\r'])
    }

    /// Its number, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn too_long(&self) -> Error {
        Error::validation(format!("`{}`: line {} is longer than {} MiB", self.name, self.number, MAX_LINE >> 20))
            .with_code(Code::BadLine)
            .with_hint(
                "each line must be one JSON object: a file that is one array is read by `filesystem.json_extractor`",
            )
    }

    fn not_utf8(&self, error: &FromUtf8Error) -> Error {
        let at = error.utf8_error().valid_up_to();
        let offset = self.start + at as u64;
        let marked = self.start == 0 && matches!(error.as_bytes(), [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]);
        let error = Error::validation(format!(
            "`{}` is not UTF-8: byte {offset} on line {} is not valid",
            self.name, self.number
        ));
        error.with_code(Code::InvalidEncoding).with_hint(match marked {
            true => {
                "the file begins with a UTF-16 byte order mark: convert it, for example with `iconv -f UTF-16 -t UTF-8`"
            }
            false => "JSON lines are UTF-8: convert the file, for example with `iconv -f LATIN1 -t UTF-8`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut bytes: &[u8]) -> Result<Vec<(u64, String)>> {
        let mut reader = LineReader::new(&mut bytes, "f");
        let mut lines = Vec::new();
        while reader.advance()? {
            lines.push((reader.number(), reader.text().to_owned()));
        }
        Ok(lines)
    }

    #[test]
    fn blank_lines_count_and_a_mark_is_taken_off_the_start_only() {
        let read = lines("\u{feff}{}\r\n\n \t\r\n\u{feff}[]\n1".as_bytes()).unwrap();
        assert_eq!(read, [(1, "{}".to_owned()), (4, "\u{feff}[]".to_owned()), (5, "1".to_owned())]);
        assert!(lines("\u{feff}".as_bytes()).unwrap().is_empty());
        assert!(lines(b"").unwrap().is_empty());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_with_line_and_offset() {
        let error = lines(b"{}\n{\"a\": \"caf\xe9\"}\n").unwrap_err();
        assert_eq!(error.message(), "`f` is not UTF-8: byte 13 on line 2 is not valid");
        let error = lines(b"\xff\xfe{\0}\0").unwrap_err();
        assert!(error.hint().unwrap().contains("UTF-16"), "{error:?}");
    }
}
