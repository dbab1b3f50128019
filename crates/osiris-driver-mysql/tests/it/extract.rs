//! What the extractor reads, from a real server.

use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_testkit::database::{texts, types};
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::Server;
use super::subject::Reading;

/// MySQL has no types for UUIDs and addresses, which are texts there, and a shorter TIME.
pub(crate) fn of_this_server(tables: &str) -> String {
    if Server::IS_MARIADB {
        return tables.to_owned();
    }
    let tables = tables.replace(" UUID,", " CHAR(36),").replace(" INET6,", " VARCHAR(39),");
    // The greatest TIME is a whole second there.
    tables.replace("-838:59:59.999999", "-838:59:58.999999")
}

#[tokio::test]
async fn every_type_arrives_as_it_is() {
    let Some(reading) = Reading::start(MysqlOptions::new().with_setting("sql_mode", "")).await else { return };
    let tables = "CREATE TABLE t (ti TINYINT, tu TINYINT UNSIGNED, si SMALLINT, su SMALLINT UNSIGNED, mi MEDIUMINT, \
             mu MEDIUMINT UNSIGNED, i INT, iu INT UNSIGNED ZEROFILL, bi BIGINT, bu BIGINT UNSIGNED, d DECIMAL(38,10), \
             d0 DECIMAL(5,0) UNSIGNED, f FLOAT, db DOUBLE, y YEAR, da DATE, dt DATETIME, d6 DATETIME(6), ts TIMESTAMP(3) NULL, \
             tm TIME(6), c CHAR(5), v VARCHAR(20), tx LONGTEXT, e ENUM('a','ů'), s SET('x','y'), b BINARY(3), vb VARBINARY(9), \
             bl BLOB, b1 BIT(1), b9 BIT(9), b64 BIT(64), j JSON, u UUID, n4 INET6, g POINT, v_bin VARCHAR(9) COLLATE utf8mb4_bin);
             INSERT INTO t VALUES (-128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, \
             -9223372036854775808, 18446744073709551615, '-9999999999999999999999999999.9999999999', 99999, 1.5, \
             1.7976931348623157e308, 2155, '9999-12-31', '2024-02-29 23:59:59', '1000-01-01 00:00:00.000001', \
             '2038-01-19 03:14:07.123', '-838:59:59.999999', 'c', 'ů✓😀', 'text', 'ů', 'x,y', 'ab', 'a\\0b', x'00ff', \
             b'1', b'100000001', 18446744073709551615, '{\"a\": [1]}', '123e4567-e89b-42d3-a456-426655440000', '::1', \
             ST_GeomFromText('POINT(1 2)'), 'Bin');
             INSERT INTO t VALUES (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,\
             NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)";
    reading.execute(&of_this_server(tables)).await;
    assert_eq!(
        reading.server.value("SELECT u FROM t").await.unwrap().as_deref(),
        Some("123e4567-e89b-42d3-a456-426655440000")
    );
    let output = reading.run("types", json!({"table": "t"}), json!({})).await.unwrap();
    let table = output.table.clone().unwrap();
    let rows = texts(&reading.bench.rows(&table).await.unwrap());
    let columns = types(&output);
    assert_eq!(rows[1], vec!["∅"; columns.len()]);
    let read: Vec<String> =
        columns.into_iter().zip(&rows[0]).map(|(column, value)| format!("{column}: {value}")).collect();
    let read: Vec<String> = read
        .into_iter()
        .map(|column| column.replace("u VARCHAR: 123e", "u UUID: 123e").replace("-58.999999", "-59.999999"))
        .collect();
    assert_eq!(
        read,
        [
            "ti TINYINT: -128",
            "tu UTINYINT: 255",
            "si SMALLINT: -32768",
            "su USMALLINT: 65535",
            "mi INTEGER: -8388608",
            "mu UINTEGER: 16777215",
            "i INTEGER: -2147483648",
            "iu UINTEGER: 4294967295",
            "bi BIGINT: -9223372036854775808",
            "bu UBIGINT: 18446744073709551615",
            "d DECIMAL(38,10): -9999999999999999999999999999.9999999999",
            "d0 DECIMAL(5,0): 99999",
            "f FLOAT: 1.5",
            "db DOUBLE: 1.7976931348623157e308",
            "y USMALLINT: 2155",
            "da DATE: 9999-12-31",
            "dt TIMESTAMP: 2024-02-29 23:59:59",
            "d6 TIMESTAMP: 1000-01-01 00:00:00.000001",
            "ts INSTANT: 2038-01-19 03:14:07.123+00:00",
            "tm INTERVAL: -838 hours -59 mins -59.999999000 secs",
            "c VARCHAR: c",
            "v VARCHAR: ů✓😀",
            "tx VARCHAR: text",
            "e VARCHAR: ů",
            "s VARCHAR: x,y",
            "b BLOB: 616200",
            "vb BLOB: 610062",
            "bl BLOB: 00ff",
            "b1 BOOLEAN: true",
            "b9 UBIGINT: 257",
            "b64 UBIGINT: 18446744073709551615",
            "j JSON: {\"a\": [1]}",
            "u UUID: 123e4567-e89b-42d3-a456-426655440000",
            "n4 VARCHAR: ::1",
            "g BLOB: 000000000101000000000000000000f03f0000000000000040",
            "v_bin VARCHAR: Bin",
        ]
    );
}

