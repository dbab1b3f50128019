//! Where text goes: data to the standard output, everything else to the standard error, coloured only where that is
//! wanted.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};
use osiris::core::{Code, Redactor, is_control, visible};
use osiris::{Diagnostics, Error};
use serde_json::Value;

use crate::args::{Colour, GlobalArgs};
use crate::command_error::CommandError;
use crate::terminal::stderr_width;

/// The style of errors.
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The style of hints.
const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// The style of success.
const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Facts of an error that are for the program, not for the user.
const HIDDEN_FACTS: &[&str] = &["offset", "pointer"];

/// The two streams of the program.
pub(crate) struct Console {
    quiet: bool,
    verbose: bool,
    styled: bool,
    bars: MultiProgress,
}

impl Console {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let terminal = io::stderr().is_terminal();
        let styled = match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !is_set("NO_COLOR") && variable("TERM") != Some("dumb".into()),
        };
        let shown = terminal && !global.quiet && variable("TERM") != Some("dumb".into());
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { quiet: global.quiet, verbose: global.verbose > 0, styled, bars: MultiProgress::with_draw_target(target) }
    }

    /// Whether to colour what goes to the standard error.
    pub(crate) fn styled(&self) -> bool {
        self.styled
    }

    /// The progress bars; hidden where the standard error is no terminal.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Prints data. A reader that has gone away is no error.
    pub(crate) fn data(&self, text: &str) -> Result<(), CommandError> {
        self.data_as_it_is(&visible(text))
    }

    fn data_as_it_is(&self, text: &str) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Prints a JSON document as data.
    pub(crate) fn json(&self, value: &Value) -> Result<(), CommandError> {
        self.data_as_it_is(&json_text(value))
    }

    /// Prints a line for the user, unless `--quiet` is set.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            self.always(line);
        }
    }

    /// Whether more than errors is printed.
    pub(crate) fn says(&self) -> bool {
        !self.quiet
    }

    /// Whether `--verbose` is set as well.
    pub(crate) fn says_more(&self) -> bool {
        self.verbose && self.says()
    }

    /// Prints lines from another thread.
    pub(crate) fn line_printer(&self) -> impl Fn(&str) + Send + 'static {
        let (bars, styled) = (self.bars.clone(), self.styled);
        move |line| print_line(&bars, styled, line)
    }

    /// Prints a line even if `--quiet` is set. A failure to print is not an error.
    fn always(&self, line: &str) {
        print_line(&self.bars, self.styled, line);
    }

    /// Prints a question, after which the cursor stays.
    pub(crate) fn ask(&self, question: &str) {
        let _ = write!(io::stderr(), "{}", visible(question));
    }

    /// Prints a report that is already formatted.
    pub(crate) fn report(&self, report: &str) {
        self.always(report);
    }

    /// Diagnostics as wide as the terminal.
    pub(crate) fn rendered(&self, diagnostics: &Diagnostics) -> String {
        diagnostics.render(self.styled, stderr_width())
    }

    /// Says why a command has no result; as data too, where that is wanted.
    pub(crate) fn failure(&self, error: &CommandError, json: bool) {
        self.command_error(error);
        if json {
            let _ = self.json(&error.to_json());
        }
    }

    pub(crate) fn command_error(&self, error: &CommandError) {
        match error {
            CommandError::Diagnostics(diagnostics) => self.report(&self.rendered(diagnostics)),
            CommandError::Refused(error) | CommandError::Run(error) => self.error(error),
        }
        self.for_more(error.codes());
    }

    /// Where more is to be read about errors, once they have been printed. A code that says no more than a message is left out.
    pub(crate) fn for_more(&self, codes: impl IntoIterator<Item = Code>) {
        let codes: BTreeSet<Code> = codes.into_iter().filter(|code| !code.is_general()).collect();
        let codes: Vec<&str> = codes.into_iter().map(Code::as_str).collect();
        if !codes.is_empty() {
            self.say(&format!("for more: osiris explain {}", codes.join(" ")));
        }
    }

    /// An error with this message.
    pub(crate) fn error_line(&self, message: &str) {
        self.always(&format!("{} {}", self.paint(ERROR, "error:"), visible(message)));
    }

    /// A warning with this message, unless `--quiet` is set.
    pub(crate) fn warning_line(&self, message: &str) {
        self.warning(message, None);
    }

    /// A warning with this message and hint, unless `--quiet` is set.
    pub(crate) fn warning(&self, message: &str, hint: Option<&str>) {
        self.say(&format!("{} {message}{}", self.paint(HINT, "warning:"), self.hint_below(hint)));
    }

    /// A hint with this message.
    pub(crate) fn hint(&self, hint: &str) {
        self.say(&format!("{} {}", self.paint(HINT, "hint:"), visible(hint)));
    }

    /// An error with its facts, its causes where they add information, and its hint.
    pub(crate) fn error(&self, error: &Error) {
        let mut text = format!("{} {}", self.paint(ERROR, "error:"), visible(&error.to_string()));
        for (name, value) in error.context().iter().filter(|(name, _)| !HIDDEN_FACTS.contains(name)) {
            let _ = write!(text, "\n  {name}: {}", visible(value));
        }
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = visible(&cause.to_string()).into_owned();
            let says_more = !text.contains(cause_text.lines().next().unwrap_or_default());
            if self.verbose || (says_more && !cause_text.starts_with("DuckDB ")) {
                let _ = write!(text, "\n  caused by: {cause_text}");
            }
            source = cause.source();
        }
        text.push_str(&self.hint_below(error.hint()));
        self.always(&text);
    }

    /// The hint on a line of its own.
    fn hint_below(&self, hint: Option<&str>) -> String {
        hint.map_or_else(String::new, |hint| format!("\n{} {}", self.paint(HINT, "hint:"), visible(hint)))
    }

    /// A word in the style of success.
    pub(crate) fn good(&self, word: &str) -> String {
        self.paint(GOOD, word)
    }

    /// A word in the style of failure.
    pub(crate) fn bad(&self, word: &str) -> String {
        self.paint(ERROR, word)
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.styled { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// Writes a log line between the progress bars, scrubbed of the secrets that are known by then.
    pub(crate) fn log_line(bars: &MultiProgress, redactor: &Redactor, line: &[u8], form: LogForm) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let text = redactor.scrub(&text);
        let shown = match form {
            LogForm::Plain => screened(&text, false),
            LogForm::Styled => screened(&text, true),
            LogForm::Json => escaped(&text),
        };
        bars.suspend(|| io::stderr().write_all(shown.as_bytes()))
    }
}

