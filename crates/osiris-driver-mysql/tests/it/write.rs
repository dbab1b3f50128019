//! Appending, and what all modes share: types, columns, channels, the checks before anything is written.

use std::time::Duration;

use osiris_core::ErrorKind;
use osiris_testkit::Sample;
use osiris_testkit::database::{config, writes};
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::Server;
use super::subject::Writing;

const EXTREMES: &str = "SELECT * FROM (VALUES \
    ((-128)::TINYINT, 255::UTINYINT, (-9223372036854775808)::BIGINT, 18446744073709551615::UBIGINT, \
     99999999999999999999999999999999999999::DECIMAL(38,0), (-0.0000000001)::DECIMAL(38,10), 3.4028235e38::FLOAT, \
     (-1.7976931348623157e308)::DOUBLE, DATE '0001-01-01', TIMESTAMP '9999-12-31 23:59:59.999999', TIME '23:59:59.999999', \
     'ů ✓ 日本 😀\t\\N\\ ''\"' || chr(10) || chr(13) || chr(0), '\\x00\\xFF\\x5C\\x27\\x09\\x0A'::BLOB, true, '{\"a\": 1}'::JSON, \
     [1, NULL, 3], INTERVAL '-838:59:59.999999', 'c0ffee00-0000-4000-8000-00000000beef'::UUID), \
    (127::TINYINT, 0::UTINYINT, 9223372036854775807::BIGINT, 0::UBIGINT, (-99999999999999999999999999999999999999)::DECIMAL(38,0), \
     1234567890123456789012345678.0123456789::DECIMAL(38,10), 1.1754944e-38::FLOAT, 5e-324::DOUBLE, DATE '9999-12-31', \
     TIMESTAMP '0001-01-01 00:00:00.000001', TIME '00:00:00', '', ''::BLOB, false, 'null'::JSON, [], \
     INTERVAL '3 days 1 microsecond', '00000000-0000-0000-0000-000000000000'::UUID), \
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) \
    AS v(i8, u8, i64, u64, h, d, f, g, day, moment, tod, s, b, flag, j, l, iv, u)";

const SHOW_EXTREMES: &str = "SELECT i8, u8, i64, u64, h, d, CAST(f AS CHAR), CAST(g AS CHAR), day, moment, tod, HEX(s), HEX(b), flag, j, l, iv, u \
    FROM t ORDER BY i8 IS NULL, i8";

/// Local files are switched off for connections that come later.
const NO_LOCAL_FILES: &str = "SET GLOBAL local_infile = 0";

#[tokio::test]
async fn extremes_of_every_type_arrive_as_they_are_by_either_channel() {
    let Some(writing) = Writing::new().await else { return };
    // MySQL's greatest TIME is a whole second.
    let data = if Server::IS_MARIADB { EXTREMES.to_owned() } else { EXTREMES.replace("-838:59:59", "-838:59:58") };
    let mut seen = Vec::new();
    for channel in ["Load", "Insert"] {
        if channel == "Insert" {
            writing.execute(NO_LOCAL_FILES).await;
        }
        writing.execute("DROP TABLE IF EXISTS t").await;
        let output =
            writing.write(config(json!({"create_table": true, "max_rejects": 3})), data.as_str()).await.unwrap();
        assert_eq!(output.counts.inserted, 3, "{}", writing.rejects().await);
        seen.push(writing.shown(SHOW_EXTREMES).await);
    }
    assert_eq!(seen[0], seen[1]);
    let floats = "SELECT f = 3.4028234663852886e38, g = -1.7976931348623157e308 FROM t WHERE i8 = -128";
    assert_eq!(writing.shown(floats).await, "1|1");
    if !Server::IS_MARIADB {
        // It writes JSON in a form of its own.
        for part in
            ["|18446744073709551615|99999999999999999999999999999999999999|", "|-838:59:58.999999|", "[1, null, 3]"]
        {
            assert!(seen[0].contains(part), "{part}: {}", seen[0]);
        }
        return;
    }
    insta::assert_snapshot!(seen[0], @r#"
    -128|255|-9223372036854775808|18446744073709551615|99999999999999999999999999999999999999|-0.0000000001|3.40282e38|-1.7976931348623157e308|0001-01-01|9999-12-31 23:59:59.999999|23:59:59.999999|C5AF20E29C9320E697A5E69CAC20F09F9880095C4E5C2027220A0D00|00FF5C27090A|1|{"a": 1}|[1,null,3]|-838:59:59.999999|c0ffee00-0000-4000-8000-00000000beef
    127|0|9223372036854775807|0|-99999999999999999999999999999999999999|1234567890123456789012345678.0123456789|1.17549e-38|5e-324|9999-12-31|0001-01-01 00:00:00.000001|00:00:00.000000|||0|null|[]|72:00:00.000001|00000000-0000-0000-0000-000000000000
    -|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-
    "#);
}

#[tokio::test]
async fn an_object_with_a_key_twice_is_a_reject_where_the_server_would_keep_one_value() {
    let Some(writing) = Writing::new().await else { return };
    let data = "SELECT * FROM (VALUES (1, '{\"a\": 1, \"b\": {\"a\": 1}}'::JSON), (2, '[{\"a\": 1, \"a\": 2}]'::JSON)) x(id, j)";
    let output = writing.write(config(json!({"create_table": true, "max_rejects": 1})), data).await.unwrap();
    if Server::IS_MARIADB {
        // It keeps the text.
        assert_eq!(output.counts.inserted, 2);
        return;
    }
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 1));
    assert!(writing.rejects().await.starts_with("2|j|an object has a key twice"), "{}", writing.rejects().await);
}

