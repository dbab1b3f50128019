//! The configuration of `posthog.extractor`: what to read.

use osiris_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Timestamp;

/// The table to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// Events, in the order of their timestamps.
    #[default]
    Events,
    /// Persons, in the order in which they were created.
    Persons,
    /// Sessions, in the order in which they began.
    Sessions,
    /// Which distinct id belongs to which person. They have no timestamp: every run reads all of them.
    PersonDistinctIds,
}

/// How properties are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flatten {
    /// Each becomes a column: `properties_<name>` of events, `person_properties_<name>` of persons; nested values are JSON.
    #[default]
    Columns,
    /// All in one column of JSON: `properties` of events, `person_properties` of persons.
    Json,
}

/// The configuration of `posthog.extractor`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// The table to read. Default: `events`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub data_type: DataType,
    /// Only events of these names, such as `$pageview`. Default: all. For `events`.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// The properties to keep, by their names in PostHog, such as `$browser`. Default: all. For `events` and `persons`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub properties: Option<Vec<String>>,
    /// Where the first run begins: a date or a date and time, UTC unless it has an offset. Default: 30 days ago; for `persons` the
    /// beginning. Later runs begin where the last one ended.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub initial_since: Option<Timestamp>,
    /// Where every run ends, exclusive. Default: the time at which the run starts.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub until: Option<Timestamp>,
    /// How far before the last row a later run begins, in minutes: events that arrive later than that after newer ones
    /// are not read, but counted: see `late_check_hours`.
    #[serde(default = "default_lookback")]
    #[schemars(range(min = 5, max = 60), extend("x-source" = false))]
    pub lookback_window_minutes: u32,
    /// How many hours before the lookback window a run looks for rows that arrived late: it compares PostHog's count with that of
    /// the last run, warns of the difference and logs it as the metric `rows_late`. Rows that arrive so late while a run goes on
    /// are not among them. 0 does not look. Default: 24.
    #[serde(default = "default_late_check")]
    #[schemars(range(max = 720), extend("x-source" = false))]
    pub late_check_hours: u32,
    /// Rows per request. A page that PostHog cannot return in time is requested in smaller parts.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 100, max = 10_000), extend("x-source" = false))]
    pub page_size: u32,
    /// Whether rows that an earlier run has read already are left out when the lookback window is read again.
    #[serde(default = "default_deduplication")]
    #[schemars(extend("x-source" = false))]
    pub deduplication_enabled: bool,
    /// How properties are stored. Default: `columns`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub flatten: Flatten,
    /// The most requests per minute, if fewer than the 240 that PostHog Cloud allows a whole team. Default: PostHog's
    /// limit.
    #[serde(default)]
    #[schemars(range(min = 1), extend("x-source" = false))]
    pub max_requests_per_minute: Option<u32>,
}

fn default_lookback() -> u32 {
    15
}

fn default_late_check() -> u32 {
    24
}

fn default_page_size() -> u32 {
    1000
}

fn default_deduplication() -> bool {
    true
}

impl ExtractorConfig {
    /// What the schema cannot express: fields that have no effect for the data type, and contradictions.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut meaningless = |field: &str, is_set: bool, why: &str| {
            if is_set {
                let message = format!("`{field}` has no effect with `data_type: {}`: {why}", self.data_type.name());
                problems.push(Problem::error(format!("/{field}"), message).with_hint("remove it"));
            }
        };
        if self.data_type != DataType::Events {
            meaningless("event_types", !self.event_types.is_empty(), "only events have types");
        }
        if !matches!(self.data_type, DataType::Events | DataType::Persons) {
            meaningless("properties", self.properties.is_some(), "only events and persons have properties");
        }
        if self.data_type == DataType::PersonDistinctIds {
            meaningless("initial_since", self.initial_since.is_some(), "distinct ids have no time");
            meaningless("until", self.until.is_some(), "distinct ids have no time");
        }
        if let (Some(since), Some(until)) = (self.initial_since, self.until)
            && since >= until
        {
            problems.push(Problem::error("/until", "must be after `initial_since`"));
        }
        for (index, name) in self.event_types.iter().enumerate() {
            if name.is_empty() {
                problems.push(Problem::error(format!("/event_types/{index}"), "must not be empty"));
            }
        }
        if self.properties.as_ref().is_some_and(Vec::is_empty) {
            let problem = Problem::error("/properties", "expected at least one name");
            problems.push(problem.with_hint("remove it to keep all properties"));
        }
        problems
    }
}

impl DataType {
    pub(crate) const ALL: [Self; 4] = [Self::Events, Self::Persons, Self::Sessions, Self::PersonDistinctIds];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Persons => "persons",
            Self::Sessions => "sessions",
            Self::PersonDistinctIds => "person_distinct_ids",
        }
    }
}

impl Flatten {
    /// Whether each property becomes a column.
    pub(crate) fn is_columns(self) -> bool {
        self == Self::Columns
    }
}
