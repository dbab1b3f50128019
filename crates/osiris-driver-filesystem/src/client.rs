//! Locations: the only place that resolves a path of a pipeline to local files or to the address of a store, and keeps
//! it inside `base_dir`: nothing else parses paths.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use globset::GlobBuilder;
use osiris_core::problem::nearest;
use osiris_core::{Code, Error, Health, Result};
use walkdir::WalkDir;

use crate::config::FilesystemConnection;
use crate::error::io_error;
use crate::objects::{self, ObjectPath, address, leaves};
use crate::resolve::resolved;

/// The path of standard input and output.
const STDIO: &str = "-";

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard input or output.
    Stdio,
    /// An absolute local path; the text is from the pipeline.
    Local(PathBuf),
    /// An address of a store.
    Object(ObjectPath),
}

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Its path, with symbolic links resolved.
    pub(crate) path: PathBuf,
    /// Its name in messages and in the filename column: relative to the base if below it.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// The `name=value` directories between the path of the pipeline and the file.
    pub(crate) partitions: Vec<Partition>,
}

/// The base of relative paths, and the directories that paths must stay in.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    base: PathBuf,
    fenced: bool,
    /// Directories that the base must be inside, with symbolic links resolved.
    outer: Vec<PathBuf>,
    /// Whether a step's base is lexically outside the connection's base.
    strays: bool,
    /// The address that paths are below, where the base is in a store.
    prefix: Option<String>,
    #[cfg_attr(not(feature = "object-store"), allow(dead_code, reason = "stores are opened with it"))]
    connection: FilesystemConnection,
}

impl Location {
    /// The location of a step. No I/O.
    pub(crate) fn new(connection: &FilesystemConnection, step_base: &Path) -> Self {
        let mut location = Self {
            base: step_base.to_path_buf(),
            fenced: false,
            outer: Vec::new(),
            strays: false,
            prefix: None,
            connection: connection.clone(),
        };
        let Some(base_dir) = &connection.base_dir else { return location };
        if base_dir.is_in_store() {
            let below: Vec<&str> = base_dir.directories().iter().map(|below| below.trim_end_matches('/')).collect();
            location.prefix = Some(below.join("/"));
            return location;
        }
        let mut outer = Vec::new();
        let mut base = step_base.to_path_buf();
        for directory in base_dir.directories() {
            base = base.join(directory);
            outer.push(base.clone());
        }
        outer.pop();
        let strays = base_dir.directories().iter().skip(1).any(|directory| {
            Path::new(directory).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        });
        Self { base, fenced: true, outer, strays, ..location }
    }

    /// The connection that it is of.
    #[cfg_attr(not(feature = "object-store"), allow(dead_code, reason = "stores are opened with it"))]
    pub(crate) fn connection(&self) -> &FilesystemConnection {
        &self.connection
    }

    /// Where relative paths of this machine start.
    #[cfg_attr(not(feature = "object-store"), allow(dead_code, reason = "stores are opened with it"))]
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Checks that the base of a step is inside the base of its connection.
    ///
    /// # Errors
    /// When it is not.
    fn check_base(&self) -> Result<()> {
        for outer in &self.outer {
            let named = std::path::absolute(outer)?;
            let inside = match (outer.canonicalize(), self.base.canonicalize()) {
                (Ok(outer), Ok(base)) => base.starts_with(outer),
                _ => std::path::absolute(&self.base)?.starts_with(&named),
            };
            if self.strays || !inside {
                return Err(Error::new(
                    osiris_core::ErrorKind::Permission,
                    format!("base_dir `{}` of the step is outside the connection's base_dir", self.base.display()),
                )
                .with_hint("use a directory below the connection's base_dir, or another connection"));
            }
        }
        Ok(())
    }

    /// Whether `path` is a standard stream.
    pub(crate) fn is_stdio(path: &str) -> bool {
        path == STDIO
    }

