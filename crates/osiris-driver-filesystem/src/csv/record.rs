//! Splits UTF-8 bytes into records and fields, by RFC 4180 and the three line endings. It decides nothing about types
//! and keeps no more than one buffer, which grows to the longest record.

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};
use osiris_core::{Code, Error, Result};

use super::ends::FieldEnds;
use crate::error::unpack;

const QUOTE: u8 = b'"';
/// Bytes that are read at a time.
const READ: usize = 1 << 20;

/// A field: where it is in the buffer, quotes excluded.
#[derive(Debug, Clone, Default)]
struct Span {
    range: Range<usize>,
    quoted: bool,
    escaped: bool,
}

/// A field of the current record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Its raw bytes, without surrounding quotes; inner quotes are still doubled.
    pub(crate) raw: &'a [u8],
    /// These and whatever follows them.
    pub(crate) until_end: &'a [u8],
    /// Whether it was quoted.
    pub(crate) quoted: bool,
    /// Whether quotes inside are doubled.
    pub(crate) escaped: bool,
}

impl Field<'_> {
    /// Its text.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(self.raw);
        if self.escaped { text.replace("\"\"", "\"") } else { text.into_owned() }
    }
}

/// How a line ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Endings {
    pub(crate) lf: bool,
    pub(crate) crlf: bool,
    pub(crate) cr: bool,
}

impl Endings {
    /// The ending of uniform lines, as DuckDB's `new_line`.
    pub(crate) fn new_line(self) -> &'static str {
        match self {
            Self { crlf: true, .. } => "\\r\\n",
            Self { cr: true, .. } => "\\r",
            _ => "\\n",
        }
    }

    /// Whether all lines so far have the same ending.
    pub(crate) fn uniform(self) -> bool {
        u8::from(self.lf) + u8::from(self.crlf) + u8::from(self.cr) <= 1
    }
}

/// The next item of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A record.
    Record,
    /// An empty line.
    Blank,
    /// A line that begins with the comment character.
    Comment,
    /// A line with text after a closing quote; the line was skipped.
    AfterQuote,
    /// The end.
    End,
}

/// Reads records from a source of UTF-8.
pub(crate) struct RecordReader<R> {
    source: R,
    name: String,
    delimiter: u8,
    comment: Option<u8>,
    buffer: Vec<u8>,
    /// The start of the current record.
    start: usize,
    /// The start of the next record.
    next: usize,
    /// The end of the validated UTF-8.
    valid: usize,
    /// The offset of the buffer in the source.
    offset: u64,
    ended: bool,
    /// Whether a byte order mark may follow.
    at_start: bool,
    spans: Vec<Span>,
    ends: FieldEnds,
    line: u64,
    next_line: u64,
    endings: Endings,
    longest: usize,
}

impl<R: Read> RecordReader<R> {
    /// A reader at the start of `source`, named `name` in messages. Skips a byte order mark.
    pub(crate) fn new(source: R, name: &str, delimiter: u8, comment: Option<u8>) -> Self {
        Self {
            source,
            name: name.to_owned(),
            delimiter,
            comment,
            buffer: Vec::new(),
            start: 0,
            next: 0,
            valid: 0,
            offset: 0,
            ended: false,
            at_start: true,
            spans: Vec::new(),
            ends: FieldEnds::new(delimiter),
            line: 0,
            next_line: 1,
            endings: Endings::default(),
            longest: 0,
        }
    }

    /// A reader from the middle of a source, where a record begins. Its lines and bytes count from there.
    pub(crate) fn continued(source: R, name: &str, delimiter: u8, comment: Option<u8>) -> Self {
        Self { at_start: false, ..Self::new(source, name, delimiter, comment) }
    }

