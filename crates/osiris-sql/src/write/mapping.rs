//! Which column of the input goes to which column of the table, and all problems of a write in one error.

use osiris_core::problem::nearest;
use osiris_core::{Code, Column, Error, Result, TableRef};

use super::ColumnMapping;

/// A column of the input and the name of the column it is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedColumn {
    /// The column of the input.
    pub source: Column,
    /// The name of the table's column.
    pub target: String,
}

/// The columns of `input` that are written: all of them by name, or those in `columns`. The columns in `extra` are used
/// but not written, such as those that order the rows.
///
/// # Errors
/// Columns that the input lacks, all of them named.
pub fn map_columns(columns: Option<&ColumnMapping>, extra: &[String], input: &TableRef) -> Result<Vec<MappedColumn>> {
    let schema = input.schema();
    let mut missing: Vec<&str> = Vec::new();
    let wanted: Vec<(&str, &str)> = match columns {
        None => schema.names().map(|name| (name, name)).collect(),
        Some(ColumnMapping::Subset(names)) => names.iter().map(|name| (name.as_str(), name.as_str())).collect(),
        Some(ColumnMapping::Renamed(map)) => {
            map.iter().map(|(name, target)| (name.as_str(), target.as_str())).collect()
        }
    };
    let mut mapped = Vec::new();
    for (name, target) in wanted {
        match schema.column(name) {
            Some(source) => mapped.push(MappedColumn { source: source.clone(), target: target.to_owned() }),
            None => missing.push(name),
        }
    }
    missing.extend(extra.iter().map(String::as_str).filter(|name| schema.column(name).is_none()));
    missing.dedup();
    if missing.is_empty() {
        return Ok(mapped);
    }
    let named: Vec<String> = missing
        .iter()
        .map(|name| match nearest(name, schema.names()) {
            Some(similar) => format!("`{name}` (did you mean `{similar}`?)"),
            None => format!("`{name}`"),
        })
        .collect();
    let present: Vec<&str> = schema.names().collect();
    Err(Error::validation(format!("the table of step `{}` has no column {}", input.step(), named.join(", ")))
        .with_code(Code::ColumnNotFound)
        .with_hint(format!("its columns: {}", present.join(", "))))
}

/// All problems of writing to `table` as one error.
///
/// # Errors
/// When there is one.
pub fn ensure_no_problems(table: &str, problems: &[String]) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(problems_error(table, problems)) }
}

/// The error of these problems of writing to `table`.
pub fn problems_error(table: &str, problems: &[String]) -> Error {
    match problems {
        [one] => Error::validation(format!("cannot write to table `{table}`: {one}")),
        many => Error::validation(format!(
            "cannot write to table `{table}`: {} problems\n  - {}",
            many.len(),
            many.join("\n  - ")
        )),
    }
}

/// Whether two names are one column to a destination that does not tell case apart.
pub fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_problems_are_one_error() {
        assert!(ensure_no_problems("t", &[]).is_ok());
        let problems = ["no column `a`".to_owned(), "no key".to_owned()];
        let error = ensure_no_problems("t", &problems).unwrap_err();
        assert!(error.message().contains("2 problems") && error.message().contains("no key"), "{error}");
    }
}
