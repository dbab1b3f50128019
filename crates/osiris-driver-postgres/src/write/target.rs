//! The target table from the catalog: columns, unique indexes, dependents, privileges. Read only.

use osiris_core::Result;
pub(super) use osiris_sql::catalog::cell;
use osiris_sql::write::{KeyColumn, TargetTable, UniqueKeys};

use super::transaction::Transaction;
use crate::client::{literal, quote_path};
use crate::types::encode::{CatalogType, Kind};

const CONTEXT: &str = "reading the definition of the table";

/// A qualified table name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableName {
    pub(super) schema: String,
    pub(super) table: String,
}

impl TableName {
    /// Quoted in SQL.
    pub(super) fn sql(&self) -> String {
        quote_path(&self.schema, &self.table)
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// What is known of a column besides its name and its type in SQL.
#[derive(Debug, Clone)]
pub(super) struct ColumnDetails {
    pub(super) kind: Kind,
    /// Its collation in SQL, if any.
    pub(super) collation: Option<String>,
    /// `GENERATED ALWAYS AS IDENTITY`.
    pub(super) always_identity: bool,
    /// The sequence of its default, if the role may set it: as a string for a function, and as a name.
    pub(super) sequence: Option<String>,
}

/// One column of the table.
pub(super) type TargetColumn = osiris_sql::write::TargetColumn<ColumnDetails>;

/// The existing table.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) table: TargetTable<ColumnDetails>,
    /// The columns of the primary key, where it identifies rows.
    pub(super) primary_key: Vec<String>,
    /// `pg_class.relkind`.
    pub(super) relkind: String,
    pub(super) has_rules: bool,
    /// Whether row-level security applies to the role.
    pub(super) row_security: bool,
    /// Whether constraints can only be checked after all rows are written: rows that reference others of the table, or
    /// checks that are deferred.
    pub(super) needs_one_statement: bool,
    /// Other tables that reference it.
    pub(super) referred_by: Vec<String>,
    /// Missing privileges out of INSERT, SELECT, UPDATE, DELETE.
    pub(super) forbidden: Vec<String>,
}

impl Target {
    /// Reads it; `None` if there is no such table.
    ///
    /// # Errors
    /// When the query fails.
    pub(super) async fn read(tx: &mut Transaction, name: &TableName) -> Result<Option<Self>> {
        let sql = format!(
            "SELECT c.oid, c.relkind, c.relhasrules, row_security_active(c.oid), \
               NOT has_any_column_privilege(c.oid, 'INSERT') OR NOT has_schema_privilege(c.relnamespace, 'USAGE'), \
               NOT has_any_column_privilege(c.oid, 'SELECT'), NOT has_any_column_privilege(c.oid, 'UPDATE'), \
               NOT has_table_privilege(c.oid, 'DELETE') \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            literal(&name.schema),
            literal(&name.table)
        );
        let Some(found) = tx.rows(&sql, CONTEXT).await?.pop() else { return Ok(None) };
        let oid = cell(&found, 0);
        let rights = ["INSERT", "SELECT", "UPDATE", "DELETE"];
        let forbidden =
            rights.iter().enumerate().filter(|(at, _)| is(&found, 4 + at)).map(|(_, right)| (*right).to_owned());
        let keys = keys(tx, oid).await?;
        let relkind = cell(&found, 1).to_owned();
        let kind = match relkind.as_str() {
            "v" | "m" => "view",
            "f" => "foreign table",
            _ => "table",
        };
        let columns = columns(tx, oid).await?;
        let unique = unique_indexes(tx, oid).await?;
        let names = |key: &Vec<KeyColumn>| key.iter().map(|column| column.name.clone()).collect();
        Ok(Some(Self {
            primary_key: unique.iter().find(|(primary, _)| *primary).map(|(_, key)| names(key)).unwrap_or_default(),
            table: TargetTable {
                kind: kind.to_owned(),
                columns,
                keys: unique.into_iter().map(|(_, key)| key).collect(),
                cascades_to: keys.cascades_to,
            },
            relkind,
            has_rules: is(&found, 2),
            row_security: is(&found, 3),
            needs_one_statement: keys.own,
            referred_by: keys.referred_by,
            forbidden: forbidden.collect(),
        }))
    }

