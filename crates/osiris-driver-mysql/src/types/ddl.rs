//! Run store types as MySQL types, for tables that a step creates. Based on the type alone, never on
//! the data, and exact: a value that does not fit is rejected when it is written.
//!
//! | store | MySQL |
//! | --- | --- |
//! | BOOLEAN | BOOLEAN, which is TINYINT(1) |
//! | TINYINT .. BIGINT, UTINYINT .. UBIGINT | the same, UNSIGNED |
//! | HUGEINT, UHUGEINT | DECIMAL(38,0) |
//! | DECIMAL(p,s) | DECIMAL(p,s) |
//! | FLOAT, DOUBLE | FLOAT, DOUBLE |
//! | VARCHAR, ENUM, BIT | LONGTEXT; in a key VARCHAR(n), compared byte by byte |
//! | BLOB | LONGBLOB; in a key VARBINARY(n) |
//! | UUID | CHAR(36) of ASCII |
//! | DATE, TIME, INTERVAL | DATE, TIME(6), TIME(6) |
//! | TIMESTAMP | DATETIME(6) |
//! | TIMESTAMPTZ | TIMESTAMP(6) |
//! | JSON, lists, structs, maps | JSON |

use osiris_core::{Column, ColumnType};

/// Maximum key size of an InnoDB index with row format DYNAMIC, in bytes.
const KEY_BYTES: u32 = 3072;
/// Maximum scale of MySQL.
const MAX_SCALE: u8 = 30;

/// The type of a column in a new table.
///
/// # Errors
/// When MySQL has no exact type for it.
pub(crate) fn column_type(column: &ColumnType) -> Result<String, String> {
    use ColumnType as T;
    Ok(match column {
        T::Boolean => "BOOLEAN".to_owned(),
        T::TinyInt => "TINYINT".to_owned(),
        T::SmallInt => "SMALLINT".to_owned(),
        T::Integer => "INT".to_owned(),
        T::BigInt => "BIGINT".to_owned(),
        T::UTinyInt => "TINYINT UNSIGNED".to_owned(),
        T::USmallInt => "SMALLINT UNSIGNED".to_owned(),
        T::UInteger => "INT UNSIGNED".to_owned(),
        T::UBigInt => "BIGINT UNSIGNED".to_owned(),
        T::HugeInt | T::UHugeInt => "DECIMAL(38,0)".to_owned(),
        T::Decimal(_, scale) if *scale > MAX_SCALE => {
            return Err(format!("{scale} decimal places, but MySQL allows at most {MAX_SCALE}"));
        }
        T::Decimal(precision, scale) => format!("DECIMAL({precision},{scale})"),
        T::Float => "FLOAT".to_owned(),
        T::Double => "DOUBLE".to_owned(),
        T::Varchar | T::Bit | T::Other(_) => "LONGTEXT".to_owned(),
        T::Blob => "LONGBLOB".to_owned(),
        T::Uuid => "CHAR(36) CHARACTER SET ascii".to_owned(),
        T::Date => "DATE".to_owned(),
        T::Time | T::Interval => "TIME(6)".to_owned(),
        T::Timestamp | T::TimestampNs => "DATETIME(6)".to_owned(),
        // Without an explicit default, some servers set the first column of this type to the current time.
        T::Instant => "TIMESTAMP(6)".to_owned(),
        T::Json | T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..) => "JSON".to_owned(),
    })
}

/// The types of primary key columns, as long as the index allows.
///
/// # Errors
/// For the first column that cannot be in a key.
pub(crate) fn key_types(columns: &[&Column]) -> Result<Vec<String>, String> {
    let fixed: u32 = columns.iter().map(|column| fixed_bytes(&column.column_type)).sum();
    let variable = columns.iter().filter(|column| fixed_bytes(&column.column_type) == 0).count();
    let share = KEY_BYTES.saturating_sub(fixed) / u32::try_from(variable.max(1)).unwrap_or(KEY_BYTES);
    columns
        .iter()
        .map(|column| match &column.column_type {
            ColumnType::Varchar | ColumnType::Bit | ColumnType::Other(_) => {
                Ok(format!("VARCHAR({}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", share / 4))
            }
            ColumnType::Blob => Ok(format!("VARBINARY({share})")),
            other => match column_type(other).map_err(|why| format!("`{}`: {why}", column.name))? {
                json if json == "JSON" => Err(format!("column `{}` is {other}, which cannot be in a key", column.name)),
                other => Ok(other),
            },
        })
        .collect()
}

