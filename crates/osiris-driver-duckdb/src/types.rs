//! The mapping between the types of a file and those of the store, which are DuckDB's as well: most pass as they are. What a column
//! of the store cannot have is converted exactly, or refused with the cast to write.

use osiris_core::store::quote;
use osiris_core::{Column, ColumnType, Error, Result, TableSchema};
use osiris_sql::write::{TargetColumn, same_name};

const CAST: &str = "cast it in an earlier step, or change the table";

/// What is read: the columns of the store, and the SELECT list with the values as they travel.
pub(crate) struct ReadPlan {
    pub(crate) columns: TableSchema,
    list: Option<String>,
}

impl ReadPlan {
    /// The plan for columns with these names and declared types.
    ///
    /// # Errors
    /// A type that the store cannot have, two columns of one name.
    pub(crate) fn new(declared: &[(String, String)]) -> Result<Self> {
        let mut columns = Vec::with_capacity(declared.len());
        for (name, declared) in declared {
            let stored = ColumnType::parse(declared).stored();
            if let Some(unknown) = unknown_leaf(&stored) {
                return Err(Error::validation(format!(
                    "column `{name}` is {unknown}, which a table of the run cannot have"
                ))
                .with_hint(format!("set `query`, and cast it there: {}", cast_of(name, unknown))));
            }
            columns.push(Column::new(name, stored));
        }
        let columns = TableSchema::new(columns)?;
        let is_as_declared = columns
            .carried()
            .columns()
            .iter()
            .zip(declared)
            .all(|(column, (_, declared))| ColumnType::parse(declared) == column.column_type.erased());
        let list = (!is_as_declared).then(|| casts(&columns.carried()));
        Ok(Self { columns, list })
    }

    /// The column `name`.
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.column(name)
    }

    /// The statement that returns the rows of `select` as they travel.
    pub(crate) fn select(&self, select: &str) -> String {
        match &self.list {
            None => select.to_owned(),
            Some(list) => format!("SELECT {list} FROM (\n{select}\n) AS osiris_rows"),
        }
    }
}

/// The columns, cast to their types in SQL.
pub(crate) fn casts(columns: &TableSchema) -> String {
    let cast = |column: &Column| {
        let name = quote(&column.name);
        format!("CAST({name} AS {}) AS {name}", column.column_type.sql())
    };
    columns.columns().iter().map(cast).collect::<Vec<_>>().join(", ")
}

/// A type that is known by its name alone, and that text cannot be turned back into.
fn unknown_leaf(column_type: &ColumnType) -> Option<&str> {
    match column_type {
        ColumnType::Other(name) if !name.starts_with("ENUM(") && name != "BIGNUM" => Some(name),
        ColumnType::List(item) | ColumnType::Array(item, _) => unknown_leaf(item),
        ColumnType::Map(key, value) => unknown_leaf(key).or_else(|| unknown_leaf(value)),
        ColumnType::Struct(fields) => fields.iter().find_map(|(_, field)| unknown_leaf(field)),
        _ => None,
    }
}

/// The expression that keeps what there is to keep of a value.
fn cast_of(name: &str, column_type: &str) -> String {
    let name = quote(name);
    match column_type.split('(').next().unwrap_or_default() {
        "UNION" | "VARIANT" => format!("`to_json({name})`"),
        "GEOMETRY" => format!("`ST_AsWKB({name})`"),
        _ => format!("`CAST({name} AS VARCHAR)`"),
    }
}

