//! How bodies are compressed. The client below reads brotli and zstd; gzip is read here, since a body may have several
//! members (RFC 1952, section 2.2), of which it reads the first only. Any other coding is refused by its name.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use osiris_core::{Error, Result};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};

/// What requests accept.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd";

/// So much is decompressed before the limit of a response is looked at.
const PIECE: usize = 4096;

/// Reads gzip, member after member.
pub(crate) struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    has_begun: bool,
}

impl Gunzip {
    /// For a response with these headers, if that is its coding: the headers then describe what it reads.
    pub(crate) fn of(headers: &mut HeaderMap) -> Option<Self> {
        let coding = headers.get(CONTENT_ENCODING)?.to_str().ok()?.trim();
        if !["gzip", "x-gzip"].iter().any(|gzip| coding.eq_ignore_ascii_case(gzip)) {
            return None;
        }
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
        Some(Self { decoder: MultiGzDecoder::new(Vec::new()), has_begun: false })
    }

    /// What the next piece stands for, up to a little more than `room`.
    pub(crate) fn read(&mut self, compressed: &[u8], room: u64) -> io::Result<Bytes> {
        self.has_begun |= !compressed.is_empty();
        for piece in compressed.chunks(PIECE) {
            self.decoder.write_all(piece)?;
            if self.decoder.get_ref().len() as u64 > room {
                break;
            }
        }
        Ok(std::mem::take(self.decoder.get_mut()).into())
    }

    /// What is left at the end. A body without any byte is complete.
    pub(crate) fn end(&mut self) -> io::Result<Bytes> {
        if self.has_begun {
            self.decoder.try_finish()?;
        }
        Ok(std::mem::take(self.decoder.get_mut()).into())
    }
}

/// The body is not what its coding says: another attempt may bring it whole.
pub(crate) fn damaged(error: io::Error, what: &str) -> Error {
    Error::network(format!("{what}: the response was truncated or corrupted")).with_source(error)
}

/// That a response, whose coding was removed where it can be read, has no other one.
pub(crate) fn ensure_supported(headers: &HeaderMap, what: &str) -> Result<()> {
    let codings: Vec<_> =
        headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let codings = codings.join(", ");
    let is_plain = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    if codings.split(',').all(is_plain) {
        return Ok(());
    }
    Err(Error::validation(format!("{what}: the response is compressed with `{codings}`, which is not supported"))
        .with_hint(format!(
            "set up the server, or a proxy before it, to respect the header `accept-encoding: {ACCEPTED}`"
        )))
}
