//! What SQL a processor may run: one SELECT, or CREATE TEMP TABLE / VIEW / MACRO statements that a last SELECT uses;
//! and what a condition of a user may be.
//!
//! Every query and expression is parsed by DuckDB itself, alone, and only what it was found to be is executed: a query
//! as it stands, in parentheses, a definition put together from its parts. A tokenizer cuts the script into pieces, and
//! whatever it takes them for, nothing is executed that DuckDB has not parsed by itself. Nothing is executed or bound
//! here.

mod deep;
mod expression;
mod functions;
mod parser;
mod statement;
mod tree;

use self::deep::deep;
pub use self::expression::SqlExpression;
pub(super) use self::functions::computes as is_function;
use self::parser::serialize;
pub use self::statement::Definition;
use self::statement::split;
use self::tree::{Purpose, Walk};
use crate::{Code, Error, Result};

/// A processor's SQL, checked.
#[derive(Debug, Clone)]
pub struct SqlScript {
    setup: Vec<Definition>,
    select: SelectStatement,
    defined: Vec<String>,
    macros: Vec<String>,
    used: Vec<TableName>,
}

/// One SELECT.
#[derive(Debug, Clone)]
pub struct SelectStatement {
    text: String,
    offset: usize,
    tables: Vec<TableName>,
}

/// A table that a query names, apart from the names that the query itself defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// The name, without schema.
    pub name: String,
    /// The schema, where one is given.
    pub schema: Option<String>,
    /// Where in the SQL it stands, in bytes, where DuckDB says.
    pub offset: Option<usize>,
}

/// The context key under which an error carries the byte offset into the SQL.
pub(crate) const OFFSET: &str = "offset";

impl SqlScript {
    /// Splits and checks `sql`.
    ///
    /// # Errors
    /// SQL that does not parse, or a statement of another kind. The context of the error has the `offset` in bytes.
    pub fn parse(sql: &str) -> Result<Self> {
        deep(|| Self::checked(sql))
    }

    fn checked(sql: &str) -> Result<Self> {
        let statements = split(sql)?;
        let Some((last, before)) = statements.split_last() else {
            return Err(Error::validation("the query is empty")
                .with_code(Code::SqlSyntax)
                .with_hint("write one SELECT"));
        };
        let (mut defined, mut macros) = (Vec::new(), Vec::new());
        let mut used = Vec::new();
        let mut setup = Vec::new();
        for statement in before {
            let (definition, tables) = statement.definition(&macros)?;
            used.extend(tables.into_iter().filter(|table| !is_defined(&defined, table)));
            let names = if definition.is_macro() { &mut macros } else { &mut defined };
            names.push(definition.name().to_lowercase());
            setup.push(definition);
        }
        if last.starts_with_word("CREATE") {
            return Err(Error::validation("the last statement must be a SELECT")
                .with_code(Code::SqlNotAllowed)
                .with_hint("end the query with the SELECT that makes the step's table")
                .with_context(OFFSET, last.offset));
        }
        let select = SelectStatement::checked(last.text, last.offset, Purpose::Query, &macros)?;
        used.extend(select.tables.iter().filter(|table| !is_defined(&defined, table)).cloned());
        Ok(Self { setup, select, defined, macros, used })
    }

    /// The statements before the last: CREATE TEMP ...
    pub fn setup(&self) -> &[Definition] {
        &self.setup
    }

    /// The SELECT that makes the table.
    pub fn select(&self) -> &SelectStatement {
        &self.select
    }

    /// Names of the tables and views that the setup statements define, in lower case.
    pub fn defined(&self) -> &[String] {
        &self.defined
    }

    /// Tables that must come from outside.
    pub fn tables(&self) -> &[TableName] {
        &self.used
    }

    /// Checks `sql` as [`SelectStatement::parse`] does; it may call the macros of this script. Its
    /// [`tables`](SelectStatement::tables) are without those that the script defines.
    ///
    /// # Errors
    /// As for [`SqlScript::parse`].
    pub fn parse_with(&self, sql: &str) -> Result<SelectStatement> {
        let mut select = deep(|| SelectStatement::checked(sql, 0, Purpose::Query, &self.macros))?;
        select.tables.retain(|table| !is_defined(&self.defined, table));
        Ok(select)
    }
}

fn is_defined(defined: &[String], table: &TableName) -> bool {
    let ours = table.schema.as_deref().is_none_or(|schema| schema.eq_ignore_ascii_case("temp"));
    ours && defined.contains(&table.name.to_lowercase())
}

impl SelectStatement {
    /// Checks that `sql` is exactly one SELECT (or VALUES, FROM, TABLE, DESCRIBE, SUMMARIZE), by DuckDB's parser, which
    /// only computes from the tables that it names.
    ///
    /// # Errors
    /// As for [`SqlScript::parse`].
    pub fn parse(sql: &str) -> Result<Self> {
        deep(|| Self::checked(sql, 0, Purpose::Query, &[]))
    }

