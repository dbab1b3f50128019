//! The reference of components: what each does and every field of its configuration, read from its schemas. The doc
//! comments of the drivers are the only source; nothing is explained here but what every step has.

mod field;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use osiris_core::{ComponentAlias, ComponentSpec, ConnectionUse, Driver, Registry, Role};
use serde_json::{Value, json};

pub use field::FieldReference;

use field::{fields, one_line};

/// What every step may have in its `config`, whatever its component.
const COMMON: &[(&str, &str, &str)] = &[
    (
        "connection",
        "text",
        "The connection to use, as `@family.alias`; its fields are in `osiris_connections.yaml`. Default: the family's \
         default connection, but none for a component that works without one, such as those for files: for them a connection \
         counts only where it is named. Some of the connection's fields may be given beside it and override it for this step.",
    ),
    (
        "tables",
        "list of text",
        "In the place of `table`, for an extractor whose connection can be discovered: patterns of the tables to read, such as \
         `[shop.*, \"!shop.tmp_*\"]`. A writer of such a step names the destination of each with `{table}` and `{schema}`, and \
         `key: auto` is the primary key of each.",
    ),
    ("input_step", "text", "Which step's table to take, for a component that takes one table and has several inputs."),
    ("dry_run", "true or false", "Check everything and change nothing, in this step only."),
];

/// One component, as the reference shows it.
pub struct ComponentReference<'a> {
    driver: &'a dyn Driver,
}

impl<'a> ComponentReference<'a> {
    /// The reference of a component.
    pub fn new(driver: &'a dyn Driver) -> Self {
        Self { driver }
    }

    fn spec(&self) -> &ComponentSpec {
        self.driver.spec()
    }

    /// The fields of its configuration, nested ones after the field that holds them.
    pub fn fields(&self) -> Vec<FieldReference> {
        fields(self.driver.config_schema().json())
    }

    /// The fields of its connection.
    pub fn connection_fields(&self) -> Vec<FieldReference> {
        fields(self.driver.connection_schema().json())
    }

    /// A line of a list of components.
    pub fn summary(&self) -> Value {
        let spec = self.spec();
        json!({"name": spec.name, "version": spec.version, "mode": spec.role.mode(), "title": spec.title})
    }

    /// All that is known of it, with both JSON Schemas.
    pub fn to_json(&self) -> Value {
        let spec = self.spec();
        json!({
            "name": spec.name,
            "family": spec.family(),
            "version": spec.version,
            "title": spec.title,
            "role": spec.role,
            "mode": spec.role.mode(),
            "connection": spec.connection,
            "description": one_line(&self.driver.config_schema().json()["description"]),
            "capabilities": self.capabilities(),
            "config_schema": self.driver.config_schema().json(),
            "connection_schema": self.driver.connection_schema().json(),
        })
    }

    /// What it can do, for a program that chooses a component.
    fn capabilities(&self) -> Value {
        let family = self.driver.family();
        json!({
            "discover": family.has_discovery(),
            "doctor": family.has_doctor(),
            "write_modes": self.write_modes(),
            "features": self.spec().features,
        })
    }

    /// The words of `mode`, of a writer: those of one mode as well.
    fn write_modes(&self) -> Vec<String> {
        match self.spec().role {
            Role::Write => self.driver.config_schema().options("mode"),
            Role::Extract | Role::Transform => Vec::new(),
        }
    }

    /// Its section of the reference, in Markdown, without its heading.
    pub fn to_markdown(&self) -> String {
        let spec = self.spec();
        let mut text = format!("{}. `mode: {}`.", spec.title.trim_end_matches('.'), spec.role.mode());
        let connection = match spec.connection {
            ConnectionUse::None => String::new(),
            ConnectionUse::Optional => format!(" May use a connection `@{}.*`.", spec.family()),
            ConnectionUse::Required => format!(" Needs a connection `@{}.*`.", spec.family()),
            ConnectionUse::Inline => {
                format!(" Needs a connection `@{}.*`, or its fields in the step if none is secret.", spec.family())
            }
        };
        text.push_str(&connection);
        let features: Vec<&str> = spec.features.iter().map(|feature| feature.about()).collect();
        if !features.is_empty() {
            let _ = write!(text, " It {}.", features.join(", "));
        }
        text.push('\n');
        let about = one_line(&self.driver.config_schema().json()["description"]);
        if !about.is_empty() {
            let _ = write!(text, "\n{about}\n");
        }
        let _ = write!(text, "\n{}", table(&self.fields()));
        text
    }
}

/// A name that stands for one of several components, as the reference shows it.
pub struct AliasReference<'a> {
    alias: &'a ComponentAlias,
    components: Vec<&'a dyn Driver>,
}

