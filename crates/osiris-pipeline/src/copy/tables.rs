//! Every table of a connection to one destination: what `osiris init --from` writes. Like a copy, but a file to keep: what its
//! reader may want to change has a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use osiris_core::{
    Catalog, ConnectionRef, Driver, Error, NamePattern, Registry, Resource, ResourceField, ResourceKind, Result, Role,
    safe_name, visible_line,
};
use serde_json::{Map, Value, json};

use super::address::Address;
use super::endpoint::Endpoint;
use super::{CopyRequest, step, text};
use crate::group::FoundTable;

/// Names of columns that tell when a row was changed, the likeliest first.
const CHANGED: [&str; 9] = [
    "updated_at",
    "modified_at",
    "changed_at",
    "last_modified",
    "last_updated",
    "updated",
    "modified",
    "update_time",
    "created_at",
];
/// The most tables that get steps of their own: who has more selects them by a pattern.
const MAX_LISTED: usize = 20;
/// The longest part of a step's id that is taken from a table's name.
const MAX_ID: usize = 80;

/// Which tables to copy, and where to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TablesRequest {
    /// The connection that has them.
    pub source: ConnectionRef,
    /// A connection, `@family.alias` or `@family.alias.schema`, or a directory for Parquet files.
    pub destination: String,
    /// The pattern that the tables fit. Default: all.
    pub pattern: Option<String>,
}

/// The pipeline that copies them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TablesPipeline {
    /// The pipeline file.
    pub text: String,
    /// The tables that it copies.
    pub tables: Vec<String>,
    /// The resources that it does not copy, with the reason.
    pub left_out: Vec<(String, String)>,
}

impl TablesRequest {
    /// All tables of `source`.
    pub fn new(source: ConnectionRef, destination: impl Into<String>) -> Self {
        Self { source, destination: destination.into(), pattern: None }
    }

    /// Only those that fit a pattern, where there is one.
    #[must_use]
    pub fn with_pattern(mut self, pattern: Option<String>) -> Self {
        self.pattern = pattern;
        self
    }

