//! What can happen to a run.

use std::fmt;
use std::time::Duration;

use osiris_testkit::proxy::Direction;

/// One thing that happens, once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// A signal, after a part of the time that the run takes.
    Signal(Signal, f64),
    /// `kill -9` as the program makes its nth call of this kind: before the file is on disk, or renamed.
    Point(Call, u32),
    /// The nth call of this kind finds no space left.
    NoSpace(Call, u32),
    /// The run directory is on a disk of this many kilobytes.
    SmallDisk(u32),
    /// The connection breaks after this part of the bytes that a run sends (up) or gets (down).
    Cut(Direction, f64),
    /// Nothing more arrives after this part of the bytes, until the link is back after a while; zero: never.
    Stall(Direction, f64, Duration),
    /// The server dies after a part of the time and is back a second later.
    Restart(f64),
    /// The same pipeline is started once more, a part of the time later.
    Twice(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Kill,
    Interrupt,
    Terminate,
    HangUp,
}

/// Calls that make something durable or visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Sync,
    Rename,
}

impl Call {
    /// The names of the system calls, for strace.
    pub(super) fn names(self) -> &'static str {
        match self {
            Self::Sync => "fsync,fdatasync",
            Self::Rename => "rename,renameat,renameat2,link,linkat",
        }
    }
}

impl Fault {
    /// The line of the table that it belongs to.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Signal(Signal::Kill, _) => "kill -9",
            Self::Signal(Signal::Interrupt, _) => "SIGINT",
            Self::Signal(Signal::Terminate, _) => "SIGTERM",
            Self::Signal(Signal::HangUp, _) => "SIGHUP",
            Self::Point(Call::Sync, _) => "kill -9 at a sync",
            Self::Point(Call::Rename, _) => "kill -9 at a rename",
            Self::NoSpace(..) => "no space at a sync or rename",
            Self::SmallDisk(_) => "small disk for runs",
            Self::Cut(..) => "connection cut",
            Self::Stall(_, _, back) if back.is_zero() => "link dead",
            Self::Stall(..) => "link stalls",
            Self::Restart(_) => "server restarts",
            Self::Twice(_) => "two runs at once",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self:?})", self.kind())
    }
}
