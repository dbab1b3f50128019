//! The rows of a document that is still being received or read: for responses too large to wait for, and for files. Holds one row at
//! a time, and the envelope.

use serde_json::Value;

use super::cursor::{Cursor, ParseError};
use super::document::{Document, Row};
use super::path::{RowPath, Segment};
use crate::{Error, Result};

/// Finds the rows of a document chunk by chunk.
#[derive(Debug)]
pub struct RowStream {
    path: RowPath,
    names: Vec<String>,
    /// Whether there must be an array of rows.
    needs_array: bool,
    phase: Phase,
    /// Received and not yet processed.
    pending: Vec<u8>,
    /// How many bytes of the document came before those.
    taken: u64,
    /// How many bytes must be pending before the next attempt: else a long row would be read again with every chunk.
    enough: usize,
    /// The document without its rows, as far as it was received.
    envelope: Vec<u8>,
}

/// Why a document cannot be read any further, with the bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFault {
    /// It ends too early.
    Ended,
    /// It is not valid JSON at this byte.
    Syntax(u64),
    /// It is not UTF-8 at this byte.
    Encoding(u64),
    /// It has too many lists and objects inside of each other.
    TooDeep,
    /// There is no array of rows, where one is needed.
    NoArray,
}

/// Why reading has stopped.
#[derive(Debug)]
pub enum StreamStop {
    /// The document is at fault.
    Fault(StreamFault),
    /// Whoever takes the rows has returned this error.
    Error(Error),
}

