//! The tables and views of a file with their columns.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use osiris_core::store::quote_text;
use osiris_core::{Catalog, ColumnType, Resource, ResourceField, ResourceKind, Result};

use crate::client::{Access, Client, Connect, Target};
use crate::config::{ConnectionConfig, MAIN};

const DOING: &str = "listing tables";

/// A table by its schema and its name.
type Name = (String, String);

/// The tables and views that are not DuckDB's own.
pub(crate) async fn discover(connect: &Connect, connection: &ConnectionConfig) -> Result<Catalog> {
    let mut client = connect(Target::new(connection, Path::new("."), Access::Read)).await?;
    let catalog = catalog(&mut client).await;
    client.close().await;
    catalog
}

async fn catalog(client: &mut Client) -> Result<Catalog> {
    client.begin_snapshot().await?;
    let file = quote_text(client.catalog());
    let keys = keys(client, &file).await?;
    let mut fields = fields(client, &file, &keys).await?;
    let tables = format!(
        "SELECT schema_name, table_name, 'table', estimated_size FROM duckdb_tables() \
         WHERE database_name = {file} AND NOT internal UNION ALL \
         SELECT schema_name, view_name, 'view', NULL FROM duckdb_views() WHERE database_name = {file} AND NOT internal"
    );
    let mut resources = Vec::new();
    for row in client.rows(tables, DOING).await? {
        let [Some(schema), Some(table), Some(kind), rows] = row.as_slice() else { continue };
        resources.push(Resource {
            // With its schema also where a dot would pass for the end of one.
            name: if schema == MAIN && !table.contains('.') { table.clone() } else { format!("{schema}.{table}") },
            kind: if kind == "view" { ResourceKind::View } else { ResourceKind::Table },
            estimated_row_count: rows.as_deref().and_then(|rows| rows.parse().ok()),
            estimated_size_mb: None,
            fields: fields.remove(&(schema.clone(), table.clone())).unwrap_or_default(),
        });
    }
    Ok(Catalog::new(resources))
}

/// The columns of primary keys.
async fn keys(client: &mut Client, file: &str) -> Result<HashSet<(Name, String)>> {
    let sql = format!(
        "SELECT schema_name, table_name, unnest(constraint_column_names) FROM duckdb_constraints() \
         WHERE database_name = {file} AND constraint_type = 'PRIMARY KEY'"
    );
    let key = |row: Vec<Option<String>>| match <[_; 3]>::try_from(row) {
        Ok([Some(schema), Some(table), Some(column)]) => Some(((schema, table), column)),
        _ => None,
    };
    Ok(client.rows(sql, DOING).await?.into_iter().filter_map(key).collect())
}

/// The columns of every table and view.
async fn fields(
    client: &mut Client,
    file: &str,
    keys: &HashSet<(Name, String)>,
) -> Result<HashMap<Name, Vec<ResourceField>>> {
    let sql = format!(
        "SELECT schema_name, table_name, column_name, data_type, is_nullable FROM duckdb_columns() \
         WHERE database_name = {file} AND NOT internal ORDER BY schema_name, table_name, column_index"
    );
    let mut fields: HashMap<Name, Vec<ResourceField>> = HashMap::new();
    for row in client.rows(sql, DOING).await? {
        let Ok([Some(schema), Some(table), Some(name), Some(declared), nullable]) = <[_; 5]>::try_from(row) else {
            continue;
        };
        let table = (schema, table);
        let primary_key = keys.contains(&(table.clone(), name.clone()));
        let columns = fields.entry(table).or_default();
        columns.push(ResourceField {
            name,
            ordinal: u32::try_from(columns.len() + 1).unwrap_or(u32::MAX),
            field_type: field_type(&declared).to_owned(),
            nullable: nullable.as_deref() == Some("t"),
            native_type: declared,
            primary_key,
            max_length: None,
        });
    }
    Ok(fields)
}

fn field_type(declared: &str) -> &'static str {
    use ColumnType as T;
    match ColumnType::parse(declared).stored() {
        T::Boolean => "boolean",
        T::Float | T::Double => "float",
        T::Decimal(..) => "decimal",
        column_type if column_type.is_numeric() => "integer",
        T::Varchar | T::Uuid | T::Bit => "string",
        T::Json => "json",
        T::Blob => "binary",
        T::Date => "date",
        T::Time => "time",
        T::Timestamp | T::TimestampNs | T::Instant => "datetime",
        T::List(_) | T::Array(..) => "array",
        T::Struct(_) | T::Map(..) => "object",
        T::Other(name) if name.starts_with("ENUM(") => "string",
        _ => "any",
    }
}
