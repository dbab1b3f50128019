//! Ranges of a table by key, and the filter of a configuration.

use super::literal::literal;
use crate::config::{ExtractorConfig, Timestamp};

/// The key of a row: its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) time: Option<Timestamp>,
    pub(crate) id: String,
}

/// Where a range begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first row.
    Start,
    /// At this time.
    At(Timestamp),
    /// After this row.
    After(Key),
}

impl From {
    pub(crate) fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Start => None,
            Self::At(at) => Some(*at),
            Self::After(key) => key.time,
        }
    }
}

/// Where a range ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// With the last row.
    End,
    /// Before this time.
    Before(Timestamp),
    /// With this row.
    Through(Key),
}

impl To {
    pub(crate) fn time(&self) -> Option<Timestamp> {
        match self {
            Self::End => None,
            Self::Before(at) => Some(*at),
            Self::Through(key) => key.time,
        }
    }
}

/// A part of a table by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: From,
    pub(crate) to: To,
}

/// Which rows a configuration selects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(super) event_types: Vec<String>,
}

impl Filter {
    pub(crate) fn of(config: &ExtractorConfig) -> Self {
        let mut event_types = config.event_types.clone();
        event_types.sort();
        event_types.dedup();
        Self { event_types }
    }

    pub(crate) fn event_types(&self) -> &[String] {
        &self.event_types
    }

    pub(super) fn condition(&self) -> Option<String> {
        let names: Vec<String> = self.event_types.iter().map(|name| literal(name)).collect();
        (!names.is_empty()).then(|| format!("event IN ({})", names.join(", ")))
    }
}
