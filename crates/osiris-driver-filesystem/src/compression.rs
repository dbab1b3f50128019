//! Readers and writers of compressed files. Output has no timestamp and no name, so that the same rows
//! produce the same bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use liblzma::stream::{CONCATENATED, Stream};
use osiris_core::{Code, Error, Problem, Result};

use crate::config::{ReadCompression, WriteCompression};
use crate::error::{carry, io_error, unpack};

impl ReadCompression {
    /// Resolves `infer` by the file name.
    pub(crate) fn resolve(self, name: &str) -> Self {
        if self != Self::Infer {
            return self;
        }
        match ending(name).map(str::to_ascii_lowercase).as_deref() {
            Some("gz" | "gzip") => Self::Gzip,
            Some("bz2") => Self::Bz2,
            Some("zip") => Self::Zip,
            Some("xz") => Self::Xz,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The word of a configuration.
    fn word(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Bz2 => "bz2",
            Self::Zip => "zip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }
}

/// What stands behind the last dot of a file name.
fn ending(name: &str) -> Option<&str> {
    Path::new(name).extension().and_then(|ending| ending.to_str())
}

impl WriteCompression {
    /// Resolves `infer` by the path: what is read without `compression` is written without it.
    pub(crate) fn resolve(self, path: &str) -> Self {
        match (self, ReadCompression::Infer.resolve(path)) {
            (Self::Infer, ReadCompression::Gzip) => Self::Gzip,
            (Self::Infer, ReadCompression::Bz2) => Self::Bz2,
            (Self::Infer, ReadCompression::Zip) => Self::Zip,
            (Self::Infer, ReadCompression::Zstd) => Self::Zstd,
            (Self::Infer, ReadCompression::Infer | ReadCompression::None | ReadCompression::Xz) => Self::None,
            (given, _) => given,
        }
    }

    /// The problem with a path whose ending says something else than what would be written.
    pub(crate) fn problem(self, path: &str) -> Option<Problem> {
        let (named, written) = (ReadCompression::Infer.resolve(path), self.resolve(path).reading());
        if named == ReadCompression::None || named == written {
            return None;
        }
        let ending = ending(path).unwrap_or_default();
        let problem = match self {
            Self::Infer => Problem::error("/path", format!("a file ending in `.{ending}` cannot be written")),
            _ => {
                let (written, named) = (written.word(), named.word());
                let message = format!("is `{written}`, but a file ending in `.{ending}` is read as `{named}`");
                Problem::error("/compression", message)
            }
        };
        let is_writable = Self::Infer.resolve(path) != Self::None;
        Some(problem.with_hint(if is_writable {
            "remove `compression`, or change the ending of `path`"
        } else {
            "end `path` with `.gz`, `.zst`, `.bz2` or `.zip`, or write it uncompressed"
        }))
    }

    /// The same for reading.
    pub(crate) fn reading(self) -> ReadCompression {
        match self {
            Self::Infer => ReadCompression::Infer,
            Self::None => ReadCompression::None,
            Self::Gzip => ReadCompression::Gzip,
            Self::Bz2 => ReadCompression::Bz2,
            Self::Zip => ReadCompression::Zip,
            Self::Zstd => ReadCompression::Zstd,
        }
    }
}

/// Memory limit of the xz decoder: four times that of `xz -9`. A file declares its need, up to 4 GiB.
const XZ_MEMORY: u64 = 256 << 20;
/// A compressed file may have this many times its size uncompressed, and at least this many bytes.
const RATIO: u64 = 200;
const ALWAYS: u64 = 4 << 30;

/// The default uncompressed limit of a compressed file of `size`.
pub(crate) fn default_most(size: u64) -> u64 {
    size.saturating_mul(RATIO).max(ALWAYS)
}

/// A source with a byte limit.
struct Bounded<'a> {
    source: &'a mut dyn Read,
    name: &'a str,
    most: u64,
    left: u64,
}

impl<'a> Bounded<'a> {
    /// Limits `source`, named `name` in messages, to `most` bytes.
    fn new(source: &'a mut dyn Read, name: &'a str, most: u64) -> Self {
        Self { source, name, most, left: most }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let error =
                    Error::validation(format!("`{}` is larger than {} bytes uncompressed", self.name, self.most));
                return Err(carry(
                    error.with_hint("check the origin of the file; if it is correct, raise `max_uncompressed_bytes`"),
                ));
            }
        }
        Ok(read)
    }
}

/// Decompresses a stream, named `name` in messages. Zip needs [`open_zip`] instead.
///
/// # Errors
/// When the decoder cannot be created.
fn decompress(
    source: Box<dyn Read + Send>,
    compression: ReadCompression,
    name: &str,
) -> io::Result<Box<dyn Read + Send>> {
    let (label, decoder): (_, Box<dyn Read + Send>) = match compression {
        ReadCompression::Infer | ReadCompression::None => return Ok(source),
        ReadCompression::Gzip => ("gzip", Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(source)))),
        ReadCompression::Bz2 => ("bzip2", Box::new(bzip2::read::MultiBzDecoder::new(source))),
        ReadCompression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
            ("xz", Box::new(liblzma::read::XzDecoder::new_stream(source, stream)))
        }
        ReadCompression::Zstd => ("zstd", Box::new(zstd::stream::read::Decoder::new(source)?)),
        ReadCompression::Zip => {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a zip archive cannot be read as a stream"));
        }
    };
    Ok(Box::new(Checked { decoder, label, name: name.to_owned() }))
}

