//! Hive partitions to read: the `name=value` directories above the files become columns, with types inferred as in CSV
//! (`id=007` stays text).

use osiris_core::{ColumnType, Error, Result};

use crate::client::SourceFile;
use crate::csv::ColumnProfile;

/// The directory name of NULL.
pub(crate) const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition columns of a set of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partitions {
    /// Name and type, outermost first.
    pub(crate) columns: Vec<(String, ColumnType)>,
}

impl Partitions {
    /// Those of `files`.
    ///
    /// # Errors
    /// Two files of different depth or names.
    pub(crate) fn of(files: &[SourceFile]) -> Result<Self> {
        let Some(first) = files.first() else { return Ok(Self::default()) };
        let names: Vec<&str> = first.partitions.iter().map(|(name, _)| name.as_str()).collect();
        let mut profiles = vec![ColumnProfile::default(); names.len()];
        for file in files {
            let theirs: Vec<&str> = file.partitions.iter().map(|(name, _)| name.as_str()).collect();
            if theirs != names {
                return Err(Error::validation(format!(
                    "`{}` is in the partitions [{}], `{}` in [{}]",
                    first.name,
                    names.join(", "),
                    file.name,
                    theirs.join(", ")
                ))
                .with_hint("all files must be in directories of the same names; name fewer of them by a glob"));
            }
            for (profile, (_, value)) in profiles.iter_mut().zip(&file.partitions) {
                if value != NULL_PARTITION && !value.is_empty() {
                    profile.observe(value.as_bytes());
                }
            }
        }
        let columns = names.iter().zip(&profiles).map(|(name, profile)| ((*name).to_owned(), profile.column_type()));
        Ok(Self { columns: columns.collect() })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

/// A value as part of a directory name: everything but letters, digits, `-`, `_`, `.` and `~` is percent-encoded.
pub(crate) fn encode(value: Option<&str>) -> String {
    let Some(value) = value else { return NULL_PARTITION.to_owned() };
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
    }
}
