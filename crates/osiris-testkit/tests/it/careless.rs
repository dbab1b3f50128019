//! Components whose flaws are in what they declare.

use osiris_core::{
    Component, ComponentSpec, ConnectionUse, ExecutionContext, Extract, Extracted, Feature, Inputs, NoConnection,
    Registry, Result, Role, Secret, Step, TableSink, Transform,
};
use osiris_testkit::{Fault, Job, Place, Subject, async_trait};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// An extractor whose connection lets any step send its password to another host, which does not say its
/// defaults and promises to read only what is new.
pub(crate) struct Careless;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct CarelessConnection {
    /// The server. Default: none.
    #[schemars(extend("x-override" = "allowed"))]
    pg_host: Option<String>,
    /// The password. Default: none.
    password: Option<Secret>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct CarelessConfig {
    /// How many rows to read: the usual number by default.
    rows: Option<u64>,
}

impl Component for Careless {
    const SPEC: ComponentSpec = ComponentSpec::new("careless.extractor", "1", Role::Extract, "Flawed")
        .with_connection(ConnectionUse::Required)
        .with_features(&[Feature::Incremental]);
    type Connection = CarelessConnection;
    type Config = CarelessConfig;
}

#[async_trait]
impl Extract for Careless {
    async fn extract(&self, _: &Step<'_, Self>, _: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        Ok(Extracted::rows(0))
    }
}

#[async_trait]
impl Subject for Careless {
    fn component(&self) -> &'static str {
        "careless.extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        registry.extractor(Self).add()
    }

    async fn prepare(&self, _: &Place, _: u64) -> Result<Job> {
        Ok(Job::new(json!({})))
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        Ok(Vec::new())
    }
}

/// A processor that says that it needs no input, and makes a row of nothing.
pub(crate) struct Inventor;

impl Component for Inventor {
    const SPEC: ComponentSpec = ComponentSpec::new("inventor.processor", "1", Role::Transform, "Flawed");
    type Connection = NoConnection;
    type Config = NoConnection;
}

#[async_trait]
impl Transform for Inventor {
    const NEEDS_INPUT: bool = false;

    async fn transform(&self, _: &Step<'_, Self>, _: &Inputs, out: &TableSink, _: &ExecutionContext) -> Result<()> {
        out.call(|transaction| transaction.create_table_as("SELECT 1 AS one", &|_| false)).await.map(drop)
    }
}

#[async_trait]
impl Subject for Inventor {
    fn component(&self) -> &'static str {
        "inventor.processor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        registry.processor(Self).add()
    }

    async fn prepare(&self, _: &Place, _: u64) -> Result<Job> {
        Ok(Job::new(json!({})))
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        Ok(Vec::new())
    }
}
