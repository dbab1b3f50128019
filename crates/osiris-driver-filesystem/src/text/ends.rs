//! The end of an existing file, behind which rows are appended.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use osiris_core::Result;

use crate::compression::open_decompressed;
use crate::config::ReadCompression;
use crate::error::{io_error, unpack};

/// The last byte of a file's content; `None` if it is empty.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn last_byte(path: &Path, name: &str, compression: ReadCompression) -> Result<Option<u8>> {
    match compression {
        ReadCompression::None => last_in(path).map_err(|error| io_error("cannot be read", name, error)),
        _ => open_decompressed(path, name, compression, u64::MAX, |source| last_of(source, name)),
    }
}

fn last_in(path: &Path) -> io::Result<Option<u8>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}

/// The last byte of `source`, which is read to its end.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn last_of(source: &mut dyn Read, name: &str) -> Result<Option<u8>> {
    let mut buffer = [0; 8192];
    let mut last = None;
    loop {
        match source.read(&mut buffer).map_err(|error| unpack("cannot be read", name, error))? {
            0 => return Ok(last),
            n => last = Some(buffer[n - 1]),
        }
    }
}
