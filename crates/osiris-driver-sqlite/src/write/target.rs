//! A table as the file describes it.

use osiris_core::Result;
use osiris_sql::write::KeyColumn;

use crate::client::{Client, literal};
use crate::rowid;
use crate::types::ColumnDetails;

const DOING: &str = "describing the table";

type TargetColumn = osiris_sql::write::TargetColumn<ColumnDetails>;
pub(super) type TargetTable = osiris_sql::write::TargetTable<ColumnDetails>;

/// Describes a table; none if there is no such table.
pub(super) async fn describe(client: &mut Client, table: &str) -> Result<Option<TargetTable>> {
    let name = literal(table);
    let sql = format!("SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = {name} COLLATE NOCASE");
    let found = client.row(&sql, DOING).await?;
    let [Some(kind)] = found.as_slice() else { return Ok(None) };
    let sql = format!(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo({name}, 'main') ORDER BY cid"
    );
    let rows = client.rows(&sql, DOING).await?;
    let mut columns: Vec<TargetColumn> = rows.iter().filter_map(|row| column(row)).collect();
    let primary_key = primary_key(&rows);
    if let Some(alias) = rowid::alias(client, table).await? {
        // SQLite sets it where it is missing.
        for column in columns.iter_mut().filter(|column| column.name == alias) {
            (column.not_null, column.has_default) = (false, true);
            column.details = ColumnDetails { is_rowid_alias: true };
        }
    }
    let mut keys = unique_indexes(client, &name).await?;
    let same = |key: &Vec<KeyColumn>| {
        key.len() == primary_key.len()
            && key.iter().all(|column| primary_key.iter().any(|other| other.name == column.name))
    };
    if !primary_key.is_empty() && !keys.iter().any(same) {
        keys.push(primary_key);
    }
    let sql = format!(
        "SELECT DISTINCT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' \
         AND m.name <> {name} COLLATE NOCASE AND f.\"table\" = {name} COLLATE NOCASE \
         AND f.on_delete NOT IN ('NO ACTION', 'RESTRICT') ORDER BY 1"
    );
    let cascades_to = client.rows(&sql, DOING).await?.into_iter().flatten().flatten().collect();
    let kind = if kind == "table" || kind == "view" { kind.clone() } else { format!("{kind} table") };
    Ok(Some(TargetTable { kind, columns, keys, cascades_to }))
}

/// Whether a foreign key refers to the table.
pub(super) async fn is_referred_to(client: &mut Client, table: &str) -> Result<bool> {
    let sql = format!(
        "SELECT count(*) FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' \
         AND f.\"table\" = {} COLLATE NOCASE",
        literal(table)
    );
    Ok(client.number(&sql, DOING).await? > 0)
}

fn column(row: &[Option<String>]) -> Option<TargetColumn> {
    let [Some(name), declared, not_null, default, _, hidden] = row else { return None };
    Some(TargetColumn {
        name: name.clone(),
        declared: declared.clone().unwrap_or_default(),
        not_null: not_null.as_deref() != Some("0"),
        has_default: default.is_some(),
        is_generated: hidden.as_deref() != Some("0"),
        details: ColumnDetails::default(),
    })
}

fn primary_key(rows: &[Vec<Option<String>>]) -> Vec<KeyColumn> {
    let place = |row: &Vec<Option<String>>| {
        let place: u32 = row.get(4)?.as_deref()?.parse().ok()?;
        Some((place, row.first()?.clone()?))
    };
    let mut columns: Vec<(u32, String)> = rows.iter().filter_map(place).filter(|(place, _)| *place > 0).collect();
    columns.sort_unstable();
    columns.into_iter().map(|(_, name)| KeyColumn { name, collation: "BINARY".to_owned() }).collect()
}

/// The unique indexes over plain columns of all rows.
async fn unique_indexes(client: &mut Client, table: &str) -> Result<Vec<Vec<KeyColumn>>> {
    let sql = format!(
        "SELECT l.seq, x.name, x.coll FROM pragma_index_list({table}, 'main') l, pragma_index_xinfo(l.name, 'main') x \
         WHERE l.\"unique\" = 1 AND l.partial = 0 AND x.key = 1 ORDER BY l.seq, x.seqno"
    );
    let mut indexes: Vec<(String, Vec<Option<KeyColumn>>)> = Vec::new();
    for row in client.rows(&sql, DOING).await? {
        let mut fields = row.into_iter();
        let (Some(number), name, collation) =
            (fields.next().flatten(), fields.next().flatten(), fields.next().flatten())
        else {
            continue;
        };
        // An expression has no name: the index is no key of columns then.
        let column = name.zip(collation).map(|(name, collation)| KeyColumn { name, collation });
        match indexes.last_mut().filter(|(last, _)| *last == number) {
            Some((_, columns)) => columns.push(column),
            None => indexes.push((number, vec![column])),
        }
    }
    Ok(indexes.into_iter().filter_map(|(_, columns)| columns.into_iter().collect()).collect())
}
