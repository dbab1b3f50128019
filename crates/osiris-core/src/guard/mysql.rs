//! What MySQL and MariaDB may be asked: one SELECT, WITH, TABLE, VALUES, SHOW, DESCRIBE or EXPLAIN, with nothing in it that
//! writes, locks, waits, or touches files of the server.

use super::lexer::{Kind, Token, tokens};
use super::{MySqlModes, ReadingKind, ReadingStatement, Refusal};

/// Reserved words of statements that change something. None of them can be an unquoted name, so wherever one stands as a
/// keyword the statement is more than a query. Those with `true` are functions too.
const CHANGING: [(&str, bool); 17] = [
    ("ALTER", false),
    ("CALL", false),
    ("CREATE", false),
    ("DELETE", false),
    ("DROP", false),
    ("GRANT", false),
    ("INSERT", true),
    ("INTO", false),
    ("KILL", false),
    ("LOAD", false),
    ("LOCK", false),
    ("OPTIMIZE", false),
    ("PURGE", false),
    ("RENAME", false),
    ("REPLACE", true),
    ("REVOKE", false),
    ("UPDATE", false),
];

/// Functions that wait, lock, read files of the server, move a sequence or run programs.
const FUNCTIONS: [&str; 20] = [
    "BENCHMARK",
    "GET_LOCK",
    "LOAD_FILE",
    "MASTER_GTID_WAIT",
    "MASTER_POS_WAIT",
    "NEXTVAL",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "SETVAL",
    "SLEEP",
    "SOURCE_POS_WAIT",
    "SYS_EVAL",
    "SYS_EXEC",
    "SYS_GET",
    "SYS_SET",
    "WAIT_FOR_EXECUTED_GTID_SET",
    "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS",
    "WSREP_SYNC_WAIT_UPTO_GTID",
    "LIB_MYSQLUDF_SYS_INFO",
    "KEYRING_KEY_REMOVE",
];

const ONE_STATEMENT: &str = "write one SELECT, WITH, TABLE, VALUES, SHOW, DESCRIBE or EXPLAIN statement";

pub(super) fn check(sql: &str, modes: MySqlModes) -> Result<ReadingStatement<'_>, Refusal> {
    let all = tokens(sql, modes)?;
    let last = all.iter().rposition(|token| !token.is_symbol(b';')).map_or(0, |last| last + 1);
    let statement = Statement { sql, tokens: &all[..last] };
    let kind = statement.kind()?;
    for index in 0..last {
        statement.check_token(index)?;
    }
    let start = all.first().map_or(0, |first| first.start);
    let end = statement.tokens.last().map_or(start, |token| match token.optional {
        // The end of the comment that it stands in belongs to it.
        true => sql[token.end..].find("*/").map_or(sql.len(), |end| token.end + end + 2),
        false => token.end,
    });
    Ok(ReadingStatement { text: &sql[start..end], kind })
}

struct Statement<'a> {
    sql: &'a str,
    tokens: &'a [Token],
}

