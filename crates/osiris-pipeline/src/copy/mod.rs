//! `osiris copy`: one source, one destination, no file. A request becomes an ordinary pipeline, which is planned and run like any
//! other.

mod address;
mod endpoint;
mod tables;
mod text;

use std::path::PathBuf;
use std::sync::Arc;

use osiris_core::{ConnectionRef, Driver, Error, Registry, Result, Role};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub use self::tables::{TablesPipeline, TablesRequest};

use self::address::Address;
use self::endpoint::{Endpoint, Side};
use crate::connections_file::ConnectionsFile;
use crate::diagnostic::Diagnostic;
use crate::plan::{Plan, PlanOptions};
use crate::project::Project;
use crate::source::SourceFile;

/// How messages call the pipeline, which is in no file.
const NAME: &str = "the pipeline of this copy (--print shows it)";

/// The same of one that only reads.
const READING: &str = "the pipeline of this command";

/// The step that reads.
const SOURCE: &str = "source";

/// What to copy, and how.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CopyRequest {
    /// Where the rows are: a path, `@family.alias.table`, `scheme://user@host/database.table`, `-`.
    pub source: String,
    /// Where they go, in the same forms. Without a table it gets the name of the source's.
    pub destination: String,
    /// The writer's `mode`. Default: its own.
    pub mode: Option<String>,
    /// The writer's `key`. Default: none.
    pub key: Vec<String>,
    /// The columns to read. Default: all.
    pub columns: Vec<String>,
    /// A condition on the rows, which the source evaluates. Default: none.
    pub condition: Option<String>,
    /// The most rows to read. Default: all.
    pub limit: Option<u64>,
    /// A query in the language of the source, instead of a table. Default: none.
    pub query: Option<String>,
    /// SQL that runs on the rows on the way, which are the table `source`. Default: none.
    pub sql: Option<String>,
    /// Do not create a missing table. Default: it is created.
    pub keep_tables: bool,
}

impl CopyRequest {
    /// All rows of `source`.
    pub fn new(source: impl Into<String>, destination: impl Into<String>) -> Self {
        Self { source: source.into(), destination: destination.into(), ..Self::default() }
    }

    /// What a query over a connection of the project returns, to be read only.
    ///
    /// # Errors
    /// Connections of the family have no queries.
    pub fn of_query(connection: &ConnectionRef, query: impl Into<String>, registry: &Registry) -> Result<Self> {
        let component = format!("{}.extractor", connection.family());
        let has_query = |driver: &dyn Driver| driver.config_schema().field_named("query").is_some();
        // An alias stands for components of files.
        let is_alias = registry.alias(&component).is_some();
        if is_alias || !has_query(registry.get(&component)?.as_ref()) {
            return Err(Error::validation(format!("connections of `{}` have no queries", connection.family()))
                .with_hint("`osiris head` shows the rows of a table or a file"));
        }
        Ok(Self { query: Some(query.into()), ..Self::new(connection.to_string(), "") })
    }

    /// The pipeline that reads the source and writes nothing.
    ///
    /// # Errors
    /// An address that cannot be used, or an option that its component does not have.
    pub fn reading(&self, registry: &Registry) -> Result<CopyPipeline> {
        let from = Endpoint::source(&Address::parse(&self.source, registry)?, self, registry)?;
        let steps = [step(SOURCE, &from.component, "read", None, from.config.clone())];
        Ok(CopyPipeline { is_reading: true, ..CopyPipeline::of(vec![from], &steps) })
    }

    /// The pipeline that it stands for.
    ///
    /// # Errors
    /// An address that cannot be used, or an option that its component does not have.
    pub fn pipeline(&self, registry: &Registry) -> Result<CopyPipeline> {
        let source = Address::parse(&self.source, registry)?;
        let destination = Address::parse(&self.destination, registry)?;
        let from = Endpoint::source(&source, self, registry)?;
        let to = Endpoint::destination(&destination, &from, self, registry)?;
        if self.sql.is_some() && from.is_many() {
            return Err(Error::validation("--sql runs on the rows of one table, and the source is a pattern")
                .with_hint("name one table"));
        }
        let mut steps = vec![step(SOURCE, &from.component, "read", None, from.config.clone())];
        let mut last = SOURCE;
        if let Some(sql) = &self.sql {
            let config = Map::from_iter([("query".to_owned(), json!(sql))]);
            steps.push(step("transform", processor(registry)?, "transform", Some(last), config));
            last = "transform";
        }
        steps.push(step("destination", &to.component, "write", Some(last), to.config.clone()));
        Ok(CopyPipeline::of(vec![from, to], &steps))
    }
}

