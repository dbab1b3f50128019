//! What connections hold and whether they work, asked outside of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{
    Catalog, Component, ComponentSpec, ConnectionUse, Error, ExecutionContext, Extract, Extracted, Family, Health,
    Registry, Resource, ResourceKind, Result, Role, Step, TableSink,
};
use osiris_pipeline::inspect::{ConnectionInspector, DiscoverOptions};
use osiris_pipeline::{ConnectionsFile, Environment, SourceFile};
use serde_json::json;

use crate::components::{Database, ReadConfig};

/// A family that counts how often it is asked.
struct Shop(Arc<AtomicUsize>);

struct ShopExtractor;

impl Component for ShopExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new("shop.extractor", "1.0.0", Role::Extract, "Reads a shop")
        .with_connection(ConnectionUse::Required);
    type Connection = Database;
    type Config = ReadConfig;
}

#[async_trait]
impl Extract for ShopExtractor {
    async fn extract(&self, _: &Step<'_, Self>, _: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        Err(Error::unknown("never run"))
    }
}

#[async_trait]
impl Family for Shop {
    const NAME: &'static str = "shop";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = Database;

    async fn discover(&self, connection: &Database, _: Option<&str>) -> Result<Catalog> {
        self.0.fetch_add(1, Relaxed);
        let names = ["orders", "order_items", "customers"];
        let table = |name: &str| Resource {
            name: format!("{}.{name}", connection.host),
            kind: ResourceKind::Table,
            estimated_row_count: None,
            estimated_size_mb: None,
            fields: Vec::new(),
        };
        Ok(Catalog::new(names.map(table).into()))
    }

    async fn check(&self, connection: &Database, limit: Duration) -> Health {
        self.0.fetch_add(1, Relaxed);
        match connection.host.as_str() {
            "deaf" => std::future::pending().await,
            "locked" => {
                let error = Error::auth("the password hunter2 is wrong").with_hint("set another");
                Health::failed(limit, &error)
            }
            _ => Health::ok(Duration::ZERO, "version 1"),
        }
    }
}

const CONNECTIONS: &str = r#"version: 1
connections:
  db: {a: {host: x}}
  other: {b: {host: x}}
  shop:
    deaf: {host: deaf}
    good: {default: true, host: north, password: "${GOOD}"}
    locked: {host: locked, password: "${GOOD}"}
    unset: {host: south, password: "${UNSET}"}
"#;

struct World {
    connections: ConnectionsFile,
    registry: Registry,
    environment: Environment,
    asked: Arc<AtomicUsize>,
}

impl World {
    fn new() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut registry = crate::components::registry();
        registry.family(Shop(Arc::clone(&asked))).extractor(ShopExtractor).add().unwrap();
        let source = SourceFile::from_text("osiris_connections.yaml", CONNECTIONS);
        Self {
            connections: ConnectionsFile::parse(source).unwrap(),
            registry,
            environment: Environment::of([("GOOD", "hunter2")]),
            asked,
        }
    }

    fn inspector(&self) -> ConnectionInspector<'_> {
        ConnectionInspector::new(&self.connections, &self.registry, &self.environment)
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

