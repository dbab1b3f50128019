//! Settings of the program: what the user gave, then `OSIRIS_*` variables, then `osiris.yaml`, then the defaults.
//!
//! This module collects and merges them; nothing here acts upon one.

mod value;
mod webhook;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use osiris_core::problem::nearest;
use osiris_core::store::default_memory_limit;
use osiris_core::{Code, MASK};

use value::parse_retention;
pub use value::{LogFormat, LogLevel, parse_bytes, parse_count, parse_duration, parse_memory_limit};
pub use webhook::WebhookAddress;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::Environment;
use crate::parse::mask_literals;
use crate::run::{RunOptions, StoreChoice};
use crate::source::SourceFile;
use crate::yaml::{self, Entry, Node, NodeKind};

/// The name of the file.
pub const SETTINGS_FILE: &str = "osiris.yaml";

/// The directory of runs and state, in the directory of the project.
pub const RUN_DIRECTORY: &str = ".osiris";

/// Settings, each given or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Memory for a run's tables, in bytes. Default: 60% of the machine's or the cgroup's.
    pub memory_limit: Option<u64>,
    /// Threads of the run store. Default: one for every core.
    pub threads: Option<usize>,
    /// How many steps may run side by side. Default: 4.
    pub jobs: Option<usize>,
    /// Where the tables of a run live. Default: in a file.
    pub store: Option<StoreChoice>,
    /// The directory of runs and state. Default: [`RUN_DIRECTORY`] in the directory of the project.
    pub run_dir: Option<PathBuf>,
    /// How long runs are kept: after a run, `osiris run` removes what [`Runs::clean`](crate::Runs::clean) may remove of those
    /// that are older. Default: until somebody removes them.
    pub run_retention: Option<Duration>,
    /// The connections file. Default: the nearest one, upwards from the pipeline.
    pub connections: Option<PathBuf>,
    /// From which level on the program logs. Default: warnings.
    pub log_level: Option<LogLevel>,
    /// How it logs. Default: as text.
    pub log_format: Option<LogFormat>,
    /// Where a run that failed is reported. Default: nowhere.
    pub on_failure: Option<WebhookAddress>,
}

/// The names that the file knows; a variable is `OSIRIS_` and the name in capitals.
pub(crate) const NAMES: &[&str] = &[
    "memory_limit",
    "threads",
    "jobs",
    "store",
    "run_dir",
    "run_retention",
    "connections",
    "log_level",
    "log_format",
    ON_FAILURE,
];

/// The setting whose value is a secret.
const ON_FAILURE: &str = "on_failure";

/// The value of a setting as it may be shown.
fn shown<'a>(name: &str, text: &'a str) -> &'a str {
    if name == ON_FAILURE { MASK } else { text }
}

impl Settings {
    /// The settings in `OSIRIS_*` variables.
    ///
    /// # Errors
    /// Every variable whose value does not fit.
    pub fn of_environment(environment: &Environment) -> Result<Self, Diagnostics> {
        let mut settings = Self::default();
        let mut diagnostics = Diagnostics::default();
        for name in NAMES {
            let variable = format!("OSIRIS_{}", name.to_uppercase());
            if let Some(text) = environment.get(&variable)
                && let Err(expected) = settings.set(name, &text, Path::new(""))
            {
                let message = format!("{variable} is set to `{}`: expected {expected}", shown(name, &text));
                diagnostics.push(Diagnostic::error(message).with_code(Code::InvalidValue));
            }
        }
        if diagnostics.has_errors() { Err(diagnostics) } else { Ok(settings) }
    }

