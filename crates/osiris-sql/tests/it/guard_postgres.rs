//! The guard of SQL sources against a corpus for PostgreSQL: what a reader writes passes, what does more is refused,
//! and by what.

use osiris_sql::guard::{PostgresModes, ReadingKind, ReadingStatement, SqlDialect};
use proptest::prelude::*;

fn check(sql: &str, modes: PostgresModes) -> Result<ReadingStatement<'_>, String> {
    ReadingStatement::parse(sql, SqlDialect::Postgres(modes)).map_err(|refusal| refusal.message().to_owned())
}

const PLAIN: PostgresModes = PostgresModes { standard_conforming_strings: true };
const OLD: PostgresModes = PostgresModes { standard_conforming_strings: false };

/// Statements that only read.
const ACCEPTED: &[&str] = &[
    "SELECT 1",
    "select 1",
    "  \n\tSELECT 1  \n",
    "SELECT 1;",
    "SELECT 1 ; ",
    "SELECT 1;;",
    "SELECT * FROM movies",
    "SELECT m.* FROM public.movies AS m",
    "SELECT created_at, update_time, is_deleted FROM t",
    "SELECT deleted, inserted, updated, dropped FROM t",
    "SELECT t.update, t.delete, t.insert, t.into FROM t",
    "SELECT \"update\", \"delete\", \"into\" FROM \"drop\"",
    "SELECT db.t.into FROM db.t",
    "SELECT \"t\".into FROM \"t\"",
    "SELECT update FROM t",
    "SELECT update, 1 FROM t",
    "SELECT update + 1 AS next FROM t ORDER BY update DESC",
    "SELECT drop, alter, copy, truncate, call FROM t",
    "SELECT 'DELETE FROM t'",
    "SELECT 'it''s; DROP TABLE t'",
    "SELECT 'a\\'",
    "SELECT 'a\\''; DROP TABLE t; --'",
    "SELECT E'it\\'s; DROP TABLE t'",
    "SELECT e'a\\\\'",
    "SELECT E'\\x41\\u0042'",
    "SELECT B'0101', X'1F', b'0', x'ff'",
    "SELECT N'x'",
    "SELECT U&'d\\0061t\\+000061'",
    "SELECT U&'d!0061t' UESCAPE '!'",
    "SELECT 'a'\n'b'",
    "SELECT $$; DROP TABLE t$$",
    "SELECT $tag$ it's $$ ; DELETE FROM t $tag$",
    "SELECT $ů$x$ů$",
    "SELECT a$b$ FROM t",
    "SELECT 1 -- DELETE FROM t",
    "SELECT 1 --DELETE FROM t",
    "SELECT 1--1",
    "SELECT 1 -- x\rFROM t",
    "SELECT 1 - -1",
    "SELECT /* UPDATE t SET a = 1 */ 1",
    "SELECT /* ; */ 1",
    "SELECT /* a /* b */ DELETE FROM t */ 1",
    "SELECT /*! INTO */ 1",
    "-- a heading\nSELECT 1",
    "/* a heading */ SELECT 1",
    "SELECT */**/FROM t",
    "SELECT 1 */* x */ 2",
    "SELECT REPLACE(name, 'a', 'b') FROM t",
    "SELECT substring(name FROM 2 FOR 3) FROM t",
    "SELECT overlay(name PLACING 'x' FROM 2 FOR 1) FROM t",
    "SELECT trim(LEADING 'x' FROM name) FROM t",
    "SELECT extract(year FROM d), date_trunc('day', d) FROM t",
    "SELECT position('a' IN name) FROM t",
    "SELECT pg_sleep FROM nights",
    "SELECT n.pg_sleep + 1 FROM nights n",
    "SELECT 'pg_sleep(1)'",
    "SELECT nextval, setval FROM t",
    "SELECT currval('s'), lastval()",
    "SELECT pg_typeof(a), pg_column_size(a) FROM t",
    "SELECT pg_get_viewdef('v'::regclass), pg_size_pretty(pg_total_relation_size('t'))",
    "SELECT pg_catalog.pg_table_is_visible(c.oid) FROM pg_class c",
    "SELECT pg_stat_get_live_tuples(c.oid) FROM pg_class c",
    "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn()",
    "SELECT \"pg_typeof\"(1)",
    "SELECT version(), current_user, current_setting('TimeZone'), now()",
    "SELECT has_table_privilege('t', 'INSERT')",
    "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC NULLS LAST LIMIT 10 OFFSET 5",
    "SELECT a FROM t FETCH FIRST 3 ROWS WITH TIES",
    "SELECT a, count(*) FILTER (WHERE b > 1) FROM t GROUP BY ROLLUP (a) HAVING count(*) > 1",
    "SELECT sum(x) OVER w FROM t WINDOW w AS (PARTITION BY a ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t",
    "SELECT * FROM t WHERE a IN (SELECT b FROM u) AND EXISTS (SELECT 1 FROM v)",
    "SELECT * FROM a LEFT JOIN b USING (id) NATURAL JOIN c CROSS JOIN d",
    "SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.a = t.a) AS x",
    "SELECT * FROM ONLY t",
    "SELECT * FROM t TABLESAMPLE SYSTEM (10) REPEATABLE (1)",
    "SELECT * FROM generate_series(1, 10) WITH ORDINALITY AS g (n, i)",
    "SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) AS u (a, b)",
    "SELECT * FROM json_to_recordset('[]') AS x (a int, b text)",
    "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY[3]))",
    "SELECT j->'a', j->>'b', j#>'{a,b}', j#>>'{a}', j ? 'a', j ?| ARRAY['a'], j ?& ARRAY['a'], j @> '{}', j @? '$.a' FROM t",
    "SELECT a::numeric(10,2), '2024-01-01'::date, a[1:2], a[1] FROM t",
    "SELECT CAST(a AS text), a || b, a ~ '^x', a !~* 'y', a ~~ 'z%' FROM t",
    "SELECT a OPERATOR(pg_catalog.+) b FROM t",
    "SELECT |/ 25.0, @ -5, 5 % 3, 2 ^ 3, 5 # 3, ~1, 1 << 2 FROM t",
    "SELECT ROW(1, 2), (ROW(1, 2)).*, (x).a, ARRAY[1, 2], ARRAY(SELECT 1) FROM t AS x",
    "SELECT CASE WHEN a THEN 1 ELSE 2 END FROM t",
    "SELECT CASE a WHEN 1 THEN update ELSE 2 END FROM t",
    "SELECT COALESCE(a, b), NULLIF(a, b), GREATEST(a, b) FROM t",
    "SELECT a AT TIME ZONE 'UTC', a + INTERVAL '1 day' FROM t",
    "SELECT xmlelement(name foo, xmlattributes(a AS b)) FROM t",
    "SELECT to_tsvector('english', a) @@ to_tsquery('b & c') FROM t",
    "SELECT 1 UNION SELECT 2",
    "SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3 INTERSECT SELECT 4",
    "(SELECT 1) UNION (SELECT 2) LIMIT 1",
    "((SELECT 1))",
    "( /* x */ SELECT 1 )",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
    "WITH x AS MATERIALIZED (SELECT 1), y AS NOT MATERIALIZED (SELECT 2) SELECT * FROM x, y",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1) SEARCH DEPTH FIRST BY i SET o CYCLE i SET c USING p SELECT * FROM n",
    "TABLE t",
    "TABLE public.t ORDER BY a LIMIT 3",
    "VALUES (1, 2), (3, 4)",
    "SHOW server_version",
    "SHOW ALL",
    "show TimeZone;",
    "EXPLAIN SELECT * FROM t",
    "EXPLAIN ANALYZE SELECT * FROM t",
    "EXPLAIN ANALYZE VERBOSE SELECT * FROM t",
    "EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM t",
    "EXPLAIN (COSTS OFF) (SELECT 1)",
    "EXPLAIN (SELECT 1)",
    "EXPLAIN ((SELECT 1) UNION (SELECT 2))",
    "EXPLAIN WITH x AS (SELECT 1) SELECT * FROM x",
    "SELECT ů FROM město",
    "SELECT '日本', 1e10, 1.5e-3, .5, 1., 0x1F, 1_000",
    "SELECT \"a b\", \"ů\", \"'\", \"a\"\"b\" FROM \"select\"",
    "SELECT * FROM t WHERE created_at >= '2024-01-01' AND action = 'UPDATE'",
    "SELECT share, next, value, key, no FROM stocks",
    "SELECT information_schema.tables.table_name FROM information_schema.tables",
    "SELECT 1 AS \";\"",
    "SELECT httpd, dblinks, lo FROM t",
    "SELECT httpd(a), lower(b), log(c), low(d) FROM t",
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
    ("UPDATE t SET a = 1", "UPDATE"),
    ("DELETE FROM t", "DELETE"),
    ("MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "MERGE"),
    ("/* SELECT */ DELETE FROM t", "DELETE"),
    ("-- SELECT\nDELETE FROM t", "DELETE"),
    ("-- x\rDELETE FROM t", "DELETE"),
    ("/* /* */ SELECT */ DELETE FROM t", "DELETE"),
    ("TRUNCATE t", "TRUNCATE"),
    ("DROP TABLE t", "DROP"),
    ("ALTER TABLE t ADD a int", "ALTER"),
    ("CREATE TABLE t (a int)", "CREATE"),
    ("CREATE TABLE t AS SELECT 1", "CREATE"),
    ("GRANT ALL ON t TO u", "GRANT"),
    ("REVOKE ALL ON t FROM u", "REVOKE"),
    ("SET TimeZone = 'UTC'", "SET"),
    ("SET ROLE postgres", "SET"),
    ("RESET ALL", "RESET"),
    ("DISCARD ALL", "DISCARD"),
    ("CALL p()", "CALL"),
    ("DO $$ BEGIN DELETE FROM t; END $$", "DO"),
    ("COPY t FROM '/etc/passwd'", "COPY"),
    ("COPY t TO PROGRAM 'sh'", "COPY"),
    ("COPY (SELECT 1) TO STDOUT", "COPY"),
    ("LOCK TABLE t", "LOCK"),
    ("BEGIN", "BEGIN"),
    ("START TRANSACTION", "START"),
    ("COMMIT", "COMMIT"),
    ("ROLLBACK", "ROLLBACK"),
    ("SAVEPOINT a", "SAVEPOINT"),
    ("PREPARE s AS SELECT 1", "PREPARE"),
    ("EXECUTE s", "EXECUTE"),
    ("DEALLOCATE s", "DEALLOCATE"),
    ("DECLARE c CURSOR FOR SELECT 1", "DECLARE"),
    ("FETCH ALL FROM c", "FETCH"),
    ("MOVE 1 FROM c", "MOVE"),
    ("CLOSE c", "CLOSE"),
    ("LISTEN c", "LISTEN"),
    ("NOTIFY pgrst", "NOTIFY"),
    ("UNLISTEN *", "UNLISTEN"),
    ("VACUUM", "VACUUM"),
    ("ANALYZE t", "ANALYZE"),
    ("CLUSTER t", "CLUSTER"),
    ("REINDEX TABLE t", "REINDEX"),
    ("REFRESH MATERIALIZED VIEW v", "REFRESH"),
    ("CHECKPOINT", "CHECKPOINT"),
    ("LOAD 'x'", "LOAD"),
    ("COMMENT ON TABLE t IS 'x'", "COMMENT"),
    ("SECURITY LABEL ON TABLE t IS 'x'", "SECURITY"),
    ("REASSIGN OWNED BY a TO b", "REASSIGN"),
    ("IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", "IMPORT"),
    ("42", "reads"),
    ("'SELECT 1'", "reads"),
    ("\"SELECT\" 1", "reads"),
    ("SELECT 1; DELETE FROM t", "more than one"),
    ("SELECT 1; SELECT 2", "more than one"),
    ("SELECT 'a'; DROP TABLE t; -- '", "more than one"),
    ("SELECT 'a\\'; DROP TABLE t; -- '", "more than one"),
    ("SELECT E'a\\\\'; DROP TABLE t; -- '", "more than one"),
    ("SELECT $$a$$; DROP TABLE t; --$$", "more than one"),
    ("SELECT $a$ $b$ $a$; DROP TABLE t; -- $b$", "more than one"),
    ("SELECT 1 /* /* */ */ ; DROP TABLE t", "more than one"),
    ("SELECT 1 --1\n; DROP TABLE t", "more than one"),
    ("SELECT 1 -- x\r; DROP TABLE t", "more than one"),
    ("SELECT \"a\"\"b\"; DROP TABLE t", "more than one"),
    ("SELECT a$b; DROP TABLE t; --$b$", "more than one"),
    ("SELECT 1 */* x */ 2; DROP TABLE t", "more than one"),
    ("SELECT 1 +-- x\n2; DROP TABLE t", "more than one"),
    ("SELECT * INTO u FROM t", "INTO"),
    ("SELECT * INTO TEMP u FROM t", "INTO"),
    ("SELECT 1 into u", "INTO"),
    ("SELECT 1INTO u", "INTO"),
    ("SELECT 1.INTO u", "INTO"),
    ("SELECT 1.5INTO u", "INTO"),
    ("SELECT 1e5INTO u", "INTO"),
    ("SELECT .5INTO u", "INTO"),
    ("SELECT 'a'INTO u", "INTO"),
    ("SELECT $$a$$INTO u", "INTO"),
    ("SELECT \"a\"INTO u FROM t", "INTO"),
    ("SELECT t.*INTO u FROM t", "INTO"),
    ("SELECT 1/**/INTO/**/u", "INTO"),
    ("SELECT 1 INTO UNLOGGED u UNION SELECT 2", "INTO"),
    ("WITH x AS (SELECT 1) SELECT * INTO u FROM x", "INTO"),
    ("(SELECT 1 INTO u)", "INTO"),
    ("EXPLAIN ANALYZE SELECT 1 INTO u", "INTO"),
    ("WITH x AS (SELECT 1) DELETE FROM t", "DELETE"),
    ("WITH x AS (SELECT 1) UPDATE t SET a = 1", "UPDATE"),
    ("WITH x AS (SELECT 1) UPDATE ONLY t SET a = 1", "UPDATE"),
    ("WITH x AS (SELECT 1) UPDATE \"t\" SET a = 1", "UPDATE"),
    ("WITH x AS (SELECT 1) UPDATE s.t SET a = 1", "UPDATE"),
    ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "INTO"),
    ("WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DO NOTHING", "INTO"),
    ("WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x", "DELETE"),
    ("WITH x AS (delete/**/from t returning a) SELECT * FROM x", "DELETE"),
    ("WITH x AS (UPDATE t SET a = 1 RETURNING a) SELECT * FROM x", "UPDATE"),
    ("WITH x AS MATERIALIZED (UPDATE t SET a = 1 RETURNING a) SELECT * FROM x", "UPDATE"),
    ("WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x", "INTO"),
    ("WITH x AS (WITH y AS (DELETE FROM t RETURNING a) SELECT * FROM y) SELECT * FROM x", "DELETE"),
    ("WITH RECURSIVE x AS (SELECT 1 AS i) SEARCH DEPTH FIRST BY i SET o DELETE FROM t", "DELETE"),
    ("SELECT * FROM (WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x) y", "DELETE"),
    ("SELECT * FROM t FOR UPDATE", "FOR UPDATE"),
    ("SELECT * FROM t FOR/**/UPDATE", "FOR UPDATE"),
    ("SELECT * FROM t FOR NO KEY UPDATE", "FOR UPDATE"),
    ("SELECT * FROM t FOR SHARE", "FOR UPDATE"),
    ("SELECT * FROM t for key share skip locked", "FOR UPDATE"),
    ("SELECT * FROM (SELECT * FROM t FOR UPDATE) x", "FOR UPDATE"),
    ("SELECT pg_sleep(5)", "pg_sleep"),
    ("SELECT PG_SLEEP (5)", "pg_sleep"),
    ("SELECT pg_sleep/**/(5)", "pg_sleep"),
    ("SELECT pg_sleep -- x\n(5)", "pg_sleep"),
    ("SELECT \"pg_sleep\"(5)", "pg_sleep"),
    ("SELECT pg_catalog.pg_sleep(5)", "pg_sleep"),
    ("SELECT pg_catalog . pg_sleep(5)", "pg_sleep"),
    ("SELECT \"pg_catalog\".\"pg_sleep\"(5)", "pg_sleep"),
    ("SELECT U&\"pg_sl\\0065ep\"(5)", "Unicode"),
    ("SELECT u&\"x\"", "Unicode"),
    ("SELECT 1 FROM t WHERE pg_sleep_for('5 s') IS NULL", "pg_sleep_for"),
    ("SELECT * FROM pg_sleep_until(now())", "pg_sleep_until"),
    ("SELECT pg_advisory_lock(1)", "pg_advisory_lock"),
    ("SELECT pg_try_advisory_xact_lock(1)", "pg_try_advisory"),
    ("SELECT pg_terminate_backend(1)", "pg_terminate_backend"),
    ("SELECT pg_cancel_backend(1)", "pg_cancel_backend"),
    ("SELECT pg_read_file('/etc/passwd')", "pg_read_file"),
    ("SELECT pg_read_binary_file('/etc/passwd')", "pg_read_binary_file"),
    ("SELECT pg_ls_dir('.')", "pg_ls_dir"),
    ("SELECT pg_stat_file('x')", "pg_stat_file"),
    ("SELECT pg_stat_reset()", "pg_stat_reset"),
    ("SELECT pg_stat_statements_reset()", "pg_stat_statements_reset"),
    ("SELECT pg_reload_conf()", "pg_reload_conf"),
    ("SELECT pg_rotate_logfile()", "pg_rotate_logfile"),
    ("SELECT pg_notify('a', 'b')", "pg_notify"),
    ("SELECT pg_switch_wal()", "pg_switch_wal"),
    ("SELECT pg_export_snapshot()", "pg_export_snapshot"),
    ("SELECT pg_logical_emit_message(true, 'a', 'b')", "pg_logical"),
    ("SELECT pg_create_logical_replication_slot('a', 'b')", "pg_create_logical"),
    ("SELECT pg_promote()", "pg_promote"),
    ("SELECT pg_something_of_the_future()", "pg_something"),
    ("SELECT lo_import('/etc/passwd')", "lo_import"),
    ("SELECT lo_export(1, '/tmp/x')", "lo_export"),
    ("SELECT lo_unlink(1)", "lo_unlink"),
    ("SELECT lo_from_bytea(0, 'x')", "lo_from_bytea"),
    ("SELECT lowrite(0, 'x')", "lowrite"),
    ("SELECT nextval('s')", "nextval"),
    ("SELECT NEXTVAL ('s')", "nextval"),
    ("SELECT setval('s', 1)", "setval"),
    ("SELECT set_config('role', 'postgres', false)", "set_config"),
    ("SELECT query_to_xml('DELETE FROM t', true, true, '')", "query_to_xml"),
    ("SELECT query_to_xml_and_xmlschema('x', true, true, '')", "query_to_xml"),
    ("SELECT cursor_to_xml('x', 1, true, true, '')", "cursor_to_xml"),
    ("SELECT * FROM dblink('x', 'DELETE FROM t') AS (a int)", "dblink"),
    ("SELECT dblink_exec('x', 'DELETE FROM t')", "dblink_exec"),
    ("SELECT * FROM crosstab('DELETE FROM t') AS (a int)", "crosstab"),
    ("SELECT http_post('a', 'b', 'c')", "http_post"),
    ("SELECT net.http_get('a')", "http_get"),
    ("SELECT * FROM extensions.http(('GET', 'a', NULL, NULL, NULL)::http_request)", "http()"),
    ("SELECT * FROM ts_stat('SELECT x FROM t')", "ts_stat"),
    ("SELECT txid_current()", "txid_current"),
    ("SELECT gin_clean_pending_list('i')", "gin_clean"),
    ("SELECT brin_summarize_new_values('i')", "brin_summarize"),
    ("EXPLAIN DELETE FROM t", "DELETE"),
    ("EXPLAIN ANALYZE DELETE FROM t", "DELETE"),
    ("EXPLAIN (ANALYZE) UPDATE t SET a = 1", "UPDATE"),
    ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", "INSERT"),
    ("EXPLAIN ANALYZE EXECUTE s", "EXECUTE"),
    ("EXPLAIN CREATE TABLE t AS SELECT 1", "CREATE"),
    ("EXPLAIN (ANALYZE) DECLARE c CURSOR FOR SELECT 1", "DECLARE"),
    ("EXPLAIN", "nothing to explain"),
    ("EXPLAIN ANALYZE", "nothing to explain"),
    ("EXPLAIN EXPLAIN SELECT 1", "EXPLAIN"),
    ("(SHOW ALL)", "SHOW"),
    ("(DELETE FROM t)", "DELETE"),
    ("(WITH x AS (SELECT 1) DELETE FROM t)", "DELETE"),
    ("SELECT 1 /* x", "not closed"),
    ("SELECT 1 /* /* x */", "not closed"),
    ("SELECT 'x", "not closed"),
    ("SELECT 'x''", "not closed"),
    ("SELECT E'x\\'", "not closed"),
    ("SELECT \"x", "not closed"),
    ("SELECT $$x", "not closed"),
    ("SELECT $a$x$b$", "not closed"),
    ("SELECT U&'x", "not closed"),
    ("SELECT E'a'\n'\\'; DROP TABLE t; --'", "in several parts"),
    ("SELECT E'a' -- x\n 'b'", "in several parts"),
    ("SELECT \u{0}1", "control"),
    ("SELECT 1 \u{7f}", "control"),
    ("SELECT 1 \u{b}", "control"),
    ("SELECT \\'; DROP TABLE t; -- '", "backslash"),
    ("SELECT 1 \\g", "backslash"),
    ("SELECT $1", "parameters are not supported"),
    ("SELECT * FROM t WHERE a = $12", "parameters are not supported"),
    ("SELECT $a", "parameters are not supported"),
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
fn the_mode_of_the_session_decides_where_a_text_ends() {
    // With the standard's texts this one ends before the semicolon.
    let sql = "SELECT 'a\\'; DROP TABLE t; -- '";
    assert!(check(sql, OLD).is_ok());
    assert_eq!(check(sql, PLAIN).unwrap_err(), "more than one statement");
    let sql = "SELECT 'a\\'";
    assert!(check(sql, PLAIN).is_ok());
    assert!(check(sql, OLD).is_err());
    // Dollars and double quotes have no escapes in any mode.
    for modes in PostgresModes::ALL {
        assert_eq!(check("SELECT $$a\\$$; DROP TABLE t; --$$", modes).unwrap_err(), "more than one statement");
        assert_eq!(check("SELECT \"a\\\"; DROP TABLE t; --\"", modes).unwrap_err(), "more than one statement");
    }
    assert!(check("SELECT U&'a'", OLD).is_err());
    // What continues such a text is read without escapes in any mode.
    for sql in ["SELECT X'1F'\n'\\'; DROP TABLE t; --'", "SELECT B'1' -- x\n'\\'; DROP TABLE t; --'"] {
        for modes in PostgresModes::ALL {
            assert_eq!(check(sql, modes).unwrap_err(), "a string in several parts", "{sql}");
        }
    }
}