impl Statement<'_> {
    fn text(&self, token: &Token) -> &str {
        &self.sql[token.start..token.end]
    }

    fn is_word(&self, token: &Token, word: &str) -> bool {
        token.kind == Kind::Word && self.text(token).eq_ignore_ascii_case(word)
    }

    /// The tokens that may come after the one at `index`: what stands in an executable comment may be skipped.
    fn followers(&self, index: usize) -> impl Iterator<Item = &Token> {
        let mut done = false;
        self.tokens[index + 1..].iter().take_while(move |token| {
            let wanted = !done;
            done |= !token.optional;
            wanted
        })
    }

    fn may_be_followed_by(&self, index: usize, word: &str) -> bool {
        self.followers(index).any(|token| self.is_word(token, word))
    }

    fn may_open(&self, index: usize) -> bool {
        self.followers(index).any(|token| token.is_symbol(b'('))
    }

    fn must_open(&self, index: usize) -> bool {
        let mut followers = self.followers(index).peekable();
        followers.peek().is_some() && followers.all(|token| token.is_symbol(b'('))
    }

    /// What the first word says.
    fn kind(&self) -> Result<ReadingKind, Refusal> {
        let Some(first) = self.tokens.iter().find(|token| !token.is_symbol(b'(') || token.optional) else {
            return Err(Refusal::new("the query is empty", ONE_STATEMENT, 0));
        };
        let word = if first.kind == Kind::Word && !first.optional { self.text(first) } else { "" };
        let in_parentheses = self.tokens.first().is_some_and(|token| token.is_symbol(b'('));
        match word.to_ascii_uppercase().as_str() {
            "SELECT" | "WITH" | "TABLE" | "VALUES" => Ok(ReadingKind::Query),
            "SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN" if !in_parentheses => Ok(ReadingKind::Listing),
            "" => Err(Refusal::new("this is not a statement that reads", ONE_STATEMENT, first.start)),
            other => Err(Refusal::new(
                format!("`{}` is not a statement that reads", shown(other)),
                ONE_STATEMENT,
                first.start,
            )),
        }
    }

    fn check_token(&self, index: usize) -> Result<(), Refusal> {
        let token = &self.tokens[index];
        match token.kind {
            Kind::Word => self.check_keyword(index, token),
            Kind::Symbol(b';') => {
                Err(Refusal::new("more than one statement", "keep the first and remove the rest", token.start))
            }
            Kind::Symbol(b'?') => Err(Refusal::new(
                "a `?` outside of a text: there are no values to bind",
                "write the value, or use a pipeline parameter `${params.name}`",
                token.start,
            )),
            Kind::Symbol(b':') if !self.sql[token.end..].starts_with('=') => {
                Err(Refusal::new("a `:` outside of a text", "write the value instead of a name to bind", token.start))
            }
            _ => Ok(()),
        }?;
        self.check_function(index, token)
    }

    fn check_keyword(&self, index: usize, token: &Token) -> Result<(), Refusal> {
        let changing = CHANGING.iter().find(|(word, _)| self.is_word(token, word));
        if let Some((word, is_function)) = changing {
            let is_called = *is_function && self.must_open(index);
            // SHOW CREATE TABLE and its like.
            let is_shown = *word == "CREATE" && index == 1 && self.is_word(&self.tokens[0], "SHOW");
            if !is_called && !is_shown {
                return Err(self.refused(word, token));
            }
        }
        if self.is_word(token, "FOR") && self.may_be_followed_by(index, "SHARE") {
            return Err(self.refused("FOR SHARE", token));
        }
        if self.is_word(token, "NEXT") && self.may_be_followed_by(index, "VALUE") {
            return Err(self.refused("NEXT VALUE FOR", token));
        }
        Ok(())
    }

    fn check_function(&self, index: usize, token: &Token) -> Result<(), Refusal> {
        if !matches!(token.kind, Kind::Word | Kind::Member | Kind::Quoted) || !self.may_open(index) {
            return Ok(());
        }
        let name = self.text(token).trim_matches(['`', '"']);
        match FUNCTIONS.iter().find(|function| name.eq_ignore_ascii_case(function)) {
            Some(function) => Err(self.refused(&format!("{function}()"), token)),
            None => Ok(()),
        }
    }

    fn refused(&self, what: &str, token: &Token) -> Refusal {
        let hint = match what {
            "INTO" => "remove INTO: the rows go to the step's table",
            "UPDATE" | "FOR SHARE" | "LOCK" => "remove the locking clause; the step reads a consistent view without it",
            _ => "only statements that read are accepted; quote it if it is meant as a name",
        };
        Refusal::new(format!("`{what}` is not allowed: an extractor only reads"), hint, token.start)
    }
}

/// A word short enough to be one.
fn shown(word: &str) -> &str {
    if word.len() <= 32 && word.is_ascii() { word } else { "..." }
}
