//! Commits a file: renames the staged file, completes its upload, or copies it to standard output, and finds out the
//! outcome later.
//!
//! Replacing a file is repeatable. An append is not: before it, the length and hash of the file as it was and as it
//! will be are recorded. They tell afterwards whether it took place.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use osiris_core::{CommitOutcome, ExecutionContext, Intent, Result, Written};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::blocking::blocking;
use crate::client::Location;
use crate::commit::{AtomicDirectory, AtomicFile, NotPublished, remove_leftovers};
use crate::config::WriteMode;
use crate::destination::{object_part, send};
use crate::error::io_error;
use crate::lock::TargetLock;
use crate::objects::{self, ObjectPath, Upload, WrittenObject};
use crate::stdio::Streams;

/// Staged output: complete, on disk, and ready to be renamed. It is created in a blocking thread and published by the
/// future that waited for it: a dropped future publishes nothing.
pub(crate) enum Staged {
    /// One file.
    File(AtomicFile),
    /// One file that begins with the rows of the old one, which has `old` bytes; `copied` if the new one begins with those bytes.
    Appended {
        /// The new file.
        file: AtomicFile,
        /// Bytes of the old one.
        old: u64,
        /// Whether the new one begins with them.
        copied: bool,
    },
    /// A directory of files, of which these are new.
    Directory {
        /// The directory.
        directory: AtomicDirectory,
        /// Paths below it.
        new: Vec<PathBuf>,
    },
    /// Files to be uploaded, in the scratch directory, which outlives this.
    Objects {
        /// One, or the parts below a prefix.
        uploads: Vec<Upload>,
        /// The directory that they are in, if they have one of their own.
        _directory: Option<AtomicDirectory>,
    },
    /// A file to be sent to standard output.
    Stdout(PathBuf),
}

impl Staged {
    /// One file, to become the object at `path`.
    ///
    /// # Errors
    /// When the connection cannot be used.
    pub(crate) fn object(location: &Location, path: &ObjectPath, file: PathBuf) -> Result<Self> {
        Ok(Self::Objects { uploads: vec![Upload::new(location, path, file, false)?], _directory: None })
    }

    /// The files of a directory, to become objects below `prefix` besides those that are there.
    ///
    /// # Errors
    /// When the connection cannot be used.
    pub(crate) fn parts(location: &Location, prefix: &ObjectPath, staged: Self) -> Result<Self> {
        let Self::Directory { directory, new } = staged else { return Ok(staged) };
        let write = fastrand::u64(..);
        let uploads = new.iter().map(|below| {
            Upload::new(location, &prefix.join(&object_part(below, write))?, directory.temp().join(below), true)
        });
        Ok(Self::Objects { uploads: uploads.collect::<Result<_>>()?, _directory: Some(directory) })
    }
}

/// Identifies an append.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Token {
    /// A file that grows.
    File { path: PathBuf, old: Option<Print>, new: Print },
    /// A directory that gets further files.
    Parts { path: PathBuf, parts: Vec<(PathBuf, Print)> },
    /// Objects of a store.
    Objects { objects: Vec<WrittenObject> },
}

/// Identifies the content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    bytes: u64,
    sha256: String,
}

/// Publishes the staged output as `name`, after recording the intent.
///
/// # Errors
/// When recording or publishing fails; the old content is untouched then, unless the outcome is unknown.
pub(crate) async fn publish(
    mut staged: Staged,
    name: &str,
    mode: WriteMode,
    written: Written,
    streams: &Streams,
    ctx: &ExecutionContext,
) -> Result<()> {
    if let Staged::Objects { uploads, .. } = &mut staged {
        for upload in uploads {
            upload.send(ctx).await?;
        }
    }
    let (staged, token) = match mode {
        WriteMode::Append => {
            let name = name.to_owned();
            blocking(move |_| {
                let token = token(&staged).map_err(|error| io_error("could not be read back", &name, error))?;
                Ok((staged, token))
            })
            .await?
        }
        WriteMode::Overwrite => (staged, Value::Null),
    };
    let intent = match &staged {
        Staged::Stdout(_) => Intent::new(name).with_parts(),
        Staged::Objects { uploads, .. } if uploads.len() > 1 => {
            Intent::new(format!("`{name}`")).with_parts().with_token(token)
        }
        _ => Intent::new(format!("`{name}`")).with_repeatable(mode == WriteMode::Overwrite).with_token(token),
    };
    let commit = ctx.begin_commit(intent.with_written(written)).await?;
    let published = match staged {
        Staged::File(file) | Staged::Appended { file, .. } => file.commit(name),
        Staged::Directory { directory, .. } => directory.commit(name),
        Staged::Objects { mut uploads, .. } => complete(&mut uploads).await,
        Staged::Stdout(path) => {
            let (streams, cancel) = (streams.clone(), ctx.cancel().clone());
            blocking(move |stop| Ok(send(&path, &streams, &|| stop.is_raised() || cancel.is_cancelled()))).await?
        }
    };
    match published {
        Ok(()) => {
            commit.committed(written).await;
            Ok(())
        }
        Err(NotPublished { error, untouched: true }) => {
            commit.not_committed().await;
            Err(error)
        }
        // Core asks.
        Err(NotPublished { error, untouched: false }) => Err(error),
    }
}

