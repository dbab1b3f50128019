//! The rows of a document that is still being received: for responses too large to wait for. Holds one row at a time,
//! and the envelope.

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
    phase: Phase,
    /// Received and not yet processed.
    pending: Vec<u8>,
    /// How many bytes must be pending before the next attempt: else a long row would be read again with every chunk.
    enough: usize,
    /// The document without its rows, as far as it was received.
    envelope: Vec<u8>,
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
        Ok(Self { path: path.clone(), names, phase: Phase::Head, pending, enough: 0, envelope })
    }

    /// Adds the next chunk, and passes every row that is complete now to `each`.
    ///
    /// # Errors
    /// What `each` returns; a validation error for invalid JSON.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        self.pending.extend_from_slice(chunk);
        if self.pending.len() >= self.enough { self.read(&mut each) } else { Ok(()) }
    }

    /// Ends the document: passes the remaining rows to `each`, and returns the document without its rows.
    ///
    /// # Errors
    /// A network error when the document is truncated; what `each` returns; a validation error for invalid JSON.
    pub fn finish(mut self, mut each: impl FnMut(Row<'_>) -> Result<()>) -> Result<Value> {
        self.read(&mut each)?;
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

    fn read(&mut self, each: &mut impl FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        if self.phase == Phase::Head {
            let mut cursor = Cursor::new(text(&self.pending)?);
            match locate(&mut cursor, &self.names) {
                Err(ParseError::Ended) => return self.wait(),
                Err(error) => return Err(error.into()),
                Ok(Target::Other) => self.phase = Phase::Whole,
                Ok(Target::Rows) => {
                    self.phase = Phase::Rows { first: true };
                    self.envelope.extend(self.pending.drain(..cursor.position()));
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

    fn wait(&mut self) -> Result<()> {
        self.enough = self.pending.len() * 2;
        Ok(())
    }

    /// Reads the complete rows; returns whether the array has ended.
    fn rows(&mut self, mut first: bool, each: &mut impl FnMut(Row<'_>) -> Result<()>) -> Result<bool> {
        let text = text(&self.pending)?;
        let mut cursor = Cursor::new(text);
        let mut done = 0;
        let ended = loop {
            match next_row(&mut cursor, first) {
                // At the very end a number may have more digits.
                Ok(Some(_)) if cursor.position() == text.len() => break false,
                Ok(Some(row)) => each(Row::new(row))?,
                Ok(None) => break true,
                Err(ParseError::Ended) => break false,
                Err(error) => return Err(error.into()),
            }
            first = false;
            done = cursor.position();
        };
        if ended {
            self.envelope.push(b']');
            done = cursor.position();
        }
        self.pending.drain(..done);
        self.phase = if ended { Phase::Tail } else { Phase::Rows { first } };
        Ok(ended)
    }
}

/// The received text, without an incomplete character at its end.
fn text(bytes: &[u8]) -> Result<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(Error::validation("the response is not valid UTF-8").with_source(error)),
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

    proptest! {
        #[test]
        fn many_rows_of_any_length_are_all_found(lengths in prop::collection::vec(0usize..400, 0..60), size in 1usize..500) {
            let rows: Vec<_> = lengths.iter().map(|length| format!("{{\"t\":\"{}\"}}", "é".repeat(*length))).collect();
            let text = format!("{{\"data\":{{\"items\":[{}]}}}}", rows.join(","));
            prop_assert_eq!(streamed(&text, size).unwrap().0, rows);
        }
    }
}
