//! `osiris_connections.yaml`: found, read, checked for form, with the place of every field. Variables in it stay as
//! they are; core puts them in when a step needs the connection.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osiris_core::connection::is_label;
use osiris_core::secret::{has_secret_address, is_reference, looks_secret, mask_login};
use osiris_core::{Code, ConfigSchema, ConnectionRef, Connections};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::parse::{mask_literals, mask_secrets};
use crate::source::{SourceFile, Span};
use crate::yaml::{self, Entry, Node, NodeKind};

/// The name of the file.
pub const CONNECTIONS_FILE: &str = "osiris_connections.yaml";
/// What files of the original Osiris have beside the connections: names for several of them.
const GROUPS: &str = "groups";

/// The connections of a project with the file they came from.
#[derive(Debug, Clone, Default)]
pub struct ConnectionsFile {
    connections: Connections,
    file: Option<(Arc<SourceFile>, Node)>,
    /// Connections that stand in addresses on the command line.
    addresses: Option<(Arc<SourceFile>, Node)>,
    warnings: Diagnostics,
}

impl ConnectionsFile {
    /// No connections.
    pub fn none() -> Self {
        Self::default()
    }

    /// The file in `directory` or the nearest directory above it; no connections when there is none.
    ///
    /// # Errors
    /// The file is there and cannot be used.
    pub fn find(directory: &Path) -> Result<Self, Diagnostics> {
        match Self::nearest(directory) {
            Some(path) => Self::read(&path),
            None => Ok(Self::none()),
        }
    }

    /// Where the nearest file is, looking from `directory` upwards.
    pub fn nearest(directory: &Path) -> Option<PathBuf> {
        // The name as the user would write it is worth more than an absolute one.
        let file = directory.join(CONNECTIONS_FILE);
        if file.is_file() {
            return Some(file);
        }
        let absolute = std::path::absolute(directory).ok()?;
        absolute.ancestors().skip(1).map(|above| above.join(CONNECTIONS_FILE)).find(|path| path.is_file())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or its form is wrong: everything that is, is listed.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        Self::parse(SourceFile::read(path)?)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Its form is wrong.
    pub fn parse(source: SourceFile) -> Result<Self, Diagnostics> {
        let source = Arc::new(source.confidential());
        let mut diagnostics = Diagnostics::default();
        let mut connections = Connections::default();
        let Some(tree) = yaml::load(&source, &mut diagnostics) else { return Err(diagnostics.sorted()) };
        mask_secrets(&tree, &source, &mut diagnostics);
        check_top(&tree, &source, &mut diagnostics);
        for family in families(&tree, &source, &mut diagnostics) {
            for alias in entries(
                &family.value,
                &format!("the family `{}`", family.key),
                family.key_span,
                &source,
                &mut diagnostics,
            ) {
                connection(family, alias, &mut connections, &source, &mut diagnostics);
            }
        }
        for problem in connections.problems() {
            let span = tree.find(&problem.pointer).key_span();
            diagnostics.push(Diagnostic::from_problem(&problem).at(&source, span));
        }
        if diagnostics.has_errors() {
            mask_fields(&tree, &source, &mut diagnostics);
            return Err(diagnostics.sorted());
        }
        Ok(Self { connections, file: Some((source, tree)), addresses: None, warnings: diagnostics.sorted() })
    }

    /// With the connections of addresses besides its own.
    #[must_use]
    pub(crate) fn with_addresses(mut self, addresses: Self) -> Self {
        for (reference, fields) in addresses.connections.iter() {
            self.connections.insert(reference.family(), reference.alias(), fields.clone());
        }
        self.addresses = addresses.file;
        self.warnings.extend(addresses.warnings);
        self
    }

    /// The definitions.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Where the file is.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().and_then(|(source, _)| source.path())
    }

    /// What the file holds, with its places.
    pub(crate) fn tree(&self) -> Option<&Node> {
        self.file.as_ref().map(|(_, tree)| tree)
    }

