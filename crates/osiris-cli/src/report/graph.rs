//! The steps as a graph, from left to right: a step stands to the right of those that it waits for.

use super::ReportStep;
use super::html::Html;

const WIDTH: usize = 196;
const HEIGHT: usize = 64;
const GAP_X: usize = 52;
const GAP_Y: usize = 16;
const MARGIN: usize = 4;

/// How many characters fit into a box.
const LETTERS: usize = 25;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    column: usize,
    row: usize,
}

impl Place {
    fn x(self) -> usize {
        MARGIN + self.column * (WIDTH + GAP_X)
    }

    fn y(self) -> usize {
        MARGIN + self.row * (HEIGHT + GAP_Y)
    }
}

pub(super) fn graph(html: &mut Html, steps: &[ReportStep]) {
    let places = places(steps);
    let right = places.iter().map(|place| place.x() + WIDTH).max().unwrap_or_default() + MARGIN;
    let bottom = places.iter().map(|place| place.y() + HEIGHT).max().unwrap_or_default() + MARGIN;
    let (width, height) = (right.to_string(), bottom.to_string());
    let view = format!("0 0 {right} {bottom}");
    let attributes =
        [("role", "img"), ("viewBox", view.as_str()), ("width", width.as_str()), ("height", height.as_str())];
    html.inside("svg", &attributes, |html| {
        html.element("title", &[], &summary(steps));
        for (step, to) in steps.iter().zip(&places) {
            let before =
                steps.iter().zip(&places).filter(|(other, from)| from.column < to.column && step.waits_for(&other.id));
            before.for_each(|(other, from)| edge(html, *from, *to, step.reads(&other.id)));
        }
        steps.iter().zip(&places).for_each(|(step, place)| node(html, step, *place));
    });
}

/// The graph in words.
fn summary(steps: &[ReportStep]) -> String {
    let lines = steps.iter().map(|step| {
        let before = if step.needs.is_empty() { &step.reads } else { &step.needs };
        let after = if before.is_empty() { String::new() } else { format!(" after {}", before.join(", ")) };
        format!("{}{after}: {}", step.id, step.status.text)
    });
    format!("The steps by what they wait for. {}.", lines.collect::<Vec<_>>().join("; "))
}

/// A step is one column to the right of the last that it waits for. Those come before it, in the order of the plan.
fn places(steps: &[ReportStep]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(steps.len());
    let mut heights: Vec<usize> = Vec::new();
    for step in steps {
        let before = steps.iter().zip(&places).filter(|(other, _)| step.waits_for(&other.id));
        let column = before.map(|(_, place)| place.column + 1).max().unwrap_or_default();
        if heights.len() <= column {
            heights.resize(column + 1, 0);
        }
        places.push(Place { column, row: heights[column] });
        heights[column] += 1;
    }
    places
}

/// An arrow; dashed where the step only waits, and reads nothing.
fn edge(html: &mut Html, from: Place, to: Place, reads: bool) {
    let (x1, y1) = (from.x() + WIDTH, from.y() + HEIGHT / 2);
    let (x2, y2) = (to.x(), to.y() + HEIGHT / 2);
    let (out, into) = (x1 + GAP_X / 2, x2 - GAP_X / 2);
    let line = format!("M{x1} {y1} C{out} {y1} {into} {y2} {} {y2}", x2 - 6);
    let head = format!("M{x2} {y2} l-8 -4 v8 z");
    let class = if reads { "edge" } else { "edge waits" };
    html.element("path", &[("class", class), ("d", line.as_str())], "");
    html.element("path", &[("class", "head"), ("d", head.as_str())], "");
}

fn node(html: &mut Html, step: &ReportStep, place: Place) {
    let (x, y) = (place.x().to_string(), place.y().to_string());
    let (width, height) = (WIDTH.to_string(), HEIGHT.to_string());
    let left = (place.x() + 12).to_string();
    let lines = [20, 37, 54].map(|down| (place.y() + down).to_string());
    let class = format!("node {}", step.status.tone.class());
    html.inside("g", &[("class", class.as_str())], |html| {
        html.element("title", &[], &format!("{}: {}, {}", step.id, step.component, step.status.text));
        let attributes =
            [("x", x.as_str()), ("y", y.as_str()), ("width", width.as_str()), ("height", height.as_str()), ("rx", "6")];
        html.element("rect", &attributes, "");
        let texts =
            [("name", short(&step.id)), ("more", short(&step.component)), ("state", short(&step.status.shown()))];
        for ((class, text), line) in texts.iter().zip(&lines) {
            html.element("text", &[("class", *class), ("x", left.as_str()), ("y", line.as_str())], text);
        }
    });
}

/// The beginning of a text that fits into a box; all of it is in the title.
fn short(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some(_) => text.chars().take(LETTERS - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, reads: &[&str], needs: &[&str]) -> ReportStep {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        ReportStep { id: id.to_owned(), reads: owned(reads), needs: owned(needs), ..ReportStep::default() }
    }

    #[test]
    fn a_step_stands_right_of_all_that_it_waits_for() {
        let steps = [
            step("a", &[], &[]),
            step("b", &[], &[]),
            step("sum", &["a", "b"], &["a", "b"]),
            step("out", &["sum"], &["sum"]),
            step("late", &["a"], &["a", "out"]),
            step("old", &["sum"], &[]),
        ];
        let found: Vec<(usize, usize)> = places(&steps).iter().map(|place| (place.column, place.row)).collect();
        assert_eq!(found, [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (2, 1)]);
    }

    #[test]
    fn a_ledger_that_names_what_is_not_there_is_drawn() {
        let steps = [step("a", &["nobody", "a", "b"], &["b"]), step("b", &["a"], &[])];
        assert_eq!(places(&steps), [Place { column: 0, row: 0 }, Place { column: 1, row: 0 }]);
        graph(&mut Html::document(), &steps);
        graph(&mut Html::document(), &[]);
    }
}