#[tokio::test]
async fn channels_write_the_same_rows() {
    let Some(writing) = Writing::new().await else { return };
    let sample = Sample::new(20_000);
    writing.write(json!({"table": "loaded", "create_table": true}), sample).await.unwrap();
    writing.execute(NO_LOCAL_FILES).await;
    writing.write(json!({"table": "inserted", "create_table": true}), sample).await.unwrap();
    let sums = writing.server.rows("CHECKSUM TABLE loaded, inserted").await.unwrap();
    assert_eq!(sums[0][1], sums[1][1]);
    assert_eq!(writing.shown("SELECT COUNT(*), MIN(id), MAX(id) FROM inserted").await, "20000|0|19999");
}

#[tokio::test]
async fn an_append_adds_and_an_empty_input_is_no_error() {
    let Some(writing) = Writing::new().await else { return };
    writes::appends_and_takes_nothing_too(&writing).await;
    let output = writing.write(config(json!({"truncate_before": true})), "SELECT 9 AS a").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.deleted), (1, 2));
    assert_eq!(writing.shown("SELECT * FROM t").await, "9|-");
}

#[tokio::test]
async fn zero_is_no_next_number_and_columns_may_be_renamed() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, `select` INT, `a b` INT)").await;
    let columns = json!({"columns": {"x": "id", "y": "A B"}});
    writing.write(config(columns), "SELECT 0 AS x, 1 AS y, 2 AS z").await.unwrap();
    writing.write(config(json!({"columns": ["select"]})), "SELECT 7 AS \"select\", 8 AS other").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "0|-|1\n1|7|-");
}

#[tokio::test]
async fn everything_that_stands_in_the_way_is_said_at_once_and_nothing_is_written() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, must INT NOT NULL, g INT AS (id + 1), at TIME, v VARCHAR(3)); \
             CREATE VIEW w AS SELECT * FROM t; CREATE TABLE m (a INT) ENGINE=MyISAM",
        )
        .await;
    let data = "SELECT 1 AS id, 2 AS g, TIMESTAMP '2024-01-01' AS at, 3 AS vv";
    insta::assert_snapshot!(writes::everything_in_the_way(&writing, data).await.join("\n"), @"
    step `write`: cannot write to table `test.t`: 4 problems
      - column `g` is generated: exclude it with `columns`
      - column `at` is time, but column `at` of the input is TIMESTAMP: no exact conversion: cast it in an earlier step
      - no column `vv` (did you mean `v`?): set `columns`, or `schema_evolution: add_columns`
      - column `must` is NOT NULL without a default, but no column of the input is written to it
    step `write`: cannot write to table `test.t`: 2 problems
      - no column of the input is written to key column `v`
      - no primary key or unique index on exactly the columns of `key` (must, v); the table has: id
    step `write`: cannot write to table `test.t`: column `must` of the input is NULL in 1 rows, but its column in the table is NOT NULL
    step `write`: cannot write to table `test.w`: 2 problems
      - it is a view: write to the underlying table
      - column `must` is NOT NULL without a default, but no column of the input is written to it
    step `write`: there is no table `test.typo`
    hint: check `table` and `schema`, or set `create_table: true` to create it
    ");
    insta::assert_snapshot!(writing.refused(json!({"table": "m"}), "SELECT 1 AS a").await, @"step `write`: cannot write to table `test.m`: its engine MyISAM has no transactions, so an interrupted write would leave some of its rows: ALTER TABLE ... ENGINE = InnoDB, or `mode: overwrite`");
}

#[tokio::test]
async fn a_table_without_transactions_can_be_replaced_but_not_appended_to() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (a INT) ENGINE=MyISAM; INSERT INTO t VALUES (1)").await;
    writing.write(config(json!({"mode": "overwrite"})), "SELECT 2 AS a").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t").await, "2");
}

#[tokio::test]
async fn one_column_and_a_thousand_are_written() {
    let Some(writing) = Writing::new().await else { return };
    let wide: Vec<String> = (0..1000).map(|n| format!("i + {n} AS c{n}")).collect();
    let sql = format!("SELECT {} FROM range(100) t(i)", wide.join(", "));
    for off in [false, true] {
        if off {
            writing.execute(NO_LOCAL_FILES).await;
        }
        writes::a_thousand_columns_are_written(&writing, json!({})).await;
        writes::one_column_is_written(&writing, json!({})).await;
    }
    // A thousand numbers of eight bytes are more than a page of InnoDB takes: the server says so, nothing is left behind.
    let failure = writing.write(json!({"table": "huge", "create_table": true}), sql.as_str()).await;
    if let Err(failure) = failure {
        assert!(failure.error.report().contains("Row size too large"), "{:?}", failure.error);
    }
    assert_eq!(writing.shown("SHOW TABLES LIKE '\\_\\_osiris%'").await, "");
}

