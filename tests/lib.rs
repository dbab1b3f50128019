//! Whole pipelines and the command line program, tested: a project in a directory of its own, and the program run in it.
//!
//! For tests: what goes wrong here panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this library is only used by tests")]

pub mod html;
mod process;
mod steady;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub use process::{Ended, Running, Signal};
pub use steady::{is_seconds, shape, steady};

/// The program under test.
#[derive(Debug, Clone)]
pub struct Program(PathBuf);

impl Program {
    /// The program at a path, such as cargo's `CARGO_BIN_EXE_osiris`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The program that was built with the tests: it lies beside the directory of the test binaries.
    ///
    /// # Panics
    /// When it has not been built.
    pub fn built() -> Self {
        let test = std::env::current_exe().expect("a test binary has a path");
        let directory = test.parent().and_then(Path::parent).expect("a test binary lies in `deps`");
        let path = directory.join(format!("osiris{}", std::env::consts::EXE_SUFFIX));
        assert!(path.is_file(), "{} is missing: `cargo build --workspace --bin osiris`", path.display());
        Self(path)
    }
}

/// A directory to run the program in, gone at the end of the test.
pub struct Project {
    program: Program,
    directory: TempDir,
}

impl Project {
    /// An empty directory.
    pub fn empty(program: Program) -> Self {
        Self { program, directory: tempfile::tempdir().unwrap() }
    }

    /// The project that `osiris init` makes.
    pub fn starter(program: Program) -> Self {
        let project = Self::empty(program);
        assert_eq!(project.run(&["init", "--quiet"]).code, 0);
        project
    }

    /// A directory with this `pipeline.yaml`.
    pub fn of(program: Program, pipeline: &str) -> Self {
        let project = Self::empty(program);
        project.write("pipeline.yaml", pipeline);
        project
    }

    /// A directory with these steps (indented by two) in a `pipeline.yaml`.
    pub fn with_steps(program: Program, steps: &str) -> Self {
        Self::of(program, &format!("oml_version: \"0.1.0\"\nname: test\nsteps:\n{}\n", steps.trim_end()))
    }

    /// A copy of a directory of the repository, such as `examples/flights`.
    pub fn copy_of(program: Program, directory: &str) -> Self {
        let project = Self::empty(program);
        // Asked at run time: two checkouts may share a target directory.
        let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo"));
        let from = package.ancestors().map(|above| above.join(directory)).find(|path| path.is_dir());
        copy(&from.unwrap_or_else(|| panic!("the repository has no directory {directory}")), project.directory());
        project
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A path in it.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The text of a file.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The program, to be run in the directory without anything of the caller's environment that it would heed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.prepared(Command::new(&self.program.0));
        command.args(arguments);
        command
    }

    /// A line for the shell, to be run like [`command`](Self::command); `osiris` in it is the program.
    ///
    /// # Panics
    /// When the program lies in a directory that cannot be in PATH.
    pub fn shell(&self, line: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = self.program.0.parent().map(Path::to_path_buf);
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).unwrap();
        let mut command = self.prepared(Command::new("sh"));
        command.args(["-c", line]).env("PATH", path);
        command
    }

    fn prepared(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OSIRIS_")) {
            command.env_remove(name);
        }
        command.current_dir(self.directory()).stdin(Stdio::null());
        command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE").env_remove("COLUMNS");
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// The directories of the runs, the latest last.
    pub fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path(".osiris/runs")) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs
    }

    /// The lines of a file of a run, parsed.
    pub fn lines(&self, run: &Path, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(run.join(name)).unwrap_or_default();
        // A line that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// Every file below the directory, relative to it, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(self.directory(), &mut files);
        let mut files: Vec<PathBuf> =
            files.iter().map(|path| path.strip_prefix(self.directory()).unwrap().to_path_buf()).collect();
        files.sort();
        files
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        // What an earlier run of the example has left is not part of it.
        if ["out", ".osiris", "target"].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