    /// The fields of the current record.
    pub(crate) fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        self.spans.iter().map(|span| Field {
            raw: &self.buffer[span.range.clone()],
            until_end: &self.buffer[span.range.start..],
            quoted: span.quoted,
            escaped: span.escaped,
        })
    }

    /// How many fields the current record has.
    pub(crate) fn width(&self) -> usize {
        self.spans.len()
    }

    /// The raw text of the current record, including its line ending.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.buffer[self.start..self.next]
    }

    /// The line that the current record begins on, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The line after the current record.
    pub(crate) fn next_line(&self) -> u64 {
        self.next_line
    }

    /// The line endings so far.
    pub(crate) fn endings(&self) -> Endings {
        self.endings
    }

    /// The bytes of the longest record so far.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Bytes of UTF-8 consumed so far.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.next as u64
    }

    /// Skips one line, whatever it has.
    ///
    /// # Errors
    /// As for [`next`](Self::next). Returns false at the end.
    pub(crate) fn skip_line(&mut self) -> Result<bool> {
        self.advance();
        loop {
            if let Some(found) = memchr2(b'\n', b'\r', &self.buffer[self.next..self.valid]) {
                let at = self.next + found;
                if let Some(end) = self.line_end(at) {
                    self.next = end;
                    self.next_line += 1;
                    return Ok(true);
                }
            }
            if !self.fill()? {
                let more = self.next < self.buffer.len();
                self.next = self.buffer.len();
                self.next_line += u64::from(more);
                return Ok(more);
            }
        }
    }

    /// Whether the skipped line, or the comment, has a quote.
    pub(crate) fn line_has_quote(&self) -> bool {
        memchr(QUOTE, &self.buffer[self.start..self.next]).is_some()
    }

    /// Reads the next record or other line.
    ///
    /// # Errors
    /// When the source cannot be read, is not UTF-8, or ends inside quotes.
    pub(crate) fn next(&mut self) -> Result<Next> {
        self.advance();
        loop {
            match self.split() {
                Some(next) => {
                    self.longest = self.longest.max(self.next - self.start);
                    return Ok(next);
                }
                None if self.ended => return Err(self.unclosed()),
                None => {
                    self.fill()?;
                }
            }
        }
    }

    fn advance(&mut self) {
        self.start = self.next;
        self.line = self.next_line;
        self.spans.clear();
    }

    /// Splits the record at `start`. None when the buffer ends before the record does.
    fn split(&mut self) -> Option<Next> {
        self.spans.clear();
        let mut at = self.start;
        if at == self.valid {
            return if self.ended { Some(Next::End) } else { None };
        }
        if Some(self.buffer[at]) == self.comment {
            self.next = self.end_of_line(at)?;
            self.next_line = self.line + 1;
            return Some(Next::Comment);
        }
        let mut lines = 0;
        loop {
            let (span, end) = if at < self.valid && self.buffer[at] == QUOTE {
                let (span, end) = self.quoted(at)?;
                lines += line_ends(&self.buffer[span.range.clone()]);
                (span, end)
            } else {
                let end = match self.ends.next(&self.buffer[..self.valid], at) {
                    Some(found) => found,
                    None if self.ended => self.valid,
                    None => return None,
                };
                (Span { range: at..end, quoted: false, escaped: false }, end)
            };
            self.spans.push(span);
            if end < self.valid && self.buffer[end] == self.delimiter {
                at = end + 1;
                if at == self.valid && !self.ended {
                    return None;
                }
                continue;
            }
            let ends_here = end == self.valid || matches!(self.buffer[end], b'\n' | b'\r');
            if !ends_here {
                self.next = self.end_of_line(end)?;
                self.next_line = self.line + lines as u64 + 1;
                return Some(Next::AfterQuote);
            }
            self.next = self.line_end(end)?;
            self.next_line = self.line + lines as u64 + 1;
            let blank = self.spans.len() == 1 && end == self.start;
            return Some(if blank { Next::Blank } else { Next::Record });
        }
    }

    /// The quoted field that begins at `at`, and the byte after its closing quote.
    fn quoted(&self, at: usize) -> Option<(Span, usize)> {
        let begin = at + 1;
        let mut from = begin;
        let mut escaped = false;
        loop {
            let found = from + memchr(QUOTE, &self.buffer[from..self.valid])?;
            match self.buffer.get(found + 1) {
                Some(&QUOTE) if found + 1 < self.valid => {
                    escaped = true;
                    from = found + 2;
                }
                None if !self.ended => return None,
                _ if found + 1 >= self.valid && !self.ended => return None,
                _ => return Some((Span { range: begin..found, quoted: true, escaped }, found + 1)),
            }
        }
    }

    /// The end of the line that ends at `at`; records its ending. `None` when another byte is needed.
    fn line_end(&mut self, at: usize) -> Option<usize> {
        match self.buffer.get(at) {
            None => Some(at),
            Some(b'\n') => {
                self.endings.lf = true;
                Some(at + 1)
            }
            Some(_) => match self.buffer.get(at + 1) {
                Some(b'\n') => {
                    self.endings.crlf = true;
                    Some(at + 2)
                }
                None if !self.ended => None,
                _ => {
                    self.endings.cr = true;
                    Some(at + 1)
                }
            },
        }
    }

    fn end_of_line(&mut self, from: usize) -> Option<usize> {
        match memchr2(b'\n', b'\r', &self.buffer[from..self.valid]) {
            Some(found) => self.line_end(from + found),
            None if self.ended => Some(self.valid),
            None => None,
        }
    }

    /// Reads more data. Returns false at the end of the source.
    fn fill(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.offset += self.start as u64;
            self.next -= self.start;
            self.valid -= self.start;
            self.start = 0;
        }
        self.ends.forget();
        let kept = self.buffer.len();
        // A record longer than the buffer doubles it, so that reading it stays linear.
        let wanted = READ.max(kept);
        let taken = (&mut self.source)
            .take(wanted as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|error| unpack("cannot be read", &self.name, error))?;
        self.ended = taken < wanted;
        if self.at_start && self.offset == 0 && kept == 0 && self.buffer.starts_with(b"\xEF\xBB\xBF") {
            self.start = 3;
            self.next = 3;
            self.valid = 3;
        }
        self.check_utf8()?;
        Ok(taken > 0)
    }

    fn check_utf8(&mut self) -> Result<()> {
        match std::str::from_utf8(&self.buffer[self.valid..]) {
            Ok(_) => self.valid = self.buffer.len(),
            Err(error) if error.error_len().is_none() && !self.ended => self.valid += error.valid_up_to(),
            Err(error) => return Err(self.not_utf8(self.valid + error.valid_up_to())),
        }
        Ok(())
    }

    fn not_utf8(&self, at: usize) -> Error {
        let lines = memchr_iter(b'\n', &self.buffer[self.start..at]).count() as u64;
        let offset = self.offset + at as u64;
        let error = Error::validation(format!(
            "`{}` is not UTF-8: byte {offset} on line {} is not valid",
            self.name,
            self.next_line.max(self.line) + lines
        ));
        error.with_code(Code::InvalidEncoding).with_hint(match self.buffer.first_chunk::<2>() {
            Some([0xFF, 0xFE] | [0xFE, 0xFF]) if self.offset == 0 => {
                "the file begins with a UTF-16 byte order mark: set `encoding: utf-16`"
            }
            _ => "set `encoding` to that of the file, such as `latin-1`, `windows-1250` or `utf-16`",
        })
    }

    fn unclosed(&self) -> Error {
        Error::validation(format!("`{}`: unclosed quote on line {}", self.name, self.unclosed_line()))
            .with_code(Code::BadLine)
            .with_hint("close it, or double it if it is part of the text: `\"\"`")
    }

    /// The line of the opening quote: that of the record, plus the lines inside its earlier fields.
    fn unclosed_line(&self) -> u64 {
        let inner: usize = self.spans.iter().map(|span| line_ends(&self.buffer[span.range.clone()])).sum();
        self.line + inner as u64
    }
}

