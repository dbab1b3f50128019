//! Plans a read from the configuration and the API's schema of the table; reports all problems
//! at once. No I/O.

use std::time::Duration;

use osiris_core::problem::nearest;
use osiris_core::{Code, ColumnType, Error, Result};

use super::selected::selected;
use crate::client::rest::openapi::{Description, RestTable};
use crate::client::rest::pager::Query;
use crate::client::rest::table::TableApi;
use crate::config::{Columns, ExtractorConfig};
use crate::filter::{Condition, OrderColumn, SelectItem, SelectKind};
use osiris_driver_postgres::Policies;
use osiris_driver_postgres::types::store_type;

/// A column with a type known before the first row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypedColumn {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
}

/// The plan of a read: the query and the columns.
pub(super) struct Plan {
    pub(super) query: Query,
    /// The known columns, in order.
    pub(super) columns: Vec<TypedColumn>,
}

impl Plan {
    /// The plan for the table of `config`.
    ///
    /// # Errors
    /// For a missing table, unknown columns, or a missing key; reports all of them.
    pub(super) fn new(config: &ExtractorConfig, api: TableApi, description: &Description) -> Result<Self> {
        let table = description.table(api.name()).ok_or_else(|| missing(&api, description))?;
        let select = config.select();
        let mut checks = Checks { table, problems: Vec::new() };
        let items = select.items();
        let columns = checks.columns(&items, &config.policies);
        let conditions = match &config.filter {
            Some(filter) => filter.conditions()?.to_vec(),
            None => Vec::new(),
        };
        checks.conditions(&conditions, &items);
        let order = checks.order(config);
        checks.cursor(config);
        let (select, key) = selected(&items, order, table);
        checks.ensure_none(&api)?;
        let timeout = config.timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let query = Query {
            api: api.with_timeout(timeout),
            select,
            key,
            conditions,
            page_size: config.page_size,
            limit: config.limit,
            offset: config.offset,
            what: "reading rows",
        };
        Ok(Self { query, columns })
    }
}

/// The error for a missing table.
pub(crate) fn missing(api: &TableApi, description: &Description) -> Error {
    let hint = match description.similar(api.name()) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => {
            "check `table` and `schema`, and that the key has access; if the table is new, reload the schema cache of the API: \
                 NOTIFY pgrst, 'reload schema'"
                .to_owned()
        }
    };
    Error::validation(format!("the API has no table `{}`", api.shown())).with_code(Code::TableNotFound).with_hint(hint)
}

struct Checks<'a> {
    table: &'a RestTable,
    problems: Vec<String>,
}

impl Checks<'_> {
    fn require(&mut self, name: &str, field: &str) -> bool {
        let found = self.table.column(name).is_some();
        if !found {
            let names = self.table.columns.iter().map(|column| column.name.as_str());
            let similar = nearest(name, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
            self.problems.push(format!("no column `{name}`, which `{field}` names{similar}"));
        }
        found
    }

    fn is_like_another(&self, name: &str) -> bool {
        nearest(name, self.table.columns.iter().map(|column| column.name.as_str())).is_some()
    }

    /// The known columns of the result.
    fn columns(&mut self, items: &[SelectItem], policies: &Policies) -> Vec<TypedColumn> {
        let mut known = Vec::new();
        for item in items {
            match &item.kind {
                SelectKind::All => {
                    let table = self.table;
                    for column in &table.columns {
                        self.known(&mut known, &column.name, &column.format, policies);
                    }
                }
                SelectKind::Column { path, cast } => {
                    let own = self.table.column(&path.column).map(|column| column.format.clone());
                    if own.is_none() && self.is_like_another(&path.column) {
                        self.require(&path.column, "select");
                    }
                    // A function of the row can also be selected, which only the server knows.
                    let Some(own) = own.or_else(|| cast.clone()) else { continue };
                    let format = match (cast, path.json.last()) {
                        (Some(cast), _) => cast.clone(),
                        (None, Some(step)) if step.as_text => "text".to_owned(),
                        (None, Some(_)) => "jsonb".to_owned(),
                        (None, None) => own,
                    };
                    self.known(&mut known, &item.name, &format, policies);
                }
                SelectKind::Embedded => {
                    known.push(TypedColumn { name: item.name.clone(), column_type: ColumnType::Json })
                }
                // Its columns are from another table: their types are inferred from the values.
                SelectKind::Spread => {}
            }
        }
        known
    }

    fn known(&mut self, known: &mut Vec<TypedColumn>, name: &str, format: &str, policies: &Policies) {
        if known.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            let message =
                format!("two columns of the result are named `{name}`, ignoring case: rename one with `other:{name}`");
            return self.problems.push(message);
        }
        match store_type(format, policies) {
            Ok(column_type) => known.push(TypedColumn { name: name.to_owned(), column_type }),
            Err(why) => self.problems.push(format!("column `{name}` is {format}: {why}")),
        }
    }

    fn conditions(&mut self, conditions: &[Condition], items: &[SelectItem]) {
        for path in conditions.iter().flat_map(Condition::columns) {
            match path.resources.first() {
                None => {
                    self.require(&path.column, "filter");
                }
                Some(resource)
                    if !items.iter().any(|item| item.kind == SelectKind::Embedded && item.name == *resource) =>
                {
                    self.problems
                        .push(format!("`filter` names the embedded resource `{resource}`, but `select` does not"));
                }
                Some(_) => {}
            }
        }
    }

    /// The configured order, followed by the key columns.
    fn order(&mut self, config: &ExtractorConfig) -> Vec<OrderColumn> {
        let mut order = config.order.as_ref().map(|order| order.columns()).unwrap_or_default();
        for column in &order {
            self.require(&column.name, "order");
        }
        let key = match config.key.as_ref().map(Columns::names) {
            Some(names) => {
                for name in names {
                    self.require(name, "key");
                }
                names.to_vec()
            }
            None => self.table.primary_key(),
        };
        if key.is_empty() {
            self.problems.push(
                "the API reports no primary key: set `key` to columns \
                 that are unique and never NULL, or read over the database (`dsn`)"
                    .to_owned(),
            );
        }
        let more = key.iter().filter(|name| !order.iter().any(|column| column.name == **name));
        let more: Vec<OrderColumn> = more.map(|name| OrderColumn::ascending(name)).collect();
        order.extend(more);
        order
    }

    fn cursor(&mut self, config: &ExtractorConfig) {
        if let Some(cursor) = &config.cursor {
            self.require(&cursor.column, "cursor");
        }
    }

    fn ensure_none(self, api: &TableApi) -> Result<()> {
        match self.problems.as_slice() {
            [] => Ok(()),
            [one] => Err(Error::validation(format!("cannot read table `{}`: {one}", api.shown()))
                .with_hint("fix it and run again")),
            many => Err(Error::validation(format!(
                "cannot read table `{}`: {} problems\n  - {}",
                api.shown(),
                many.len(),
                many.join("\n  - ")
            ))
            .with_hint("fix them all and run again")),
        }
    }
}