    /// What `path` names.
    ///
    /// # Errors
    /// For an address of an unknown scheme, or a path outside `base_dir`.
    pub(crate) fn target(&self, path: &str) -> Result<Target> {
        if Self::is_stdio(path) {
            return Ok(Target::Stdio);
        }
        match (path.split_once("://"), &self.prefix) {
            (Some(("file", _)), Some(_)) => Err(leaves(path)),
            (Some(("file", rest)), None) => self.local(rest),
            (Some(_), _) => self.object(path),
            (None, Some(prefix)) => Ok(Target::Object(address(prefix)?.join(path)?)),
            (None, None) => self.local(path),
        }
    }

    fn object(&self, text: &str) -> Result<Target> {
        let path = address(text)?;
        let is_inside = match &self.prefix {
            Some(prefix) => address(prefix)?.contains(&path),
            None => !self.fenced,
        };
        if is_inside { Ok(Target::Object(path)) } else { Err(leaves(&path.to_string())) }
    }

    fn local(&self, path: &str) -> Result<Target> {
        self.check_base()?;
        if self.fenced {
            let wanted = Path::new(path);
            let climbs = wanted.components().any(|part| matches!(part, Component::ParentDir));
            if climbs || wanted.is_absolute() {
                return Err(self.leaves(path));
            }
        }
        Ok(Target::Local(std::path::absolute(self.base.join(path))?))
    }

    fn leaves(&self, path: &str) -> Error {
        Error::new(osiris_core::ErrorKind::Permission, format!("`{path}` is outside the connection's base_dir"))
            .with_hint("use a path below base_dir, without `..`, or another connection")
    }

