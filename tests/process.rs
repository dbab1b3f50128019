//! Processes: what one printed, and one that is stopped in the middle.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;

/// How long anything is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed as data.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
}

impl Ended {
    /// What a process left that has been waited for.
    ///
    /// # Panics
    /// When it printed anything but UTF-8.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same, if it ended with this exit code.
    ///
    /// # Panics
    /// When it ended with another; with all that it printed.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n{}{}", self.stdout, self.stderr);
        self
    }

    /// Its data as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A process that may still run; killed when dropped.
pub struct Running(Option<Child>);

impl Running {
    /// Starts a command with pipes for its output.
    pub fn start(command: &mut Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is waited for once")
    }

    /// Gives it this on its standard input, which must be a pipe, and no more.
    pub fn give_input(&mut self, input: &[u8]) {
        let mut stdin = self.child().stdin.take().expect("the standard input is a pipe");
        // That it has ended without reading it shows elsewhere.
        let _ = std::io::Write::write_all(&mut stdin, input);
    }

    /// Sends a signal; that it has ended already is no error.
    pub fn signal(&mut self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(self.child());
        let _ = rustix::process::kill_process(pid, signal);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    /// Polls until something is so.
    ///
    /// # Panics
    /// When the process ends before, or it takes too long.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(!self.has_ended(), "it ended before {what}");
            assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Polls until it has ended.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        let begun = Instant::now();
        while !self.has_ended() {
            assert!(begun.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ended::of(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