/// Reports the damaged file for errors of a decoder.
struct Checked<R> {
    decoder: R,
    label: &'static str,
    name: String,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            // Errors with a code are from the operating system; others are from the decoder.
            if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let text = error.to_string();
            if self.label == "xz" && text.contains("memory limit") {
                return carry(
                    Error::validation(format!(
                        "`{}` needs more than {} MiB of memory to decompress",
                        self.name,
                        XZ_MEMORY >> 20
                    ))
                    .with_source(error)
                    .with_hint("compress it with `xz -9` or lower, or decompress it before the run"),
                );
            }
            let broken = Error::validation(format!("`{}` is not valid {}: {error}", self.name, self.label));
            carry(
                broken
                    .with_code(Code::InvalidFile)
                    .with_source(error)
                    .with_hint("check how the file was created: it may be truncated; or set `compression`"),
            )
        })
    }
}

/// Calls `work` with the content of a file, decompressed to `most` bytes.
///
/// # Errors
/// When it cannot be opened, or the error of `work`.
pub(crate) fn open_decompressed<T>(
    path: &Path,
    name: &str,
    compression: ReadCompression,
    most: u64,
    work: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let file = open(path, name)?;
    let most = if compression == ReadCompression::None { u64::MAX } else { most };
    let bounded = |source: &mut dyn Read| work(&mut Bounded::new(source, name, most));
    if compression == ReadCompression::Zip {
        return open_zip(file, name, bounded);
    }
    let mut source =
        decompress(Box::new(file), compression, name).map_err(|error| unpack("cannot be decompressed", name, error))?;
    bounded(&mut source)
}

/// Calls `work` with the single file of a zip archive.
///
/// # Errors
/// When it is not an archive, has no file or several files, or the error of `work`.
fn open_zip<T>(file: File, name: &str, work: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
    let broken = |error: zip::result::ZipError| {
        Error::validation(format!("`{name}` is not a valid zip archive: {error}"))
            .with_code(Code::InvalidFile)
            .with_source(error)
            .with_hint("check how the file was created: it may be truncated; or set `compression`")
    };
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        if !archive.by_index_raw(index).map_err(broken)?.is_dir() {
            files.push(index);
        }
    }
    match files.as_slice() {
        [one] => work(&mut archive.by_index(*one).map_err(broken)?),
        [] => Err(Error::validation(format!("the zip archive `{name}` is empty"))),
        many => Err(Error::validation(format!("the zip archive `{name}` has {} files", many.len()))
            .with_hint("extract it and set `path` to the directory")),
    }
}

/// A compressing writer.
pub(crate) enum Compressor<W: Write + io::Seek> {
    /// Uncompressed.
    None(W),
    /// gzip.
    Gzip(flate2::write::GzEncoder<W>),
    /// bzip2.
    Bz2(bzip2::write::BzEncoder<W>),
    /// Zstandard.
    Zstd(zstd::stream::write::Encoder<'static, W>),
    /// A zip archive with one file.
    Zip(Box<zip::ZipWriter<W>>),
}

impl<W: Write + io::Seek> Compressor<W> {
    /// A compressor into `target`; `inner` is the name of the file in a zip archive.
    ///
    /// # Errors
    /// When the encoder cannot be created, or writing fails.
    pub(crate) fn new(target: W, compression: WriteCompression, inner: &str) -> io::Result<Self> {
        Ok(match compression {
            WriteCompression::Infer | WriteCompression::None => Self::None(target),
            WriteCompression::Gzip => {
                Self::Gzip(flate2::GzBuilder::new().mtime(0).write(target, flate2::Compression::default()))
            }
            WriteCompression::Bz2 => Self::Bz2(bzip2::write::BzEncoder::new(target, bzip2::Compression::default())),
            WriteCompression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(target, 3)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            WriteCompression::Zip => {
                let mut archive = zip::ZipWriter::new(target);
                let options = zip::write::SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Deflated)
                    .last_modified_time(zip::DateTime::default())
                    .large_file(true);
                archive.start_file(inner, options).map_err(io::Error::other)?;
                Self::Zip(Box::new(archive))
            }
        })
    }

    /// Flushes and returns the target.
    ///
    /// # Errors
    /// When writing fails.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(target) => Ok(target),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Bz2(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Zip(archive) => archive.finish().map_err(io::Error::other),
        }
    }
}

impl<W: Write + io::Seek> Write for Compressor<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(target) => target.write(buffer),
            Self::Gzip(encoder) => encoder.write(buffer),
            Self::Bz2(encoder) => encoder.write(buffer),
            Self::Zstd(encoder) => encoder.write(buffer),
            Self::Zip(archive) => archive.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(target) => target.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Bz2(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Zip(archive) => archive.flush(),
        }
    }
}

/// Opens a file for reading.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn open(path: &Path, name: &str) -> Result<File> {
    File::open(path).map_err(|error| io_error("cannot be opened", name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s33_the_default_limit_grows_with_the_file() {
        assert_eq!(default_most(0), 4 << 30);
        assert_eq!(default_most(1 << 30), 200 << 30);
        assert_eq!(default_most(u64::MAX), u64::MAX);
    }
}
