//! The addresses of a copy: a path, a connection of the project, or a connection in one line.

use std::collections::BTreeSet;
use std::sync::Arc;

use osiris_core::{ConnectionRef, Driver, Error, Registry, Result};
use serde_json::{Map, Value, json};

/// The scheme of files.
const FILE: &str = "file";

/// Where rows are or go.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Address {
    pub(super) family: &'static str,
    pub(super) connection: Connection,
    /// What is meant over the connection: a table, a path.
    pub(super) name: Option<String>,
}

/// How the connection of an address is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Connection {
    /// None is needed.
    None,
    /// It is in the connections file.
    Named(ConnectionRef),
    /// The address has its fields.
    Fields(Map<String, Value>),
}

impl Address {
    /// Parses what a user typed.
    ///
    /// # Errors
    /// It leads nowhere; says what to write.
    pub(super) fn parse(text: &str, registry: &Registry) -> Result<Self> {
        if text.starts_with('@') {
            return named(text, registry);
        }
        let Some((scheme, rest)) = scheme(text) else { return file(text, registry) };
        if let Some(driver) = of_scheme(scheme, registry) {
            let is_of_files = of_scheme(FILE, registry).is_some_and(|files| Arc::ptr_eq(files, driver));
            return match scheme {
                FILE => file(rest.strip_prefix("//").unwrap_or(rest), registry),
                _ if is_of_files => object(driver.as_ref(), text),
                _ => url(driver.as_ref(), rest),
            };
        }
        // A file may have a colon in its name.
        match rest.starts_with("//") {
            false => file(text, registry),
            true => Err(unknown_scheme(scheme, registry)),
        }
    }
}

/// The beginning of a text up to a colon, where that can be a scheme. One letter is a drive.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

fn of_scheme<'a>(scheme: &str, registry: &'a Registry) -> Option<&'a Arc<dyn Driver>> {
    registry.iter().find(|driver| driver.family().schemes().contains(&scheme.to_ascii_lowercase().as_str()))
}

fn unknown_scheme(scheme: &str, registry: &Registry) -> Error {
    Error::validation(format!("unknown scheme `{scheme}`")).with_hint(known_addresses(registry))
}

fn unknown_address(registry: &Registry) -> Error {
    Error::validation("cannot parse an address").with_hint(known_addresses(registry))
}

fn known_addresses(registry: &Registry) -> String {
    let mut known: Vec<&str> = registry.iter().flat_map(|driver| driver.family().schemes()).copied().collect();
    known.sort_unstable();
    known.dedup();
    format!("known schemes: {}; a connection of the project is `@family.alias.table`", known.join(", "))
}

fn file(path: &str, registry: &Registry) -> Result<Address> {
    let driver = of_scheme(FILE, registry).ok_or_else(|| Error::validation("this build cannot read or write files"))?;
    if path.is_empty() {
        return Err(Error::validation("a path is empty").with_hint("name a file, or `-` for the standard streams"));
    }
    // It may hold a password: it is not shown.
    let has_user = path.split_once('@').is_some_and(|(before, _)| before.contains(':'));
    if path.contains("://") || has_user {
        return Err(unknown_address(registry));
    }
    Ok(Address { family: driver.family().name(), connection: Connection::None, name: Some(path.to_owned()) })
}

/// `s3://bucket/key`, with fields of the connection behind a `?`. A `?` that no `=` follows is a wildcard.
fn object(driver: &dyn Driver, text: &str) -> Result<Address> {
    let with_parameters = text.rsplit_once('?').filter(|(_, parameters)| parameters.contains('='));
    let (path, parameters) = with_parameters.unwrap_or((text, ""));
    if path.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|bucket| bucket.contains('@')))
    {
        // It may hold a password: it is not shown.
        return Err(Error::validation("an address of a store has no user and no password").with_hint(format!(
            "name a connection, `@{}.alias/key`, or add its fields: `SCHEME://BUCKET/KEY?name=value&name=value`",
            driver.family().name()
        )));
    }
    let mut fields = Map::new();
    parse_parameters(driver, parameters, &mut fields)?;
    let connection = if fields.is_empty() { Connection::None } else { Connection::Fields(coerced(driver, fields)?) };
    Ok(Address { family: driver.family().name(), connection, name: Some(path.to_owned()) })
}

