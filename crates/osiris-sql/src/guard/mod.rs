//! Checks that a statement for a SQL source only reads: by its tokens, never by a search for substrings.
//!
//! This is the first of two safeguards; the second is a read-only transaction on the server. It must not be lenient
//! where it is in doubt: ambiguous SQL is refused. It knows nothing about tables and columns.

mod lexer;
mod mysql;
mod postgres;
mod sqlite;

use osiris_core::{Code, Error, Problem};

/// How a source reads its SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SqlDialect {
    /// MySQL and MariaDB, in the modes of the session.
    MySql(MySqlModes),
    /// PostgreSQL, in the modes of the session.
    Postgres(PostgresModes),
    /// SQLite, which has no modes.
    Sqlite,
}

impl SqlDialect {
    /// Every combination of modes that a session of MySQL or MariaDB may have.
    pub const MYSQL: &[Self] = &[
        Self::MySql(MySqlModes::ALL[0]),
        Self::MySql(MySqlModes::ALL[1]),
        Self::MySql(MySqlModes::ALL[2]),
        Self::MySql(MySqlModes::ALL[3]),
    ];

    /// SQLite, in its one mode.
    pub const SQLITE: &[Self] = &[Self::Sqlite];
    /// Every mode that a session of PostgreSQL may have.
    pub const POSTGRES: &[Self] = &[Self::Postgres(PostgresModes::ALL[0]), Self::Postgres(PostgresModes::ALL[1])];
}

/// The parts of MySQL's `sql_mode` that decide where a string ends
/// (<https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html>). Default: neither, as servers come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct MySqlModes {
    /// `ANSI_QUOTES`: double quotes enclose a name, not a string.
    pub ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: a backslash in a string is a backslash.
    pub no_backslash_escapes: bool,
}

impl MySqlModes {
    /// Every combination, the default first: for a check before the server's mode is known.
    pub const ALL: [Self; 4] = [
        Self { ansi_quotes: false, no_backslash_escapes: false },
        Self { ansi_quotes: true, no_backslash_escapes: false },
        Self { ansi_quotes: false, no_backslash_escapes: true },
        Self { ansi_quotes: true, no_backslash_escapes: true },
    ];
}

/// The setting of PostgreSQL that decides where a string ends
/// (<https://www.postgresql.org/docs/current/runtime-config-compatible.html>). Default: on, as servers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PostgresModes {
    /// `standard_conforming_strings`: a backslash in a plain text is a backslash.
    pub standard_conforming_strings: bool,
}

impl Default for PostgresModes {
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl PostgresModes {
    /// Every mode, the default first: for a check before the server's mode is known.
    pub const ALL: [Self; 2] =
        [Self { standard_conforming_strings: true }, Self { standard_conforming_strings: false }];
}

/// What a reading statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadingKind {
    /// SELECT, WITH, TABLE or VALUES: a query, which may stand in parentheses in a FROM.
    Query,
    /// SHOW, DESCRIBE or EXPLAIN, as far as the dialect has them.
    Listing,
}

/// A statement that only reads, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingStatement<'a> {
    text: &'a str,
    kind: ReadingKind,
}

impl<'a> ReadingStatement<'a> {
    /// Checks that `sql` is exactly one statement that only reads.
    ///
    /// # Errors
    /// What must not be there, and where. Never a part of the statement beyond single words.
    pub fn parse(sql: &'a str, dialect: SqlDialect) -> Result<Self, Refusal> {
        match dialect {
            SqlDialect::MySql(modes) => mysql::check(sql, modes),
            SqlDialect::Postgres(modes) => postgres::check(sql, modes),
            SqlDialect::Sqlite => sqlite::check(sql),
        }
    }

    /// Refuses it if it calls one of the functions that a MySQL or MariaDB server lists as loaded from a library,
    /// unless that function is known to only read: a read-only transaction does not stop such a function.
    ///
    /// # Errors
    /// The call, and where it is.
    pub fn refuse_loadable(&self, modes: MySqlModes, loadable: &[String]) -> Result<(), Refusal> {
        mysql::check_loadable(self.text, modes, loadable)
    }

    /// The statement with its names in double quotes in backticks instead. SQLite takes a name in double quotes that
    /// it does not know for a text; in backticks it is an error.
    ///
    /// # Errors
    /// None for a statement of SQLite.
    pub fn with_strict_names(&self) -> Result<String, Refusal> {
        sqlite::with_strict_names(self.text)
    }

