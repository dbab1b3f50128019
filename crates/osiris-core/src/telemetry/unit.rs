//! The units of metrics.

/// The unit of a metric: one of a closed list [DRV-010].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Rows of a table.
    Rows,
    /// Values of a table: cells.
    Values,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Files.
    Files,
    /// Requests, pages, statements.
    Calls,
    /// A status or exit code.
    Code,
}

impl Unit {
    /// The name in `metrics.jsonl`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Values => "values",
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Files => "files",
            Self::Calls => "calls",
            Self::Code => "code",
        }
    }
}
