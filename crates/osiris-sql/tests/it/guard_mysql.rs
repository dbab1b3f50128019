//! The guard of SQL sources against a corpus: what a reader writes passes, what does more is refused, and by what.

use osiris_sql::guard::{MySqlModes, ReadingKind, ReadingStatement, SqlDialect};
use proptest::prelude::*;

fn check(sql: &str, modes: MySqlModes) -> Result<ReadingStatement<'_>, String> {
    ReadingStatement::parse(sql, SqlDialect::MySql(modes)).map_err(|refusal| refusal.message().to_owned())
}

const PLAIN: MySqlModes = MySqlModes { ansi_quotes: false, no_backslash_escapes: false };
const ANSI: MySqlModes = MySqlModes { ansi_quotes: true, no_backslash_escapes: false };
const NO_ESCAPES: MySqlModes = MySqlModes { ansi_quotes: false, no_backslash_escapes: true };

/// Statements that only read.
const ACCEPTED: &[&str] = &[
    "SELECT 1",
    "select 1",
    "  \n\tSELECT 1  \n",
    "SELECT 1;",
    "SELECT 1 ; ",
    "SELECT 1;;",
    "SELECT * FROM movies",
    "SELECT m.* FROM movies AS m",
    "SELECT created_at, update_time, is_deleted FROM t",
    "SELECT deleted, inserted, updated, dropped FROM t",
    "SELECT t.update, t.delete, t.`insert` FROM t",
    "SELECT `update`, `delete`, `into` FROM `drop`",
    "SELECT db.t.into FROM db.t",
    "SELECT `t`.into FROM `t`",
    "SELECT 'DELETE FROM t'",
    "SELECT \"DROP TABLE t\"",
    "SELECT 'it''s; DROP TABLE t'",
    "SELECT 'it\\'s; DROP TABLE t'",
    "SELECT 'a\\\\'",
    "SELECT \"a\\\"; DELETE FROM t\"",
    "SELECT 1 -- DELETE FROM t",
    "SELECT 1 --\tDELETE FROM t",
    "SELECT 1 --\nFROM t",
    "SELECT 1 # ; DROP TABLE t",
    "SELECT 1 # INTO OUTFILE\nFROM t",
    "SELECT /* UPDATE t SET a = 1 */ 1",
    "SELECT /* ; */ 1",
    "-- a heading\nSELECT 1",
    "# a heading\nSELECT 1",
    "/* a heading */ SELECT 1",
    "SELECT 1--1",
    "SELECT 1 - -1",
    "SELECT 5 /*! + 1 */",
    "SELECT /*!40001 SQL_NO_CACHE */ * FROM t",
    "SELECT /*! STRAIGHT_JOIN */ * FROM a, b",
    "SELECT * FROM t /*! FORCE INDEX (PRIMARY) */ WHERE id = 1",
    "SELECT /*M!100100 SQL_NO_CACHE */ 1",
    "SELECT /*+ MAX_EXECUTION_TIME(1000) */ * FROM t",
    "SELECT /*+ BKA(t1) NO_BKA(t2) */ * FROM t1 JOIN t2",
    "SELECT REPLACE(name, 'a', 'b') FROM t",
    "SELECT replace (name, 'a', 'b') FROM t",
    "SELECT INSERT('Quadratic', 3, 4, 'What')",
    "SELECT TRUNCATE(1.999, 1)",
    "SELECT CONVERT(name USING utf8mb4) FROM t",
    "SELECT CAST(name AS CHAR CHARACTER SET latin1) FROM t",
    "SELECT IF(a, b, c), COALESCE(a, b) FROM t",
    "SELECT SUBSTRING(name FROM 2 FOR 3) FROM t",
    "SELECT TRIM(LEADING 'x' FROM name) FROM t",
    "SELECT sleep FROM nights",
    "SELECT sleep, benchmark FROM nights WHERE sleep > 3",
    "SELECT t.sleep + 1 FROM nights t",
    "SELECT load_file_name FROM t",
    "SELECT 'SLEEP(1)'",
    "SELECT @rn := @rn + 1 AS n FROM t, (SELECT @rn := 0) r",
    "SELECT @@version, @@global.max_connections",
    "SELECT DISTINCT a FROM t ORDER BY a DESC LIMIT 10 OFFSET 5",
    "SELECT a, COUNT(*) FROM t GROUP BY a WITH ROLLUP HAVING COUNT(*) > 1",
    "SELECT SUM(x) OVER (PARTITION BY a ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
    "SELECT * FROM t WHERE a IN (SELECT b FROM u) AND EXISTS (SELECT 1 FROM v)",
    "SELECT * FROM a LEFT JOIN b USING (id) NATURAL JOIN c",
    "SELECT * FROM a USE INDEX FOR JOIN (i) JOIN b",
    "SELECT * FROM t PARTITION (p0, p1)",
    "SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01 00:00:00'",
    "SELECT j->'$.a', j->>'$.b.c' FROM t",
    "SELECT * FROM JSON_TABLE('[1,2]', '$[*]' COLUMNS (v INT PATH '$')) AS jt",
    "SELECT 1 UNION SELECT 2",
    "SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3 INTERSECT SELECT 4",
    "(SELECT 1) UNION (SELECT 2) LIMIT 1",
    "((SELECT 1))",
    "( /* x */ SELECT 1 )",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "with a as (select 1), b as (select 2) select * from a, b",
    "TABLE t",
    "TABLE t ORDER BY a LIMIT 3",
    "VALUES ROW(1, 2), ROW(3, 4)",
    "VALUES (1, 2)",
    "SHOW TABLES",
    "SHOW FULL TABLES LIKE 'a%'",
    "SHOW CREATE TABLE t",
    "show create view v",
    "SHOW COLUMNS FROM t",
    "SHOW INDEX FROM t",
    "SHOW STATUS LIKE 'Threads%'",
    "SHOW GLOBAL VARIABLES",
    "SHOW GRANTS",
    "SHOW WARNINGS",
    "SHOW TRIGGERS",
    "SHOW DATABASES;",
    "DESCRIBE t",
    "DESC t",
    "DESC t a",
    "EXPLAIN SELECT * FROM t",
    "EXPLAIN FORMAT=JSON SELECT * FROM t",
    "EXPLAIN ANALYZE SELECT * FROM t",
    "EXPLAIN EXTENDED SELECT 1",
    "EXPLAIN t",
    "SELECT `a b`, `ů`, `\"`, `a``b` FROM `select`",
    "SELECT ů FROM město",
    "SELECT '日本', N'x', _latin1'caf\u{e9}', x'4D7953514C', 0xFF, b'01'",
    "SELECT 1e10, 1.5e-3, .5, 1., 0x1F",
    "SELECT 1a.b FROM 1a",
    "SELECT \\N",
    "SELECT 'multi\nline'",
    "SELECT 'a' 'b' \"c\"",
    "SELECT * FROM t WHERE a LIKE '%\\%%'",
    "SELECT a FROM t WHERE b = 'x' AND c <> 2 AND d != 3 AND e <=> NULL AND f REGEXP '^a'",
    "SELECT DATE_ADD(d, INTERVAL 1 DAY), d + INTERVAL '1:2' HOUR_MINUTE FROM t",
    "SELECT EXTRACT(YEAR FROM d) FROM t",
    "SELECT UUID(), RAND(), NOW(6), CURRENT_TIMESTAMP, LAST_INSERT_ID()",
    "SELECT MATCH (a) AGAINST ('b' IN BOOLEAN MODE) FROM t",
    "SELECT GROUP_CONCAT(DISTINCT a ORDER BY b SEPARATOR ';') FROM t",
    "SELECT * FROM t WHERE created_at >= '2024-01-01' AND action = 'UPDATE'",
    "SELECT share, next, value FROM stocks",
    "SELECT truncate, purge_date, call_id FROM t",
    "SELECT information_schema.tables.table_name FROM information_schema.tables",
    "SELECT 1 AS `;`",
    "SELECT BINARY 'a' = 'A', a MOD 2, a DIV 3, a XOR b FROM t",
    "SELECT `sleep` FROM t",
];

