//! The progress of a run: a bar for every running step on a terminal, elsewhere a line every ten seconds; a line for every finished
//! one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use osiris::Plan;
use osiris::core::{Progress, visible_line};
use osiris::pipeline::{Observer, PlannedStep, StepReport, StepStatus};

use crate::console::Console;
use crate::human;

/// How often the counters are read.
const TICK: Duration = Duration::from_millis(100);

/// How often a line says how far a step has come, where there are no bars: in logs of cron and CI.
const LINES: Duration = Duration::from_secs(10);

/// Shows a run on the console.
pub(crate) struct Display<'a> {
    console: &'a Console,
    /// The titles of the steps that have one, by id.
    titles: BTreeMap<String, String>,
    running: Arc<Running>,
    /// Dropped first: the ticker ends when nobody can send.
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

/// The steps that run now, with their bars.
#[derive(Default)]
struct Running(Mutex<Vec<Watched>>);

struct Watched {
    step: String,
    begun: Instant,
    progress: Arc<Progress>,
    bar: ProgressBar,
}

impl<'a> Display<'a> {
    /// `bars`: whether to draw bars at all; where the standard error is no terminal there are lines instead.
    pub(crate) fn new(console: &'a Console, plan: &Plan, bars: bool) -> Self {
        let steps = plan.pipeline().steps.iter();
        let titles = steps
            .filter_map(|step| {
                Some((step.id.value.clone(), visible_line(&human::one_line(step.title.as_deref()?)).into_owned()))
            })
            .collect();
        let running = Arc::new(Running::default());
        let (stop, stopped) = channel();
        let watched = Arc::clone(&running);
        let draws = bars && !console.bars().is_hidden();
        let line = console.line_printer();
        let ticker = (draws || console.says()).then(|| {
            std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
                let pause = if draws { TICK } else { LINES };
                while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    if draws { watched.draw() } else { watched.lines().iter().for_each(|text| line(text)) }
                }
            })
        });
        // Without the thread there is no progress to be seen: nothing to tell anybody.
        Self { console, titles, running, stop: Some(stop), ticker: ticker.and_then(Result::ok) }
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
        self.console.say(for_what);
    }

    fn run_started(&self, run_id: &str, directory: &Path) {
        self.console.say_more(&format!("run {run_id} in {}", directory.display()));
    }

    fn step_started(&self, step: &PlannedStep, progress: Arc<Progress>) {
        self.console.say_more(&format!("  started {}", self.named(&step.id)));
        if self.ticker.is_some() {
            let bar =
                ProgressBar::new_spinner().with_style(style(false)).with_prefix(visible_line(&step.id).into_owned());
            let bar = self.console.bars().add(bar);
            self.running.lock().push(Watched { step: step.id.clone(), begun: Instant::now(), progress, bar });
        }
    }

    fn step_finished(&self, report: &StepReport) {
        self.running.lock().retain(|watched| {
            let ended = watched.step == report.id;
            if ended {
                watched.bar.finish_and_clear();
            }
            !ended
        });
        self.console.say(&self.line(report));
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line for every step that runs.
    fn lines(&self) -> Vec<String> {
        let line = |watched: &Watched| {
            let time = human::seconds(watched.begun.elapsed());
            format!("  running {}: {}, {time} s", watched.step, message(&watched.progress))
        };
        self.lock().iter().map(line).collect()
    }

    fn draw(&self) {
        for Watched { progress, bar, .. } in &*self.lock() {
            if let Some((position, length)) = share(progress) {
                if bar.length().is_none() {
                    bar.set_style(style(true));
                }
                bar.set_length(length);
                bar.set_position(position);
            }
            bar.set_message(message(progress));
            bar.tick();
        }
    }
}

/// How much of how much: bytes where they are known, else rows, else what DuckDB says of its work.
fn share(progress: &Progress) -> Option<(u64, u64)> {
    let bytes = progress.total_bytes().map(|total| (progress.bytes().min(total), total));
    let rows = || progress.total_rows().map(|total| (progress.rows().min(total), total));
    bytes.or_else(rows).or_else(|| progress.share().map(|share| (share, Progress::WHOLE)))
}

/// Whether the share is an estimate.
fn is_estimated(progress: &Progress) -> bool {
    progress.total_bytes().is_none() && (progress.is_estimate() || progress.total_rows().is_none())
}

fn message(progress: &Progress) -> String {
    let of =
        |total: Option<u64>, show: fn(u64) -> String| total.map_or_else(String::new, |t| format!(" of {}", show(t)));
    let count: fn(u64) -> String =
        if progress.is_estimate() { |rows| format!("~{}", human::count(rows)) } else { human::count };
    let rows = format!("{}{}", human::rows(progress.rows()), of(progress.total_rows(), count));
    let amount = match progress.bytes() {
        0 => rows,
        bytes => format!("{rows}, {}{}", human::bytes(bytes), of(progress.total_bytes(), human::bytes)),
    };
    match share(progress) {
        Some((done, all)) if all > 0 => {
            let about = if is_estimated(progress) { "~" } else { "" };
            format!("{amount} ({about}{}%)", u128::from(done) * 100 / u128::from(all))
        }
        _ => amount,
    }
}

/// The bar of a step: with a length where one is known.
const BAR: &str = "  {spinner} {prefix} {bar:24} {msg}  {elapsed}";
const SPINNER: &str = "  {spinner} {prefix} {msg}  {elapsed}";

fn style(has_length: bool) -> ProgressStyle {
    // The templates are constants that a test compiles.
    ProgressStyle::with_template(if has_length { BAR } else { SPINNER })
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_a_length_where_one_is_known() {
        let progress = Progress::default();
        progress.add_rows(1_500);
        assert_eq!((share(&progress), message(&progress).as_str()), (None, "1,500 rows"));
        progress.expect_rows(1_000);
        assert_eq!(
            (share(&progress), message(&progress).as_str()),
            (Some((1_000, 1_000)), "1,500 rows of 1,000 (100%)")
        );
        progress.add_bytes(2_000_000);
        progress.expect_bytes(4_000_000);
        assert_eq!(share(&progress), Some((2_000_000, 4_000_000)));
        assert_eq!(message(&progress), "1,500 rows of 1,000, 2.0 MB of 4.0 MB (50%)");
    }

    #[test]
    fn an_estimate_is_marked() {
        let progress = Progress::default();
        progress.add_rows(150);
        progress.estimate_rows(1_000);
        assert_eq!((share(&progress), message(&progress).as_str()), (Some((150, 1_000)), "150 rows of ~1,000 (~15%)"));
    }

    #[test]
    fn the_templates_are_valid() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