impl From<StreamFault> for StreamStop {
    fn from(fault: StreamFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for StreamStop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<StreamStop> for Error {
    /// The error of a response. One that ends too early was truncated by the network: that error is retryable.
    fn from(stop: StreamStop) -> Self {
        match stop {
            StreamStop::Error(error) => error,
            StreamStop::Fault(StreamFault::Ended) => ParseError::Ended.into(),
            StreamStop::Fault(StreamFault::TooDeep) => ParseError::TooDeep.into(),
            StreamStop::Fault(StreamFault::Syntax(at)) => {
                Self::validation(format!("the response is not valid JSON at byte {at}"))
            }
            StreamStop::Fault(StreamFault::Encoding(_)) => Self::validation("the response is not valid UTF-8"),
            StreamStop::Fault(StreamFault::NoArray) => Self::validation("the response has no array of rows"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the rows.
    Head,
    /// Among them.
    Rows { first: bool },
    /// After them.
    Tail,
    /// There is no array of rows: the document is kept whole.
    Whole,
}

/// What was found at the end of the path.
enum Target {
    Rows,
    Other,
}

impl RowStream {
    /// A stream whose rows are the items of the array at `path`, which has names only.
    ///
    /// # Errors
    /// When the path has `[*]` or `[n]` in it.
    pub fn new(path: &RowPath) -> Result<Self> {
        let name = |segment: &Segment| match segment {
            Segment::Name(name) => Ok(name.clone()),
            _ => Err(Error::validation(format!("the rows at `{path}` cannot be streamed"))
                .with_hint("use a path of names only, such as `data.items`")),
        };
        let names = path.0.iter().map(name).collect::<Result<_>>()?;
        let (pending, envelope) = (Vec::new(), Vec::new());
        let (needs_array, phase, taken, enough) = (false, Phase::Head, 0, 0);
        Ok(Self { path: path.clone(), names, needs_array, phase, pending, taken, enough, envelope })
    }

    /// The same for a document that must have an array there: without one, it is not read to its end.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn of_array(path: &RowPath) -> Result<Self> {
        Ok(Self { needs_array: true, ..Self::new(path)? })
    }

    /// Adds the next chunk, and passes every row that is complete now to `each`.
    ///
    /// # Errors
    /// What `each` returns; a validation error for invalid JSON.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        Ok(self.push_located(chunk, |row, _| each(row))?)
    }

    /// Like [`push`](Self::push): `each` is also given the byte at which the row begins.
    ///
    /// # Errors
    /// What `each` returns, and what is wrong with the document.
    pub fn push_located(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(Row<'_>, u64) -> Result<()>,
    ) -> Result<(), StreamStop> {
        self.pending.extend_from_slice(chunk);
        if self.pending.len() >= self.enough { self.read(&mut each) } else { Ok(()) }
    }

    /// How many bytes are held: of the row that has begun, and of the document around the rows.
    pub fn held(&self) -> usize {
        self.pending.len() + self.envelope.len()
    }

    /// Ends the document: passes the remaining rows to `each`, and returns the document without its rows.
    ///
    /// # Errors
    /// A network error when the document is truncated; what `each` returns; a validation error for invalid JSON.
    pub fn finish(mut self, mut each: impl FnMut(Row<'_>) -> Result<()>) -> Result<Value> {
        self.read(&mut |row, _| each(row))?;
        match self.phase {
            Phase::Tail => {
                self.envelope.append(&mut self.pending);
                serde_json::from_slice(&self.envelope).map_err(|error| match error.is_eof() {
                    true => Error::from(ParseError::Ended).with_source(error),
                    false => Error::validation("the response is not valid JSON").with_source(error),
                })
            }
            Phase::Whole => {
                let document = Document::parse(self.pending.into(), &self.path)?;
                document.rows().try_for_each(each)?;
                Ok(document.envelope().clone())
            }
            Phase::Head | Phase::Rows { .. } => Err(ParseError::Ended.into()),
        }
    }

    /// Ends the document like [`finish`](Self::finish), for the rows and their bytes alone.
    ///
    /// # Errors
    /// What `each` returns, and what is wrong with the document.
    pub fn finish_located(mut self, mut each: impl FnMut(Row<'_>, u64) -> Result<()>) -> Result<(), StreamStop> {
        self.read(&mut each)?;
        if self.phase != Phase::Tail {
            return Err(StreamFault::Ended.into());
        }
        // What came before the rows and an empty list of them.
        let before = self.envelope.len();
        self.envelope.append(&mut self.pending);
        let text = std::str::from_utf8(&self.envelope)
            .map_err(|error| StreamFault::Encoding(self.taken + error.valid_up_to().saturating_sub(before) as u64))?;
        let mut cursor = Cursor::new(text);
        let read = cursor.skip().and_then(|_| cursor.end());
        Ok(read.map_err(|error| match error {
            ParseError::Ended => StreamFault::Ended,
            ParseError::TooDeep => StreamFault::TooDeep,
            ParseError::Syntax(at) => StreamFault::Syntax(self.taken + at.saturating_sub(before) as u64),
        })?)
    }

    fn read(&mut self, each: &mut impl FnMut(Row<'_>, u64) -> Result<()>) -> Result<(), StreamStop> {
        if self.phase == Phase::Head {
            let text = text(&self.pending, self.taken)?;
            let mut cursor = Cursor::new(text);
            match locate(&mut cursor, &self.names) {
                Err(ParseError::Ended) => return self.wait(),
                Err(error) => return Err(self.fault(error).into()),
                Ok(Target::Other) if self.needs_array => return Err(StreamFault::NoArray.into()),
                Ok(Target::Other) => self.phase = Phase::Whole,
                Ok(Target::Rows) => {
                    let head = cursor.position();
                    self.phase = Phase::Rows { first: true };
                    self.envelope.extend(self.pending.drain(..head));
                    self.taken += head as u64;
                }
            }
        }
        while let Phase::Rows { first } = self.phase {
            if !self.rows(first, each)? {
                return self.wait();
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), StreamStop> {
        self.enough = self.pending.len() * 2;
        Ok(())
    }

    /// Reads the complete rows; returns whether the array has ended.
    fn rows(&mut self, mut first: bool, each: &mut impl FnMut(Row<'_>, u64) -> Result<()>) -> Result<bool, StreamStop> {
        let text = text(&self.pending, self.taken)?;
        let mut cursor = Cursor::new(text);
        let mut done = 0;
        let ended = loop {
            match next_row(&mut cursor, first) {
                // At the very end a number may have more digits.
                Ok(Some(_)) if cursor.position() == text.len() => break false,
                Ok(Some(row)) => each(Row::new(row), self.taken + (cursor.position() - row.len()) as u64)?,
                Ok(None) => break true,
                Err(ParseError::Ended) => break false,
                Err(error) => return Err(self.fault(error).into()),
            }
            first = false;
            done = cursor.position();
        };
        if ended {
            self.envelope.push(b']');
            done = cursor.position();
        }
        self.pending.drain(..done);
        self.taken += done as u64;
        self.phase = if ended { Phase::Tail } else { Phase::Rows { first } };
        Ok(ended)
    }

    /// The fault of the pending text.
    fn fault(&self, error: ParseError) -> StreamFault {
        match error {
            ParseError::Ended => StreamFault::Ended,
            ParseError::TooDeep => StreamFault::TooDeep,
            ParseError::Syntax(at) => StreamFault::Syntax(self.taken + at as u64),
        }
    }
}

/// The received text, without an incomplete character at its end; `taken` bytes came before it.
fn text(bytes: &[u8], taken: u64) -> Result<&str, StreamFault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(StreamFault::Encoding(taken + error.valid_up_to() as u64)),
    }
}

/// Steps to the first row.
fn locate(cursor: &mut Cursor<'_>, names: &[String]) -> Result<Target, ParseError> {
    let Some((name, deeper)) = names.split_first() else {
        return Ok(if cursor.eat(b'[')? { Target::Rows } else { Target::Other });
    };
    if !cursor.eat(b'{')? || cursor.eat(b'}')? {
        return Ok(Target::Other);
    }
    loop {
        if cursor.key()?.unescaped().0 == name.as_str() {
            return locate(cursor, deeper);
        }
        cursor.skip()?;
        if !cursor.another(b'}')? {
            return Ok(Target::Other);
        }
    }
}

/// The next row, or the end of the array.
fn next_row<'a>(cursor: &mut Cursor<'a>, first: bool) -> Result<Option<&'a str>, ParseError> {
    let more = if first { !cursor.eat(b']')? } else { cursor.another(b']')? };
    if more { cursor.skip().map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    const PATH: &str = "data.items";

    /// Rows and envelope, of a document that comes in pieces of this size.
    fn streamed(text: &str, size: usize) -> Result<(Vec<String>, Value)> {
        let mut stream = RowStream::new(&PATH.parse()?)?;
        let mut rows = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            stream.push(piece, |row| {
                rows.push(row.as_str().to_owned());
                Ok(())
            })?;
        }
        let envelope = stream.finish(|row| {
            rows.push(row.as_str().to_owned());
            Ok(())
        })?;
        Ok((rows, envelope))
    }

    fn whole(text: &str) -> (Vec<String>, Value) {
        let document = Document::parse(text.as_bytes().to_vec().into(), &PATH.parse().unwrap()).unwrap();
        (document.rows().map(|row| row.as_str().to_owned()).collect(), document.envelope().clone())
    }

    const DOCUMENTS: [&str; 6] = [
        r#"{"a": [1, {"b": "ü"}], "data": {"x": 1, "items": [ 12, {"k": "é[]}"} ,[3], "s", null ], "y": {}}, "z": "ß"}"#,
        r#"{"data": {"items": []}}"#,
        r#"{"data": {"items": {"one": "row"}}}"#,
        r#"{"data": {"items": null}, "errors": []}"#,
        r#"{"data": null}"#,
        "[1, 2]",
    ];

    #[test]
    fn pieces_of_any_size_make_the_same_rows_as_the_whole() {
        for text in DOCUMENTS {
            for size in 1..=text.len() {
                assert_eq!(streamed(text, size).unwrap(), whole(text), "{text} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_document_that_breaks_off_is_known_as_such() {
        let text = DOCUMENTS[0];
        for end in 0..text.len() {
            let cut = String::from_utf8_lossy(&text.as_bytes()[..end]).replace('\u{fffd}', "");
            let error = streamed(&cut, 7).unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true), "{cut}");
        }
        assert_eq!(streamed(r#"{"data": {"items": [1 2]}}"#, 3).unwrap_err().kind(), ErrorKind::Validation);
        assert!(RowStream::new(&"a[*].b".parse().unwrap()).is_err());
    }

    /// Rows with their bytes, of a document that must have an array and comes in pieces of this size.
    fn located(text: &[u8], size: usize) -> Result<Vec<(String, u64)>, StreamFault> {
        let mut stream = RowStream::of_array(&PATH.parse().unwrap()).unwrap();
        let mut rows = Vec::new();
        let fault = |stop| match stop {
            StreamStop::Fault(fault) => fault,
            StreamStop::Error(error) => panic!("{error}"),
        };
        for piece in text.chunks(size) {
            let each = |row: Row<'_>, at| {
                rows.push((row.as_str().to_owned(), at));
                Ok(())
            };
            stream.push_located(piece, each).map_err(fault)?;
        }
        let each = |row: Row<'_>, at| {
            rows.push((row.as_str().to_owned(), at));
            Ok(())
        };
        stream.finish_located(each).map_err(fault)?;
        Ok(rows)
    }

    #[test]
    fn rows_and_faults_have_their_bytes() {
        for size in 1..=DOCUMENTS[0].len() {
            let rows = located(DOCUMENTS[0].as_bytes(), size).unwrap();
            assert_eq!(rows.len(), 5);
            for (row, at) in rows {
                assert!(DOCUMENTS[0][usize::try_from(at).unwrap()..].starts_with(&row), "{row} at {at}");
            }
            for (text, fault) in [
                (r#"{"data": {"items": [1 2]}}"#.as_bytes(), StreamFault::Syntax(22)),
                (r#"{"data": {"items": [1, 2]}} x"#.as_bytes(), StreamFault::Syntax(28)),
                (r#"{"data": {"items": [1], "x": ?}}"#.as_bytes(), StreamFault::Syntax(29)),
                (b"{\"data\": {\"items\": [\"\xe9\"]}}".as_slice(), StreamFault::Encoding(21)),
                (r#"{"data": {"items": [1]"#.as_bytes(), StreamFault::Ended),
                (r#"{"data": {"items": {}}}"#.as_bytes(), StreamFault::NoArray),
                (r#"{"data": 1}"#.as_bytes(), StreamFault::NoArray),
            ] {
                assert_eq!(located(text, size).unwrap_err(), fault, "{}", String::from_utf8_lossy(text));
            }
        }
    }

    proptest! {
        #[test]
        fn many_rows_of_any_length_are_all_found(lengths in prop::collection::vec(0usize..400, 0..60), size in 1usize..500) {
            let rows: Vec<_> = lengths.iter().map(|length| format!("{{\"t\":\"{}\"}}", "é".repeat(*length))).collect();
            let text = format!("{{\"data\":{{\"items\":[{}]}}}}", rows.join(","));
            prop_assert_eq!(streamed(&text, size).unwrap().0, rows);
        }
    }
}