    /// The component that reads them.
    ///
    /// # Errors
    /// The family of the connection is unknown, or cannot say which tables it has.
    pub fn component(&self, registry: &Registry) -> Result<&'static str> {
        let family = self.source.family();
        let of_family = || registry.iter().filter(|driver| driver.spec().family() == family);
        if of_family().next().is_none() {
            // The registry knows which feature a family comes with, and what is spelled alike.
            return Err(registry.get(&format!("{family}.extractor")).err().unwrap_or_else(|| cannot_list(family)));
        }
        let reads = |driver: &&Arc<dyn Driver>| driver.spec().role == Role::Extract;
        let extractor = of_family()
            .find(reads)
            .filter(|driver| driver.family().has_discovery() && driver.config_schema().field_named("table").is_some());
        extractor.map(|driver| driver.spec().name).ok_or_else(|| cannot_list(family))
    }

    /// The pipeline `name` for the tables of `catalog`.
    ///
    /// # Errors
    /// The destination cannot be used, or there is no table.
    pub fn pipeline(&self, name: &str, catalog: &Catalog, registry: &Registry) -> Result<TablesPipeline> {
        if self.destination.trim_matches('/').is_empty() {
            return Err(Error::validation("no directory is named for the files").with_hint("name one: `--to out`"));
        }
        // Each table would be read and written to itself.
        if self.destination == self.source.to_string() {
            return Err(Error::validation(format!("{} would be copied to itself", self.source))
                .with_hint("name another connection, or another schema of it: `--to @family.alias.schema`"));
        }
        let has_schemas = registry.get(self.component(registry)?)?.config_schema().field_named("schema").is_some();
        let targets = targets(&catalog.resources, has_schemas);
        let (mut steps, mut ids) = (String::new(), Ids::default());
        let (mut tables, mut left_out) = (Vec::new(), Vec::new());
        let mut refusal = None;
        for resource in &catalog.resources {
            if resource.kind != ResourceKind::Table {
                left_out.push((resource.name.clone(), "not a table".to_owned()));
                continue;
            }
            match self.table(resource, &targets[resource.name.as_str()], &mut ids, registry) {
                Ok(text) => {
                    steps.push_str(&text);
                    tables.push(resource.name.clone());
                }
                Err(error) => {
                    left_out.push((resource.name.clone(), one_line(error.message())));
                    refusal.get_or_insert(error);
                }
            }
        }
        if tables.is_empty() {
            return Err(refusal.unwrap_or_else(|| {
                Error::validation(format!("{} has no tables", self.source))
                    .with_hint("the account sees only what it has rights on; views are not copied")
            }));
        }
        let mut text = format!(
            "# Made by `osiris init --from {} --to {}`: yours to change.\n{}",
            self.source,
            one_line(&self.destination),
            text::head(name)
        );
        for (name, reason) in &left_out {
            let _ = writeln!(text, "  # not copied: {}: {reason}", one_line(name));
        }
        let group = match tables.len() > MAX_LISTED {
            true => self.group(catalog, &tables, has_schemas, registry)?,
            false => None,
        };
        text.push_str(group.as_ref().unwrap_or(&steps));
        Ok(TablesPipeline { text, tables, left_out })
    }

    /// Two steps for all tables, where a name for each can be made of theirs.
    fn group(
        &self,
        catalog: &Catalog,
        tables: &[String],
        has_schemas: bool,
        registry: &Registry,
    ) -> Result<Option<String>> {
        let of_tables = || catalog.resources.iter().filter(|resource| resource.kind == ResourceKind::Table);
        let (copied, others): (Vec<&Resource>, Vec<&Resource>) =
            of_tables().partition(|resource| tables.contains(&resource.name));
        let Some(template) = template(&copied, has_schemas) else { return Ok(None) };
        let request = CopyRequest::new(format!("{}.*", self.source), self.place_of(template));
        let mut from = Endpoint::source(&Address::parse(&request.source, registry)?, &request, registry)?;
        let mut to =
            Endpoint::destination(&Address::parse(&request.destination, registry)?, &from, &request, registry)?;
        let excluded = others.iter().map(|resource| format!("!{}", NamePattern::escaped(&resource.name)));
        let pattern = self.pattern.clone().unwrap_or_else(|| "*".to_owned());
        let patterns: Vec<String> = std::iter::once(pattern).chain(excluded).collect();
        from.config.insert("tables".to_owned(), json!(patterns));
        let is_table = to.config.contains_key("table");
        if is_table {
            to.config.insert("mode".to_owned(), json!("overwrite"));
        }
        let mut text = text::steps(&[
            step("tables", &from.component, "read", None, from.config),
            step("load", &to.component, "write", Some("tables"), to.config),
        ]);
        if is_table {
            text.push_str(
                "      # The primary key of each table, for `mode: upsert`, which keeps rows that are gone from the source.\n      \
                 # key: auto\n",
            );
        }
        Ok(Some(text))
    }

    /// The two steps of a table.
    fn table(&self, resource: &Resource, target: &str, ids: &mut Ids, registry: &Registry) -> Result<String> {
        if resource.name.contains('*') {
            return Err(Error::validation(format!("`{}` would be taken for a pattern", resource.name)));
        }
        let request = CopyRequest::new(format!("{}.{}", self.source, resource.name), self.place_of(target));
        let from = Endpoint::source(&Address::parse(&request.source, registry)?, &request, registry)?;
        let mut to =
            Endpoint::destination(&Address::parse(&request.destination, registry)?, &from, &request, registry)?;
        let is_table = to.config.contains_key("table");
        if is_table {
            to.config.insert("mode".to_owned(), json!("overwrite"));
        }
        let reader = ids.of(target, "");
        let writer = ids.of(&reader, "load-");
        let has_cursor = registry.get(&from.component)?.config_schema().field_named("cursor").is_some();
        let mut text = steps_text(&reader, &from.component, "read", None, from.config);
        let key = primary_key(resource);
        if has_cursor
            && is_table
            && !key.is_empty()
            && let Some(column) = changed_column(resource)
        {
            let _ = writeln!(
                text,
                "      # To read only what is new: if `{name}` grows with every change of a row, and with `mode: upsert` below.\n      \
                 # cursor: {{column: {column}}}",
                name = one_line(&column.name),
                column = json!(column.name)
            );
        }
        text.push_str(&steps_text(&writer, &to.component, "write", Some(&reader), to.config));
        if is_table && !key.is_empty() {
            let _ = writeln!(
                text,
                "      # The primary key, for `mode: upsert`, which keeps rows that are gone from the source; a table that is there must have it.\n      # key: {}",
                json!(key)
            );
        }
        Ok(text)
    }

    /// The address of the destination of one table.
    fn place_of(&self, target: &str) -> String {
        match self.destination.starts_with('@') {
            true => format!("{}.{target}", self.destination),
            false => format!("{}/{target}.parquet", self.destination.trim_end_matches('/')),
        }
    }
}

