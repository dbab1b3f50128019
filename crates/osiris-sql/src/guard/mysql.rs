//! What MySQL and MariaDB may be asked: one SELECT, WITH, TABLE, VALUES, SHOW, DESCRIBE or EXPLAIN, with nothing in it
//! that writes, locks, waits, or touches files of the server.

use super::lexer::{Token, TokenKind, tokens};
use super::{MySqlModes, ReadingKind, ReadingStatement, Refusal, check_brackets};

/// Reserved words of statements that change something. None of them can be an unquoted name, so wherever one stands as
/// a keyword the statement is more than a query. Those with `true` are functions too.
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

/// Functions that wait, lock, read files of the server, move a sequence, change its set-up or run programs.
const FUNCTIONS: [&str; 40] = [
    "AUDIT_API_MESSAGE_EMIT_UDF",
    "BENCHMARK",
    "DICTIONARY_DROP",
    "DICTIONARY_LOAD",
    "DICTIONARY_TERM_ADD",
    "DICTIONARY_TERM_REMOVE",
    "FLUSH_REWRITE_RULES",
    "GET_LOCK",
    "KEYRING_KEY_FETCH",
    "KEYRING_KEY_GENERATE",
    "KEYRING_KEY_REMOVE",
    "KEYRING_KEY_STORE",
    "LIB_MYSQLUDF_SYS_INFO",
    "LOAD_FILE",
    "LOAD_REWRITE_RULES",
    "MASKING_DICTIONARIES_FLUSH",
    "MASKING_DICTIONARY_REMOVE",
    "MASKING_DICTIONARY_TERM_ADD",
    "MASKING_DICTIONARY_TERM_REMOVE",
    "MASTER_GTID_WAIT",
    "MASTER_POS_WAIT",
    "NEXTVAL",
    "READ_FIREWALL_GROUPS",
    "READ_FIREWALL_GROUP_ALLOWLIST",
    "READ_FIREWALL_USERS",
    "READ_FIREWALL_WHITELIST",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "SERVICE_GET_READ_LOCKS",
    "SERVICE_GET_WRITE_LOCKS",
    "SERVICE_RELEASE_LOCKS",
    "SETVAL",
    "SET_FIREWALL_GROUP_MODE",
    "SET_FIREWALL_MODE",
    "SLEEP",
    "SOURCE_POS_WAIT",
    "TELEMETRY_CONTROL",
    "WAIT_FOR_EXECUTED_GTID_SET",
    "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS",
    "WSREP_SYNC_WAIT_UPTO_GTID",
];

/// Beginnings of the names of functions that come with plugins and components of the servers, or with well-known
/// libraries, and that change how the server works, write its files or run programs.
const FAMILIES: [&str; 15] = [
    "ASYNCHRONOUS_CONNECTION_FAILOVER_",
    "AUDIT_LOG_",
    "FIREWALL_GROUP_",
    "GROUP_REPLICATION_",
    "INNODB_REDO_LOG_",
    "INNODB_SET_OPEN_FILES_",
    "MYSQL_FIREWALL_",
    "OPTION_TRACKER_",
    "SPIDER_",
    "SYS_BINEVAL",
    "SYS_EVAL",
    "SYS_EXEC",
    "SYS_GET",
    "SYS_SET",
    "VERSION_TOKENS_",
];

/// Functions of loadable libraries that only read, whatever a server says of them.
const LOADABLE_READERS: [&str; 6] =
    ["KEYRING_KEY_LENGTH_FETCH", "KEYRING_KEY_TYPE_FETCH", "MD5", "MYSQL_QUERY_ATTRIBUTE_STRING", "SHA", "SHA1"];

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

pub(super) fn check_fragment(sql: &str, modes: MySqlModes) -> Result<(), Refusal> {
    let mut symbols = Vec::new();
    for token in tokens(sql, modes)? {
        let TokenKind::Symbol(symbol) = token.kind else { continue };
        if token.optional && matches!(symbol, b'(' | b')') {
            // Whether it is there depends on the server's version.
            return Err(Refusal::new(
                "a bracket in an executable comment",
                "write it without the comment",
                token.start,
            ));
        }
        symbols.push((symbol, token.start));
    }
    check_brackets(symbols)
}

/// Refuses a statement that calls one of these functions, which the server has loaded from a library: what such a
/// function does is not known, and a transaction that only reads does not stop it.
///
/// # Errors
/// The call, with its place.
pub(super) fn check_loadable(sql: &str, modes: MySqlModes, loadable: &[String]) -> Result<(), Refusal> {
    let all = tokens(sql, modes)?;
    let statement = Statement { sql, tokens: &all };
    for (index, token) in all.iter().enumerate() {
        let Some(name) = statement.called(index, token) else { continue };
        let known = LOADABLE_READERS.iter().any(|reader| name.eq_ignore_ascii_case(reader));
        if !known && loadable.iter().any(|function| name.eq_ignore_ascii_case(function)) {
            return Err(Refusal::new(
                format!(
                    "`{}()` is a function of a library that the server has loaded: an extractor only reads",
                    shown(name)
                ),
                "what it does is unknown: call it in a view that the server's administrator has created",
                token.start,
            ));
        }
    }
    Ok(())
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
        token.kind == TokenKind::Word && self.text(token).eq_ignore_ascii_case(word)
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
        let word = if first.kind == TokenKind::Word && !first.optional { self.text(first) } else { "" };
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
            TokenKind::Word => self.check_keyword(index, token),
            TokenKind::Symbol(b';') => {
                Err(Refusal::new("more than one statement", "keep the first and remove the rest", token.start))
            }
            TokenKind::Symbol(b'?') => Err(Refusal::new(
                "a `?` outside of a string: parameters are not supported",
                "write the value, or use a pipeline parameter `${params.name}`",
                token.start,
            )),
            TokenKind::Symbol(b':') if !self.sql[token.end..].starts_with('=') => Err(Refusal::new(
                "a `:` outside of a string",
                "write the value: parameters are not supported",
                token.start,
            )),
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

    /// The name of the function that may be called here.
    fn called(&self, index: usize, token: &Token) -> Option<&str> {
        let is_name = matches!(token.kind, TokenKind::Word | TokenKind::Member | TokenKind::Quoted);
        (is_name && self.may_open(index)).then(|| self.text(token).trim_matches(['`', '"']))
    }

    fn check_function(&self, index: usize, token: &Token) -> Result<(), Refusal> {
        // A sequence's next value, as Oracle writes it.
        if token.kind == TokenKind::Member && self.text(token).eq_ignore_ascii_case("NEXTVAL") {
            return Err(self.refused("nextval", token));
        }
        let Some(name) = self.called(index, token) else { return Ok(()) };
        let upper = name.to_ascii_uppercase();
        if FUNCTIONS.contains(&upper.as_str()) || FAMILIES.iter().any(|family| upper.starts_with(family)) {
            return Err(self.refused(&format!("{}()", shown(&upper)), token));
        }
        Ok(())
    }

    fn refused(&self, what: &str, token: &Token) -> Refusal {
        let hint = match what {
            "INTO" => "remove INTO: the rows go to the step's table",
            "UPDATE" | "FOR SHARE" | "LOCK" => {
                "remove the locking clause; the step reads a consistent snapshot without it"
            }
            _ => "only read-only statements are accepted; if it is a name, quote it",
        };
        Refusal::new(format!("`{what}` is not allowed: an extractor only reads"), hint, token.start)
    }
}

/// A word short enough to be one.
fn shown(word: &str) -> &str {
    if word.len() <= 32 && word.is_ascii() { word } else { "..." }
}
