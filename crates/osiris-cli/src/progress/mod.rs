//! The progress of a run: a bar for every running step on a terminal, elsewhere a line every ten seconds; a line for every finished
//! one. For programs there are JSON objects instead.

mod json;
mod printer;
mod sample;
mod text;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use osiris::Plan;
use osiris::core::{Progress, Role, visible_line};
use osiris::pipeline::{Observer, PlannedStep, StepReport, StepStatus};

use crate::args::ProgressArg;
use crate::console::Console;
use crate::human;

use printer::{EndedStep, Message, Printer, StartedStep};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// On a terminal.
    Bars,
    /// In logs of cron and CI.
    Lines,
    /// To a program.
    Json,
}

impl Form {
    /// How often the counters are read.
    fn pause(self) -> Duration {
        match self {
            Self::Bars => Duration::from_millis(100),
            Self::Lines | Self::Json => Duration::from_millis(500),
        }
    }

    /// How often they have been read when they are shown.
    fn samples_per_print(self) -> u32 {
        match self {
            Self::Bars | Self::Json => 1,
            // Every ten seconds.
            Self::Lines => 20,
        }
    }
}

/// Shows a run on the console. What is shown goes to a thread, which waits for the reader instead of the run.
pub(crate) struct Display<'a> {
    console: &'a Console,
    /// The titles of the steps that have one, by id.
    titles: BTreeMap<String, String>,
    form: Form,
    /// Dropped first: the printer ends when nobody can send.
    messages: Option<Sender<Message>>,
    printer: Option<JoinHandle<()>>,
}

impl<'a> Display<'a> {
    /// `bars`: whether to draw bars at all; where the standard error is no terminal there are lines instead.
    pub(crate) fn new(console: &'a Console, plan: &Plan, shown: ProgressArg, bars: bool) -> io::Result<Self> {
        let steps = plan.pipeline().steps.iter();
        let titles = steps
            .filter_map(|step| {
                Some((step.id.value.clone(), visible_line(&human::one_line(step.title.as_deref()?)).into_owned()))
            })
            .collect();
        let form = match shown {
            ProgressArg::Json => Form::Json,
            ProgressArg::Auto if bars && !console.bars().is_hidden() => Form::Bars,
            ProgressArg::Auto => Form::Lines,
        };
        let printer = Printer::new(form, console.says(), console.bars().clone(), console.line_printer());
        let (messages, received) = channel();
        let thread = std::thread::Builder::new().name("progress".to_owned());
        let printer = thread.spawn(move || printer.run(&received))?;
        Ok(Self { console, titles, form, messages: Some(messages), printer: Some(printer) })
    }

    fn send(&self, message: Message) {
        if let Some(messages) = &self.messages {
            // Nobody receives once the thread has panicked, which has been reported.
            let _ = messages.send(message);
        }
    }

    /// A line for people, if `--verbose` is set.
    fn say_more(&self, line: String) {
        if self.console.says_more() {
            self.send(Message::Line(line));
        }
    }

    /// A step by its id, and by its title where it has one.
    fn named(&self, id: &str) -> String {
        self.titles.get(id).map_or_else(|| id.to_owned(), |title| format!("{id} ({title})"))
    }

    fn line(&self, report: &StepReport) -> String {
        let (id, rows) = (self.named(&report.id), human::rows(report.rows));
        let time = format!("{} s", human::seconds(report.duration));
        match report.status {
            StepStatus::Done => format!("  {} {id}: {rows}, {time}", self.console.good("done")),
            StepStatus::Reused => format!("  {} {id}: {rows}, from the resumed run", self.console.good("done")),
            StepStatus::Failed => format!("  {} {id}: after {time}", self.console.bad("failed")),
            StepStatus::Ambiguous => format!("  {} {id}: after {time}", self.console.bad("ambiguous")),
            StepStatus::Cancelled => format!("  {} {id}: after {time}", self.console.bad("stopped")),
            StepStatus::Confirmed => {
                format!("  confirmed {id}: its rows are in the destination as confirmed, not counted")
            }
            StepStatus::Skipped => format!("  skipped {id}"),
        }
    }
}

impl Observer for Display<'_> {
    fn waiting(&self, for_what: &str) {
        if self.form != Form::Json && self.console.says() {
            self.send(Message::Line(for_what.to_owned()));
        }
    }

    fn run_started(&self, run_id: &str, directory: &Path) {
        self.send(Message::Run(run_id.to_owned()));
        self.say_more(format!("run {run_id} in {}", directory.display()));
    }

    fn step_started(&self, step: &PlannedStep, progress: Arc<Progress>) {
        self.say_more(format!("  started {}", self.named(&step.id)));
        self.send(Message::Started(StartedStep { step: step.id.clone(), begun: Instant::now(), progress }));
    }

    fn step_finished(&self, report: &StepReport) {
        let is_said = self.console.says() && (says_something(report) || self.console.says_more());
        let line = is_said.then(|| self.line(report));
        self.send(Message::Ended(EndedStep::from(report), line));
    }
}

/// A table of a group is one line: that of its writer, or that of its reader where it does not get as far.
fn says_something(report: &StepReport) -> bool {
    match (&report.group, report.role) {
        (Some(_), Role::Extract) => !report.status.is_done(),
        (Some(_), Role::Write) => report.status != StepStatus::Skipped,
        _ => true,
    }
}

impl Drop for Display<'_> {
    fn drop(&mut self) {
        self.messages.take();
        if let Some(printer) = self.printer.take() {
            let _ = printer.join();
        }
    }
}
