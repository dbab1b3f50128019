//! Rows that arrive later than the lookback window, which no run reads. They are found by counting: the hours before the window
//! of the next run at the end of a run, and the same hours again when that begins.

use osiris_core::state::refuse_unknown_fields;
use osiris_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Timestamp;
use crate::query::{Filter, From, Range, Source, To};

const FIELDS: [&str; 3] = ["since", "before", "rows"];
const HOUR: i64 = 3_600_000_000;

/// What PostHog counted before the window of the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    since: Timestamp,
    before: Timestamp,
    rows: u64,
}

/// Counts rows for it.
pub(super) struct LateCheck {
    /// How far before the window.
    pub(super) hours: u32,
    pub(super) source: Source,
    pub(super) filter: Filter,
}

impl LateCheck {
    /// Warns of rows that have arrived since the last run counted, and returns how many there are.
    ///
    /// # Errors
    /// When the run is cancelled.
    pub(super) async fn warn(&self, client: &Client, last: &Counted) -> Result<Option<u64>> {
        let Some(rows) = self.rows(client, last.since, last.before).await? else { return Ok(None) };
        let late = rows.saturating_sub(last.rows);
        if late > 0 {
            tracing::warn!(
                "{late} rows from between {} and {} arrived after the last run, too late for `lookback_window_minutes`: they \
                 are not read; a step without a saved state reads them, with `initial_since` and `until`",
                last.since,
                last.before
            );
        }
        Ok(Some(late))
    }

    /// Counts before `window`, where the next run begins.
    ///
    /// # Errors
    /// When the run is cancelled.
    pub(super) async fn count(&self, client: &Client, window: Timestamp) -> Result<Option<Counted>> {
        let since = Timestamp::from_micros(window.micros().saturating_sub(i64::from(self.hours) * HOUR));
        let rows = self.rows(client, since, window).await?;
        Ok(rows.map(|rows| Counted { since, before: window, rows }))
    }

    /// `None` when it is switched off, and when PostHog does not say a number: nothing depends on it, and rows that were read are
    /// not given up for it.
    async fn rows(&self, client: &Client, since: Timestamp, before: Timestamp) -> Result<Option<u64>> {
        if self.hours == 0 {
            return Ok(None);
        }
        let range = Range { from: From::At(since), to: To::Before(before) };
        let answer = client.query(&self.source.count_ids(&range, &self.filter), "counting late rows").await;
        match answer.and_then(|answer| answer.number(0)) {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                let hint = error.hint();
                tracing::warn!(error = error.message(), hint, "rows that arrived late could not be counted");
                Ok(None)
            }
        }
    }
}

impl Counted {
    /// What a state holds.
    ///
    /// # Errors
    /// It holds something else.
    pub(super) fn read(value: &Value, damaged: impl Fn() -> Error) -> Result<Option<Self>> {
        if value.is_null() {
            return Ok(None);
        }
        refuse_unknown_fields(value, &FIELDS)?;
        let time = |field: &str| value[field].as_str().and_then(Timestamp::parse).ok_or_else(&damaged);
        let rows = value["rows"].as_u64().ok_or_else(&damaged)?;
        Ok(Some(Self { since: time("since")?, before: time("before")?, rows }))
    }

    /// Where it ends: the time at which the lookback window began.
    pub(super) fn before(&self) -> Timestamp {
        self.before
    }

    pub(super) fn to_value(&self) -> Value {
        json!({"since": self.since.to_string(), "before": self.before.to_string(), "rows": self.rows})
    }
}