    fn checked(sql: &str, base: usize, purpose: Purpose, macros: &[String]) -> Result<Self> {
        let tree = serialize(sql, base)?;
        let statements = tree["statements"].as_array().map(Vec::as_slice).unwrap_or_default();
        let [statement] = statements else {
            return Err(Error::validation(format!("expected one SELECT, found {} statements", statements.len()))
                .with_code(Code::SqlNotAllowed)
                .with_context(OFFSET, base));
        };
        let tables = Walk::new(purpose, base, macros).over(statement)?;
        Ok(Self { text: sql.to_owned(), offset: base, tables })
    }

    /// The SQL.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it begins in the script, in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Tables it names, without those it defines in WITH.
    pub fn tables(&self) -> &[TableName] {
        &self.tables
    }
}

const ONLY_READS: &str = "SQL of a pipeline only reads";

/// The error for what a processor must not do.
fn refusal(what: &str) -> Error {
    Error::validation(format!("{what} is not allowed here: {ONLY_READS}"))
        .with_code(Code::SqlNotAllowed)
        .with_hint("use one SELECT, or CREATE TEMP TABLE, VIEW or MACRO statements before it")
}

fn not_allowed(what: &str, offset: usize) -> Error {
    refusal(what).with_context(OFFSET, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sql: &str) -> String {
        SqlScript::parse(sql).map(|_| sql).expect_err("must be refused").to_string()
    }

    fn tables(sql: &str) -> Vec<String> {
        SqlScript::parse(sql).unwrap().tables().iter().map(|table| table.name.clone()).collect()
    }

    #[test]
    fn tables_are_listed_without_those_the_query_defines() {
        assert_eq!(tables("WITH q AS (SELECT * FROM a) SELECT * FROM q JOIN \"b-c\" USING (x)"), ["a", "b-c"]);
        assert_eq!(
            tables("CREATE TEMP TABLE t AS SELECT * FROM a; CREATE TEMP MACRO f(x) AS x + 1; FROM t SELECT f(1);"),
            ["a"]
        );
        assert_eq!(tables("SELECT 1 -- ; DROP TABLE x"), Vec::<String>::new());
    }

    #[test]
    fn everything_but_reading_is_refused() {
        for sql in [
            "INSERT INTO a VALUES (1)",
            "WITH x AS (INSERT INTO a VALUES (1) RETURNING *) SELECT * FROM x",
            "WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
            "WITH x AS (UPDATE a SET b = 1 RETURNING *) SELECT * FROM x",
            "DROP TABLE a",
            "ATTACH 'x.db'",
            "COPY a TO 'x.csv'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET memory_limit = '1GB'",
            "PRAGMA database_list",
            "CALL pragma_version()",
            "EXPORT DATABASE 'x'",
            "CREATE TABLE t AS SELECT 1; SELECT * FROM t",
            "CREATE TEMP TABLE t AS INSERT INTO a VALUES (1) RETURNING *; SELECT 1",
            "CREATE TEMP TABLE t (a INTEGER); SELECT 1",
            "CREATE TEMP SEQUENCE s; SELECT 1",
            "SELECT 1; DROP TABLE a; SELECT 2",
            "CREATE SECRET s (TYPE s3); SELECT 1",
            "USE other",
            "BEGIN; SELECT 1",
        ] {
            let message = refused(sql);
            assert!(
                ["not allowed", "SQL error", "needs `AS", "only the last"]
                    .iter()
                    .any(|reason| message.contains(reason)),
                "{sql}: {message}"
            );
        }
    }

    #[test]
    fn an_error_says_where() {
        let error = SqlScript::parse("SELECT 1,\n  FROM FROM x").unwrap_err();
        assert_eq!(error.context(), [(OFFSET, "17".to_owned())], "{error:?}");
        let error = SqlScript::parse("CREATE TEMP TABLE t AS SELEC 1; SELECT 2").unwrap_err();
        assert_eq!(error.context(), [(OFFSET, "23".to_owned())], "{error:?}");
    }

    #[test]
    fn a_script_ends_in_a_select() {
        assert!(refused("").contains("empty"));
        assert!(refused("-- nothing").contains("empty"));
        assert!(refused("CREATE TEMP TABLE t AS SELECT 1").contains("last statement"));
        assert!(refused("SELECT 1; SELECT 2").contains("only the last"));
    }

    #[test]
    fn semicolons_in_strings_and_comments_do_not_split() {
        for sql in ["SELECT ';' AS a", "SELECT $$;$$ AS a", "SELECT 1 /* ; */ AS \";\"", "SELECT E'\\';' AS a"] {
            assert_eq!(SqlScript::parse(sql).unwrap().setup().len(), 0, "{sql}");
        }
    }
}
