//! What the extractor reads from a real server.

use osiris_core::ErrorKind;
use osiris_testkit::database::{texts, types};
use osiris_testkit::services::PostgresOptions;
use serde_json::json;

use crate::subject::Reading;
use crate::support::for_its_version;

#[tokio::test]
async fn every_type_arrives_as_it_is() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let sql = "CREATE TYPE mood AS ENUM ('sad', 'ů'); CREATE TYPE pair AS (a int, b text); \
             CREATE DOMAIN price AS numeric(12,2) CHECK (VALUE >= 0); CREATE DOMAIN cheap AS price; \
             CREATE TABLE t (bo boolean, i2 smallint, i4 integer, i8 bigint, o oid, f4 real, f8 double precision, \
             n numeric(38,10), n0 numeric(5), neg numeric(3,-2), tiny numeric(2,4), nu numeric, pr price, ch cheap, \
             tx text, vc varchar(20), c char(5), nm name, qc \"char\", by bytea, u uuid, j json, jb jsonb, \
             d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, b bit(9), vb varbit, \
             m money, ip inet, ip2 inet, net cidr, mac macaddr, x xml, e mood, p pair, ir int4range, mr nummultirange, \
             pt point, bx box, tv tsvector, tq tsquery, lsn pg_lsn, rc regclass, \
             a int[], aa numeric[][], at text[], ats timestamptz[], ae mood[], ap pair[], aj jsonb[], ad price[]); \
             SET TimeZone = 'Asia/Kolkata'; \
             INSERT INTO t VALUES (true, -32768, -2147483648, -9223372036854775808, 4294967295, 1.5, 1.7976931348623157e308, \
             -9999999999999999999999999999.9999999999, 99999, -99900, 0.0099, 123456789012345678901234567890.0000100, 12.5, 3, \
             E'ů✓😀\\n', '', 'c', 'nm', 'x', '\\x00ff5c', '123e4567-e89b-42d3-a456-426655440000', \
             '{\"b\": 1,  \"a\": 12345678901234567890.10}', '{\"b\": 1,  \"a\": 12345678901234567890.10}', \
             '2024-02-29', '23:59:59.999999', '12:00:00+05:30', '1000-01-01 00:00:00.000001', \
             '2038-01-19 08:44:07.123456', '-1 year -2 mons +3 days -04:05:06.789', B'100000001', B'', \
             '12.34', '::1', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '<a>1</a>', 'ů', '(1,\"x, y\")', \
             '[1,5)', '{[1.5,2]}', '(1,2)', '(1,1),(0,0)', 'a:1 b:2', 'a & b', '16/B374D848', 'pg_class', \
             '{1,NULL,3}', '{{1.50,2},{3,4}}', '{\"a\",\"\",NULL,\"q\\\"\"}', '{2024-01-01 00:00:00+00}', '{sad}', '{\"(1,x)\"}', \
             ARRAY['{\"a\": 1}'::jsonb], '{1.25}'); \
             INSERT INTO t (bo) VALUES (NULL)";
    reading.execute(&for_its_version(&reading.server, sql).await).await;
    let output = reading.run("types", json!({"table": "t"}), json!({})).await;
    let output = output.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    let table = output.table.clone().unwrap();
    let rows = texts(&reading.bench.rows(&table).await.unwrap());
    let columns = types(&output);
    assert_eq!(rows[1], vec!["∅"; columns.len()]);
    let read: Vec<String> =
        columns.into_iter().zip(&rows[0]).map(|(column, value)| format!("{column}: {value}")).collect();
    assert_eq!(
        read,
        [
            "bo BOOLEAN: true",
            "i2 SMALLINT: -32768",
            "i4 INTEGER: -2147483648",
            "i8 BIGINT: -9223372036854775808",
            "o UINTEGER: 4294967295",
            "f4 FLOAT: 1.5",
            "f8 DOUBLE: 1.7976931348623157e308",
            "n DECIMAL(38,10): -9999999999999999999999999999.9999999999",
            "n0 DECIMAL(5,0): 99999",
            "neg DECIMAL(5,0): -99900",
            "tiny DECIMAL(4,4): 0.0099",
            "nu VARCHAR: 123456789012345678901234567890.0000100",
            "pr DECIMAL(12,2): 12.50",
            "ch DECIMAL(12,2): 3.00",
            "tx VARCHAR: ů✓😀\n",
            "vc VARCHAR: ",
            "c VARCHAR: c    ",
            "nm VARCHAR: nm",
            "qc VARCHAR: x",
            "by BLOB: 00ff5c",
            "u UUID: 123e4567-e89b-42d3-a456-426655440000",
            "j JSON: {\"b\": 1,  \"a\": 12345678901234567890.10}",
            "jb JSON: {\"a\": 12345678901234567890.10, \"b\": 1}",
            "d DATE: 2024-02-29",
            "ti TIME: 23:59:59.999999",
            "tz VARCHAR: 12:00:00+05:30",
            "ts TIMESTAMP: 1000-01-01 00:00:00.000001",
            "tstz INSTANT: 2038-01-19 03:14:07.123456+00:00",
            "iv INTERVAL: -14 mons 3 days -4 hours -5 mins -6.789000000 secs",
            "b VARCHAR: 100000001",
            "vb VARCHAR: ",
            "m VARCHAR: $12.34",
            "ip VARCHAR: ::1",
            "ip2 VARCHAR: 10.0.0.1/8",
            "net VARCHAR: 10.0.0.0/8",
            "mac VARCHAR: 08:00:2b:01:02:03",
            "x VARCHAR: <a>1</a>",
            "e VARCHAR: ů",
            "p VARCHAR: (1,\"x, y\")",
            "ir VARCHAR: [1,5)",
            "mr VARCHAR: {[1.5,2]}",
            "pt VARCHAR: (1,2)",
            "bx VARCHAR: (1,1),(0,0)",
            "tv VARCHAR: 'a':1 'b':2",
            "tq VARCHAR: 'a' & 'b'",
            "lsn VARCHAR: 16/B374D848",
            "rc VARCHAR: pg_class",
            "a JSON: [1,null,3]",
            "aa JSON: [[1.50,2],[3,4]]",
            "at JSON: [\"a\",\"\",null,\"q\\\"\"]",
            "ats JSON: [\"2024-01-01T00:00:00+00:00\"]",
            "ae JSON: [\"sad\"]",
            "ap JSON: [{\"a\":1,\"b\":\"x\"}]",
            "aj JSON: [{\"a\": 1}]",
            "ad JSON: [1.25]",
        ]
    );
}

