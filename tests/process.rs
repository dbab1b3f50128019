//! Processes: what one printed, and one that is stopped in the middle.

use std::io::{PipeReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
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

    /// Starts a command whose standard error is a full pipe that nobody reads, as long as what is returned with it is kept.
    pub fn start_unread(command: &mut Command) -> (Self, PipeReader) {
        let (unread, stderr) = std::io::pipe().unwrap();
        let mut filling = stderr.try_clone().unwrap();
        // More than any pipe holds: it ends with the pipe.
        std::thread::spawn(move || filling.write_all(&vec![b' '; 1 << 20]));
        let child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        (Self(Some(child)), unread)
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is waited for once")
    }

    /// Gives it this on its standard input, which must be a pipe, and no more.
    pub fn give_input(&mut self, input: &[u8]) {
        let mut stdin = self.child().stdin.take().expect("the standard input is a pipe");
        // That it has ended without reading it shows elsewhere.
        let _ = stdin.write_all(input);
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
    pub fn ended(self) -> Ended {
        self.ended_within(DEADLINE).expect("it does not end")
    }

    /// Polls until it has ended; nothing, and the process is killed, when that takes longer than `limit`.
    pub fn ended_within(mut self, limit: Duration) -> Option<Ended> {
        let begun = Instant::now();
        // Somebody has to read while it runs, or it waits for ever with a full pipe.
        let mut child = self.0.take()?;
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        self.0 = Some(child);
        while !self.has_ended() {
            if begun.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = self.0.take()?.wait().unwrap();
        Some(Ended::of(Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }))
    }
}

/// Reads a pipe to its end, on a thread of its own.
fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut text).unwrap();
        }
        text
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