#[tokio::test]
async fn rows_near_the_longest_packet_are_written_and_longer_ones_refused() {
    let options = MysqlOptions::new().with_setting("max-allowed-packet", "2M").with_redo_log(64);
    let Some(writing) = Writing::with(options).await else { return };
    writing.execute("CREATE TABLE t (id INT, s LONGTEXT)").await;
    let sizes = |sizes: &[u32]| {
        let rows: Vec<String> =
            sizes.iter().map(|size| format!("SELECT {size} AS id, repeat('x', {size}) AS s")).collect();
        rows.join(" UNION ALL ")
    };
    let near = sizes(&[1, 1_000_000, 2_090_000, 3]);
    writing.write(config(json!({})), near.as_str()).await.unwrap();
    // A file has no packets.
    writing.write(config(json!({})), sizes(&[5_000_000]).as_str()).await.unwrap();
    writing.execute(NO_LOCAL_FILES).await;
    writing.write(config(json!({})), near.as_str()).await.unwrap();
    let shown = "SELECT id, COUNT(*), SUM(CHAR_LENGTH(s) = id) FROM t GROUP BY id ORDER BY id";
    assert_eq!(writing.shown(shown).await, "1|2|2\n3|2|2\n1000000|2|2\n2090000|2|2\n5000000|1|1");
    let output = writing.write(config(json!({"max_rejects": 1})), sizes(&[7, 5_000_000]).as_str()).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 1));
    assert!(writing.rejects().await.contains("max_allowed_packet"), "{}", writing.rejects().await);
}

#[tokio::test]
async fn rows_keep_their_batches_small_when_told_to() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (i INT)").await;
    let output =
        writing.write(config(json!({"batch_size": 7})), "SELECT i::INTEGER AS i FROM range(100) t(i)").await.unwrap();
    assert_eq!(output.rows, 100);
}

#[tokio::test]
async fn a_dry_run_plans_and_changes_nothing() {
    let Some(writing) = Writing::new().await else { return };
    insta::assert_snapshot!(writes::dry_run_plans(&writing).await, @"
    CREATE TABLE `test`.`t` (
      `id` BIGINT NOT NULL,
      `name` LONGTEXT NULL DEFAULT NULL,
      PRIMARY KEY (`id`)
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4;
    ");
}

#[tokio::test]
async fn a_target_whose_rows_are_locked_is_a_timeout_that_is_tried_again() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1)").await;
    writing.execute("SET GLOBAL innodb_lock_wait_timeout = 1").await;
    let mut other = writing.server.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE").execute(&mut other).await.unwrap();
    let settings = config(json!({"mode": "upsert", "key": "id"}));
    let failure = writing.write(settings.clone(), "SELECT 1 AS id, 2 AS v").await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Timeout, 3), "{:?}", failure.error);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    writing.write(settings, "SELECT 1 AS id, 2 AS v").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t").await, "1|2");
}

#[tokio::test]
async fn a_deadlock_is_tried_again_and_then_goes_through() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t SELECT seq, 0 FROM JSON_TABLE(CONCAT('[', REPEAT('0,', 49), '0]'), '$[*]' COLUMNS (seq FOR ORDINALITY)) numbers").await;
    let mut other = writing.server.connect().await.unwrap();
    // Holds the last rows, and wants the first ones once the write holds them. It has changed more, so the write is the victim.
    writing.execute("CREATE TABLE heavy (v INT) AS SELECT seq AS v FROM JSON_TABLE(CONCAT('[', REPEAT('0,', 4999), '0]'), '$[*]' COLUMNS (seq FOR ORDINALITY)) numbers").await;
    let heavy = "BEGIN; UPDATE heavy SET v = v + 1; UPDATE t SET v = v + 1 WHERE id > 10";
    sqlx::raw_sql(heavy).execute(&mut other).await.unwrap();
    let opponent = async {
        let waits = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'";
        while writing.shown(waits).await == "0" {
            // The server renews this view only when it was left alone for a tenth of a second.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        sqlx::raw_sql("UPDATE t SET v = v + 1 WHERE id <= 10; COMMIT").execute(&mut other).await.unwrap();
    };
    let write = writing.write(
        config(json!({"mode": "upsert", "key": "id"})),
        "SELECT i::INTEGER + 1 AS id, 7 AS v FROM range(50) t(i)",
    );
    let (output, ()) = tokio::join!(write, opponent);
    let output = output.unwrap();
    assert_eq!(output.attempts, 2, "nobody was the victim");
    assert_eq!(writing.shown("SELECT COUNT(*), SUM(v) FROM t").await, "50|350");
}