#[tokio::test]
async fn expressions_keep_their_digits_and_bytes_are_told_from_text() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute("CREATE TABLE t (a INT, p DECIMAL(12,2), g POINT); INSERT INTO t VALUES (1, 1.10, POINT(1,2)), (2, 2.25, NULL)")
        .await;
    let query = "SELECT SUM(p) AS s, AVG(p) AS m, SUM(a) AS n, COUNT(*) AS c, 1/3 AS q, CONCAT(a, '') AS t, x'00ff' AS x, \
                 NULL AS z, TRUE AS b, MAX(p) AS p FROM t GROUP BY a ORDER BY a";
    let output = reading.run("expressions", json!({"query": query}), json!({})).await.unwrap();
    assert_eq!(
        types(&output),
        [
            "s DECIMAL(34,2)",
            "m DECIMAL(16,6)",
            "n DECIMAL(32,0)",
            "c BIGINT",
            "q DECIMAL(5,4)",
            "t VARCHAR",
            "x BLOB",
            "z VARCHAR",
            if Server::IS_MARIADB { "b INTEGER" } else { "b BIGINT" },
            "p DECIMAL(12,2)"
        ]
    );
    let rows = texts(&reading.bench.rows(&output.table.unwrap()).await.unwrap());
    assert_eq!(rows[0], ["1.10", "1.100000", "1", "1", "0.3333", "1", "00ff", "∅", "1", "1.10"]);
    let wkt = reading.rows(json!({"query": "SELECT a, g FROM t", "geometry": "wkt"})).await;
    assert_eq!(texts(&wkt), [["1", "POINT(1 2)"], ["2", "∅"]]);
    let wkt = reading.rows(json!({"table": "t", "columns": ["g"], "geometry": "wkt", "where": "a = 1"})).await;
    assert_eq!(texts(&wkt), [["POINT(1 2)"]]);
}

#[tokio::test]
async fn what_has_no_counterpart_is_an_error_or_follows_the_policy_and_is_counted() {
    let Some(reading) = Reading::start(MysqlOptions::new().with_setting("sql_mode", "ALLOW_INVALID_DATES")).await
    else {
        return;
    };
    reading
        .execute(
            "CREATE TABLE z (id INT, d DATE NOT NULL, m DATETIME(2), s TIMESTAMP NULL);
             INSERT INTO z VALUES (1, '0000-00-00', '2024-02-00 10:00:00', '0000-00-00'), (2, '2023-02-30', NULL, NULL);
             CREATE TABLE w (a DECIMAL(40,2), b DECIMAL(65,30)); INSERT INTO w VALUES (1.5, 2);
             CREATE TABLE y (t TINYINT(1), x TIME); INSERT INTO y VALUES (1, '10:00:00'), (0, '-01:00:00')",
        )
        .await;
    let failure = reading.failure(json!({"table": "z"})).await;
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.report().contains("column `d` has a zero or invalid date"), "{}", failure.error.report());
    let output = reading.run("nulls", json!({"table": "z", "zero_dates": "null"}), json!({})).await.unwrap();
    assert_eq!(output.counts.altered, 4);
    let text = reading.rows(json!({"table": "z", "zero_dates": "text"})).await;
    assert_eq!(
        texts(&text),
        [["1", "0000-00-00", "2024-02-00 10:00:00.00", "0000-00-00 00:00:00"], ["2", "2023-02-30", "∅", "∅"]]
    );
    let failure = reading.failure(json!({"table": "w"})).await;
    let report = failure.error.report();
    assert!(report.contains("`a` is DECIMAL(40,2)") && report.contains("`b` is DECIMAL(65,30)"), "{report}");
    let text = reading.rows(json!({"table": "w", "decimal_overflow": "text"})).await;
    assert_eq!(texts(&text), [["1.50", "2.000000000000000000000000000000"]]);
    let output =
        reading.run("bools", json!({"table": "y", "tinyint1": "bool", "time": "text"}), json!({})).await.unwrap();
    assert_eq!(types(&output), ["t BOOLEAN", "x VARCHAR"]);
    let failure = reading.failure(json!({"table": "y", "time": "time"})).await;
    assert!(failure.error.report().contains("not a time of day"), "{}", failure.error.report());
    reading.execute("UPDATE y SET t = 2").await;
    let failure = reading.failure(json!({"table": "y", "tinyint1": "bool"})).await;
    assert!(failure.error.report().contains("other than 0 and 1"), "{}", failure.error.report());
}

