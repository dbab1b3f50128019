//! The target table from the server: columns, unique indexes, engine, dependents. Read only.

use osiris_core::Result;

pub(super) use osiris_sql::catalog::cell;
use osiris_sql::write::{KeyColumn, TargetTable, UniqueKeys};

use super::dependents::Dependents;
use super::session::Session;

/// A qualified table name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct TableName {
    pub(super) schema: String,
    pub(super) table: String,
}

impl TableName {
    /// Quoted in SQL.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", crate::client::quote(&self.schema), crate::client::quote(&self.table))
    }

    /// Another table of the same schema.
    pub(super) fn sibling(&self, table: String) -> Self {
        Self { schema: self.schema.clone(), table }
    }
}

impl TableName {
    /// A short stable hash of the name.
    pub(super) fn mark(&self) -> String {
        format!("{:016x}", fingerprint(&self.to_string()))
    }

    /// The name of the named lock of its writers.
    pub(super) fn lock(&self) -> String {
        format!("osiris:{}", self.mark())
    }
}

/// FNV-1a.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// The kind of a column's type, as far as needed for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Decimal {
        scale: u8,
    },
    Float,
    Double,
    Year,
    Bit,
    Date,
    /// DATETIME or TIMESTAMP, with its fractional digits.
    Timestamp {
        digits: u8,
    },
    Time {
        digits: u8,
    },
    Char,
    Text,
    Binary {
        length: usize,
    },
    Bytes,
    Enum(Vec<String>),
    Set(Vec<String>),
    Json,
    Uuid,
    Geometry,
    Vector,
    /// A type with its own text format, such as INET6.
    Other,
}

/// What is known of a column besides its name and its declaration.
#[derive(Debug, Clone)]
pub(super) struct ColumnDetails {
    pub(super) kind: Kind,
    /// The character set and the collation.
    pub(super) collation: Option<(String, String)>,
}

/// One column of the table, declared as the server reports it, such as `decimal(10,2) unsigned`.
pub(super) type TargetColumn = osiris_sql::write::TargetColumn<ColumnDetails>;

/// The existing table.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) table: TargetTable<ColumnDetails>,
    /// The number of its unique indexes, including those over expressions and parts of columns.
    pub(super) unique_indexes: usize,
    pub(super) engine: String,
    pub(super) transactional: bool,
    pub(super) dependents: Dependents,
}

impl Target {
    /// Reads it; `None` if there is no such table.
    ///
    /// # Errors
    /// When the query fails.
    pub(super) async fn read(session: &mut Session, name: &TableName) -> Result<Option<Self>> {
        let place = place(name);
        let tables = session
            .rows(&format!(
                "SELECT TABLE_TYPE, COALESCE(ENGINE, ''), TABLE_NAME FROM information_schema.TABLES WHERE {place}"
            ))
            .await?;
        let exact = |found: &str| session.folds_case() || found == name.table;
        let Some(table) = tables.iter().find(|row| exact(cell(row, 2))) else { return Ok(None) };
        let engine = cell(table, 1).to_owned();
        let is_view = cell(table, 0).contains("VIEW");
        let columns = columns(session, &place).await?;
        let transactional = session
            .rows(&format!("SELECT TRANSACTIONS FROM information_schema.ENGINES WHERE ENGINE = {}", text(&engine)))
            .await?;
        let dependents = Dependents::read(session, name, &engine).await?;
        let unique = unique_indexes(session, &place).await?;
        Ok(Some(Self {
            unique_indexes: unique.len(),
            table: TargetTable {
                kind: if is_view { "view" } else { "table" }.to_owned(),
                columns,
                keys: unique.into_iter().flatten().collect(),
                cascades_to: dependents.cascades_to.clone(),
            },
            engine,
            transactional: transactional.first().is_some_and(|row| cell(row, 0) == "YES"),
            dependents,
        }))
    }
}

