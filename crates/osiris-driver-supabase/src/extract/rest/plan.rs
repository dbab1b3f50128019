//! What is asked for, from the configuration and from what the API says of the table; everything that stands in the way is listed
//! at once. No I/O.

use std::time::Duration;

use osiris_core::problem::nearest;
use osiris_core::{ColumnType, Error, Result};

use super::selected::selected;
use crate::client::rest::openapi::{Description, RestTable};
use crate::client::rest::pager::Query;
use crate::client::rest::table::TableApi;
use crate::config::{Columns, ExtractorConfig};
use crate::filter::{Condition, OrderColumn, SelectItem, SelectKind};
use osiris_driver_postgres::Policies;
use osiris_driver_postgres::types::store_type;

/// A column of the step's table whose type is known before the first row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
}

/// What is asked for, and what the rows will be like.
pub(super) struct Plan {
    pub(super) query: Query,
    /// The columns that are known, in order.
    pub(super) columns: Vec<Known>,
}

impl Plan {
    /// The plan for the table of `config`.
    ///
    /// # Errors
    /// A table that is not there, names that it does not have, rows that nothing tells apart: all of it at once.
    pub(super) fn new(config: &ExtractorConfig, api: TableApi, description: &Description) -> Result<Self> {
        let table = description.table(api.name()).ok_or_else(|| missing(&api, description))?;
        let select = config.select();
        let mut checks = Checks { table, problems: Vec::new() };
        let items = select.items();
        let columns = checks.columns(&items, &config.policies());
        let conditions = config.filter.as_ref().map(|filter| filter.conditions()).unwrap_or_default();
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

/// The error for a table that the API does not have.
pub(crate) fn missing(api: &TableApi, description: &Description) -> Error {
    let hint = match description.similar(api.name()) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => {
            "check `table` and `schema`; the key must be allowed to see it, and if it is new the API has to notice it: \
                 NOTIFY pgrst, 'reload schema'"
                .to_owned()
        }
    };
    Error::validation(format!("the API has no table `{}`", api.shown())).with_hint(hint)
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
            self.problems.push(format!("it has no column `{name}`, which `{field}` names{similar}"));
        }
        found
    }

    fn is_like_another(&self, name: &str) -> bool {
        nearest(name, self.table.columns.iter().map(|column| column.name.as_str())).is_some()
    }

    /// The columns of the result as far as they are known.
    fn columns(&mut self, items: &[SelectItem], policies: &Policies) -> Vec<Known> {
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
                    // A function of the row can be selected too, and only the server knows it.
                    let Some(own) = own.or_else(|| cast.clone()) else { continue };
                    let format = match (cast, path.json.last()) {
                        (Some(cast), _) => cast.clone(),
                        (None, Some(step)) if step.as_text => "text".to_owned(),
                        (None, Some(_)) => "jsonb".to_owned(),
                        (None, None) => own,
                    };
                    self.known(&mut known, &item.name, &format, policies);
                }
                SelectKind::Embedded => known.push(Known { name: item.name.clone(), column_type: ColumnType::Json }),
                // Its columns are those of another table: their types follow the values.
                SelectKind::Spread => {}
            }
        }
        known
    }

    fn known(&mut self, known: &mut Vec<Known>, name: &str, format: &str, policies: &Policies) {
        if known.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            let message = format!(
                "two columns of the result are called `{name}`, whatever the case: rename one with `other:{name}`"
            );
            return self.problems.push(message);
        }
        match store_type(format, policies) {
            Ok(column_type) => known.push(Known { name: name.to_owned(), column_type }),
            Err(why) => self.problems.push(format!("its column `{name}` is {format}: {why}")),
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
                        .push(format!("`filter` names the embedded resource `{resource}`, and `select` does not"));
                }
                Some(_) => {}
            }
        }
    }

    /// The order of the configuration, and behind it what tells rows apart.
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
                "it has no primary key that the API knows of, so its rows cannot be read page by page without losing some: name \
                 columns in `key` that tell its rows apart and are never NULL, or read it over the database (`dsn`)"
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
            [one] => Err(Error::validation(format!("the table `{}` cannot be read so: {one}", api.shown()))
                .with_hint("mend it and run again")),
            many => Err(Error::validation(format!(
                "the table `{}` cannot be read so, for {} reasons:\n  - {}",
                api.shown(),
                many.len(),
                many.join("\n  - ")
            ))
            .with_hint("mend them all and run again")),
        }
    }
}