#[tokio::test]
async fn names_charsets_zones_and_modes_change_nothing() {
    let options = MysqlOptions::new()
        .with_setting("default_time_zone", "+05:30")
        .with_setting("sql_mode", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT");
    let Some(reading) = Reading::start(options).await else { return };
    reading
        .execute(
            "CREATE TABLE \"select\" (\"a b\" INT, ů INT, \"\"\"\" INT, secret INT INVISIBLE DEFAULT 7, \
             twice INT GENERATED ALWAYS AS (ů * 2) VIRTUAL, \"from\" INT);
             INSERT INTO \"select\" (\"a b\", ů, \"\"\"\", \"from\") VALUES (1, 2, 3, 4);
             CREATE TABLE c (l VARCHAR(20) CHARACTER SET latin1, l2 VARCHAR(20) CHARACTER SET latin2, \
             u3 VARCHAR(20) CHARACTER SET utf8mb3, u4 VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_czech_ci, \
             b VARCHAR(20) CHARACTER SET binary, s TIMESTAMP NULL);
             SET time_zone = '+05:30';
             INSERT INTO c VALUES ('café', 'ůžř', '日本', '😀', 'café', '2024-01-01 05:30:00')",
        )
        .await;
    let rows = reading.rows(json!({"table": "select"})).await;
    assert_eq!(rows.columns(), ["a b", "ů", "\"", "twice", "from"]);
    assert_eq!(texts(&rows), [["1", "2", "3", "4", "4"]]);
    let rows = reading.rows(json!({"table": "select", "columns": ["secret", "\""]})).await;
    assert_eq!(texts(&rows), [["7", "3"]]);
    let rows = reading.rows(json!({"query": "SELECT \"a b\", 'x\\' || \"from\" AS t FROM \"select\""})).await;
    assert_eq!(texts(&rows), [["1", "x\\4"]]);
    let rows = reading.rows(json!({"table": "c"})).await;
    assert_eq!(texts(&rows), [["café", "ůžř", "日本", "😀", "636166c3a9", "2024-01-01 00:00:00+00:00"]]);
    // Read as this server reads it, the text ends before the semicolon.
    let failure = reading.failure(json!({"query": "SELECT 'a\\'; DROP TABLE c; -- '"})).await;
    assert!(failure.error.report().contains("more than one statement"), "{}", failure.error.report());
}

#[tokio::test]
async fn statements_of_every_reading_kind_are_read() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t SELECT seq, REPEAT('x', seq) FROM JSON_TABLE(CONCAT('[', REPEAT('0,', 499), '0]'), '$[*]' COLUMNS (seq FOR ORDINALITY)) numbers",
        )
        .await;
    for (query, rows) in [
        ("SELECT * FROM t -- all of it", 500),
        ("WITH x AS (SELECT id FROM t WHERE id < 4) SELECT * FROM x;", 3),
        ("(SELECT 1 AS a) UNION (SELECT 2)", 2),
        (if Server::IS_MARIADB { "VALUES (1, 2), (3, 4)" } else { "VALUES ROW(1, 2), ROW(3, 4)" }, 2),
        ("SHOW TABLES", 1),
        ("DESCRIBE t", 2),
        ("SELECT * FROM t WHERE FALSE", 0),
    ] {
        let output = reading.run("kinds", json!({"query": query}), json!({})).await;
        let output = output.unwrap_or_else(|failure| panic!("{query}: {}", failure.error.report()));
        assert_eq!(output.rows, rows, "{query}");
        assert_eq!(output.counts.read, rows, "{query}");
    }
    for query in ["EXPLAIN SELECT * FROM t", "SHOW CREATE TABLE t"] {
        let config = json!({"query": query});
        if Server::IS_MARIADB {
            assert_eq!(reading.rows(config).await.rows().len(), 1, "{query}");
        } else {
            // MySQL prepares them without saying what their columns will be.
            let failure = reading.failure(config).await;
            assert!(failure.error.report().contains("columns of EXPLAIN"), "{query}: {}", failure.error.report());
        }
    }
    let rows = reading
        .rows(json!({"table": "t", "columns": ["id"], "where": "id > 10 -- only", "order_by": "id DESC", "limit": 2, "offset": 1}))
        .await;
    assert_eq!(texts(&rows), [["499"], ["498"]]);
    let step = reading.bench.step("dry", "mysql.extractor", json!({"table": "t"}));
    let output = step.connection(reading.server.connection()).dry_run().run().await.unwrap();
    assert_eq!(output.rows, 100);
    // Statements that do more never reach the server, whatever they are called.
    for query in ["DELETE FROM t", "SELECT * FROM t FOR UPDATE", "SELECT SLEEP(1)"] {
        let failure = reading.failure(json!({"query": query})).await;
        assert_eq!(failure.error.kind(), ErrorKind::Validation);
    }
    let open = reading.server.value("SELECT COUNT(*) FROM information_schema.INNODB_TRX").await.unwrap();
    assert_eq!(open.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_function_that_writes_is_stopped_by_the_server() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute("CREATE TABLE t (a INT) ENGINE=InnoDB; CREATE FUNCTION f() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (1); RETURN 1; END")
        .await;
    let failure = reading.failure(json!({"query": "SELECT f()"})).await;
    assert!(failure.error.report().to_uppercase().contains("READ ONLY"), "{}", failure.error.report());
    assert_eq!(reading.server.value("SELECT COUNT(*) FROM t").await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn rows_of_many_megabytes_and_tables_of_a_thousand_columns_are_read() {
    let Some(reading) = Reading::start(MysqlOptions::new().with_setting("max_allowed_packet", "67108864")).await else {
        return;
    };
    let columns: Vec<String> = (0..1000).map(|index| format!("c{index} INT")).collect();
    reading
        .execute(&format!(
            "CREATE TABLE wide ({}); INSERT INTO wide (c0, c999) VALUES (1, 2);
             CREATE TABLE big (id INT, b LONGBLOB, t LONGTEXT);
             INSERT INTO big VALUES (1, REPEAT('\\0', 17000000), 'end'), (2, '', REPEAT('ů', 9000000)), (3, NULL, NULL)",
            columns.join(", ")
        ))
        .await;
    let rows = reading.rows(json!({"table": "wide"})).await;
    assert_eq!((rows.columns().len(), &texts(&rows)[0][999]), (1000, &"2".to_owned()));
    let output = reading.run("big", json!({"table": "big"}), json!({})).await.unwrap();
    assert_eq!(output.rows, 3);
    let lengths = reading.bench.query("SELECT octet_length(b), length(t) FROM steps.big ORDER BY id").await.unwrap();
    assert_eq!(texts(&lengths), [["17000000", "3"], ["0", "9000000"], ["∅", "∅"]]);
}

#[tokio::test]
async fn a_statement_that_exceeds_its_limit_is_ended_by_the_server_and_the_error_names_the_field() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (a INT PRIMARY KEY); \
             INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n",
        )
        .await;
    let slow = "SELECT COUNT(*) AS n FROM t a, t b, t c, t d WHERE (a.a * b.a + c.a) % 7 = d.a % 5";
    let started = Instant::now();
    let failure = reading.failure(json!({"query": slow, "statement_timeout": 0.3, "timeout": 600})).await;
    assert_eq!(failure.error.kind(), ErrorKind::Timeout);
    assert!(failure.error.report().contains("raise `statement_timeout` of the step"), "{}", failure.error.report());
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    let find = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%FROM t a, t b%' AND ID <> CONNECTION_ID()";
    assert_eq!(reading.server.value(find).await.unwrap().as_deref(), Some("0"));
    // Enough time, however the rows are read.
    for more in [json!({}), json!({"partition_by": "a"}), json!({"cursor": {"column": "a"}})] {
        let mut config = json!({"table": "t", "statement_timeout": 60});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(reading.rows(config.clone()).await.len(), 500, "{config}");
        reading.bench.store().drop_table("rows").await.unwrap();
    }
}

/// The limit is set for the sessions of this step: whoever reads next over the same pool has none.
#[tokio::test]
async fn a_limit_of_statements_does_not_outlive_its_step() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    let variable = if Server::IS_MARIADB { "max_statement_time" } else { "max_execution_time" };
    let query = format!("SELECT @@SESSION.{variable} AS a");
    let shown = |rows: Vec<Vec<String>>| rows[0][0].parse::<f64>().unwrap();
    let limited = reading.rows(json!({"query": query, "statement_timeout": 60})).await;
    assert_eq!(shown(texts(&limited)), if Server::IS_MARIADB { 60.0 } else { 60_000.0 });
    reading.bench.store().drop_table("rows").await.unwrap();
    assert_eq!(shown(texts(&reading.rows(json!({"query": query})).await)), 0.0);
}

#[tokio::test]
async fn the_total_of_a_whole_table_is_estimated_by_the_statistics_of_the_server() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i FROM n; \
             ANALYZE TABLE t; DELETE FROM t WHERE a > 860",
        )
        .await;
    reading.total_is_estimated().await;
}
