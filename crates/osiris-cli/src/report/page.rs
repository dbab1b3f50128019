//! The page: a section for each thing that is known of the run. It runs no script and loads nothing, and says so to the browser.

use osiris::core::{StepCounts, shorten};

use super::graph::graph;
use super::html::Html;
use super::timeline::{result, seconds, timeline};
use super::{Report, ReportError, ReportStep, StepRejects, Tone};
use crate::human;

/// Nothing may be loaded or sent; only the style sheet in the page counts.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("style.css");

/// How much of a rejected row is shown.
const LONGEST_ROW: usize = 500;

type Count = fn(&StepCounts) -> u64;

/// The counts of the ledger. Those after the third are shown where a step has one that is not 0.
const COUNTS: [(&str, Count); 11] = [
    ("read", |counts| counts.read),
    ("stored", |counts| counts.stored),
    ("rejected", |counts| counts.rejected),
    ("inserted", |counts| counts.inserted),
    ("updated", |counts| counts.updated),
    ("unchanged", |counts| counts.unchanged),
    ("ignored", |counts| counts.ignored),
    ("deleted", |counts| counts.deleted),
    ("deduplicated", |counts| counts.deduplicated),
    ("altered", |counts| counts.altered),
    ("skipped", |counts| counts.skipped),
];

impl Report {
    /// The whole page.
    pub(crate) fn to_html(&self) -> String {
        let mut html = Html::document();
        html.inside("html", &[("lang", "en")], |html| {
            html.inside("head", &[], |html| self.head(html));
            html.inside("body", &[], |html| {
                html.inside("main", &[], |html| self.main(html));
                let version = env!("CARGO_PKG_VERSION");
                html.element(
                    "footer",
                    &[],
                    &format!("Written by osiris {version}. The page loads nothing and runs no script."),
                );
            });
        });
        html.finish()
    }

    fn head(&self, html: &mut Html) {
        html.void("meta", &[("charset", "utf-8")]);
        html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
        html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
        html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
        html.element("title", &[], &format!("{}: {}, run {}", self.pipeline, self.status.text, self.run_id));
        html.style(STYLE);
    }

    fn main(&self, html: &mut Html) {
        self.facts(html);
        if !self.errors.is_empty() {
            section(html, "Errors", |html| self.errors.iter().for_each(|error| error_text(html, error)));
        }
        if !self.warnings.is_empty() {
            section(html, "Warnings", |html| {
                html.inside("ul", &[], |html| self.warnings.iter().for_each(|text| html.element("li", &[], text)));
            });
        }
        section(html, "Steps", |html| self.steps(html));
        if self.steps.is_empty() {
            return;
        }
        section(html, "Times", |html| self.times(html));
        section(html, "Throughput", |html| self.throughput(html));
        section(html, "Ledger", |html| self.ledger(html));
        if !self.rejects.is_empty() {
            section(html, "Rejected rows", |html| self.rejected_rows(html));
        }
        if self.steps.iter().any(|step| !step.columns.is_empty()) {
            section(html, "Columns", |html| self.steps.iter().for_each(|step| columns(html, step)));
        }
    }

    fn facts(&self, html: &mut Html) {
        html.element("h1", &[], &self.pipeline);
        let class = format!("outcome {}", self.status.tone.class());
        html.element("p", &[("class", class.as_str())], &self.status.shown());
        // Of a run that was resumed, the time between is in it.
        let since = if self.resumed { " since the first start" } else { "" };
        let duration =
            self.duration.map_or_else(|| "not ended".to_owned(), |time| format!("{} s{since}", human::seconds(time)));
        html.inside("dl", &[], |html| {
            fact(html, "Run", &self.run_id);
            fact(html, "Started", &self.started);
            fact(html, "Duration", &duration);
            fact(
                html,
                "Program",
                &self.program.as_ref().map_or_else(|| "not recorded".to_owned(), |version| format!("osiris {version}")),
            );
            if let Some(profile) = &self.profile {
                fact(html, "Profile", profile);
            }
            if self.dry_run {
                fact(html, "Dry run", "nothing was written");
            }
            for (name, value) in &self.params {
                fact(html, &format!("Parameter {name}"), value);
            }
        });
    }

