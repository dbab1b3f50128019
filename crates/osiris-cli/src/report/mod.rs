//! The report of a run: a page of HTML that holds all it needs. What it shows is gathered here; how, is in the modules below.

mod gather;
mod graph;
mod html;
mod page;
mod timeline;

use std::time::Duration;

use osiris::core::{Reject, RejectReason, StepCounts};
use osiris::pipeline::{StepAttempt, StepColumn};

/// What the report of a run shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pipeline: String,
    run_id: String,
    status: Status,
    started: String,
    /// None: it has not ended.
    duration: Option<Duration>,
    /// The version of the program that ran it.
    program: Option<String>,
    profile: Option<String>,
    dry_run: bool,
    /// Whether it was resumed: the times of its steps are those since then.
    resumed: bool,
    /// Those that the user gave; secrets are masked.
    params: Vec<(String, String)>,
    /// Whether the ledger balances, if there is one.
    balanced: Option<bool>,
    /// Milliseconds that the timeline covers.
    length_ms: u64,
    /// In the order of the plan.
    steps: Vec<ReportStep>,
    errors: Vec<ReportError>,
    warnings: Vec<String>,
    rejects: Vec<StepRejects>,
}

impl Report {
    /// Whether it shows values of rejected rows.
    pub(crate) fn holds_rows(&self) -> bool {
        self.rejects.iter().flat_map(|rejects| &rejects.rows).any(|reject| reject.row.is_some())
    }
}

/// A step of it.
#[derive(Debug, Clone, Default)]
struct ReportStep {
    id: String,
    component: String,
    /// Its `mode`; empty where only its start is recorded.
    mode: &'static str,
    status: Status,
    /// The steps whose tables it read.
    reads: Vec<String>,
    /// The steps that it waited for, those included.
    needs: Vec<String>,
    counts: StepCounts,
    /// The larger of the rows in and the rows out.
    rows: u64,
    bytes: Option<u64>,
    /// None: it did not run in this run.
    time: Option<Duration>,
    attempts: Vec<StepAttempt>,
    columns: Vec<StepColumn>,
}

impl ReportStep {
    fn waits_for(&self, other: &str) -> bool {
        self.reads(other) || self.needs.iter().any(|id| id == other)
    }

    fn reads(&self, other: &str) -> bool {
        self.reads.iter().any(|id| id == other)
    }
}

/// An error, apart from what to do about it.
#[derive(Debug, Clone, Default)]
struct ReportError {
    text: String,
    hint: Option<String>,
}

/// The first rows that a step rejected.
#[derive(Debug, Clone, Default)]
struct StepRejects {
    step: String,
    total: u64,
    reasons: Vec<RejectReason>,
    rows: Vec<Reject>,
}

/// How something stands: in words, and in a colour that says no more than the words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Status {
    text: &'static str,
    tone: Tone,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    /// Nobody knows, or it was stopped.
    Unclear,
    Busy,
    #[default]
    Idle,
}

impl Status {
    fn new(text: &'static str, tone: Tone) -> Self {
        Self { text, tone }
    }

    /// A sign and the words.
    fn shown(self) -> String {
        format!("{} {}", self.tone.sign(), self.text)
    }
}

impl Tone {
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✗",
            Self::Unclear => "!",
            Self::Busy => "…",
            Self::Idle => "–",
        }
    }

    /// The class in the style sheet.
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unclear => "unclear",
            Self::Busy => "busy",
            Self::Idle => "idle",
        }
    }
}

#[cfg(test)]
mod tests;
