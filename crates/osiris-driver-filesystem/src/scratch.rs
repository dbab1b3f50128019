//! A directory for the files of a step, inside the run store's scratch directory, removed on drop.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use osiris_core::{Result, private, safe_name};

use crate::client::{FileKind, Location, Partition, SourceFile, Target};
use crate::error::io_error;
use crate::stdio::Streams;

/// The directory.
pub(crate) struct Scratch {
    path: PathBuf,
    files: AtomicU32,
}

impl Scratch {
    /// A new one below `parent` for `step`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn new(parent: &Path, step: &str) -> Result<Self> {
        let path = parent.join(format!("{}-{:016x}", safe_name(step), fastrand::u64(..)));
        private::create_dir_all(&path).map_err(|error| io_error("cannot be created", &path, error))?;
        Ok(Self { path, files: AtomicU32::new(0) })
    }

    /// An unused path in it.
    pub(crate) fn path(&self, extension: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Relaxed) + 1;
        self.path.join(format!("{number}.{extension}"))
    }

    /// An unused path in it, below directories of `partitions`: DuckDB reads them from there. `name` is that of the file
    /// in messages.
    ///
    /// # Errors
    /// When a directory cannot be created.
    pub(crate) fn place(&self, partitions: &[Partition], extension: &str, name: &str) -> Result<PathBuf> {
        let here = self.path(extension);
        if partitions.is_empty() {
            return Ok(here);
        }
        let mut directory = here.with_extension("");
        directory.extend(partitions.iter().map(|partition| &partition.directory));
        std::fs::create_dir_all(&directory)
            .map_err(|error| io_error("could not be copied to the scratch directory", name, error))?;
        Ok(directory.join(format!("0.{extension}")))
    }

    /// The files to read: those of the disk, standard input after it is copied to a file, or what was `downloaded` from a store.
    ///
    /// # Errors
    /// When there is none, or reading or copying fails.
    pub(crate) fn sources(
        &self,
        location: &Location,
        path: &str,
        kind: &FileKind,
        streams: &Streams,
        downloaded: &[SourceFile],
    ) -> Result<Vec<SourceFile>> {
        match location.target(path)? {
            Target::Local(path) => location.files(&path, kind),
            Target::Stdio => Ok(vec![self.standard_input(streams, kind.extensions[0])?]),
            Target::Object(_) => Ok(downloaded.to_vec()),
        }
    }

    /// Copies standard input to a file.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub(crate) fn standard_input(&self, streams: &Streams, extension: &str) -> Result<SourceFile> {
        let (path, name) = (self.path(extension), "standard input".to_owned());
        let copied = private::create(&path).and_then(|mut file| io::copy(&mut streams.input(), &mut file));
        let size = copied.map_err(|error| io_error("could not be copied to the scratch directory", &name, error))?;
        Ok(SourceFile { path, name, size, partitions: Vec::new() })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a scratch directory could not be removed");
        }
    }
}
