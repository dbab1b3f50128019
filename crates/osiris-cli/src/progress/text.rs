//! The progress of a step in words, with a bar where there is room.

use super::sample::{Sample, Share};
use crate::human;
use crate::terminal::{shortened, width};

/// What a name keeps, however narrow the terminal is.
const LEAST_NAME: usize = 8;

/// How much is said of a step, how wide its bar is, and whether its name may be shortened.
#[derive(Clone, Copy)]
struct Form {
    detail: Detail,
    bar: usize,
    shortens_name: bool,
}

/// From the widest to the narrowest: the first that fits is drawn.
const FORMS: [Form; 6] = [
    Form { detail: Detail::All, bar: 24, shortens_name: false },
    Form { detail: Detail::WithoutRate, bar: 24, shortens_name: false },
    Form { detail: Detail::WithoutBytes, bar: 24, shortens_name: false },
    Form { detail: Detail::WithoutBytes, bar: 10, shortens_name: false },
    Form { detail: Detail::WithoutBytes, bar: 0, shortens_name: true },
    NARROWEST,
];
const NARROWEST: Form = Form { detail: Detail::Least, bar: 0, shortens_name: true };

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Rows so far and the share.
    Least,
    WithoutBytes,
    WithoutRate,
    All,
}

/// All that is known, such as `1,500 rows of ~2,000, 3.4 MB (~75%), 750 rows/s, 1 s left`.
pub(super) fn message(sample: &Sample) -> String {
    detailed(sample, Detail::All)
}

/// A line of at most so many columns: without the rate where it would be too long, then without bytes, then with a shorter bar or
/// none, then with a shorter name.
pub(super) fn bar_line(name: &str, sample: &Sample, columns: usize) -> String {
    let fitting = FORMS.into_iter().find(|form| {
        let least = if form.shortens_name { width(name).min(LEAST_NAME) } else { width(name) };
        least + width(&behind_name(sample, *form)) <= columns
    });
    let rest = behind_name(sample, fitting.unwrap_or(NARROWEST));
    format!("{}{rest}", shortened(name, columns.saturating_sub(width(&rest)).max(LEAST_NAME)))
}

fn behind_name(sample: &Sample, form: Form) -> String {
    let share = sample.share().filter(|_| form.bar > 0);
    let bar = share.map_or_else(String::new, |share| format!(" {}", bar(share, form.bar)));
    format!("{bar} {}  {}", detailed(sample, form.detail), human::duration(sample.elapsed))
}

fn detailed(sample: &Sample, detail: Detail) -> String {
    let of = |total: Option<String>| total.map_or_else(String::new, |total| format!(" of {total}"));
    let about = |is_estimate| if is_estimate { "~" } else { "" };
    let (phase, total) = match detail {
        Detail::Least => (None, None),
        _ => (sample.phase, sample.total_rows),
    };
    let mut text = phase.map_or_else(String::new, |phase| format!("{}: ", phase.as_str()));
    let total = total.map(|total| format!("{}{}", about(sample.is_estimate), human::count(total)));
    text.push_str(&format!("{}{}", human::rows(sample.rows), of(total)));
    if detail >= Detail::WithoutRate && sample.bytes > 0 {
        text.push_str(&format!(", {}{}", human::bytes(sample.bytes), of(sample.total_bytes.map(human::bytes))));
    }
    if let Some(Share { done, all, is_estimate }) = sample.share().filter(|share| share.all > 0) {
        let percent = u128::from(done) * 100 / u128::from(all);
        text.push_str(&format!(" ({}{percent}%)", about(is_estimate)));
    }
    if let Some(rate) = sample.rate().filter(|_| detail >= Detail::All) {
        text.push_str(&format!(", {} rows/s", human::count(rate)));
    }
    if let Some(left) = sample.left().filter(|_| detail > Detail::Least) {
        text.push_str(&format!(", {} left", human::duration(left)));
    }
    text
}

/// A bar of so many columns.
fn bar(Share { done, all, .. }: Share, length: usize) -> String {
    let full = u128::from(done) * length as u128 / u128::from(all.max(1));
    let full = usize::try_from(full).unwrap_or(length).min(length);
    format!("{}{}", "█".repeat(full), "░".repeat(length - full))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use osiris::core::{Phase, Progress};

    use super::*;

    fn at(progress: &Progress, seconds: u64) -> Sample {
        Sample::of(progress, Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    #[test]
    fn all_that_is_known_is_said() {
        let progress = Progress::default();
        progress.add_rows(1_500);
        assert_eq!(message(&at(&progress, 0)), "1,500 rows");
        progress.expect_rows(1_000);
        assert_eq!(message(&at(&progress, 0)), "1,500 rows of 1,000 (100%)");
        progress.add_bytes(2_000_000);
        progress.expect_bytes(4_000_000);
        assert_eq!(message(&at(&progress, 0)), "1,500 rows of 1,000, 2.0 MB of 4.0 MB (50%)");
        assert_eq!(message(&at(&progress, 2)), "1,500 rows of 1,000, 2.0 MB of 4.0 MB (50%), 750 rows/s, 2 s left");
    }

    #[test]
    fn an_estimate_is_marked() {
        let progress = Progress::default();
        progress.add_rows(150);
        progress.estimate_rows(1_000);
        assert_eq!(message(&at(&progress, 0)), "150 rows of ~1,000 (~15%)");
    }

    #[test]
    fn a_file_that_is_scanned_and_then_loaded_moves_in_both_phases() {
        let progress = Progress::default();
        progress.enter(Phase::InferringTypes);
        progress.add_bytes(50);
        progress.expect_bytes(100);
        assert_eq!(message(&at(&progress, 0)), "inferring types: 0 rows, 50 B of 100 B (50%)");
        progress.add_bytes(50);
        progress.enter(Phase::Loading);
        progress.expect_rows(10);
        assert_eq!(message(&at(&progress, 0)), "loading: 0 rows of 10, 100 B of 100 B (0%)");
    }

    #[test]
    fn a_narrow_terminal_gets_less_of_a_line_and_never_a_part_of_a_number() {
        let progress = Progress::default();
        progress.add_rows(3_000_000);
        progress.expect_rows(6_000_000);
        progress.add_bytes(140_000_000);
        progress.expect_bytes(280_000_000);
        let sample = at(&progress, 4);
        let line = |columns| bar_line("extract_orders_of_january", &sample, columns);
        let wide = "extract_orders_of_january ████████████░░░░░░░░░░░░ 3,000,000 rows of 6,000,000, 140.0 MB of 280.0 MB (50%), \
                    750,000 rows/s, 4 s left  4 s";
        assert_eq!(line(200), wide);
        assert_eq!(line(width(wide) - 1), wide.replace(", 750,000 rows/s", ""));
        assert!(!line(100).contains("MB") && line(100).contains('█'), "{}", line(100));
        for columns in 34..130 {
            assert!(width(&line(columns)) <= columns, "{columns}: {}", line(columns));
            assert!(line(columns).contains("3,000,000 rows"), "{columns}: {}", line(columns));
        }
        assert!(line(60).starts_with("extr") && line(60).contains('…'), "{}", line(60));
    }
}