    fn steps(&self, html: &mut Html) {
        if self.steps.is_empty() {
            html.element("p", &[], "No step has begun.");
            return;
        }
        scrolling(html, "The steps as a graph", |html| graph(html, &self.steps));
        let rows = self.steps.iter().map(|step| {
            let waits = step.needs.iter().filter(|other| !step.reads(other)).cloned().collect::<Vec<_>>();
            vec![
                step.id.clone(),
                step.status.shown(),
                step.component.clone(),
                step.mode.to_owned(),
                step.reads.join(", "),
                waits.join(", "),
            ]
        });
        let head = ["step", "status", "component", "mode", "reads", "only waits for"];
        table(html, "The steps, in the order of the plan", &head, 6, rows.collect());
    }

    fn times(&self, html: &mut Html) {
        if self.resumed {
            html.element("p", &[], "The run was resumed: these are the times since then.");
        }
        if self.steps.iter().all(|step| step.attempts.is_empty()) {
            html.element("p", &[], "No attempt of a step is recorded.");
            return;
        }
        timeline(html, self);
        let rows = self.steps.iter().flat_map(|step| {
            step.attempts.iter().enumerate().map(move |(number, attempt)| {
                vec![
                    step.id.clone(),
                    result(attempt).to_owned(),
                    (number + 1).to_string(),
                    seconds(attempt.offset_ms),
                    seconds(attempt.duration_ms),
                ]
            })
        });
        let head = ["step", "result", "attempt", "began after (s)", "took (s)"];
        details(html, "The same as a table", |html| table(html, "The attempts of each step", &head, 2, rows.collect()));
    }

    fn throughput(&self, html: &mut Html) {
        let rows = self.steps.iter().map(|step| {
            vec![
                step.id.clone(),
                step.time.map(|_| human::count(step.rows)).unwrap_or_default(),
                step.bytes.map(human::bytes).unwrap_or_default(),
                step.time.map(human::seconds).unwrap_or_default(),
                step.time.map(|time| human::rate(step.rows, time)).unwrap_or_default(),
            ]
        });
        let head = ["step", "rows", "bytes", "seconds", "rows/s"];
        table(html, "What each step moved in this run", &head, 1, rows.collect());
    }

    fn rejected_rows(&self, html: &mut Html) {
        if self.holds_rows() {
            html.element("p", &[], "These are rows of the source: whoever has this page can read their values.");
        }
        self.rejects.iter().for_each(|rejects| rejected(html, rejects));
    }

    fn ledger(&self, html: &mut Html) {
        match self.balanced {
            Some(true) if self.status.tone == Tone::Good => html.element("p", &[], "The ledger balances."),
            Some(true) => html.element("p", &[], "The counts of the steps that ended agree."),
            Some(false) => html.element("p", &[], "The ledger does not balance."),
            None => html.element("p", &[], "There is no ledger yet: no step has ended."),
        }
        let is_shown = |(index, (_, count)): &(usize, &(&str, Count))| {
            *index < 3 || self.steps.iter().any(|step| count(&step.counts) > 0)
        };
        let shown: Vec<(&str, Count)> = COUNTS.iter().enumerate().filter(is_shown).map(|(_, pair)| *pair).collect();
        let head: Vec<&str> = ["step", "status"].into_iter().chain(shown.iter().map(|(name, _)| *name)).collect();
        let rows = self.steps.iter().map(|step| {
            let counts = shown.iter().map(|(_, count)| human::count(count(&step.counts)));
            [step.id.clone(), step.status.text.to_owned()].into_iter().chain(counts).collect::<Vec<_>>()
        });
        table(html, "Rows of each step", &head, 2, rows.collect());
    }
}