/// Most quoted texts have no line end, and to look for one is faster than to count them.
fn line_ends(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(0, |first| memchr_iter(b'\n', &text[first..]).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every record meets the end of the buffer.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = usize::from(!self.0.is_empty() && !buffer.is_empty());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        let mut reader = RecordReader::new(Trickle(text.as_bytes()), "t.csv", b',', Some(b'#'));
        let mut rows = Vec::new();
        loop {
            match reader.next().unwrap() {
                Next::End => return rows,
                Next::Record => rows.push((reader.line(), reader.fields().map(|field| field.text()).collect())),
                Next::Blank => rows.push((reader.line(), vec![])),
                Next::Comment | Next::AfterQuote => {}
            }
        }
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
        (line, fields.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn fields_are_split_at_delimiters_and_lines() {
        assert_eq!(rows("a,b\n1,\n,2"), [row(1, &["a", "b"]), row(2, &["1", ""]), row(3, &["", "2"])]);
        assert_eq!(rows("a,b,"), [row(1, &["a", "b", ""])]);
        assert_eq!(rows("x\r\ny\rz\n"), [row(1, &["x"]), row(2, &["y"]), row(3, &["z"])]);
    }

    #[test]
    fn quotes_hold_delimiters_lines_and_doubled_quotes() {
        assert_eq!(rows("\"a,\"\"b\n\",c\nd,e\n"), [row(1, &["a,\"b\n", "c"]), row(3, &["d", "e"])]);
        assert_eq!(rows("\"\"\n"), [row(1, &[""])]);
        assert_eq!(rows("5\" pipe,x\"y\n"), [row(1, &["5\" pipe", "x\"y"])]);
    }

    #[test]
    fn blank_lines_comments_and_a_byte_order_mark_are_told_apart() {
        assert_eq!(rows("\u{feff}a\n\n# no\nb\n"), [row(1, &["a"]), row(2, &[]), row(4, &["b"])]);
    }

    #[test]
    fn an_unclosed_quote_names_the_line_it_opened_on() {
        let mut reader = RecordReader::new("a,b\n1,\"x\ny\n".as_bytes(), "t.csv", b',', None);
        assert_eq!(reader.next().unwrap(), Next::Record);
        let error = reader.next().unwrap_err();
        assert_eq!(error.message(), "`t.csv`: unclosed quote on line 2");
    }

    #[test]
    fn text_behind_a_closing_quote_is_told() {
        let mut reader = RecordReader::new("\"a\"b,c\nd,e\n".as_bytes(), "t.csv", b',', None);
        assert_eq!(reader.next().unwrap(), Next::AfterQuote);
        assert_eq!(reader.next().unwrap(), Next::Record);
        assert_eq!(reader.line(), 2);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_with_line_and_offset() {
        let mut reader = RecordReader::new(b"a,b\n1,\xff\n".as_slice(), "t.csv", b',', None);
        let error = reader.next().unwrap_err();
        assert_eq!(error.message(), "`t.csv` is not UTF-8: byte 6 on line 2 is not valid");
    }
}
