//! One end of a copy as a step: its component, and the fields that the request has a value for. Components are known by the names
//! that their fields have in common (`table`, `path`, `mode`), not one by one.

use std::path::PathBuf;

use osiris_core::secret::is_reference;
use osiris_core::{ConfigSchema, Driver, Error, Registry, Result};
use serde_json::{Map, Value, json};

use super::CopyRequest;
use super::address::{Address, Connection};
use crate::group::{PLACEHOLDERS, can_read_groups};

/// The field that lets a writer create what is not there.
const CREATE: &str = "create_if_missing";

/// The field of a source with patterns of tables, and what the destination of each is called.
const TABLES: &str = "tables";
const EACH: &str = "{table}";

/// An end of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

impl Side {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }

    /// The variable for its password.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::Source => "SOURCE_PASSWORD",
            Self::Destination => "DESTINATION_PASSWORD",
        }
    }

    fn component(self, family: &str) -> String {
        match self {
            Self::Source => format!("{family}.extractor"),
            Self::Destination => format!("{family}.writer"),
        }
    }
}

/// A step that reads or writes.
pub(super) struct Endpoint {
    pub(super) side: Side,
    pub(super) family: &'static str,
    pub(super) component: String,
    pub(super) config: Map<String, Value>,
    /// The connection of the address, which gets the name `copy-source` or `copy-destination`.
    pub(super) connection: Option<Map<String, Value>>,
    /// The same as it may be shown: variables in the place of secrets.
    pub(super) shown: Option<Map<String, Value>>,
}

impl Endpoint {
    /// The step that reads.
    ///
    /// # Errors
    /// An option that the source does not have.
    pub(super) fn source(address: &Address, request: &CopyRequest, registry: &Registry) -> Result<Self> {
        let mut fields = Fields::new(Side::Source, address, address.name.clone(), registry)?;
        if let Some(query) = &request.query {
            if address.name.is_some() {
                return Err(Error::validation("--query conflicts with the table in the source address")
                    .with_hint("leave out one of them"));
            }
            fields.set("--query", &["query"], json!(query))?;
        } else if address.name.is_none() {
            return Err(without_name(Side::Source, address));
        }
        if !request.columns.is_empty() {
            fields.set("--columns", &["columns"], json!(request.columns))?;
        }
        if let Some(condition) = &request.condition {
            fields.set("--where", &["where", "filter"], json!(condition))?;
        }
        if let Some(limit) = request.limit {
            fields.set("--limit", &["limit"], json!(limit))?;
        }
        Ok(fields.endpoint(address))
    }

    /// The step that writes.
    ///
    /// # Errors
    /// An option that the destination does not have, or it cannot be written to.
    pub(super) fn destination(
        address: &Address,
        source: &Self,
        request: &CopyRequest,
        registry: &Registry,
    ) -> Result<Self> {
        let name = named_after(address, source.short_name()).ok_or_else(|| without_name(Side::Destination, address))?;
        let name = if source.is_many() { name_for_each(&name)? } else { name };
        let mut fields = Fields::new(Side::Destination, address, Some(name), registry)?;
        if let Some(mode) = &request.mode {
            fields.set("--mode", &["mode"], json!(mode))?;
        }
        if !request.key.is_empty() {
            fields.set("--key", &["key"], json!(request.key))?;
        } else if source.is_many() && request.mode.as_deref() == Some("upsert") {
            fields.set("--mode upsert", &["key"], json!("auto"))?;
        }
        if !request.keep_tables && fields.schema().field_named(CREATE).is_some() {
            fields.set(CREATE, &[CREATE], json!(true))?;
        }
        // A copy has the columns of its source in their order.
        if fields.schema().allows("columns", "source") {
            fields.set("columns", &["columns"], json!("source"))?;
        }
        let can_create_file = fields.driver.connection_schema().field_named(CREATE).is_some();
        let mut endpoint = fields.endpoint(address);
        // A database that is a file is created like a table.
        if can_create_file && !request.keep_tables {
            for connection in [&mut endpoint.connection, &mut endpoint.shown].into_iter().flatten() {
                connection.entry(CREATE).or_insert(json!(true));
            }
        }
        Ok(endpoint)
    }

    /// Its side, where a secret stands in the address itself.
    pub(super) fn exposed(self) -> Option<Side> {
        (self.connection != self.shown).then_some(self.side)
    }

    /// Whether it reads the tables that fit a pattern.
    pub(super) fn is_many(&self) -> bool {
        self.config.contains_key(TABLES)
    }

    /// The name of what is meant, without schema, directory and extension; none for a pattern or a query.
    fn short_name(&self) -> Option<&str> {
        if self.is_many() {
            return Some(EACH);
        }
        let text = |field: &str| self.config.get(field).and_then(Value::as_str);
        let short = match text("path") {
            Some(path) => path.rsplit(['/', '\\']).next()?.split('.').next()?,
            None => text("table")?,
        };
        Some(short).filter(|short| !short.is_empty() && *short != "-" && !short.contains(['*', '?', '[']))
    }

    /// What tells its place from others that are written alike: a relative path begins at the current directory.
    pub(super) fn place(&self) -> Option<PathBuf> {
        let path = self.config.get("path")?.as_str().filter(|path| *path != "-" && !path.contains("://"))?;
        if self.config.contains_key("connection") { None } else { std::path::absolute(path).ok() }
    }

    /// The name of its connection, after the dot.
    pub(super) fn alias(&self) -> String {
        format!("copy-{}", self.side.as_str())
    }
}

