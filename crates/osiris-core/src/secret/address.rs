//! Secrets in addresses: the password before the host, and the values of parameters that are called like secrets, as
//! in `https://user:password@host/?token=abc`.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::name::is_secret_parameter;
use super::{Redactor, is_reference, masked};

/// A text with [`MASK`](super::MASK) in place of the secrets of every address in it; borrowed when there is none. A variable stays.
pub fn mask_addresses(text: &str) -> Cow<'_, str> {
    let parts = parts(text);
    if parts.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(masked(text, parts)) }
}

/// Whether an address in the text has a secret that is written out.
pub fn has_secret_address(text: &str) -> bool {
    !parts(text).is_empty()
}

/// The text of a field called `name` with [`MASK`](super::MASK) in place of a password that stands where none belongs: `user:password`
/// as the user, `password@host` as the host. Borrowed when there is none. A variable stays.
pub fn mask_login<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    match login(name, text) {
        Some(part) => Cow::Owned(masked(text, [part])),
        None => Cow::Borrowed(text),
    }
}

impl Redactor {
    /// Adds the password that stands in the field of a user or a host: see [`mask_login`].
    pub fn add_login(&mut self, name: &str, text: &str) {
        if let Some(part) = login(name, text) {
            self.add(&text[part]);
        }
    }

    /// Adds the secrets of every address in a text, as they stand there and decoded.
    pub fn add_addresses(&mut self, text: &str) {
        for part in parts(text) {
            self.add(&text[part.clone()]);
            self.add(&percent_decode_str(&text[part]).decode_utf8_lossy());
        }
    }

    /// The same for all texts of a value.
    pub fn add_addresses_of(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add_addresses(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_addresses_of(item)),
            Value::Object(fields) => fields.values().for_each(|item| self.add_addresses_of(item)),
            _ => {}
        }
    }
}

/// The bytes of the password in the field of a user or a host, whose names may have a prefix such as `pg_`. An address with a scheme is
/// looked at as an address.
fn login(name: &str, text: &str) -> Option<Range<usize>> {
    let is_called = |names: &[&str]| names.iter().any(|end| name == *end || name.ends_with(&format!("_{end}")));
    let part = if text.contains("://") {
        None
    } else if is_called(&["user", "username"]) {
        password(text, 0..text.len())
    } else if is_called(&["host", "hostname", "server"]) {
        text.rfind('@').map(|at| 0..at)
    } else {
        None
    };
    part.filter(|part| !part.is_empty() && !is_reference(&text[part.clone()]))
}

/// The bytes of the secrets of all addresses, in order.
fn parts(text: &str) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (at, scheme) in text.match_indices("://") {
        let start = at + scheme.len();
        // An address in the parameter of another one was looked at with it.
        if parts.last().is_some_and(|last| last.end > at) {
            continue;
        }
        let end = text[start..].find(ends_address).map_or(text.len(), |length| start + length);
        let end = beyond_quote(&text[start..], end - start).map_or(end, |length| start + length);
        let host = user(&text[start..end]).map_or(start, |length| start + length);
        parts.extend(password(text, start..host));
        parts.extend(parameters(text, host..end));
    }
    // What is a variable is no secret, and an empty text is none.
    parts.retain(|part| !text[part.clone()].is_empty() && !is_reference(&text[part.clone()]));
    parts
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// The end of an address whose password has one quote in it: `user:it's@host`. `end` is where the quote would end it.
fn beyond_quote(text: &str, end: usize) -> Option<usize> {
    let (address, rest) = text.split_at(end);
    let (_, after) = address.split_once(':')?;
    let has_password = after.contains(|c: char| !c.is_ascii_digit()) && !address.contains(['@', '/', '?', '#']);
    let at = rest.find(|c: char| c == '@' || c.is_whitespace()).filter(|at| rest[*at..].starts_with('@'))?;
    let is_alone = rest[..at].matches(ends_address).count() == 1;
    (has_password && is_alone).then(|| {
        let host = end + at + 1;
        text[host..].find(ends_address).map_or(text.len(), |length| host + length)
    })
}

/// The length of the user and the password, up to the `@` that ends them.
fn user(address: &str) -> Option<usize> {
    let authority = address.find(['/', '?', '#']).unwrap_or(address.len());
    if let Some(at) = address[..authority].rfind('@') {
        return Some(at);
    }
    // A password may be written without encoding: `user:pa/ss@host`. Behind the colon of a host there is a number.
    let (before, after) = address[..authority].split_once(':')?;
    let is_port = !after.is_empty() && after.chars().all(|c| c.is_ascii_digit());
    let is_host = before.starts_with('[') || (is_port && !address[authority..].starts_with('#'));
    (!before.is_empty() && !is_host).then(|| address.rfind('@')).flatten()
}

/// The password in `user:password`. A variable may stand for the user, with a colon of its own.
fn password(text: &str, user: Range<usize>) -> Option<Range<usize>> {
    let name = &text[user.clone()];
    let from = if name.starts_with("${") { name.find('}')? } else { 0 };
    let colon = from + name[from..].find(':')?;
    Some(user.start + colon + 1..user.end)
}

