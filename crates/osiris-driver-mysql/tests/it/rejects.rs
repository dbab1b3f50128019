//! Rows that the server refuses or would alter: each is found, kept with its reason, and nothing else is lost.

use osiris_testkit::database::{config, writes};
use serde_json::json;

use super::Server;
use super::subject::Writing;

const TABLE: &str = "CREATE TABLE parent (id INT PRIMARY KEY); INSERT INTO parent VALUES (1), (2); \
    CREATE TABLE t (id INT PRIMARY KEY, n TINYINT NOT NULL, s VARCHAR(3) CHARACTER SET latin1, c CHAR(4), e ENUM('a','b'), d DECIMAL(4,1), \
    at DATETIME(3), f FLOAT, p INT REFERENCES parent(id), ck INT CHECK (ck < 100), b BINARY(2), x VARCHAR(20), \
    FOREIGN KEY (p) REFERENCES parent(id))";

const ROWS: &str = "SELECT i AS id, \
    CASE i WHEN 10 THEN 300 WHEN 11 THEN NULL ELSE 1 END AS n, \
    CASE i WHEN 20 THEN 'long' WHEN 21 THEN '日' WHEN 22 THEN 'abc ' ELSE 'ok' END AS s, \
    CASE i WHEN 23 THEN 'x ' ELSE 'x' END AS c, \
    CASE i WHEN 30 THEN 'c' WHEN 31 THEN '1' WHEN 32 THEN 'A' ELSE 'a' END AS e, \
    CASE i WHEN 40 THEN 1.25::DECIMAL(10,2) ELSE 1.5::DECIMAL(10,2) END AS d, \
    CASE i WHEN 50 THEN TIMESTAMP '2024-01-01 00:00:00.0001' ELSE TIMESTAMP '2024-01-01 00:00:00.001' END AS at, \
    CASE i WHEN 60 THEN 0.1::DOUBLE WHEN 61 THEN 'NaN'::DOUBLE ELSE 0.5::DOUBLE END AS f, \
    CASE i WHEN 70 THEN 9 ELSE 1 END AS p, \
    CASE i WHEN 80 THEN 100 ELSE 1 END AS ck, \
    CASE i WHEN 90 THEN 'a'::BLOB WHEN 91 THEN 'abc'::BLOB ELSE 'ab'::BLOB END AS b \
    FROM range(1, 2001) r(i)";

