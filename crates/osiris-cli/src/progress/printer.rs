//! The thread that prints the progress of a run. It alone waits for whoever reads the standard error: the steps never do, so that
//! they end when they are told to.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use osiris::core::{Phase, Progress, visible_line};
use osiris::pipeline::{StepReport, StepStatus};

use super::sample::Sample;
use super::{Form, json, text};
use crate::human;
use crate::terminal::stderr_width;

/// What the thread is sent.
pub(super) enum Message {
    /// A line for people.
    Line(String),
    /// The run has this id.
    Run(String),
    Started(StartedStep),
    /// A step has ended, was reused or was never started; with a line for people.
    Ended(EndedStep, Option<String>),
}

pub(super) struct StartedStep {
    pub(super) step: String,
    pub(super) begun: Instant,
    pub(super) progress: Arc<Progress>,
}

pub(super) struct EndedStep {
    pub(super) step: String,
    pub(super) status: StepStatus,
    pub(super) rows: u64,
    pub(super) duration: Duration,
}

impl From<&StepReport> for EndedStep {
    fn from(report: &StepReport) -> Self {
        Self { step: report.id.clone(), status: report.status, rows: report.rows, duration: report.duration }
    }
}

/// The steps that run now, and where their progress goes.
pub(super) struct Printer<L> {
    form: Form,
    /// Whether people are told of steps that run.
    says: bool,
    bars: MultiProgress,
    /// Prints a line.
    line: L,
    run_id: String,
    steps: Vec<Watched>,
    ticks: u32,
}

struct Watched {
    started: StartedStep,
    /// What it does now, and since when.
    phase: (Option<Phase>, Instant),
    bar: ProgressBar,
}

impl<L: Fn(&str)> Printer<L> {
    pub(super) fn new(form: Form, says: bool, bars: MultiProgress, line: L) -> Self {
        Self { form, says, bars, line, run_id: String::new(), steps: Vec::new(), ticks: 0 }
    }

    /// Prints until nobody can send any more.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut next = Instant::now() + self.form.pause();
        loop {
            match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    next = (next + self.form.pause()).max(Instant::now());
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.steps.drain(..).for_each(|watched| watched.bar.finish_and_clear());
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(line) => (self.line)(&line),
            Message::Run(id) => self.run_id = id,
            Message::Started(started) => {
                let bar = match self.form {
                    Form::Bars => self.bars.add(ProgressBar::new_spinner().with_style(style())),
                    Form::Lines | Form::Json => ProgressBar::hidden(),
                };
                let phase = (None, started.begun);
                self.steps.push(Watched { started, phase, bar });
            }
            Message::Ended(ended, line) => self.end(&ended, line.as_deref()),
        }
    }

    fn end(&mut self, ended: &EndedStep, line: Option<&str>) {
        let place = self.steps.iter().position(|watched| watched.started.step == ended.step);
        let sample = place.map_or_else(Sample::default, |place| {
            let mut watched = self.steps.remove(place);
            watched.bar.finish_and_clear();
            watched.sample()
        });
        match self.form {
            Form::Json => (self.line)(&json::ended(&self.run_id, ended, &sample)),
            Form::Bars | Form::Lines => line.into_iter().for_each(&self.line),
        }
    }

    /// Reads how far every step has come, and shows it when it is time to. A phase begins when it is first seen.
    fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        let is_due = self.ticks.is_multiple_of(self.form.samples_per_print());
        // Beside the indentation and the spinner.
        let columns = stderr_width().unwrap_or(80).saturating_sub(4);
        for watched in &mut self.steps {
            let sample = watched.sample();
            let step = &watched.started.step;
            match self.form {
                _ if !is_due => {}
                Form::Bars => {
                    watched.bar.set_message(text::bar_line(&visible_line(step), &sample, columns));
                    watched.bar.tick();
                }
                Form::Lines if !self.says => {}
                Form::Lines => {
                    let time = human::seconds(sample.elapsed);
                    (self.line)(&format!("  running {step}: {}, {time} s", text::message(&sample)));
                }
                Form::Json => (self.line)(&json::running(&self.run_id, step, &sample)),
            }
        }
    }
}

impl Watched {
    fn sample(&mut self) -> Sample {
        let phase = self.started.progress.phase();
        if phase != self.phase.0 {
            self.phase = (phase, Instant::now());
        }
        Sample::of(&self.started.progress, self.started.begun.elapsed(), self.phase.1.elapsed())
    }
}

/// The text of a line is made for the width of the terminal; what is too wide nevertheless is cut.
const LINE: &str = "  {spinner} {wide_msg}";

fn style() -> ProgressStyle {
    // The template is a constant that a test compiles.
    ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use indicatif::ProgressDrawTarget;

    use super::*;

    #[test]
    fn where_progress_is_a_line_every_ten_seconds_the_speed_is_that_since_the_phase_began() {
        let lines = RefCell::new(Vec::new());
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let mut printer = Printer::new(Form::Lines, true, bars, |line: &str| lines.borrow_mut().push(line.to_owned()));
        let progress = Arc::new(Progress::default());
        progress.enter(Phase::Loading);
        let (step, begun) = ("read".to_owned(), Instant::now());
        printer.take(Message::Started(StartedStep { step, begun, progress: Arc::clone(&progress) }));
        printer.tick();
        progress.add_rows(2_000);
        // The phase was seen two seconds ago.
        printer.steps[0].phase.1 = begun.checked_sub(Duration::from_secs(2)).unwrap();
        (2..20).for_each(|_| printer.tick());
        assert!(lines.borrow().is_empty(), "{lines:?}");
        printer.tick();
        let lines = lines.borrow();
        assert!(lines.len() == 1 && lines[0].contains("2,000 rows, ") && lines[0].contains(" rows/s"), "{lines:?}");
    }

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(LINE).is_ok());
    }
}
