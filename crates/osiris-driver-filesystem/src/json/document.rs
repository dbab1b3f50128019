//! The rows of a JSON document: the elements of its array, one at a time.

use std::io::Read;

use osiris_core::rows::{RowPath, RowStream, StreamFault, StreamStop};
use osiris_core::{Code, Error, Result};

use super::rows::{At, RowReader};
use super::task::RowSource;
use crate::error::unpack;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 18;
/// The longest element, and the most that may stand around the array.
const MOST_HELD: usize = 256 << 20;
/// U+FEFF in UTF-8: the byte order mark at the start of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Documents with an array at a path.
pub(super) struct Documents {
    pub(super) path: RowPath,
}

impl RowSource for Documents {
    fn read(&self, source: &mut dyn Read, name: &str, rows: &mut RowReader<'_>) -> Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        fill(source, &mut chunk, name)?;
        let mark = if chunk.starts_with(MARK) { MARK.len() } else { 0 };
        // What is wrong with a document as a whole is told by its start.
        let start = String::from_utf8_lossy(&chunk[mark..chunk.len().min(1 << 12)]).into_owned();
        let document = Document { name, path: &self.path, start: &start, mark: mark as u64 };
        if is_wide(&chunk) {
            return Err(document.error(StreamFault::Encoding(0)));
        }
        chunk.drain(..mark);
        let mut stream = RowStream::of_array(&self.path)?;
        let mut number = 0;
        while !chunk.is_empty() && !rows.is_full() {
            let pushed = stream.push_located(&chunk, |row, byte| {
                if rows.is_full() {
                    return Ok(());
                }
                number += 1;
                rows.add(&row, &At { name, number, byte: Some(byte + document.mark) })
            });
            pushed.map_err(|stop| document.stopped(stop))?;
            if stream.held() > MOST_HELD {
                return Err(document.too_long());
            }
            fill(source, &mut chunk, name)?;
        }
        if rows.is_full() {
            return Ok(());
        }
        let finished = stream.finish_located(|row, byte| {
            number += 1;
            rows.add(&row, &At { name, number, byte: Some(byte + document.mark) })
        });
        finished.map_err(|stop| document.stopped(stop))
    }
}

/// Reads the next chunk, which is empty at the end.
fn fill(source: &mut dyn Read, chunk: &mut Vec<u8>, name: &str) -> Result<()> {
    chunk.clear();
    let read = source.take(CHUNK as u64).read_to_end(chunk);
    read.map(drop).map_err(|error| unpack("cannot be read", name, error))
}

/// Whether a text begins as UTF-16 does.
fn is_wide(start: &[u8]) -> bool {
    matches!(start, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [b'{' | b'[', 0, ..])
}

/// A document in messages.
struct Document<'a> {
    name: &'a str,
    path: &'a RowPath,
    /// The start of its text.
    start: &'a str,
    /// How many bytes its byte order mark has.
    mark: u64,
}

impl Document<'_> {
    fn stopped(&self, stop: StreamStop) -> Error {
        match stop {
            StreamStop::Error(error) => error,
            StreamStop::Fault(fault) => self.error(fault),
        }
    }

    fn error(&self, fault: StreamFault) -> Error {
        let name = self.name;
        match fault {
            StreamFault::NoArray => self.without_array(),
            _ if self.is_lines() => self.lines(),
            StreamFault::Ended if self.start.trim().is_empty() => {
                invalid(format!("`{name}` is empty")).with_hint("check how the file was created: no rows are `[]`")
            }
            StreamFault::Ended => invalid(format!("`{name}` ends in the middle of its JSON"))
                .with_hint("check how the file was created: it may be truncated"),
            StreamFault::Syntax(at) => invalid(format!("`{name}` is not valid JSON at byte {}", at + self.mark))
                .with_hint("fix the file: what comes after that byte cannot be read"),
            StreamFault::TooDeep => invalid(format!("the JSON of `{name}` is nested too deep"))
                .with_hint("at most 128 lists and objects can be inside of each other"),
            StreamFault::Encoding(at) => Error::validation(format!(
                "`{name}` is not UTF-8: byte {} is not valid",
                at + self.mark
            ))
            .with_code(Code::InvalidEncoding)
            .with_hint(
                "JSON is UTF-8: convert the file with `iconv -t UTF-8`, and `-f UTF-16` or `-f LATIN1` before it",
            ),
        }
    }

    fn without_array(&self) -> Error {
        let name = self.name;
        if *self.path != RowPath::root() {
            return invalid(format!("`{name}` has no array at `{}`", self.path))
                .with_hint("set `data_path` to where the rows are, such as `data.items`");
        }
        if self.is_lines() {
            return self.lines();
        }
        let what = if self.start.trim_start().starts_with('{') { "an object" } else { "a single value" };
        invalid(format!("`{name}` is {what}, not an array")).with_hint(
            "set `data_path` to where its rows are, such as `data.items`; a file with one object in each line is read by \
             `filesystem.jsonl_extractor`",
        )
    }

    fn lines(&self) -> Error {
        invalid(format!("`{}` is JSON lines, not one JSON document", self.name))
            .with_hint("read it with `filesystem.jsonl_extractor`")
    }

    /// Whether the first line is an object and another one follows it.
    fn is_lines(&self) -> bool {
        let mut lines = self.start.lines().map(str::trim).filter(|line| !line.is_empty());
        let is_object = |line: &str| serde_json::from_str::<serde_json::Map<_, _>>(line).is_ok();
        lines.next().is_some_and(is_object) && lines.next().is_some_and(|line| line.starts_with('{'))
    }

    fn too_long(&self) -> Error {
        invalid(format!(
            "`{}` has an element or a text around its array of more than {} MiB",
            self.name,
            MOST_HELD >> 20
        ))
        .with_hint("check `data_path`: the rows must be the elements of the array")
    }
}

fn invalid(message: String) -> Error {
    Error::validation(message).with_code(Code::InvalidFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_are_known_by_their_first_two() {
        let is_lines = |start| Document { name: "f", path: &RowPath::root(), start, mark: 0 }.is_lines();
        assert!(is_lines("{\"a\": 1}\n\n {\"a\": 2"));
        for start in ["{\"a\": 1}", "{\"a\":\n{\"b\": 1}}", "[1]\n[2]", "{\"a\": 1},\n{\"a\": 2}", ""] {
            assert!(!is_lines(start), "{start}");
        }
    }
}
