//! Strict character encodings: invalid bytes are an error with their position, never U+FFFD.

use std::io::{self, Read, Write};

use encoding_rs::{DecoderResult, EncoderResult, Encoding};
use osiris_core::problem::nearest;
use osiris_core::{Code, Error, Problem};

use crate::error::carry;

/// Common names that are missing in the Encoding Standard.
const SUGGESTED: &[&str] = &[
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "latin-1",
    "ascii",
    "windows-1250",
    "windows-1252",
    "shift_jis",
    "gbk",
];

/// A character encoding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Charset {
    /// UTF-8.
    Utf8,
    /// ASCII.
    Ascii,
    /// Every byte is the code point of its value (ISO 8859-1 proper, not windows-1252).
    Latin1,
    /// UTF-16; the byte order as the mark says, little-endian without one. Written little-endian with a mark.
    Utf16,
    /// UTF-16, little-endian, no mark.
    Utf16Le,
    /// UTF-16, big-endian, no mark.
    Utf16Be,
    /// Any other of the WHATWG Encoding Standard.
    Other(&'static Encoding),
}

impl Charset {
    /// The encoding called `name`.
    ///
    /// # Errors
    /// A problem that suggests the nearest name.
    pub(crate) fn named(name: &str) -> Result<Self, Problem> {
        let plain = name.trim().to_ascii_lowercase().replace('_', "-");
        Ok(match plain.as_str() {
            "utf-8" | "utf8" | "utf-8-sig" => Self::Utf8,
            "ascii" | "us-ascii" => Self::Ascii,
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1" => Self::Latin1,
            "utf-16" | "utf16" => Self::Utf16,
            "utf-16le" | "utf-16-le" => Self::Utf16Le,
            "utf-16be" | "utf-16-be" => Self::Utf16Be,
            _ => return Self::standard(name, &plain),
        })
    }

    fn standard(name: &str, plain: &str) -> Result<Self, Problem> {
        let windows = plain.strip_prefix("cp").map(|page| format!("windows-{page}"));
        let found = Encoding::for_label(name.trim().as_bytes())
            .or_else(|| Encoding::for_label(plain.as_bytes()))
            .or_else(|| Encoding::for_label(windows?.as_bytes()));
        match found {
            Some(found) if found != encoding_rs::REPLACEMENT => Ok(Self::Other(found)),
            _ => {
                let problem = Problem::error("/encoding", format!("unknown encoding `{name}`"));
                Err(match nearest(plain, SUGGESTED.iter().copied()) {
                    Some(similar) => problem.with_hint(format!("did you mean `{similar}`?")),
                    None => problem.with_hint(format!("such as {}", SUGGESTED.join(", "))),
                })
            }
        }
    }

    /// Whether files in it are already UTF-8.
    pub(crate) fn is_utf8(self) -> bool {
        matches!(self, Self::Utf8 | Self::Ascii)
    }

    fn label(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Ascii => "ASCII",
            Self::Latin1 => "Latin-1",
            Self::Utf16 | Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Other(other) => other.name(),
        }
    }
}

/// Bytes that are decoded at a time.
const CHUNK: usize = 64 * 1024;

/// Decodes bytes to UTF-8 as they are read. A byte order mark is decoded like any other character, so that the reader
/// of the text removes exactly one in every encoding.
pub(crate) struct Utf8Reader<R> {
    source: R,
    name: String,
    charset: Charset,
    decode: Decode,
    /// Undecoded bytes: those from `at` on.
    input: Vec<u8>,
    at: usize,
    ended: bool,
    output: Vec<u8>,
    given: usize,
    offset: u64,
    line: u64,
}

enum Decode {
    /// Only validated.
    Ascii,
    Latin1,
    /// Undecided: the byte order mark is not read yet.
    Utf16Mark,
    Standard(Box<encoding_rs::Decoder>),
}

fn standard(encoding: &'static Encoding) -> Decode {
    Decode::Standard(Box::new(encoding.new_decoder_without_bom_handling()))
}

