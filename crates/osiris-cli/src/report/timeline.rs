//! When the steps ran: a line for each, with a bar for each attempt. It is as wide as the page, since all that lies along the
//! axis is in percent.

use std::time::Duration;

use osiris::pipeline::{AttemptEnd, StepAttempt};

use super::html::Html;
use super::{Report, ReportStep, Tone};
use crate::human;

/// From one step to the next.
const LINE: usize = 44;
/// Where the name of a step stands in its line, and where its bar.
const NAME: usize = 16;
const BAR: usize = 24;
/// What the axis needs below the last line.
const AXIS: usize = 40;

/// The whole, in the unit of shares.
const WHOLE: u64 = 10_000;
/// The least width of a bar that can be seen.
const LEAST: u64 = 40;

/// The most marks of the axis.
const MARKS: u64 = 5;

pub(super) fn timeline(html: &mut Html, report: &Report) {
    let steps: Vec<&ReportStep> = report.steps.iter().filter(|step| !step.attempts.is_empty()).collect();
    let length = report.length_ms.max(1);
    let below = steps.len() * LINE;
    let height = (below + AXIS).to_string();
    html.inside("svg", &[("role", "img"), ("width", "100%"), ("height", height.as_str())], |html| {
        html.element(
            "title",
            &[],
            "When each attempt of each step ran, in seconds since the start; the same is in the table below.",
        );
        axis(html, length, below);
        steps.iter().enumerate().for_each(|(index, step)| line(html, step, index * LINE, length));
    });
}

fn line(html: &mut Html, step: &ReportStep, top: usize, length: u64) {
    let (name, bar) = ((top + NAME).to_string(), (top + BAR).to_string());
    html.element("text", &[("x", "0"), ("y", name.as_str())], &format!("{}: {}", step.id, caption(step)));
    for (number, attempt) in step.attempts.iter().enumerate() {
        // One that can hardly be seen still lies within the picture.
        let x = share(attempt.offset_ms, length).min(WHOLE - LEAST);
        let width = share(attempt.duration_ms, length).clamp(LEAST, WHOLE - x);
        let (x, width) = (percent(x), percent(width));
        let class = format!("bar {}", tone(attempt).class());
        html.inside("g", &[("class", class.as_str())], |html| {
            html.element("title", &[], &format!("{}, attempt {}: {}", step.id, number + 1, result(attempt)));
            let attributes =
                [("x", x.as_str()), ("y", bar.as_str()), ("width", width.as_str()), ("height", "14"), ("rx", "2")];
            html.element("rect", &attributes, "");
        });
    }
}

fn caption(step: &ReportStep) -> String {
    let attempts = match step.attempts.len() {
        1 => String::new(),
        many => format!(", {many} attempts"),
    };
    let time = step.time.map_or_else(String::new, |time| format!(", {} s", human::seconds(time)));
    format!("{}{time}{attempts}", step.status.text)
}

/// How an attempt ended, in a word.
pub(super) fn result(attempt: &StepAttempt) -> &'static str {
    match attempt.end {
        AttemptEnd::Done => "done",
        AttemptEnd::Failed => "failed or stopped",
        AttemptEnd::Open => "end not recorded",
    }
}

/// Milliseconds as seconds.
pub(super) fn seconds(millis: u64) -> String {
    human::seconds(Duration::from_millis(millis))
}

fn tone(attempt: &StepAttempt) -> Tone {
    match attempt.end {
        AttemptEnd::Done => Tone::Good,
        AttemptEnd::Failed => Tone::Bad,
        AttemptEnd::Open => Tone::Busy,
    }
}

fn axis(html: &mut Html, length: u64, below: usize) {
    let (bottom, text) = (below.to_string(), (below + 16).to_string());
    let step = distance(length);
    for mark in (0..=length / step).map(|number| number * step) {
        let at = share(mark, length);
        let x = percent(at);
        let attributes =
            [("class", "mark"), ("x1", x.as_str()), ("x2", x.as_str()), ("y1", "0"), ("y2", bottom.as_str())];
        html.element("line", &attributes, "");
        let anchor = match at {
            0 => "start",
            at if at > WHOLE * 95 / 100 => "end",
            _ => "middle",
        };
        let attributes = [("class", "more"), ("x", x.as_str()), ("y", text.as_str()), ("text-anchor", anchor)];
        html.element("text", &attributes, &of_mark(mark));
    }
    let name = (below + 34).to_string();
    html.element("text", &[("class", "more"), ("x", "0"), ("y", name.as_str())], "seconds since the start");
}

/// The distance of two marks: 1, 2 or 5 times a power of ten milliseconds.
fn distance(length: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for distance in [1, 2, 5].map(|digit| power.saturating_mul(digit)) {
            if length / distance <= MARKS {
                return distance;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Seconds with as many digits as a mark needs.
fn of_mark(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The part of `length` that `millis` are, of [`WHOLE`].
fn share(millis: u64, length: u64) -> u64 {
    let share = u128::from(millis) * u128::from(WHOLE) / u128::from(length.max(1));
    u64::try_from(share).unwrap_or(WHOLE).min(WHOLE)
}

fn percent(share: u64) -> String {
    format!("{}.{:02}%", share / 100, share % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_and_few() {
        assert_eq!([1, 5, 6, 300, 1_001, 61_000, 3_600_000].map(distance), [1, 1, 2, 100, 200, 20_000, 1_000_000]);
        assert_eq!([0, 5, 50, 1_000, 1_500, 20_000].map(of_mark), ["0", "0.005", "0.05", "1", "1.5", "20"]);
        assert!(distance(u64::MAX) > 0);
    }

    #[test]
    fn every_bar_lies_within_the_picture() {
        for (offset, duration, length) in
            [(0, 0, 1), (0, 10, 10), (10, 0, 10), (u64::MAX, u64::MAX, 5), (3, 4, 1_000_000)]
        {
            let x = share(offset, length).min(WHOLE - LEAST);
            let width = share(duration, length).clamp(LEAST, WHOLE - x);
            assert!(x + width <= WHOLE, "{offset} {duration} {length}");
        }
        assert_eq!([0, 40, 9_999, 10_000].map(percent), ["0.00%", "0.40%", "99.99%", "100.00%"]);
    }
}
