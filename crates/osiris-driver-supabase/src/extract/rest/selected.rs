//! The select list: the columns of the step and, hidden, the remaining sort columns. No I/O.

use crate::client::rest::keyset::KeyColumn;
use crate::client::rest::openapi::{RestColumn, RestTable};
use crate::filter::{OrderColumn, Reserved, SelectItem, SelectKind, quote_name};

/// The prefix of values that are only read for paging.
pub(super) const HIDDEN: &str = "osiris_key_";

/// An item of the select list: columns of composite types are read as text, as over the database.
fn written(item: &SelectItem, table: &RestTable) -> String {
    match &item.kind {
        SelectKind::All if table.columns.iter().any(RestColumn::is_opaque) => {
            let column = |column: &RestColumn| {
                let cast = if column.is_opaque() { "::text" } else { "" };
                format!("{}{cast}", quote_name(&column.name, Reserved::No))
            };
            table.columns.iter().map(column).collect::<Vec<_>>().join(",")
        }
        SelectKind::Column { path, cast: None }
            if path.is_plain() && table.column(&path.column).is_some_and(RestColumn::is_opaque) =>
        {
            format!("{}::text", item.text)
        }
        _ => item.text.clone(),
    }
}

/// The select list, and the positions of the sort values in the rows: in selected or hidden columns.
pub(super) fn selected(items: &[SelectItem], order: Vec<OrderColumn>, table: &RestTable) -> (String, Vec<KeyColumn>) {
    let mut texts: Vec<String> = items.iter().map(|item| written(item, table)).collect();
    let all = items.iter().any(|item| item.kind == SelectKind::All);
    let mut key = Vec::new();
    for (index, order) in order.into_iter().enumerate() {
        let visible = items.iter().find(|item| match &item.kind {
            SelectKind::Column { path, cast: None } => path.is_plain() && path.column == order.name,
            _ => false,
        });
        let member = match visible {
            Some(item) => item.name.clone(),
            None if all => order.name.clone(),
            None => {
                let hidden = format!("{HIDDEN}{index}");
                texts.push(format!("{hidden}:{}", quote_name(&order.name, Reserved::No)));
                hidden
            }
        };
        let nullable = table.column(&order.name).is_none_or(|column| column.nullable);
        key.push(KeyColumn { order, member, nullable });
    }
    (texts.join(","), key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Select;

    fn table() -> RestTable {
        let column = |name: &str, primary_key: bool| RestColumn {
            name: name.to_owned(),
            format: "bigint".to_owned(),
            nullable: !primary_key,
            primary_key,
            ..RestColumn::default()
        };
        RestTable { name: "t".to_owned(), columns: vec![column("id", true), column("at", false)] }
    }

    fn select(text: &str, order: &[&str]) -> (String, Vec<String>) {
        let items = Select::Text(text.to_owned()).items();
        let order = order.iter().map(|name| OrderColumn::ascending(name)).collect();
        let (select, key) = selected(&items, order, &table());
        (select, key.into_iter().map(|column| column.member).collect())
    }

    #[test]
    fn what_rows_are_sorted_by_comes_with_them_and_is_hidden_where_it_was_not_asked_for() {
        let owned = |members: &[&str]| members.iter().map(|member| (*member).to_owned()).collect::<Vec<_>>();
        assert_eq!(select("*", &["id"]), ("*".to_owned(), owned(&["id"])));
        assert_eq!(select("key:id,at", &["at", "id"]), ("key:id,at".to_owned(), owned(&["at", "key"])));
        assert_eq!(select("at::text", &["at", "id"]).0, "at::text,osiris_key_0:at,osiris_key_1:id");
        assert_eq!(select("*,n:author(name)", &["id"]).1, owned(&["id"]));
    }

    #[test]
    fn types_that_json_would_take_apart_are_read_as_text() {
        let mut table = table();
        table.columns[1].format = "public.pair".to_owned();
        let of = |text: &str| {
            let items = Select::Text(text.to_owned()).items();
            selected(&items, vec![OrderColumn::ascending("id")], &table).0
        };
        assert_eq!(of("*"), "id,at::text");
        assert_eq!(of("id,x:at"), "id,x:at::text");
        assert_eq!(of("id,at->a"), "id,at->a");
    }
}
