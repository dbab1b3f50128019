//! Types that DuckDB reads differently than the run store can hold, at any depth of a column: SQL that checks values,
//! and SQL that converts them.
//!
//! DuckDB truncates an INT96 to microseconds unless it reads it in its two parts, and has a type for UTC timestamps
//! with nanoseconds, which the run store does not have. A column is checked before it is read, so that no digit is lost
//! without an error.

use osiris_core::ColumnType;
use osiris_core::store::{quote, quote_text};

/// The DuckDB type of UTC timestamps with nanoseconds.
const INSTANT_NS: &str = "TIMESTAMPTZ_NS";

/// The kind of a leaf of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// Read in two parts, `date` and `time`.
    Int96,
    /// A UTC timestamp with nanoseconds.
    InstantNs,
    /// A decimal that may have more digits than its type.
    Narrowed(u8),
    /// Months, days and milliseconds, each of 32 bits without a sign in the file, with one in DuckDB.
    Interval,
    /// A type without an exact text form in the run store.
    Unknown,
}

/// Types of DuckDB whose text is exact.
const WITH_TEXT: &[&str] = &[
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIME WITH TIME ZONE",
    "TIME_NS",
    "\"NULL\"",
    "NULL",
    "GEOMETRY",
];

/// Which type the timestamps of a column get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Micros,
    Nanos,
}

/// A column as DuckDB reads it: its type, and the one that it has where DuckDB reads an INT96 in parts.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) plain: ColumnType,
    pub(super) in_parts: ColumnType,
    /// Whether the file has decimals of more than 38 digits in it.
    pub(super) narrowed: bool,
}

impl Shape {
    fn of(plain: &ColumnType, in_parts: &ColumnType, narrowed: bool) -> Self {
        Self { plain: plain.clone(), in_parts: in_parts.clone(), narrowed }
    }

    /// Its leaf kind, if it is one of these itself.
    pub(super) fn leaf(&self) -> Option<Leaf> {
        match (&self.plain, &self.in_parts) {
            (ColumnType::Timestamp, ColumnType::Struct(_)) => Some(Leaf::Int96),
            (ColumnType::Other(name), _) if name == INSTANT_NS => Some(Leaf::InstantNs),
            (ColumnType::Decimal(38, scale), _) if self.narrowed => Some(Leaf::Narrowed(*scale)),
            (ColumnType::Interval, _) => Some(Leaf::Interval),
            (ColumnType::Other(name), _) if !WITH_TEXT.contains(&name.as_str()) => Some(Leaf::Unknown),
            _ => None,
        }
    }

