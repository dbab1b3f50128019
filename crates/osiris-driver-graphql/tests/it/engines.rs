//! Engines that many APIs run on: how each of them pages, fails in parts, rejects a query, a token and a look at its schema.

use osiris_core::{Catalog, Error, ErrorKind};
use osiris_stand_ins::graphql_engines::{Engine, EngineServer};
use osiris_testkit::services::Postgres;
use osiris_testkit::{Bench, Rows};
use serde_json::{Value, json};

use crate::{COMPONENT, bench, by_cursor, metric, run_at};

const ITEMS: &str = "53";

async fn start(engine: Engine, variables: &[(&str, &str)]) -> Option<EngineServer> {
    let variables: Vec<_> = variables.iter().copied().chain([("ITEMS", ITEMS)]).collect();
    engine.start(&variables).await.unwrap()
}

fn at(server: &EngineServer) -> Value {
    json!({"endpoint": server.endpoint()})
}

async fn error_at(connection: Value, config: Value) -> Error {
    run_at(&bench(), connection, config).await.unwrap_err()
}

async fn one(bench: &Bench, select: &str) -> Vec<String> {
    let rows = bench.query(select).await.unwrap();
    rows.rows()[0].iter().map(|value| value.clone().unwrap_or_else(|| "NULL".to_owned())).collect()
}

