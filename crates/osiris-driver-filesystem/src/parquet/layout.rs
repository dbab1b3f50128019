//! Assigns rows to files: one file, several of a given size, or partitions.

use duckdb::Connection;
use osiris_core::store::{quote, store_error};
use osiris_core::{ColumnType, Result, TableRef};

use super::convert::expression;
use super::partition::{encode, encode_name};
use crate::config::ParquetWriterConfig;
use crate::destination::part_name;

/// The rows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The file's path below the directory.
    pub(crate) path: String,
    /// The SELECT for them.
    pub(crate) select: String,
    /// How many there are.
    pub(crate) rows: u64,
}

/// The columns of the files, as SQL.
pub(crate) fn file_columns(table: &TableRef, config: &ParquetWriterConfig) -> String {
    let partitions = config.partition_by.as_deref().unwrap_or_default();
    let inside = |name: &str| !partitions.iter().any(|partition| partition.eq_ignore_ascii_case(name));
    let columns = table.schema().columns().iter().filter(|column| inside(&column.name)).map(expression);
    columns.collect::<Vec<_>>().join(", ")
}

/// Assigns the rows of `table` to files, in the order of the table within each partition. File numbers start after
/// `last`.
///
/// # Errors
/// When the rows cannot be read or sorted.
pub(crate) fn slices(
    connection: &Connection,
    table: &TableRef,
    config: &ParquetWriterConfig,
    last: u64,
) -> Result<Vec<Slice>> {
    let columns = file_columns(table, config);
    let most = config.max_rows_per_file.unwrap_or(u64::MAX);
    let (source, groups) = match &config.partition_by {
        Some(partitions) => partitioned(connection, table, partitions)?,
        None => {
            let group = Group { directory: String::new(), first: 0, rows: table.rows() };
            (numbered(connection, table)?, vec![group])
        }
    };
    let mut slices = Vec::new();
    for group in groups {
        let mut done = 0;
        let mut number = last;
        while done < group.rows || (done == 0 && config.partition_by.is_none() && number == last) {
            let rows = most.min(group.rows - done);
            number += 1;
            let first = group.first + done;
            slices.push(Slice {
                path: format!("{}{}", group.directory, part_name(number, "parquet")),
                select: format!("SELECT {columns} FROM {source} WHERE rowid >= {first} AND rowid < {}", first + rows),
                rows,
            });
            done += rows;
        }
    }
    Ok(slices)
}

/// The rows of one partition, which are consecutive in the sorted table.
struct Group {
    directory: String,
    first: u64,
    rows: u64,
}

/// A table with the rows of `table` whose row ids are 0, 1, 2, ...: itself where it is so, else a temporary copy.
fn numbered(connection: &Connection, table: &TableRef) -> Result<String> {
    let sql = format!("SELECT coalesce(max(rowid) + 1 = count(*), true) FROM {}", table.sql());
    if connection.query_row(&sql, [], |row| row.get(0)).unwrap_or(false) {
        return Ok(table.sql());
    }
    sorted(connection, table, "")
}

fn sorted(connection: &Connection, table: &TableRef, order: &str) -> Result<String> {
    let name = quote(&format!("osiris parts {:016x}", fastrand::u64(..)));
    connection
        .execute_batch(&format!("CREATE TEMP TABLE {name} AS SELECT * FROM {}{order}", table.sql()))
        .map_err(|error| store_error(error, "the rows could not be sorted by partition"))?;
    Ok(format!("temp.{name}"))
}

fn partitioned(connection: &Connection, table: &TableRef, partitions: &[String]) -> Result<(String, Vec<Group>)> {
    let keys: Vec<String> = partitions.iter().map(|name| quote(name)).collect();
    // The row number preserves the order of the table inside a partition.
    let order = format!(" ORDER BY {} NULLS LAST, row_number() OVER ()", keys.join(" NULLS LAST, "));
    let source = sorted(connection, table, &order)?;
    let texts: Vec<String> = partitions.iter().map(|name| value_text(table, name)).collect();
    let sql = format!(
        "SELECT CAST(min(rowid) AS UBIGINT), CAST(count(*) AS UBIGINT), {} FROM {source} GROUP BY {} ORDER BY 1",
        texts.join(", "),
        keys.join(", ")
    );
    let failed = |error| store_error(error, "the partitions could not be listed");
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let rows = statement
        .query_map([], |row| {
            let values = (0..partitions.len()).map(|index| row.get::<_, Option<String>>(index + 2));
            Ok((row.get(0)?, row.get(1)?, values.collect::<Result<Vec<_>, _>>()?))
        })
        .map_err(failed)?;
    let groups = rows.map(|row| {
        let (first, rows, values) = row.map_err(failed)?;
        let directory = partitions
            .iter()
            .zip(&values)
            .map(|(name, value)| format!("{}={}/", encode_name(name), encode(value.as_deref())))
            .collect();
        Ok(Group { directory, first, rows })
    });
    Ok((source, groups.collect::<Result<_>>()?))
}

/// The value of a partition column as text, with the offset of timestamps in UTC.
fn value_text(table: &TableRef, name: &str) -> String {
    let text = format!("CAST({} AS VARCHAR)", quote(name));
    match table.schema().column(name).map(|column| &column.column_type) {
        Some(ColumnType::Instant) => format!("{text} || '+00'"),
        _ => text,
    }
}