#[tokio::test]
async fn ends_of_time_and_numbers_that_are_none_survive_or_follow_the_policy() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE f (id int, d date, ts timestamp, tz timestamptz, x double precision, r real); \
             INSERT INTO f VALUES (1, 'infinity', 'infinity', 'infinity', 'infinity', '-infinity'), \
             (2, '-infinity', '-infinity', '-infinity', 'NaN', 'NaN'), \
             (3, '4713-01-01 BC', '4713-01-01 BC', '0001-01-01 00:00:00+00', '-0', 1e-45), \
             (4, '5874897-12-31', '294246-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999+00', 5e-324, 3.4e38); \
             CREATE TABLE far (ts timestamp); INSERT INTO far VALUES ('294276-12-31'); \
             CREATE TABLE nan (n numeric(10,2)); INSERT INTO nan VALUES ('NaN'); \
             CREATE TABLE wide (a numeric(40,2), b numeric(1000,1000)); INSERT INTO wide VALUES (1.5, 0); \
             CREATE TABLE free (n numeric); INSERT INTO free VALUES (1.25), (-100), ('1e-5'); \
             CREATE TABLE long (i interval); INSERT INTO long VALUES ('10000000 hours'), ('-1 mons'); \
             CREATE TABLE noon (t time); INSERT INTO noon VALUES ('24:00:00'), ('00:00:00')",
        )
        .await;
    let output = reading.run("ends", json!({"table": "f", "order_by": "id"}), json!({})).await.unwrap();
    assert_eq!(output.counts.altered, 0);
    let sql = "SELECT d::VARCHAR, ts::VARCHAR, tz::VARCHAR, x::VARCHAR, r::VARCHAR FROM steps.ends ORDER BY id";
    let rows = reading.bench.query(sql).await.unwrap();
    assert_eq!(
        texts(&rows),
        [
            ["infinity", "infinity", "infinity", "inf", "-inf"],
            ["-infinity", "-infinity", "-infinity", "nan", "nan"],
            ["4713-01-01 (BC)", "4713-01-01 (BC) 00:00:00", "0001-01-01 00:00:00", "-0.0", "1e-45"],
            ["5874897-12-31", "294246-12-31 23:59:59.999999", "294246-12-31 23:59:59.999999", "5e-324", "3.4e+38"],
        ]
    );
    let output = reading.run("nulls", json!({"table": "f", "infinity": "null"}), json!({})).await.unwrap();
    assert_eq!(output.counts.altered, 6);
    for (config, wanted) in [
        (json!({"table": "f", "infinity": "error"}), "column `d` has an infinite date"),
        (json!({"table": "far"}), "after the year 294246"),
        (json!({"table": "nan"}), "column `n` has NaN"),
        (json!({"table": "wide"}), "`a` is numeric(40,2), more than 38 digits"),
        (json!({"table": "wide"}), "`b` is numeric(1000,1000)"),
        (json!({"table": "free", "numeric_scale": 4}), "more digits than its DECIMAL"),
        (json!({"table": "long"}), "more than 292 years"),
    ] {
        let failure = reading.failure(config.clone()).await;
        assert_eq!(failure.error.kind(), ErrorKind::Validation, "{config}");
        assert!(failure.error.report().contains(wanted), "{config}: {}", failure.error.report());
    }
    assert_eq!(texts(&reading.rows(json!({"table": "nan", "numeric": "text"})).await), [["NaN"]]);
    let wide = reading.rows(json!({"table": "wide", "columns": ["a"], "decimal_overflow": "text"})).await;
    assert_eq!(texts(&wide), [["1.50"]]);
    let free = reading.run("free", json!({"table": "free", "numeric_scale": 5}), json!({})).await.unwrap();
    assert_eq!(types(&free), ["n DECIMAL(38,5)"]);
    let rows = reading.bench.rows(&free.table.unwrap()).await.unwrap();
    assert_eq!(texts(&rows), [["1.25000"], ["-100.00000"], ["0.00001"]]);
    assert_eq!(texts(&reading.rows(json!({"table": "free"})).await), [["1.25"], ["-100"], ["0.00001"]]);
    let long = reading.rows(json!({"table": "long", "interval": "text"})).await;
    assert_eq!(texts(&long), [["10000000:00:00"], ["-1 mons"]]);
    reading.run("noon", json!({"table": "noon"}), json!({})).await.unwrap();
    let noon = reading.bench.query("SELECT t::VARCHAR FROM steps.noon").await.unwrap();
    assert_eq!(texts(&noon), [["24:00:00"], ["00:00:00"]]);
}

