//! The progress of a run: a bar for every running step on a terminal, elsewhere a line every ten seconds; a line for every finished
//! one. For programs there are JSON objects instead.

mod json;
mod sample;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use osiris::Plan;
use osiris::core::{Phase, Progress, visible_line};
use osiris::pipeline::{Observer, PlannedStep, StepReport, StepStatus};

use crate::args::ProgressArg;
use crate::console::Console;
use crate::human;
use crate::terminal::stderr_width;

use sample::Sample;

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
            Self::Lines => Duration::from_secs(10),
            Self::Json => Duration::from_millis(500),
        }
    }
}

/// Shows a run on the console.
pub(crate) struct Display<'a> {
    console: &'a Console,
    /// The titles of the steps that have one, by id.
    titles: BTreeMap<String, String>,
    form: Form,
    running: Arc<Running>,
    /// Dropped first: the ticker ends when nobody can send.
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

/// The run, and the steps of it that run now.
#[derive(Default)]
struct Running {
    run_id: OnceLock<String>,
    steps: Mutex<Vec<Watched>>,
}

struct Watched {
    step: String,
    /// The step as it may be shown.
    name: String,
    begun: Instant,
    /// What it does now, and since when.
    phase: (Option<Phase>, Instant),
    progress: Arc<Progress>,
    bar: ProgressBar,
}

impl<'a> Display<'a> {
    /// `bars`: whether to draw bars at all; where the standard error is no terminal there are lines instead.
    pub(crate) fn new(console: &'a Console, plan: &Plan, shown: ProgressArg, bars: bool) -> Self {
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
        let running = Arc::new(Running::default());
        let (stop, stopped) = channel();
        let watched = Arc::clone(&running);
        let line = console.line_printer();
        let ticker = (form != Form::Lines || console.says()).then(|| {
            std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
                while stopped.recv_timeout(form.pause()) == Err(RecvTimeoutError::Timeout) {
                    watched.show(form, &line);
                }
            })
        });
        // Without the thread there is no progress to be seen: nothing to tell anybody.
        Self { console, titles, form, running, stop: Some(stop), ticker: ticker.and_then(Result::ok) }
    }

    /// A message for people.
    fn say(&self, text: &str) {
        if self.form != Form::Json {
            self.console.say(text);
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
        self.say(for_what);
    }

    fn run_started(&self, run_id: &str, directory: &Path) {
        // A run starts once.
        let _ = self.running.run_id.set(run_id.to_owned());
        self.console.say_more(&format!("run {run_id} in {}", directory.display()));
    }

    fn step_started(&self, step: &PlannedStep, progress: Arc<Progress>) {
        self.console.say_more(&format!("  started {}", self.named(&step.id)));
        if self.ticker.is_some() {
            let bar = self.console.bars().add(ProgressBar::new_spinner().with_style(style()));
            let (name, begun) = (visible_line(&step.id).into_owned(), Instant::now());
            self.running.lock().push(Watched {
                step: step.id.clone(),
                name,
                begun,
                phase: (None, begun),
                progress,
                bar,
            });
        }
    }

    fn step_finished(&self, report: &StepReport) {
        let mut steps = self.running.lock();
        let ended = steps.iter().position(|watched| watched.step == report.id).map(|place| steps.remove(place));
        let sample = ended.map_or_else(Sample::default, |mut watched| {
            watched.bar.finish_and_clear();
            watched.sample()
        });
        match self.form {
            // Under the lock: nothing is printed of a step that has ended.
            Form::Json => self.console.report(&json::ended(self.running.run_id(), report, &sample)),
            Form::Bars | Form::Lines => self.console.say(&self.line(report)),
        }
    }
}

impl Drop for Display<'_> {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
        self.running.lock().drain(..).for_each(|watched| watched.bar.finish_and_clear());
    }
}

impl Running {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Watched>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_id(&self) -> &str {
        self.run_id.get().map_or("", String::as_str)
    }

    /// Shows how far every step has come.
    fn show(&self, form: Form, line: &dyn Fn(&str)) {
        // Beside the indentation and the spinner.
        let columns = stderr_width().unwrap_or(80).saturating_sub(4);
        for watched in &mut *self.lock() {
            let sample = watched.sample();
            match form {
                Form::Bars => {
                    watched.bar.set_message(text::bar_line(&watched.name, &sample, columns));
                    watched.bar.tick();
                }
                Form::Lines => {
                    let time = human::seconds(sample.elapsed);
                    line(&format!("  running {}: {}, {time} s", watched.step, text::message(&sample)));
                }
                Form::Json => line(&json::running(self.run_id(), &watched.step, &sample)),
            }
        }
    }
}

impl Watched {
    fn sample(&mut self) -> Sample {
        let phase = self.progress.phase();
        if phase != self.phase.0 {
            self.phase = (phase, Instant::now());
        }
        Sample::of(&self.progress, self.begun.elapsed(), self.phase.1.elapsed())
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
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(LINE).is_ok());
    }
}
