//! As much of Rust's syntax as it takes to find texts, and the keys of `json!`.

/// The tokens of a source, without comments.
pub(super) struct Tokens(Vec<Token>);

#[derive(PartialEq)]
enum Token {
    Text(String),
    Other(char),
}

impl Tokens {
    pub(super) fn of(source: &str) -> Self {
        let (mut tokens, mut rest) = (Vec::new(), source);
        while let Some(c) = rest.chars().next() {
            if rest.starts_with("//") {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
            } else if let Some((text, after)) = raw(rest).or_else(|| quoted(rest)) {
                tokens.push(Token::Text(text));
                rest = after;
            } else if let Some(after) = character(rest) {
                rest = after;
            } else {
                // A word is one token, so that the `r` at its end begins no raw text.
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                if !c.is_whitespace() {
                    tokens.push(Token::Other(c));
                }
                rest = &rest[length.max(c.len_utf8())..];
            }
        }
        Self(tokens)
    }

    /// All texts.
    pub(super) fn strings(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            Token::Other(_) => None,
        })
    }

    /// The texts that name a field of a value: `"a": 1` in `json!`, `config["a"] = ..`, `("a", ..)`, `.., "a", json!(..)`.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        (0..self.0.len()).filter_map(|at| {
            let Token::Text(text) = &self.0[at] else { return None };
            let other = |at: Option<usize>| match at.and_then(|at| self.0.get(at)) {
                Some(Token::Other(c)) => *c,
                _ => ' ',
            };
            let before = other(at.checked_sub(1));
            let after = [other(Some(at + 1)), other(Some(at + 2)), other(Some(at + 3))];
            let is_key = match (before, after) {
                (_, [':', next, _]) => next != ':',
                ('[', [']', '=', next]) => next != '=',
                ('(', [',', ..]) | (',', [',', 'j', '!']) => true,
                _ => false,
            };
            is_key.then(|| text.clone())
        })
    }
}

/// `r"..."` and `r#"..."#`.
fn raw(source: &str) -> Option<(String, &str)> {
    let after = source.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let text = after[hashes..].strip_prefix('"')?;
    let (text, after) = text.split_once(&format!("\"{}", "#".repeat(hashes)))?;
    Some((text.to_owned(), after))
}

/// `"..."` without its escapes.
fn quoted(source: &str) -> Option<(String, &str)> {
    let (mut text, mut rest) = (String::new(), source.strip_prefix('"')?);
    loop {
        let at = rest.find(['"', '\\'])?;
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix('"') {
            return Some((text, after));
        }
        let escaped = rest[1..].chars().next()?;
        rest = &rest[1 + escaped.len_utf8()..];
        match escaped {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            '\n' => rest = rest.trim_start(),
            other => text.push(other),
        }
    }
}

/// `'"'` and the like. A lifetime is none.
fn character(source: &str) -> Option<&str> {
    let after = source.strip_prefix('\'')?;
    let after = after.strip_prefix('\\').unwrap_or(after);
    let mut letters = after.chars();
    letters.next()?;
    letters.as_str().strip_prefix('\'')
}