/// Statements that do more, with a word of the refusal.
const REFUSED: &[(&str, &str)] = &[
    ("", "empty"),
    ("   ", "empty"),
    (";", "empty"),
    ("-- nothing", "empty"),
    ("/* nothing */", "empty"),
    ("()", "reads"),
    ("INSERT INTO t VALUES (1)", "INSERT"),
    ("insert t values (1)", "INSERT"),
    ("UPDATE t SET a = 1", "UPDATE"),
    ("DELETE FROM t", "DELETE"),
    ("/* SELECT */ DELETE FROM t", "DELETE"),
    ("-- SELECT\nDELETE FROM t", "DELETE"),
    ("# SELECT\nDROP TABLE t", "DROP"),
    ("REPLACE INTO t VALUES (1)", "REPLACE"),
    ("TRUNCATE t", "TRUNCATE"),
    ("TRUNCATE TABLE t", "TRUNCATE"),
    ("DROP TABLE t", "DROP"),
    ("ALTER TABLE t ADD a INT", "ALTER"),
    ("CREATE TABLE t (a INT)", "CREATE"),
    ("CREATE TEMPORARY TABLE t SELECT 1", "CREATE"),
    ("RENAME TABLE a TO b", "RENAME"),
    ("GRANT ALL ON *.* TO u", "GRANT"),
    ("REVOKE ALL ON *.* FROM u", "REVOKE"),
    ("SET GLOBAL read_only = 0", "SET"),
    ("SET PASSWORD = 'x'", "SET"),
    ("CALL p()", "CALL"),
    ("DO SLEEP(1)", "DO"),
    ("HANDLER t OPEN", "HANDLER"),
    ("LOAD DATA INFILE '/etc/passwd' INTO TABLE t", "LOAD"),
    ("LOCK TABLES t WRITE", "LOCK"),
    ("UNLOCK TABLES", "UNLOCK"),
    ("START TRANSACTION", "START"),
    ("BEGIN", "BEGIN"),
    ("COMMIT", "COMMIT"),
    ("ROLLBACK", "ROLLBACK"),
    ("KILL 1", "KILL"),
    ("FLUSH TABLES", "FLUSH"),
    ("RESET MASTER", "RESET"),
    ("SHUTDOWN", "SHUTDOWN"),
    ("OPTIMIZE TABLE t", "OPTIMIZE"),
    ("ANALYZE TABLE t", "ANALYZE"),
    ("ANALYZE UPDATE t SET a = 1", "ANALYZE"),
    ("REPAIR TABLE t", "REPAIR"),
    ("CHECKSUM TABLE t", "CHECKSUM"),
    ("USE mysql", "USE"),
    ("PREPARE s FROM 'DELETE FROM t'", "PREPARE"),
    ("EXECUTE s", "EXECUTE"),
    ("EXECUTE IMMEDIATE 'DELETE FROM t'", "EXECUTE"),
    ("INSTALL PLUGIN x SONAME 'y'", "INSTALL"),
    ("IMPORT TABLE FROM 'x'", "IMPORT"),
    ("XA START 'x'", "XA"),
    ("BINLOG 'x'", "BINLOG"),
    ("CHANGE MASTER TO MASTER_HOST = 'x'", "CHANGE"),
    ("PURGE BINARY LOGS TO 'x'", "PURGE"),
    ("SIGNAL SQLSTATE '45000'", "SIGNAL"),
    ("42", "reads"),
    ("'SELECT 1'", "reads"),
    ("`SELECT` 1", "reads"),
    ("SELECT 1; DELETE FROM t", "more than one"),
    ("SELECT 1; SELECT 2", "more than one"),
    ("SELECT 1;\n\n-- x\nDROP TABLE t", "more than one"),
    ("SELECT 'a'; DROP TABLE t; -- '", "more than one"),
    ("SELECT 'a\\\\'; DROP TABLE t; -- '", "more than one"),
    ("SELECT 1 /* */ ; /* */ DROP TABLE t", "more than one"),
    ("SELECT 1--1; DROP TABLE t", "more than one"),
    ("SELECT 1 --1\n; DROP TABLE t", "more than one"),
    ("SELECT `a``b`; DROP TABLE t", "more than one"),
    ("SELECT * FROM t INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT * INTO OUTFILE '/tmp/x' FROM t", "INTO"),
    ("SELECT * FROM t INTO DUMPFILE '/tmp/x'", "INTO"),
    ("SELECT 1 INTO @a", "INTO"),
    ("SELECT 1 into@a", "INTO"),
    ("SELECT 1 INTO a", "INTO"),
    ("SELECT 1/**/INTO/**/OUTFILE/**/'/tmp/x'", "INTO"),
    ("SELECT 1.INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT 1.5INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT 1e5INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT .5INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT 'a'INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT t. INTO OUTFILE '/tmp/x' FROM t", "INTO"),
    ("SELECT \"t\".INTO OUTFILE '/tmp/x'", "INTO"),
    ("TABLE t INTO OUTFILE '/tmp/x'", "INTO"),
    ("VALUES ROW(1) INTO OUTFILE '/tmp/x'", "INTO"),
    ("EXPLAIN FORMAT=JSON INTO @x SELECT 1", "INTO"),
    ("(SELECT 1) INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT (SELECT 1 INTO @a)", "INTO"),
    ("SELECT * FROM t FOR UPDATE", "UPDATE"),
    ("SELECT * FROM t FOR/**/UPDATE", "UPDATE"),
    ("SELECT * FROM t FOR UPDATE SKIP LOCKED", "UPDATE"),
    ("SELECT * FROM t FOR SHARE", "SHARE"),
    ("SELECT * FROM t for share nowait", "SHARE"),
    ("SELECT * FROM t LOCK IN SHARE MODE", "LOCK"),
    ("SELECT * FROM (SELECT * FROM t FOR UPDATE) x", "UPDATE"),
    ("SELECT SLEEP(5)", "SLEEP"),
    ("SELECT sleep (5)", "SLEEP"),
    ("SELECT SLEEP/**/(5)", "SLEEP"),
    ("SELECT SLEEP -- x\n(5)", "SLEEP"),
    ("SELECT `sleep`(5)", "SLEEP"),
    ("SELECT sys.SLEEP(5)", "SLEEP"),
    ("SELECT 1 FROM t WHERE SLEEP(5) = 0", "SLEEP"),
    ("SELECT BENCHMARK(1000000, MD5('a'))", "BENCHMARK"),
    ("SELECT GET_LOCK('a', 10)", "GET_LOCK"),
    ("SELECT RELEASE_LOCK('a')", "RELEASE_LOCK"),
    ("SELECT RELEASE_ALL_LOCKS()", "RELEASE_ALL_LOCKS"),
    ("SELECT LOAD_FILE('/etc/passwd')", "LOAD_FILE"),
    ("SELECT load_file\n('/etc/passwd')", "LOAD_FILE"),
    ("SELECT MASTER_POS_WAIT('x', 4)", "MASTER_POS_WAIT"),
    ("SELECT SOURCE_POS_WAIT('x', 4)", "SOURCE_POS_WAIT"),
    ("SELECT WAIT_FOR_EXECUTED_GTID_SET('x')", "WAIT_FOR"),
    ("SELECT NEXTVAL(s)", "NEXTVAL"),
    ("SELECT NEXT VALUE FOR s", "NEXT VALUE"),
    ("SELECT SETVAL(s, 1)", "SETVAL"),
    ("SELECT sys_exec('id')", "SYS_EXEC"),
    ("SELECT sys_eval('id')", "SYS_EVAL"),
    ("WITH x AS (SELECT 1) DELETE FROM t", "DELETE"),
    ("WITH x AS (SELECT 1) UPDATE t SET a = 1", "UPDATE"),
    ("WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x", "DELETE"),
    ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "INSERT"),
    ("WITH x AS (SELECT 1) REPLACE INTO t SELECT * FROM x", "REPLACE"),
    ("EXPLAIN DELETE FROM t", "DELETE"),
    ("EXPLAIN ANALYZE DELETE a FROM a JOIN b", "DELETE"),
    ("EXPLAIN ANALYZE UPDATE t SET a = 1", "UPDATE"),
    ("DESCRIBE INSERT INTO t VALUES (1)", "INSERT"),
    ("EXPLAIN CREATE TABLE t (a INT)", "CREATE"),
    ("(SHOW TABLES)", "SHOW"),
    ("(DELETE FROM t)", "DELETE"),
    ("/*! DELETE FROM t */", "reads"),
    ("/*!50000 SELECT */ 1", "reads"),
    ("/*!99999 SELECT 1 */ DELETE FROM t", "reads"),
    ("SELECT 1 /*! INTO OUTFILE '/tmp/x' */", "plain words"),
    ("SELECT 1 /*!50000INTO*/ @a", "INTO"),
    ("SELECT 1 /*!50000 INTO */ OUTFILE '/tmp/x'", "INTO"),
    ("SELECT 1 /*M! INTO */ OUTFILE '/tmp/x'", "INTO"),
    ("SELECT 1 /*! ; DELETE FROM t */", "plain words"),
    ("SELECT 1 /*! -- */ \n; DROP TABLE t */", "plain words"),
    ("SELECT 1 /*! # */ ; DROP TABLE t", "plain words"),
    ("SELECT 1 /*! /* */ */", "plain words"),
    ("SELECT 1 /*! ' */ '", "plain words"),
    ("SELECT SLEEP /*! (5) */", "SLEEP"),
    ("SELECT SLEEP /*! x */ (5)", "SLEEP"),
    ("SELECT /*! SLEEP */ (5)", "SLEEP"),
    ("SELECT * FROM t FOR /*! SHARE */ x", "SHARE"),
    ("SELECT * FROM t FOR /*! x */ SHARE", "SHARE"),
    ("SELECT REPLACE /*! x */ (a, b, c)", "REPLACE"),
    ("SELECT 1 /*!", "not closed"),
    ("SELECT 1 /*! x", "not closed"),
    ("SELECT 1 /* x", "not closed"),
    ("SELECT 1 /*/", "not closed"),
    ("SELECT 'x", "not closed"),
    ("SELECT 'x\\'", "not closed"),
    ("SELECT \"x", "not closed"),
    ("SELECT `x", "not closed"),
    ("SELECT /*+ QB_NAME(`*/ */", "hint"),
    ("SELECT 1 --\u{1}; DROP TABLE t", "control"),
    ("SELECT \u{0}1", "control"),
    ("SELECT 1 \u{7f}", "control"),
    ("SELECT \\'; DROP TABLE t; -- '", "backslash"),
    ("SELECT ?", "?"),
    ("SELECT * FROM t WHERE a = :name", ":"),
];

