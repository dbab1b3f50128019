//! Configured column types: their names, and SQL that accepts text only if the type holds it exactly.

use osiris_core::problem::nearest;
use osiris_core::store::{quote, quote_text};
use osiris_core::{ColumnType, Problem};

use crate::config::{Dtype, ParseDates};

/// Names of types that pipelines written for pandas use.
const PANDAS: &[(&str, ColumnType)] = &[
    ("str", ColumnType::Varchar),
    ("string", ColumnType::Varchar),
    ("object", ColumnType::Varchar),
    ("text", ColumnType::Varchar),
    ("category", ColumnType::Varchar),
    ("int", ColumnType::BigInt),
    ("int8", ColumnType::TinyInt),
    ("int16", ColumnType::SmallInt),
    ("int32", ColumnType::Integer),
    ("int64", ColumnType::BigInt),
    ("uint8", ColumnType::UTinyInt),
    ("uint16", ColumnType::USmallInt),
    ("uint32", ColumnType::UInteger),
    ("uint64", ColumnType::UBigInt),
    ("float", ColumnType::Double),
    ("float32", ColumnType::Float),
    ("float64", ColumnType::Double),
    ("bool", ColumnType::Boolean),
    ("datetime", ColumnType::Timestamp),
    ("datetime64", ColumnType::Timestamp),
    ("datetime64[ns]", ColumnType::Timestamp),
    ("timestamptz", ColumnType::Instant),
    ("timestamp with time zone", ColumnType::Instant),
];

/// A configured column type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeclaredType {
    /// This type.
    Type(ColumnType),
    /// A date, a timestamp or a point in time, by ISO 8601.
    Dates,
    /// A date or timestamp of this format.
    Format(String),
}

impl DeclaredType {
    /// The type with this name.
    ///
    /// # Errors
    /// A problem that suggests the nearest name.
    pub(crate) fn named(pointer: String, name: &str) -> Result<Self, Problem> {
        let lower = name.trim().to_lowercase();
        if let Some((_, known)) = PANDAS.iter().find(|(pandas, _)| *pandas == lower) {
            return Ok(Self::Type(known.clone()));
        }
        let parsed = ColumnType::parse(&name.trim().to_uppercase());
        let too_wide = matches!(parsed, ColumnType::Decimal(precision, scale) if precision > 38 || scale > precision || precision == 0);
        if too_wide {
            return Err(Problem::error(
                pointer,
                format!("invalid type `{name}`: at most 38 digits, and a scale no greater than the number of digits"),
            ));
        }
        if !matches!(parsed, ColumnType::Other(_) | ColumnType::Blob | ColumnType::Bit) {
            return Ok(Self::Type(parsed));
        }
        let known = [
            "VARCHAR",
            "BIGINT",
            "INTEGER",
            "DOUBLE",
            "DECIMAL(18,2)",
            "BOOLEAN",
            "DATE",
            "TIMESTAMP",
            "TIMESTAMPTZ",
            "TIME",
            "UUID",
            "JSON",
        ];
        let problem = Problem::error(pointer, format!("`{name}` is not a type for text"));
        Err(match nearest(&name.to_uppercase(), known) {
            Some(similar) => problem.with_hint(format!("did you mean `{similar}`?")),
            None => problem.with_hint(format!("such as {}", known.join(", "))),
        })
    }
}