/// Makes all objects visible, one after the other, or none: where one fails, those before it are removed again.
async fn complete(uploads: &mut [Upload]) -> Result<(), NotPublished> {
    for at in 0..uploads.len() {
        let Err(NotPublished { error, mut untouched }) = uploads[at].complete().await else { continue };
        // The objects of an append have names of their own; the one that is replaced is the only one.
        for done in &uploads[..at] {
            untouched &= done.take_back().await;
        }
        return Err(NotPublished { error, untouched });
    }
    Ok(())
}

fn token(staged: &Staged) -> io::Result<Value> {
    let token = match staged {
        Staged::File(file) => Token::File { path: file.target().to_path_buf(), old: None, new: print(file.temp())? },
        Staged::Appended { file, old, copied: true } => {
            let (old, new) = prints(file.temp(), *old)?;
            Token::File { path: file.target().to_path_buf(), old, new }
        }
        Staged::Appended { file, copied: false, .. } => {
            let old = Some(print(file.target())?);
            Token::File { path: file.target().to_path_buf(), old, new: print(file.temp())? }
        }
        Staged::Directory { directory, new } => {
            let parts = new.iter().map(|below| Ok((below.clone(), print(&directory.temp().join(below))?)));
            Token::Parts { path: directory.target().to_path_buf(), parts: parts.collect::<io::Result<_>>()? }
        }
        Staged::Objects { uploads, .. } => Token::Objects { objects: uploads.iter().map(Upload::written).collect() },
        Staged::Stdout(_) => return Ok(Value::Null),
    };
    serde_json::to_value(token).map_err(io::Error::other)
}

/// The outcome of the append of `intent`, from the files, or from the store over the connection of `location`.
///
/// # Errors
/// When they cannot be read.
pub(crate) async fn outcome(intent: &Intent, location: &Location) -> Result<CommitOutcome> {
    let Ok(token) = serde_json::from_value::<Token>(intent.token().clone()) else { return Ok(CommitOutcome::Unknown) };
    let name = intent.destination().trim_matches('`').to_owned();
    let path = match &token {
        Token::File { path, .. } | Token::Parts { path, .. } => path,
        Token::Objects { objects } => return objects::outcome(location, objects).await,
    };
    let (target, killed) = (path.clone(), TargetLock::of_killed(path, &name).await);
    blocking(move |_| {
        if let Some(lock) = killed {
            // Nobody writes there again if the rows are there.
            remove_leftovers(&target);
            drop(lock);
        }
        found(&token).map_err(|error| io_error("cannot be read", &name, error))
    })
    .await
}

fn found(token: &Token) -> io::Result<CommitOutcome> {
    let committed = CommitOutcome::Committed { written: None };
    match token {
        Token::File { path, old, new } => {
            if begins_with(path, new)? {
                return Ok(committed);
            }
            let is_as_before = match old {
                Some(old) => path.metadata().is_ok_and(|now| now.len() == old.bytes) && begins_with(path, old)?,
                None => is_empty(path)?,
            };
            Ok(if is_as_before { CommitOutcome::NotCommitted } else { CommitOutcome::Unknown })
        }
        Token::Parts { path, parts } => {
            let (mut there, mut missing) = (0, 0);
            for (below, print) in parts {
                let part = path.join(below);
                match part.try_exists()? {
                    false => missing += 1,
                    true if begins_with(&part, print)? => there += 1,
                    true => {}
                }
            }
            Ok(match (there == parts.len(), missing == parts.len()) {
                (true, false) => committed,
                (false, true) => CommitOutcome::NotCommitted,
                _ => CommitOutcome::Unknown,
            })
        }
        Token::Objects { .. } => Ok(CommitOutcome::Unknown),
    }
}

