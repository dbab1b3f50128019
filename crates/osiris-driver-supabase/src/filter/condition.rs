//! A condition on rows: as a PostgREST query parameter, inside a PostgREST logic tree, or as SQL.

use super::name::{ColumnPath, quote_text};
use super::operator::Operator;
use osiris_driver_postgres::client::literal;

/// The operand of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A value, as text that PostgreSQL parses.
    Text(String),
    /// A list of values, of which one must match.
    List(Vec<String>),
    /// `null`, `true`, `false` or `unknown`.
    Word(&'static str),
    /// A search text and its language.
    Search { language: Option<String>, text: String },
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// A column compared with a value.
    Compare { column: ColumnPath, negated: bool, operator: Operator, operand: Operand },
    /// All of them.
    All(Vec<Condition>),
    /// At least one of them.
    Any(Vec<Condition>),
    /// Negation.
    Not(Box<Condition>),
}

impl Condition {
    /// `column operator value`, with an operator that takes one value, such as `eq`.
    pub(crate) fn compare(column: &str, operator: &'static str, value: impl Into<String>) -> Self {
        let operator = Operator::named(operator).unwrap_or(Operator::In);
        Self::Compare { column: ColumnPath::of(column), negated: false, operator, operand: Operand::Text(value.into()) }
    }

    /// `column is null`, or not.
    pub(crate) fn null(column: &str, is_null: bool) -> Self {
        Self::Compare {
            column: ColumnPath::of(column),
            negated: !is_null,
            operator: Operator::Is,
            operand: Operand::Word("null"),
        }
    }

    /// `column in (values)`.
    pub(crate) fn any_of(column: &str, values: Vec<String>) -> Self {
        Self::Compare {
            column: ColumnPath::of(column),
            negated: false,
            operator: Operator::In,
            operand: Operand::List(values),
        }
    }

    /// As a query parameter: name and value, not URL-encoded.
    pub(crate) fn parameter(&self) -> (String, String) {
        match self {
            Self::Compare { column, negated, operator, operand } => {
                let value = match operand {
                    // A single value is not quoted.
                    Operand::Text(text) => text.clone(),
                    other => other.in_tree(),
                };
                (column.query(), format!("{}{value}", prefix(*negated, *operator, operand)))
            }
            Self::All(conditions) => ("and".to_owned(), tree(conditions)),
            Self::Any(conditions) => ("or".to_owned(), tree(conditions)),
            Self::Not(condition) => match &**condition {
                Self::Any(conditions) => ("not.or".to_owned(), tree(conditions)),
                Self::All(conditions) => ("not.and".to_owned(), tree(conditions)),
                other => ("not.and".to_owned(), tree(std::slice::from_ref(other))),
            },
        }
    }

    /// Inside a logic tree.
    fn in_tree(&self) -> String {
        match self {
            Self::Compare { column, negated, operator, operand } => {
                format!("{}.{}{}", column.query(), prefix(*negated, *operator, operand), operand.in_tree())
            }
            Self::All(conditions) => format!("and{}", tree(conditions)),
            Self::Any(conditions) => format!("or{}", tree(conditions)),
            Self::Not(_) => {
                let (name, tree) = self.parameter();
                format!("{name}{tree}")
            }
        }
    }

    /// In SQL.
    ///
    /// # Errors
    /// For conditions that SQL does not support.
    pub(crate) fn sql(&self) -> Result<String, String> {
        match self {
            Self::Compare { column, negated, operator, operand } => {
                let condition = compared(&column.sql()?, *operator, operand);
                Ok(if *negated { format!("NOT ({condition})") } else { condition })
            }
            Self::All(conditions) => joined(conditions, " AND "),
            Self::Any(conditions) => joined(conditions, " OR "),
            Self::Not(condition) => Ok(format!("NOT ({})", condition.sql()?)),
        }
    }

    /// The columns that it compares.
    pub(crate) fn columns(&self) -> Vec<&ColumnPath> {
        match self {
            Self::Compare { column, .. } => vec![column],
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().flat_map(Self::columns).collect(),
            Self::Not(condition) => condition.columns(),
        }
    }
}

impl Operand {
    /// As an operand in a tree, where commas and parentheses are special.
    fn in_tree(&self) -> String {
        match self {
            Self::Text(text) => quote_text(text),
            Self::List(values) => {
                let quoted: Vec<String> = values.iter().map(|value| quote_text(value)).collect();
                format!("({})", quoted.join(","))
            }
            Self::Word(word) => (*word).to_owned(),
            Self::Search { text, .. } => quote_text(text),
        }
    }
}

fn prefix(negated: bool, operator: Operator, operand: &Operand) -> String {
    let not = if negated { "not." } else { "" };
    match operand {
        Operand::Search { language: Some(language), .. } => format!("{not}{}({language}).", operator.name()),
        _ => format!("{not}{}.", operator.name()),
    }
}

fn tree(conditions: &[Condition]) -> String {
    let parts: Vec<String> = conditions.iter().map(Condition::in_tree).collect();
    format!("({})", parts.join(","))
}

fn joined(conditions: &[Condition], word: &str) -> Result<String, String> {
    let parts = conditions.iter().map(Condition::sql).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("({})", parts.join(word)))
}

fn compared(column: &str, operator: Operator, operand: &Operand) -> String {
    match (operator, operand) {
        (Operator::Search(_, function), Operand::Search { language, text }) => {
            let language = language.as_ref().map(|language| format!("{}, ", literal(language)));
            format!("{column} @@ {function}({}{})", language.unwrap_or_default(), literal(text))
        }
        (Operator::Like(_, sql), Operand::Text(pattern)) => {
            format!("{column} {sql} {}", literal(&pattern.replace('*', "%")))
        }
        (Operator::Infix(_, sql), Operand::Text(text)) => format!("{column} {sql} {}", literal(text)),
        (_, Operand::Word(word)) => format!("{column} IS {}", word.to_uppercase()),
        // SQL has no empty list.
        (_, Operand::List(values)) if values.is_empty() => "FALSE".to_owned(),
        (_, Operand::List(values)) => {
            let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
            format!("{column} IN ({})", values.join(", "))
        }
        (_, Operand::Text(text) | Operand::Search { text, .. }) => format!("{column} = {}", literal(text)),
    }
}
