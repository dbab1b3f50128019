//! The `order` of a configuration.

use osiris_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::name::{ColumnPath, Reserved, quote_name, read_name};

/// An order of rows in PostgREST syntax: `created_at.desc.nullslast,id`, or a list of such parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Order {
    /// As one string.
    Text(#[schemars(length(min = 1))] String),
    /// As a list.
    List(#[schemars(length(min = 1))] Vec<String>),
}

/// A column to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderColumn {
    pub(crate) name: String,
    pub(crate) descending: bool,
    /// Whether NULLs come first.
    pub(crate) nulls_first: bool,
}

impl OrderColumn {
    /// Ascending, NULLs last.
    pub(crate) fn ascending(name: &str) -> Self {
        Self { name: name.to_owned(), descending: false, nulls_first: false }
    }

    /// In PostgREST syntax.
    pub(crate) fn query(&self) -> String {
        let direction = if self.descending { "desc" } else { "asc" };
        let nulls = if self.nulls_first { "nullsfirst" } else { "nullslast" };
        format!("{}.{direction}.{nulls}", quote_name(&self.name, Reserved::No))
    }

    /// In SQL.
    pub(crate) fn sql(&self) -> String {
        let direction = if self.descending { "DESC" } else { "ASC" };
        let nulls = if self.nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
        format!("{} {direction} {nulls}", osiris_driver_postgres::client::quote(&self.name))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (name, mut rest) = read_name(text.trim())?;
        if rest.contains("->") || rest.contains('(') {
            return Err("only columns of the table itself can be used for sorting".to_owned());
        }
        let mut column = Self::ascending(&name);
        let mut nulls = None;
        while let Some(after) = rest.strip_prefix('.') {
            let end = after.find('.').unwrap_or(after.len());
            match &after[..end] {
                "asc" => column.descending = false,
                "desc" => column.descending = true,
                "nullsfirst" => nulls = Some(true),
                "nullslast" => nulls = Some(false),
                other => return Err(format!("`{other}` is not one of asc, desc, nullsfirst, nullslast")),
            }
            rest = &after[end..];
        }
        if !rest.is_empty() {
            return Err(format!("unexpected `{rest}`"));
        }
        // As in PostgreSQL: NULL is greater than any value.
        column.nulls_first = nulls.unwrap_or(column.descending);
        Ok(column)
    }
}

impl Order {
    fn parts(&self) -> Vec<String> {
        let texts = match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts.as_slice(),
        };
        texts.iter().flat_map(|text| super::select::split(text)).map(str::to_owned).collect()
    }

    /// All of its problems.
    pub(crate) fn problems(&self, pointer: &str) -> Vec<Problem> {
        let mut seen = std::collections::BTreeSet::new();
        let mut problems = Vec::new();
        for part in self.parts() {
            match OrderColumn::parse(&part) {
                Ok(column) if !seen.insert(column.name.clone()) => {
                    problems.push(Problem::error(pointer, format!("`{}` is named twice", column.name)));
                }
                Ok(_) => {}
                Err(why) => problems.push(
                    Problem::error(pointer, format!("invalid order `{part}`: {why}"))
                        .with_hint("write `column`, `column.desc` or `column.asc.nullsfirst`, separated by commas"),
                ),
            }
        }
        problems
    }

    /// Its columns; empty if it has problems.
    pub(crate) fn columns(&self) -> Vec<OrderColumn> {
        self.parts().iter().map(|part| OrderColumn::parse(part)).collect::<Result<_, _>>().unwrap_or_default()
    }

    /// In SQL, without ORDER BY.
    pub(crate) fn sql(&self) -> String {
        self.columns().iter().map(OrderColumn::sql).collect::<Vec<_>>().join(", ")
    }
}

impl From<&OrderColumn> for ColumnPath {
    fn from(column: &OrderColumn) -> Self {
        Self::of(&column.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_where_nulls_are() {
        let order = Order::Text("a.desc,\"b,c\".asc.nullsfirst, d".to_owned());
        assert_eq!(order.problems("/order"), []);
        assert_eq!(order.sql(), "\"a\" DESC NULLS FIRST, \"b,c\" ASC NULLS FIRST, \"d\" ASC NULLS LAST");
        let texts: Vec<String> = order.columns().iter().map(OrderColumn::query).collect();
        assert_eq!(texts, ["a.desc.nullsfirst", "\"b,c\".asc.nullsfirst", "d.asc.nullslast"]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for text in ["a.up", "a->b", "author(name)", "a,a", "a,,b", ""] {
            assert!(!Order::List(vec![text.to_owned()]).problems("/order").is_empty(), "{text}");
        }
    }
}