#[tokio::test]
async fn tables_are_read_as_columns_where_and_order_by_say() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE SCHEMA other; CREATE TABLE other.\"Sélect \"\"t\"\"\" (id int PRIMARY KEY, \"a b\" text, j jsonb, \
             n numeric(9,3), twice int GENERATED ALWAYS AS (id * 2) STORED, gone int); \
             ALTER TABLE other.\"Sélect \"\"t\"\"\" DROP COLUMN gone; \
             INSERT INTO other.\"Sélect \"\"t\"\"\" SELECT i, CASE WHEN i % 3 > 0 THEN 'x' || i END, jsonb_build_object('k', i), i / 8.0 \
             FROM generate_series(1, 20) i; \
             CREATE VIEW v AS SELECT id, n FROM other.\"Sélect \"\"t\"\"\"; \
             CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at); \
             CREATE TABLE p1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); \
             INSERT INTO parted VALUES (1, '2024-05-05')",
        )
        .await;
    let table = |fields: serde_json::Value| {
        let mut config = json!({"table": "Sélect \"t\"", "schema": "other"});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config
    };
    let all = reading.rows(table(json!({"order_by": "id"}))).await;
    assert_eq!(all.columns(), ["id", "a b", "j", "n", "twice"]);
    assert_eq!((all.rows().len(), texts(&all)[2].join("|")), (20, "3|∅|{\"k\": 3}|0.375|6".to_owned()));
    for (fields, expected) in [
        (json!({"columns": ["a b", "id"], "where": "j->>'k' IN ('1', '2')", "order_by": "id"}), vec!["x1|1", "x2|2"]),
        (json!({"columns": ["id"], "where": "\"a b\" IS NULL", "order_by": "id DESC", "limit": 2}), vec!["18", "15"]),
        (json!({"columns": ["id"], "where": "id IN (3, 5, 7) AND n > 0.5", "order_by": "n, id"}), vec!["5", "7"]),
        (
            json!({"columns": ["id"], "where": "id = 1 OR id = 20 -- a comment", "order_by": "id -- too"}),
            vec!["1", "20"],
        ),
        (json!({"columns": ["id"], "order_by": "id", "limit": 2, "offset": 3}), vec!["4", "5"]),
        (json!({"columns": ["id"], "where": "\"a b\" = '''; DROP TABLE v; --'"}), vec![]),
    ] {
        let rows = reading.rows(table(fields.clone())).await;
        let rows: Vec<String> = texts(&rows).iter().map(|row| row.join("|")).collect();
        assert_eq!(rows, expected, "{fields}");
    }
    let view = reading.run("view", json!({"table": "v"}), json!({})).await.unwrap();
    assert_eq!(types(&view), ["id INTEGER", "n DECIMAL(9,3)"]);
    assert_eq!(texts(&reading.rows(json!({"table": "parted"})).await), [["1", "2024-05-05"]]);
    for (config, wanted) in [
        (json!({"table": "nope"}), "relation \"public.nope\" does not exist"),
        (json!({"table": "v", "where": "nope = 1"}), "column \"nope\" does not exist"),
        (json!({"table": "v", "columns": ["nope"]}), "column \"nope\" does not exist"),
        (json!({"table": "v", "where": "id = 'x'"}), "invalid input syntax for type integer: \"***\""),
    ] {
        let failure = reading.failure(config).await;
        assert_eq!(failure.error.kind(), ErrorKind::Validation);
        assert!(failure.error.report().contains(wanted), "{}", failure.error.report());
    }
}