    /// The parts of a nested type: how each is taken out of `value`, whether it is one of many, and its shape.
    fn parts(&self, value: &str) -> Vec<(String, bool, Self)> {
        use ColumnType as T;
        match (&self.plain, &self.in_parts) {
            (T::List(plain) | T::Array(plain, _), T::List(in_parts) | T::Array(in_parts, _)) => {
                vec![(value.to_owned(), true, Self::of(plain, in_parts, self.narrowed))]
            }
            (T::Map(key, item), T::Map(key_in_parts, item_in_parts)) => vec![
                (format!("map_keys({value})"), true, Self::of(key, key_in_parts, self.narrowed)),
                (format!("map_values({value})"), true, Self::of(item, item_in_parts, self.narrowed)),
            ],
            (T::Struct(fields), T::Struct(in_parts)) => fields
                .iter()
                .zip(in_parts)
                .map(|((name, plain), (_, in_parts))| {
                    (field(value, name), false, Self::of(plain, in_parts, self.narrowed))
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is made of other types.
    pub(super) fn is_nested(&self) -> bool {
        use ColumnType as T;
        matches!(self.plain, T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..))
    }

    /// Whether the column has such a leaf.
    pub(super) fn has(&self, wanted: &dyn Fn(Leaf) -> bool) -> bool {
        self.leaf().is_some_and(wanted) || self.parts("").iter().any(|(_, _, part)| part.has(wanted))
    }

    /// Whether any leaf in `value` meets `test`, which may be NULL where the leaf is. None when no leaf is tested.
    pub(super) fn any(&self, value: &str, test: &dyn Fn(Leaf, &str) -> Option<String>) -> Option<String> {
        self.any_below(value, test, 0)
    }

    fn any_below(&self, value: &str, test: &dyn Fn(Leaf, &str) -> Option<String>, depth: usize) -> Option<String> {
        if let Some(leaf) = self.leaf() {
            return test(leaf, value);
        }
        let tests = self.parts(value).into_iter().filter_map(|(part, many, shape)| {
            if !many {
                return shape.any_below(&part, test, depth);
            }
            let item = format!("item{depth}");
            let met = shape.any_below(&item, test, depth + 1)?;
            Some(format!("list_bool_or(list_transform({part}, lambda {item}: coalesce({met}, false)))"))
        });
        let tests: Vec<String> = tests.map(|test| format!("coalesce({test}, false)")).collect();
        (!tests.is_empty()).then(|| format!("({})", tests.join(" OR ")))
    }

    /// `value` with its timestamps of `unit`.
    pub(super) fn read(&self, value: &str, unit: Unit) -> String {
        let made = self.int96_made(value, unit, 0).unwrap_or_else(|| value.to_owned());
        let target = instants(&self.plain);
        if target == self.plain {
            return made;
        }
        // Nanoseconds that are whole microseconds, as they were found to be.
        format!("CAST({made} AS {target})")
    }

    fn int96_made(&self, value: &str, unit: Unit, depth: usize) -> Option<String> {
        if let Some(leaf) = self.leaf() {
            return (leaf == Leaf::Int96).then(|| timestamp(value, unit));
        }
        if !self.has(&|leaf| leaf == Leaf::Int96) {
            return None;
        }
        let made =
            |part: &str, shape: &Self| shape.int96_made(part, unit, depth + 1).unwrap_or_else(|| part.to_owned());
        let item = format!("item{depth}");
        let parts = self.parts(value);
        Some(match &self.plain {
            ColumnType::Struct(fields) => {
                let fields = fields.iter().zip(&parts);
                let fields =
                    fields.map(|((name, _), (part, _, shape))| format!("{} := {}", quote(name), made(part, shape)));
                let fields: Vec<String> = fields.collect();
                format!("CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({}) END", fields.join(", "))
            }
            ColumnType::Map(..) => {
                let key = made(&format!("{item}.key"), &parts[0].2);
                let of = made(&format!("{item}.value"), &parts[1].2);
                format!(
                    "map_from_entries(list_transform(map_entries({value}), lambda {item}: {{'key': {key}, 'value': {of}}}))"
                )
            }
            _ => format!("list_transform({value}, lambda {item}: {})", made(&item, &parts[0].2)),
        })
    }
}

fn field(value: &str, name: &str) -> String {
    format!("struct_extract({value}, {})", quote_text(name))
}

/// The type with UTC timestamps in microseconds.
fn instants(column_type: &ColumnType) -> ColumnType {
    use ColumnType as T;
    match column_type {
        T::Other(name) if name == INSTANT_NS => T::Other("TIMESTAMP WITH TIME ZONE".to_owned()),
        T::List(item) => T::List(Box::new(instants(item))),
        T::Array(item, size) => T::Array(Box::new(instants(item)), *size),
        T::Struct(fields) => T::Struct(fields.iter().map(|(name, field)| (name.clone(), instants(field))).collect()),
        T::Map(key, value) => T::Map(Box::new(instants(key)), Box::new(instants(value))),
        other => other.clone(),
    }
}

/// The days since 1970 of an INT96.
fn days(value: &str) -> String {
    format!("({} - DATE '1970-01-01')", field(value, "date"))
}

/// The nanoseconds of the day of an INT96.
fn nanos(value: &str) -> String {
    format!("epoch_ns({})", field(value, "time"))
}

/// An INT96 as a timestamp.
pub(super) fn timestamp(value: &str, unit: Unit) -> String {
    let (days, nanos) = (days(value), nanos(value));
    match unit {
        Unit::Micros => format!("make_timestamp({days} * 86400000000 + {nanos} // 1000)"),
        Unit::Nanos => format!("make_timestamp_ns({days} * 86400000000000 + {nanos})"),
    }
}

/// A UTC timestamp with nanoseconds.
pub(super) fn in_utc(value: &str) -> String {
    format!("make_timestamp_ns(epoch_ns({value}))")
}

/// An INT96 as text, with all of its digits.
pub(super) fn text(value: &str) -> String {
    format!("CAST({} AS VARCHAR) || ' ' || CAST({} AS VARCHAR)", field(value, "date"), field(value, "time"))
}

/// Whether a timestamp is not a whole number of microseconds.
pub(super) fn below_micros(leaf: Leaf, value: &str) -> Option<String> {
    match leaf {
        Leaf::Int96 => Some(format!("{} % 1000 <> 0", nanos(value))),
        Leaf::InstantNs => Some(format!("({value} IS NOT NULL AND coalesce(epoch_ns({value}) % 1000 <> 0, true))")),
        Leaf::Narrowed(_) | Leaf::Interval | Leaf::Unknown => None,
    }
}

/// Whether a UTC timestamp is the greatest or least 64-bit number, which are infinity in DuckDB.
pub(super) fn infinite(leaf: Leaf, value: &str) -> Option<String> {
    (leaf == Leaf::InstantNs).then(|| format!("({value} IS NOT NULL AND epoch_ns({value}) IS NULL)"))
}

/// Whether a timestamp is before 1677-09-22 or after 2262-04-10, the whole days that nanoseconds in 64 bits reach.
pub(super) fn beyond_nanos(leaf: Leaf, value: &str) -> Option<String> {
    (leaf == Leaf::Int96).then(|| format!("{} NOT BETWEEN -106751 AND 106750", days(value)))
}

/// Whether a decimal has more than 38 digits, although it fits in 128 bits.
pub(super) fn too_wide(leaf: Leaf, value: &str) -> Option<String> {
    let Leaf::Narrowed(scale) = leaf else { return None };
    let scale = usize::from(scale);
    let (whole, fraction) = ("9".repeat(38 - scale), "9".repeat(scale));
    let most = format!("CAST('{whole}.{fraction}' AS DECIMAL(38,{scale}))");
    Some(format!("{value} NOT BETWEEN -{most} AND {most}"))
}

/// Whether an interval has a part of 2^31 or more, which DuckDB takes for a negative one: a file has none of those.
pub(super) fn wrapped(leaf: Leaf, value: &str) -> Option<String> {
    (leaf == Leaf::Interval).then(|| {
        format!("(date_part('year', {value}) * 12 + date_part('month', {value}) < 0 OR date_part('day', {value}) < 0)")
    })
}