/// The type of a file that holds every value of a column of the store: its own, with the zone of instants.
pub(crate) fn declared_type(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Instant => "TIMESTAMP WITH TIME ZONE".to_owned(),
        ColumnType::List(item) => format!("{}[]", declared_type(item)),
        ColumnType::Array(item, size) => format!("{}[{size}]", declared_type(item)),
        ColumnType::Map(key, value) => format!("MAP({}, {})", declared_type(key), declared_type(value)),
        ColumnType::Struct(fields) => {
            let field = |(name, field): &(String, ColumnType)| format!("{} {}", quote(name), declared_type(field));
            format!("STRUCT({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.sql(),
    }
}

/// The declared type of a new column.
///
/// # Errors
/// A type that is not carried exactly, and what to do.
pub(crate) fn new_column_type(column_type: &ColumnType) -> Result<String, String> {
    match unknown_leaf(column_type) {
        None => Ok(declared_type(column_type)),
        Some(_) => Err("cast it to VARCHAR or JSON in an earlier step, or leave it out".to_owned()),
    }
}

/// The statement that creates `table`: every column is nullable but those of the key.
///
/// # Errors
/// Key columns that the table would not have, and columns of types that cannot be written.
pub(crate) fn create_table(table: &str, columns: &[(String, &Column)], key: &[String]) -> Result<String, Vec<String>> {
    let is_column = |name: &str| columns.iter().any(|(column, _)| same_name(column, name));
    let missing = key.iter().filter(|name| !is_column(name));
    let mut problems: Vec<String> =
        missing.map(|name| format!("the key column `{name}` is not among the columns that are written")).collect();
    let mut parts = Vec::new();
    for (name, column) in columns {
        match new_column_type(&column.column_type) {
            Ok(declared) => parts.push(format!("{} {declared}", quote(name))),
            Err(why) => {
                problems.push(format!("column `{}` of the input is {}: {why}", column.name, column.column_type))
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")));
    }
    Ok(format!("CREATE TABLE {table} (\n  {}\n)", parts.join(",\n  ")))
}

/// How the values of a column are written to a column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversion {
    /// The type in which the file gets them.
    pub(crate) from: String,
    /// Whether a value may not fit, or change.
    pub(crate) is_checked: bool,
}

/// How a column of the input is written to a column of the table.
///
/// # Errors
/// Types that do not go together, and what to do.
pub(crate) fn conversion(from: &ColumnType, target: &TargetColumn) -> Result<Conversion, String> {
    if let Some(unknown) = unknown_leaf(from) {
        return Err(format!("{unknown} cannot be written: cast it in an earlier step"));
    }
    let declared = declared_type(from);
    let to = &ColumnType::parse(&target.declared);
    let is_same = *to == ColumnType::parse(&declared);
    if is_same || fits(from, to) {
        return Ok(Conversion { from: declared, is_checked: !is_same });
    }
    Err(format!("no exact conversion: {CAST}"))
}

/// Whether values of one type may be values of the other, which is checked one by one.
fn fits(from: &ColumnType, to: &ColumnType) -> bool {
    use ColumnType as T;
    let is_enum = |name: &str| name.starts_with("ENUM(");
    match (from, to) {
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        (T::Instant, T::Other(to)) => to == "TIMESTAMP WITH TIME ZONE",
        (T::Other(from), T::Other(to)) if from == to => true,
        (T::Date | T::Timestamp | T::TimestampNs, T::Timestamp | T::TimestampNs) => true,
        (T::Date | T::Timestamp | T::TimestampNs, T::Other(to)) => to == "TIMESTAMP_S" || to == "TIMESTAMP_MS",
        (T::Time, T::Other(to)) => to == "TIME_NS",
        // The text of a number with a fraction is not the number.
        (T::Float | T::Double | T::Blob | T::Interval, T::Varchar) => false,
        (T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..), T::Varchar) => false,
        (_, T::Varchar) => true,
        (T::Varchar, T::Json | T::Uuid) => true,
        (T::Varchar, T::Other(to)) => is_enum(to),
        (T::Other(from), T::Other(to)) => is_enum(from) && is_enum(to),
        (T::List(from), T::List(to)) => fits(from, to) || from == to,
        (T::Array(from, one), T::Array(to, other)) => one == other && (fits(from, to) || from == to),
        (T::Map(key, value), T::Map(to_key, to_value)) => {
            (fits(key, to_key) || key == to_key) && (fits(value, to_value) || value == to_value)
        }
        (T::Struct(from), T::Struct(to)) => {
            from.len() == to.len()
                && from
                    .iter()
                    .zip(to)
                    .all(|((name, from), (to_name, to))| name == to_name && (fits(from, to) || from == to))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(from: &str, declared: &str) -> Result<Conversion, String> {
        let target = TargetColumn { declared: declared.to_owned(), ..TargetColumn::default() };
        conversion(&ColumnType::parse(from), &target)
    }

    #[test]
    fn types_pass_as_they_are_and_others_are_checked_or_refused() {
        for same in [
            "HUGEINT",
            "UUID",
            "ENUM('a', 'b')",
            "STRUCT(a INTEGER[], b DECIMAL(18,3))",
            "MAP(VARCHAR, BIT)",
            "INTERVAL",
        ] {
            assert_eq!(to(same, same).map(|conversion| conversion.is_checked), Ok(false), "{same}");
        }
        let zoned = to("INSTANT", "TIMESTAMP WITH TIME ZONE").unwrap();
        assert_eq!((zoned.is_checked, zoned.from.as_str()), (false, "TIMESTAMP WITH TIME ZONE"));
        for (from, declared) in
            [("BIGINT", "INTEGER"), ("DECIMAL(12,2)", "DOUBLE"), ("VARCHAR", "UUID"), ("DATE", "TIMESTAMP")]
        {
            assert_eq!(to(from, declared).map(|conversion| conversion.is_checked), Ok(true), "{from} {declared}");
        }
        for (from, declared) in [
            ("VARCHAR", "INTEGER"),
            ("DOUBLE", "VARCHAR"),
            ("BLOB", "VARCHAR"),
            ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
            ("INSTANT", "TIMESTAMP"),
            ("STRUCT(a INTEGER)", "STRUCT(b INTEGER)"),
            ("UNION(a INTEGER)", "VARCHAR"),
        ] {
            assert!(to(from, declared).unwrap_err().contains("cast it"), "{from} {declared}");
        }
    }

    #[test]
    fn what_the_store_cannot_have_is_refused_with_its_cast() {
        for (declared, cast) in [
            ("UNION(a INTEGER, b VARCHAR)", "to_json(\"u\")"),
            ("GEOMETRY", "ST_AsWKB(\"u\")"),
            ("VARIANT[]", "to_json(\"u\")"),
        ] {
            let error = ReadPlan::new(&[("u".to_owned(), declared.to_owned())]).err().unwrap();
            assert!(error.hint().is_some_and(|hint| hint.contains(cast)), "{declared}: {error:?}");
        }
    }

    #[test]
    fn values_travel_as_they_are_where_arrow_has_them() {
        let plan = |declared: &str| ReadPlan::new(&[("c".to_owned(), declared.to_owned())]).unwrap();
        assert_eq!(plan("BIGINT").select("SELECT 1 AS c"), "SELECT 1 AS c");
        assert!(plan("HUGEINT[]").select("SELECT 1 AS c").contains("CAST(\"c\" AS VARCHAR[])"));
        let zoned = plan("TIMESTAMP WITH TIME ZONE");
        assert_eq!(zoned.column("C").map(|column| &column.column_type), Some(&ColumnType::Instant));
        assert!(zoned.select("SELECT now() AS c").contains("CAST(\"c\" AS TIMESTAMP)"));
    }
}
