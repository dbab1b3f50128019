//! The destination of a writer: a file or directory inside `base_dir`, an object of a store, or standard output.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use osiris_core::{DestinationId, Error, Problem, Result};

use crate::client::{Location, Target};
use crate::commit::{NotPublished, check_directory, check_file, prepare_parent};
use crate::config::{FilesystemConnection, WriteMode};
use crate::error::io_error;
use crate::lock::TargetLock;
use crate::objects::ObjectPath;
use crate::resolve::resolved;
use crate::stdio::Streams;

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// A file or directory of this machine.
    File {
        /// Its path, with links resolved.
        path: PathBuf,
        /// The name in messages.
        name: String,
    },
    /// An object of a store, or a prefix of several.
    Object {
        /// Its address.
        path: ObjectPath,
        /// The name in messages.
        name: String,
    },
}

impl Destination {
    /// The name in messages.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Stdout => "standard output",
            Self::File { name, .. } | Self::Object { name, .. } => name,
        }
    }

    /// Checks, without writing, that a file, or with `several` a directory of `Part`s, can be written there.
    ///
    /// # Errors
    /// When the existing one is of the other kind, or a directory with foreign files.
    pub(crate) fn check(&self, several: bool) -> Result<()> {
        match self {
            Self::Stdout | Self::Object { .. } => Ok(()),
            Self::File { path, name } if several => check_directory(path, name, &|below| Part::parse(below).is_some()),
            Self::File { path, name } => check_file(path, name),
        }
    }

    /// Resolves `path` at `location`, for a file or for `several`; creates its directory if allowed, unless `dry`.
    ///
    /// # Errors
    /// For a path outside `base_dir`, without a directory, or of a store that cannot be written so.
    pub(crate) fn find(
        location: &Location,
        path: &str,
        (mode, several): (WriteMode, bool),
        create_dirs: bool,
        dry: bool,
    ) -> Result<Self> {
        let path = match location.target(path)? {
            Target::Stdio => return Ok(Self::Stdout),
            Target::Local(path) => path,
            Target::Object(path) => {
                if let Some(problem) = object_problem(&path, mode, several) {
                    let error = Error::validation(format!("`{path}`: {}", problem.message));
                    return Err(error.with_hint(problem.hint.unwrap_or_default()));
                }
                return Ok(Self::Object { name: location.object_name(&path), path });
            }
        };
        let name = location.name(&path);
        if path.file_name().is_none() {
            return Err(Error::validation(format!("`{name}` does not end with a file name")));
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

    /// Locks it for writing; standard output needs no lock.
    ///
    /// # Errors
    /// When it must not be replaced, or another writer holds the lock for too long.
    pub(crate) async fn lock(&self, several: bool) -> Result<Option<TargetLock>> {
        let Self::File { path, name } = self else { return Ok(None) };
        if !several {
            check_file(path, name)?;
        }
        TargetLock::take(path, name).await.map(Some)
    }

    /// The identity of `path` at `location`: two spellings of one path have the same.
    pub(crate) fn id(location: &Location, path: &str, mode: WriteMode, several: bool) -> DestinationId {
        match location.target(path) {
            Ok(Target::Local(path)) => {
                let path = resolved(&path);
                let id = if several { DestinationId::directory(path) } else { DestinationId::file(path) };
                id.replaced(mode == WriteMode::Overwrite)
            }
            Ok(Target::Stdio) => DestinationId::standard_output(),
            Ok(Target::Object(path)) => {
                let (name, replaces) = (path.to_string(), mode == WriteMode::Overwrite);
                let id = if several { DestinationId::directory(name) } else { DestinationId::file(name) };
                id.replaced(replaces)
            }
            // It is refused when the step runs.
            Err(_) => DestinationId::file(path),
        }
    }
}

/// The result of a write.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Done {
    /// Rows, without existing ones.
    pub(crate) rows: u64,
    /// Bytes.
    pub(crate) bytes: u64,
    /// Files.
    pub(crate) files: u64,
}