    /// The settings of a file. Relative paths in it start at its directory.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong: everything that is, is listed.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        Self::parse(&Arc::new(SourceFile::read(path)?))
    }

    /// The settings of a text.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse(source: &Arc<SourceFile>) -> Result<Self, Diagnostics> {
        let mut settings = Self::default();
        let mut diagnostics = Diagnostics::default();
        let Some(tree) = yaml::load(source, &mut diagnostics) else { return Err(diagnostics.sorted()) };
        match &tree.kind {
            NodeKind::Mapping(entries) => {
                entries.iter().for_each(|entry| settings.take(entry, source, &mut diagnostics));
            }
            NodeKind::Null => {}
            _ => {
                let message = format!("{SETTINGS_FILE} must be a mapping, found {}", tree.describe());
                let hint = format!("known settings: {}", NAMES.join(", "));
                diagnostics.push(Diagnostic::error(message).at(source, tree.span).with_hint(hint));
            }
        }
        if diagnostics.has_errors() { Err(diagnostics.sorted()) } else { Ok(settings) }
    }

    fn take(&mut self, entry: &Entry, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) {
        let name = entry.key.as_str();
        if name == ON_FAILURE || matches!(entry.value.kind, NodeKind::Mapping(_)) {
            mask_literals(&entry.value, source, diagnostics);
        }
        if !NAMES.contains(&name) {
            let hint = match nearest(name, NAMES.iter().copied()) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => format!("known settings: {}", NAMES.join(", ")),
            };
            let message = format!("unknown setting `{name}`");
            let diagnostic = Diagnostic::error(message).with_code(Code::UnknownField);
            diagnostics.push(diagnostic.at(source, entry.key_span).with_hint(hint));
            return;
        }
        let text = if name == ON_FAILURE { WebhookAddress::text_of(&entry.value) } else { scalar(&entry.value) };
        let expected = match &text {
            Some(text) => self.set(name, text, &source.directory()).err(),
            None => Self::default().set(name, "\0", Path::new("")).err(),
        };
        if let Some(expected) = expected {
            let message = format!("`{name}`: expected {expected}, found {}", entry.value.describe());
            let message = match text {
                Some(text) => format!("`{name}`: expected {expected}, found `{}`", shown(name, &text)),
                None => message,
            };
            let diagnostic = Diagnostic::error(message).with_code(Code::InvalidValue);
            diagnostics.push(diagnostic.at(source, entry.value.span));
        }
    }

    /// Sets what `text` says, or returns what was expected instead.
    fn set(&mut self, name: &str, text: &str, base: &Path) -> Result<(), &'static str> {
        match name {
            "memory_limit" => self.memory_limit = Some(parse_memory_limit(text)?),
            "threads" => self.threads = Some(parse_count(text)?),
            "jobs" => self.jobs = Some(parse_count(text)?),
            "store" => self.store = Some(parse_store(text)?),
            "run_dir" => self.run_dir = Some(parse_path(text, base)?),
            "run_retention" => self.run_retention = Some(parse_retention(text)?),
            "connections" => self.connections = Some(parse_path(text, base)?),
            "log_level" => self.log_level = Some(text.parse()?),
            "log_format" => self.log_format = Some(text.parse()?),
            ON_FAILURE => self.on_failure = Some(WebhookAddress::parse(text)?),
            _ => {}
        }
        Ok(())
    }

    /// These, and where one is not given that of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            memory_limit: self.memory_limit.or(other.memory_limit),
            threads: self.threads.or(other.threads),
            jobs: self.jobs.or(other.jobs),
            store: self.store.or(other.store),
            run_dir: self.run_dir.or(other.run_dir),
            run_retention: self.run_retention.or(other.run_retention),
            connections: self.connections.or(other.connections),
            log_level: self.log_level.or(other.log_level),
            log_format: self.log_format.or(other.log_format),
            on_failure: self.on_failure.or(other.on_failure),
        }
    }

    /// How to run with these settings, runs and state below `root`.
    pub fn run_options(&self, root: impl Into<PathBuf>) -> RunOptions {
        let defaults = RunOptions::new(root);
        RunOptions {
            jobs: self.jobs.unwrap_or(defaults.jobs),
            memory_limit: self.memory_limit.unwrap_or_else(default_memory_limit),
            threads: self.threads,
            store: self.store.unwrap_or_default(),
            ..defaults
        }
    }
}

/// Where a store lives, by name.
///
/// # Errors
/// What was expected instead.
pub fn parse_store(text: &str) -> Result<StoreChoice, &'static str> {
    match text {
        "file" => Ok(StoreChoice::File),
        "memory" => Ok(StoreChoice::Memory),
        _ => Err("`file` or `memory`"),
    }
}

fn parse_path(text: &str, base: &Path) -> Result<PathBuf, &'static str> {
    if text.is_empty() || text.contains('\0') { Err("a path") } else { Ok(base.join(text)) }
}

