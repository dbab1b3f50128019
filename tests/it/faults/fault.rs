//! What can happen to a run.

use std::fmt;
use std::time::Duration;

use osiris_testkit::proxy::Direction;

use super::interpose::{Call, Effect, Strike};

/// One thing that happens, once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// A signal, after a part of the time that the run takes.
    Signal(Signal, f64),
    /// A system call kills the program or finds no space left.
    At(Strike),
    /// A disk has room for so many bytes beside what is there before the run.
    SmallDisk(Place, u64),
    /// The connection breaks after this part of the bytes that a run sends (up) or gets (down).
    Cut(Direction, f64),
    /// Nothing more arrives after this part of the bytes, until the link is back after a while; zero: never.
    Stall(Direction, f64, Duration),
    /// A server dies after a part of the time and is back later.
    Restart(Server, f64, Duration),
    /// The same pipeline is started once more, a part of the time later.
    Twice(f64),
    /// The clock jumps by so many seconds.
    Clock(Jump, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Kill,
    Interrupt,
    Terminate,
    HangUp,
}

/// What is on the small disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The directory of runs.
    Runs,
    /// The files that the pipeline writes.
    Files,
    /// The tables of the server.
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Database,
    /// The REST API before it.
    Api,
}

/// When the clock jumps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Jump {
    /// After a part of the time that the run takes; nothing else happens to it.
    During(f64),
    /// The run is killed, and goes on when the clock has jumped.
    BeforeRecovery(Strike),
    /// The run is killed, and so is a new one after the jump.
    BetweenRuns(Strike, Strike),
    /// An earlier run ended well while the clock was wrong; then the run is killed.
    AfterSuccess(Strike),
}

impl Fault {
    /// The line of the table that it belongs to.
    pub(super) fn kind(&self) -> String {
        let kind = match self {
            Self::Signal(Signal::Kill, _) => "kill -9",
            Self::Signal(Signal::Interrupt, _) => "SIGINT",
            Self::Signal(Signal::Terminate, _) => "SIGTERM",
            Self::Signal(Signal::HangUp, _) => "SIGHUP",
            Self::At(Strike { effect: Effect::NoSpace | Effect::NoSpaceFromNowOn, .. }) => "no space at a call",
            Self::At(Strike { call: Call::Sync, .. }) => "kill -9 at a sync",
            Self::At(Strike { call: Call::Name, .. }) => "kill -9 at a rename",
            Self::At(Strike { call: Call::Write, .. }) => "kill -9 at a write",
            Self::At(Strike { call: Call::Send, .. }) => "kill -9 at a send",
            Self::SmallDisk(Place::Runs, _) => "full disk of runs",
            Self::SmallDisk(Place::Files, _) => "full disk of files",
            Self::SmallDisk(Place::Server, _) => "full disk of the server",
            Self::Cut(..) => "connection cut",
            Self::Stall(_, _, back) if back.is_zero() => "link dead",
            Self::Stall(..) => "link stalls",
            Self::Restart(Server::Database, _, away) => return format!("server away {} s", away.as_secs()),
            Self::Restart(Server::Api, _, away) => return format!("API away {} s", away.as_secs()),
            Self::Twice(_) => "two runs at once",
            Self::Clock(Jump::During(_), _) => "clock jumps in a run",
            Self::Clock(Jump::BeforeRecovery(_), _) => "clock jumps before recovery",
            Self::Clock(Jump::BetweenRuns(..), _) => "clock jumps between runs",
            Self::Clock(Jump::AfterSuccess(_), _) => "clock was wrong before",
        };
        kind.to_owned()
    }

    /// Whether the library must be loaded into the program for it.
    pub(super) fn needs_interposer(&self) -> bool {
        matches!(self, Self::At(_) | Self::Clock(..))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self:?})", self.kind())
    }
}