#[tokio::test]
async fn statements_of_every_reading_kind_are_read_as_this_server_reads_them() {
    let options = PostgresOptions::new().with_setting("standard_conforming_strings", "off");
    let Some(reading) = Reading::start(options).await else { return };
    reading
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, repeat('x', i) FROM generate_series(1, 500) i")
        .await;
    for (query, rows) in [
        ("SELECT * FROM t -- all of it", 500),
        ("WITH x AS (SELECT id FROM t WHERE id < 4) SELECT * FROM x;", 3),
        ("(SELECT 1 AS a) UNION (SELECT 2)", 2),
        ("VALUES (1, 2), (3, 4)", 2),
        ("TABLE t", 500),
        ("SHOW server_version", 1),
        ("EXPLAIN (COSTS OFF) SELECT 1", 1),
        ("SELECT * FROM t WHERE false", 0),
        ("SELECT t AS whole, ROW(1, t) AS r, ARRAY[t, NULL] AS a, NULL AS n, xmin, ctid FROM t LIMIT 2", 2),
        ("SELECT most_common_vals, histogram_bounds FROM pg_stats LIMIT 1", 1),
        (
            "SELECT i.indkey, i.indclass, c.relacl, c.reloptions FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LIMIT 3",
            3,
        ),
        ("SELECT set_bit(B'000', 1, 1) AS b, '{}'::int[] AS e, '{}'::jsonb AS j, ''::xml AS x", 1),
        ("SELECT $$it's$$ AS a, E'\\\\x' AS b -- ;", 1),
    ] {
        let output = reading.run("kinds", json!({"query": query}), json!({})).await;
        let output = output.unwrap_or_else(|failure| panic!("{query}: {}", failure.error.report()));
        assert_eq!((output.rows, output.counts.read), (rows, rows), "{query}");
    }
    let digits = "SELECT id::numeric(9,2) AS a, n.x AS b, sum(n.x) OVER () AS c, (n.x * 2)::numeric(38,4) AS d, n.y AS e, avg(id) OVER () AS f \
                  FROM t, (SELECT 1.5::numeric(5,3) AS x, 2.5::numeric AS y) n ORDER BY id LIMIT 1";
    let output = reading.run("digits", json!({"query": digits}), json!({})).await.unwrap();
    assert_eq!(
        types(&output),
        ["a DECIMAL(9,2)", "b DECIMAL(5,3)", "c VARCHAR", "d DECIMAL(38,4)", "e VARCHAR", "f VARCHAR"]
    );
    let rows = texts(&reading.bench.rows(&output.table.unwrap()).await.unwrap());
    assert_eq!(rows, [["1.00", "1.500", "750.000", "3.0000", "2.5", "250.5000000000000000"]]);
    // This server takes a backslash in a plain text for an escape.
    let rows =
        reading.rows(json!({"query": "SELECT 'a\\'; DROP TABLE t; -- ' AS a, 1.50::numeric(5,2)::text AS n"})).await;
    assert_eq!(texts(&rows), [["a'; DROP TABLE t; -- ", "1.50"]]);
    let step = reading.bench.step("dry", "postgres.extractor", json!({"table": "t"}));
    let output = step.connection(reading.server.connection()).dry_run().run().await.unwrap();
    assert_eq!(output.rows, 100);
    for (query, wanted) in [
        ("SELECT", "no columns"),
        ("SELECT 1 AS a, 2 AS A", "differ by more than case"),
        ("SELECT 1 AS a, 2 AS a", "differ by more than case"),
        ("SELECT nope FROM t", "column \"nope\" does not exist"),
        ("SELECT 1/(id-1) AS q FROM t", "division by zero"),
        ("SELECT * FROM t FOR UPDATE", "an extractor only reads"),
        ("SELECT pg_sleep(1)", "an extractor only reads"),
    ] {
        let failure = reading.failure(json!({"query": query})).await;
        assert_eq!(failure.error.kind(), ErrorKind::Validation, "{query}");
        assert!(failure.error.report().contains(wanted), "{query}: {}", failure.error.report());
    }
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' OR query LIKE 'COPY%'";
    assert_eq!(reading.server.value(open).await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn a_function_that_writes_is_stopped_by_the_server_and_a_slow_statement_by_its_limit() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1); \
             CREATE FUNCTION f() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO t VALUES (1) RETURNING a'; \
             CREATE FUNCTION liar() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN f(); END'; \
             CREATE FUNCTION slow() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM pg_sleep(60); RETURN 1; END'; \
             CREATE ROLE hasty LOGIN PASSWORD 'hasty'; GRANT SELECT ON t TO hasty; ALTER ROLE hasty SET statement_timeout = 700; \
             CREATE FUNCTION nap() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM pg_sleep(1); RETURN 1; END'",
        )
        .await;
    let failure = reading.failure(json!({"query": "SELECT f() AS a"})).await;
    assert!(failure.error.report().contains("VOLATILE"), "{}", failure.error.report());
    // What a function says of itself may be wrong.
    let failure = reading.failure(json!({"query": "SELECT liar() AS a"})).await;
    assert!(failure.error.report().contains("read-only transaction"), "{}", failure.error.report());
    assert_eq!(reading.server.value("SELECT count(*) FROM t").await.unwrap().as_deref(), Some("1"));
    let slow = json!({"query": "SELECT slow() AS a FROM t", "statement_timeout": 0.2});
    let failure = reading.failure(slow).await;
    assert_eq!(failure.error.kind(), ErrorKind::Timeout);
    assert!(failure.error.report().contains("statement timeout"), "{}", failure.error.report());
    // A role's own limit is for others.
    let query = json!({"query": "SELECT nap() AS a FROM t"});
    let account = json!({"user": "hasty", "password": "hasty"});
    assert_eq!(reading.run("hasty", query, account).await.unwrap().rows, 1);
}

