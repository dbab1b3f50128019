//! The steps of a group that write: the name of each table's destination, and the steps that write them.

use std::sync::Arc;

use osiris_core::problem::nearest;
use osiris_core::{Code, ConfigSchema, Driver};

use super::expand::GroupScope;
use super::reader::Reader;
use super::template::{PLACEHOLDERS, Template};
use super::{FoundTable, columns, node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Spanned, Step, StepInput};
use crate::yaml::{Entry, Node};

/// The fields that name a destination.
const DESTINATION: [&str; 3] = ["path", "table", "schema"];
/// The field with the key, and the word for that of each table.
const KEY: &str = "key";
const AUTO: &str = "auto";

/// A step that writes each table of a group.
pub(super) struct Writer<'a> {
    pub(super) reader: &'a Reader,
    driver: Arc<dyn Driver>,
}

impl<'a> Writer<'a> {
    /// The step as a writer of the tables of `reader`. What cannot be written is reported.
    pub(super) fn new(
        step: &Step,
        driver: Arc<dyn Driver>,
        reader: &'a Reader,
        scope: &GroupScope<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let writer = Self { reader, driver };
        writer.templates(&step.config).for_each(|entry| writer.check_template(entry, scope, diagnostics));
        if reader.is_known {
            writer.check_names(step, scope, diagnostics);
            writer.check_key(step, scope, diagnostics);
        }
        writer
    }

    fn schema(&self) -> &ConfigSchema {
        self.driver.config_schema()
    }

    fn is_field(&self, entry: &Entry, field: &str) -> bool {
        self.schema().field_named(&entry.key) == Some(field)
    }

    /// The fields with a text for each table.
    fn templates<'n>(&self, config: &'n Node) -> impl Iterator<Item = &'n Entry> {
        let entries = config.as_mapping().unwrap_or_default().iter();
        entries.filter(|entry| self.is_template(entry))
    }

    fn is_template(&self, entry: &Entry) -> bool {
        entry.value.as_str().is_some() && DESTINATION.iter().any(|field| self.is_field(entry, field))
    }

    fn is_auto_key(&self, entry: &Entry) -> bool {
        self.is_field(entry, KEY) && entry.value.as_str() == Some(AUTO)
    }

    fn check_template(&self, entry: &Entry, scope: &GroupScope<'_>, diagnostics: &mut Diagnostics) {
        let refused = |message: String, hint: String| {
            let error = Diagnostic::error(message).with_code(Code::InvalidValue).at(scope.source, entry.value.span);
            error.with_hint(hint)
        };
        for word in Template::new(entry.value.as_str().unwrap_or_default()).placeholders() {
            if !PLACEHOLDERS.contains(&word) {
                let hint = match nearest(word, PLACEHOLDERS) {
                    Some(similar) => format!("did you mean `{{{similar}}}`?"),
                    None => "placeholders: `{schema}`, `{table}`".to_owned(),
                };
                diagnostics.push(refused(format!("`{{{word}}}` is not a placeholder of the name of a table"), hint));
            } else if word == "schema" && self.reader.tables().any(|table| table.schema.is_none()) {
                let message = format!("`{{schema}}` has no value: the source of `{}` has no schemas", self.reader.id);
                diagnostics.push(refused(message, "write `{table}` alone".to_owned()));
            }
        }
    }

    /// Whether the names can differ at all. That they do is checked where the destinations are known.
    fn check_names(&self, step: &Step, scope: &GroupScope<'_>, diagnostics: &mut Diagnostics) {
        let count = self.reader.tables().count();
        let has_placeholder =
            |entry: &Entry| Template::new(entry.value.as_str().unwrap_or_default()).placeholders().next().is_some();
        let mut templates = self.templates(&step.config).peekable();
        let place = templates.peek().map(|entry| (entry.key.clone(), entry.value.span));
        if count > 1
            && !templates.any(has_placeholder)
            && let Some((field, span)) = place
        {
            let message = format!("`{field}` is one name for {count} tables, those of `{}`", self.reader.id);
            let error = Diagnostic::error(message).with_code(Code::TwoWriters).at(scope.source, span);
            diagnostics.push(error.with_hint("write a name for each, such as `{table}` or `{schema}_{table}`"));
        }
    }

    fn check_key(&self, step: &Step, scope: &GroupScope<'_>, diagnostics: &mut Diagnostics) {
        let mut entries = step.config.as_mapping().unwrap_or_default().iter();
        let Some(entry) = entries.find(|entry| self.is_field(entry, KEY)) else { return };
        if !self.is_auto_key(entry) {
            let tables: Vec<FoundTable> = self.reader.tables().cloned().collect();
            let only = node::mapped(&step.config, |entry| self.own_key(entry).into_iter().collect());
            for (error, span) in columns::missing(&only, &["/key"], &tables) {
                diagnostics.push(error.at(scope.source, span));
            }
            return;
        }
        let without = self.reader.tables().filter(|table| table.key.is_empty());
        if let Some((names, count)) = columns::named(without) {
            let tables = if count == 1 { "table has" } else { "tables have" };
            let message = format!("{count} {tables} no primary key, which `{}: {AUTO}` stands for: {names}", entry.key);
            let error = Diagnostic::error(message).with_code(Code::ColumnNotFound).at(scope.source, entry.value.span);
            diagnostics.push(error.with_hint(format!(
                "exclude them in `{}` with `\"!NAME\"`, and copy them in steps of their own",
                self.reader.id
            )));
        }
    }

    /// The key by the name of its field.
    fn own_key(&self, entry: &Entry) -> Option<Entry> {
        self.is_field(entry, KEY).then(|| node::entry(KEY, entry.key_span, entry.value.clone()))
    }

    /// The steps that write the tables.
    pub(super) fn members(&self, step: &Step) -> Vec<Step> {
        self.reader.tables().map(|table| self.member(step, table)).collect()
    }

    fn member(&self, step: &Step, table: &FoundTable) -> Step {
        let source = self.reader.member_id(&self.reader.id, table);
        let renamed = |word: &Spanned<String>| match word.value == self.reader.id {
            true => Spanned { value: source.clone(), span: word.span },
            false => word.clone(),
        };
        let input = |input: &StepInput| StepInput { key: input.key.clone(), step: renamed(&input.step) };
        let mut needs: Vec<Spanned<String>> = match step.inputs.is_empty() {
            true => step.needs.iter().map(renamed).collect(),
            // Then `needs` says what it waits for: the whole group, where it names one.
            false => step.needs.clone(),
        };
        if step.needs.is_empty() && step.inputs.is_empty() {
            needs.push(Spanned { value: source.clone(), span: step.id.span });
        }
        Step {
            id: Spanned { value: self.reader.member_id(&step.id.value, table), span: step.id.span },
            config: node::mapped(&step.config, |entry| vec![self.field(entry, table, &source)]),
            needs,
            inputs: step.inputs.iter().map(input).collect(),
            group: Some(self.reader.member(step, table)),
            ..step.clone()
        }
    }

    fn field(&self, entry: &Entry, table: &FoundTable, source: &str) -> Entry {
        let span = entry.value.span;
        let value = match entry.value.as_str() {
            Some(text) if self.is_template(entry) => {
                node::written(Template::new(text).of(table, self.is_field(entry, "path")), span)
            }
            Some(_) if self.is_auto_key(entry) => node::list(&table.key, span),
            Some(text) if entry.key == "input_step" && text == self.reader.id => node::literal(source, span),
            _ => return entry.clone(),
        };
        node::entry(&entry.key, entry.key_span, value)
    }
}