    /// The existing files of `path`, for the run store to read.
    pub(crate) fn readable(&self, path: &str, wanted: &FileKind) -> Vec<PathBuf> {
        let Ok(Target::Local(path)) = self.target(path) else { return Vec::new() };
        match self.files(&path, wanted) {
            Ok(files) => files.into_iter().map(|file| file.path).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Resolves symbolic links, and refuses those that lead out of `base_dir`.
    ///
    /// # Errors
    /// When the file does not exist, is not accessible, or is outside.
    pub(crate) fn real(&self, path: &Path) -> Result<PathBuf> {
        let real = path.canonicalize().map_err(|error| io_error("cannot be opened", self.name(path), error))?;
        if self.fenced {
            let base =
                self.base.canonicalize().map_err(|error| io_error("(base_dir) cannot be opened", &self.base, error))?;
            if !real.starts_with(&base) {
                return Err(self.leaves(&self.name(path)));
            }
        }
        Ok(real)
    }

    /// Checks that a path, which may not exist yet, does not lead out of `base_dir` through a symbolic link.
    ///
    /// # Errors
    /// When it does.
    pub(crate) fn check_nearest(&self, path: &Path) -> Result<()> {
        if !self.fenced {
            return Ok(());
        }
        // The base itself may not exist yet.
        let base = std::path::absolute(&self.base)?;
        match path.ancestors().find(|ancestor| ancestor.exists()) {
            Some(nearest) if nearest.starts_with(&base) => self.real(nearest).map(drop),
            _ => Ok(()),
        }
    }

    /// Checks that a resolved path is inside `base_dir`.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn check_inside(&self, real: &Path) -> Result<()> {
        if self.fenced && !real.starts_with(resolved(&self.base)) {
            return Err(self.leaves(&self.name(real)));
        }
        Ok(())
    }

    /// The address for display: relative to the base if below it.
    pub(crate) fn object_name(&self, path: &ObjectPath) -> String {
        let prefix = self.prefix.as_deref().and_then(|prefix| address(prefix).ok());
        let below =
            prefix.filter(|prefix| prefix.contains(path)).and_then(|prefix| prefix.below(&path.key).map(str::to_owned));
        below.filter(|below| !below.is_empty()).unwrap_or_else(|| path.to_string())
    }

    /// The path for display: relative to the base if below it.
    pub(crate) fn name(&self, path: &Path) -> String {
        let base = std::path::absolute(&self.base).unwrap_or_else(|_| self.base.clone());
        path.strip_prefix(&base).unwrap_or(path).display().to_string()
    }

    /// The files of `path`, sorted by name. In directories only files that match `wanted` are used, and
    /// none whose name begins with `.` or `_`.
    ///
    /// # Errors
    /// When a file does not exist (similar names are suggested), a glob or directory has no files, or without
    /// permission.
    pub(crate) fn files(&self, path: &Path, wanted: &FileKind) -> Result<Vec<SourceFile>> {
        let (fixed, pattern) = if path.exists() { (path.to_path_buf(), None) } else { split_glob(path) };
        let mut files = match pattern {
            Some(pattern) => self.glob(&fixed, &pattern)?,
            None if path.is_dir() => self.directory(path, wanted)?,
            None => vec![self.file(path, path)?],
        };
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn file(&self, path: &Path, root: &Path) -> Result<SourceFile> {
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(self.missing(path)),
            Err(error) => return Err(io_error("cannot be opened", self.name(path), error)),
        };
        let real = self.real(path)?;
        Ok(SourceFile { path: real, name: self.name(path), size: metadata.len(), partitions: partitions(path, root) })
    }

    /// Reports which part of the path is missing, and what exists instead.
    fn missing(&self, path: &Path) -> Error {
        let mut missing = path;
        while let Some(parent) = missing.parent()
            && !parent.exists()
        {
            missing = parent;
        }
        let base = std::path::absolute(&self.base).unwrap_or_else(|_| self.base.clone());
        if self.fenced && base.starts_with(missing) {
            let message = format!("the connection's base_dir `{}` does not exist", self.base.display());
            let error = Error::validation(message).with_code(Code::FileNotFound);
            return error.with_hint("a relative base_dir is relative to the pipeline's directory");
        }
        let error = Error::validation(format!("`{}` does not exist", self.name(missing)));
        let error = error.with_code(Code::FileNotFound);
        let wanted = missing.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let names = missing.parent().map(list_names).unwrap_or_default();
        match nearest(&wanted, names.iter().map(String::as_str)) {
            Some(similar) => error.with_hint(format!("did you mean `{similar}`?")),
            None if names.is_empty() => error.with_hint("its directory is empty"),
            None => error.with_hint(format!("its directory has {}", few(&names))),
        }
    }

    fn directory(&self, root: &Path, wanted: &FileKind) -> Result<Vec<SourceFile>> {
        let (mut files, mut others) = (Vec::new(), Vec::new());
        for path in walk(root, &self.name(root))? {
            if wanted.matches(&path) {
                files.push(self.file(&path, root)?);
            } else {
                others.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
            }
        }
        if !files.is_empty() {
            if !others.is_empty() {
                tracing::info!(directory = %self.name(root), others = others.len(), "skipping files of other kinds");
            }
            return Ok(files);
        }
        let error = Error::validation(format!("the directory `{}` has no {} file", self.name(root), wanted.name));
        let error = error.with_code(Code::FileNotFound);
        Err(if others.is_empty() {
            error.with_hint("it is empty")
        } else {
            error.with_hint(format!("it has {}; use a glob for files with other extensions", few(&others)))
        })
    }

    fn glob(&self, fixed: &Path, pattern: &str) -> Result<Vec<SourceFile>> {
        let shown = self.name(&fixed.join(pattern));
        let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
            Error::validation(format!("`{shown}` is not a valid glob"))
                .with_source(error)
                .with_hint("write `*`, `?`, `[abc]`, `{a,b}`, or `**` for any directories")
        })?;
        if !fixed.exists() {
            return Err(self.missing(fixed));
        }
        let matcher = glob.compile_matcher();
        let (mut files, mut others) = (Vec::new(), Vec::new());
        for path in walk(fixed, &self.name(fixed))? {
            let below = path.strip_prefix(fixed).unwrap_or(&path);
            if matcher.is_match(below) {
                files.push(self.file(&path, fixed)?);
            } else {
                others.push(below.display().to_string());
            }
        }
        if files.is_empty() {
            let error = Error::validation(format!("no file matches `{shown}`")).with_code(Code::FileNotFound);
            let place = match self.name(fixed).as_str() {
                "" => "its directory".to_owned(),
                name => format!("`{name}`"),
            };
            return Err(error.with_hint(match others.is_empty() {
                true => format!("{place} is empty"),
                false => format!("{place} has {}", few(&others)),
            }));
        }
        Ok(files)
    }
}