fn by_edge(fields: &str) -> Value {
    let query = format!(
        "query ($first: Int, $after: String) {{ items(first: $first, after: $after) {{
           edges {{ node {{ {fields} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    json!({
        "query": query,
        "data_path": "data.items.edges[*].node",
        "pagination": {"path": "data.items.pageInfo", "page_size_variable": "first", "page_size": 10},
    })
}

fn by_offset(fields: &str) -> Value {
    json!({
        "query": format!("query ($offset: Int!, $limit: Int!) {{ itemsFrom(offset: $offset, limit: $limit) {{ {fields} }} }}"),
        "data_path": "data.itemsFrom",
        "pagination": {"style": "offset", "page_size_variable": "limit", "page_size": 10},
    })
}

#[tokio::test]
async fn every_engine_gives_every_item_once_in_each_style() {
    let fields = "id name amount day flag owner { id name } labels";
    for engine in Engine::OF_ITEMS {
        let Some(server) = start(engine, &[]).await else { return };
        for config in [by_cursor(fields), by_edge(fields), by_offset(fields)] {
            let bench = bench();
            let output = run_at(&bench, at(&server), config.clone()).await.unwrap();
            assert_eq!((output.rows, output.counts.read), (53, 53), "{engine:?} {config}");
            let found = one(
                &bench,
                "SELECT count(DISTINCT id), sum(id), count(name), sum(amount), min(day), count(*) FILTER (flag) FROM steps.items",
            )
            .await;
            assert_eq!(found, ["53", "1431", "46", "357.75", "2024-02-29", "26"], "{engine:?} {config}");
            let name = one(&bench, "SELECT name FROM steps.items WHERE id = 3").await;
            assert_eq!(name, [r#"item 3 é "x""#], "{engine:?}");
        }
    }
}

#[tokio::test]
async fn every_engine_gives_rows_beside_the_errors_of_their_parts() {
    for engine in Engine::OF_ITEMS {
        let Some(server) = start(engine, &[]).await else { return };
        let mut config = by_cursor("id fragile");
        let error = error_at(at(&server), config.clone()).await;
        assert!(error.report().contains("the fragile part is broken"), "{engine:?}: {}", error.report());
        assert!(!error.is_retryable(), "{engine:?}: {error:?}");
        config["partial_errors"] = json!("warn");
        let bench = bench();
        assert_eq!(run_at(&bench, at(&server), config).await.unwrap().rows, 53, "{engine:?}");
        assert_eq!(metric(&bench, "partial_errors"), Some(5), "{engine:?}");
        assert_eq!(one(&bench, "SELECT count(fragile) FROM steps.items").await, ["48"], "{engine:?}");
    }
}

/// Yoga answers with status 200, Apollo Server with 400, Strawberry with 200 and `data`.
#[tokio::test]
async fn a_mistake_in_the_query_is_not_asked_twice() {
    for engine in Engine::OF_ITEMS {
        let Some(server) = start(engine, &[]).await else { return };
        let bench = bench();
        let error = run_at(&bench, at(&server), by_cursor("id nope")).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Validation, false), "{engine:?}: {error:?}");
        assert!(error.report().contains("nope"), "{engine:?}: {}", error.report());
        assert_eq!(metric(&bench, "requests_made"), Some(1), "{engine:?}");
    }
}

/// Yoga's host answers with 401, Apollo Server with 401 and `UNAUTHENTICATED`, Strawberry's host with 403.
#[tokio::test]
async fn a_wrong_token_is_told_from_a_right_one() {
    const TOKEN: &str = "p@ss/w0rd+==";
    for engine in Engine::OF_ITEMS {
        let Some(server) = start(engine, &[("TOKEN", TOKEN)]).await else { return };
        let with = |token: &str| json!({"endpoint": server.endpoint(), "auth_type": "bearer", "auth_token": token});
        assert_eq!(run_at(&bench(), with(TOKEN), by_cursor("id")).await.unwrap().rows, 53, "{engine:?}");
        let error = error_at(with("another"), by_cursor("id")).await;
        let expected = if engine == Engine::Strawberry { ErrorKind::Permission } else { ErrorKind::Auth };
        assert_eq!(error.kind(), expected, "{engine:?}: {error:?}");
        assert!(!error.report().contains("another"), "{engine:?}");
    }
}

async fn discover(server: &EngineServer) -> Result<Catalog, Error> {
    let bench = bench();
    let connection = bench.connection(COMPONENT, &at(server)).unwrap();
    bench.driver(COMPONENT).unwrap().family().discover(&connection, None).await
}

#[tokio::test]
async fn the_schema_of_every_engine_is_discovered() {
    for engine in Engine::OF_ITEMS {
        let Some(server) = start(engine, &[]).await else { return };
        let catalog = discover(&server).await.unwrap();
        let items = catalog.resources.iter().find(|resource| resource.name == "items").unwrap();
        let fields: Vec<&str> = items.fields.iter().map(|field| field.name.as_str()).collect();
        assert!(["id", "name", "amount", "flag"].iter().all(|name| fields.contains(name)), "{engine:?}: {fields:?}");
    }
    let Some(server) = start(Engine::Apollo, &[("INTROSPECTION", "false")]).await else { return };
    assert_eq!(discover(&server).await.unwrap_err().message(), "the server does not allow introspection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_behind_postgraphile_are_read_with_their_values() {
    let Some(database) = Postgres::start().await.unwrap() else { return };
    let table = "CREATE TABLE orders (id int PRIMARY KEY, code bigint, amount numeric(30, 10), at timestamptz, body jsonb, name text);
        INSERT INTO orders SELECT i, 9007199254740993 + i, i + 0.0000000001, '2024-02-29T12:00:00.123456Z', '{\"a\": [1, null]}',
          CASE WHEN i % 7 <> 0 THEN 'é' || i END FROM generate_series(1, 53) i;
        CREATE TABLE larges (id bigint PRIMARY KEY);
        INSERT INTO larges SELECT code FROM orders";
    database.execute(table).await.unwrap();
    let dsn = database.dsn();
    let Some(server) = Engine::PostGraphile.start(&[("DATABASE_URL", dsn.as_str())]).await.unwrap() else { return };
    let config = |list: &str, fields: &str| {
        let query = format!(
            "query ($first: Int, $after: Cursor) {{ {list}(first: $first, after: $after, orderBy: PRIMARY_KEY_ASC) {{
               totalCount nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let pagination = json!({"page_size_variable": "first", "page_size": 10});
        json!({"query": query, "data_path": format!("data.{list}.nodes"), "pagination": pagination})
    };
    // Its cursors are numbers of JavaScript: beyond 2^53 they skip a row, which its own count tells.
    let error = error_at(at(&server), config("allLarges", "id")).await;
    assert!(error.report().contains("the server counts 53 rows, but returned"), "{}", error.report());
    let bench = bench();
    let output = run_at(&bench, at(&server), config("allOrders", "id code amount at body name")).await.unwrap();
    assert_eq!((output.rows, output.counts.read), (53, 53));
    let expected = Rows::new(["code", "amount", "name", "rows"])
        .with_types(["VARCHAR", "VARCHAR", "VARCHAR", "BIGINT"])
        .row(["9007199254740994", "1.0000000001", "é1", "53"]);
    let found = bench
        .query(
            "SELECT code::VARCHAR AS code, amount::VARCHAR AS amount, name, (SELECT count(DISTINCT id) FROM steps.items) AS rows
             FROM steps.items ORDER BY id LIMIT 1",
        )
        .await
        .unwrap();
    assert_eq!(found, expected);
}
