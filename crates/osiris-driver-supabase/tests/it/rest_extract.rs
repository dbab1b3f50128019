//! Reading over REST: every row once, whatever the order, the limits, the names.

use osiris_core::ErrorKind;
use osiris_stand_ins::supabase::{GatewayOptions, PostgrestOptions, Trouble};
use serde_json::json;

use crate::rest_world::{World, table};

const NUMBERS: &str = "CREATE TABLE t (id bigint PRIMARY KEY, a int, b text);
    INSERT INTO t SELECT i, nullif(i % 7, 0), 'row ' || i FROM generate_series(1, 2500) i";

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_come_though_the_server_has_a_limit_of_its_own() {
    let Some(world) = World::with(NUMBERS, PostgrestOptions::new().with_max_rows(300), GatewayOptions::new()).await
    else {
        return;
    };
    let sums = "count(*), sum(id), count(DISTINCT id)";
    for page_size in [1, 299, 300, 301, 1000, 5000].map(|size| if size == 1 { 50 } else { size }) {
        let shown = world.shown(table(json!({"page_size": page_size})), sums).await;
        assert_eq!(shown, "2500|3126250|2500", "pages of {page_size}");
    }
    // Whatever the order, NULLs in it, and whether its columns were asked for.
    for (order, select) in [("a.desc,id", "*"), ("a", "id"), ("a.asc.nullsfirst,b.desc", "id,b"), ("id.desc", "b,id")] {
        let shown = world.shown(table(json!({"order": order, "select": select})), sums).await;
        assert_eq!(shown, "2500|3126250|2500", "{order} {select}");
    }
    let ordered = table(json!({"order": "a.desc.nullslast", "select": "a", "limit": 3, "offset": 357}));
    assert_eq!(world.shown(ordered, "a").await, "5\n5\n5");
    let hidden = world.read(table(json!({"select": "b", "limit": 5}))).await.unwrap();
    assert_eq!(hidden.table.unwrap().schema().names().collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_offset_and_filters_are_kept_to_the_row() {
    let Some(world) = World::new(NUMBERS).await else { return };
    for (fields, expected) in [
        (json!({"limit": 0}), "0|-"),
        (json!({"limit": 1}), "1|1"),
        (json!({"limit": 1700, "page_size": 500}), "1700|1445850"),
        (json!({"offset": 2499}), "1|2500"),
        (json!({"offset": 2500}), "0|-"),
        (json!({"offset": 9999}), "0|-"),
        (json!({"filter": {"id": {"gt": 10, "lte": 12}}}), "2|23"),
        (json!({"filter": {"id": [1, 3, 2_600]}}), "2|4"),
        (json!({"filter": {"a": null, "id": "lt.15"}}), "2|21"),
        (json!({"filter": {"b": "like.row 249*"}}), "11|25194"),
        (json!({"filter": {"or": [{"id": 7}, {"b": "row 9", "a": 2}]}}), "2|16"),
        (json!({"filter": {"not.or": "(id.gt.2,b.eq.\"row 1\")"}}), "1|2"),
    ] {
        assert_eq!(world.shown(table(fields.clone()), "count(*), sum(id)").await, expected, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_values_with_awkward_characters_reach_the_server_as_they_are() {
    let setup = r#"CREATE TABLE "we""ird t/ů?#%" ("a b" int PRIMARY KEY, "double""quote" text, "comma,dot.slash/" text,
        "select" text, "ů" int, "back\slash" int, "tick'tick" int, "semi;colon" text);
        INSERT INTO "we""ird t/ů?#%" SELECT i, 'x"y\z', 'p,q(r).s', 'z;=&+ %', i, i, i, 'ů' FROM generate_series(1, 30) i"#;
    let Some(world) = World::new(setup).await else { return };
    let config = json!({
        "table": "we\"ird t/ů?#%",
        "select": r#""a b","double\"quote","comma,dot.slash/",select,"back\\slash","semi;colon""#,
        "filter": {
            "\"double\\\"quote\"": "x\"y\\z", "\"comma,dot.slash/\"": ["p,q(r).s"], "select": "z;=&+ %",
            "or": [{"\"semi;colon\"": "ů", "\"tick'tick\"": {"gte": 1}}],
        },
        "order": "\"comma,dot.slash/\".desc,\"a b\".desc",
        "page_size": 7,
    });
    let shown = world.shown(config, r#"count(*), min("a b"), max("select"), max("back\slash")"#).await;
    assert_eq!(shown, "30|1|z;=&+ %|30");
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_resources_casts_and_renames_come_as_columns() {
    let setup = "CREATE TABLE author (id int PRIMARY KEY, name text);
        CREATE TABLE t (id int PRIMARY KEY, author_id int REFERENCES author(id), price numeric(10,2), data jsonb);
        INSERT INTO author VALUES (1, 'Ann'), (2, 'Bob');
        INSERT INTO t VALUES (1, 1, 1.50, '{\"k\": {\"v\": 12345678901234567890.10}}'), (2, 2, 3, NULL), (3, NULL, NULL, '[]')";
    let Some(world) = World::new(setup).await else { return };
    let select = "n:id,price::text,v:data->k->>v,author(name,t(count))";
    let refused = world.unread(table(json!({"select": "author.name"})), ErrorKind::Validation).await;
    assert!(refused.contains("embedded"), "{refused}");
    let config = table(json!({"select": select.replace(",t(count)", ""), "page_size": 2}));
    let shown = world.shown(config, "n, price, v, author").await;
    assert_eq!(shown, "1|1.50|12345678901234567890.10|{\"name\": \"Ann\"}\n2|3.00|-|{\"name\": \"Bob\"}\n3|-|-|-");
    let inner = table(json!({"select": "id,author!inner(name)", "filter": {"author.name": "Bob"}}));
    assert_eq!(world.shown(inner, "id").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_completely_is_refused_with_the_way_out() {
    let setup = "CREATE TABLE t (id int, b text); CREATE TABLE other (id int PRIMARY KEY);
        CREATE VIEW v AS SELECT id, b FROM t; INSERT INTO t SELECT i, 'b' FROM generate_series(1, 10) i";
    let Some(world) = World::new(setup).await else { return };
    let no_key = world.unread(table(json!({})), ErrorKind::Validation).await;
    insta::assert_snapshot!(no_key, @"
    step `read`: cannot read table `public.t`: the API reports no primary key: set `key` to columns that are unique and never NULL, or read over the database (`dsn`)
    hint: fix it and run again
    ");
    let many = json!({"table": "t", "select": "idd", "filter": {"c": 1}, "order": "bb", "key": "id"});
    let many = world.unread(many, ErrorKind::Validation).await;
    insta::assert_snapshot!(many, @"
    step `read`: cannot read table `public.t`: 3 problems
      - no column `idd`, which `select` names (did you mean `id`?)
      - no column `c`, which `filter` names (did you mean `b`?)
      - no column `bb`, which `order` names (did you mean `b`?)
    hint: fix them all and run again
    ");
    let missing = world.unread(json!({"table": "othr"}), ErrorKind::Validation).await;
    assert!(missing.contains("did you mean `other`?"), "{missing}");
    let query = world.unread(json!({"query": "SELECT 1"}), ErrorKind::Validation).await;
    assert!(query.contains("needs the database"), "{query}");
    // A key that the step names is enough for a view; one that does not tell rows apart is found out by the count.
    assert_eq!(world.shown(json!({"table": "v", "key": "id", "page_size": 3}), "count(*)").await, "10");
    let wrong = json!({"table": "v", "key": "b", "page_size": 3});
    let wrong = world.read(wrong).await.unwrap_err();
    assert!(matches!(wrong.error.kind(), ErrorKind::Integrity | ErrorKind::Validation), "{:?}", wrong.error);
    assert!(wrong.error.hint().unwrap().contains("`key`"), "{:?}", wrong.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_on_the_way_costs_no_row() {
    let Some(world) = World::new(NUMBERS).await else { return };
    for trouble in [
        Trouble::Status(502),
        Trouble::Unavailable(1),
        Trouble::RateLimited(1),
        Trouble::CutRequest,
        Trouble::DropAnswer,
        Trouble::CutAnswer(2000),
    ] {
        world.gateway.next_for("GET", Trouble::Slow(std::time::Duration::from_millis(1)));
        world.gateway.next_for("GET", trouble.clone());
        let shown = world.shown(table(json!({"page_size": 600})), "count(*), sum(id)").await;
        assert_eq!(shown, "2500|3126250", "{trouble:?}");
        world.gateway.calm();
    }
    world.gateway.every("GET", 1, Trouble::Status(503));
    let failure = world.read(table(json!({"retries": 1}))).await.unwrap_err();
    assert!(failure.error.is_retryable() && failure.error.kind() == ErrorKind::Network, "{:?}", failure.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_takes_the_server_too_long_is_read_in_smaller_ones() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY);
        CREATE FUNCTION slow(t) RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(0.002)';
        INSERT INTO t SELECT generate_series(1, 400); ALTER ROLE service_role SET statement_timeout = '500ms'";
    let Some(world) = World::new(setup).await else { return };
    let shown = world.shown(table(json!({"select": "id,slow", "page_size": 400})), "count(*)").await;
    assert_eq!(shown, "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_reads_what_is_new_and_nothing_twice() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, n bigint);
        INSERT INTO t SELECT i, timestamptz '2024-01-01' + i * interval '1 minute', i FROM generate_series(1, 50) i;
        INSERT INTO t VALUES (100, NULL, NULL)";
    let Some(world) = World::new(setup).await else { return };
    let config = table(json!({"cursor": {"column": "at", "nulls": "skip"}, "page_size": 20}));
    let first = world.read(config.clone()).await.unwrap();
    assert_eq!(world.stored(&first, "count(*)").await, "50");
    world
        .execute(
            "INSERT INTO t VALUES (51, timestamptz '2024-01-01' + interval '50 minutes', 0), (52, '2024-01-02', 0), (53, '2023-01-01', 0)",
        )
        .await;
    let second = world.read_from(config.clone(), first.state).await.unwrap();
    assert_eq!(world.stored(&second, "id").await, "51\n52");
    assert_eq!(second.counts.deduplicated, 1);
    let third = world.read_from(config, second.state.clone()).await.unwrap();
    assert_eq!((third.rows, third.counts.deduplicated), (0, 1));
    let lagging = table(json!({"cursor": {"column": "at", "lag": 86_400, "nulls": "skip"}}));
    let lagging = world.read_from(lagging, second.state).await.unwrap();
    assert_eq!(world.stored(&lagging, "count(*)").await, "51", "a day behind");
    let float = table(json!({"cursor": {"column": "nope"}}));
    assert!(world.unread(float, ErrorKind::Validation).await.contains("`nope`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_and_an_empty_table_are_read_too() {
    let setup = "CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO service_role;
        CREATE TABLE other.t (id int PRIMARY KEY, name text, price numeric); GRANT ALL ON other.t TO service_role;
        CREATE TABLE t (id int PRIMARY KEY)";
    let options = PostgrestOptions::new().with_schemas("public,other");
    let Some(world) = World::with(setup, options, GatewayOptions::new()).await else { return };
    let output = world.read(table(json!({"schema": "other"}))).await.unwrap();
    let names: Vec<_> = output.table.as_ref().unwrap().schema().names().map(str::to_owned).collect();
    assert_eq!((output.rows, names.join(",").as_str()), (0, "id,name,price"));
    let unknown = world.unread(table(json!({"schema": "nope"})), ErrorKind::Validation).await;
    assert!(unknown.contains("schema"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g18_rows_that_a_key_skips_are_found_by_counting_unless_nobody_counts() {
    let setup = "CREATE TABLE b (k int); INSERT INTO b VALUES (1), (1), (1), (2); CREATE VIEW v AS SELECT k FROM b";
    let Some(world) = World::new(setup).await else { return };
    // The key is not unique: the second page begins behind all rows with the last key of the first one.
    let config = |verify: &str| json!({"table": "v", "key": "k", "page_size": 2, "verify": verify});
    let text = world.unread(config("counts"), ErrorKind::Integrity).await;
    assert!(text.contains("the server counted 4 rows"), "{text}");
    assert_eq!(world.read(config("none")).await.unwrap().rows, 3);
}