    /// The statement without what may stand around it: a last semicolon, space, comments before its first and after its
    /// last word.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// What it is.
    pub fn kind(&self) -> ReadingKind {
        self.kind
    }
}

/// Checks that a part of a statement, such as a condition, cannot end the brackets that it is put into: each bracket in
/// it is closed in it. What else it says is judged with the [statement](ReadingStatement) that it becomes a part of.
///
/// # Errors
/// A bracket that is alone, and where.
pub fn check_fragment(sql: &str, dialect: SqlDialect) -> Result<(), Refusal> {
    match dialect {
        SqlDialect::MySql(modes) => mysql::check_fragment(sql, modes),
        SqlDialect::Postgres(modes) => postgres::check_fragment(sql, modes),
        SqlDialect::Sqlite => sqlite::check_fragment(sql),
    }
}

fn check_brackets(symbols: impl IntoIterator<Item = (u8, usize)>) -> Result<(), Refusal> {
    let mut open = Vec::new();
    for (symbol, at) in symbols {
        match symbol {
            b'(' => open.push(at),
            b')' if open.pop().is_none() => {
                return Err(Refusal::new("a `)` without its `(`", "remove it, or open it", at));
            }
            _ => {}
        }
    }
    open.pop().map_or(Ok(()), |at| Err(Refusal::new("a `(` is not closed", "close it", at)))
}

/// A function that a statement for PostgreSQL may call, by its name as the server takes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionCall {
    /// The schema, where it is named.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
    /// Whether it stands like a column, as in `row.name`: a call only where there is a function of a row and no such
    /// column.
    pub attribute: bool,
}

impl FunctionCall {
    /// Everything in a statement for PostgreSQL that may be a call. The server knows which of them may do more than
    /// read.
    pub fn all_of(sql: &str, modes: PostgresModes) -> Vec<Self> {
        postgres::calls(sql, modes)
    }

    /// Whether a function of PostgreSQL that may do more than read, as far as the server is told (`VOLATILE`), is known
    /// to do no more.
    pub fn is_known_reader(name: &str) -> bool {
        postgres::functions::is_known_reader(name)
    }
}

/// Why a statement is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    message: String,
    hint: &'static str,
    offset: usize,
}

impl Refusal {
    fn new(message: impl Into<String>, hint: &'static str, offset: usize) -> Self {
        Self { message: message.into(), hint, offset }
    }

    /// What must not be there.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it is, in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The same as a problem of the configuration's field at `pointer`.
    pub fn into_problem(self, pointer: impl Into<String>) -> Problem {
        Problem::error(pointer, self.message)
            .with_code(Code::SqlNotAllowed)
            .with_hint(self.hint)
            .with_offset(self.offset)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::validation(refusal.message)
            .with_code(Code::SqlNotAllowed)
            .with_hint(refusal.hint)
            .with_context("offset", refusal.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECTS: [SqlDialect; 3] = [SqlDialect::MYSQL[0], SqlDialect::POSTGRES[0], SqlDialect::Sqlite];

    #[test]
    fn a_fragment_closes_every_bracket_that_it_opens() {
        for dialect in DIALECTS {
            for (sql, at) in [
                ("a = 1) OR (b = 2", Some(5)),
                ("a = 1) -- (", Some(5)),
                ("(a = 1", Some(0)),
                ("a IN (1, ((2))", Some(5)),
                ("a = ')' OR (b = '(' AND c IN (1, 2)) -- )", None),
                ("a = /* ) */ 1", None),
            ] {
                assert_eq!(
                    check_fragment(sql, dialect).map_err(|refusal| refusal.offset()).err(),
                    at,
                    "{dialect:?} {sql}"
                );
            }
        }
        let postgres = SqlDialect::POSTGRES[0];
        assert!(check_fragment("a = $$)$$ OR \")\" = U&')'", postgres).is_ok());
        assert!(check_fragment("a = `)` OR [)] = \")\"", SqlDialect::Sqlite).is_ok());
        let optional = "a = 1 /*!50000 ) OR ( */";
        assert!(check_fragment(optional, SqlDialect::MYSQL[0]).unwrap_err().message().contains("executable comment"));
    }
}
