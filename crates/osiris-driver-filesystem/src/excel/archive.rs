//! What a workbook is made of, before it is parsed: whether the file is one, whole, and not too large.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};

use osiris_core::{Code, Error, Result};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::blocking::StopFlag;
use crate::error::{io_error, is_of_system};

/// How large the parts may be together that are held in memory: everything but sheets, pictures and macros.
const HELD: u64 = 1 << 30;
/// What workbooks before 2007 and encrypted ones begin with: compound files.
const COMPOUND: [u8; 8] = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];

/// What a file is by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// A zip archive, which a workbook is.
    Archive,
    /// A compound file: a workbook before 2007, or an encrypted one.
    Compound,
}

/// What `file`, named `name` in messages, is.
///
/// # Errors
/// When it is neither, or cannot be read.
pub(super) fn container(file: &mut File, name: &str) -> Result<Container> {
    let mut start = Vec::new();
    let read = file.by_ref().take(8).read_to_end(&mut start).and_then(|_| file.rewind());
    read.map_err(|error| io_error("cannot be read", name, error))?;
    match start.as_slice() {
        [b'P', b'K', ..] => Ok(Container::Archive),
        start if *start == COMPOUND => Ok(Container::Compound),
        [] => Err(refused(name, "is empty", "check how the file was created")),
        _ => Err(refused(
            name,
            "is not an Excel workbook",
            "check how the file was created: a text file with this name is read by `filesystem.csv_extractor`",
        )),
    }
}

/// Reads every part of the workbook once: none is damaged, and together they have at most `most` bytes.
///
/// # Errors
/// When it is not an archive of a workbook, is damaged, or too large.
pub(super) fn check(file: &File, name: &str, most: u64, stop: &StopFlag) -> Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(name, error))?;
    check_kind(&archive, name)?;
    let (mut all, mut held) = (0, 0);
    let mut buffer = vec![0; 1 << 16];
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(|error| damaged(name, error))?;
        let path = part.name().map_err(|error| damaged(name, error))?.into_owned();
        if !path.ends_with(".xml") && !path.ends_with(".rels") {
            continue;
        }
        let is_held = !path.contains("/worksheets/");
        loop {
            stop.check()?;
            let read = part.read(&mut buffer).map_err(|error| damaged(name, error.into()))? as u64;
            if read == 0 {
                break;
            }
            all += read;
            held += if is_held { read } else { 0 };
            if all > most {
                return Err(Error::validation(format!("`{name}` is larger than {most} bytes uncompressed"))
                    .with_hint("check the origin of the file; if it is correct, raise `max_uncompressed_bytes`"));
            }
            if held > HELD {
                return Err(Error::validation(format!(
                    "`{name}` has more than {} MiB of texts and formats",
                    HELD >> 20
                ))
                .with_hint("check the origin of the file; save its sheet as CSV if it is correct"));
            }
        }
    }
    Ok(())
}

/// Checks that the archive is a workbook that can be read.
fn check_kind(archive: &ZipArchive<BufReader<&File>>, name: &str) -> Result<()> {
    let any = |test: &dyn Fn(&str) -> bool| archive.file_names().flatten().any(|part| test(&part));
    let has = |wanted: &str| any(&|part| part.eq_ignore_ascii_case(wanted));
    let other = if has("xl/workbook.bin") {
        "is a binary workbook (.xlsb), which is not read"
    } else if has("content.xml") {
        "is an OpenDocument sheet (.ods), which is not read"
    } else if !any(&|part| part.ends_with(".rels")) {
        "is a zip archive, not an Excel workbook"
    } else {
        return Ok(());
    };
    Err(refused(name, other, SAVE_AS))
}

/// What to do with a workbook of another format.
pub(super) const SAVE_AS: &str = "open it and save it as an Excel workbook (.xlsx)";

/// The error of a file that is something else.
pub(super) fn refused(name: &str, what: &str, hint: &'static str) -> Error {
    Error::validation(format!("`{name}` {what}")).with_code(Code::InvalidFile).with_hint(hint)
}

fn damaged(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) if is_of_system(&error) => io_error("cannot be read", name, error),
        error => refused(name, "is damaged: it is not a whole workbook", DAMAGED).with_source(error),
    }
}

/// What to do about a damaged workbook.
pub(super) const DAMAGED: &str = "copy the file again, or open it in Excel, which may repair it, and save it";