/// The configured types, by column name.
///
/// # Errors
/// Names that are not types, and columns with two.
pub(crate) fn declared(
    dtype: Option<&Dtype>,
    parse_dates: Option<&ParseDates>,
) -> Result<Vec<(String, DeclaredType)>, Vec<Problem>> {
    let mut stated = Vec::new();
    let mut problems = Vec::new();
    if let Some(Dtype::Columns(columns)) = dtype {
        for (column, name) in columns {
            match DeclaredType::named(format!("/dtype/{column}"), name) {
                Ok(known) => stated.push((column.clone(), known)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    let dates = match parse_dates {
        None | Some(ParseDates::Inferred(_)) => Vec::new(),
        Some(ParseDates::Columns(columns)) => {
            columns.iter().map(|column| (column.clone(), DeclaredType::Dates)).collect()
        }
        Some(ParseDates::Formats(formats)) => {
            formats.iter().map(|(column, format)| (column.clone(), DeclaredType::Format(format.clone()))).collect()
        }
    };
    for (column, date) in dates {
        if stated.iter().any(|(known, _)| known.eq_ignore_ascii_case(&column)) {
            problems.push(
                Problem::error(format!("/parse_dates/{column}"), format!("`{column}` is also in `dtype`"))
                    .with_hint("keep one of them"),
            );
        }
        stated.push((column, date));
    }
    if problems.is_empty() { Ok(stated) } else { Err(problems) }
}

/// SQL that parses a text column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The text, with NULL values as NULL.
    pub(crate) text: String,
    /// The value, or NULL if the text does not fit.
    pub(crate) value: String,
    /// Whether the text fits.
    pub(crate) fits: String,
    /// The type, for messages.
    pub(crate) name: String,
}

/// Reads `text`, an SQL expression, as `stated`.
pub(crate) fn reading(stated: &DeclaredType, text: &str) -> Reading {
    match stated {
        DeclaredType::Type(column_type) => typed(column_type, text),
        DeclaredType::Dates => {
            let value = format!("TRY_CAST({text} AS TIMESTAMP)");
            Reading {
                text: text.to_owned(),
                fits: format!("{} AND {value} IS NOT NULL", matches(text, ISO_TIMESTAMP)),
                value,
                name: "a date".to_owned(),
            }
        }
        DeclaredType::Format(format) => {
            let parsed = format!("TRY_STRPTIME({text}, {})", quote_text(format));
            let timed =
                ["%H", "%I", "%M", "%S", "%f", "%g", "%n", "%p", "%X", "%c", "%-H", "%-I", "%-M", "%-S", "%z", "%Z"];
            let value = if timed.iter().any(|directive| format.contains(directive)) {
                parsed
            } else {
                format!("CAST({parsed} AS DATE)")
            };
            Reading {
                text: text.to_owned(),
                fits: format!("{value} IS NOT NULL"),
                value,
                name: format!("a date in the format `{format}`"),
            }
        }
    }
}

/// SQL for whether `column_type` holds the text exactly.
pub(crate) fn fits(column_type: &ColumnType, text: &str) -> String {
    typed(column_type, text).fits
}

const WHOLE: &str = "[+-]?[0-9]+";
const NUMBER: &str = "[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:nan|inf|infinity)";
const DECIMAL: &str = "[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)";
const ISO_DATE: &str = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const ISO_TIMESTAMP: &str = "[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6}0*)?)?)?";
const ISO_INSTANT: &str =
    "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6}0*)?)?(Z|[+-][0-9]{2}(:[0-9]{2})?)";
const TIME: &str = "[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6}0*)?)?";

fn matches(text: &str, pattern: &str) -> String {
    format!("regexp_full_match(trim({text}), {})", quote_text(pattern))
}

fn typed(column_type: &ColumnType, text: &str) -> Reading {
    use ColumnType as T;
    let name = match column_type {
        T::Instant => "TIMESTAMPTZ".to_owned(),
        other => other.to_string(),
    };
    let sql = if *column_type == T::Instant { "TIMESTAMP WITH TIME ZONE".to_owned() } else { column_type.sql() };
    let value = format!("TRY_CAST({text} AS {sql})");
    let pattern = match column_type {
        T::TinyInt | T::SmallInt | T::Integer | T::BigInt | T::HugeInt => Some(WHOLE),
        T::UTinyInt | T::USmallInt | T::UInteger | T::UBigInt | T::UHugeInt => Some(WHOLE),
        T::Float | T::Double => Some(NUMBER),
        T::Decimal(..) => Some(DECIMAL),
        T::Date => Some(ISO_DATE),
        T::Timestamp => Some(ISO_TIMESTAMP),
        T::Instant => Some(ISO_INSTANT),
        T::Time => Some(TIME),
        _ => None,
    };
    let mut fits = format!("{value} IS NOT NULL");
    if let Some(pattern) = pattern {
        fits = format!("{fits} AND {}", matches(text, pattern));
    }
    if let T::Decimal(_, scale) = column_type {
        // A cast to DECIMAL rounds silently.
        let fraction = format!("rtrim(split_part(trim({text}), '.', 2), '0')");
        fits = format!("{fits} AND length({fraction}) <= {scale}");
    }
    Reading { text: text.to_owned(), value, fits, name }
}

/// An identifier of the n-th column of a file, as the reader's SQL calls it.
pub(crate) fn internal(index: usize) -> String {
    quote(&format!("c{index}"))
}
