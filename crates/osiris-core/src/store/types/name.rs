//! The names of types, as DuckDB writes and reads them.

use std::fmt;

use super::ColumnType;
use crate::store::quote;

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(precision, scale) => write!(f, "DECIMAL({precision},{scale})"),
            Self::List(item) => write!(f, "{item}[]"),
            Self::Array(item, size) => write!(f, "{item}[{size}]"),
            Self::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{} {field}", quote(name))?;
                }
                f.write_str(")")
            }
            Self::Map(key, value) => write!(f, "MAP({key}, {value})"),
            Self::Other(name) => f.write_str(name),
            simple => {
                f.write_str(SIMPLE.iter().find(|(_, known)| known == simple).map_or("VARCHAR", |(name, _)| *name))
            }
        }
    }
}

/// The types that are one word to DuckDB; the first name of a type is the one printed.
const SIMPLE: &[(&str, ColumnType)] = &[
    ("BOOLEAN", ColumnType::Boolean),
    ("TINYINT", ColumnType::TinyInt),
    ("SMALLINT", ColumnType::SmallInt),
    ("INTEGER", ColumnType::Integer),
    ("BIGINT", ColumnType::BigInt),
    ("HUGEINT", ColumnType::HugeInt),
    ("UTINYINT", ColumnType::UTinyInt),
    ("USMALLINT", ColumnType::USmallInt),
    ("UINTEGER", ColumnType::UInteger),
    ("UBIGINT", ColumnType::UBigInt),
    ("UHUGEINT", ColumnType::UHugeInt),
    ("FLOAT", ColumnType::Float),
    ("DOUBLE", ColumnType::Double),
    ("VARCHAR", ColumnType::Varchar),
    ("JSON", ColumnType::Json),
    ("BLOB", ColumnType::Blob),
    ("BIT", ColumnType::Bit),
    ("UUID", ColumnType::Uuid),
    ("DATE", ColumnType::Date),
    ("TIME", ColumnType::Time),
    ("TIMESTAMP", ColumnType::Timestamp),
    ("TIMESTAMP_NS", ColumnType::TimestampNs),
    ("INSTANT", ColumnType::Instant),
    ("INTERVAL", ColumnType::Interval),
];

/// Recursive descent over DuckDB's type names.
pub(super) struct Parser<'a> {
    pub(super) rest: &'a str,
}

impl Parser<'_> {
    pub(super) fn column_type(mut self) -> Option<ColumnType> {
        let parsed = self.nested()?;
        self.rest.trim().is_empty().then_some(parsed)
    }

    fn eat(&mut self, token: &str) -> bool {
        let trimmed = self.rest.trim_start();
        match trimmed.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn nested(&mut self) -> Option<ColumnType> {
        let mut parsed = self.base()?;
        while self.eat("[") {
            let close = self.rest.find(']')?;
            let size = self.rest[..close].trim();
            parsed = if size.is_empty() {
                ColumnType::List(Box::new(parsed))
            } else {
                ColumnType::Array(Box::new(parsed), size.parse().ok()?)
            };
            self.rest = &self.rest[close + 1..];
        }
        Some(parsed)
    }

    fn base(&mut self) -> Option<ColumnType> {
        if self.eat("STRUCT(") {
            let mut fields = Vec::new();
            loop {
                fields.push((self.name()?, self.nested()?));
                if self.eat(")") {
                    return Some(ColumnType::Struct(fields));
                }
                self.eat(",").then_some(())?;
            }
        }
        if self.eat("MAP(") {
            let key = self.nested()?;
            self.eat(",").then_some(())?;
            let value = self.nested()?;
            return self.eat(")").then(|| ColumnType::Map(Box::new(key), Box::new(value)));
        }
        if self.eat("DECIMAL(") {
            let close = self.rest.find(')')?;
            let (precision, scale) = self.rest[..close].split_once(',')?;
            let parsed = ColumnType::Decimal(precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            self.rest = &self.rest[close + 1..];
            return Some(parsed);
        }
        let word = self.other()?;
        let simple = SIMPLE.iter().find(|(name, _)| *name == word).map(|(_, simple)| simple.clone());
        Some(simple.unwrap_or(ColumnType::Other(word)))
    }

    /// A field name, quoted or not.
    fn name(&mut self) -> Option<String> {
        let rest = self.rest.trim_start();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            while let Some((index, c)) = chars.next() {
                if c != '"' {
                    name.push(c);
                } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                    name.push('"');
                } else {
                    self.rest = &quoted[index + 1..];
                    return Some(name);
                }
            }
            return None;
        }
        let end = rest.find(char::is_whitespace)?;
        self.rest = &rest[end..];
        Some(rest[..end].to_owned())
    }

    /// Everything up to a comma, bracket or closing parenthesis of the level we are on.
    fn other(&mut self) -> Option<String> {
        let rest = self.rest.trim_start();
        let (mut depth, mut quoted, mut end) = (0usize, false, rest.len());
        for (index, c) in rest.char_indices() {
            match c {
                '\'' => quoted = !quoted,
                _ if quoted => {}
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                ')' | ',' | '[' if depth == 0 => {
                    end = index;
                    break;
                }
                _ => {}
            }
        }
        self.rest = &rest[end..];
        let word = rest[..end].trim();
        (!word.is_empty()).then(|| word.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_were_written() {
        for name in [
            "INTEGER",
            "DECIMAL(18,3)",
            "VARCHAR[]",
            "DOUBLE[3][]",
            "STRUCT(\"a\" INTEGER, \"b \"\"c\" DECIMAL(38,0)[])",
            "MAP(VARCHAR, STRUCT(\"x\" TIMESTAMP)[])",
            "ENUM('a, b', 'it''s', ')')",
            "TIMESTAMP WITH TIME ZONE",
            "INSTANT[]",
        ] {
            assert_eq!(ColumnType::parse(name).to_string(), name);
        }
    }

    #[test]
    fn field_names_may_come_without_quotes() {
        let parsed = ColumnType::parse("STRUCT(a INTEGER, b VARCHAR)");
        let fields = vec![("a".to_owned(), ColumnType::Integer), ("b".to_owned(), ColumnType::Varchar)];
        assert_eq!(parsed, ColumnType::Struct(fields));
    }
}
