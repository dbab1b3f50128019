//! Table groups: a step that reads many tables, as `tables: [shop.*]`, and the writers of what it reads. Before a pipeline is
//! planned they become ordinary steps, a reader and a writer for each table; nothing after that knows of groups, but to show
//! what belongs together and to go on with the other tables when one fails.

mod changes;
mod columns;
mod expand;
mod id;
mod node;
mod reader;
mod select;
mod template;
mod writer;

use std::collections::BTreeMap;

use osiris_core::{Resource, ResourceField, ResourceKind};
use serde::{Deserialize, Serialize};

use crate::source::Span;

pub(crate) use changes::changes;
pub(crate) use expand::{GroupScope, expand};
pub(crate) use reader::can_read_groups;
pub(crate) use template::PLACEHOLDERS;

/// A table that a connection has, as far as a plan needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FoundTable {
    /// Its name as discovery says it.
    pub name: String,
    /// Its schema, where its source has schemas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name without the schema.
    pub table: String,
    /// Whether it is no table, but a view or something else with rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_view: bool,
    /// Its columns.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The columns of its primary key, in the order of the table.
    #[serde(default)]
    pub key: Vec<String>,
}

impl FoundTable {
    /// A resource of a source, of whose names the part before the first dot is a schema if it `has_schemas`; `default` is the
    /// schema of those without one.
    pub fn new(resource: &Resource, has_schemas: bool, default: Option<&str>) -> Self {
        let (schema, table) = match resource.name.split_once('.').filter(|_| has_schemas) {
            Some((schema, table)) => (Some(schema), table),
            None => (default.filter(|_| has_schemas), resource.name.as_str()),
        };
        let mut fields: Vec<&ResourceField> = resource.fields.iter().collect();
        fields.sort_by_key(|field| field.ordinal);
        let names =
            |fields: &mut dyn Iterator<Item = &&ResourceField>| fields.map(|field| field.name.clone()).collect();
        Self {
            name: resource.name.clone(),
            schema: schema.map(str::to_owned),
            table: table.to_owned(),
            is_view: resource.kind != ResourceKind::Table,
            columns: names(&mut fields.iter()),
            key: names(&mut fields.iter().filter(|field| field.primary_key)),
        }
    }

    /// What stands for the tables of a group as long as nobody knows them: the placeholders of templates.
    fn unknown(has_schemas: bool) -> Self {
        Self {
            name: "{table}".to_owned(),
            schema: has_schemas.then(|| "{schema}".to_owned()),
            table: "{table}".to_owned(),
            is_view: false,
            columns: Vec::new(),
            key: vec!["{key}".to_owned()],
        }
    }

    /// The names that patterns are compared with: as discovery says it, and with its schema.
    fn names(&self) -> impl Iterator<Item = String> {
        let qualified = self.schema.as_ref().map(|schema| format!("{schema}.{}", self.table));
        std::iter::once(self.name.clone()).chain(qualified)
    }
}

/// The tables of table groups, by the id of the step that reads them: what the connections have, or what a run has read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FoundTables(BTreeMap<String, Vec<FoundTable>>);

impl FoundTables {
    /// Adds those of a group.
    pub fn insert(&mut self, group: impl Into<String>, tables: Vec<FoundTable>) {
        self.0.insert(group.into(), tables);
    }

    /// Those of a group; none where nobody has asked for them.
    pub fn of(&self, group: &str) -> Option<&[FoundTable]> {
        self.0.get(group).map(Vec::as_slice)
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A step that reads many tables, as a plan has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableGroup {
    /// The id of the step in the file.
    pub id: String,
    /// Its patterns, those that exclude tables with their `!`.
    pub patterns: Vec<String>,
    /// The tables that it reads; none as long as the source has not been asked.
    pub tables: Option<Vec<FoundTable>>,
    /// Where its patterns stand.
    pub(crate) span: Span,
}

/// The place of a step in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupMember {
    /// The id of the step in the file.
    pub group: String,
    /// The name of the table; none as long as the source has not been asked.
    pub table: Option<String>,
}