/// The values of secret parameters, those behind `#` included.
fn parameters(text: &str, address: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = text[address.clone()].find(['?', '#']).map_or(address.end, |length| address.start + length + 1);
    while at < address.end {
        let end = text[at..address.end].find(['&', ';', '?', '#']).map_or(address.end, |length| at + length);
        if let Some((name, value)) = text[at..end].split_once('=')
            && is_secret_parameter(&percent_decode_str(name).decode_utf8_lossy())
        {
            found.push(end - value.len()..end);
        }
        at = end + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_lose_their_secrets_and_nothing_else() {
        for (text, masked) in [
            ("https://u:pw@h/x", "https://u:***@h/x"),
            ("https://user:a@b@host/?token=abc", "https://user:***@host/?token=***"),
            ("mysql://u:p/w?x@h:3306/db", "mysql://u:***@h:3306/db"),
            (
                "https://h/?page=1&api_key=abc&x=2#access_token=def",
                "https://h/?page=1&api_key=***&x=2#access_token=***",
            ),
            ("https://h/?X%2DAmz%2DSignature=abc", "https://h/?X%2DAmz%2DSignature=***"),
            (
                "see 'https://u:p@h' and https://v:q@i?key=k now",
                "see 'https://u:***@h' and https://v:***@i?key=*** now",
            ),
            ("https://h/?token=https://u:p@i", "https://h/?token=***"),
            ("https://u:/secret@h/", "https://u:***@h/"),
            ("mysql://u:#secret@h/db", "mysql://u:***@h/db"),
            ("https://user:2024#Spring@h/", "https://user:***@h/"),
            ("postgres://app:it's4me@db/x", "postgres://app:***@db/x"),
            ("'postgres://app:a<b@db/x' is", "'postgres://app:***@db/x' is"),
            ("https://ů:ř@h/é?token=ů", "https://ů:***@h/é?token=***"),
        ] {
            assert_eq!(mask_addresses(text), masked);
        }
        for text in [
            "https://h/x",
            "https://h:8080/@vite/client",
            "https://u@h/",
            "https://:@h",
            "https://u:${PW}@h/?token=${TOKEN}",
            "https://${U:-me}:${PW}@h/",
            "https://[::1]:8080/@x",
            "user:password@host",
            "a ? b : c",
            "://",
            "https://h/?token",
            r#"{"url":"https://h:${PORT}","mail":"a@b"}"#,
            "'https://h:port' and a@b",
            "https://h/?token=",
            "https://h/?page=1",
        ] {
            assert!(matches!(mask_addresses(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_user_or_a_host_is_masked() {
        for (name, text, masked) in [
            ("user", "u:hunter2", "u:***"),
            ("pg_username", "${U:-me}:hunter2", "${U:-me}:***"),
            ("host", "hunter2@h", "***@h"),
            ("pg_host", "u:p@ss@h:1", "***@h:1"),
        ] {
            assert_eq!(mask_login(name, text), masked);
        }
        for (name, text) in [
            ("user", "u@server"),
            ("user", "${U:-me}"),
            ("user", "u:${PW}"),
            ("host", "h:3306"),
            ("host", "::1"),
            ("host", "@abstract"),
            ("host", "${PW}@h"),
            ("host", "https://u@h"),
            ("database", "a:b@c"),
            ("superuser", "a:b"),
        ] {
            assert!(matches!(mask_login(name, text), Cow::Borrowed(_)), "{name}: {text}");
        }
        let mut redactor = Redactor::default();
        redactor.add_login("user", "u:hunter2");
        redactor.add_login("host", "s3cr3t!!@h");
        assert_eq!(redactor.scrub("s3cr3t!!@h:1 as `u:hunter2`"), "***@h:1 as `u:***`");
    }

    #[test]
    fn the_secrets_of_an_address_are_known_by_themselves() {
        let mut redactor = Redactor::default();
        redactor.add_addresses("https://u:pa%24%24w0rd@h/?token=abcd1234");
        assert_eq!(redactor.scrub("pa$$w0rd, pa%24%24w0rd, abcd1234, u"), "***, ***, ***, u");
    }

    proptest! {
        #[test]
        fn no_password_and_no_token_is_left(
            user in "[a-z]{1,4}",
            password in "[!-~&&[^\"'`<>$@]]{1,8}",
            token in "[!-~&&[^\"'`<>$@&;?#]]{1,8}",
            around in "[^:]{0,8}",
        ) {
            let address = format!("https://{user}:Q{password}Q@h/?x=1&token=Q{token}Q");
            let text = format!("{around} {address}");
            let masked = mask_addresses(&text);
            let expected = format!("https://{user}:***@h/?x=1&token=***");
            prop_assert_eq!(masked, format!("{around} {expected}"));
        }

        #[test]
        fn any_text_can_be_masked(text in "(://|[a:@/?#&=ů ${}]|token){0,20}") {
            let masked = mask_addresses(&text).into_owned();
            prop_assert_eq!(mask_addresses(&masked).into_owned(), masked);
        }
    }
}