/// Whether the store of a connection can be used. A directory of this machine is looked at when a step runs: a relative one
/// begins at its pipeline.
pub(crate) async fn check(connection: &FilesystemConnection, limit: Duration) -> Health {
    let location = Location::new(connection, Path::new("."));
    let Some(prefix) = &location.prefix else {
        return Health::ok(Duration::ZERO, "local files: there is nothing to connect to");
    };
    match address(prefix) {
        Ok(path) => objects::check(&location, &path, limit).await,
        Err(error) => Health::failed(Duration::ZERO, &error),
    }
}

/// The files of a directory that a component reads.
#[derive(Debug)]
pub(crate) struct FileKind {
    /// The name in messages.
    pub(crate) name: &'static str,
    /// Extensions, without the dot.
    pub(crate) extensions: &'static [&'static str],
    /// Extensions that may follow those.
    pub(crate) compressions: &'static [&'static str],
}

impl FileKind {
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
        let lower = name.to_ascii_lowercase();
        let stem = self
            .compressions
            .iter()
            .find_map(|ending| lower.strip_suffix(ending).and_then(|stem| stem.strip_suffix('.')))
            .unwrap_or(&lower);
        self.extensions.iter().any(|ending| stem.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.')))
    }
}

/// The part of a path before its first wildcard, and the rest as a pattern below it.
fn split_glob(path: &Path) -> (PathBuf, Option<String>) {
    let is_wild = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    let parts: Vec<Component<'_>> = path.components().collect();
    match parts.iter().position(is_wild) {
        None => (path.to_path_buf(), None),
        Some(first) => {
            let fixed = parts[..first].iter().collect();
            let pattern: PathBuf = parts[first..].iter().collect();
            (fixed, Some(pattern.to_string_lossy().into_owned()))
        }
    }
}

/// All files below a directory, without hidden ones and those of other tools (`_SUCCESS`), sorted.
fn walk(root: &Path, shown: &str) -> Result<Vec<PathBuf>> {
    let visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !is_hidden(&entry.file_name().to_string_lossy());
    let mut paths = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible) {
        let entry = entry.map_err(|error| {
            let at = error.path().map_or_else(|| shown.to_owned(), |path| path.display().to_string());
            match error.into_io_error() {
                Some(error) => io_error("cannot be read", &at, error),
                None => Error::validation(format!("`{at}` is a symbolic link to a directory above it"))
                    .with_hint("remove the link"),
            }
        })?;
        if entry.file_type().is_file() {
            paths.push(entry.into_path());
        }
    }
    Ok(paths)
}

/// Whether a name below a directory is skipped: those with `.` and `_`, except partitions of such a column, and the `~$` of a
/// workbook that is open in Excel.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name.starts_with("~$") || (name.starts_with('_') && !name.contains('='))
}

/// The directory name of NULL.
pub(crate) const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// A directory called `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// The name of the directory.
    pub(crate) directory: String,
    /// The undecoded name before `=`, which DuckDB uses as the column name.
    pub(crate) raw_name: String,
    /// The same, percent-decoded.
    pub(crate) name: String,
    /// The value, percent-decoded. The NULL marker is only recognised unencoded.
    pub(crate) value: Option<String>,
}

impl Partition {
    fn parse(directory: &str) -> Option<Self> {
        let (name, value) = directory.split_once('=')?;
        Some(Self {
            directory: directory.to_owned(),
            raw_name: name.to_owned(),
            name: percent_decode(name),
            value: (value != NULL_PARTITION).then(|| percent_decode(value)),
        })
    }
}