#[tokio::test]
async fn each_kind_of_bad_row_is_kept_and_every_other_row_is_written_by_either_channel() {
    let mut found = Vec::new();
    for local_files in [1, 0] {
        let Some(writing) = Writing::new().await else { return };
        writing.execute(TABLE).await;
        writing.execute(&format!("SET GLOBAL local_infile = {local_files}")).await;
        let output = writing.write(config(json!({"max_rejects": 30})), ROWS).await.unwrap();
        assert_eq!((output.counts.inserted, output.counts.rejected), (1983, 17));
        assert_eq!(writing.shown("SELECT COUNT(*), SUM(id BETWEEN 1 AND 2000) FROM t").await, "1983|1983");
        let row = writing.bench.query("SELECT \"row\" FROM rejects.write WHERE row_number = 10").await.unwrap();
        assert!(row.rows()[0][0].as_deref().unwrap().contains("\"n\":\"300\""), "{row:?}");
        found.push(writing.rejects().await.replace(&format!("`{}`", writing.server.database()), "`test`"));
    }
    // The reasons differ in their words: one channel warns, the other refuses.
    let places = |text: &str| -> Vec<String> {
        let place = |line: &str| line.rsplit_once('|').map_or(line, |(place, _)| place).to_owned();
        // MySQL names no column where a parameter has a character that the column's character set lacks.
        text.lines().map(|line| place(line).replace("21|s", "21|-")).collect()
    };
    assert_eq!(places(&found[0]), places(&found[1]));
    if !Server::IS_MARIADB {
        assert!(found[0].contains("80|-|Check constraint"), "{}", found[0]);
        return;
    }
    insta::assert_snapshot!(found[0], @r"
    10|n|Out of range value for column 'n'
    11|n|NULL, but the column is NOT NULL
    20|s|Data truncated for column 's'
    21|s|Incorrect string value: '\xE6\x97\xA5' for column `test`.`t`.`s`
    22|s|Data truncated for column 's'
    23|c|trailing space, which a CHAR column drops: use VARCHAR
    30|e|not one of the column's ENUM values
    31|e|not one of the column's ENUM values
    32|e|not one of the column's ENUM values
    40|d|more decimal places than the column allows
    50|at|fractional seconds exceed the precision of the column
    60|f|not exactly representable in a FLOAT column: use DOUBLE
    61|f|MySQL does not support NaN or infinity
    70|-|Cannot add or update a child row: a foreign key constraint fails (`test`.`t`, CONSTRAINT `t_ibfk_1` FOREIGN KEY (`p`) REFERENCES `parent` (`id`))
    80|-|CONSTRAINT `t.ck` failed for `test`.`t`
    90|b|shorter than the BINARY column, which would pad it with zeros
    91|b|Data truncated for column 'b'
    ");
}

#[tokio::test]
async fn without_room_for_rejects_nothing_is_written() {
    let Some(writing) = Writing::new().await else { return };
    assert_eq!(writes::too_many_rejects_leave_nothing(&writing, "TINYINT", 127).await, 1000);
    assert_eq!(writing.shown("SHOW TABLES").await, "t");
}

#[tokio::test]
async fn duplicate_keys_in_an_append_are_rejects() {
    let Some(writing) = Writing::new().await else { return };
    // MySQL names the table of the key.
    let reasons = writes::repeated_keys_of_an_append(&writing).await.replace("'t.PRIMARY'", "'PRIMARY'");
    insta::assert_snapshot!(reasons, @"
    3|-|Duplicate entry '***' for key 'PRIMARY'
    4|-|Duplicate entry '***' for key 'PRIMARY'
    ");
}

#[tokio::test]
async fn what_a_trigger_refuses_is_a_reject() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id INT); CREATE TRIGGER no_seven BEFORE INSERT ON t FOR EACH ROW \
             IF NEW.id = 7 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'seven is not wanted'; END IF",
        )
        .await;
    writes::refusals_of_a_trigger_are_rejects(&writing).await;
}

#[tokio::test]
async fn texts_are_parsed_strictly_into_typed_columns() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (n INT, d DATE, m DECIMAL(5,2), y YEAR, bits BIT(8))").await;
    let data = "SELECT * FROM (VALUES ('0012', '2024-02-29', '1.50', 2024, 5), ('12a', NULL, NULL, NULL, NULL), \
        (NULL, '29.2.2024', NULL, NULL, NULL), (NULL, '2024-02-30', NULL, NULL, NULL), (NULL, NULL, '1.505', NULL, NULL), \
        (NULL, NULL, NULL, 70, NULL), (NULL, NULL, NULL, NULL, 256)) v(n, d, m, y, bits)";
    let output = writing.write(config(json!({"max_rejects": 6})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 6));
    assert_eq!(writing.shown("SELECT n, d, m, y, bits + 0 FROM t").await, "12|2024-02-29|1.50|2024|5");
    let mut rejects = writing.rejects().await;
    if !Server::IS_MARIADB {
        // The same rows and columns, in the other server's words.
        rejects = rejects.replace("4|d|Out of range value for", "4|d|Data truncated for");
        rejects = rejects.replace("7|bits|Data too long for", "7|bits|Out of range value for");
    }
    insta::assert_snapshot!(rejects, @"
    2|n|invalid number
    3|d|invalid date: expected YYYY-MM-DD
    4|d|Data truncated for column 'd'
    5|m|more decimal places than the column allows
    6|y|year out of range: expected 0, or 1901 to 2155
    7|bits|Out of range value for column 'bits'
    ");
}
