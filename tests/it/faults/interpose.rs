//! The library that is loaded into the program: it moves the program's clock, and lets single system calls fail or kill it. See
//! `interpose.c`.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::NamedTempFile;

const SOURCE: &str = include_str!("interpose.c");

/// What a system call does; the numbers are those of the C source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Makes a file durable.
    Sync = 0,
    /// Changes a name in a directory: renames, links, removes.
    Name = 1,
    /// Writes to a file.
    Write = 2,
    /// Sends to a socket.
    Send = 3,
}

/// What becomes of a call; the numbers are those of the C source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// `kill -9` in its place.
    KillBefore = 1,
    /// `kill -9` when it is done and the program does not know it.
    KillAfter = 2,
    /// There is no space left, once.
    NoSpace = 3,
    /// There is no space left, and none for later calls of the kind either.
    NoSpaceFromNowOn = 4,
}

/// The nth call of a kind, and what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) call: Call,
    /// From 1, over all threads.
    pub(super) nth: u64,
    pub(super) effect: Effect,
}

impl fmt::Debug for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?} {}", self.effect, self.call, self.nth)
    }
}

/// The words of the shared file.
const CLOCK_SECONDS: u64 = 0;
const KIND: u64 = 1;
const AT: u64 = 2;
const EFFECT: u64 = 3;
const COUNTS: u64 = 4;
const WORDS: u64 = COUNTS + 4;
/// Names the file to the library.
const FILE: &str = "FAULTS_FILE";

/// What the test shares with the runs that it has the library loaded into.
pub(super) struct Interposer {
    library: &'static Path,
    words: NamedTempFile,
}

impl Interposer {
    /// Nothing where there is no C compiler, or where the system does not let calls be caught.
    pub(super) fn new() -> Option<Self> {
        static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
        let library = LIBRARY.get_or_init(|| build().filter(|library| works(library))).as_deref()?;
        Some(Self::with(library))
    }

    fn with(library: &'static Path) -> Self {
        let interposer = Self { library, words: NamedTempFile::new().unwrap() };
        (0..WORDS).for_each(|word| interposer.set(word, 0));
        interposer
    }

    /// Has the library loaded into what the command starts.
    pub(super) fn load_into(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.library).env(FILE, self.words.path());
    }

    /// Counts from 0, and lets this happen.
    pub(super) fn arm(&self, strike: Strike) {
        self.disarm();
        (COUNTS..WORDS).for_each(|word| self.set(word, 0));
        self.set(KIND, strike.call as i64);
        self.set(EFFECT, strike.effect as i64);
        self.set(AT, i64::try_from(strike.nth).unwrap());
    }

    /// Lets nothing happen from now on, and counts from 0.
    pub(super) fn disarm(&self) {
        self.set(AT, 0);
        (COUNTS..WORDS).for_each(|word| self.set(word, 0));
    }

    /// Moves the clock, of runs that are going on as well.
    pub(super) fn set_clock_ahead(&self, seconds: i64) {
        self.set(CLOCK_SECONDS, seconds);
    }

    /// How many calls of a kind there have been.
    pub(super) fn count(&self, call: Call) -> u64 {
        let mut word = [0; 8];
        self.words.as_file().read_exact_at(&mut word, (COUNTS + call as u64) * 8).unwrap();
        u64::from_ne_bytes(word)
    }

    fn set(&self, word: u64, value: i64) {
        self.words.as_file().write_all_at(&value.to_ne_bytes(), word * 8).unwrap();
    }
}

/// Compiles it.
fn build() -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(directory).ok()?;
    // Another process of the tests may do the same.
    let unfinished = directory.join(format!("interpose-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-x", "c", "-o"]).arg(&unfinished).args(["-", "-ldl"]);
    let mut running = compiler.stdin(Stdio::piped()).spawn().ok()?;
    running.stdin.take()?.write_all(SOURCE.as_bytes()).ok()?;
    if !running.wait().ok()?.success() {
        return None;
    }
    let library = directory.join("interpose.so");
    std::fs::rename(unfinished, &library).ok()?;
    Some(library)
}

/// Whether calls are caught: a container may forbid it.
fn works(library: &Path) -> bool {
    let interposer = Interposer::with(Box::leak(library.to_path_buf().into_boxed_path()));
    let written = NamedTempFile::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo something >\"$1\"", "sh"]).arg(written.path());
    interposer.load_into(&mut command);
    command.status().is_ok_and(|status| status.success()) && interposer.count(Call::Write) == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::runner::Runner;
    use crate::{READ, project, write};

    /// A run with the library.
    fn run(interposer: &Interposer) -> (osiris_e2e::Project, osiris_e2e::Ended) {
        let project = project(&[READ, &write("out", "out.csv")].concat());
        let ended = Runner::new(&project).with_interposer(Some(interposer)).run(&["run", "pipeline.yaml"]);
        (project, ended)
    }

    #[test]
    fn the_clock_of_the_program_is_moved() {
        let Some(interposer) = Interposer::new() else { return };
        interposer.set_clock_ahead(-400 * 86_400);
        let (project, ended) = run(&interposer);
        let listed = project.run(&["runs", "list", "--json"]).with_code(0).json();
        let year = |text: &str| text[..4].parse::<i32>().unwrap();
        interposer.set_clock_ahead(0);
        let now = run(&interposer).0.run(&["runs", "list", "--json"]).with_code(0).json();
        let [then, now] = [listed, now].map(|listed| year(listed[0]["started_at"].as_str().unwrap()));
        assert!(then < now, "{then} {now} {}", ended.stderr);
    }

    #[test]
    fn a_call_kills_the_program_or_finds_no_space() {
        let Some(interposer) = Interposer::new() else { return };
        let at = |effect| Strike { call: Call::Name, nth: 1, effect };
        interposer.arm(at(Effect::KillBefore));
        let (project, ended) = run(&interposer);
        assert_eq!((ended.code, interposer.count(Call::Name)), (-1, 1));
        assert!(!project.runs()[0].join("run.json").exists());
        interposer.arm(at(Effect::KillAfter));
        let (project, ended) = run(&interposer);
        assert_eq!(ended.code, -1);
        assert!(project.runs()[0].join("run.json").exists());
        interposer.arm(Strike { call: Call::Write, nth: 2, effect: Effect::NoSpaceFromNowOn });
        let (_, ended) = run(&interposer);
        assert!(ended.code == 1 && ended.stderr.contains("No space left on device"), "{}", ended.stderr);
        interposer.disarm();
        run(&interposer).1.with_code(0);
        assert!(interposer.count(Call::Sync) > 5 && interposer.count(Call::Send) == 0);
    }
}
