//! How to handle types without an exact counterpart.

pub use osiris_sql::config::DecimalOverflow;
use schemars::JsonSchema;
use serde::Deserialize;

/// How to handle types without an exact counterpart. Flattened into the configuration of an extractor.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
pub struct Policies {
    /// The type of NUMERIC: `decimal` (default) or `text`.
    #[serde(default)]
    pub numeric: NumericPolicy,
    /// Scale of NUMERIC columns without a declared one: they become DECIMAL(38, `numeric_scale`); a value
    /// with more decimal places is an error. Default: such columns become text.
    #[schemars(range(max = 38))]
    pub numeric_scale: Option<u8>,
    /// How to handle a NUMERIC column of more than 38 digits: `error` (default) or `text`.
    #[serde(default)]
    pub decimal_overflow: DecimalOverflow,
    /// The type of INTERVAL: `interval` (default) or `text`.
    #[serde(default)]
    pub interval: IntervalPolicy,
    /// How to handle `infinity` and `-infinity` in dates and timestamps: `keep` (default), `null` or `error`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub infinity: InfinityPolicy,
}

/// The type of NUMERIC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumericPolicy {
    /// DECIMAL with the column's precision and scale. NaN and infinity are errors.
    #[default]
    Decimal,
    /// Text, as the server prints it.
    Text,
}

/// The type of INTERVAL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntervalPolicy {
    /// An interval of months, days and microseconds; one of more than 292 years in hours and minutes is an error.
    #[default]
    Interval,
    /// Text, as the server prints it.
    Text,
}

/// How to handle infinite dates and timestamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InfinityPolicy {
    /// They stay infinite.
    #[default]
    Keep,
    /// They become NULL and are counted as changed.
    Null,
    /// The step fails and names the column.
    Error,
}
