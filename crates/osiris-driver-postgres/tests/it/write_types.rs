//! Types that have no counterpart in the store: read as text or JSON, written back, they are what they were.

use osiris_testkit::database::config;
use serde_json::json;

use crate::subject::Writing;
use crate::support::for_its_version;

const TYPES: &str = "CREATE TYPE mood AS ENUM ('so so', 'good'); CREATE TYPE pair AS (a int, b text); \
    CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> 'never'); \
    CREATE TABLE source (id int PRIMARY KEY, ip inet, net cidr, mac macaddr, cash money, doc tsvector, look tsquery, span int4range, \
      times tstzrange, spans int4multirange, two pair, feeling mood, feelings mood[], dom short, doms short[], clock timetz, x xml, \
      place point, shape polygon, grid int[], texts text[], docs jsonb[], raw json, bits bit(3), many varbit, ch char(4), o oid, \
      days date[], prices numeric(8,2)[], moments timestamptz[], raws bytea[], note text)";

const ROWS: &str = "INSERT INTO source VALUES \
    (1, '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '-12.34', 'a:1 fat:2A', 'fat & !cat', '[1,5)', '[2024-01-01 00:00+02,)', \
     '{[1,3),[5,9)}', ROW(1, 'q\"u,o te'), 'so so', '{good,\"so so\",NULL}', 'abc', '{a,b}', '12:00:00.5+02', '<a>1</a>', '(1,2.5)', \
     '((0,0),(1,1),(2,0))', '{{1,2},{3,NULL}}', ARRAY['a,b', 'q\"\\', '', 'NULL', NULL, '{}'], ARRAY['[1,\"x\"]', '{\"k\": 1.50}', '\"s\"', NULL]::jsonb[], \
     '{\"b\": 1,  \"a\": 2}', B'101', B'1', 'ab', 4294967295, '{2024-02-29,infinity}', '{1.50,-999999.99}', \
     '{2024-01-01 00:00+02}', ARRAY['\\x00ff'::bytea, NULL], 'p'), \
    (2, NULL, NULL, NULL, NULL, NULL, NULL, 'empty', NULL, '{}', ROW(NULL, NULL), NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, '{}', '{}', \
     '{}', 'null', NULL, B'', '', 0, '{}', '{}', '{}', '{}', ''), \
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

#[tokio::test]
async fn what_the_store_has_no_type_for_survives_being_read_and_written() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute(&for_its_version(&writing.server, TYPES).await).await;
    writing.execute(ROWS).await;
    writing.execute("CREATE TABLE t (LIKE source INCLUDING ALL)").await;
    let read = writing.bench.step("read", "postgres.extractor", json!({"table": "source"}));
    let read = read.connection(writing.connection.clone()).run().await;
    let read = read.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    let table = read.table.unwrap();
    for mode in [json!({}), json!({"mode": "upsert", "key": "id"})] {
        let written = writing.write_table(config(mode.clone()), &table).await;
        let written = written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
        let expected = if mode == json!({}) { written.counts.inserted } else { written.counts.unchanged };
        assert_eq!(expected, 3, "{:?}", written.counts);
        let rows = "SELECT r::text FROM";
        assert_eq!(
            writing.shown(&format!("{rows} source r ORDER BY id")).await,
            writing.shown(&format!("{rows} t r ORDER BY id")).await
        );
    }
}

#[tokio::test]
async fn lists_of_the_store_are_arrays_or_json_as_the_table_has_it() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute("CREATE TABLE t (id int, a bigint[], b numeric(6,2)[], c text[], d jsonb, e int[], f timestamptz[], g json, h text, i text[])")
        .await;
    let data = "SELECT 1 AS id, [1, NULL, 3]::SMALLINT[] AS a, [1.5, -2]::DECIMAL(10,3)[] AS b, ['x', 'y \"z\"'] AS c, [[1], [2, 3]] AS d, \
        [[1, 2], [3, 4]] AS e, [TIMESTAMP '2024-01-01'] AS f, {'a': 1.50::DECIMAL(5,2), 'b': [NULL]} AS g, MAP {'k': DATE '2024-02-29'} AS h, [['x', NULL], ['y', 'z']] AS i \
        UNION ALL SELECT 2, [], NULL, [NULL], [], [], [], NULL, NULL, [] \
        UNION ALL SELECT 3, [], [1.555], NULL, NULL, NULL, NULL, NULL, NULL, NULL \
        UNION ALL SELECT 4, NULL, NULL, NULL, NULL, [[1], [2, 3]], NULL, NULL, NULL, NULL";
    let output = writing.write(config(json!({"max_rejects": 2})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (2, 2), "{}", writing.rejects().await);
    insta::assert_snapshot!(writing.shown("SELECT * FROM t ORDER BY id").await, @r#"
    1|{1,NULL,3}|{1.50,-2.00}|{x,"y \"z\""}|[[1], [2, 3]]|{{1,2},{3,4}}|{"2024-01-01 00:00:00+00"}|{"a":1.50,"b":[null]}|{"k":"2024-02-29"}|{{x,NULL},{y,z}}
    2|{}|-|{NULL}|[]|{}|{}|-|-|{}
    "#);
    insta::assert_snapshot!(writing.rejects().await, @r#"
    3|b|more decimal places than the column allows
    4|e|nested lists differ in length, which an array does not allow
    "#);
}

#[tokio::test]
async fn what_a_column_of_arrays_would_cut_or_round_is_refused() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id int, v varchar(3)[], n numeric(4,1)[], m timestamp(0)[])").await;
    let data = "SELECT * FROM (VALUES (1, '[\"abc\"]', '[[1.5, 2.0]]', '[\"2024-01-01 00:00:00\"]'), (2, '[\"abcd\"]', NULL, NULL), \
        (3, NULL, '[1.55]', NULL), (4, NULL, NULL, '[\"2024-01-01 00:00:00.5\"]'), (5, NULL, '[10000]', NULL)) x(id, v, n, m)";
    let output = writing.write(config(json!({"max_rejects": 4})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 4), "{}", writing.rejects().await);
    assert_eq!(writing.shown("SELECT * FROM t").await, "1|{abc}|{{1.5,2.0}}|{\"2024-01-01 00:00:00\"}");
}
