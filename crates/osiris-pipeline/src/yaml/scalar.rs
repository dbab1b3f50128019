//! What a plain scalar means: the YAML 1.2 core schema, less what would change a value in silence.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::Number;

use super::{NodeKind, Style, Text};

/// Converts the style of the parser.
pub(super) fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// The value of a scalar.
///
/// # Errors
/// Its tag is not supported or does not match.
pub(super) fn resolve(text: &str, style: Style, tag: Option<&Tag>) -> Result<NodeKind, String> {
    let string = || NodeKind::String(Text { value: text.to_owned(), style });
    let Some(tag) = tag else {
        return Ok(if style == Style::Plain { plain(text).unwrap_or_else(string) } else { string() });
    };
    if tag.is_yaml_core_schema() && tag.suffix == "str" {
        return Ok(string());
    }
    if !tag.is_yaml_core_schema() || !matches!(tag.suffix.as_str(), "null" | "bool" | "int" | "float") {
        return Err(format!("the tag `{}` is not supported", shown(tag)));
    }
    let kind = plain(text).filter(|kind| match (tag.suffix.as_str(), kind) {
        ("null", NodeKind::Null) | ("bool", NodeKind::Bool(_)) => true,
        ("int", NodeKind::Number(number)) => !number.is_f64(),
        ("float", NodeKind::Number(_)) => true,
        _ => false,
    });
    kind.ok_or_else(|| format!("the value does not match its tag `{}` says", shown(tag)))
}

/// A tag as it is written in a file.
pub(super) fn shown(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() }
}

/// Any value that is not a string.
fn plain(text: &str) -> Option<NodeKind> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(NodeKind::Null),
        "true" | "True" | "TRUE" => Some(NodeKind::Bool(true)),
        "false" | "False" | "FALSE" => Some(NodeKind::Bool(false)),
        _ => number(text).map(NodeKind::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') || has_leading_zero(digits) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        return unsigned.parse::<i64>().map(Number::from).or_else(|_| unsigned.parse::<u64>().map(Number::from)).ok();
    }
    if !is_float(digits) {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

fn has_leading_zero(digits: &str) -> bool {
    matches!(digits.as_bytes(), [b'0', second, ..] if second.is_ascii_digit())
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` of the core schema.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok = all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    mantissa_ok && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> serde_json::Value {
        let kind = resolve(text, Style::Plain, None).unwrap();
        super::super::Node { span: crate::source::Span::default(), kind }.to_json()
    }

    #[test]
    fn the_core_schema_decides() {
        for (text, value) in [
            ("", "null"),
            ("~", "null"),
            ("Null", "null"),
            ("true", "true"),
            ("FALSE", "false"),
            ("0", "0"),
            ("-17", "-17"),
            ("+5", "5"),
            ("18446744073709551615", "18446744073709551615"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("1.", "1.0"),
            ("1e3", "1000.0"),
            ("-2.5E-1", "-0.25"),
            ("0.10", "0.1"),
        ] {
            assert_eq!(json(text).to_string(), value, "{text}");
        }
    }

    #[test]
    fn what_another_yaml_would_change_stays_text() {
        for text in [
            "no",
            "off",
            "yes",
            "y",
            "0o17",
            "017",
            "00123",
            "0x1f",
            "1_000",
            "2024-01-01",
            "12:30:45",
            "1,5",
            "1.2.3",
            ".",
            "-",
            "+",
            "e5",
            "1e",
            "1e+",
            ".inf",
            ".nan",
            "-.inf",
            "nan",
            "1e999",
            "99999999999999999999",
            "007.5",
            "tRue",
        ] {
            assert_eq!(json(text), serde_json::Value::from(text), "{text}");
        }
    }

    #[test]
    fn quotes_make_a_text() {
        assert_eq!(
            resolve("5", Style::Double, None).unwrap(),
            NodeKind::String(Text { value: "5".into(), style: Style::Double })
        );
    }
}