#[tokio::test]
async fn rows_of_many_megabytes_and_tables_of_a_thousand_columns_are_read() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let columns: Vec<String> = (0..1000).map(|index| format!("c{index} int")).collect();
    reading
        .execute(&format!(
            "CREATE TABLE wide ({}); INSERT INTO wide (c0, c999) VALUES (1, 2); \
             CREATE TABLE big (id int, b bytea, t text, j jsonb); \
             INSERT INTO big VALUES (1, convert_to(repeat('a', 17000000), 'UTF8'), 'end', '1'), (2, '', repeat('ů', 9000000), NULL), \
             (3, NULL, NULL, to_jsonb(repeat('z', 5000000)))",
            columns.join(", ")
        ))
        .await;
    let rows = reading.rows(json!({"table": "wide"})).await;
    assert_eq!((rows.columns().len(), &texts(&rows)[0][999]), (1000, &"2".to_owned()));
    let output = reading.run("big", json!({"table": "big"}), json!({})).await.unwrap();
    assert_eq!(output.rows, 3);
    let sql = "SELECT octet_length(b), length(t), length(j) FROM steps.big ORDER BY id";
    let lengths = reading.bench.query(sql).await.unwrap();
    assert_eq!(texts(&lengths), [["17000000", "3", "1"], ["0", "9000000", "∅"], ["∅", "∅", "5000002"]]);
}

#[tokio::test]
async fn the_total_of_a_whole_table_is_estimated_by_the_statistics_of_the_server() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let setup =
        "CREATE TABLE t AS SELECT i AS a FROM generate_series(1, 900) i; ANALYZE t; DELETE FROM t WHERE a > 860";
    reading.execute(setup).await;
    reading.total_is_estimated().await;
    reading.execute("INSERT INTO t SELECT generate_series(861, 1200)").await;
    assert_eq!(reading.total_of(json!({"table": "t"}), json!({})).await, None, "more rows have come");
}

#[tokio::test]
async fn a_total_that_cannot_be_estimated_fails_no_step() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t AS SELECT i AS a FROM generate_series(1, 900) i; ANALYZE t; \
             CREATE ROLE blind LOGIN PASSWORD 'blind'; GRANT SELECT ON t TO blind; \
             REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC",
        )
        .await;
    let account = json!({"user": "blind", "password": "blind"});
    for config in [json!({"table": "t"}), json!({"table": "t", "partition_by": "a"})] {
        assert_eq!(reading.total_of(config, account.clone()).await, None);
    }
    assert_eq!(reading.total_of(json!({"table": "t"}), json!({})).await, Some(900), "a role that may see it");
}
