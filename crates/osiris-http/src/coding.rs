//! How bodies are compressed: what requests accept, and the codings of a response, which are undone in the opposite order
//! of that in which they were applied (RFC 9110, section 8.4). Any other coding is refused by its name.

use std::io::{self, Write};
use std::mem::take;

use brotli::DecompressorWriter;
use bytes::Bytes;
use flate2::write::GzDecoder;
use osiris_core::{Error, Result};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use zstd::stream::{raw, zio};

/// What requests accept.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd";

/// So much of what was sent is decompressed before the limit of a response is looked at.
const PIECE: usize = 4096;

/// So much more than the room that is left may a decoder give at once: what is between two codings may be larger than what it
/// stands for.
const SLACK: u64 = 1 << 20;

/// More codings than anybody applies: each multiplies what one byte can stand for.
const MAX_CODINGS: usize = 4;

/// Decompresses a body.
pub(crate) struct Decoding {
    /// That of the coding that was applied last comes first.
    decoders: Vec<Decoder>,
    has_begun: bool,
}

impl Decoding {
    /// For a response with these headers, if it is compressed and all its codings are known: the headers then describe
    /// what it reads.
    pub(crate) fn of(headers: &mut HeaderMap) -> Option<Self> {
        let codings = codings(headers);
        if codings.is_empty() || codings.len() > MAX_CODINGS {
            return None;
        }
        let decoders = codings.iter().rev().map(|coding| Decoder::of(coding)).collect::<Option<_>>()?;
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
        Some(Self { decoders, has_begun: false })
    }

    /// What the next piece stands for, up to a little more than `room`.
    pub(crate) fn read(&mut self, compressed: &[u8], room: u64) -> Result<Bytes, Unreadable> {
        self.has_begun |= !compressed.is_empty();
        let mut plain = Vec::new();
        decode(&mut self.decoders, compressed, room, &mut plain)?;
        Ok(plain.into())
    }

    /// What is left at the end. A body without any byte is complete.
    pub(crate) fn end(&mut self, room: u64) -> Result<Bytes, Unreadable> {
        let mut plain = Vec::new();
        let mut decoders = take(&mut self.decoders);
        let mut left = if self.has_begun { &mut decoders[..] } else { &mut [] };
        while let Some((decoder, next)) = left.split_first_mut() {
            decoder.output().most = room.saturating_add(SLACK);
            decoder.finish()?;
            decode(next, &take(&mut decoder.output().bytes), room, &mut plain)?;
            // What is beyond the limit was not decompressed, and has no end that could be checked.
            if plain.len() as u64 > room {
                break;
            }
            left = next;
        }
        Ok(plain.into())
    }
}

/// Sends a piece through the decoders, one after the other.
fn decode(decoders: &mut [Decoder], piece: &[u8], room: u64, plain: &mut Vec<u8>) -> Result<(), Unreadable> {
    let Some((decoder, next)) = decoders.split_first_mut() else {
        plain.extend_from_slice(piece);
        return Ok(());
    };
    for piece in piece.chunks(PIECE) {
        if plain.len() as u64 > room {
            break;
        }
        decoder.output().most = room.saturating_add(SLACK);
        decoder.write(piece)?;
        let mut output = take(&mut decoder.output().bytes);
        decode(next, &output, room, plain)?;
        output.clear();
        decoder.output().bytes = output;
    }
    Ok(())
}

/// The codings of a response in the order in which they were applied, by their names in lower case. `identity` is none.
fn codings(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(CONTENT_ENCODING).iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase()).collect();
    let codings = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    codings.filter(|coding| !coding.is_empty() && *coding != "identity").map(str::to_owned).collect()
}

enum Decoder {
    Gzip(Box<Gunzip>),
    Brotli(Box<DecompressorWriter<Output>>),
    Zstd(Box<Unzstd>),
}

/// What a decoder gives: no more than `most` bytes at a time, of which a few that were sent can make any number.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    most: u64,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    fn of(coding: &str) -> Option<Self> {
        Some(match coding {
            "gzip" | "x-gzip" => {
                Self::Gzip(Box::new(Gunzip { member: GzDecoder::new(Output::default()), is_new: true }))
            }
            "br" => Self::Brotli(Box::new(DecompressorWriter::new(Output::default(), PIECE))),
            "zstd" => Self::Zstd(Box::new(Unzstd {
                frames: zio::Writer::new(Output::default(), raw::Decoder::new().ok()?),
                seen: 0,
            })),
            _ => return None,
        })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        match self {
            Self::Gzip(gunzip) => gunzip.write(piece),
            Self::Brotli(decoder) => Ok(decoder.write_all(piece)?),
            Self::Zstd(unzstd) => unzstd.write(piece),
        }
    }

    /// Ensures that nothing is missing.
    fn finish(&mut self) -> Result<(), Unreadable> {
        match self {
            Self::Gzip(gunzip) => gunzip.member.try_finish()?,
            Self::Brotli(decoder) => decoder.close()?,
            Self::Zstd(unzstd) => unzstd.frames.finish()?,
        }
        Ok(())
    }

    fn output(&mut self) -> &mut Output {
        match self {
            Self::Gzip(gunzip) => gunzip.member.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(unzstd) => unzstd.frames.writer_mut(),
        }
    }
}