    /// Whether a schema exists, and whether the role may create tables in it.
    ///
    /// # Errors
    /// When the query fails.
    pub(super) async fn schema(tx: &mut Transaction, name: &str) -> Result<Option<bool>> {
        let sql = format!(
            "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace WHERE nspname = {}",
            literal(name)
        );
        Ok(tx.rows(&sql, CONTEXT).await?.first().map(|row| is(row, 0)))
    }
}

/// A domain is resolved to its base type and modifier; an array has the modifier of its elements.
async fn columns(tx: &mut Transaction, oid: &str) -> Result<Vec<TargetColumn>> {
    let sql = format!(
        "WITH RECURSIVE base(attnum, type, modifier, strict) AS ( \
           SELECT attnum, atttypid, atttypmod, false FROM pg_catalog.pg_attribute \
           WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped \
           UNION ALL \
           SELECT b.attnum, t.typbasetype, t.typtypmod, b.strict OR t.typnotnull FROM base b \
           JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd') \
         SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typname, tn.nspname, t.typtype, b.modifier, \
           e.typname, en.nspname, e.typtype, e.oid, a.attnotnull OR b.strict, \
           a.atthasdef OR a.attidentity <> '', a.attgenerated <> '', a.attidentity = 'a', \
           CASE WHEN a.attcollation <> 0 THEN \
             (SELECT quote_ident(cn.nspname) || '.' || quote_ident(c.collname) FROM pg_catalog.pg_collation c \
              JOIN pg_catalog.pg_namespace cn ON cn.oid = c.collnamespace WHERE c.oid = a.attcollation) END, \
           (SELECT s.oid::regclass FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid \
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid \
            AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') \
            AND CASE s.relkind WHEN 'S' THEN has_sequence_privilege(s.oid, 'SELECT') AND has_sequence_privilege(s.oid, 'UPDATE') \
              ELSE false END LIMIT 1) \
         FROM base b JOIN pg_catalog.pg_attribute a ON a.attrelid = {oid} AND a.attnum = b.attnum \
         JOIN pg_catalog.pg_type t ON t.oid = b.type JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' AND t.typlen = -1 \
         LEFT JOIN pg_catalog.pg_namespace en ON en.oid = e.typnamespace \
         WHERE t.typtype <> 'd' ORDER BY a.attnum"
    );
    Ok(tx.rows(&sql, CONTEXT).await?.iter().map(|row| column(row)).collect())
}

fn column(row: &[Option<String>]) -> TargetColumn {
    let modifier = cell(row, 5).parse().unwrap_or(-1);
    let of =
        |at: usize| CatalogType { name: cell(row, at), schema: cell(row, at + 1), family: cell(row, at + 2), modifier };
    let kind = match cell(row, 9).parse() {
        // The elements of an array may be domains, whose checks also apply to text.
        Ok(oid) => {
            let element = if cell(row, 8) == "d" { Kind::Literal } else { of(6).kind() };
            Kind::Array { element: Box::new(element), oid }
        }
        Err(_) => of(2).kind(),
    };
    TargetColumn {
        name: cell(row, 0).to_owned(),
        declared: cell(row, 1).to_owned(),
        not_null: is(row, 10),
        has_default: is(row, 11),
        is_generated: is(row, 12),
        details: ColumnDetails {
            kind,
            always_identity: is(row, 13),
            collation: row.get(14).cloned().flatten(),
            sequence: row.get(15).cloned().flatten(),
        },
    }
}

/// The unique indexes that identify rows (over whole columns and all rows, not deferred, without `WITHOUT OVERLAPS`), and whether
/// each is the primary key.
async fn unique_indexes(tx: &mut Transaction, oid: &str) -> Result<Vec<(bool, Vec<KeyColumn>)>> {
    let sql = format!(
        "SELECT i.indexrelid, a.attname, i.indisprimary, i.indpred IS NULL AND i.indisvalid AND i.indimmediate \
           AND NOT i.indisexclusion \
         FROM pg_catalog.pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position) \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0 \
         WHERE i.indrelid = {oid} AND i.indisunique AND k.position <= i.indnkeyatts ORDER BY i.indexrelid, k.position"
    );
    let rows = tx.rows(&sql, CONTEXT).await?;
    // An expression has no name.
    let index = |rows: &[Vec<Option<String>>]| {
        let columns = rows.iter().map(|row| row.get(1)?.clone().map(KeyColumn::from)).collect::<Option<Vec<_>>>()?;
        rows.iter().all(|row| is(row, 3)).then(|| (rows.iter().any(|row| is(row, 2)), columns))
    };
    Ok(rows.chunk_by(|one, other| cell(one, 0) == cell(other, 0)).filter_map(index).collect())
}

struct Keys {
    own: bool,
    referred_by: Vec<String>,
    cascades_to: Vec<String>,
}

async fn keys(tx: &mut Transaction, oid: &str) -> Result<Keys> {
    let sql = format!(
        "SELECT conrelid::regclass, confdeltype IN ('c', 'n', 'd'), contype = 'f' AND confrelid = {oid}, conrelid = {oid}, \
           condeferred \
         FROM pg_catalog.pg_constraint WHERE (conrelid = {oid} OR (contype = 'f' AND confrelid = {oid})) AND conparentid = 0"
    );
    let mut keys = Keys { own: false, referred_by: Vec::new(), cascades_to: Vec::new() };
    for row in tx.rows(&sql, CONTEXT).await? {
        let (acts, refers, own, waits) = (is(&row, 1), is(&row, 2), is(&row, 3), is(&row, 4));
        keys.own |= own && (refers || waits);
        if refers && !own {
            keys.referred_by.push(cell(&row, 0).to_owned());
            if acts {
                keys.cascades_to.push(cell(&row, 0).to_owned());
            }
        }
    }
    Ok(keys)
}

fn is(row: &[Option<String>], index: usize) -> bool {
    cell(row, index) == "t"
}

/// The unique indexes of a table, or of its partitions.
pub(super) struct TableKeys<'a> {
    pub(super) tx: &'a mut Transaction,
    /// In SQL.
    pub(super) table: &'a str,
}

impl UniqueKeys for TableKeys<'_> {
    async fn columns(&mut self, name: &str) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT pg_catalog.pg_get_indexdef(found.oid, n, true) \
             FROM (SELECT i.indexrelid AS oid, i.indnkeyatts AS width \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             WHERE i.indisunique AND c.relname = {0} AND (i.indrelid = {1}::pg_catalog.regclass OR i.indrelid IN \
             (SELECT relid FROM pg_catalog.pg_partition_tree({1}::pg_catalog.regclass))) LIMIT 1) AS found, \
             pg_catalog.generate_series(1, found.width) AS n ORDER BY n",
            literal(name),
            literal(self.table)
        );
        Ok(self.tx.rows(&sql, "describing a unique key").await?.into_iter().flatten().flatten().collect())
    }
}