/// The index size of a type in bytes; 0 if it is variable.
fn fixed_bytes(column: &ColumnType) -> u32 {
    match column {
        ColumnType::Varchar | ColumnType::Bit | ColumnType::Other(_) | ColumnType::Blob => 0,
        ColumnType::Uuid => 36,
        ColumnType::Decimal(..) | ColumnType::HugeInt | ColumnType::UHugeInt => 20,
        _ => 8,
    }
}

/// CREATE TABLE: every column is nullable except those of the key. Names are already quoted.
///
/// # Errors
/// For every column without a MySQL type.
pub(crate) fn create_table(table: &str, columns: &[(String, &Column)], key: &[String]) -> Result<String, Vec<String>> {
    let in_key = |name: &str| key.iter().any(|key| key.eq_ignore_ascii_case(name));
    let keyed: Vec<&Column> = columns.iter().filter(|(name, _)| in_key(name)).map(|(_, column)| *column).collect();
    let mut problems = Vec::new();
    let mut key_types = key_types(&keyed).map_err(|problem| vec![problem])?.into_iter();
    let mut lines = Vec::new();
    for (name, column) in columns {
        let quoted = crate::client::quote(name);
        if in_key(name) {
            lines.push(format!("  {quoted} {} NOT NULL", key_types.next().unwrap_or_default()));
            continue;
        }
        match column_type(&column.column_type) {
            Ok(found) => lines.push(format!("  {quoted} {found} NULL DEFAULT NULL")),
            Err(why) => problems.push(format!("column `{}` cannot be created: {why}", column.name)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if !key.is_empty() {
        let names: Vec<String> = key.iter().map(|name| crate::client::quote(name)).collect();
        lines.push(format!("  PRIMARY KEY ({})", names.join(", ")));
    }
    Ok(format!("CREATE TABLE {table} (\n{}\n) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4", lines.join(",\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_has_the_types_of_the_store_and_a_key_that_fits_the_index() {
        let columns = [
            Column::new("id", ColumnType::UBigInt),
            Column::new("select", ColumnType::Varchar),
            Column::new("price", ColumnType::Decimal(12, 2)),
            Column::new("at", ColumnType::Instant),
            Column::new("tags", ColumnType::List(Box::new(ColumnType::Varchar))),
        ];
        let named: Vec<(String, &Column)> = columns.iter().map(|column| (column.name.clone(), column)).collect();
        let sql = create_table("`t`", &named, &["id".to_owned(), "select".to_owned()]).unwrap();
        insta::assert_snapshot!(sql, @r"
        CREATE TABLE `t` (
          `id` BIGINT UNSIGNED NOT NULL,
          `select` VARCHAR(766) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
          `price` DECIMAL(12,2) NULL DEFAULT NULL,
          `at` TIMESTAMP(6) NULL DEFAULT NULL,
          `tags` JSON NULL DEFAULT NULL,
          PRIMARY KEY (`id`, `select`)
        ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4
        ");
    }

    #[test]
    fn several_long_key_columns_share_the_index() {
        let text = Column::new("a", ColumnType::Varchar);
        let bytes = Column::new("b", ColumnType::Blob);
        let types = key_types(&[&text, &bytes]).unwrap();
        assert!(types[0].starts_with("VARCHAR(384)") && types[1] == "VARBINARY(1536)", "{types:?}");
    }

    #[test]
    fn what_has_no_exact_type_is_refused() {
        assert!(column_type(&ColumnType::Decimal(38, 31)).is_err());
        let json = Column::new("j", ColumnType::Json);
        assert!(key_types(&[&json]).unwrap_err().contains("cannot be in a key"));
    }
}