/// Reads gzip, member after member (RFC 1952, section 2.2). As `gzip` does, it ignores zeros behind a member, with which
/// some servers pad to whole blocks.
struct Gunzip {
    member: GzDecoder<Output>,
    /// Whether nothing of the member has been seen.
    is_new: bool,
}

impl Gunzip {
    /// The first byte of each member.
    const MAGIC: u8 = 0x1f;

    fn write(&mut self, mut piece: &[u8]) -> Result<(), Unreadable> {
        while let Some(&first) = piece.first() {
            if take(&mut self.is_new) && first != Self::MAGIC {
                return Err(Unreadable::Mislabelled("gzip", io::ErrorKind::InvalidData.into()));
            }
            match self.member.write(piece) {
                // It has ended before.
                Ok(0) => {
                    self.member.try_finish()?;
                    let padding = piece.iter().take_while(|byte| **byte == 0).count();
                    piece = &piece[padding..];
                    if !piece.is_empty() {
                        let output = take(self.member.get_mut());
                        (self.member, self.is_new) = (GzDecoder::new(output), true);
                    }
                }
                Ok(read) => piece = &piece[read..],
                Err(error) if error.kind() != io::ErrorKind::FileTooLarge && self.member.header().is_none() => {
                    return Err(Unreadable::Mislabelled("gzip", error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Reads zstd, frame after frame (RFC 8878, section 3.1).
struct Unzstd {
    frames: zio::Writer<Output, raw::Decoder<'static>>,
    /// How many bytes of the first magic number have been seen.
    seen: usize,
}

impl Unzstd {
    /// What the first frame begins with: one of data, or one to be skipped, of whose first byte four bits are free.
    const MAGIC: [[u8; 4]; 2] = [[0x28, 0xb5, 0x2f, 0xfd], [0x50, 0x2a, 0x4d, 0x18]];

    fn write(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        let [data, skipped] = Self::MAGIC;
        for byte in piece.iter().take(data.len() - self.seen) {
            let free = if self.seen == 0 { byte & 0x0f } else { 0 };
            if ![data[self.seen], skipped[self.seen] | free].contains(byte) {
                return Err(Unreadable::Mislabelled("zstd", io::ErrorKind::InvalidData.into()));
            }
            self.seen += 1;
        }
        Ok(self.frames.write_all(piece)?)
    }
}

/// The error of a response with more bytes than it may have.
pub(crate) fn too_large(what: &str, limit: u64) -> Error {
    Error::validation(format!("{what}: the response is larger than {limit} bytes")).with_hint("set a smaller page size")
}

/// Why a body cannot be decompressed.
pub(crate) enum Unreadable {
    /// It is larger than the response may be.
    TooLarge,
    /// It was cut or altered on its way: another attempt may bring it whole.
    Damaged(io::Error),
    /// It is not of the coding that its header names, and will not be the next time. Brotli (RFC 7932) has no magic number:
    /// what is none cannot be told from what is damaged.
    Mislabelled(&'static str, io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::FileTooLarge { Self::TooLarge } else { Self::Damaged(error) }
    }
}

impl Unreadable {
    /// The error for a response that may have `limit` bytes.
    pub(crate) fn error(self, what: &str, limit: u64) -> Error {
        match self {
            Self::TooLarge => too_large(what, limit),
            Self::Damaged(error) => {
                Error::network(format!("{what}: the response was truncated or corrupted")).with_source(error)
            }
            Self::Mislabelled(coding, error) => {
                Error::validation(format!("{what}: the response is not {coding}, as its header says"))
                    .with_hint(
                        "set up the server, or a proxy before it, to send a `content-encoding` that fits the body",
                    )
                    .with_source(error)
            }
        }
    }
}

/// That a response, whose codings were removed where they can be read, has no other ones.
pub(crate) fn ensure_supported(headers: &HeaderMap, what: &str) -> Result<()> {
    let codings = codings(headers).join(", ");
    if codings.is_empty() {
        return Ok(());
    }
    Err(Error::validation(format!("{what}: the response is compressed with `{codings}`, which is not supported"))
        .with_hint(format!(
            "set up the server, or a proxy before it, to respect the header `accept-encoding: {ACCEPTED}`"
        )))
}
