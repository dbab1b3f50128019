//! Rows to fill the stand-in with.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use osiris_core::{Error, Result};
use serde_json::{Value, json};

use super::fields::{Field, Table};

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id.
    pub uuid: String,
    /// Its name.
    pub event: String,
    /// When it happened, in microseconds since 1970.
    pub timestamp: i64,
    /// The distinct id of the user.
    pub distinct_id: String,
    /// Its properties, an object.
    pub properties: Value,
}

impl Event {
    /// An event `pageview` of one user, with the properties `n` and `$browser`. The id is made of `number`.
    pub fn numbered(number: u64, timestamp: i64) -> Self {
        Self {
            uuid: uuid(number),
            event: "pageview".to_owned(),
            timestamp,
            distinct_id: "user-1".to_owned(),
            properties: json!({"n": number, "$browser": "Firefox"}),
        }
    }

    /// The same with these properties.
    #[must_use]
    pub fn with_properties(mut self, properties: Value) -> Self {
        self.properties = properties;
        self
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, event: &str) -> Self {
        event.clone_into(&mut self.event);
        self
    }
}

/// A UUID that is different for every number, and whose order is not that of the numbers.
pub fn uuid(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
    let hex = format!("{mixed:016x}{number:016x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A person.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Its id.
    pub id: String,
    /// When it was first seen, in microseconds since 1970.
    pub created_at: i64,
    /// Its properties, an object.
    pub properties: Value,
    /// Whether the person is identified.
    pub is_identified: bool,
}

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub session_id: String,
    /// The distinct id of the user.
    pub distinct_id: String,
    /// When it began, in microseconds since 1970.
    pub start: i64,
    /// Its last event so far.
    pub end: i64,
    /// The pages that were viewed.
    pub urls: Vec<String>,
}

/// Which distinct id belongs to which person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinctId {
    /// The id that the application uses.
    pub distinct_id: String,
    /// The person.
    pub person_id: String,
}

/// A row of a table.
pub(super) trait AsRow {
    const TABLE: &'static str;

    fn cell(&self, field: &str) -> Cell;
}

/// A value for the store.
pub(super) enum Cell {
    Text(String),
    Timestamp(i64),
    Whole(i64),
    Flag(Option<bool>),
}

impl AsRow for Event {
    const TABLE: &'static str = "events";

    fn cell(&self, field: &str) -> Cell {
        match field {
            "uuid" => Cell::Text(self.uuid.clone()),
            "event" => Cell::Text(self.event.clone()),
            "properties" => Cell::Text(self.properties.to_string()),
            "timestamp" => Cell::Timestamp(self.timestamp),
            // Ingested a second later.
            "created_at" => Cell::Timestamp(self.timestamp + 1_000_000),
            "distinct_id" => Cell::Text(self.distinct_id.clone()),
            "person_id" => Cell::Text(uuid(self.distinct_id.len() as u64)),
            _ => Cell::Text(String::new()),
        }
    }
}

impl AsRow for Person {
    const TABLE: &'static str = "persons";

    fn cell(&self, field: &str) -> Cell {
        match field {
            "id" => Cell::Text(self.id.clone()),
            "created_at" => Cell::Timestamp(self.created_at),
            "properties" => Cell::Text(self.properties.to_string()),
            _ => Cell::Flag(Some(self.is_identified)),
        }
    }
}

impl AsRow for Session {
    const TABLE: &'static str = "sessions";

    fn cell(&self, field: &str) -> Cell {
        match field {
            "session_id" => Cell::Text(self.session_id.clone()),
            "distinct_id" => Cell::Text(self.distinct_id.clone()),
            "$start_timestamp" => Cell::Timestamp(self.start),
            "$end_timestamp" => Cell::Timestamp(self.end),
            "$urls" => Cell::Text(json!(self.urls).to_string()),
            "$pageview_count" => Cell::Whole(i64::try_from(self.urls.len()).unwrap_or(i64::MAX)),
            _ => Cell::Flag((!self.urls.is_empty()).then_some(self.urls.len() == 1)),
        }
    }
}

impl AsRow for DistinctId {
    const TABLE: &'static str = "person_distinct_ids";

    fn cell(&self, field: &str) -> Cell {
        match field {
            "distinct_id" => Cell::Text(self.distinct_id.clone()),
            _ => Cell::Text(self.person_id.clone()),
        }
    }
}

/// Rows as a batch with all fields of their table.
pub(super) fn batch<R: AsRow>(table: &Table, rows: &[R]) -> Result<RecordBatch> {
    let columns = table.fields.iter().map(|field| (field.name, column(field, rows), true));
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| Error::unknown("rows of the stand-in could not be made").with_source(error))
}

fn column<R: AsRow>(field: &Field, rows: &[R]) -> ArrayRef {
    let cells = rows.iter().map(|row| row.cell(field.name));
    match field.kept.arrow() {
        arrow::datatypes::DataType::Timestamp(..) => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Timestamp(micros) => Some(micros),
                    _ => None,
                })
                .collect::<TimestampMicrosecondArray>(),
        ),
        arrow::datatypes::DataType::Int64 => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Whole(number) => Some(number),
                    _ => None,
                })
                .collect::<Int64Array>(),
        ),
        arrow::datatypes::DataType::Boolean => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Flag(flag) => flag,
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        _ => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Text(text) => Some(text),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
    }
}