async fn columns(session: &mut Session, place: &str) -> Result<Vec<TargetColumn>> {
    let sql = format!(
        "SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, COALESCE(NUMERIC_SCALE, 0), COALESCE(DATETIME_PRECISION, 0), \
         COALESCE(CHARACTER_OCTET_LENGTH, 0), IS_NULLABLE, COLUMN_DEFAULT IS NOT NULL, LOWER(EXTRA), CHARACTER_SET_NAME, \
         COLLATION_NAME, COALESCE(GENERATION_EXPRESSION, '') <> '' \
         FROM information_schema.COLUMNS WHERE {place} ORDER BY ORDINAL_POSITION"
    );
    let rows = session.rows(&sql).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let extra = cell(row, 8);
            TargetColumn {
                name: cell(row, 0).to_owned(),
                declared: cell(row, 2).to_owned(),
                not_null: cell(row, 6) != "YES",
                has_default: cell(row, 7) == "1"
                    || extra.contains("auto_increment")
                    || extra.contains("default_generated"),
                is_generated: cell(row, 11) == "1",
                details: ColumnDetails { kind: kind(row), collation: row[9].clone().zip(row[10].clone()) },
            }
        })
        .collect())
}

fn kind(row: &[Option<String>]) -> Kind {
    let number = |index: usize| cell(row, index).parse::<usize>().unwrap_or(0);
    let digits = |index: usize| u8::try_from(number(index)).unwrap_or(0);
    match cell(row, 1) {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Kind::Integer,
        "decimal" => Kind::Decimal { scale: digits(3) },
        "float" => Kind::Float,
        "double" => Kind::Double,
        "year" => Kind::Year,
        "bit" => Kind::Bit,
        "date" => Kind::Date,
        "datetime" | "timestamp" => Kind::Timestamp { digits: digits(4) },
        "time" => Kind::Time { digits: digits(4) },
        "char" => Kind::Char,
        "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text,
        "binary" => Kind::Binary { length: number(5) },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
        "enum" => Kind::Enum(members(cell(row, 2))),
        "set" => Kind::Set(members(cell(row, 2))),
        "json" => Kind::Json,
        "uuid" => Kind::Uuid,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => Kind::Geometry,
        "vector" => Kind::Vector,
        _ => Kind::Other,
    }
}

/// The members of `enum('a','it''s')`.
fn members(column_type: &str) -> Vec<String> {
    let Some((_, list)) = column_type.split_once('(') else { return Vec::new() };
    let list = list.trim_end_matches(')');
    let (mut found, mut member, mut inside) = (Vec::new(), String::new(), false);
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' if inside && characters.next_if_eq(&'\'').is_some() => member.push('\''),
            '\'' if inside => {
                found.push(std::mem::take(&mut member));
                inside = false;
            }
            '\'' => inside = true,
            other if inside => member.push(other),
            _ => {}
        }
    }
    found
}

/// The columns of each unique index; `None` for one over expressions or parts of columns.
async fn unique_indexes(session: &mut Session, place: &str) -> Result<Vec<Option<Vec<KeyColumn>>>> {
    let sql = format!(
        "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
         WHERE {place} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX"
    );
    // A prefix of a column, or (MySQL 8) an expression, which has no column name.
    let column = |row: &[Option<String>]| row[1].clone().filter(|_| row[2].is_none());
    let rows = session.rows(&sql).await?;
    Ok(rows
        .chunk_by(|one, other| one[0] == other[0])
        .map(|rows| rows.iter().map(|row| column(row).map(KeyColumn::from)).collect())
        .collect())
}

/// The unique keys of a table.
pub(super) struct TableKeys<'a> {
    pub(super) session: &'a mut Session,
    pub(super) table: &'a TableName,
}

impl UniqueKeys for TableKeys<'_> {
    async fn columns(&mut self, name: &str) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE {} AND INDEX_NAME = {} ORDER BY SEQ_IN_INDEX",
            place(self.table),
            text(name)
        );
        Ok(self.session.rows(&sql).await?.into_iter().flatten().flatten().collect())
    }
}

/// The condition on a view of `information_schema` for a table.
fn place(name: &TableName) -> String {
    format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", text(&name.schema), text(&name.table))
}

/// A string in SQL, with backslash escapes.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_with_quotes_commas_and_parentheses_in_them() {
        assert_eq!(members("enum('a','it''s',',',')','')"), ["a", "it's", ",", ")", ""]);
    }

    #[test]
    fn the_mark_of_a_table_never_changes() {
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
    }

    #[test]
    fn texts_are_quoted() {
        assert_eq!(text("a'b\\"), r"'a''b\\'");
    }
}
