//! What SQLite may be asked: one SELECT, WITH or VALUES statement, with nothing in it that writes. What SQLite itself
//! refuses (a file that is opened read-only, no extensions) is the second safeguard.
//!
//! Facts: <https://www.sqlite.org/lang_keywords.html>, <https://www.sqlite.org/lang_comment.html>, `tokenize.c`.

use super::{ReadingKind, ReadingStatement, Refusal, check_brackets};

const ONE_STATEMENT: &str = "write one SELECT, WITH or VALUES statement";
/// Reserved words of statements that a WITH may begin. No unquoted name can be one of them.
const CHANGING: [&str; 3] = ["DELETE", "INSERT", "UPDATE"];
/// Functions that load code, or that the shell adds to write files.
const FUNCTIONS: [&str; 3] = ["EDIT", "LOAD_EXTENSION", "WRITEFILE"];

/// A piece of the statement that is neither space nor comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// A word without quotes.
    Word(usize, usize),
    /// A name or a text in quotes.
    Quoted(usize, usize),
    /// Any other character.
    Symbol(u8, usize),
}

impl Token {
    fn start(self) -> usize {
        match self {
            Self::Word(start, _) | Self::Quoted(start, _) | Self::Symbol(_, start) => start,
        }
    }

    fn end(self) -> usize {
        match self {
            Self::Word(_, end) | Self::Quoted(_, end) => end,
            Self::Symbol(_, start) => start + 1,
        }
    }

    fn is_symbol(self, symbol: u8) -> bool {
        matches!(self, Self::Symbol(found, _) if found == symbol)
    }

    fn word(self, sql: &str) -> Option<String> {
        matches!(self, Self::Word(..)).then(|| sql[self.start()..self.end()].to_ascii_uppercase())
    }
}

pub(super) fn check(sql: &str) -> Result<ReadingStatement<'_>, Refusal> {
    let mut all = tokens(sql)?;
    while all.last().is_some_and(|token| token.is_symbol(b';')) {
        all.pop();
    }
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return Err(Refusal::new("the query is empty", ONE_STATEMENT, 0));
    };
    match first.word(sql).as_deref() {
        Some("SELECT" | "WITH" | "VALUES") => {}
        _ => return Err(Refusal::new("this is not a statement that reads", ONE_STATEMENT, first.start())),
    }
    for (index, token) in all.iter().enumerate() {
        check_token(sql, *token, all.get(index + 1).copied())?;
    }
    Ok(ReadingStatement { text: &sql[first.start()..last.end()], kind: ReadingKind::Query })
}

pub(super) fn check_fragment(sql: &str) -> Result<(), Refusal> {
    check_brackets(tokens(sql)?.into_iter().filter_map(|token| match token {
        Token::Symbol(symbol, at) => Some((symbol, at)),
        _ => None,
    }))
}

/// The statement with its names in double quotes in backticks instead.
pub(super) fn with_strict_names(sql: &str) -> Result<String, Refusal> {
    let (mut strict, mut at) = (String::with_capacity(sql.len()), 0);
    for token in tokens(sql)? {
        let text = &sql[token.start()..token.end()];
        if let Some(name) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            strict.push_str(&sql[at..token.start()]);
            strict.push_str(&format!("`{}`", name.replace("\"\"", "\"").replace('`', "``")));
            at = token.end();
        }
    }
    Ok(strict + &sql[at..])
}

fn check_token(sql: &str, token: Token, next: Option<Token>) -> Result<(), Refusal> {
    let refused = |what: &str| {
        let hint = "only read-only statements are accepted; if it is a name, quote it";
        Err(Refusal::new(format!("`{what}` is not allowed: an extractor only reads"), hint, token.start()))
    };
    match token {
        Token::Symbol(b';', at) => {
            Err(Refusal::new("more than one statement", "keep the first and remove the rest", at))
        }
        Token::Symbol(symbol @ (b'?' | b':' | b'@' | b'$' | b'#'), at) => Err(Refusal::new(
            format!("a `{}` outside of a string: parameters are not supported", char::from(symbol)),
            "write the value, or use a pipeline parameter `${params.name}`",
            at,
        )),
        Token::Symbol(..) | Token::Quoted(..) => Ok(()),
        Token::Word(..) => {
            let word = token.word(sql).unwrap_or_default();
            let is_called = next.is_some_and(|next| next.is_symbol(b'('));
            let is_into = next.and_then(|next| next.word(sql)).is_some_and(|next| next == "INTO");
            let changes = CHANGING.contains(&word.as_str())
                || (word == "REPLACE" && is_into)
                || (is_called && FUNCTIONS.contains(&word.as_str()));
            if changes { refused(&word) } else { Ok(()) }
        }
    }
}

