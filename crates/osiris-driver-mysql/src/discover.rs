//! Discovery: tables and views with their columns, in three queries.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use osiris_core::{Catalog, Error, Resource, ResourceField, ResourceKind, Result};
use osiris_sql::catalog::{CatalogRow, megabytes};

use crate::client::{Client, Connect, Session, Target, literal};
use crate::config::MysqlConnection;

const CONTEXT: &str = "listing tables";
/// System schemas.
const SYSTEM: &str = "'information_schema', 'mysql', 'performance_schema', 'sys'";

/// The tables and views of the connection's database; without one, of every database that the account can see, named
/// `database.table`.
pub(crate) async fn discover(connect: &Connect, connection: &MysqlConnection, base: &Path) -> Result<Catalog> {
    let client = connect(Target::new(connection, base)).await?;
    let catalog = catalog(&client, connection).await?;
    client.close().await;
    Ok(catalog)
}

async fn catalog(client: &Client, connection: &MysqlConnection) -> Result<Catalog> {
    let mut session = client.acquire().await?;
    let of = match &connection.database {
        Some(database) => format!("TABLE_SCHEMA = {}", literal(database, &session.facts().sql_mode)),
        None => format!("TABLE_SCHEMA NOT IN ({SYSTEM})"),
    };
    let tables = tables(&mut session, &of).await?;
    let json = json_columns(&mut session, &of).await?;
    let mut fields = columns(&mut session, &of, &json).await?;
    session.release().await;
    let resources = tables.into_iter().map(|Table { key, kind, rows, bytes }| Resource {
        fields: fields.remove(&key).unwrap_or_default(),
        name: if connection.database.is_some() { key.1 } else { format!("{}.{}", key.0, key.1) },
        kind,
        estimated_row_count: rows,
        estimated_size_mb: bytes.map(megabytes),
    });
    Ok(Catalog::new(resources.collect()))
}

/// Schema and table.
type Key = (String, String);

struct Table {
    key: Key,
    kind: ResourceKind,
    rows: Option<u64>,
    bytes: Option<u64>,
}

fn unexpected() -> Error {
    Error::unknown(format!("{CONTEXT}: unexpected NULL in information_schema"))
        .with_hint("check the server's log for corrupt tables")
}

async fn query(session: &mut Session, sql: &str) -> Result<impl Iterator<Item = CatalogRow>> {
    Ok(session.rows(sql, CONTEXT).await?.into_iter().map(|row| CatalogRow::new(row, unexpected)))
}

async fn tables(session: &mut Session, of: &str) -> Result<Vec<Table>> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH + INDEX_LENGTH \
         FROM information_schema.TABLES WHERE {of} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')"
    );
    query(session, &sql)
        .await?
        .map(|mut row| {
            let key = (row.text()?, row.text()?);
            let kind = if row.text()? == "VIEW" { ResourceKind::View } else { ResourceKind::Table };
            Ok(Table { key, kind, rows: row.number(), bytes: row.number() })
        })
        .collect()
}

async fn columns(
    session: &mut Session,
    of: &str,
    json: &HashSet<(Key, String)>,
) -> Result<HashMap<Key, Vec<ResourceField>>> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY, \
         CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS WHERE {of} ORDER BY ORDINAL_POSITION"
    );
    let mut tables: HashMap<Key, Vec<ResourceField>> = HashMap::new();
    for mut row in query(session, &sql).await? {
        let key = (row.text()?, row.text()?);
        let name = row.text()?;
        row.number();
        let (data_type, native_type) = (row.text()?, row.text()?);
        let is_json = json.contains(&(key.clone(), name.clone()));
        let fields = tables.entry(key).or_default();
        // Positions have gaps where columns were dropped; only the order matters.
        let ordinal = u32::try_from(fields.len() + 1).unwrap_or(u32::MAX);
        fields.push(ResourceField {
            name,
            ordinal,
            field_type: if is_json { "json" } else { normalised(&data_type, &native_type) }.to_owned(),
            native_type,
            nullable: row.text()? == "YES",
            primary_key: row.text()? == "PRI",
            max_length: row.number(),
        });
    }
    Ok(tables)
}

/// MariaDB's JSON is a LONGTEXT with a CHECK constraint.
async fn json_columns(session: &mut Session, of: &str) -> Result<HashSet<(Key, String)>> {
    if !session.facts().mariadb {
        return Ok(HashSet::new());
    }
    let of = of.replace("TABLE_SCHEMA", "CONSTRAINT_SCHEMA");
    let sql = format!(
        "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME FROM information_schema.CHECK_CONSTRAINTS \
         WHERE {of} AND CHECK_CLAUSE LIKE 'json\\_valid(%'"
    );
    query(session, &sql).await?.map(|mut row| Ok(((row.text()?, row.text()?), row.text()?))).collect()
}

/// The normalised name of a type, the same for every source.
fn normalised(data_type: &str, native_type: &str) -> &'static str {
    match data_type.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" => "integer",
        "decimal" | "numeric" => "decimal",
        "float" | "double" | "real" => "float",
        "bit" if native_type.eq_ignore_ascii_case("bit(1)") => "boolean",
        "bit" => "integer",
        "date" => "date",
        "datetime" | "timestamp" => "timestamp",
        "time" => "time",
        "json" => "json",
        "uuid" => "uuid",
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "inet4" | "inet6" => {
            "string"
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => "binary",
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => "geometry",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_all_catalogs_use() {
        for (data_type, native, expected) in [
            ("bigint", "bigint(20) unsigned", "integer"),
            ("bit", "bit(1)", "boolean"),
            ("bit", "bit(8)", "integer"),
            ("DATETIME", "datetime(6)", "timestamp"),
            ("longtext", "longtext", "string"),
            ("vector", "vector(3)", "unknown"),
        ] {
            assert_eq!(normalised(data_type, native), expected);
        }
    }
}
