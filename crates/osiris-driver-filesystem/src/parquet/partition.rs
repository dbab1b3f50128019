//! Hive partitions to read: the `name=value` directories above the files become columns, with types inferred as in CSV where
//! each value is written so from its type (`id=007` and `version=1.10` stay text).

use std::collections::{BTreeMap, BTreeSet};

use osiris_core::store::{StoreTransaction, quote, quote_text, store_error};
use osiris_core::{ColumnType, Error, Result};

use crate::client::{NULL_PARTITION, SourceFile};
use crate::csv::ColumnProfile;

/// A partition column of a set of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionColumn {
    /// What DuckDB calls it.
    pub(crate) raw_name: String,
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    values: BTreeSet<String>,
}

/// The partition columns of a set of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partitions {
    /// Outermost first.
    pub(crate) columns: Vec<PartitionColumn>,
}

impl Partitions {
    /// Those of `files`.
    ///
    /// # Errors
    /// When two files have different partition columns.
    pub(crate) fn of(files: &[SourceFile]) -> Result<Self> {
        let Some(first) = files.first() else { return Ok(Self::default()) };
        let names = |file: &SourceFile| file.partitions.iter().map(|part| part.raw_name.clone()).collect::<Vec<_>>();
        let expected = names(first);
        let mut columns: Vec<PartitionColumn> = first
            .partitions
            .iter()
            .map(|part| PartitionColumn {
                raw_name: part.raw_name.clone(),
                name: part.name.clone(),
                column_type: ColumnType::Varchar,
                values: BTreeSet::new(),
            })
            .collect();
        for file in files {
            if names(file) != expected {
                return Err(Error::validation(format!(
                    "`{}` has the partition columns [{}], but `{}` has [{}]",
                    first.name,
                    expected.join(", "),
                    file.name,
                    names(file).join(", ")
                ))
                .with_hint("all files must have the same partition columns; select fewer of them with a glob"));
            }
            for (column, part) in columns.iter_mut().zip(&file.partitions) {
                column.values.extend(part.value.clone());
            }
        }
        for column in &mut columns {
            // The empty string has its own directory, so it is a value.
            if !column.values.contains("") {
                let mut profile = ColumnProfile::default();
                column.values.iter().for_each(|value| profile.observe(value.as_bytes()));
                column.column_type = profile.column_type();
            }
        }
        Ok(Self { columns })
    }

    /// The columns as SQL. A type is `stated` by name, or inferred if each value is written so from it: `1.10` stays text.
    ///
    /// # Errors
    /// For a value that its configured type cannot hold exactly.
    pub(crate) fn expressions(
        &self,
        transaction: &StoreTransaction<'_>,
        stated: &BTreeMap<String, ColumnType>,
    ) -> Result<Vec<String>> {
        self.columns.iter().map(|column| column.expression(transaction, stated)).collect()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

impl PartitionColumn {
    fn expression(&self, transaction: &StoreTransaction<'_>, stated: &BTreeMap<String, ColumnType>) -> Result<String> {
        let (raw, name) = (quote(&self.raw_name), quote(&self.name));
        let stated = stated.get(&self.name.to_lowercase());
        let column_type = stated.unwrap_or(&self.column_type);
        if *column_type == ColumnType::Varchar {
            return Ok(format!("{raw} AS {name}"));
        }
        let sql = match column_type {
            ColumnType::Instant => "TIMESTAMP WITH TIME ZONE".to_owned(),
            other => other.sql(),
        };
        let cast = format!("CAST({raw} AS {sql}) AS {name}");
        match (stated.is_some(), self.differs(transaction, column_type, stated.is_some())?) {
            (_, false) => Ok(cast),
            (false, true) => Ok(format!("{raw} AS {name}")),
            (true, true) => Err(Error::validation(format!(
                "the partition column `{}` has values that {column_type} cannot hold exactly",
                self.name
            ))
            .with_hint(format!("set `dtype: {{{}: VARCHAR}}`", self.name))),
        }
    }

    /// Whether a value is another one as `column_type`: its text where the type is inferred, its meaning where it is stated.
    fn differs(&self, transaction: &StoreTransaction<'_>, column_type: &ColumnType, stated: bool) -> Result<bool> {
        let values: Vec<String> = self.values.iter().map(|value| format!("({})", quote_text(value))).collect();
        if values.is_empty() {
            return Ok(false);
        }
        let test = if stated {
            format!("NOT ({})", crate::csv::fits(column_type, "value"))
        } else if *column_type == ColumnType::Instant {
            // In UTC, as a writer of this crate has it, whatever the time zone of this machine.
            "concat(CAST(TRY_CAST(left(value, -3) AS TIMESTAMP) AS VARCHAR), '+00') IS DISTINCT FROM value".to_owned()
        } else {
            format!("CAST(TRY_CAST(value AS {}) AS VARCHAR) IS DISTINCT FROM value", column_type.sql())
        };
        let sql = format!("SELECT count(*) > 0 FROM (VALUES {}) t(value) WHERE {test}", values.join(", "));
        transaction
            .connection()
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| store_error(error, "the partitions could not be read"))
    }
}

/// A value as part of a directory name: everything but letters, digits, `-`, `_`, `.` and `~` is percent-encoded, and the first
/// character of the text that would stand for NULL.
pub(crate) fn encode(value: Option<&str>) -> String {
    match value {
        None => NULL_PARTITION.to_owned(),
        Some(NULL_PARTITION) => format!("%5F{}", &NULL_PARTITION[1..]),
        Some(value) => percent_encode(value),
    }
}

/// A column's name as part of a directory name: as a value, and never one that is hidden.
pub(crate) fn encode_name(name: &str) -> String {
    let encoded = percent_encode(name);
    if encoded.starts_with('.') { encoded.replacen('.', "%2E", 1) } else { encoded }
}

fn percent_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_path_could_trip_over_are_encoded() {
        assert_eq!(encode(Some("a/b =%ž")), "a%2Fb%20%3D%25%C5%BE");
        assert_eq!(encode(Some("..")), "..");
        assert_eq!(encode(None), NULL_PARTITION);
        assert_eq!(encode(Some(NULL_PARTITION)), "%5F_HIVE_DEFAULT_PARTITION__");
        assert_eq!((encode_name(".a b"), encode_name("_id")), ("%2Ea%20b".to_owned(), "_id".to_owned()));
    }
}
