//! The tables of PostHog that the stand-in has: fields, their types in ClickHouse, and their types in its own store.

use arrow::datatypes::{DataType, TimeUnit};

/// A field: its name, ClickHouse's type, and how it is stored.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) clickhouse: &'static str,
    pub(super) kept: Kept,
}

/// How a field is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Text,
    Timestamp,
    Whole,
    Flag,
    /// JSON text that is an array in responses.
    Array,
}

impl Kept {
    pub(super) fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Array => DataType::Utf8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Whole => DataType::Int64,
            Self::Flag => DataType::Boolean,
        }
    }
}

const fn text(name: &'static str) -> Field {
    Field { name, clickhouse: "String", kept: Kept::Text }
}

const fn uuid(name: &'static str) -> Field {
    Field { name, clickhouse: "UUID", kept: Kept::Text }
}

const fn timestamp(name: &'static str) -> Field {
    Field { name, clickhouse: "DateTime64(6, 'UTC')", kept: Kept::Timestamp }
}

const fn whole(name: &'static str) -> Field {
    Field { name, clickhouse: "Int64", kept: Kept::Whole }
}

/// A table.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
    /// The field by which ClickHouse finds its rows: the cost of a query depends on its range of this field.
    pub(super) time: Option<&'static str>,
    /// The field that identifies a row.
    pub(super) id: &'static str,
}

/// All tables.
pub(super) const TABLES: [Table; 4] = [
    Table {
        name: "events",
        fields: &[
            uuid("uuid"),
            text("event"),
            text("properties"),
            timestamp("timestamp"),
            text("distinct_id"),
            text("elements_chain"),
            timestamp("created_at"),
            text("$session_id"),
            uuid("person_id"),
        ],
        time: Some("timestamp"),
        id: "uuid",
    },
    Table {
        name: "persons",
        fields: &[
            uuid("id"),
            timestamp("created_at"),
            text("properties"),
            Field { name: "is_identified", clickhouse: "UInt8", kept: Kept::Flag },
        ],
        time: Some("created_at"),
        id: "id",
    },
    Table {
        name: "sessions",
        fields: &[
            text("session_id"),
            text("distinct_id"),
            timestamp("$start_timestamp"),
            timestamp("$end_timestamp"),
            Field { name: "$urls", clickhouse: "Array(String)", kept: Kept::Array },
            whole("$pageview_count"),
            Field { name: "$is_bounce", clickhouse: "Nullable(UInt8)", kept: Kept::Flag },
        ],
        time: Some("$start_timestamp"),
        id: "session_id",
    },
    Table {
        name: "person_distinct_ids",
        fields: &[text("distinct_id"), uuid("person_id")],
        time: None,
        id: "distinct_id",
    },
];

impl Table {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
