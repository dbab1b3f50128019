//! Where a writer writes to: a file or directory inside the fence, or standard output.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use osiris_core::{DestinationId, Error, Problem, Result};

use crate::client::{Location, Target};
use crate::commit::{NotPublished, check_directory, check_file, prepare_parent};
use crate::config::{FilesystemConnection, WriteMode};
use crate::error::io_error;
use crate::lock::TargetLock;
use crate::resolve::resolved;
use crate::stdio::Streams;

/// Where to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// A file or directory of this machine.
    File {
        /// Where it is, every link followed.
        path: PathBuf,
        /// How messages call it.
        name: String,
    },
}

impl Destination {
    /// How messages call it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Stdout => "standard output",
            Self::File { name, .. } => name,
        }
    }

    /// Checks, without writing, that a file or with `several` a directory of `Part`s can be put there.
    ///
    /// # Errors
    /// What is there is the other of the two, or a directory with files of somebody else.
    pub(crate) fn check(&self, several: bool) -> Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File { path, name } if several => check_directory(path, name, &|below| Part::parse(below).is_some()),
            Self::File { path, name } => check_file(path, name),
        }
    }

    /// What `path` means at `location`; its directory is made where that is allowed, unless `dry`.
    ///
    /// # Errors
    /// A path outside the fence, or without a directory.
    pub(crate) fn find(location: &Location, path: &str, create_dirs: bool, dry: bool) -> Result<Self> {
        let path = match location.target(path)? {
            Target::Stdio => return Ok(Self::Stdout),
            Target::Local(path) => path,
        };
        let name = location.name(&path);
        if path.file_name().is_none() {
            return Err(Error::validation(format!("`{name}` does not end in the name of a file")));
        }
        location.check_nearest(&path)?;
        if !(dry && create_dirs) {
            prepare_parent(&path, &name, create_dirs)?;
        }
        if path.exists() {
            location.real(&path)?;
        }
        let path = resolved(&path);
        location.check_inside(&path)?;
        Ok(Self::File { path, name })
    }

    /// The right to write it, for as long as it is held; standard output needs none.
    ///
    /// # Errors
    /// Something is there that must not be replaced; another writer has the right for longer than this one waits.
    pub(crate) async fn lock(&self, several: bool) -> Result<Option<TargetLock>> {
        let Self::File { path, name } = self else { return Ok(None) };
        if !several {
            check_file(path, name)?;
        }
        TargetLock::take(path, name).await.map(Some)
    }

    /// The identity of what `path` means at `location`: two spellings of one path have the same.
    pub(crate) fn id(location: &Location, path: &str, mode: WriteMode, several: bool) -> DestinationId {
        match location.target(path) {
            Ok(Target::Local(path)) => {
                let path = resolved(&path);
                let id = if several { DestinationId::directory(path) } else { DestinationId::file(path) };
                id.replaced(mode == WriteMode::Overwrite)
            }
            Ok(Target::Stdio) => DestinationId::standard_output(),
            // It is refused when it runs, whoever else writes it.
            Err(_) => DestinationId::file(path),
        }
    }
}

/// What a writer has written.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Done {
    /// Rows, without those that were there before.
    pub(crate) rows: u64,
    /// Bytes.
    pub(crate) bytes: u64,
    /// Files.
    pub(crate) files: u64,
}

/// The problems of a writer's path that need no look at the disk.
pub(crate) fn validate(path: &str, mode: WriteMode, several: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    match Location::new(&FilesystemConnection::default(), Path::new(".")).target(path) {
        Err(error) => {
            problems.push(Problem::error("/path", error.message()).with_hint(error.hint().unwrap_or_default()));
        }
        Ok(Target::Stdio) if several => {
            problems.push(Problem::error("/path", "standard output is one file").with_hint("name a directory"));
        }
        Ok(Target::Stdio) if mode == WriteMode::Append => {
            problems
                .push(Problem::error("/mode", "standard output cannot be appended to").with_hint("leave `mode` out"));
        }
        Ok(_) if path.ends_with('/') && !several => {
            problems.push(
                Problem::error("/path", "names a directory").with_hint("name a file, or set `max_rows_per_file`"),
            );
        }
        Ok(_) => {}
    }
    problems
}

/// Sends a finished file to standard output, until `stopped`.
///
/// # Errors
/// Standard output is closed, or the sending was stopped. What had been sent by then cannot be taken back.
pub(crate) fn send(path: &Path, streams: &Streams, stopped: &dyn Fn() -> bool) -> Result<(), NotPublished> {
    let mut sent = 0;
    send_counted(path, streams, stopped, &mut sent).map_err(|error| NotPublished { error, untouched: sent == 0 })
}

fn send_counted(path: &Path, streams: &Streams, stopped: &dyn Fn() -> bool, sent: &mut u64) -> Result<()> {
    // Nobody opens it again for a second try.
    let failed = |error| io_error("could not be written", "standard output", error).with_retryable(false);
    let mut file = File::open(path).map_err(failed)?;
    let mut output = streams.output();
    let mut buffer = vec![0; 1 << 16];
    loop {
        if stopped() {
            return Err(Error::cancelled(format!("stopped after {sent} bytes had been sent to standard output")));
        }
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return output.flush().map_err(failed);
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            match output.write(rest) {
                Ok(0) => return Err(failed(io::ErrorKind::WriteZero.into())),
                Ok(taken) => {
                    *sent += taken as u64;
                    rest = &rest[taken..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// A file among several of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its number, from 1.
    pub(crate) number: u64,
}

impl Part {
    /// Reads `part-00001.csv`, in any directories called `name=value`.
    pub(crate) fn parse(below: &Path) -> Option<Self> {
        let name = below.file_name()?.to_str()?;
        let (number, _) = name.strip_prefix("part-")?.split_once('.')?;
        let partitions = below.parent()?.components().all(|part| part.as_os_str().to_string_lossy().contains('='));
        Some(Self { number: number.parse().ok().filter(|_| partitions)? })
    }
}

/// `part-00001.csv`.
pub(crate) fn part_name(number: u64, extension: &str) -> String {
    format!("part-{number:05}.{extension}")
}