impl<'a> AliasReference<'a> {
    /// The reference of an alias of `registry`.
    pub fn new(alias: &'a ComponentAlias, registry: &'a Registry) -> Self {
        let components = alias.components().iter().filter_map(|name| registry.get(name).ok());
        Self { alias, components: components.map(|driver| &**driver).collect() }
    }

    /// What it means, as a sentence without its end.
    pub fn title(&self) -> String {
        let names: Vec<String> = self.alias.components().iter().map(|name| format!("`{name}`")).collect();
        format!("Stands for {}, whichever the step's configuration means", names.join(" or "))
    }

    fn mode(&self) -> &'static str {
        self.components.first().map_or("", |driver| driver.spec().role.mode())
    }

    /// A line of a list of components.
    pub fn summary(&self) -> Value {
        let version = self.components.first().map_or("", |driver| driver.spec().version);
        let (name, components) = (self.alias.name(), self.alias.components());
        json!({"name": name, "version": version, "mode": self.mode(), "title": self.title(), "stands_for": components})
    }

    /// The same, with a JSON Schema that takes what any of the components takes.
    pub fn to_json(&self) -> Value {
        let schemas: Vec<&Value> = self.components.iter().map(|driver| driver.config_schema().json()).collect();
        let mut json = self.summary();
        json["config_schema"] = json!({"type": "object", "anyOf": schemas});
        json
    }

    /// Its section of the reference, in Markdown, without its heading.
    pub fn to_markdown(&self) -> String {
        format!("{}. `mode: {}`. Its fields are those of the component.\n", self.title(), self.mode())
    }
}

/// All components of a registry and what stands for them, a line each, by name.
pub fn summaries(registry: &Registry) -> Vec<Value> {
    let components = registry.iter().map(|driver| ComponentReference::new(&**driver).summary());
    let aliases = registry.aliases().map(|alias| AliasReference::new(alias, registry).summary());
    let mut all: Vec<Value> = components.chain(aliases).collect();
    all.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
    all
}

/// The reference of all components of a registry, in Markdown.
pub fn reference(registry: &Registry) -> String {
    let mut text = String::from("# Components\n\n");
    text.push_str(
        "What each component takes, made from its configuration type: edit the doc comments there, not this page. Aliases are \
         older names of a field. An unknown field is an error that suggests the nearest known one.\n\n",
    );
    text.push_str("## Every step\n\nThese fields may stand in the `config` of any step:\n\n");
    text.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
    for (name, kind, about) in COMMON {
        let _ = writeln!(text, "| `{name}` | {kind} | {about} |");
    }
    let families: BTreeSet<&str> = registry.iter().map(|driver| driver.spec().family()).collect();
    for family in families {
        let _ = write!(text, "\n## {family}\n");
        text.push_str(&family_section(registry, family));
    }
    text
}

fn family_section(registry: &Registry, family: &str) -> String {
    let mut text = String::new();
    let members = || registry.iter().filter(|driver| driver.spec().family() == family);
    let connection = members().find(|driver| driver.spec().connection != ConnectionUse::None);
    if let Some(driver) = connection {
        let reference = ComponentReference::new(&**driver);
        let about = one_line(&driver.connection_schema().json()["description"]);
        let _ = write!(text, "\n### Connection `@{family}.*`\n\n{about}\n\n{}", table(&reference.connection_fields()));
    }
    for driver in members() {
        let reference = ComponentReference::new(&**driver);
        let _ = write!(text, "\n### {}\n\n{}", driver.spec().name, reference.to_markdown());
    }
    for alias in registry.aliases().filter(|alias| alias.name().split('.').next() == Some(family)) {
        let _ = write!(text, "\n### {}\n\n{}", alias.name(), AliasReference::new(alias, registry).to_markdown());
    }
    text
}

/// Fields as a Markdown table.
fn table(fields: &[FieldReference]) -> String {
    if fields.is_empty() {
        return "No fields.\n".to_owned();
    }
    let mut text = String::from("| field | aliases | type | default | meaning |\n| --- | --- | --- | --- | --- |\n");
    let cell = |text: &str| text.replace('|', r"\|");
    let code = |text: &str| format!("`{}`", cell(text));
    for field in fields {
        let aliases: Vec<String> = field.aliases.iter().map(|alias| code(alias)).collect();
        let default = match (&field.default, field.required) {
            (_, true) => "required".to_owned(),
            (Some(default), false) => code(default),
            (None, false) => String::new(),
        };
        let mut about = cell(&field.about);
        for (value, meaning) in field.values.iter().filter(|(_, meaning)| !meaning.is_empty()) {
            let _ = write!(about, "{}{}: {}", if about.is_empty() { "" } else { "<br>" }, code(value), cell(meaning));
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} | {default} | {about} |",
            code(&field.path),
            aliases.join(", "),
            cell(&field.kind)
        );
    }
    text
}
