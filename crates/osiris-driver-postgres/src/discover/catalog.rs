//! Tables and columns from the database catalog.

use std::collections::HashMap;

use osiris_core::{Error, Resource, ResourceField, ResourceKind, Result};
use osiris_sql::catalog::{CatalogRow, megabytes};

use super::names::normalised;
use crate::client::{Session, literal};

const CONTEXT: &str = "listing tables";

/// Whether a relation is user data: no system table, and no partition.
const USER_DATA: &str = "c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
     AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// The condition on `pg_class c` and `pg_namespace n` for user data outside these schemas.
pub(crate) fn is_user_data(excluded: &[&str]) -> String {
    if excluded.is_empty() {
        return USER_DATA.to_owned();
    }
    let excluded = excluded.iter().map(|schema| literal(schema)).collect::<Vec<_>>().join(", ");
    format!("{USER_DATA} AND n.nspname NOT IN ({excluded})")
}

/// Whether at least some columns can be read.
const READABLE: &str = "pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND (pg_catalog.has_table_privilege(c.oid, 'SELECT') \
     OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))";

/// The estimated number of rows, which is -1 until the table has been analyzed. Before version 14 it is then 0 of 0 pages, as that of
/// an empty table is.
const ESTIMATE: &str = "CASE WHEN c.relpages = 0 AND c.reltuples = 0 \
     AND pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 140000 THEN -1 \
     ELSE c.reltuples::pg_catalog.int8 END";

/// Schema and table.
type Key = (String, String);

/// The tables and views that the role can read, outside the `excluded` schemas: those of the schema `public` by name
/// only, others as `schema.table`.
///
/// # Errors
/// What the server says.
pub async fn resources(session: &mut Session, excluded: &[&str]) -> Result<Vec<Resource>> {
    let ours = is_user_data(excluded);
    let sql = format!(
        "SELECT n.nspname, c.relname, c.relkind, {ESTIMATE}, \
         CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_total_relation_size(c.oid) END \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {ours} AND {READABLE}"
    );
    let tables = session.rows(&sql, CONTEXT).await?;
    let mut fields = columns(session, &ours).await?;
    tables
        .into_iter()
        .map(|row| {
            let mut row = CatalogRow::new(row, unexpected);
            let key = (row.text()?, row.text()?);
            let kind = if matches!(row.text()?.as_str(), "v" | "m") { ResourceKind::View } else { ResourceKind::Table };
            let (rows, bytes) = (row.number(), row.number());
            Ok(Resource {
                fields: fields.remove(&key).unwrap_or_default(),
                name: if key.0 == "public" { key.1 } else { format!("{}.{}", key.0, key.1) },
                kind,
                estimated_row_count: rows,
                estimated_size_mb: bytes.map(megabytes),
            })
        })
        .collect()
}

async fn columns(session: &mut Session, ours: &str) -> Result<HashMap<Key, Vec<ResourceField>>> {
    let sql = format!(
        "SELECT n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         pg_catalog.format_type(own.id, NULL), t.typtype = 'e', \
         a.attnotnull OR t.typnotnull, EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid \
         AND i.indisprimary AND a.attnum = ANY (i.indkey)), \
         CASE WHEN own.id IN (1042, 1043) AND own.modifier > 4 THEN own.modifier - 4 \
         WHEN own.id IN (1560, 1562) AND own.modifier > 0 THEN own.modifier END \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END, \
         CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) own(id, modifier) \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND {ours} AND {READABLE} ORDER BY a.attnum"
    );
    let mut tables: HashMap<Key, Vec<ResourceField>> = HashMap::new();
    for row in session.rows(&sql, CONTEXT).await? {
        let mut row = CatalogRow::new(row, unexpected);
        let fields = tables.entry((row.text()?, row.text()?)).or_default();
        let (name, native_type, base, is_enum) = (row.text()?, row.text()?, row.text()?, row.text()? == "t");
        let (not_null, primary_key) = (row.text()? == "t", row.text()? == "t");
        // Positions have gaps where columns were dropped; only the order matters.
        let ordinal = u32::try_from(fields.len() + 1).unwrap_or(u32::MAX);
        fields.push(ResourceField {
            name,
            ordinal,
            field_type: normalised(&base, is_enum).to_owned(),
            native_type,
            nullable: !not_null,
            primary_key,
            max_length: row.number(),
        });
    }
    Ok(tables)
}

fn unexpected() -> Error {
    Error::unknown(format!("{CONTEXT}: unexpected NULL in the server's catalog"))
        .with_hint("report a bug, with the version of the server")
}