fn cannot_list(family: &str) -> Error {
    Error::validation(format!("`{family}` cannot say which tables it has"))
        .with_hint("`osiris init --from` takes a connection to a database; `osiris init` alone makes a small project")
}

/// What each resource is called at the destination: as its table, or with its schema where two tables are called alike, or with a
/// number where that is taken. Without characters that would mean a schema, a directory or a variable there. A source without schemas
/// may have dots in the names of its tables.
fn targets(resources: &[Resource], has_schemas: bool) -> BTreeMap<&str, String> {
    let short = |resource: &Resource| {
        let table = resource.name.split_once('.').filter(|_| has_schemas).map(|(_, table)| table);
        plain(table.unwrap_or(&resource.name))
    };
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for resource in resources {
        *known.entry(short(resource).to_lowercase()).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    let named = resources.iter().map(|resource| {
        let short = short(resource);
        let base = if known[&short.to_lowercase()] == 1 { short } else { plain(&resource.name) };
        let (mut name, mut number) = (base.clone(), 1);
        while !taken.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{base}_{number}");
        }
        (resource.name.as_str(), name)
    });
    named.collect()
}

/// The first of the usual templates by which the names of all these tables differ at the destination, and are what they are at the
/// source.
fn template(tables: &[&Resource], has_schemas: bool) -> Option<&'static str> {
    let tables: Vec<FoundTable> = tables.iter().map(|table| FoundTable::new(table, has_schemas, None)).collect();
    let is_plain = |name: &str| plain(name) == name;
    let differ = |name: &dyn Fn(&FoundTable) -> Option<String>| {
        let names: Vec<Option<String>> = tables.iter().map(name).collect();
        let distinct: BTreeSet<String> = names.iter().flatten().map(|name| name.to_lowercase()).collect();
        distinct.len() == tables.len()
    };
    let alone = |table: &FoundTable| Some(table.table.clone()).filter(|name| is_plain(name));
    let with_schema = |table: &FoundTable| Some(format!("{}_{}", table.schema.as_ref()?, alone(table)?));
    if differ(&alone) {
        return Some("{table}");
    }
    differ(&with_schema).then_some("{schema}_{table}")
}

fn plain(name: &str) -> String {
    name.replace(['.', '/', '\\', '$'], "_")
}

/// The ids of the steps, which differ in SQL and as names of files.
#[derive(Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    fn of(&mut self, table: &str, prefix: &str) -> String {
        let letters = table.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' });
        let letters: String = letters.take(MAX_ID).collect();
        let letters = letters.trim_start_matches('-');
        // What YAML would take for a number or for nothing.
        let is_word = letters.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && !["true", "false", "null"].iter().any(|word| letters.eq_ignore_ascii_case(word));
        let base =
            if is_word || !prefix.is_empty() { format!("{prefix}{letters}") } else { format!("table-{letters}") };
        let (mut id, mut number) = (base.clone(), 1);
        while !self.0.insert(safe_name(&id.to_lowercase())) {
            number += 1;
            id = format!("{base}-{number}");
        }
        id
    }
}

/// Texts that look like variables mean themselves.
fn escaped(mut config: Map<String, Value>) -> Map<String, Value> {
    for value in config.values_mut() {
        if let Value::String(text) = value {
            *text = text.replace("${", "$${");
        }
    }
    config
}

fn steps_text(id: &str, component: &str, mode: &str, input: Option<&str>, config: Map<String, Value>) -> String {
    text::steps(&[step(id, component, mode, input, escaped(config))])
}

/// The columns of the primary key in the order of the table.
fn primary_key(resource: &Resource) -> Vec<&str> {
    let mut key: Vec<&ResourceField> = resource.fields.iter().filter(|field| field.primary_key).collect();
    key.sort_by_key(|field| field.ordinal);
    key.into_iter().map(|field| field.name.as_str()).collect()
}

/// The column by which changes could be told.
fn changed_column(resource: &Resource) -> Option<&ResourceField> {
    let is_time = |field: &&ResourceField| ["time", "date"].iter().any(|word| field.field_type.contains(word));
    CHANGED.iter().find_map(|name| {
        resource.fields.iter().filter(is_time).find(|field| !field.nullable && field.name.eq_ignore_ascii_case(name))
    })
}

/// A name in a comment: it ends with its line.
fn one_line(name: &str) -> String {
    visible_line(name).into_owned()
}
