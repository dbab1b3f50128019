//! Small components with real schemas. They are planned, never run.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Extract, Extracted, Inputs,
    NoConnection, Problem, Registry, Result, Role, Secret, Step, TableRef, TableSink, Transform, Write, Written,
};
use osiris_pipeline::{ConnectionsFile, Diagnostics, Environment, Plan, PlanOptions, SourceFile};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Database {
    #[serde(default)]
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    #[schemars(extend("x-aliases" = ["username"]))]
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ReadConfig {
    pub(crate) query: String,
    pub(crate) batch_size: Option<u32>,
    #[schemars(extend("x-aliases" = ["page_token"]))]
    pub(crate) cursor_key: Option<Secret>,
}

pub(crate) struct DbExtractor;

impl Component for DbExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new("db.extractor", "1.2.3", Role::Extract, "Reads a database")
        .with_connection(ConnectionUse::Required);
    type Connection = Database;
    type Config = ReadConfig;
}

#[async_trait]
impl Extract for DbExtractor {
    async fn extract(&self, _: &Step<'_, Self>, _: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        Err(Error::unknown("only planned"))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlConfig {
    pub(crate) query: String,
}

pub(crate) struct SqlProcessor;

impl Component for SqlProcessor {
    const SPEC: ComponentSpec = ComponentSpec::new("sql.processor", "1.0.0", Role::Transform, "Runs SQL");
    type Connection = NoConnection;
    type Config = SqlConfig;

    fn validate(config: &SqlConfig) -> Vec<Problem> {
        let is_select = config.query.trim_start().to_uppercase().starts_with("SELECT");
        if is_select { Vec::new() } else { vec![Problem::error("/query", "only SELECT is allowed")] }
    }

    fn check_inputs(config: &SqlConfig, inputs: &[&str]) -> Vec<Problem> {
        let unknown = config.query.split_once("FROM ").map(|(_, table)| table.trim().trim_matches('"'));
        let unknown = unknown.filter(|table| !inputs.contains(table));
        unknown.map(|table| Problem::error("/query", format!("no table `{table}`"))).into_iter().collect()
    }
}

#[async_trait]
impl Transform for SqlProcessor {
    const NEEDS_INPUT: bool = false;

    async fn transform(&self, _: &Step<'_, Self>, _: &Inputs, _: &TableSink, _: &ExecutionContext) -> Result<()> {
        Err(Error::unknown("only planned"))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    None,
    Gzip,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct FileConfig {
    #[schemars(extend("x-aliases" = ["file"]))]
    pub(crate) path: String,
    pub(crate) compression: Option<Compression>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) mode: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaseDir {
    pub(crate) base_dir: Option<String>,
}

pub(crate) struct FileWriter;

impl Component for FileWriter {
    const SPEC: ComponentSpec = ComponentSpec::new("file.writer", "1.0.0", Role::Write, "Writes a file")
        .with_connection(ConnectionUse::Optional);
    type Connection = BaseDir;
    type Config = FileConfig;

    fn files(config: &FileConfig, connection: &BaseDir, base: &Path) -> Vec<PathBuf> {
        let base = connection.base_dir.as_ref().map_or(base.to_path_buf(), |dir| base.join(dir));
        base.join(&config.path).parent().map(Path::to_path_buf).into_iter().collect()
    }
}

#[async_trait]
impl Write for FileWriter {
    fn destination(&self, config: &FileConfig, connection: &BaseDir, base: &Path) -> DestinationId {
        let base = connection.base_dir.as_ref().map_or(base.to_path_buf(), |dir| base.join(dir));
        let appends = config.mode.as_deref() == Some("append");
        DestinationId::file(base.join(&config.path)).replaced(!appends)
    }

    async fn write(&self, _: &Step<'_, Self>, _: &TableRef, _: &ExecutionContext) -> Result<Written> {
        Err(Error::unknown("only planned"))
    }
}

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new().with_feature("mysql", "mysql");
    registry.extractor(DbExtractor).add().unwrap();
    registry.processor(SqlProcessor).add().unwrap();
    registry.writer(FileWriter).add().unwrap();
    registry
}

pub(crate) const CONNECTIONS: &str = r#"version: 1
connections:
  db:
    movies: {default: true, host: "${DB_HOST:-localhost}", port: "${DB_PORT:-3306}", username: reader, password: "${DB_PASSWORD}"}
    other:
      host: elsewhere
"#;

/// What a test varies.
#[derive(Default)]
pub(crate) struct Case<'a> {
    pub(crate) connections: Option<&'a str>,
    pub(crate) variables: &'a [(&'a str, &'a str)],
    pub(crate) params: &'a [(&'a str, &'a str)],
    pub(crate) profile: Option<&'a str>,
    pub(crate) dry_run: bool,
}

impl Case<'_> {
    pub(crate) fn plan(&self, pipeline: &str) -> std::result::Result<Plan, Diagnostics> {
        let connections = SourceFile::from_text("osiris_connections.yaml", self.connections.unwrap_or(CONNECTIONS));
        let connections = ConnectionsFile::parse(connections.with_path("project/osiris_connections.yaml"))?;
        let mut variables = vec![("DB_PASSWORD", "hunter2")];
        variables.extend(self.variables);
        let source = SourceFile::from_text("pipeline.yaml", pipeline).with_path("project/pipeline.yaml");
        let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let options =
            PlanOptions { params: own(self.params), profile: self.profile.map(str::to_owned), dry_run: self.dry_run };
        Plan::new(&Arc::new(source), &registry(), &connections, &Environment::of(variables), &options)
    }

    /// The report of everything that is wrong.
    #[track_caller]
    pub(crate) fn refused(&self, pipeline: &str) -> String {
        self.plan(pipeline).expect_err("the pipeline should be refused").to_string()
    }
}

#[track_caller]
pub(crate) fn plan(pipeline: &str) -> Plan {
    Case::default().plan(pipeline).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

#[track_caller]
pub(crate) fn refused(pipeline: &str) -> String {
    Case::default().refused(pipeline)
}

/// A pipeline with these steps, which must be indented by two.
pub(crate) fn with_steps(steps: &str) -> String {
    format!("oml_version: \"0.1.0\"\nname: test\nsteps:\n{steps}")
}

/// An extraction, a transformation and a write.
pub(crate) const GOOD: &str = r#"oml_version: "0.1.0"
name: movies
params:
  since: {type: string, default: "2024-01-01"}
  limit: {type: integer, default: 10}
profiles:
  prod: {params: {since: 2020-01-01}}
steps:
  - id: extract-movies
    component: db.extractor
    mode: extract
    config:
      connection: "@db.movies"
      query: |
        SELECT * FROM movies
        WHERE updated_at >= '${params.since}'
      batch_size: ${params.limit}
    retry: {max_attempts: 5, backoff: linear, initial_delay_ms: 10, max_delay_ms: 20}
    timeout: {step_ms: 1500}
  - id: stats
    component: sql.processor
    mode: transform
    needs: [extract-movies]
    config:
      query: SELECT count(*) FROM ${extract-movies.table}
  - id: write-stats
    component: file.writer
    mode: write
    inputs: {table: "${stats.df}"}
    config: {path: out/stats.parquet}
"#;
