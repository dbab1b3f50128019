//! `verify: checksums`: the server's sums against ours, for every type, and values that differ.

use insta::assert_snapshot;
use osiris_core::ErrorKind;
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::subject::Reading;

const TABLE: &str = "CREATE TABLE t (
    id INT PRIMARY KEY, flag TINYINT(1), bit1 BIT(1), filled INT(10) UNSIGNED ZEROFILL, d DECIMAL(20,5), f FLOAT, e ENUM('a','ů'),
    s SET('x','y'), l VARCHAR(20) CHARACTER SET latin1, j JSON, u UUID, i INET6, b BINARY(4), g POINT, `a b` TEXT, t TIME(3),
    m DATETIME, n INT
)";

#[tokio::test]
async fn checksums_agree_for_every_type_by_ranges_and_by_a_cursor() {
    let Some(reading) = Reading::start(MysqlOptions::new().with_setting("sql_mode", "ANSI_QUOTES")).await else {
        return;
    };
    reading.execute(&super::extract::of_this_server(TABLE)).await;
    reading
        .execute(
            "INSERT INTO t VALUES
             (1, 1, b'1', 7, -0.5, 1.1, 'ů', 'x,y', 'é', '{\"a\":1}', '123E4567-e89b-12d3-a456-426614174000', '::1', 'ab', POINT(1,2),
              '', '-00:00:00.5', '2024-02-29 01:02:03', NULL),
             (2, 0, b'0', 0, 12345678901234.5, NULL, 'a', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '838:59:59', NULL, NULL)",
        )
        .await;
    for more in [
        json!({}),
        json!({"tinyint1": "bool", "time": "text", "zero_dates": "text", "geometry": "wkt"}),
        json!({"partition_by": "id", "partitions": 2}),
        json!({"cursor": {"column": "id"}}),
    ] {
        let mut config = json!({"table": "t", "verify": "checksums"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(reading.rows(config).await.rows().len(), 2);
    }
    let query = json!({"query": "SELECT id, `a b` FROM t WHERE id = 3", "verify": "checksums"});
    assert!(reading.rows(query).await.rows().is_empty());
}

#[tokio::test]
async fn values_that_differ_are_named_by_their_columns_and_nothing_is_kept() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    let query = "WITH RECURSIVE numbers (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < 1000) \
                 SELECT seq, CAST(RAND() * 1000000000 AS UNSIGNED) AS n FROM numbers";
    let failure = reading.failure(json!({"query": query, "verify": "checksums"})).await;
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    assert_snapshot!(failure.error, @"
    step `fails`: checksums of the source and the received values differ: column `n`
    ");
    assert!(reading.run("counted", json!({"query": query}), json!({})).await.is_ok());
}