/// The hive partitions between `root` and `path`.
pub(crate) fn partitions(path: &Path, root: &Path) -> Vec<Partition> {
    let below = path.strip_prefix(root).unwrap_or(path).parent().unwrap_or(Path::new(""));
    below.components().filter_map(|part| Partition::parse(part.as_os_str().to_str()?)).collect()
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

fn list_names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// The first names of a list, and the number of the others.
fn few(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BaseDir;

    #[test]
    fn partitions_are_read_from_directories_below_the_root() {
        let found = partitions(Path::new("/data/a=1/x/b=x%2F2%20/f.parquet"), Path::new("/data"));
        let found: Vec<_> = found.iter().map(|part| (part.name.as_str(), part.value.as_deref())).collect();
        assert_eq!(found, [("a", Some("1")), ("b", Some("x/2 "))]);
    }

    #[test]
    fn the_marker_of_null_is_a_text_where_it_is_encoded() {
        let value = |directory: &str| Partition::parse(directory).and_then(|part| part.value);
        assert_eq!(value("a=__HIVE_DEFAULT_PARTITION__"), None);
        assert_eq!(value("a=%5F_HIVE_DEFAULT_PARTITION__").as_deref(), Some(NULL_PARTITION));
    }

    fn of_base(base: &str) -> FilesystemConnection {
        FilesystemConnection { base_dir: Some(BaseDir::One(base.to_owned())), ..FilesystemConnection::default() }
    }

    #[test]
    fn a_fence_refuses_climbing_and_absolute_paths() {
        let connection = of_base("data");
        let location = Location::new(&connection, Path::new("/p"));
        assert_eq!(location.target("a.csv").unwrap(), Target::Local(PathBuf::from("/p/data/a.csv")));
        for path in ["../x", "a/../../x", "/etc/passwd", "file:///etc/passwd", "s3://lake/a.csv"] {
            let error = location.target(path).unwrap_err();
            assert_eq!(error.kind(), osiris_core::ErrorKind::Permission, "{path}");
        }
    }

    #[cfg(feature = "object-store")]
    #[test]
    fn a_prefix_of_a_store_fences_as_a_directory_does() {
        let location = Location::new(&of_base("s3://lake/raw/"), Path::new("/p"));
        for path in ["in/a.csv", "s3://lake/raw/in/a.csv"] {
            let Target::Object(object) = location.target(path).unwrap() else { panic!("{path}") };
            assert_eq!(object.to_string(), "s3://lake/raw/in/a.csv");
            assert_eq!(location.object_name(&object), "in/a.csv");
        }
        for path in [
            "../a.csv",
            "in/%2e%2E/../a.csv",
            "/a.csv",
            "s3://lake/a.csv",
            "s3://lake/raw/../a.csv",
            "s3://pond/raw/a.csv",
            "gs://lake/raw/a.csv",
            "https://example.com/a.csv",
            "file:///etc/passwd",
        ] {
            let error = location.target(path).unwrap_err();
            assert_eq!(error.kind(), osiris_core::ErrorKind::Permission, "{path}");
        }
        assert_eq!(location.target("-").unwrap(), Target::Stdio);
        let nested = BaseDir::Nested(vec!["s3://lake/raw".to_owned(), "2024/".to_owned()]);
        let nested = FilesystemConnection { base_dir: Some(nested), ..FilesystemConnection::default() };
        let Target::Object(object) = Location::new(&nested, Path::new("/p")).target("a.csv").unwrap() else { panic!() };
        assert_eq!(object.to_string(), "s3://lake/raw/2024/a.csv");
    }

    #[test]
    fn an_unknown_scheme_is_an_error_that_names_those_that_work() {
        let error =
            Location::new(&FilesystemConnection::default(), Path::new("/p")).target("ftp://h/a.csv").unwrap_err();
        assert_eq!(error.message(), "`ftp://` is not supported");
        assert!(error.hint().unwrap().contains("`s3://`, `gs://`, `az://` or `https://`"));
    }
}
