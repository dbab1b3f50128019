//! The values of a row. Each has a type of its own, whatever its column was declared as.

use osiris_core::{Error, Result};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Row as _, TypeInfo as _, ValueRef as _};

/// A value that is not NULL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Integer(i64),
    Real(f64),
    /// Bytes that should be UTF-8.
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

impl Value<'_> {
    /// SQLite's name of its type.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Integer(_) => "INTEGER",
            Self::Real(_) => "REAL",
            Self::Text(_) => "TEXT",
            Self::Blob(_) => "BLOB",
        }
    }

    /// Its bytes, for a digest.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Self::Integer(value) => value.to_le_bytes().to_vec(),
            Self::Real(value) => value.to_le_bytes().to_vec(),
            Self::Text(bytes) | Self::Blob(bytes) => bytes.to_vec(),
        };
        [self.type_name().as_bytes(), &bytes].concat()
    }

    /// Its text; of bytes, their digits. None: a text that is not UTF-8.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Integer(value) => Some(value.to_string()),
            Self::Real(value) => Some(value.to_string()),
            Self::Text(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
            Self::Blob(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

/// The values of a row; nothing for NULL.
pub(crate) fn values(row: &SqliteRow) -> impl ExactSizeIterator<Item = Result<Option<Value<'_>>>> {
    (0..row.len()).map(|index| {
        value(row, index)
            .map_err(|error| Error::unknown("a value could not be read").with_hint("report it").with_source(error))
    })
}

fn value(row: &SqliteRow, index: usize) -> Result<Option<Value<'_>>, Box<dyn std::error::Error + Send + Sync>> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(None);
    }
    let type_info = raw.type_info().into_owned();
    Ok(Some(match type_info.name() {
        "INTEGER" => Value::Integer(<i64 as Decode<Sqlite>>::decode(raw)?),
        "REAL" => Value::Real(<f64 as Decode<Sqlite>>::decode(raw)?),
        "TEXT" => Value::Text(<&[u8] as Decode<Sqlite>>::decode(raw)?),
        _ => Value::Blob(<&[u8] as Decode<Sqlite>>::decode(raw)?),
    }))
}