/// A scalar as a text; none for lists and mappings.
fn scalar(node: &Node) -> Option<String> {
    match &node.kind {
        NodeKind::String(text) => Some(text.value.clone()),
        NodeKind::Number(number) => Some(number.to_string()),
        NodeKind::Bool(value) => Some(value.to_string()),
        NodeKind::Null | NodeKind::Sequence(_) | NodeKind::Mapping(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, Diagnostics> {
        Settings::parse(&Arc::new(SourceFile::from_text("osiris.yaml", text).with_path("project/osiris.yaml")))
    }

    #[test]
    fn a_file_may_set_everything() {
        let text = "memory_limit: 1.5GB\nthreads: 2\njobs: 3\nstore: memory\nrun_dir: runs\nrun_retention: 14d\n\
                    connections: /c.yaml\n\
                    log_level: debug\nlog_format: json\non_failure: {webhook: \"${HOOK}\"}\n";
        let expected = Settings {
            memory_limit: Some(1_500_000_000),
            threads: Some(2),
            jobs: Some(3),
            store: Some(StoreChoice::Memory),
            run_dir: Some(PathBuf::from("project/runs")),
            run_retention: Some(Duration::from_secs(14 * 86_400)),
            connections: Some(PathBuf::from("/c.yaml")),
            log_level: Some(LogLevel::Debug),
            log_format: Some(LogFormat::Json),
            on_failure: Some(WebhookAddress::parse("${HOOK}").unwrap()),
        };
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse("# nothing\n").unwrap(), Settings::default());
    }

    #[test]
    fn everything_wrong_in_a_file_is_said_at_once() {
        let report = parse("memory: 1GB\njobs: 0\nthreads: [1]\nstore: disk\nlog_level:\n").unwrap_err().to_string();
        insta::assert_snapshot!(report, @r"
        error: unknown setting `memory`
         --> osiris.yaml:1:1
          |
        1 | memory: 1GB
          | ^^^^^^
          |
          = hint: known settings: memory_limit, threads, jobs, store, run_dir, run_retention, connections, log_level, log_format, on_failure

        error: `jobs`: expected a whole number from 1, found `0`
         --> osiris.yaml:2:7
          |
        2 | jobs: 0
          |       ^

        error: `threads`: expected a whole number from 1, found a list
         --> osiris.yaml:3:10
          |
        3 | threads: [1]
          |          ^^^

        error: `store`: expected `file` or `memory`, found `disk`
         --> osiris.yaml:4:8
          |
        4 | store: disk
          |        ^^^^

        error: `log_level`: expected `off`, `error`, `warn`, `info`, `debug` or `trace`, found nothing
         --> osiris.yaml:5:10
          |
        5 | log_level:
          |          ^
        ");
    }

    #[test]
    fn the_address_of_a_webhook_is_shown_nowhere() {
        let secret = "T0123456789abcdef";
        for text in [
            format!("on_failure: {{webhook: \"ftp://host/{secret}\"}}\n"),
            format!("on_failure: {{webhok: \"https://host/{secret}\"}}\n"),
            format!("on_failure: https://host/{secret}\n"),
            format!("on_failur: {{webhook: \"https://host/{secret}\"}}\n"),
        ] {
            let report = parse(&text).unwrap_err().to_string();
            assert!(report.contains("on_failure") && !report.contains(secret), "{report}");
        }
        let environment = Environment::of([("OSIRIS_ON_FAILURE", secret)]);
        let report = Settings::of_environment(&environment).unwrap_err().to_string();
        assert!(report.contains("expected an http or https URL") && !report.contains(secret), "{report}");
        let settings = parse(&format!("on_failure: {{webhook: \"https://host/{secret}\"}}\n")).unwrap();
        assert!(settings.on_failure.is_some() && !format!("{settings:?}").contains(secret));
    }

    #[test]
    fn variables_that_do_not_fit_are_all_named() {
        let environment = Environment::of([("OSIRIS_JOBS", "many"), ("OSIRIS_MEMORY_LIMIT", "2XB")]);
        let report = Settings::of_environment(&environment).unwrap_err().to_string();
        insta::assert_snapshot!(report, @r"
        error: OSIRIS_MEMORY_LIMIT is set to `2XB`: expected a size such as `2GB`, `512MiB` or a number of bytes

        error: OSIRIS_JOBS is set to `many`: expected a whole number from 1
        ");
    }

    #[test]
    fn the_first_that_is_given_wins() {
        let jobs = |jobs| Settings { jobs, ..Settings::default() };
        assert_eq!(jobs(Some(1)).or(jobs(Some(2))).jobs, Some(1));
        assert_eq!(jobs(None).or(jobs(Some(2))).jobs, Some(2));
    }
}