/// `@family.alias`, `@family.alias.table`, `@family.alias/path`.
fn named(text: &str, registry: &Registry) -> Result<Address> {
    let malformed = || {
        // It may hold a password: it is not shown.
        Error::validation("an address that begins with `@` does not name a connection")
            .with_hint("write `@family.alias.table`, such as `@mysql.shop.orders`")
    };
    let (family, rest) = text[1..].split_once('.').ok_or_else(malformed)?;
    let end = rest.find(['.', '/']).unwrap_or(rest.len());
    let (alias, name) = rest.split_at(end);
    let reference: ConnectionRef = format!("@{family}.{alias}").parse().map_err(|_| malformed())?;
    let found = registry.iter().find(|driver| driver.spec().family() == family);
    let Some(driver) = found else {
        // The registry knows which feature a family comes with, and what is spelled alike.
        return Err(registry.get(&format!("{family}.extractor")).err().unwrap_or_else(malformed));
    };
    let name = name.get(1..).filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(Address { family: driver.family().name(), connection: Connection::Named(reference), name })
}

/// What follows `scheme:`, as the fields of the family's connection.
fn url(driver: &dyn Driver, rest: &str) -> Result<Address> {
    let schema = driver.connection_schema();
    let family = driver.family().name();
    let has_server = schema.field_named("host").is_some();
    let (mut fields, place) = match rest.strip_prefix("//") {
        Some(rest) if has_server => user(rest)?,
        None if has_server => {
            return Err(Error::validation("an address of a server begins with `//` after its scheme")
                .with_hint(format!("write `{family}://user@host/database.table`")));
        }
        path => (Map::new(), path.unwrap_or(rest)),
    };
    let (place, fragment) = place.split_once('#').map_or((place, None), |(place, fragment)| (place, Some(fragment)));
    let (place, parameters) = place.split_once('?').unwrap_or((place, ""));
    let mut name = fragment.map(decoded).transpose()?;
    if has_server {
        let (host, path) = place.split_once('/').unwrap_or((place, ""));
        server(host, &mut fields)?;
        let path = decoded(path)?;
        let (database, table) = match path.split_once(['/', '.']) {
            Some((database, table)) if name.is_none() => (database, Some(table.to_owned())),
            _ => (path.as_str(), None),
        };
        if !database.is_empty() {
            fields.insert("database".to_owned(), json!(database));
        }
        name = name.or(table);
    } else {
        let path = std::path::absolute(decoded(place)?)?;
        fields.insert("path".to_owned(), json!(path));
    }
    parse_parameters(driver, parameters, &mut fields)?;
    let fields = coerced(driver, fields)?;
    let name = name.filter(|name| !name.is_empty());
    Ok(Address { family, connection: Connection::Fields(fields), name })
}

/// `name=value&name=value` as fields of the driver's connection.
fn parse_parameters(driver: &dyn Driver, parameters: &str, fields: &mut Map<String, Value>) -> Result<()> {
    let (schema, family) = (driver.connection_schema(), driver.family().name());
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let (field, value) = parameter.split_once('=').unwrap_or((parameter, "true"));
        let (field, value) = as_field(field, decoded(value)?);
        let Some(known) = schema.field_named(&field) else {
            return Err(Error::validation(format!("unknown parameter `{field}` in an address of `{family}`"))
                .with_hint(format!("the fields of the connection: `osiris components show {}`", driver.spec().name)));
        };
        fields.insert(known.to_owned(), json!(value));
    }
    Ok(())
}

/// The fields with numbers and truth values, which are text in an address.
fn coerced(driver: &dyn Driver, fields: Map<String, Value>) -> Result<Map<String, Value>> {
    let pointers: BTreeSet<String> = fields.keys().map(|field| format!("/{field}")).collect();
    let mut fields = Value::Object(fields);
    driver.connection_schema().coerce(&mut fields, &pointers);
    match fields {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::unknown("the fields of an address are no object")),
    }
}

/// `user:password@`, which may be missing, and what follows it. The last `@` ends it: a password may hold any character. What can be
/// read in two ways is refused: a password must not go to a server that nobody has named.
fn user(text: &str) -> Result<(Map<String, Value>, &str)> {
    let mut fields = Map::new();
    let Some((user, rest)) = text.rsplit_once('@') else { return Ok((fields, text)) };
    if user.split_once('@').is_some_and(|(_, first)| is_place(first)) {
        return Err(Error::validation(
            "an address has more than one `@`, and it is not clear which of them ends the password",
        )
        .with_hint("write `%40` for every other `@`"));
    }
    let (user, password) = user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
    fields.insert("user".to_owned(), json!(decoded(user)?));
    if let Some(password) = password {
        fields.insert("password".to_owned(), json!(decoded(password)?));
    }
    Ok((fields, rest))
}

