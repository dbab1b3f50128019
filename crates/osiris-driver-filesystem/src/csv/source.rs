//! The files of an extraction: each is opened, decoded, scanned, and copied if DuckDB cannot read the original.

use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use osiris_core::problem::nearest;
use osiris_core::store::FileIdentity;
use osiris_core::{Code, Error, Reject, Result};

use super::dialect::Dialect;
use super::encoding::{Charset, Utf8Reader};
use super::infer::ColumnProfile;
use super::parallel;
use super::scan::{Copy, ScanOptions, Scanned, scan};
use crate::client::SourceFile;
use crate::compression::{default_most, open_decompressed};
use crate::config::ReadCompression;
use crate::error::io_error;
use crate::scratch::Scratch;

/// A file for DuckDB to read.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The original file.
    pub(crate) source: SourceFile,
    /// The path that DuckDB reads: the file itself or a plain copy.
    pub(crate) path: PathBuf,
    /// Whether it is a copy.
    pub(crate) copied: bool,
    /// For each column of the first file, its position in this one.
    pub(crate) places: Vec<usize>,
    pub(crate) rows: u64,
    pub(crate) delimiter: u8,
    pub(crate) preamble: u64,
    pub(crate) longest: usize,
    pub(crate) new_line: &'static str,
}

/// All files, scanned.
#[derive(Debug, Default)]
pub(crate) struct Scanning {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) names: Vec<String>,
    pub(crate) profiles: Vec<ColumnProfile>,
    pub(crate) rows: u64,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) rejected: u64,
    pub(crate) bytes: u64,
    /// The files as they were before the scan, if DuckDB may read every one where it lies, now and later.
    pub(crate) in_place: Option<Vec<FileIdentity>>,
}

/// Options for opening files.
pub(crate) struct Opening<'a> {
    pub(crate) dialect: &'a Dialect,
    pub(crate) compression: ReadCompression,
    /// Uncompressed limit of a compressed file; `None` for the default.
    pub(crate) max_uncompressed: Option<u64>,
    /// Whether the run store can access the file at a path.
    pub(crate) reaches: &'a dyn Fn(&Path) -> bool,
}

impl Opening<'_> {
    /// Scans all `files` in order, with `options`.
    ///
    /// # Errors
    /// When a file cannot be read, has a bad line, or other columns than the first.
    pub(crate) fn scan_all(
        &self,
        files: Vec<SourceFile>,
        options: &ScanOptions<'_>,
        scratch: &Scratch,
    ) -> Result<Scanning> {
        let mut all = Scanning::default();
        for file in files {
            let left = options.limit.map(|limit| limit - all.rows);
            if left == Some(0) && !all.pieces.is_empty() {
                break;
            }
            let options = ScanOptions { limit: left, locate: &[], ..*options };
            let (scanned, path) = self.scan_file(&file, &options, scratch)?;
            let delimiter = self.dialect.delimiter(&file.name);
            all.add(file, scanned, path, delimiter)?;
        }
        Ok(all)
    }

    /// Scans a file; copies it if it is not plain. Returns the path of the copy.
    fn scan_file(
        &self,
        file: &SourceFile,
        options: &ScanOptions<'_>,
        scratch: &Scratch,
    ) -> Result<(Scanned, Option<PathBuf>)> {
        let bytes = FileBytes::new(file.size);
        let encoded = self.compression.resolve(&file.name) != ReadCompression::None || !self.dialect.charset.is_utf8();
        if !encoded && options.limit.is_none() && (self.reaches)(&file.path) {
            let parallel = match self.dialect.charset {
                Charset::Utf8 => {
                    bytes.counted(options, |options| parallel::scan(&file.path, &file.name, file.size, options))?
                }
                _ => None,
            };
            let scanned = match parallel {
                Some(scanned) => scanned,
                None => bytes
                    .counted(options, |options| self.open(file, |source| scan(source, &file.name, options, None)))?,
            };
            if scanned.plain {
                return Ok((scanned, None));
            }
        }
        let (scanned, path) = bytes.counted(options, |options| self.copy(file, options, scratch))?;
        Ok((scanned, Some(path)))
    }

    /// Scans a file and writes a plain copy of it.
    ///
    /// # Errors
    /// As for [`scan_all`](Self::scan_all), or a full disk.
    pub(crate) fn copy(
        &self,
        file: &SourceFile,
        options: &ScanOptions<'_>,
        scratch: &Scratch,
    ) -> Result<(Scanned, PathBuf)> {
        let path = scratch.path("csv");
        let failed = |error| io_error("could not be copied to the scratch directory", &file.name, error);
        let mut target = BufWriter::with_capacity(1 << 18, osiris_core::private::create(&path).map_err(failed)?);
        // DuckDB takes U+FEFF at the start of a file for a byte order mark, even if it is a value: the copy gets a real
        // mark.
        target.write_all("\u{feff}".as_bytes()).map_err(failed)?;
        let mut copy = Copy { file: &mut target, name: file.name.clone() };
        let scanned = self.open(file, |source| scan(source, &file.name, options, Some(&mut copy)))?;
        target.flush().map_err(failed)?;
        Ok((scanned, path))
    }

    /// The lines of `rows` (from 1, sorted) of a file.
    ///
    /// # Errors
    /// As for [`scan_all`](Self::scan_all).
    pub(crate) fn lines(&self, file: &SourceFile, rows: &[u64], options: &ScanOptions<'_>) -> Result<Vec<u64>> {
        let options = ScanOptions { locate: rows, limit: rows.last().copied(), ..*options };
        Ok(self.open(file, |source| scan(source, &file.name, &options, None))?.located)
    }

    /// Calls `work` with the file's text.
    fn open<T>(&self, file: &SourceFile, work: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        let most = self.max_uncompressed.unwrap_or_else(|| default_most(file.size));
        open_text(&file.path, &file.name, self.compression.resolve(&file.name), self.dialect, most, work)
    }
}