/// Splits `sql` into tokens; what is not closed is an error, though SQLite takes a comment that ends with the text.
fn tokens(sql: &str) -> Result<Vec<Token>, Refusal> {
    let bytes = sql.as_bytes();
    let (mut at, mut tokens) = (0, Vec::new());
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    while let Some(byte) = bytes.get(at).copied() {
        let rest = &sql[at..];
        match byte {
            b' ' | b'\t' | b'\n' | 0x0c | b'\r' => at += 1,
            b'-' if rest.starts_with("--") => at += rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => match rest[2..].find("*/") {
                Some(length) => at += length + 4,
                None => return Err(Refusal::new("a comment is not closed", "close it", at)),
            },
            b'\'' | b'"' | b'`' | b'[' => {
                let end = at
                    + quoted(rest, byte).ok_or_else(|| {
                        let what = if byte == b'\'' { "a string" } else { "a quoted name" };
                        Refusal::new(format!("{what} is not closed"), "close it", at)
                    })?;
                tokens.push(Token::Quoted(at, end));
                at = end;
            }
            byte if is_word(byte) => {
                let more = |byte: &u8| is_word(*byte) || *byte == b'$';
                let end = at + bytes[at..].iter().take_while(|byte| more(byte)).count();
                tokens.push(Token::Word(at, end));
                at = end;
            }
            byte if byte < b' ' || byte == 0x7f => {
                return Err(Refusal::new("a control character outside of a string", "remove it", at));
            }
            byte => {
                tokens.push(Token::Symbol(byte, at));
                at += 1;
            }
        }
    }
    Ok(tokens)
}

/// The length of what is quoted at the beginning of `text`: a doubled quote stands for one, but not in brackets.
fn quoted(text: &str, quote: u8) -> Option<usize> {
    if quote == b'[' {
        return text.find(']').map(|end| end + 1);
    }
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == quote)?;
        if bytes.get(at + 1) != Some(&quote) {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_read_are_accepted_without_what_stands_around_them() {
        for sql in [
            "SELECT 1",
            " /* a */ SELECT replace(a, 'x;', '--') AS [update], \"delete\" FROM `insert` -- ;\n ; ",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "VALUES (1, x'00'), (2, 'it''s')",
            "SELECT replace, release FROM t--comment",
        ] {
            assert!(check(sql).is_ok(), "{sql}");
        }
        assert_eq!(check(" SELECT 1 ; -- done").map(|statement| statement.text()), Ok("SELECT 1"));
    }

    #[test]
    fn names_in_double_quotes_cannot_be_texts() {
        for (sql, strict) in [
            ("SELECT \"a\"\"b`\" -- \"c\"", "SELECT `a\"b``` -- \"c\""),
            ("SELECT '\"a\"', [\"b\"], t.\"c\"", "SELECT '\"a\"', [\"b\"], t.`c`"),
        ] {
            assert_eq!(with_strict_names(sql).unwrap(), strict);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (sql, why) in [
            ("", "empty"),
            ("; ;", "empty"),
            ("PRAGMA user_version = 1", "not a statement that reads"),
            ("ATTACH 'x' AS y", "not a statement that reads"),
            ("SELECT 1; DROP TABLE t", "more than one"),
            ("WITH x AS (SELECT 1) DELETE FROM t", "`DELETE`"),
            ("WITH x AS (SELECT 1) replace /* */ into t SELECT 1", "`REPLACE`"),
            ("SELECT load_extension('x')", "`LOAD_EXTENSION`"),
            ("SELECT ?1", "parameters"),
            ("SELECT :a", "parameters"),
            ("SELECT 'a", "not closed"),
            ("SELECT [a", "not closed"),
            ("SELECT 1 /* a", "not closed"),
            ("SELECT \u{1}", "control"),
        ] {
            let refusal = check(sql).unwrap_err();
            assert!(refusal.message().contains(why), "{sql}: {}", refusal.message());
        }
    }
}
