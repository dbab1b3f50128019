//! The step of a group that reads: which tables it means, and the steps that read them.

use std::collections::HashMap;
use std::sync::Arc;

use osiris_core::{Code, ConfigSchema, Driver, Role, safe_name};
use serde_json::Value;

use super::expand::GroupScope;
use super::select::{Pattern, select};
use super::{FoundTable, GroupMember, TableGroup, columns, id, node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::interpolate::interpolate;
use crate::model::{Spanned, Step};
use crate::source::Span;
use crate::yaml::{Entry, Node, NodeKind};

/// The field with the patterns.
const TABLES: &str = "tables";
/// The fields that say what a step reads, which is what `tables` says.
const INSTEAD: [&str; 3] = ["table", "query", "schema"];
/// The fields that name columns.
const COLUMNS: [&str; 4] = ["/columns", "/cursor/column", "/partition_by", "/key"];

/// Whether a component can read the tables that its connection is found to have.
pub(crate) fn can_read_groups(driver: &dyn Driver) -> bool {
    let reads_tables = driver.config_schema().field_named("table").is_some();
    driver.spec().role == Role::Extract && reads_tables && driver.family().has_discovery()
}

/// A step that reads many tables.
pub(super) struct Reader {
    pub(super) id: String,
    patterns: Vec<String>,
    span: Span,
    has_schemas: bool,
    /// The tables, each with the place of its pattern.
    tables: Vec<(FoundTable, Span)>,
    /// Whether the source has been asked.
    pub(super) is_known: bool,
}

impl Reader {
    /// None for a step that reads no group.
    pub(super) fn of(step: &Step, scope: &GroupScope<'_>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let entry = step.config.entry(TABLES).filter(|entry| !entry.value.is_null())?;
        let driver = scope.driver(step).filter(|driver| can_read_groups(driver.as_ref()))?;
        let schema = driver.config_schema();
        let instead = instead(&step.config, schema);
        // A component may have a field of that name for something else, which means nothing without one of these.
        if schema.field_named(TABLES).is_some() && !instead.is_empty() {
            return None;
        }
        for other in instead {
            diagnostics.push(conflict(other, schema).at(scope.source, other.key_span));
        }
        let has_schemas = schema.field_named("schema").is_some();
        let id = step.id.value.clone();
        let unknown = || vec![(FoundTable::unknown(has_schemas), entry.value.span)];
        let mut reader =
            Self { id, patterns: Vec::new(), span: entry.key_span, has_schemas, tables: unknown(), is_known: false };
        if let Some(patterns) = patterns(entry, scope, diagnostics) {
            reader.patterns = patterns.iter().map(|pattern| pattern.text.value.clone()).collect();
            reader.find(&patterns, scope, diagnostics);
        }
        if reader.is_known {
            reader.check(step, scope, diagnostics);
        }
        Some(reader)
    }

    /// The tables, once the source has been asked.
    fn find(&mut self, patterns: &[Pattern], scope: &GroupScope<'_>, diagnostics: &mut Diagnostics) {
        let Some(found) = scope.found else { return };
        let Some(all) = found.of(&self.id) else {
            let message = format!("the run that is resumed did not know the tables of `{}`", self.id);
            let error = Diagnostic::error(message).with_code(Code::NotResumable).at(scope.source, self.span);
            diagnostics.push(error.with_hint("start a new run"));
            return;
        };
        self.is_known = true;
        self.tables = select(patterns, all, (scope.source, self.span), diagnostics);
    }

    fn check(&self, step: &Step, scope: &GroupScope<'_>, diagnostics: &mut Diagnostics) {
        let tables: Vec<FoundTable> = self.tables().cloned().collect();
        for (error, span) in columns::missing(&step.config, &COLUMNS, &tables) {
            diagnostics.push(error.at(scope.source, span));
        }
        let mut taken: HashMap<String, &FoundTable> = HashMap::new();
        for table in self.tables() {
            let id = self.member_id(&step.id.value, table);
            // What steps are called in SQL and as files.
            let Some(other) = taken.insert(safe_name(&id.to_lowercase()), table) else { continue };
            let message = format!(
                "the tables `{}` and `{}` would be read by steps of the same name, `{id}`: their names differ only by case or punctuation",
                other.name, table.name
            );
            let error = Diagnostic::error(message).with_code(Code::DuplicateName).at(scope.source, self.span);
            let hint = format!("exclude one with `\"!{}\"`, and read it in a step of its own", table.name);
            diagnostics.push(error.with_hint(hint));
        }
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = &FoundTable> {
        self.tables.iter().map(|(table, _)| table)
    }

    /// The id of the step that a step of the group becomes for a table.
    pub(super) fn member_id(&self, step: &str, table: &FoundTable) -> String {
        if self.is_known { id::of_table(step, table) } else { step.to_owned() }
    }

    pub(super) fn member(&self, step: &Step, table: &FoundTable) -> GroupMember {
        GroupMember { group: step.id.value.clone(), table: self.is_known.then(|| table.name.clone()) }
    }

    /// The steps that read the tables.
    pub(super) fn members(&self, step: &Step) -> Vec<Step> {
        let member = |(table, span): &(FoundTable, Span)| Step {
            id: Spanned { value: self.member_id(&step.id.value, table), span: step.id.span },
            config: node::mapped(&step.config, |entry| match entry.key.as_str() {
                TABLES => self.place(entry, table, *span),
                _ => vec![entry.clone()],
            }),
            group: Some(self.member(step, table)),
            ..step.clone()
        };
        self.tables.iter().map(member).collect()
    }

    /// The fields that say which table.
    fn place(&self, entry: &Entry, table: &FoundTable, span: Span) -> Vec<Entry> {
        let field = |name: &str, text: &str| node::entry(name, entry.key_span, node::literal(text, span));
        let schema = table.schema.as_deref().filter(|_| self.has_schemas).map(|schema| field("schema", schema));
        // What stands for unknown tables is no name of a schema, and some components check those.
        let schema = schema.filter(|_| self.is_known);
        schema.into_iter().chain([field("table", &table.table)]).collect()
    }

    pub(super) fn into_group(self) -> TableGroup {
        let tables = self.is_known.then(|| self.tables.into_iter().map(|(table, _)| table).collect());
        TableGroup { id: self.id, patterns: self.patterns, tables, span: self.span }
    }
}

/// What is written that says what the step reads, too.
fn instead<'a>(config: &'a Node, schema: &ConfigSchema) -> Vec<&'a Entry> {
    let entries = config.as_mapping().unwrap_or_default().iter().filter(|entry| !entry.value.is_null());
    entries.filter(|entry| schema.field_named(&entry.key).is_some_and(|field| INSTEAD.contains(&field))).collect()
}

