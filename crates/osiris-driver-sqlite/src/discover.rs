//! The tables and views of a file with their columns.

use std::collections::HashMap;
use std::path::Path;

use osiris_core::{Catalog, ColumnType, Resource, ResourceField, ResourceKind, Result};

use crate::client::{Access, Client, Connect, Target, literal, quote};
use crate::config::ConnectionConfig;
use crate::rowid;
use crate::types::declared_type;

const DOING: &str = "listing tables";

/// The tables and views that are not SQLite's own.
pub(crate) async fn discover(connect: &Connect, connection: &ConnectionConfig, base: &Path) -> Result<Catalog> {
    let mut client = connect(Target::new(connection, base, Access::Read)).await?;
    let catalog = catalog(&mut client).await?;
    client.close().await;
    Ok(catalog)
}

async fn catalog(client: &mut Client) -> Result<Catalog> {
    client.begin_snapshot().await?;
    let estimates = estimates(client).await?;
    let sql = "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut resources = Vec::new();
    for row in client.rows(sql, DOING).await? {
        let [Some(name), Some(kind), without_rowid] = row.as_slice() else { continue };
        let has_rowid = kind == "table" && without_rowid.as_deref() == Some("0");
        let rows = match estimates.get(name) {
            Some(rows) => Some(*rows),
            // A bound that costs one look at the last page.
            None if has_rowid => {
                client.number(&format!("SELECT ifnull(max(rowid), 0) FROM {}", quote(name)), DOING).await.ok()
            }
            None => None,
        };
        resources.push(Resource {
            name: name.clone(),
            kind: if kind == "view" { ResourceKind::View } else { ResourceKind::Table },
            estimated_row_count: rows,
            estimated_size_mb: None,
            fields: fields(client, name).await,
        });
    }
    Ok(Catalog::new(resources))
}

/// The rows of tables that ANALYZE has counted.
async fn estimates(client: &mut Client) -> Result<HashMap<String, u64>> {
    let has_statistics = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
    if client.number(has_statistics, DOING).await? == 0 {
        return Ok(HashMap::new());
    }
    let rows = client.rows("SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl", DOING).await?;
    let estimate = |row: Vec<Option<String>>| match row.as_slice() {
        [Some(table), Some(rows)] => Some((table.clone(), rows.parse().ok()?)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(estimate).collect())
}

/// The columns of a table or a view; none of a view over tables that no longer exist.
async fn fields(client: &mut Client, table: &str) -> Vec<ResourceField> {
    let sql = format!(
        "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo({}) WHERE hidden <> 1 ORDER BY cid",
        literal(table)
    );
    let rows = client.rows(&sql, DOING).await.unwrap_or_default();
    let rowid = rowid::alias(client, table).await.ok().flatten();
    (1..).zip(rows).filter_map(|(ordinal, row)| field(ordinal, &row, rowid.as_deref())).collect()
}

fn field(ordinal: u32, row: &[Option<String>], rowid: Option<&str>) -> Option<ResourceField> {
    let [Some(name), declared, not_null, key] = row else { return None };
    let declared = declared.clone().unwrap_or_default();
    Some(ResourceField {
        name: name.clone(),
        ordinal,
        field_type: field_type(&declared).to_owned(),
        // The one primary key that takes no NULL by itself is the row's own number.
        nullable: not_null.as_deref() == Some("0") && rowid != Some(name),
        native_type: if declared.is_empty() { "ANY".to_owned() } else { declared },
        primary_key: key.as_deref() != Some("0"),
        max_length: None,
    })
}

fn field_type(declared: &str) -> &'static str {
    match declared_type(declared) {
        Some(ColumnType::Boolean) => "boolean",
        Some(ColumnType::BigInt) => "integer",
        Some(ColumnType::Double) => "float",
        Some(ColumnType::Decimal(..)) => "decimal",
        Some(ColumnType::Date) => "date",
        Some(ColumnType::Time) => "time",
        Some(ColumnType::Timestamp | ColumnType::Instant) => "datetime",
        Some(_) => "string",
        None if declared.eq_ignore_ascii_case("BLOB") => "binary",
        None => "any",
    }
}