/// What a destination is called: as it says, else as the source.
fn named_after(address: &Address, source: Option<&str>) -> Option<String> {
    match (&address.name, source) {
        (Some(directory), name) if directory.ends_with('/') => Some(format!("{directory}{}.parquet", name?)),
        (Some(name), _) => Some(name.clone()),
        (None, name) => name.map(str::to_owned),
    }
}

/// The name of a destination of many tables: `*` is the name of each.
fn name_for_each(name: &str) -> Result<String> {
    let name = name.replace('*', EACH);
    if !PLACEHOLDERS.iter().any(|word| name.contains(&format!("{{{word}}}"))) {
        return Err(Error::validation(format!("`{name}` is one destination, and the source is a pattern of tables"))
            .with_hint("name a directory, such as `out/`, or a name for each table, such as `{table}`"));
    }
    Ok(name)
}

/// The error of an address that leads to a server or a directory only.
fn without_name(side: Side, address: &Address) -> Error {
    let place = match &address.connection {
        Connection::None => {
            return Error::validation("the source has no name that a file in the directory could get")
                .with_hint("name the file, for example `DIRECTORY/rows.parquet`");
        }
        Connection::Named(reference) => format!("{reference}.TABLE"),
        Connection::Fields(fields) if fields.contains_key("path") => format!("{}:FILE#TABLE", address.family),
        Connection::Fields(_) => format!("{}://USER@HOST/DATABASE.TABLE", address.family),
    };
    let list = match side {
        Side::Source => format!("; `osiris discover {}` lists what is there", side.component(address.family)),
        Side::Destination => String::new(),
    };
    Error::validation(format!("the {} address names no table", side.as_str()))
        .with_hint(format!("add it: `{place}`{list}"))
}

/// The fields of a step as they are set.
struct Fields<'a> {
    side: Side,
    component: String,
    driver: &'a dyn Driver,
    config: Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// With what the address says.
    fn new(side: Side, address: &Address, name: Option<String>, registry: &'a Registry) -> Result<Self> {
        let component = side.component(address.family);
        let mut config = Map::new();
        match &address.connection {
            Connection::None => {}
            Connection::Named(reference) => {
                config.insert("connection".to_owned(), json!(reference.to_string()));
            }
            Connection::Fields(_) => {
                let reference = format!("@{}.copy-{}", address.family, side.as_str());
                config.insert("connection".to_owned(), json!(reference));
            }
        }
        // The component may depend on the path.
        let path = name.iter().map(|name| ("path".to_owned(), json!(name)));
        let driver = registry.find(&component, &path.collect()).map_err(|error| {
            let is_there = registry.iter().any(|driver| driver.spec().name == component);
            match (registry.alias(&component).is_some(), is_there) {
                (true, _) => error.with_hint(
                    "name a file that says what is in it, such as `rows.csv`, `rows.csv.gz`, `rows.json`, `rows.jsonl` or `rows.parquet`",
                ),
                (false, true) => error,
                (false, false) => {
                    Error::validation(format!("`{}` cannot be the {} of a copy", address.family, side.as_str()))
                }
            }
        })?;
        let mut fields = Self { side, component: driver.spec().name.to_owned(), driver: driver.as_ref(), config };
        if let Some(name) = name {
            fields.place(address.family, &name)?;
        }
        Ok(fields)
    }

    fn schema(&self) -> &'a ConfigSchema {
        self.driver.config_schema()
    }

    /// Says which table, or which path.
    fn place(&mut self, family: &str, name: &str) -> Result<()> {
        if self.schema().field_named("table").is_none() {
            if self.schema().field_named("path").is_none() {
                return Err(Error::validation(format!("a copy cannot say what to read from `{family}`"))
                    .with_hint(format!("write a pipeline: `osiris components show {}`", self.component)));
            }
            self.config.insert("path".to_owned(), json!(name));
            return Ok(());
        }
        if name.contains('*') && self.side == Side::Source && can_read_groups(self.driver) {
            self.config.insert(TABLES.to_owned(), json!([name]));
            return Ok(());
        }
        if name.contains('*') {
            return Err(Error::validation(format!("`{name}` is a pattern, and a copy takes one table"))
                .with_hint("name one table; `osiris discover` lists them"));
        }
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) if self.schema().field_named("schema").is_some() => (Some(schema), table),
            _ => (None, name),
        };
        schema.map(|schema| self.config.insert("schema".to_owned(), json!(schema)));
        self.config.insert("table".to_owned(), json!(table));
        Ok(())
    }

    /// Sets the first field of these that the component has.
    fn set(&mut self, option: &str, names: &[&str], value: Value) -> Result<()> {
        let schema = self.schema();
        let Some(field) = names.iter().find_map(|name| schema.field_named(name)) else {
            let error = Error::validation(format!("`{}` has no field for {option}", self.component));
            return Err(match self.side {
                Side::Source => error.with_hint("use --sql, which runs on the rows on the way"),
                Side::Destination => error,
            });
        };
        self.config.insert(field.to_owned(), value);
        Ok(())
    }

    fn endpoint(self, address: &Address) -> Endpoint {
        let connection = match &address.connection {
            Connection::Fields(fields) => Some(fields.clone()),
            _ => None,
        };
        let schema = self.driver.connection_schema();
        let shown = connection.clone().map(|mut fields| {
            for (name, value) in &mut fields {
                let is_named = value.as_str().is_some_and(is_reference);
                if schema.is_secret(name) && !is_named {
                    *value = json!(format!("${{{}}}", self.side.variable()));
                }
            }
            fields
        });
        Endpoint {
            side: self.side,
            family: address.family,
            component: self.component,
            config: self.config,
            connection,
            shown,
        }
    }
}
