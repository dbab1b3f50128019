//! A table as the file describes it.

use osiris_core::Result;
use osiris_core::store::quote_text;
use osiris_sql::write::{KeyColumn, TargetColumn};

use crate::client::Client;
use crate::config::WriterConfig;

const DOING: &str = "describing the table";

pub(super) type TargetTable = osiris_sql::write::TargetTable;

/// A table, with what its rows must satisfy besides its keys.
pub(super) struct Described {
    pub(super) table: TargetTable,
    /// The conditions of its CHECK constraints.
    pub(super) checks: Vec<String>,
    pub(super) parents: Vec<Parent>,
    /// The default of each column, in their order.
    pub(super) defaults: Vec<Option<String>>,
}

/// A foreign key of the table.
pub(super) struct Parent {
    /// The other table, in SQL.
    pub(super) table: String,
    /// Columns of the table, each with the column of the other one.
    pub(super) columns: Vec<(String, String)>,
    /// As DuckDB writes it.
    pub(super) text: String,
}

/// A condition on the tables, constraints or indexes that DuckDB lists.
fn of_table(client: &Client, config: &WriterConfig, column: &str) -> String {
    format!(
        "database_name = {} AND lower(schema_name) = lower({}) AND lower({column}) = lower({})",
        quote_text(client.catalog()),
        quote_text(&config.schema),
        quote_text(&config.table)
    )
}

/// Describes the table; none if there is no such table.
pub(super) async fn describe(client: &mut Client, config: &WriterConfig) -> Result<Option<Described>> {
    let (table, view) = (of_table(client, config, "table_name"), of_table(client, config, "view_name"));
    let kind = format!(
        "SELECT 'table' FROM duckdb_tables() WHERE {table} UNION ALL SELECT 'view' FROM duckdb_views() WHERE {view}"
    );
    let Some(kind) = client.row(kind, DOING).await?.into_iter().next().flatten() else { return Ok(None) };
    let columns = format!(
        "SELECT column_name, data_type, is_nullable, column_default FROM duckdb_columns() WHERE {table} ORDER BY column_index"
    );
    let generated = generated_columns(client, config).await?;
    let columns = client.rows(columns, DOING).await?;
    let defaults = columns.iter().map(|row| row.get(3).cloned().flatten()).collect();
    let columns = columns.iter().filter_map(|row| column(row, &generated)).collect();
    let mut described = Described {
        table: TargetTable { kind, columns, keys: Vec::new(), cascades_to: Vec::new() },
        checks: Vec::new(),
        parents: Vec::new(),
        defaults,
    };
    constraints(client, config, &table, &mut described).await?;
    described.table.keys.extend(unique_indexes(client, &table).await?);
    Ok(Some(described))
}

async fn generated_columns(client: &mut Client, config: &WriterConfig) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT column_name FROM information_schema.columns WHERE table_catalog = {} AND lower(table_schema) = lower({}) \
         AND lower(table_name) = lower({}) AND is_generated = 'ALWAYS'",
        quote_text(client.catalog()),
        quote_text(&config.schema),
        quote_text(&config.table)
    );
    Ok(client.rows(sql, DOING).await?.into_iter().flatten().flatten().collect())
}

fn column(row: &[Option<String>], generated: &[String]) -> Option<TargetColumn> {
    let [Some(name), Some(declared), nullable, default, ..] = row else { return None };
    let is_generated = generated.contains(name);
    Some(TargetColumn {
        name: name.clone(),
        declared: declared.clone(),
        not_null: nullable.as_deref() == Some("f"),
        has_default: default.is_some() && !is_generated,
        is_generated,
        details: (),
    })
}

/// Primary and unique keys, conditions and foreign keys.
async fn constraints(client: &mut Client, config: &WriterConfig, table: &str, described: &mut Described) -> Result<()> {
    // A list as one row for each of its items: names may hold anything.
    let sql = format!(
        "SELECT constraint_index, constraint_type, coalesce(expression, ''), constraint_text, coalesce(referenced_table, ''), \
         unnest(CASE WHEN len(constraint_column_names) > 0 THEN constraint_column_names ELSE [''] END), \
         unnest(CASE WHEN len(referenced_column_names) > 0 THEN referenced_column_names ELSE [''] END) \
         FROM duckdb_constraints() WHERE {table} AND constraint_type <> 'NOT NULL' ORDER BY constraint_index"
    );
    let mut last = None;
    for row in client.rows(sql, DOING).await? {
        let fields: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        let [index, kind, expression, text, referenced, column, parent_column] = fields.as_slice() else { continue };
        let is_next = last.replace(index.clone()).as_ref() != Some(index);
        match kind.as_str() {
            "PRIMARY KEY" | "UNIQUE" => {
                if is_next {
                    described.table.keys.push(Vec::new());
                }
                if let Some(key) = described.table.keys.last_mut() {
                    key.push(KeyColumn::from(column.clone()));
                }
            }
            "CHECK" if is_next => described.checks.push(expression.clone()),
            "FOREIGN KEY" => {
                if is_next {
                    // A foreign key stays in its schema.
                    let (table, text) = (client.table(&config.schema, referenced), text.clone());
                    described.parents.push(Parent { table, columns: Vec::new(), text });
                }
                if let Some(parent) = described.parents.last_mut() {
                    parent.columns.push((column.clone(), parent_column.clone()));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The unique indexes over plain columns.
async fn unique_indexes(client: &mut Client, table: &str) -> Result<Vec<Vec<KeyColumn>>> {
    let sql = format!("SELECT expressions FROM duckdb_indexes() WHERE {table} AND is_unique AND NOT is_primary");
    let lists = client.rows(sql, DOING).await?.into_iter().flatten().flatten();
    Ok(lists.filter_map(|list| plain_columns(&list)).collect())
}

/// The columns of an index from a list such as `[a, "b c"]`; none if there is an expression among them.
fn plain_columns(list: &str) -> Option<Vec<KeyColumn>> {
    let list = list.strip_prefix('[')?.strip_suffix(']')?;
    let name = |item: &str| {
        let item = item.trim().trim_matches('\'');
        let is_word = item.chars().all(|c| c.is_alphanumeric() || c == '_');
        let quoted = item.strip_prefix('"').and_then(|item| item.strip_suffix('"'));
        let name = quoted.map(|name| name.replace("\"\"", "\"")).or_else(|| is_word.then(|| item.to_owned()))?;
        Some(KeyColumn::from(name))
    };
    list.split(',').map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_over_expressions_is_no_key_of_columns() {
        let names = |list| plain_columns(list).map(|key| key.into_iter().map(|column| column.name).collect::<Vec<_>>());
        assert_eq!(names("[a, b_2]"), Some(vec!["a".to_owned(), "b_2".to_owned()]));
        assert_eq!(names("['\"a b\"']"), Some(vec!["a b".to_owned()]));
        assert_eq!(names("[a, '(b[1])']"), None);
        assert_eq!(names("['lower(a)']"), None);
    }
}
