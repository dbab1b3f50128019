//! Parses operands in a configuration, strictly: an error says what to write instead.

use serde_json::Value;

use super::condition::Operand;
use super::literal;
use super::operator::Operator;

/// Operator and value of a string in PostgREST syntax; `None` if it is only a value.
pub(super) fn notation(text: &str) -> Option<(&str, &str)> {
    let after_not = text.strip_prefix("not.").unwrap_or(text);
    let (name, rest) = after_not.split_once('.')?;
    Operator::named(name.split('(').next()?)?;
    let end = text.len() - rest.len() - 1;
    Some((&text[..end], rest))
}

/// The operand of an operator, from a value of the configuration.
///
/// # Errors
/// With the syntax to use instead.
pub(super) fn operand(operator: Operator, language: Option<String>, value: &Value) -> Result<Operand, String> {
    let is_search = matches!(operator, Operator::Search(..));
    if let Some(language) = &language
        && !(is_search && !language.is_empty() && language.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    {
        return Err("only full-text search takes an argument in parentheses: the name of a text search configuration"
            .to_owned());
    }
    match (operator, value) {
        (Operator::Is, value) => word(value),
        (_, Value::Null) => Err("write `{is: null}` or `{not.is: null}`".to_owned()),
        (Operator::In, Value::Array(values)) => list(values),
        (Operator::In, Value::String(text)) => in_notation(text),
        (Operator::In, _) => Err("write a list: `[1, 2, 3]`".to_owned()),
        (operator, Value::Array(values)) if operator.takes_arrays() => Ok(Operand::Text(literal::array(values))),
        (operator, value @ Value::Object(_)) if operator.takes_arrays() => Ok(Operand::Text(value.to_string())),
        (_, Value::Array(_) | Value::Object(_)) => Err("write a single value".to_owned()),
        (Operator::Search(..), value) => Ok(Operand::Search { language, text: literal::scalar(value) }),
        (_, value) => Ok(Operand::Text(literal::scalar(value))),
    }
}

fn word(value: &Value) -> Result<Operand, String> {
    let word = match value {
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "null" => "null",
            "true" => "true",
            "false" => "false",
            "unknown" => "unknown",
            _ => "",
        },
        _ => "",
    };
    if word.is_empty() {
        Err("expected `null`, `true`, `false` or `unknown`".to_owned())
    } else {
        Ok(Operand::Word(word))
    }
}

fn list(values: &[Value]) -> Result<Operand, String> {
    let is_scalar = |value: &&Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    if values.is_empty() {
        return Err("the list is empty: no row would match".to_owned());
    }
    if !values.iter().all(|value| is_scalar(&value)) {
        return Err("expected strings, numbers, `true` and `false`; NULL equals nothing".to_owned());
    }
    Ok(Operand::List(values.iter().map(literal::scalar).collect()))
}

/// `(1,2,"a,b")`.
fn in_notation(text: &str) -> Result<Operand, String> {
    let refused = || "write a list (`[1, 2]`) or PostgREST's `in.(1,2)`".to_owned();
    let inside = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(refused)?;
    let mut values = Vec::new();
    let mut rest = inside;
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(_) => super::name::read_name(rest).map_err(|_| refused())?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        values.push(value);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => return Err(refused()),
        }
    }
    Ok(Operand::List(values))
}
