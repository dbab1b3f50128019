//! Log output of the libraries, on the standard error, between the progress bars.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use indicatif::MultiProgress;
use osiris::Settings;
use osiris::core::Redactor;
use osiris::pipeline::{LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::console::{Console, LogForm};

/// Adds secrets that the log must mask.
#[derive(Clone, Default)]
pub(crate) struct LogSecrets(Arc<RwLock<Redactor>>);

impl LogSecrets {
    pub(crate) fn add(&self, redactor: &Redactor) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).merge(redactor);
    }
}

/// The secrets of this process, once its log has begun: for what is printed without a console.
static OF_PROCESS: OnceLock<LogSecrets> = OnceLock::new();

/// All secrets known so far.
pub(crate) fn known_secrets() -> Redactor {
    OF_PROCESS.get().map(|secrets| secrets.0.read().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
}

/// Starts logging with these settings. Third-party crates log warnings only, unless the level is `trace`.
pub(crate) fn start(console: &Console, settings: &Settings) -> LogSecrets {
    let secrets = OF_PROCESS.get_or_init(LogSecrets::default).clone();
    let level = match settings.log_level.unwrap_or_default() {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let others = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    let targets = Targets::new().with_default(others).with_target("osiris", level);
    let format = settings.log_format.unwrap_or_default();
    let form = match (format, console.styled()) {
        (LogFormat::Json, _) => LogForm::Json,
        (LogFormat::Text, true) => LogForm::Styled,
        (LogFormat::Text, false) => LogForm::Plain,
    };
    let writer = LogWriter { bars: console.bars().clone(), secrets: secrets.clone(), form };
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(console.styled());
    // Only a second call fails, and there is none.
    let _ = match format {
        LogFormat::Text => registry.with(layer.with_target(false)).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    secrets
}

/// Writes each line whole.
struct LogWriter {
    bars: MultiProgress,
    secrets: LogSecrets,
    form: LogForm,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { log: self, text: Vec::new() }
    }
}

/// A line that is being written.
struct Line<'a> {
    log: &'a LogWriter,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            let redactor = self.log.secrets.0.read().unwrap_or_else(PoisonError::into_inner);
            let _ = Console::log_line(&self.log.bars, &redactor, &self.text, self.log.form);
        }
    }
}