fn fact(html: &mut Html, name: &str, value: &str) {
    html.inside("div", &[], |html| {
        html.element("dt", &[], name);
        html.element("dd", &[], value);
    });
}

fn error_text(html: &mut Html, error: &ReportError) {
    html.inside("div", &[("class", "error")], |html| {
        html.element("pre", &[], &error.text);
        if let Some(hint) = &error.hint {
            html.element("p", &[], &format!("hint: {hint}"));
        }
    });
}

fn rejected(html: &mut Html, rejects: &StepRejects) {
    html.element("h3", &[], &format!("{}: {}", rejects.step, human::rows(rejects.total)));
    let number = |number: Option<u64>| number.map_or_else(String::new, human::count);
    let reasons = rejects.reasons.iter().map(|reason| {
        let column = reason.column.clone().unwrap_or_default();
        vec![reason.reason.clone(), column, human::count(reason.rows), number(reason.first_row)]
    });
    table(html, "Reasons, the most frequent first", &["reason", "column", "rows", "first row"], 2, reasons.collect());
    let caption = match rejects.rows.len() {
        1 => "The first row".to_owned(),
        many => format!("The first {many} rows"),
    };
    let rows = rejects.rows.iter().map(|reject| {
        let content = shorten(reject.row.as_deref().unwrap_or_default(), LONGEST_ROW).into_owned();
        vec![reject.reason.clone(), reject.column.clone().unwrap_or_default(), content, number(reject.row_number)]
    });
    table(html, &caption, &["reason", "column", "content", "row"], 3, rows.collect());
}

fn columns(html: &mut Html, step: &ReportStep) {
    if step.columns.is_empty() {
        return;
    }
    let count = match step.columns.len() {
        1 => "1 column".to_owned(),
        many => format!("{many} columns"),
    };
    let rows: Vec<_> =
        step.columns.iter().map(|column| vec![column.name.clone(), column.column_type.clone()]).collect();
    details(html, &format!("{}: {count}", step.id), |html| {
        table(html, &format!("The columns of {}", step.id), &["column", "type"], 2, rows);
    });
}

fn section(html: &mut Html, title: &str, content: impl FnOnce(&mut Html)) {
    html.inside("section", &[], |html| {
        html.element("h2", &[], title);
        content(html);
    });
}

fn details(html: &mut Html, summary: &str, content: impl FnOnce(&mut Html)) {
    html.inside("details", &[], |html| {
        html.element("summary", &[], summary);
        content(html);
    });
}

/// What may be wider than the page scrolls by itself, with the keyboard too.
fn scrolling(html: &mut Html, name: &str, content: impl FnOnce(&mut Html)) {
    html.inside("div", &[("class", "scroll"), ("role", "region"), ("aria-label", name), ("tabindex", "0")], content);
}

/// A table whose rows begin with their heading; the columns from number `numbers` on are numbers.
fn table(html: &mut Html, caption: &str, head: &[&str], numbers: usize, rows: Vec<Vec<String>>) {
    let class = |index: usize| if index >= numbers { "number" } else { "text" };
    scrolling(html, caption, |html| {
        html.inside("table", &[], |html| {
            html.element("caption", &[], caption);
            html.inside("thead", &[], |html| {
                html.inside("tr", &[], |html| {
                    for (index, name) in head.iter().enumerate() {
                        html.element("th", &[("scope", "col"), ("class", class(index))], name);
                    }
                });
            });
            html.inside("tbody", &[], |html| {
                rows.iter().for_each(|row| html.inside("tr", &[], |html| cells(html, row, &class)));
            });
        });
    });
}

fn cells(html: &mut Html, row: &[String], class: &dyn Fn(usize) -> &'static str) {
    for (index, cell) in row.iter().enumerate() {
        match index {
            0 => html.element("th", &[("scope", "row")], cell),
            _ => html.element("td", &[("class", class(index))], cell),
        }
    }
}