/// Whether the file exists and begins with those bytes: more may have been appended since.
fn begins_with(path: &Path, print: &Print) -> io::Result<bool> {
    match path.metadata() {
        Ok(now) if now.is_file() && now.len() >= print.bytes => {
            Ok(prints(path, print.bytes)?.0.as_ref() == Some(print))
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the file is missing or empty.
fn is_empty(path: &Path) -> io::Result<bool> {
    match path.metadata() {
        Ok(now) => Ok(now.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn print(path: &Path) -> io::Result<Print> {
    Ok(prints(path, 0)?.1)
}

/// That of the first `first` bytes of a file, unless there are none, and that of all of it.
fn prints(path: &Path, first: u64) -> io::Result<(Option<Print>, Print)> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let hashed = hash(&mut (&mut file).take(first), &mut digest)?;
    let head = (hashed > 0).then(|| Print { bytes: hashed, sha256: hex(digest.clone()) });
    let bytes = hashed + hash(&mut file, &mut digest)?;
    Ok((head, Print { bytes, sha256: hex(digest) }))
}

fn hash(source: &mut dyn Read, digest: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                digest.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FilesystemConnection;

    /// A file that was `old` and is to be `new`, and then is `now`.
    fn asked(old: Option<&str>, new: &str, now: Option<&str>) -> CommitOutcome {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            print(&path).unwrap()
        };
        let token = Token::File { path: path.clone(), old: old.map(of), new: of(new) };
        std::fs::remove_file(&path).unwrap();
        if let Some(now) = now {
            std::fs::write(&path, now).unwrap();
        }
        found(&serde_json::from_value(serde_json::to_value(token).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn s2_an_append_is_recognised_by_length_and_hash() {
        let committed = CommitOutcome::Committed { written: None };
        assert_eq!(asked(Some("a\n1\n"), "a\n1\n2\n", Some("a\n1\n2\n")), committed);
        assert_eq!(asked(Some("a\n1\n"), "a\n1\n2\n", Some("a\n1\n2\n3\n")), committed);
        assert_eq!(asked(Some("a\n1\n"), "a\n1\n2\n", Some("a\n1\n")), CommitOutcome::NotCommitted);
        assert_eq!(asked(Some("a\n1\n"), "a\n1\n2\n", Some("a\n1\n9\n")), CommitOutcome::Unknown);
        assert_eq!(asked(Some("a\n1\n"), "a\n1\n2\n", None), CommitOutcome::Unknown);
        assert_eq!(asked(None, "a\n2\n", None), CommitOutcome::NotCommitted);
        assert_eq!(asked(None, "a\n2\n", Some("")), CommitOutcome::NotCommitted);
        assert_eq!(asked(None, "a\n2\n", Some("a\n2\n")), committed);
        assert_eq!(asked(None, "a\n2\n", Some("b\n")), CommitOutcome::Unknown);
    }

    #[tokio::test]
    async fn what_a_killed_writer_has_left_goes_when_its_append_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        std::fs::write(&path, "a\n1\n").unwrap();
        let token = Token::File { path: path.clone(), old: None, new: print(&path).unwrap() };
        let intent = Intent::new("`a.csv`").with_token(serde_json::to_value(token).unwrap());
        for name in [".a.csv.osiris-lock", ".a.csv.0123456789abcdef.osiris-tmp"] {
            std::fs::write(directory.path().join(name), "{}").unwrap();
        }
        let location = Location::new(&FilesystemConnection::default(), directory.path());
        assert_eq!(outcome(&intent, &location).await.unwrap(), CommitOutcome::Committed { written: None });
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn s2_further_parts_are_recognised_one_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        std::fs::create_dir(&path).unwrap();
        let names = ["part-00002.csv", "part-00003.csv"].map(PathBuf::from);
        for name in &names {
            std::fs::write(path.join(name), name.as_os_str().as_encoded_bytes()).unwrap();
        }
        let parts = names.iter().map(|name| (name.clone(), print(&path.join(name)).unwrap())).collect();
        let token = Token::Parts { path: path.clone(), parts };
        assert_eq!(found(&token).unwrap(), CommitOutcome::Committed { written: None });
        std::fs::remove_file(path.join(&names[0])).unwrap();
        assert_eq!(found(&token).unwrap(), CommitOutcome::Unknown);
        std::fs::remove_dir_all(&path).unwrap();
        assert_eq!(found(&token).unwrap(), CommitOutcome::NotCommitted);
    }
}