/// Calls `work` with the text of a file: decompressed to `most` bytes, as UTF-8 where it is another encoding.
///
/// # Errors
/// When it cannot be opened, or the error of `work`.
pub(crate) fn open_text<T>(
    path: &Path,
    name: &str,
    compression: ReadCompression,
    dialect: &Dialect,
    most: u64,
    work: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    open_decompressed(path, name, compression, most, |source| {
        if matches!(dialect.charset, Charset::Utf8) {
            work(source)
        } else {
            work(&mut Utf8Reader::new(source, name, dialect.charset))
        }
    })
}

/// How much of a file was scanned: each byte counts once, and all of them as many as the file has on the disk at most.
struct FileBytes {
    size: u64,
    counted: AtomicU64,
}

impl FileBytes {
    fn new(size: u64) -> Self {
        Self { size, counted: AtomicU64::new(0) }
    }

    /// Calls `scan`, which begins at the start of the file, with options that count what no scan before has reached.
    fn counted<T>(&self, options: &ScanOptions<'_>, scan: impl FnOnce(&ScanOptions<'_>) -> Result<T>) -> Result<T> {
        let scanned = AtomicU64::new(0);
        let on_bytes = |bytes: u64| {
            let reached = (scanned.fetch_add(bytes, Relaxed) + bytes).min(self.size);
            let before = self.counted.fetch_max(reached, Relaxed);
            (options.on_bytes)(reached.saturating_sub(before))
        };
        scan(&ScanOptions { on_bytes: &on_bytes, ..*options })
    }
}

impl Scanning {
    /// Adds a file with its scan, and its copy if there is one.
    ///
    /// # Errors
    /// When it has other columns than the first.
    pub(crate) fn add(
        &mut self,
        source: SourceFile,
        scanned: Scanned,
        copy: Option<PathBuf>,
        delimiter: u8,
    ) -> Result<()> {
        let places = if self.pieces.is_empty() {
            self.names.clone_from(&scanned.names);
            self.profiles = vec![ColumnProfile::default(); scanned.names.len()];
            (0..scanned.names.len()).collect()
        } else {
            self.places(&scanned.names, &source.name)?
        };
        for (profile, place) in self.profiles.iter_mut().zip(&places) {
            profile.merge(&scanned.profiles[*place]);
        }
        self.rows += scanned.rows;
        self.rejected += scanned.rejected;
        self.rejects.extend(scanned.rejects);
        self.bytes += source.size;
        self.pieces.push(Piece {
            path: copy.clone().unwrap_or_else(|| source.path.clone()),
            copied: copy.is_some(),
            places,
            rows: scanned.rows,
            delimiter,
            preamble: scanned.preamble,
            longest: scanned.longest,
            new_line: if copy.is_some() { "\\n" } else { scanned.new_line },
            source,
        });
        Ok(())
    }

    /// The positions of the first file's columns in this file.
    fn places(&self, names: &[String], file: &str) -> Result<Vec<usize>> {
        let theirs: HashMap<String, usize> =
            names.iter().enumerate().map(|(place, name)| (name.to_lowercase(), place)).collect();
        let places: Vec<Option<usize>> =
            self.names.iter().map(|name| theirs.get(&name.to_lowercase()).copied()).collect();
        let ours: HashSet<String> = self.names.iter().map(|name| name.to_lowercase()).collect();
        let missing: Vec<&str> = self
            .names
            .iter()
            .zip(&places)
            .filter(|(_, place)| place.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        let extra: Vec<&str> =
            names.iter().filter(|name| !ours.contains(&name.to_lowercase())).map(String::as_str).collect();
        if missing.is_empty() && extra.is_empty() {
            return Ok(places.into_iter().flatten().collect());
        }
        let first = self.pieces.first().map_or("", |piece| piece.source.name.as_str());
        let mut differences = Vec::new();
        if !missing.is_empty() {
            differences.push(format!("lacks {}", list(&missing)));
        }
        if !extra.is_empty() {
            differences.push(format!("also has {}", list(&extra)));
        }
        let error =
            Error::validation(format!("columns of `{file}` differ from `{first}`: it {}", differences.join(" and ")));
        let error = error.with_code(Code::ColumnsDiffer);
        Err(match extra.first().and_then(|name| nearest(name, missing.iter().copied())) {
            Some(similar) => error.with_hint(format!("is `{}` the same as `{similar}`?", extra[0])),
            None => error.with_hint("read the files in two steps and join them in SQL"),
        })
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
