//! Groups: one step for many tables becomes a step for each, or says why not.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use async_trait::async_trait;
use osiris_core::{
    Catalog, Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Extract, Extracted,
    Family, Intent, NoConnection, Resource, ResourceField, ResourceKind, Result, Role, Step, TableRef, TableSink,
    Write, Written,
};
use osiris_pipeline::{
    ConnectionsFile, Diagnostics, Environment, FoundTable, FoundTables, Outcome, Plan, PlanOptions, RunOptions, Silent,
    SourceFile, StepStatus,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::components::{Database, with_steps};

struct Shop;

#[async_trait]
impl Family for Shop {
    const NAME: &'static str = "shop";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = false;
    type Connection = Database;

    fn default_schema(_: &Database) -> Option<String> {
        Some("public".to_owned())
    }

    async fn discover(&self, _: &Database, _: Option<&str>) -> Result<Catalog> {
        Ok(Catalog::new(resources()))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct TableConfig {
    table: Option<String>,
    query: Option<String>,
    schema: Option<String>,
    columns: Option<Vec<String>>,
    #[serde(rename = "where")]
    condition: Option<String>,
    cursor: Option<Cursor>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Cursor {
    column: String,
}

struct ShopExtractor;

impl Component for ShopExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new("shop.extractor", "1.0.0", Role::Extract, "Reads a shop")
        .with_connection(ConnectionUse::Required);
    type Connection = Database;
    type Config = TableConfig;
}

#[async_trait]
impl Extract for ShopExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        match step.config().table.as_deref() {
            Some("items") => return Err(Error::validation("the table is broken")),
            Some("log") => return Err(Error::auth("the server lets nobody in")),
            _ => {}
        }
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values([1]));
        let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
        out.sender(batch.schema()).await?.send(batch).await?;
        Ok(Extracted::rows(1))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct LakeConfig {
    table: String,
    mode: Option<String>,
    key: Option<Vec<String>>,
}

struct LakeWriter;

impl Component for LakeWriter {
    const SPEC: ComponentSpec = ComponentSpec::new("lake.writer", "1.0.0", Role::Write, "Writes a lake");
    type Connection = NoConnection;
    type Config = LakeConfig;
}

#[async_trait]
impl Write for LakeWriter {
    fn destination(&self, config: &LakeConfig, _: &NoConnection, _: &Path) -> DestinationId {
        DestinationId::table(["lake"], &config.table).folding_case()
    }

    async fn write(&self, _: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let written = Written::inserted(input.rows());
        let commit = ctx.begin_commit(Intent::new("the lake").with_written(written)).await?;
        commit.committed(written).await;
        Ok(written)
    }
}

/// Two tables of the default schema, three of others, a view.
fn resources() -> Vec<Resource> {
    let field = |name: &str, ordinal, primary_key| ResourceField {
        name: name.to_owned(),
        ordinal,
        field_type: "integer".to_owned(),
        native_type: "int".to_owned(),
        nullable: false,
        primary_key,
        max_length: None,
    };
    let resource = |name: &str, kind, columns: &[&str], key: &[&str]| Resource {
        name: name.to_owned(),
        kind,
        estimated_row_count: None,
        estimated_size_mb: None,
        fields: (1..).zip(columns).map(|(ordinal, column)| field(column, ordinal, key.contains(column))).collect(),
    };
    let table = |name: &str, columns: &[&str], key: &[&str]| resource(name, ResourceKind::Table, columns, key);
    vec![
        table("items", &["order_id", "item", "changed"], &["order_id", "item"]),
        table("orders", &["id", "changed"], &["id"]),
        table("audit.Orders", &["id"], &["id"]),
        table("audit.log", &["at", "changed"], &[]),
        table("tmp.x y", &["id"], &["id"]),
        resource("totals", ResourceKind::View, &["id"], &[]),
    ]
}

const CONNECTIONS: &str = "version: 1\nconnections: {shop: {north: {default: true, host: h}}, db: {a: {host: h}}}\n";

/// Plans steps; with `found`, with a step for each table.
fn planned(steps: &str, is_found: bool) -> std::result::Result<Plan, Diagnostics> {
    let mut registry = crate::components::registry();
    registry.family(Shop).extractor(ShopExtractor).add().unwrap();
    registry.writer(LakeWriter).add().unwrap();
    let connections = ConnectionsFile::parse(SourceFile::from_text("osiris_connections.yaml", CONNECTIONS)).unwrap();
    let source = Arc::new(SourceFile::from_text("pipeline.yaml", with_steps(steps)));
    let (environment, options) = (Environment::of([("X", "x")]), PlanOptions::default());
    let outline = Plan::new(&source, &registry, &connections, &environment, &options)?;
    if !is_found {
        return Ok(outline);
    }
    let mut found = FoundTables::default();
    for group in outline.groups() {
        let all = Catalog::new(resources()).resources;
        let tables = all.iter().map(|resource| FoundTable::new(resource, true, Some("public"))).collect();
        found.insert(&group.id, tables);
    }
    Plan::with_tables(&source, &registry, &connections, &environment, &options, &found)
}

fn plan(steps: &str) -> Plan {
    planned(steps, true).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

#[track_caller]
fn refused(steps: &str) -> String {
    planned(steps, true).expect_err("the pipeline should be refused").to_string()
}

fn read(config: &str) -> String {
    format!("  - {{id: shop, component: shop.extractor, config: {{{config}}}}}\n")
}

const WRITE: &str = "  - {id: load, component: lake.writer, config: {table: \"{schema}_{table}\"}}\n";

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps().iter().map(|step| step.id.as_str()).collect()
}

#[test]
fn a_group_becomes_a_reader_and_a_writer_for_each_table() {
    let plan = plan(&format!("{}{WRITE}", read("tables: [\"*\", \"!tmp.*\", \"!log\"], where: \"1 = 1\"")));
    assert_eq!(
        ids(&plan),
        ["shop.audit.Orders", "load.audit.Orders", "shop.items", "load.items", "shop.orders", "load.orders"]
    );
    let manifest = plan.manifest();
    let step = |id: &str| {
        let steps = manifest["steps"].as_array().unwrap();
        steps.iter().find(|step| step["id"] == id).unwrap().clone()
    };
    assert_eq!(
        step("shop.items")["config"],
        serde_json::json!({"schema": "public", "table": "items", "where": "1 = 1"})
    );
    assert_eq!(step("shop.audit.Orders")["config"]["schema"], "audit");
    assert_eq!(step("load.audit.Orders")["config"]["table"], "audit_Orders");
    assert_eq!(step("load.items")["needs"], serde_json::json!(["shop.items"]));
    assert_eq!(step("load.items")["group"], serde_json::json!({"group": "load", "table": "items"}));
    assert_eq!(manifest["groups"], serde_json::json!([{"id": "shop", "tables": ["*", "!tmp.*", "!log"]}]));
    let prints: Vec<_> = plan.steps().iter().map(|step| step.request.fingerprint.clone()).collect();
    assert!(prints.iter().enumerate().all(|(at, print)| !prints[..at].contains(print)), "{prints:?}");
}

#[test]
fn as_long_as_the_tables_are_unknown_a_group_is_one_step_and_the_rest_is_checked() {
    let steps = format!("{}{WRITE}", read("tables: [\"*\"]"));
    let outline = planned(&steps, false).unwrap();
    assert!(outline.is_outline() && !plan(&steps).is_outline());
    assert_eq!(ids(&outline), ["shop", "load"]);
    assert_eq!(outline.manifest()["steps"][1]["config"]["table"], "{schema}_{table}");
    let wrong = planned(&read("tables: [\"*\"], qeury: x"), false).unwrap_err().to_string();
    assert!(wrong.contains("unknown field `qeury`"), "{wrong}");
}

#[test]
fn a_view_is_read_where_it_is_named_and_what_waits_for_a_group_waits_for_all() {
    let wait = "  - {id: after, component: shop.extractor, needs: [load], config: {table: orders}}\n";
    let plan = plan(&format!("{}{WRITE}{wait}", read("tables: [totals, public.orders]")));
    assert_eq!(ids(&plan)[..4], ["shop.orders", "load.orders", "shop.totals", "load.totals"]);
    assert_eq!(plan.step("after").unwrap().dependencies, ["load.orders", "load.totals"]);
}

#[test]
fn a_writer_takes_the_group_before_it_however_it_is_named() {
    let group = read("tables: [items, orders]");
    let writer =
        |more: &str| format!("  - {{id: load, component: lake.writer, {more}config: {{table: \"{{table}}\"}}}}\n");
    let with_input = writer("needs: [shop], ").replace("config: {", "config: {input_step: shop, ");
    for writer in [writer(""), writer("needs: [], "), writer("inputs: {rows: \"${shop.table}\"}, "), with_input] {
        let plan = plan(&format!("{group}{writer}"));
        assert_eq!(ids(&plan), ["shop.items", "load.items", "shop.orders", "load.orders"], "{writer}");
        for step in plan.steps().iter().filter(|step| step.id.starts_with("load")) {
            let [(_, source)] = step.upstream.as_slice() else { panic!("{writer}: {:?}", step.upstream) };
            assert_eq!(source.strip_prefix("shop."), step.id.strip_prefix("load."), "{writer}");
        }
    }
}

#[test]
fn the_key_of_each_table_is_its_primary_key() {
    let write = "  - {id: load, component: lake.writer, config: {table: \"{table}\", mode: upsert, key: auto}}\n";
    let plan = plan(&format!("{}{write}", read("tables: [items, orders]")));
    assert_eq!(plan.step("load.items").unwrap().config()["key"], serde_json::json!(["order_id", "item"]));
    assert_eq!(plan.step("load.orders").unwrap().config()["key"], serde_json::json!(["id"]));
    let report = refused(&format!("{}{write}", read("tables: [\"*\"]")));
    assert!(report.contains("1 table has no primary key, which `key: auto` stands for: `audit.log`"), "{report}");
    assert!(report.contains("pipeline.yaml:5:"), "{report}");
    let named = write.replace("auto", "[id]");
    let report = refused(&format!("{}{named}", read("tables: [items, orders]")));
    assert!(report.contains("1 table has no column `id`: `items`"), "{report}");
}

#[test]
fn odd_names_get_ids_of_their_own() {
    let plan = plan(&format!("{}{WRITE}", read("tables: [\"tmp.*\"]")));
    let id = ids(&plan)[0];
    assert!(id.starts_with("shop.tmp.x-y-") && id.len() == "shop.tmp.x-y-".len() + 8, "{id}");
    assert_eq!(plan.steps()[0].config()["table"], "x y");
}

#[test]
fn what_a_group_cannot_be_is_said_at_its_place() {
    let group = read("tables: [\"*\"]");
    let sql = "  - {id: sum, component: sql.processor, needs: [shop], config: {query: SELECT 1}}\n";
    for (steps, says, at) in [
        (read("tables: [ordres]"), "did you mean `orders`?", "4:61"),
        (read("tables: [\"zz*\"]"), "the connection has audit.Orders, audit.log, items", "4:61"),
        (read("tables: [orders, \"!orders\"]"), "every table that matches is excluded", "4:52"),
        (read("tables: [\"!orders\"]"), "`tables` names no table to read", "4:52"),
        (read("tables: [\"tot*\"]"), "it matches views only", "4:61"),
        (read("tables: [\"[a\"]"), "invalid pattern `[a`", "4:61"),
        (read("tables: [7]"), "`tables` must be a list of patterns", "4:61"),
        (read("tables: [orders], table: x"), "`table` and `tables` cannot both be given", "4:70"),
        (read("tables: [orders], schema: x"), "write the schema into the patterns", "4:70"),
        (read("tables: [\"*\"], columns: [id]"), "2 tables have no column `id`: `audit.log`, `items`", ""),
        (read("tables: [orders, items], cursor: {column: id}"), "1 table has no column `id`: `items`", ""),
        (format!("{group}{sql}"), "step `sum` takes tables one by one, and `shop` reads many", "5:49"),
        (format!("{group}{}", WRITE.replace("{schema}_{table}", "all")), "`table` is one name for 5 tables", "5:56"),
        (format!("{group}{}", WRITE.replace("{schema}_{table}", "{tabel}")), "did you mean `{table}`?", "5:56"),
        (
            format!("{group}{}", WRITE.replace("{schema}_{table}", "{table}")),
            "the tables `audit.Orders` and `orders` would be written to the same table, orders on lake; their names differ only by case",
            "5:56",
        ),
    ] {
        let report = refused(&steps);
        assert!(report.contains(says), "{steps}\n{report}");
        assert!(report.contains(&format!("pipeline.yaml:{at}")), "{at}: {steps}\n{report}");
    }
}

#[test]
fn tables_whose_steps_would_be_called_alike_are_refused() {
    let both = format!("{}{WRITE}", read("tables: [\"*\"]"));
    let mut registry = crate::components::registry();
    registry.family(Shop).extractor(ShopExtractor).add().unwrap();
    registry.writer(LakeWriter).add().unwrap();
    let connections = ConnectionsFile::parse(SourceFile::from_text("osiris_connections.yaml", CONNECTIONS)).unwrap();
    let source = Arc::new(SourceFile::from_text("pipeline.yaml", with_steps(&both)));
    let mut found = FoundTables::default();
    let tables = ["Items", "items"].map(|name| {
        let resource = resources().into_iter().find(|resource| resource.name == "items").unwrap();
        FoundTable::new(&Resource { name: name.to_owned(), ..resource }, true, None)
    });
    found.insert("shop", tables.into());
    let (environment, options) = (Environment::of([("X", "x")]), PlanOptions::default());
    let report =
        Plan::with_tables(&source, &registry, &connections, &environment, &options, &found).unwrap_err().to_string();
    assert!(report.contains("the tables `Items` and `items` would be read by steps of the same name"), "{report}");
    let none = FoundTables::default();
    let report =
        Plan::with_tables(&source, &registry, &connections, &environment, &options, &none).unwrap_err().to_string();
    assert!(report.contains("did not know the tables of `shop`"), "{report}");
}

#[tokio::test]
async fn the_source_is_asked_for_its_tables() {
    let outline = planned(&format!("{}{WRITE}", read("tables: [\"*\"]")), false).unwrap();
    let found = outline.find_tables().await.unwrap();
    let names: Vec<&str> = found.of("shop").unwrap().iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["audit.Orders", "audit.log", "items", "orders", "tmp.x y", "totals"]);
}

/// The status of every step of a run, in the order of the plan, one step at a time.
async fn statuses(steps: &str) -> (Outcome, Vec<(String, StepStatus)>) {
    let directory = tempfile::tempdir().unwrap();
    let options = RunOptions { jobs: 1, memory_limit: 200 << 20, ..RunOptions::new(directory.path().join(".osiris")) };
    let report = osiris_pipeline::run::run(&plan(steps), &options, None, &Silent).await.unwrap();
    let statuses = report.steps.iter().map(|step| (step.id.clone(), step.status)).collect();
    (report.outcome, statuses)
}

fn status(all: &[(String, StepStatus)], wanted: StepStatus) -> Vec<&str> {
    all.iter().filter(|(_, status)| *status == wanted).map(|(id, _)| id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_fails_stops_what_is_of_no_group() {
    let other = "  - {id: other, component: shop.extractor, config: {table: totals}}\n";
    let (outcome, all) = statuses(&format!("{}{WRITE}{other}", read("tables: [\"*\", \"!log\", \"!tmp.*\"]"))).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(status(&all, StepStatus::Failed), ["shop.items"]);
    assert_eq!(
        status(&all, StepStatus::Done),
        ["shop.audit.Orders", "load.audit.Orders", "shop.orders", "load.orders"]
    );
    assert_eq!(status(&all, StepStatus::Skipped), ["load.items", "other"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_reached_stops_all_tables() {
    let (_, all) = statuses(&format!("{}{WRITE}", read("tables: [\"*\", \"!items\", \"!tmp.*\"]"))).await;
    assert_eq!(status(&all, StepStatus::Failed), ["shop.audit.log"]);
    assert_eq!(status(&all, StepStatus::Done), ["shop.audit.Orders", "load.audit.Orders"]);
    assert_eq!(status(&all, StepStatus::Skipped), ["load.audit.log", "shop.orders", "load.orders"]);
}

#[tokio::test]
async fn a_plan_whose_tables_are_unknown_does_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let outline = planned(&format!("{}{WRITE}", read("tables: [\"*\"]")), false).unwrap();
    let options = RunOptions::new(directory.path().join(".osiris"));
    let error = osiris_pipeline::run::run(&outline, &options, None, &Silent).await.unwrap_err();
    assert!(error.message().contains("the tables of a group have not been found"), "{error:?}");
}