/// The pipeline that a copy stands for, with the connections of its addresses.
#[derive(Clone)]
#[non_exhaustive]
pub struct CopyPipeline {
    pipeline: String,
    /// The connections file for people, without passwords.
    comment: String,
    /// The connections file of the addresses: with passwords.
    connections: Option<Value>,
    /// The sides whose passwords stand in the address.
    exposed: Vec<Side>,
    /// Whether it writes nothing.
    is_reading: bool,
}

impl CopyPipeline {
    fn of(endpoints: Vec<Endpoint>, steps: &[Value]) -> Self {
        let connections = text::connections(&endpoints, false);
        let comment = text::connections(&endpoints, true).as_ref().map(text::comment).unwrap_or_default();
        // The name tells one copy from another: a failed one keeps itself, and no other, from being repeated. A password that
        // changes makes no other copy.
        let places: Vec<Option<PathBuf>> = endpoints.iter().map(Endpoint::place).collect();
        let digest = Sha256::digest(format!("{comment}{}{places:?}", text::steps(steps)));
        let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let pipeline = text::pipeline(&format!("copy-{name}"), steps);
        let exposed = endpoints.into_iter().filter_map(Endpoint::exposed).collect();
        Self { pipeline, comment, connections, exposed, is_reading: false }
    }

    /// The pipeline file. Connections of addresses are in a comment above it, their passwords as variables.
    pub fn text(&self) -> String {
        format!("{}{}", self.comment, self.pipeline)
    }
}

impl Project {
    /// Plans a copy. A source that is a pattern is asked for its tables.
    ///
    /// # Errors
    /// As for [`plan_tables`](Self::plan_tables).
    pub async fn plan_copy(&self, copy: &CopyPipeline, registry: &Registry, options: &PlanOptions) -> Result<Plan> {
        let mut connections = self.connections()?;
        let environment = self.environment(&connections)?;
        if let Some(own) = &copy.connections {
            connections = connections
                .with_addresses(ConnectionsFile::parse(SourceFile::from_text("the address", own.to_string()))?);
        }
        let name = if copy.is_reading { READING } else { NAME };
        let source = Arc::new(SourceFile::from_text(name, copy.pipeline.clone()));
        let mut plan = Plan::new(&source, registry, &connections, &environment, options)?;
        if plan.is_outline() {
            let found = plan.find_tables().await?;
            plan = Plan::with_tables(&source, registry, &connections, &environment, options, &found)?;
        }
        if copy.is_reading {
            // That no step reads the table is what was asked for.
            plan.forget_warnings();
        }
        copy.exposed.iter().for_each(|side| plan.warn(exposed(*side)));
        Ok(plan)
    }
}

/// Warns of a password on the command line.
fn exposed(side: Side) -> Diagnostic {
    let (side, variable) = (side.as_str(), side.variable());
    Diagnostic::warning(format!(
        "the password in the {side} address is visible to other users of this machine and stays in the shell's history"
    ))
    .with_hint(format!(
        "write '${{{variable}}}' in its place, in single quotes, and set {variable} in the environment or in .env"
    ))
}

/// The component that runs SQL.
fn processor(registry: &Registry) -> Result<&'static str> {
    let found = registry
        .iter()
        .find(|driver| driver.spec().role == Role::Transform && driver.config_schema().field_named("query").is_some());
    found
        .map(|driver| driver.spec().name)
        .ok_or_else(|| Error::validation("this build has no component that runs SQL").with_hint("leave out --sql"))
}

fn step(id: &str, component: &str, mode: &str, input: Option<&str>, config: Map<String, Value>) -> Value {
    let mut step = json!({"id": id, "component": component, "mode": mode});
    if let Some(input) = input {
        step["needs"] = json!([input]);
    }
    step["config"] = Value::Object(config);
    step
}