impl<R: Read> Utf8Reader<R> {
    /// A reader of `source`, named `name` in messages.
    pub(crate) fn new(source: R, name: &str, charset: Charset) -> Self {
        let decode = match charset {
            Charset::Utf8 | Charset::Ascii => Decode::Ascii,
            Charset::Latin1 => Decode::Latin1,
            Charset::Utf16 => Decode::Utf16Mark,
            Charset::Utf16Le => standard(encoding_rs::UTF_16LE),
            Charset::Utf16Be => standard(encoding_rs::UTF_16BE),
            Charset::Other(other) => standard(other),
        };
        Self {
            source,
            name: name.to_owned(),
            charset,
            decode,
            input: Vec::new(),
            at: 0,
            ended: false,
            output: Vec::new(),
            given: 0,
            offset: 0,
            line: 1,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.input.drain(..self.at);
        self.at = 0;
        let taken = (&mut self.source).take(CHUNK as u64).read_to_end(&mut self.input)?;
        self.ended = taken < CHUNK;
        Ok(())
    }

    fn decode(&mut self) -> io::Result<()> {
        self.output.clear();
        self.given = 0;
        if matches!(self.decode, Decode::Utf16Mark) {
            self.decode = standard(match self.input.first_chunk::<2>() {
                Some([0xFE, 0xFF]) => encoding_rs::UTF_16BE,
                _ => encoding_rs::UTF_16LE,
            });
        }
        let input = &self.input[self.at..];
        let (used, malformed) = match &mut self.decode {
            Decode::Ascii => {
                let used = input.iter().position(|byte| !byte.is_ascii()).unwrap_or(input.len());
                self.output.extend_from_slice(&input[..used]);
                (used, (used < input.len()).then_some(used))
            }
            Decode::Latin1 => {
                self.output.extend(input.iter().flat_map(|byte| latin1(*byte)).flatten());
                (input.len(), None)
            }
            Decode::Utf16Mark => (0, None),
            Decode::Standard(decoder) => {
                let room = decoder.max_utf8_buffer_length_without_replacement(input.len()).unwrap_or(4 * CHUNK);
                self.output.resize(room, 0);
                let (result, used, written) =
                    decoder.decode_to_utf8_without_replacement(input, &mut self.output, self.ended);
                self.output.truncate(written);
                let malformed = match result {
                    DecoderResult::Malformed(bad, behind) => Some(used - usize::from(bad) - usize::from(behind)),
                    DecoderResult::InputEmpty | DecoderResult::OutputFull => None,
                };
                (used, malformed)
            }
        };
        self.at += used;
        if let Some(at) = malformed {
            let lines = self.output.iter().filter(|byte| **byte == b'\n').count() as u64;
            return Err(carry(self.malformed(self.offset + at as u64, self.line + lines)));
        }
        self.offset += used as u64;
        self.line += memchr::memchr_iter(b'\n', &self.output).count() as u64;
        Ok(())
    }

    fn malformed(&self, offset: u64, line: u64) -> Error {
        Error::validation(format!(
            "`{}` is not {}: byte {offset} on line {line} is not valid",
            self.name,
            self.charset.label()
        ))
        .with_code(Code::InvalidEncoding)
        .with_hint("set `encoding` to that of the file, such as `utf-8`, `latin-1`, `windows-1250` or `utf-16`")
    }
}

/// The one or two bytes of UTF-8 for a byte of Latin-1.
fn latin1(byte: u8) -> [Option<u8>; 2] {
    if byte < 0x80 { [Some(byte), None] } else { [Some(0xC0 | (byte >> 6)), Some(0x80 | (byte & 0x3F))] }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() {
            if self.at == self.input.len() && self.ended {
                return Ok(0);
            }
            if !self.ended {
                self.refill()?;
            }
            let finished = self.ended && self.at == self.input.len();
            self.decode()?;
            if finished && self.output.is_empty() {
                return Ok(0);
            }
        }
        let n = buffer.len().min(self.output.len() - self.given);
        buffer[..n].copy_from_slice(&self.output[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

/// Encodes UTF-8 as it is written. Each `write` must have whole characters.
pub(crate) struct CharsetWriter<W> {
    target: W,
    charset: Charset,
    encoder: Option<Box<encoding_rs::Encoder>>,
    bytes: Vec<u8>,
    lines: u64,
}

impl<W: Write> CharsetWriter<W> {
    /// A writer to `target`; `mark` writes a byte order mark if the encoding has one.
    pub(crate) fn new(target: W, charset: Charset, mark: bool) -> Self {
        let encoder = match charset {
            Charset::Other(other) => Some(Box::new(other.new_encoder())),
            _ => None,
        };
        let bytes = if mark && charset == Charset::Utf16 { vec![0xFF, 0xFE] } else { Vec::new() };
        Self { target, charset, encoder, bytes, lines: 0 }
    }

    /// Flushes and returns the target.
    ///
    /// # Errors
    /// When writing fails.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.bytes.is_empty() {
            self.target.write_all(&self.bytes)?;
        }
        Ok(self.target)
    }

    fn encode(&mut self, text: &str) -> Result<(), char> {
        match self.charset {
            Charset::Utf8 => self.bytes.extend_from_slice(text.as_bytes()),
            Charset::Ascii => {
                if let Some(foreign) = text.chars().find(|c| !c.is_ascii()) {
                    return Err(foreign);
                }
                self.bytes.extend_from_slice(text.as_bytes());
            }
            Charset::Latin1 => {
                for c in text.chars() {
                    self.bytes.push(u8::try_from(u32::from(c)).map_err(|_| c)?);
                }
            }
            Charset::Utf16 | Charset::Utf16Le => {
                self.bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            }
            Charset::Utf16Be => self.bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Charset::Other(_) => return self.encode_standard(text),
        }
        Ok(())
    }

    fn encode_standard(&mut self, text: &str) -> Result<(), char> {
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len()).unwrap_or(4 * text.len() + 16);
        let start = self.bytes.len();
        self.bytes.resize(start + room, 0);
        let (result, _, written) = encoder.encode_from_utf8_without_replacement(text, &mut self.bytes[start..], false);
        self.bytes.truncate(start + written);
        match result {
            EncoderResult::Unmappable(foreign) => Err(foreign),
            EncoderResult::InputEmpty | EncoderResult::OutputFull => Ok(()),
        }
    }
}

impl<W: Write> Write for CharsetWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.charset == Charset::Utf8 {
            return self.target.write(buffer);
        }
        let text = std::str::from_utf8(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        if let Err(foreign) = self.encode(text) {
            let before = text.find(foreign).unwrap_or(0);
            let line = self.lines + text[..before].matches('\n').count() as u64 + 1;
            return Err(carry(
                Error::validation(format!(
                    "the character U+{:04X} on line {line} cannot be encoded in {}",
                    u32::from(foreign),
                    self.charset.label()
                ))
                .with_code(Code::InvalidEncoding)
                .with_hint("set `encoding: utf-8`"),
            ));
        }
        self.lines += memchr::memchr_iter(b'\n', buffer).count() as u64;
        self.target.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], charset: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut reader = Utf8Reader::new(bytes, "f", Charset::named(charset).unwrap());
        match reader.read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(crate::error::unpack("", "f", error).message().to_owned()),
        }
    }

    #[test]
    fn text_is_decoded_exactly() {
        assert_eq!(decode(b"caf\xe9\x80", "latin-1").unwrap(), "café\u{80}");
        assert_eq!(decode(b"caf\xe9\x80", "cp1252").unwrap(), "café€");
        assert_eq!(decode(b"\xfe\xff\0a\x01\x0d", "utf-16").unwrap(), "\u{feff}ač");
        assert_eq!(decode(b"\xff\xfea\0\x0d\x01", "utf-16").unwrap(), "\u{feff}ač");
        assert_eq!(decode(b"a\0", "utf-16").unwrap(), "a");
        assert_eq!(decode(b"\xe8", "windows-1250").unwrap(), "č");
        assert_eq!(decode(b"", "utf-16").unwrap(), "");
    }

    #[test]
    fn what_is_not_valid_is_named_and_never_replaced() {
        assert_eq!(decode(b"a\nb\xe9", "ascii").unwrap_err(), "`f` is not ASCII: byte 3 on line 2 is not valid");
        assert_eq!(
            decode(b"a\0\n\0\0\xd8a\0", "utf-16").unwrap_err(),
            "`f` is not UTF-16: byte 4 on line 2 is not valid"
        );
        assert_eq!(decode(b"a\0b", "utf-16").unwrap_err(), "`f` is not UTF-16: byte 2 on line 1 is not valid");
    }

    #[test]
    fn what_is_written_reads_back() {
        for charset in ["utf-8", "utf-16", "utf-16be", "windows-1250", "latin-1"] {
            let text = if charset == "latin-1" { "é\n" } else { "é€\n" };
            let charset = Charset::named(charset).unwrap();
            let mut writer = CharsetWriter::new(Vec::new(), charset, true);
            writer.write_all(text.as_bytes()).unwrap();
            let bytes = writer.finish().unwrap();
            let mut back = String::new();
            Utf8Reader::new(bytes.as_slice(), "f", charset).read_to_string(&mut back).ok();
            if charset != Charset::Utf8 {
                assert_eq!(back.trim_start_matches('\u{feff}'), text, "{charset:?}");
            }
        }
    }

    #[test]
    fn a_character_without_place_is_an_error() {
        let mut writer = CharsetWriter::new(Vec::new(), Charset::Latin1, true);
        let error = writer.write_all("a\n€".as_bytes()).unwrap_err();
        let message = crate::error::unpack("", "f", error).message().to_owned();
        assert_eq!(message, "the character U+20AC on line 2 cannot be encoded in Latin-1");
    }

    #[test]
    fn a_misspelt_encoding_suggests_the_right_one() {
        assert!(Charset::named("uft-8").unwrap_err().to_string().contains("did you mean `utf-8`?"));
    }
}