/// What a log line consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogForm {
    /// Text.
    Plain,
    /// Text with colours.
    Styled,
    /// A JSON document.
    Json,
}

/// A JSON document as text.
pub(crate) fn json_text(value: &Value) -> String {
    escaped(&format!("{value:#}\n"))
}

/// A JSON document on one line.
pub(crate) fn json_line(value: &Value) -> String {
    escaped(&value.to_string())
}

/// JSON with all control characters escaped: JSON itself requires that for the controls of C0 only.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => text.push(c),
            c if is_control(c) => drop(write!(text, "\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

/// Prints what clap has to say of a command line: its words hold those of the user.
pub(crate) fn usage(error: &clap::Error, colour: clap::ColorChoice) {
    if !error.use_stderr() {
        // Help and version.
        let _ = error.print();
        return;
    }
    let styled = match colour {
        clap::ColorChoice::Always => true,
        clap::ColorChoice::Never => false,
        clap::ColorChoice::Auto => io::stderr().is_terminal(),
    };
    let text = error.render();
    let text = if styled { text.ansi().to_string() } else { text.to_string() };
    let _ = writeln!(io::stderr(), "{}", screened(text.trim_end(), styled));
}

fn print_line(bars: &MultiProgress, styled: bool, line: &str) {
    bars.suspend(|| {
        let _ = writeln!(io::stderr(), "{}", screened(line.trim_end(), styled));
    });
}

/// A text for the terminal: control characters are written out, except in sequences that only set colours where colours
/// are wanted. Texts of others have been made [visible] before they were put between ours.
fn screened(text: &str, styled: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}').filter(|_| styled) {
        let colours = rest[at..].char_indices().skip(1).find(|(_, c)| !matches!(c, '[' | ';' | '0'..='9'));
        let Some((end, _)) = colours.filter(|(end, c)| *end > 1 && *c == 'm') else { break };
        shown.push_str(&visible(&rest[..at]));
        shown.push_str(&rest[at..=at + end]);
        rest = &rest[at + end + 1..];
    }
    shown.push_str(&visible(rest));
    shown
}

#[expect(clippy::disallowed_methods, reason = "the terminal's own variables are no business of the pipeline crate")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn is_set(name: &str) -> bool {
    variable(name).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s51_only_colours_of_ours_reach_the_terminal() {
        let ours = format!("{ERROR}error:{ERROR:#} the header `\u{1b}]0;x\u{7}`");
        assert_eq!(screened(&ours, true), format!("{ERROR}error:{ERROR:#} the header `\\u{{1b}}]0;x\\u{{7}}`"));
        assert_eq!(screened("\u{1b}[2J\u{1b}[31mx", false), "\\u{1b}[2J\\u{1b}[31mx");
        assert_eq!(screened("\u{1b}[2Jx", true), "\\u{1b}[2Jx");
    }

    #[test]
    fn s51_json_stays_json() {
        let value = serde_json::json!({"a\u{9b}": "\u{202e}\u{1b}x\n"});
        let text = json_text(&value);
        assert!(!text.chars().any(|c| c != '\n' && is_control(c)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