/// Whether a text begins as what follows the password does, up to where an `@` may stand again: `host:port/database?name=` or
/// `host:port/database#name`.
fn is_place(text: &str) -> bool {
    let Some((host, path)) = text.split_once('/') else { return false };
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || ".-_:[]".contains(letter);
    let end =
        path.find(|letter: char| !letter.is_ascii_alphanumeric() && !".-_".contains(letter)).unwrap_or(path.len());
    let (database, rest) = path.split_at(end);
    let begins_with_name = |rest: &str| rest.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let is_end = match rest.split_at_checked(1) {
        Some(("?", parameters)) => begins_with_name(parameters) && parameters.contains('='),
        Some(("#", table)) => begins_with_name(table),
        _ => false,
    };
    !host.is_empty() && host.chars().all(is_host) && !database.is_empty() && is_end
}

/// `host:port`, `[::1]:port`.
fn server(text: &str, fields: &mut Map<String, Value>) -> Result<()> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if !host.is_empty() {
        fields.insert("host".to_owned(), json!(decoded(host)?));
    }
    if let Some(port) = port {
        let port = match port.parse::<u16>() {
            Ok(port) => json!(port),
            Err(_) if port.starts_with("${") => json!(port),
            Err(_) => {
                return Err(Error::validation("invalid port in an address: expected a number from 1 to 65535")
                    .with_hint("write `%40` for an `@`, and `%2F` for a `/`, in the user's name"));
            }
        };
        fields.insert("port".to_owned(), port);
    }
    Ok(())
}

/// The field that a parameter stands for. libpq's names are what people type.
fn as_field(name: &str, value: String) -> (String, String) {
    if name != "sslmode" {
        return (name.to_owned(), value);
    }
    let mode = match value.as_str() {
        "disable" => "disabled",
        "allow" | "prefer" => "preferred",
        "require" => "required",
        other => other,
    };
    ("tls".to_owned(), mode.to_owned())
}

/// `%40` is `@`. A `%` that no two hexadecimal digits follow stands for itself.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::validation("an address is not UTF-8 once its `%` escapes are decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_any_character_escaped_or_not() {
        for (text, password, rest) in [
            ("u:p@ss/w+rd=#?&@h:1/db.t?tls=required", "p@ss/w+rd=#?&", "h:1/db.t?tls=required"),
            ("u:p%40ss%2Fw@h/db", "p@ss/w", "h/db"),
            ("u:100%@h", "100%", "h"),
            ("u:50%+5%4@h", "50%+5%4", "h"),
            ("u:${SHOP_PASSWORD}@h", "${SHOP_PASSWORD}", "h"),
        ] {
            let (fields, found) = user(text).unwrap();
            assert_eq!((fields["password"].as_str(), found), (Some(password), rest), "{text}");
        }
        assert_eq!(user("h/db.t").unwrap(), (Map::new(), "h/db.t"));
        assert!(user("u:pw@db/shop.t?ssl_ca=/etc/ca@corp.pem").is_err());
        assert!(user("u:pw@h:1/db#public.a@b").is_err());
        assert!(decoded("%ff").is_err());
    }

    #[test]
    fn servers_have_names_addresses_and_ports() {
        let of = |text| {
            let mut fields = Map::new();
            server(text, &mut fields).map(|()| Value::Object(fields))
        };
        assert_eq!(of("db.example.com:3307").unwrap(), json!({"host": "db.example.com", "port": 3307}));
        assert_eq!(of("[::1]:5432").unwrap(), json!({"host": "::1", "port": 5432}));
        assert_eq!(of("").unwrap(), json!({}));
        assert_eq!(of("h:${PORT}").unwrap(), json!({"host": "h", "port": "${PORT}"}));
        assert!(of("h:70000").is_err());
    }

    #[test]
    fn a_drive_and_a_name_with_a_colon_are_no_scheme_of_an_address() {
        assert_eq!(scheme("C:\\data.csv"), None);
        assert_eq!(scheme("12:30.csv"), None);
        assert_eq!(scheme("mysql://h/db"), Some(("mysql", "//h/db")));
    }
}