#[tokio::test]
async fn every_connection_is_answered_for_and_no_secret_shows() {
    let world = World::new();
    let answers = world.inspector().doctor(None, Duration::from_millis(50)).await.unwrap();
    let lines: Vec<String> = answers
        .iter()
        .map(|one| {
            let category = json!(one.health.category);
            format!("{} {} {} {}: {}", one.name, one.checked, one.is_failed(), category, one.health.message)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    @db.a false false "unknown": this family has no check
    @other.b false false "unknown": this build has no component of the family `other`
    @shop.deaf true true "timeout": no response within 0.05 s: check host, port and firewalls; for a slow server, raise the limit
    @shop.good true false "ok": version 1
    @shop.locked true true "auth": the password *** is wrong: set another
    @shop.unset true true "unknown": @shop.unset is not valid: password: `${UNSET}` has no value (in @shop.unset): set UNSET in the environment or in .env, or write `${UNSET:-default}`
    "#);
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn one_connection_can_be_asked_alone_and_a_wrong_name_is_an_error() {
    let world = World::new();
    let only = |text: &str| text.parse().unwrap();
    let answers = world.inspector().doctor(Some(&only("@shop.good")), Duration::from_secs(2)).await.unwrap();
    assert_eq!(answers.len(), 1);
    let error = world.inspector().doctor(Some(&only("@shop.goood")), Duration::from_secs(2)).await.unwrap_err();
    assert!(error.report().contains("did you mean `@shop.good`?"), "{}", error.report());
}

#[tokio::test]
async fn a_catalog_is_cached_by_connection_and_pattern_until_it_is_refreshed() {
    let world = World::new();
    let cache = tempfile::tempdir().unwrap();
    let options = |connection: Option<&str>, pattern: Option<&str>, refresh| DiscoverOptions {
        connection: connection.map(|name| name.parse().unwrap()),
        pattern: pattern.map(str::to_owned),
        refresh,
        cache: Some(cache.path().to_path_buf()),
    };
    let names = async |options: DiscoverOptions| {
        let found = world.inspector().discover("shop.extractor", &options).await.unwrap();
        let names: Vec<String> = found.catalog.resources.into_iter().map(|resource| resource.name).collect();
        (names.join(" "), found.cached, world.asked())
    };
    let all = "north.customers north.order_items north.orders".to_owned();
    assert_eq!(names(options(None, None, false)).await, (all.clone(), false, 1));
    assert_eq!(names(options(Some("@shop.good"), None, false)).await, (all.clone(), true, 1));
    assert_eq!(names(options(None, None, true)).await, (all, false, 2));
    let some = "north.order_items north.orders".to_owned();
    assert_eq!(names(options(None, Some("order*"), false)).await, (some, false, 3));
    let others = "locked.order_items locked.orders".to_owned();
    assert_eq!(names(options(Some("@shop.locked"), Some("order*"), false)).await, (others, false, 4));
    // What is damaged is asked for again.
    for entry in std::fs::read_dir(cache.path()).unwrap() {
        std::fs::write(entry.unwrap().path(), "{").unwrap();
    }
    assert!(!names(options(None, None, false)).await.1);
    let kept = std::fs::read_dir(cache.path()).unwrap();
    assert!(
        kept.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).all(|text| !text.contains("hunter2"))
    );
}

#[tokio::test]
async fn a_component_that_cannot_discover_names_those_that_can() {
    let world = World::new();
    let options = DiscoverOptions { connection: None, pattern: None, refresh: false, cache: None };
    let error = world.inspector().discover("db.extractor", &options).await.unwrap_err();
    assert_eq!(error.hint(), Some("components that can: shop.extractor"));
    let unset = DiscoverOptions { connection: Some("@shop.unset".parse().unwrap()), ..options };
    let error = world.inspector().discover("shop.extractor", &unset).await.unwrap_err();
    assert!(error.message().contains("UNSET"), "{}", error.message());
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_finds_nothing_and_names_what_is_near() {
    let world = World::new();
    let pattern = Some("north.order".to_owned());
    let options = DiscoverOptions { connection: None, pattern, refresh: false, cache: None };
    let found = world.inspector().discover("shop.extractor", &options).await.unwrap();
    assert!(found.catalog.resources.is_empty());
    let no_match = found.no_match.unwrap();
    assert_eq!(no_match.message(), "no table matches `north.order`");
    assert!(no_match.hint().unwrap().starts_with("nearest: `north.order_items`"), "{no_match:?}");
    let all = DiscoverOptions { pattern: None, ..options };
    assert!(world.inspector().discover("shop.extractor", &all).await.unwrap().no_match.is_none());
}