    /// The directory whose `.env` belongs to the file.
    pub fn directory(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|(source, _)| source.directory())
    }

    /// What hides the secrets of the file wherever its lines are shown.
    pub(crate) fn masks(&self) -> Diagnostics {
        self.warnings.clone()
    }

    /// The definition of a connection in the file.
    pub(crate) fn definition(&self, reference: &ConnectionRef) -> Option<&Node> {
        self.defined_in(reference).map(|(_, node)| node)
    }

    /// The name of the file that defines a connection.
    pub(crate) fn file_of(&self, reference: &ConnectionRef) -> Option<&str> {
        self.defined_in(reference).map(|((source, _), _)| source.name())
    }

    /// The text that defines a connection, and the definition.
    fn defined_in(&self, reference: &ConnectionRef) -> Option<(&(Arc<SourceFile>, Node), &Node)> {
        let pointer = format!("/connections/{}/{}", reference.family(), reference.alias());
        [&self.addresses, &self.file].into_iter().flatten().find_map(|text| {
            let found = text.1.find(&pointer);
            found.is_exact.then_some((text, found.node))
        })
    }

    /// The file and the place of a field of a connection, or of the connection when the field is not there.
    pub(crate) fn place(
        &self,
        reference: &ConnectionRef,
        pointer: &str,
        of_name: bool,
    ) -> Option<(&Arc<SourceFile>, Span)> {
        let (source, tree) = self.defined_in(reference).map(|(text, _)| text).or(self.file.as_ref())?;
        let found = tree.find(&format!("/connections/{}/{}{pointer}", reference.family(), reference.alias()));
        Some((source, if of_name { found.key_span() } else { found.value_span() }))
    }

    /// Hides the secrets of a connection, and what stands in fields that nobody knows.
    pub(crate) fn mask(&self, reference: &ConnectionRef, schema: &ConfigSchema, diagnostics: &mut Diagnostics) {
        let Some(((source, _), definition)) = self.defined_in(reference) else { return };
        for entry in definition.as_mapping().unwrap_or_default() {
            if !is_known_field(&entry.key, schema) || schema.is_secret(&entry.key) {
                mask_literals(&entry.value, source, diagnostics);
            }
        }
    }

    /// Warns of every secret that is written out instead of named in the file.
    pub fn literal_secrets(&self, reference: &ConnectionRef, schema: &ConfigSchema) -> Vec<Diagnostic> {
        let Some(((source, _), definition)) = self.defined_in(reference) else { return Vec::new() };
        if self.addresses.as_ref().is_some_and(|(address, _)| Arc::ptr_eq(address, source)) {
            return Vec::new();
        }
        let fields = definition.as_mapping().unwrap_or_default();
        let literal = |entry: &&Entry| {
            let is_secret =
                schema.is_secret(&entry.key) || (schema.field_named(&entry.key).is_none() && looks_secret(&entry.key));
            let is_literal = |text: &str| !text.is_empty() && !is_reference(text);
            let has_login = |text: &str| matches!(mask_login(&entry.key, text), Cow::Owned(_));
            entry
                .value
                .as_str()
                .is_some_and(|text| (is_secret && is_literal(text)) || has_secret_address(text) || has_login(text))
        };
        fields.iter().filter(literal).map(|entry| warn_literal(reference, entry, source)).collect()
    }
}

/// Whether a family knows a field of its connections, or every family does.
pub(crate) fn is_known_field(name: &str, schema: &ConfigSchema) -> bool {
    matches!(name, "default" | "overrides") || is_label(name, schema) || schema.field_named(name).is_some()
}

fn warn_literal(reference: &ConnectionRef, entry: &Entry, source: &Arc<SourceFile>) -> Diagnostic {
    let variable = format!("{}_{}", reference.alias(), entry.key).to_uppercase().replace('-', "_");
    Diagnostic::warning(format!("`{}` of {reference} is a secret and is written in the file", entry.key))
        .at(source, entry.key_span)
        .with_hint(format!(
            "write `{}: \"${{{variable}}}\"` and set {variable} in the environment or in .env",
            entry.key
        ))
        .of_literal_secret()
}

