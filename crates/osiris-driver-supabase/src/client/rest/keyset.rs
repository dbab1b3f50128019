//! Keyset pagination: a page begins after the last row of the previous one, by the values of the sort columns. NULLs
//! have their position in the order.

use osiris_http::Row;

use crate::filter::{Condition, OrderColumn};

/// A sort column, and the position of its value in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    pub(crate) order: OrderColumn,
    /// The name of its value in the returned rows.
    pub(crate) member: String,
    /// Whether it may be NULL.
    pub(crate) nullable: bool,
}

/// The values of the key columns in a row; `None` if one is missing.
pub(crate) fn values(columns: &[KeyColumn], row: &Row<'_>) -> Option<Vec<Option<String>>> {
    columns.iter().map(|column| Some(row.get(&column.member)?.text().map(|text| text.into_owned()))).collect()
}

/// The condition for rows after the one with these values; `None` if there are none.
pub(crate) fn behind(columns: &[KeyColumn], values: &[Option<String>]) -> Option<Condition> {
    let (mut alternatives, mut same) = (Vec::new(), Vec::<Condition>::new());
    for (column, value) in columns.iter().zip(values) {
        if let Some(further) = further(column, value.as_deref()) {
            let mut all = same.clone();
            all.push(further);
            alternatives.push(one_or(all, Condition::All));
        }
        same.push(match value {
            Some(value) => Condition::compare(&column.order.name, "eq", value),
            None => Condition::null(&column.order.name, true),
        });
    }
    if alternatives.is_empty() {
        return None;
    }
    let several = alternatives.len() > 1;
    let behind = one_or(alternatives, Condition::Any);
    match (columns.first(), values.first()) {
        // Redundant, but lets the server start in the middle of an index.
        (Some(first), Some(Some(value))) if several && !first.nullable => {
            let operator = if first.order.descending { "lte" } else { "gte" };
            Some(Condition::All(vec![Condition::compare(&first.order.name, operator, value), behind]))
        }
        _ => Some(behind),
    }
}

/// The condition for values after a value in one column.
fn further(column: &KeyColumn, value: Option<&str>) -> Option<Condition> {
    let OrderColumn { name, descending, nulls_first } = &column.order;
    let Some(value) = value else {
        return nulls_first.then(|| Condition::null(name, false));
    };
    let greater = Condition::compare(name, if *descending { "lt" } else { "gt" }, value);
    if column.nullable && !nulls_first {
        return Some(Condition::Any(vec![greater, Condition::null(name, true)]));
    }
    Some(greater)
}

fn one_or(mut conditions: Vec<Condition>, several: impl Fn(Vec<Condition>) -> Condition) -> Condition {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => several(conditions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, descending: bool, nulls_first: bool, nullable: bool) -> KeyColumn {
        let order = OrderColumn { name: name.to_owned(), descending, nulls_first };
        KeyColumn { order, member: name.to_owned(), nullable }
    }

    fn shown(columns: &[KeyColumn], values: &[Option<&str>]) -> String {
        let values: Vec<Option<String>> = values.iter().map(|value| value.map(str::to_owned)).collect();
        behind(columns, &values).map_or("nothing".to_owned(), |condition| condition.sql().unwrap())
    }

    #[test]
    fn a_page_begins_behind_the_last_row_whatever_the_order() {
        let id = column("id", false, false, false);
        assert_eq!(shown(std::slice::from_ref(&id), &[Some("5")]), r#""id" > '5'"#);
        let both = [column("at", true, false, false), id.clone()];
        assert_eq!(
            shown(&both, &[Some("x"), Some("5")]),
            r#"("at" <= 'x' AND ("at" < 'x' OR ("at" = 'x' AND "id" > '5')))"#
        );
    }

    #[test]
    fn nulls_have_their_place_in_the_order() {
        let id = column("id", false, false, false);
        let last = [column("at", false, false, true), id.clone()];
        assert_eq!(
            shown(&last, &[Some("x"), Some("5")]),
            r#"(("at" > 'x' OR "at" IS NULL) OR ("at" = 'x' AND "id" > '5'))"#
        );
        assert_eq!(shown(&last, &[None, Some("5")]), r#"("at" IS NULL AND "id" > '5')"#);
        let first = [column("at", true, true, true), id];
        assert_eq!(shown(&first, &[None, Some("5")]), r#"(NOT ("at" IS NULL) OR ("at" IS NULL AND "id" > '5'))"#);
        assert_eq!(shown(&first, &[Some("x"), Some("5")]), r#"("at" < 'x' OR ("at" = 'x' AND "id" > '5'))"#);
        assert_eq!(shown(&[column("a", false, false, true)], &[None]), "nothing");
    }

    #[test]
    fn values_come_out_of_a_row_to_the_letter() {
        let columns = [column("a", false, false, true), column("b", false, false, true)];
        let row = Row::new(r#"{"b": null, "a": 1234567890123456789.10}"#);
        assert_eq!(values(&columns, &row), Some(vec![Some("1234567890123456789.10".to_owned()), None]));
        assert_eq!(values(&columns, &Row::new(r#"{"a": 1}"#)), None);
    }
}
