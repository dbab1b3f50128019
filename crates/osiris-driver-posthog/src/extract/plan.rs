//! What a run reads: the range, and the state of the runs before.

use osiris_core::Result;
use osiris_core::state::StateFiles;
use serde_json::Value;

use super::late::LateCheck;
use super::seen_keys::{PreviousKeys, RecentKeys, SeenKeys};
use super::state::State;
use crate::client::Client;
use crate::config::{ConnectionConfig, DataType, ExtractorConfig, Timestamp};
use crate::query::{Filter, From, Range, Source, To};

const MINUTE: i64 = 60_000_000;
const DAYS_30: i64 = 30 * 24 * 60 * MINUTE;

/// What is read, fixed when the run starts.
pub(super) struct ExtractPlan {
    pub(super) source: Source,
    pub(super) filter: Filter,
    pub(super) range: Range,
    pub(super) page_size: u32,
    /// The lookback window, in microseconds.
    pub(super) lookback: i64,
    pub(super) deduplicate: bool,
    late_check: LateCheck,
    data_type: DataType,
    state: State,
    files: StateFiles,
}

impl ExtractPlan {
    pub(super) fn new(
        config: &ExtractorConfig,
        connection: &ConnectionConfig,
        state: Option<&Value>,
        files: StateFiles,
        now: Timestamp,
    ) -> Result<Self> {
        let state = State::read(state, config.data_type, connection.project_id.as_str())?;
        state.warn_of_new_types(config.data_type, &config.event_types);
        let lookback = i64::from(config.lookback_window_minutes) * MINUTE;
        let range = match Source::of(config.data_type).time {
            None => Range { from: From::Start, to: To::End },
            Some(_) => Range {
                from: begin(config, state.last(config.data_type).and_then(|last| last.time), lookback, now),
                to: To::Before(config.until.unwrap_or(now)),
            },
        };
        Ok(Self {
            source: Source::of(config.data_type),
            filter: Filter::of(config),
            range,
            page_size: config.page_size,
            lookback,
            deduplicate: config.deduplication_enabled,
            late_check: LateCheck {
                hours: config.late_check_hours,
                source: Source::of(config.data_type),
                filter: Filter::of(config),
            },
            data_type: config.data_type,
            state,
            files,
        })
    }

    /// The rows of the lookback window that earlier runs have read.
    ///
    /// # Errors
    /// A file of the state that is missing or damaged.
    pub(super) fn seen(&self) -> Result<SeenKeys> {
        if self.source.time.is_none() || !self.deduplicate {
            return Ok(SeenKeys::of(PreviousKeys::default(), None, self.files.clone()));
        }
        self.state.seen(self.data_type, &self.files)
    }

    /// How many rows arrived after the last run, too late for this one: `None` when that was not counted, or for other events, or
    /// when PostHog cannot be asked.
    ///
    /// # Errors
    /// A state that is damaged, or when the run is cancelled.
    pub(super) async fn late_rows(&self, client: &Client) -> Result<Option<u64>> {
        let counted = self.state.counted(self.data_type, self.filter.event_types())?;
        // With a longer window than the last run's this one reads some of them itself.
        match counted.filter(|counted| self.range.from.time() >= Some(counted.before())) {
            Some(counted) => self.late_check.warn(client, &counted).await,
            None => Ok(None),
        }
    }

    /// The state for the next run: without a count of rows where PostHog cannot be asked.
    ///
    /// # Errors
    /// When its file cannot be written, or the run is cancelled.
    pub(super) async fn state_after(self, seen: SeenKeys, client: &Client) -> Result<Value> {
        let Self { state, data_type, filter, lookback, deduplicate, source, late_check, .. } = self;
        if source.time.is_none() {
            return Ok(state.into_value());
        }
        let (recent, last) = seen.finish(lookback)?;
        let recent = if deduplicate { recent } else { RecentKeys::Here(Vec::new()) };
        let counted = match last.as_ref().and_then(|last| last.time) {
            Some(time) => late_check.count(client, window_after(time, lookback)).await?,
            None => None,
        };
        Ok(state.with(data_type, last, recent, filter.event_types(), counted.as_ref()).into_value())
    }
}

/// Where a run begins after one whose last row has this time.
fn window_after(last: Timestamp, lookback: i64) -> Timestamp {
    Timestamp::from_micros(last.micros().saturating_sub(lookback))
}

/// Where the range begins: before the last row by the lookback window, or where the configuration says.
fn begin(config: &ExtractorConfig, last: Option<Timestamp>, lookback: i64, now: Timestamp) -> From {
    match (last, config.initial_since, config.data_type) {
        (Some(last), ..) => From::At(window_after(last, lookback)),
        (None, Some(since), _) => From::At(since),
        // Most persons of a project are older than a month, and each is there once.
        (None, None, DataType::Persons) => From::Start,
        (None, None, _) => From::At(Timestamp::from_micros(now.micros().saturating_sub(DAYS_30))),
    }
}
