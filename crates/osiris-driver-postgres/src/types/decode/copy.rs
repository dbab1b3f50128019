//! The framing of binary COPY (<https://www.postgresql.org/docs/current/sql-copy.html>): a signature, rows of fields
//! with their lengths, an end marker. Messages may end anywhere; a stream without its end marker is incomplete.

use bytes::{Bytes, BytesMut};
use osiris_core::{Error, Result};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Where the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Rows,
    End,
}

/// Messages in, rows out.
#[derive(Debug)]
pub(crate) struct Frames {
    state: State,
    /// Received bytes; those from `at` on are unread.
    data: Bytes,
    at: usize,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuple<'a> {
    fields: u16,
    data: &'a [u8],
}

fn malformed() -> Error {
    Error::network("unexpected data in the COPY stream")
        .with_hint("check proxies and poolers between here and the server, then run again")
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

impl Frames {
    /// Before the first message.
    pub(crate) fn new() -> Self {
        Self { state: State::Head, data: Bytes::new(), at: 0 }
    }

    /// Appends a message.
    pub(crate) fn push(&mut self, message: Bytes) {
        let rest = self.rest();
        self.data = if rest.is_empty() {
            message
        } else {
            let mut joined = BytesMut::with_capacity(rest.len() + message.len());
            joined.extend_from_slice(rest);
            joined.extend_from_slice(&message);
            joined.freeze()
        };
        self.at = 0;
    }

    fn rest(&self) -> &[u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    /// The next complete row.
    ///
    /// # Errors
    /// For data that is not valid COPY.
    pub(crate) fn next(&mut self) -> Result<Option<Tuple<'_>>> {
        if self.state == State::Head && !self.head()? {
            return Ok(None);
        }
        let Some(start) = self.rest().get(..2) else {
            return if self.state == State::End && !self.rest().is_empty() { Err(malformed()) } else { Ok(None) };
        };
        let fields = i16::from_be_bytes([start[0], start[1]]);
        if self.state == State::End || fields < -1 {
            return Err(malformed());
        }
        let Ok(fields) = u16::try_from(fields) else {
            self.state = State::End;
            self.at += 2;
            return if self.rest().is_empty() { Ok(None) } else { Err(malformed()) };
        };
        let Some(length) = length(self.rest(), fields)? else { return Ok(None) };
        let row = self.at + 2..self.at + length;
        self.at += length;
        Ok(self.data.get(row).map(|data| Tuple { fields, data }))
    }

    /// Whether the end marker was received, with nothing after it.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::End && self.rest().is_empty()
    }

    /// Reads the signature and flags, and skips the extension.
    fn head(&mut self) -> Result<bool> {
        let rest = self.rest();
        let known = rest.len().min(SIGNATURE.len());
        if rest[..known] != SIGNATURE[..known] {
            return Err(malformed());
        }
        let (Some(flags), Some(extension)) = (u32_at(rest, 11), u32_at(rest, 15)) else { return Ok(false) };
        // Bits of the upper half change the format; none is known here.
        if flags >> 16 != 0 {
            return Err(malformed());
        }
        let length = usize::try_from(extension).map_err(|_| malformed())?.saturating_add(19);
        if rest.len() < length {
            return Ok(false);
        }
        self.at += length;
        self.state = State::Rows;
        Ok(true)
    }
}

/// The length of a row, including the field count; `None` while it is incomplete.
fn length(data: &[u8], fields: u16) -> Result<Option<usize>> {
    let mut at = 2;
    for _ in 0..fields {
        let Some(length) = u32_at(data, at) else { return Ok(None) };
        at += 4;
        if length != u32::MAX {
            let length = i32::try_from(length).ok().and_then(|length| usize::try_from(length).ok());
            at += length.ok_or_else(malformed)?;
        }
    }
    Ok((at <= data.len()).then_some(at))
}

impl<'a> Tuple<'a> {
    /// Its fields, in order; `None` for NULL.
    pub(crate) fn fields(self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> {
        let mut rest = self.data;
        (0..self.fields).map(move |_| {
            let (length, after) = rest.split_at_checked(4)?;
            let length = u32::from_be_bytes(length.try_into().ok()?);
            if length == u32::MAX {
                rest = after;
                return None;
            }
            let (value, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
            rest = after;
            Some(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut data = SIGNATURE.to_vec();
        data.extend([0, 0, 0, 0, 0, 0, 0, 2, 9, 9]);
        data.extend([0, 2, 0, 0, 0, 1, b'a', 255, 255, 255, 255]);
        data.extend([0, 2, 0, 0, 0, 0, 0, 0, 0, 3, b'b', b'c', b'd']);
        data.extend([255, 255]);
        data
    }

    type Row = Vec<Option<Vec<u8>>>;

    fn read(chunks: &[&[u8]]) -> Result<(Vec<Row>, bool)> {
        let (mut frames, mut rows) = (Frames::new(), Vec::new());
        for chunk in chunks {
            frames.push(Bytes::copy_from_slice(chunk));
            while let Some(tuple) = frames.next()? {
                assert_eq!(tuple.fields().len(), 2);
                rows.push(tuple.fields().map(|field| field.map(<[u8]>::to_vec)).collect());
            }
        }
        Ok((rows, frames.is_complete()))
    }

    #[test]
    fn rows_are_the_same_wherever_messages_end() {
        let data = stream();
        let expected = (vec![vec![Some(b"a".to_vec()), None], vec![Some(vec![]), Some(b"bcd".to_vec())]], true);
        assert_eq!(read(&[&data]).unwrap(), expected);
        for cut in 0..data.len() {
            assert_eq!(read(&[&data[..cut], &data[cut..]]).unwrap(), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = data.chunks(1).collect();
        assert_eq!(read(&bytes).unwrap(), expected);
    }

    #[test]
    fn a_stream_without_its_end_is_not_complete_and_one_that_goes_on_is_refused() {
        let data = stream();
        for cut in 0..data.len() {
            assert!(!read(&[&data[..cut]]).unwrap().1, "cut at {cut}");
        }
        assert!(read(&[&data, b"x"]).is_err());
        assert!(read(&[b"HTTP/1.1 400"]).is_err());
        let mut wild = data[..21].to_vec();
        wild.extend([0, 1, 255, 255, 255, 0]);
        assert!(read(&[&wild]).is_err());
    }
}