fn conflict(other: &Entry, schema: &ConfigSchema) -> Diagnostic {
    let hint = match schema.field_named(&other.key) {
        Some("schema") => "write the schema into the patterns: `tables: [SCHEMA.*]`",
        _ => "remove one of them",
    };
    Diagnostic::error(format!("`{}` and `{TABLES}` cannot both be given", other.key))
        .with_code(Code::InvalidValue)
        .with_hint(hint)
}

/// The patterns of a step; none if they cannot be used, which is reported.
fn patterns(entry: &Entry, scope: &GroupScope<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Pattern>> {
    let only = Node { span: entry.value.span, kind: NodeKind::Mapping(vec![entry.clone()]) };
    let done = interpolate(&only, &scope.values(), diagnostics);
    if !done.incomplete.is_empty() {
        return None;
    }
    let written = entry.value.as_sequence().unwrap_or_default();
    let items = match done.config.get(TABLES) {
        Some(Value::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let mut patterns = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let span = written.get(index).map_or(entry.value.span, |node| node.span);
        let Some(text) = item.as_str().filter(|text| !text.trim_start_matches('!').trim().is_empty()) else {
            let error = Diagnostic::error(format!("`{TABLES}` must be a list of patterns of names"));
            let error = error.with_code(Code::InvalidValue).at(scope.source, span);
            diagnostics.push(error.with_hint("write `tables: [shop.*, \"!shop.tmp_*\"]`"));
            return None;
        };
        match Pattern::parse(Spanned { value: text.to_owned(), span }) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                diagnostics.push(Diagnostic::from_core(&error).at(scope.source, span));
                return None;
            }
        }
    }
    if patterns.iter().all(Pattern::excludes) {
        let error = Diagnostic::error(format!("`{TABLES}` names no table to read")).with_code(Code::InvalidValue);
        let error = error.at(scope.source, entry.key_span);
        diagnostics.push(error.with_hint("add a pattern without `!`, such as `\"*\"` for all tables"));
        return None;
    }
    Some(patterns)
}

/// The component of a step with the configuration as it is written.
pub(super) fn driver(step: &Step, scope: &GroupScope<'_>) -> Option<Arc<dyn Driver>> {
    let Value::Object(config) = step.config.to_json() else { return None };
    scope.registry.find(&step.component.value, &config).ok().map(Arc::clone)
}
