//! The columns of a query and their types, before the first row.
//!
//! The query becomes a temporary view, which a file that is opened read-only allows: SQLite then says how each column was
//! declared, through subqueries and views, and takes nothing but one SELECT.

use osiris_core::{Error, Result};
use osiris_sql::guard::{ReadingStatement, SqlDialect};

use crate::client::{Client, quote};
use crate::types::{ColumnPlan, Found, declared_type, plan, type_of_values};

const DOING: &str = "describing the columns";
const VIEW: &str = "temp.osiris_view";

/// The columns of `select`, in the snapshot that the rows are read in.
///
/// # Errors
/// Tables or columns that do not exist, and a column whose values have several types.
pub(super) async fn describe(client: &mut Client, select: &str) -> Result<Vec<ColumnPlan>> {
    let names = client.names(select, DOING).await?;
    let strict = ReadingStatement::parse(select, SqlDialect::Sqlite)?.with_strict_names()?;
    client.names(&strict, DOING).await.map_err(|error| {
        error.with_hint("SQLite takes it for a text: correct the name, or write the text in single quotes")
    })?;
    client.run(&format!("CREATE TEMP VIEW osiris_view AS {select}"), DOING).await?;
    let columns = client.rows("SELECT name, type FROM pragma_table_xinfo('osiris_view', 'temp') ORDER BY cid", DOING);
    let columns = columns.await?.into_iter().map(|row| {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        (fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
    });
    // The view renames the second of two columns with one name; the sink refuses them with their own.
    let columns: Vec<(String, String)> = columns.collect();
    if columns.len() != names.len() {
        return Err(Error::unknown("the columns of the query changed while they were described"));
    }
    let unknown: Vec<&str> = columns
        .iter()
        .filter(|(_, declared)| declared_type(declared).is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut found = types_of_values(client, &unknown).await?.into_iter();
    client.run(&format!("DROP VIEW {VIEW}"), DOING).await?;
    names
        .into_iter()
        .zip(columns)
        .map(|(name, (_, declared))| {
            let column_type = match declared_type(&declared) {
                Some(column_type) => column_type,
                None => type_of_values(&name, &declared, found.next().unwrap_or_default())?,
            };
            Ok(plan(&name, declared, column_type))
        })
        .collect()
}

/// The types of all values in these columns of the view. Reads every row, and of a value its type alone.
async fn types_of_values(client: &mut Client, columns: &[&str]) -> Result<Vec<Found>> {
    const TYPES: [&str; 4] = ["integer", "real", "text", "blob"];
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let expression = |name: &&str| TYPES.map(|found| format!("max(typeof({}) = '{found}')", quote(name))).join(", ");
    let list: Vec<String> = columns.iter().map(expression).collect();
    let row = client.row(&format!("SELECT {} FROM {VIEW}", list.join(", ")), DOING).await?;
    let is_found: Vec<bool> = row.iter().map(|value| value.as_deref() == Some("1")).collect();
    let types = |chunk: &[bool]| match chunk {
        [integer, real, text, blob] => Found { integer: *integer, real: *real, text: *text, blob: *blob },
        _ => Found::default(),
    };
    Ok(is_found.chunks(TYPES.len()).map(types).collect())
}