#[test]
fn the_corpus_has_more_than_two_hundred_and_fifty_statements() {
    assert!(ACCEPTED.len() + REFUSED.len() > 250, "{} + {}", ACCEPTED.len(), REFUSED.len());
}

#[test]
fn statements_that_read_are_accepted() {
    let mut failures = Vec::new();
    for sql in ACCEPTED {
        if let Err(message) = check(sql, PLAIN) {
            failures.push(format!("{sql:?}: {message}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn statements_that_do_more_are_refused_by_name() {
    let mut failures = Vec::new();
    for (sql, word) in REFUSED {
        match check(sql, PLAIN) {
            Ok(_) => failures.push(format!("{sql:?} was accepted")),
            Err(message) if !message.contains(word) => failures.push(format!("{sql:?}: {message} (no {word})")),
            Err(_) => {}
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_modes_of_the_session_decide_where_a_text_ends() {
    // Without escapes the text ends before the semicolon.
    let sql = "SELECT 'a\\'; DROP TABLE t; -- '";
    assert!(check(sql, PLAIN).is_ok());
    assert_eq!(check(sql, NO_ESCAPES).unwrap_err(), "more than one statement");
    let sql = "SELECT 'a\\'";
    assert!(check(sql, PLAIN).is_err());
    assert!(check(sql, NO_ESCAPES).is_ok());
    // In ANSI mode double quotes enclose a name, without escapes.
    let sql = "SELECT \"a\\\"; DROP TABLE t; -- \"";
    assert!(check(sql, PLAIN).is_ok());
    assert_eq!(check(sql, ANSI).unwrap_err(), "more than one statement");
    assert!(check("SELECT \"sleep\"(5)", PLAIN).is_ok());
    assert!(check("SELECT \"sleep\"(5)", ANSI).is_err());
    assert!(check("SELECT \"t\".into FROM t", ANSI).is_ok());
}

#[test]
fn what_stands_around_the_statement_is_not_part_of_its_text() {
    for (sql, text) in [
        (" SELECT 1 ; ", "SELECT 1"),
        ("-- x\nSELECT 1 -- y", "SELECT 1"),
        ("SELECT 1 /* y */ ;", "SELECT 1"),
        ("SELECT a FROM t /*! FORCE INDEX (i) */ ;", "SELECT a FROM t /*! FORCE INDEX (i) */"),
    ] {
        assert_eq!(check(sql, PLAIN).unwrap().text(), text);
    }
    assert_eq!(check("SELECT 1", PLAIN).unwrap().kind(), ReadingKind::Query);
    assert_eq!(check("SHOW TABLES", PLAIN).unwrap().kind(), ReadingKind::Listing);
}

#[test]
fn a_refusal_says_where_and_what_to_do() {
    let refusal = ReadingStatement::parse("SELECT a FROM t INTO @x", SqlDialect::MySql(PLAIN)).unwrap_err();
    let problem = refusal.into_problem("/query");
    assert_eq!(problem.offset, Some(16));
    assert_eq!(
        problem.to_string(),
        "query: `INTO` is not allowed: an extractor only reads (remove INTO: the rows go to the step's table)"
    );
}

#[test]
fn s31_mysql_functions_that_do_more_than_read_are_refused() {
    for call in [
        "group_replication_switch_to_single_primary_mode()",
        "spider_direct_sql('a', 'b', 'c')",
        "spider_copy_tables('t', '0', '1')",
        "keyring_key_generate('k', 'AES', 32)",
        "asynchronous_connection_failover_delete_source('c', 'h', 1, '')",
        "audit_log_rotate()",
        "audit_log_encryption_password_set('x')",
        "mysql_firewall_flush_status()",
        "set_firewall_mode('u', 'RESET')",
        "version_tokens_set('a=b')",
        "sys_bineval('id')",
        "service_get_write_locks('a', 'b', 1)",
        "s.nextval",
        "`SPIDER_BG_DIRECT_SQL`/**/('a')",
        "Keyring_Key_Store ('k', 'AES', 'x')",
    ] {
        for query in [format!("SELECT {call}"), format!("SELECT a FROM t WHERE {call} IS NULL")] {
            let accepted = ReadingStatement::parse(&query, SqlDialect::MySql(MySqlModes::default()));
            assert!(accepted.is_err(), "{query}");
        }
    }
    for query in [
        "SELECT `nextval` FROM t",
        "SELECT nextval FROM t",
        "SELECT keyring_key_length_fetch('k')",
        "SELECT spider FROM t",
    ] {
        assert!(ReadingStatement::parse(query, SqlDialect::MySql(MySqlModes::default())).is_ok(), "{query}");
    }
}

#[test]
fn s31_mysql_functions_of_libraries_are_refused_by_the_servers_list_unless_they_are_known_to_read() {
    let modes = MySqlModes::default();
    let loadable = ["do_it".to_owned(), "md5".to_owned()];
    for (query, expected) in [
        ("SELECT DO_IT(1)", false),
        ("SELECT a FROM (SELECT `do_it` (1) AS a) x", false),
        ("SELECT test.do_it(1)", false),
        ("SELECT do_it FROM t", true),
        ("SELECT 'do_it(1)'", true),
        ("SELECT MD5('x')", true),
    ] {
        let statement = ReadingStatement::parse(query, SqlDialect::MySql(modes)).unwrap();
        assert_eq!(statement.refuse_loadable(modes, &loadable).is_ok(), expected, "{query}");
    }
}

/// Pieces of statements, in any order.
fn soup() -> impl Strategy<Value = String> {
    const PIECES: [&str; 60] = [
        "SELECT",
        "1",
        "*",
        "FROM",
        "t",
        "INTO",
        "OUTFILE",
        "'/tmp/x'",
        "@a",
        "DELETE",
        "UPDATE",
        "INSERT",
        "REPLACE",
        "(",
        ")",
        ",",
        ";",
        ".",
        "--",
        "-- ",
        "#",
        "\n",
        "/*",
        "*/",
        "/*!",
        "/*!50000",
        "/*M!",
        "/*+",
        "'",
        "\"",
        "`",
        "\\",
        "\\'",
        "''",
        "FOR",
        "SHARE",
        "LOCK",
        "IN",
        "MODE",
        "SLEEP",
        "LOAD_FILE",
        "WITH",
        "AS",
        "UNION",
        "TABLE",
        "VALUES",
        "SHOW",
        "CREATE",
        "EXPLAIN",
        "ANALYZE",
        "DROP",
        "1.",
        ".5",
        "1e5",
        "0x1",
        "ů",
        "\u{0}",
        "_utf8",
        "t.",
        "/",
    ];
    proptest::collection::vec((proptest::sample::select(&PIECES[..]), any::<bool>()), 0..24).prop_map(|pieces| {
        pieces.into_iter().map(|(piece, space)| format!("{piece}{}", if space { " " } else { "" })).collect()
    })
}

/// What no accepted statement may hold outside of texts, names and comments, by a scanner of another make.
fn has_forbidden_word(sql: &str) -> bool {
    let mut rest = sql;
    let mut bare = String::new();
    while let Some(first) = rest.chars().next() {
        let skip = |rest: &str, quote: char, escapes: bool| -> usize {
            let mut chars = rest.char_indices().skip(1).peekable();
            while let Some((index, c)) = chars.next() {
                if escapes && c == '\\' {
                    chars.next();
                } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
                    return index + 1;
                }
            }
            rest.len()
        };
        let length = match first {
            '\'' | '"' => skip(rest, first, true),
            '`' => skip(rest, first, false),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '-' if rest.starts_with("-- ") || rest == "--" || rest.starts_with("--\n") => {
                rest.find('\n').unwrap_or(rest.len())
            }
            '/' if rest.starts_with("/*") && !rest.starts_with("/*!") && !rest.starts_with("/*M!") => {
                rest[2..].find("*/").map_or(rest.len(), |end| end + 4)
            }
            _ => {
                bare.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        bare.push(' ');
        rest = &rest[length..];
    }
    let words: Vec<&str> = bare.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).collect();
    words.iter().any(|word| matches!(*word, "INTO" | "DELETE" | "UPDATE" | "DROP" | "LOCK"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_soup_of_tokens_is_judged_without_a_crash_and_never_too_mildly(sql in soup()) {
        for modes in MySqlModes::ALL {
            let judged = check(&sql, modes);
            if let Ok(statement) = &judged {
                prop_assert!(sql.contains(statement.text()));
            }
        }
        prop_assert!(check(&sql, PLAIN).is_err() || !has_forbidden_word(&sql), "{sql:?} was accepted");
    }

    #[test]
    fn any_text_at_all_is_judged_without_a_crash(sql in ".{0,80}") {
        for modes in MySqlModes::ALL {
            let _ = check(&sql, modes);
        }
    }
}

#[test]
fn s30_the_null_of_two_bytes_ends_where_the_server_ends_it() {
    for sql in [
        "SELECT \\NINTO OUTFILE '/tmp/x'",
        "SELECT 1 IS NOT \\NLOCK IN SHARE MODE",
        "SELECT \\NFOR UPDATE",
        "SELECT \\NUNION SELECT 1 INTO @a",
    ] {
        for modes in MySqlModes::ALL {
            assert!(check(sql, modes).is_err(), "{sql}");
        }
    }
    for sql in ["SELECT \\N", "SELECT \\N, 1", "SELECT \\NUNION SELECT 1"] {
        check(sql, PLAIN).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    assert!(check("SELECT \\n", PLAIN).is_err());
}

#[test]
fn s30_minus_signs_at_the_end_do_not_become_a_comment() {
    for sql in ["SELECT * FROM t ---- c", "SELECT 1 --;", "SELECT 1 - ;", "SELECT 1 -"] {
        for modes in MySqlModes::ALL {
            assert!(check(sql, modes).is_err(), "{sql}");
        }
    }
    check("SELECT 1 --1, 2 -- c", PLAIN).unwrap();
}