/// The problems of a writer's path that can be checked without I/O.
pub(crate) fn validate(path: &str, mode: WriteMode, several: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    match Location::new(&FilesystemConnection::default(), Path::new(".")).target(path) {
        Err(error) => {
            problems.push(Problem::error("/path", error.message()).with_hint(error.hint().unwrap_or_default()));
        }
        Ok(Target::Stdio) if several => {
            problems.push(
                Problem::error("/path", "standard output is a single file").with_hint("set `path` to a directory"),
            );
        }
        Ok(Target::Stdio) if mode == WriteMode::Append => {
            problems.push(Problem::error("/mode", "cannot append to standard output").with_hint("remove `mode`"));
        }
        Ok(Target::Object(object)) if object_problem(&object, mode, several).is_some() => {
            problems.extend(object_problem(&object, mode, several));
        }
        Ok(_) if path.ends_with('/') && !several => {
            problems.push(
                Problem::error("/path", "is a directory").with_hint("set `path` to a file, or set `max_rows_per_file`"),
            );
        }
        Ok(_) => {}
    }
    problems
}

/// Why a store cannot be written so.
fn object_problem(path: &ObjectPath, mode: WriteMode, several: bool) -> Option<Problem> {
    let problem = match (mode, several) {
        _ if path.scheme.is_web() => Problem::error("/path", "a file of a web server can only be read")
            .with_hint("write to a local path, or to `s3://`, `gs://` or `az://`"),
        (WriteMode::Append, false) => Problem::error("/mode", "rows cannot be appended to an object of a store").with_hint(
            "remove `mode` to replace it; or set `max_rows_per_file`: every run then adds further objects below `path`",
        ),
        (WriteMode::Overwrite, true) => {
            Problem::error("/mode", "the objects below a prefix of a store cannot be replaced at once").with_hint(
                "set `mode: append`, with a `path` that is new where no old rows may stay; or write one object",
            )
        }
        (WriteMode::Overwrite, false) if path.is_prefix => {
            Problem::error("/path", "is a prefix, not an object").with_hint("set `path` to an object, such as `s3://bucket/rows.parquet`")
        }
        _ => return None,
    };
    Some(problem)
}

/// Sends a finished file to standard output, until `stopped`.
///
/// # Errors
/// When standard output is closed, or the copy was stopped. Data already sent cannot be taken back.
pub(crate) fn send(path: &Path, streams: &Streams, stopped: &dyn Fn() -> bool) -> Result<(), NotPublished> {
    let mut sent = 0;
    send_counted(path, streams, stopped, &mut sent).map_err(|error| {
        // Where the reader has ended, nobody goes on with the part that it got.
        let untouched = sent == 0 || has_no_reader(&error);
        NotPublished { error, untouched }
    })
}

/// Whether what read the output has ended.
fn has_no_reader(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn send_counted(path: &Path, streams: &Streams, stopped: &dyn Fn() -> bool, sent: &mut u64) -> Result<()> {
    // It cannot be opened again for a retry.
    let failed = |error| io_error("could not be written", "standard output", error).with_retryable(false);
    let mut file = File::open(path).map_err(failed)?;
    let mut output = streams.output();
    let mut buffer = vec![0; 1 << 16];
    loop {
        if stopped() {
            return Err(Error::cancelled(format!("stopped after {sent} bytes were written to standard output")));
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

/// One of several files of a write.
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

/// `part-00001.csv`. In a store the parts of different runs lie side by side: see [`object_part`].
pub(crate) fn part_name(number: u64, extension: &str) -> String {
    format!("part-{number:05}.{extension}")
}

/// The key of a part below a prefix, which no other write has: `part-00001.csv` becomes `part-0123456789abcdef-00001.csv`.
pub(crate) fn object_part(below: &Path, write: u64) -> String {
    let below = below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
    let (directory, name) = below.rsplit_once('/').map_or(("", below.as_str()), |(directory, name)| (directory, name));
    let name = name.replacen("part-", &format!("part-{write:016x}-"), 1);
    if directory.is_empty() { name } else { format!("{directory}/{name}") }
}