#[test]
fn what_stands_around_the_statement_is_not_part_of_its_text() {
    for (sql, text) in [
        (" SELECT 1 ; ", "SELECT 1"),
        ("-- x\nSELECT 1 -- y", "SELECT 1"),
        ("SELECT 1 /* y */ ;", "SELECT 1"),
        ("/* a /* b */ */ SELECT $$ $$", "SELECT $$ $$"),
    ] {
        assert_eq!(check(sql, PLAIN).unwrap().text(), text);
    }
    assert_eq!(check("SELECT 1", PLAIN).unwrap().kind(), ReadingKind::Query);
    assert_eq!(check("SHOW ALL", PLAIN).unwrap().kind(), ReadingKind::Listing);
}

#[test]
fn a_refusal_says_where_and_what_to_do() {
    let refusal = ReadingStatement::parse("SELECT a INTO x FROM t", SqlDialect::Postgres(PLAIN)).unwrap_err();
    let problem = refusal.into_problem("/query");
    assert_eq!(problem.offset, Some(9));
    assert_eq!(
        problem.to_string(),
        "query: `INTO` is not allowed: an extractor only reads (remove INTO: the rows go to the step's table)"
    );
}

/// Pieces of statements, in any order.
fn soup() -> impl Strategy<Value = String> {
    const PIECES: [&str; 58] = [
        "SELECT",
        "1",
        "*",
        "FROM",
        "t",
        "INTO",
        "DELETE",
        "UPDATE",
        "INSERT",
        "MERGE",
        "(",
        ")",
        ",",
        ";",
        ".",
        "--",
        "\n",
        "\r",
        "/*",
        "*/",
        "'",
        "E'",
        "e'",
        "U&'",
        "U&\"",
        "B'",
        "\"",
        "$$",
        "$a$",
        "$",
        "$1",
        "\\",
        "\\'",
        "''",
        "FOR",
        "SHARE",
        "NO",
        "KEY",
        "ONLY",
        "pg_sleep",
        "lo_import",
        "WITH",
        "AS",
        "UNION",
        "TABLE",
        "VALUES",
        "SHOW",
        "EXPLAIN",
        "ANALYZE",
        " ",
        "ů",
        "\u{0}",
        "::",
        "?",
        "SET",
        "a",
        "AND",
        "x",
    ];
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..14)
        .prop_flat_map(|pieces| {
            let length = pieces.len();
            (Just(pieces), proptest::collection::vec(any::<bool>(), length))
        })
        .prop_map(|(pieces, spaces)| {
            pieces.iter().zip(spaces).map(|(piece, space)| format!("{piece}{}", if space { " " } else { "" })).collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever is written, the guard answers, its text is a part of what it was given, and judging it again gives the
    /// same.
    #[test]
    fn any_text_is_judged_without_a_panic(sql in soup(), standard_conforming_strings: bool) {
        let modes = PostgresModes { standard_conforming_strings };
        if let Ok(statement) = check(&sql, modes) {
            prop_assert!(sql.contains(statement.text()));
            let again = check(statement.text(), modes).unwrap();
            prop_assert_eq!(again.text(), statement.text());
            prop_assert!(!statement.text().ends_with(';'));
        }
    }

    #[test]
    fn any_characters_are_judged_without_a_panic(sql in "\\PC*") {
        let _ = check(&sql, PLAIN);
    }

    /// What stands in a text never changes the judgement.
    #[test]
    fn a_text_cannot_end_the_statement(text in "[a-zA-Z0-9 ;'\\\\$\"\\-/*\n]*") {
        let quoted = format!("SELECT '{}' AS a", text.replace('\'', "''"));
        prop_assert!(check(&quoted, PLAIN).is_ok(), "{quoted}");
        let escaped = format!("SELECT E'{}' AS a", text.replace('\\', "\\\\").replace('\'', "''"));
        prop_assert!(check(&escaped, PLAIN).is_ok(), "{escaped}");
        prop_assert!(check(&escaped, OLD).is_ok(), "{escaped}");
    }
}
