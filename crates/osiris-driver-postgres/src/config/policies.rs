//! What becomes of values whose type has no exact counterpart.

use schemars::JsonSchema;
use serde::Deserialize;

/// What a step does where a type has no exact counterpart.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies {
    /// What a NUMERIC is.
    pub numeric: NumericPolicy,
    /// Digits behind the point for NUMERIC columns that do not say how many they have.
    pub numeric_scale: Option<u8>,
    /// What becomes of a NUMERIC column of more than 38 digits.
    pub decimal_overflow: DecimalOverflow,
    /// What an INTERVAL is.
    pub interval: IntervalPolicy,
    /// What becomes of infinite dates and timestamps.
    pub infinity: InfinityPolicy,
}

/// What a NUMERIC is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumericPolicy {
    /// DECIMAL of the column's digits. NaN and infinity are errors.
    #[default]
    Decimal,
    /// Text, as the server prints it.
    Text,
}

/// What becomes of a NUMERIC column of more than 38 digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecimalOverflow {
    /// The step fails before the first row and names the column.
    #[default]
    Error,
    /// The column becomes text.
    Text,
}

/// What an INTERVAL is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntervalPolicy {
    /// An interval of months, days and microseconds; one of more than 292 years in hours and minutes is an error.
    #[default]
    Interval,
    /// Text, as the server prints it.
    Text,
}

/// What becomes of infinite dates and timestamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InfinityPolicy {
    /// They stay infinite: the store has them too.
    #[default]
    Keep,
    /// They become NULL, and are counted as altered.
    Null,
    /// The step fails and names the column.
    Error,
}