fn check_top(tree: &Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) {
    for entry in tree.as_mapping().unwrap_or_default() {
        if entry.key == GROUPS {
            let message = format!("`{GROUPS}` has no effect: a step names its connection");
            diagnostics.push(Diagnostic::warning(message).at(source, entry.key_span).with_hint("remove it"));
        } else if !matches!(entry.key.as_str(), "version" | "connections") {
            let message = format!("unknown key `{}` in the connections file", entry.key);
            let hint = "known keys: version, connections; a family stands under `connections`";
            let diagnostic = Diagnostic::error(message).with_code(Code::UnknownField);
            diagnostics.push(diagnostic.at(source, entry.key_span).with_hint(hint));
        }
    }
    // The original Osiris writes "1.0", and often nothing.
    let is_one = |entry: &Entry| {
        entry.value.is_null()
            || entry.value.to_json().as_f64() == Some(1.0)
            || matches!(entry.value.as_str(), Some("1" | "1.0"))
    };
    if let Some(entry) = tree.entry("version").filter(|entry| !is_one(entry)) {
        let message = "this version of the connections file is not supported";
        diagnostics.push(Diagnostic::error(message).at(source, entry.value.span).with_hint("write `version: 1`"));
    }
}

fn families<'a>(tree: &'a Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> &'a [Entry] {
    if tree.is_null() {
        return &[];
    }
    let Some(top) = tree.as_mapping() else {
        let message = format!("the connections file must be a mapping, found {}", tree.describe());
        let hint =
            "write `connections:`, below it a family such as `mysql:`, and below that a name for each connection";
        diagnostics
            .push(Diagnostic::error(message).at(source, Span::new(tree.span.start, tree.span.start)).with_hint(hint));
        return &[];
    };
    match top.iter().find(|entry| entry.key == "connections") {
        Some(entry) => entries(&entry.value, "`connections`", entry.key_span, source, diagnostics),
        None => &[],
    }
}

fn entries<'a>(
    node: &'a Node,
    what: &str,
    key: Span,
    source: &Arc<SourceFile>,
    diagnostics: &mut Diagnostics,
) -> &'a [Entry] {
    match &node.kind {
        NodeKind::Mapping(entries) => entries,
        NodeKind::Null => &[],
        _ => {
            let message = format!("{what} must be a mapping, found {}", node.describe());
            diagnostics.push(
                Diagnostic::error(message)
                    .with_code(Code::InvalidValue)
                    .at(source, key)
                    .with_hint("write a name, and below it the fields of the connection"),
            );
            &[]
        }
    }
}

fn connection(
    family: &Entry,
    alias: &Entry,
    connections: &mut Connections,
    source: &Arc<SourceFile>,
    diagnostics: &mut Diagnostics,
) {
    let reference = format!("@{}.{}", family.key, alias.key);
    if reference.parse::<ConnectionRef>().is_err() {
        let message = format!("`{reference}` is not a connection reference, so no step could name this connection");
        let hint = "families: small letters, digits, `_`; names: letters, digits, `_`, `-`";
        diagnostics.push(Diagnostic::error(message).at(source, alias.key_span).with_hint(hint));
    }
    let fields = entries(&alias.value, &format!("the connection {reference}"), alias.key_span, source, diagnostics);
    if let Some(default) =
        fields.iter().find(|field| field.key == "default" && !matches!(field.value.kind, NodeKind::Bool(_)))
    {
        let message = format!("`default` must be true or false, found {}", default.value.describe());
        let diagnostic = Diagnostic::error(message).with_code(Code::InvalidValue);
        diagnostics.push(diagnostic.at(source, default.value.span));
    }
    connections.insert(&family.key, &alias.key, yaml::mapping_to_json(fields));
}

/// Which fields are secret is for the component to say, and it is not known yet: an error of form shows none of them.
fn mask_fields(tree: &Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) {
    let entries = |node: &'_ Node| node.as_mapping().unwrap_or_default().to_vec();
    for family in tree.get("connections").map(entries).unwrap_or_default() {
        for alias in entries(&family.value) {
            let fields = entries(&alias.value)
                .into_iter()
                .filter(|field| !matches!(field.key.as_str(), "default" | "overrides"));
            fields.for_each(|field| mask_literals(&field.value, source, diagnostics));
        }
    }
}
