use osiris_core::store::{SelectStatement, SqlExpression, SqlScript};
use osiris_core::{ErrorKind, Result, Store, StoreKind, StoreOptions};

/// Runs `sql` in a store that may reach only `allowed`.
async fn run(sql: String) -> Result<()> {
    let directory = tempfile::tempdir().unwrap();
    let allowed = directory.path().join("allowed");
    std::fs::create_dir_all(&allowed).unwrap();
    std::fs::write(allowed.join("a.csv"), "a\n1\n").unwrap();
    std::fs::write(directory.path().join("secret.csv"), "a\n1\n").unwrap();
    let options = StoreOptions::new(StoreKind::Memory, directory.path().join("tmp")).with_directories([allowed]);
    let store = Store::open(&options).unwrap();
    let sql = sql.replace("DIR", &directory.path().display().to_string());
    store
        .call(move |connection| {
            connection.execute_batch(&sql).map_err(|error| osiris_core::store::store_error(error, "refused"))
        })
        .await
}

#[tokio::test]
async fn files_of_the_plan_can_be_read_and_others_cannot() {
    run("SELECT * FROM read_csv('DIR/allowed/a.csv')".into()).await.unwrap();
    for outside in ["DIR/secret.csv", "DIR/allowed/../secret.csv", "/etc/passwd"] {
        let error = run(format!("SELECT * FROM read_csv('{outside}')")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{outside}: {error:?}");
    }
}

#[tokio::test]
async fn the_engine_is_locked() {
    for sql in [
        "ATTACH 'DIR/other.duckdb' AS other",
        "COPY (SELECT 1) TO 'DIR/out.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '1GB'",
        "SET allowed_directories = ['/']",
        "RESET lock_configuration",
        "SELECT * FROM read_csv('https://example.com/a.csv')",
    ] {
        assert!(run(sql.to_owned()).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn s27_a_file_is_reached_by_its_exact_name_and_nothing_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["a.csv", "a[1].csv", "a1.csv", ".env"] {
        std::fs::write(at(name), "a\n1\n").unwrap();
    }
    let files = [at("a.csv"), at("a[1].csv"), at("later.csv")];
    let store = Store::open(&StoreOptions::new(StoreKind::Memory, at("tmp")).with_files(files.clone())).unwrap();
    std::fs::write(at("later.csv"), "a\n1\n").unwrap();
    let read = |name: &str| {
        let (store, sql) = (store.clone(), format!("SELECT * FROM read_csv('{}')", at(name).display()));
        async move {
            store
                .call(move |connection| {
                    let read = connection.execute_batch(&sql);
                    read.map_err(|error| osiris_core::store::store_error(error, "refused"))
                })
                .await
        }
    };
    for name in ["a.csv", "later.csv"] {
        read(name).await.unwrap_or_else(|error| panic!("{name}: {}", error.report()));
        assert!(store.reaches(&at(name)), "{name}");
    }
    // A name that is a pattern for DuckDB is not that of one file.
    for name in ["a1.csv", ".env", "*.csv", ".", "a[0-9].csv", "a[1].csv"] {
        assert_eq!(read(name).await.unwrap_err().kind(), ErrorKind::Permission, "{name}");
        assert!(!store.reaches(&at(name)), "{name}");
    }
}

#[test]
fn s24_a_condition_is_one_expression_over_a_row() {
    for text in [
        "year >= 2020 AND country = 'CZ'",
        "a IN (1, 2) OR NOT (b IS NULL)",
        "name LIKE 'a!%%' ESCAPE '!' -- the end",
        "d >= DATE '2020-01-01' AND d < now()",
        "list_contains(l, 1) AND len(list_filter(l, lambda x: x > 1)) > 0",
        "[x + 1 for x in l if x > 1] = [2]",
        "CASE WHEN a THEN b ELSE c END",
        "s.a.b = ') OR (' AND /* ) */ TRUE",
        "\"we\"\"ird\" = 'o''k'",
        "name.upper() = 'A'",
        "try_cast(a AS DECIMAL(10, 2)) BETWEEN 1 AND 2",
        "x::STRUCT(a INTEGER).a = 1",
    ] {
        let parsed = SqlExpression::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.report()));
        SelectStatement::parse(&format!("SELECT * FROM t WHERE {} LIMIT 1", parsed.sql())).unwrap();
    }
}

#[test]
fn s24_whatever_is_more_than_a_condition_is_refused() {
    for text in [
        "true) ; COPY (SELECT 1) TO 'x' ; SELECT (true",
        "true); COMMIT; DELETE FROM steps.other; BEGIN; SELECT * FROM x WHERE (true",
        "true) OR (false",
        "true) UNION ALL SELECT * FROM steps.b WHERE (true",
        "true) GROUP BY a HAVING (true",
        "true) ORDER BY (a",
        "true) LIMIT (1",
        "true) QUALIFY (true",
        "true) USING SAMPLE (10",
        "true) WINDOW w AS (PARTITION BY a",
        "true GROUP BY a",
        "true; SELECT 1",
        "true;",
        "a IN (SELECT 1)",
        "EXISTS (FROM steps.b)",
        "(SELECT content FROM read_text('.env')) IS NOT NULL",
        "(WITH x AS (DELETE FROM steps.b RETURNING *) SELECT count(*) FROM x) > 0",
        "count(*) > 1",
        "row_number() OVER () = 1",
        "COLUMNS(*) > 1",
        "*",
        "#1 = 1",
        "a = $1",
        "a = ?",
        "getenv('HOME') = 'x'",
        "current_setting('memory_limit') = 'x'",
        "nextval('s') = 1",
        "system.main.query('x') = 1",
        "write_log('x') IS NULL",
        "no_such_function(a)",
        "a = 'x",
        "/* true",
        "a = 1 --\n) OR (1 = 1",
        "",
        " ",
        "-- nothing",
        "a = 1\0",
    ] {
        let error = SqlExpression::parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(error.kind(), ErrorKind::Validation, "{text}");
        let offset =
            error.context().iter().find(|(key, _)| *key == "offset").map(|(_, at)| at.parse::<usize>().unwrap());
        assert!(offset.is_some_and(|offset| offset <= text.len()), "{text}: {}", error.report());
    }
    let error = SqlExpression::parse("a > 1 AND query('x')").unwrap_err();
    assert_eq!(error.context(), [("offset", "10".to_owned())]);
}

#[tokio::test]
async fn long_sql_is_no_deeper_than_what_can_be_checked() {
    let (_directory, store) = in_memory();
    let union = vec!["SELECT 1 AS a"; 300].join(" UNION ALL ");
    let concat = format!("SELECT {} AS a", vec!["'x'"; 200].join(" || "));
    SqlScript::parse(&union).unwrap();
    SqlScript::parse(&concat).unwrap();
    SqlExpression::parse(&format!("{} > 1", vec!["a"; 200].join(" + "))).unwrap();
    assert!(SqlScript::parse(&format!("SELECT {}1", "(SELECT ".repeat(20))).is_err());
    let sink = store.sink("long").await.unwrap();
    sink.call(move |tx| tx.create_table_as(&union, &|_| false)).await.unwrap();
    assert_eq!(sink.finish().await.unwrap().rows(), 300);
}

/// Runs `work` in the transaction of a new sink of a store with the tables `steps.a` and `steps.b` of three rows, and
/// commits.
async fn commit_with(
    store: &Store,
    work: impl FnOnce(&mut osiris_core::store::StoreTransaction<'_>) -> Result<()> + Send + 'static,
) -> Result<()> {
    for step in ["a", "b"] {
        let sink = store.sink(step).await.unwrap();
        sink.call(|tx| tx.create_table_as("SELECT i, [i] AS l FROM range(3) r(i)", &|_| false)).await.unwrap();
        sink.finish().await.unwrap();
    }
    let sink = store.sink("c").await.unwrap();
    sink.call(work).await?;
    sink.call(|tx| tx.create_table_as("SELECT 1 AS x", &|_| false)).await?;
    sink.finish().await.map(drop)
}

fn in_memory() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(StoreKind::Memory, directory.path().join("tmp"))).unwrap();
    (directory, store)
}

#[tokio::test]
async fn s24_text_of_several_statements_is_not_described_and_makes_no_table() {
    for sql in [
        "SELECT 1 AS x; DELETE FROM steps.a; SELECT 2",
        "SELECT 1 AS x); DELETE FROM steps.a; SELECT * FROM (SELECT 2",
        "DELETE FROM steps.a",
        "WITH x AS (DELETE FROM steps.a RETURNING *) FROM x",
    ] {
        for describes in [true, false] {
            let (_directory, store) = in_memory();
            let error = commit_with(&store, move |tx| {
                if describes { tx.describe(sql).map(drop) } else { tx.create_table_as(sql, &|_| false).map(drop) }
            });
            assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Validation, "{sql}");
            let rows = store
                .call(|c| Ok(c.query_row("SELECT count(*) FROM steps.a", [], |row| row.get::<_, u64>(0)).unwrap()));
            assert_eq!(rows.await.unwrap(), 3, "{sql}");
        }
    }
}

#[tokio::test]
async fn s25_a_step_that_changes_the_table_of_another_does_not_commit() {
    // A function that runs SQL over a connection of its own, which no rollback undoes.
    const PAST: &str = "WITH x AS (UPDATE steps.a SET i = 7 RETURNING *) SELECT count(*) FROM x";
    const PAST_LIST: &str = "WITH x AS (DELETE FROM osiris.tables RETURNING *) SELECT count(*) FROM x";
    for sql in [
        "UPDATE steps.a SET i = 7 WHERE i = 1",
        "UPDATE steps.a SET l = [7]",
        "DELETE FROM steps.a WHERE i = 2",
        "INSERT INTO steps.a VALUES (9, [9])",
        "DELETE FROM steps.a WHERE i = 2; INSERT INTO steps.a VALUES (2, [2])",
        "DROP TABLE steps.a",
        "DROP TABLE steps.a; CREATE TABLE steps.a AS SELECT i, [i] AS l FROM range(1, 4) r(i)",
        "UPDATE osiris.tables SET rows = 4 WHERE step = 'a'",
        "DELETE FROM osiris.tables WHERE step = 'b'",
        "INSERT INTO osiris.tables VALUES ('z', 1, '[]', '{}')",
        PAST,
        PAST_LIST,
    ] {
        let (_directory, store) = in_memory();
        let changed = commit_with(&store, move |tx| {
            let run = |sql: &str| {
                tx.connection().execute_batch(sql).map_err(|error| osiris_core::store::store_error(error, "refused"))
            };
            if [PAST, PAST_LIST].contains(&sql) {
                let plan = tx.connection().query_row("SELECT json_serialize_sql(?)::VARCHAR", [sql], |row| row.get(0));
                let plan: String = plan.unwrap();
                return run(&format!("FROM json_execute_serialized_sql('{}')", plan.replace('\'', "''")));
            }
            run(sql)
        })
        .await;
        let error = changed.err().unwrap_or_else(|| panic!("committed: {sql}"));
        assert_eq!(error.kind(), ErrorKind::Integrity, "{sql}: {}", error.report());
        assert!(store.table("c").await.unwrap().is_none(), "{sql}");
    }
    let (_directory, store) = in_memory();
    commit_with(&store, |_| Ok(())).await.unwrap();
}

/// Characters in places where two tokenizers may differ.
fn templates(c: char) -> [String; 8] {
    [
        format!("CREATE TEMP TABLE x{c}AS{c}DELETE FROM t RETURNING *; SELECT 1"),
        format!("CREATE TEMP TABLE x AS{c}DELETE FROM t RETURNING * AS SELECT 1; SELECT 1"),
        format!("CREATE TEMP TABLE{c}x AS SELECT 1{c}; DELETE FROM t; SELECT 1"),
        format!("CREATE TEMP VIEW x{c}(a) AS SELECT 1; SELECT * FROM x"),
        format!("CREATE TEMP MACRO f(a{c}:= 1) AS a; SELECT f()"),
        format!("SELECT 1{c}; DELETE FROM t; SELECT 2"),
        format!("SELECT '{c}'; DELETE FROM t; --'"),
        format!("SELECT 1 --{c}; DELETE FROM t"),
    ]
}

/// The characters that are no part of a name for DuckDB: all the others are letters for it, as they are for the
/// tokenizer that cuts scripts into pieces, to which everything beyond ASCII is a letter.
///
/// Of all 1,112,064 characters DuckDB 2.0.0 takes 18 beyond ASCII for no letter, none of them above U+FEFF. This looks
/// at all up to U+3100 and in the last part of the first plane, and at one in a hundred of the others.
fn no_letters(engine: &duckdb::Connection) -> Vec<char> {
    let sql = r#"SELECT c::INTEGER FROM range(1, 1114112) r(c), LATERAL (SELECT 'a' || chr(c::INTEGER) || 'b') n(name)
         WHERE (c < 12544 OR c BETWEEN 65024 AND 65535 OR c % 101 = 0) AND c NOT BETWEEN 55296 AND 57343
         AND NOT contains(json_serialize_sql('SELECT ' || name)::VARCHAR, '"column_names":["' || name || '"]') ORDER BY c"#;
    let mut statement = engine.prepare(sql).unwrap();
    let codes = statement.query_map([], |row| row.get::<_, u32>(0)).unwrap();
    ['\0'].into_iter().chain(codes.map(|code| char::from_u32(code.unwrap()).unwrap())).collect()
}

#[test]
fn s26_no_character_hides_a_statement() {
    let engine = duckdb::Connection::open_in_memory().unwrap();
    engine.execute_batch("CREATE TABLE t AS SELECT 1 AS a").unwrap();
    let mut characters = no_letters(&engine);
    assert!(characters.contains(&'\u{a0}') && characters.len() > 70, "{characters:?}");
    characters.extend(
        ('a'..='z').chain(['A', '_', '0', '\u{85}', '\u{2028}', '\u{180e}', 'é', 'ſ', 'İ', '日', '🦆', '\u{301}']),
    );
    let mut accepted = 0;
    for c in characters {
        for sql in templates(c) {
            let Ok(script) = SqlScript::parse(&sql) else { continue };
            accepted += 1;
            for definition in script.setup() {
                let _ = engine.execute_batch(definition.sql());
            }
            let select = script.select().text();
            let _ = engine.execute_batch(&format!("CREATE OR REPLACE TEMP TABLE result AS FROM ({select}\n)"));
            let rows: u64 = engine.query_row("SELECT count(*) FROM main.t", [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 1, "{c:?} in {sql}");
            engine
                .execute_batch("DROP VIEW IF EXISTS temp.x")
                .or_else(|_| engine.execute_batch("DROP TABLE temp.x"))
                .unwrap();
        }
    }
    assert!(accepted > 50, "{accepted}");
}

#[test]
fn s26_a_definition_is_put_together_from_what_was_checked() {
    let rebuilt = |sql: &str| SqlScript::parse(sql).unwrap().setup()[0].sql().to_owned();
    assert_eq!(
        rebuilt("create temp table x as select 1 -- c\n; from x"),
        "CREATE TEMP TABLE \"x\" AS (select 1 -- c\n\n)"
    );
    assert_eq!(
        rebuilt("CREATE OR REPLACE TEMPORARY VIEW \"a\"\"b\" (c, \"d\") AS VALUES (1, 2); SELECT 1"),
        "CREATE OR REPLACE TEMP VIEW \"a\"\"b\" (\"c\", \"d\") AS (VALUES (1, 2)\n)"
    );
    assert_eq!(
        rebuilt("CREATE TEMP FUNCTION f(a, b := 1 + 1) AS a + b; SELECT f(1)"),
        "CREATE TEMP MACRO \"f\"(\"a\", \"b\" := ((1 + 1))) AS ((a + b))"
    );
    assert_eq!(
        rebuilt("CREATE TEMP MACRO f(a) AS TABLE SELECT a; FROM f(1)"),
        "CREATE TEMP MACRO \"f\"(\"a\") AS TABLE (SELECT a\n)"
    );
    for refused in [
        "CREATE TEMP MACRO f() AS 1 FROM t; SELECT 1",
        "CREATE TEMP MACRO f(a := (SELECT 1) AS b) AS 1; SELECT 1",
        "CREATE TEMP MACRO read_text(a) AS 1; SELECT 1",
        "CREATE TEMP TABLE x AS SELECT 1 WITH NO DATA; SELECT 1",
        "CREATE TEMP TABLE x AS EXECUTE y; SELECT 1",
        "CREATE TEMP TABLE s.x AS SELECT 1; SELECT 1",
        "CREATE TEMP TABLE x (a INTEGER) AS SELECT 1; SELECT 1",
        "CREATE TEMP SEQUENCE x; SELECT 1",
        "CREATE TEMP TABLE x AS (SELECT 1; SELECT 1",
    ] {
        assert!(SqlScript::parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn s25_names_of_a_with_count_only_where_they_are_defined() {
    let tables = |sql: &str| {
        let script = SqlScript::parse(sql).unwrap_or_else(|error| panic!("{sql}: {}", error.report()));
        script.tables().iter().map(|table| table.name.clone()).collect::<Vec<_>>()
    };
    for (sql, named) in [
        ("SELECT * FROM \".env\", (WITH \".env\" AS (SELECT 1) FROM \".env\")", vec![".env"]),
        ("WITH \"x.csv\" AS (FROM \"x.csv\") FROM \"x.csv\"", vec!["x.csv"]),
        ("WITH a AS (FROM b), b AS (SELECT 1) FROM a, b", vec!["b"]),
        ("WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) FROM r", vec![]),
        ("WITH a AS (SELECT 1) SELECT (SELECT count(*) FROM A), (WITH b AS (FROM a) FROM b)", vec![]),
        ("FROM 'x.parquet'", vec!["x.parquet"]),
        ("DESCRIBE t", vec!["t"]),
        ("SUMMARIZE t", vec!["t"]),
        ("PIVOT t ON a IN (1, 2) USING sum(b)", vec!["t"]),
        ("UNPIVOT t ON a, b INTO NAME n VALUE v", vec!["t"]),
        ("CREATE TEMP TABLE x AS SELECT 1; FROM steps.x", vec!["x"]),
        ("CREATE TEMP MACRO f() AS TABLE SELECT 1; FROM f", vec!["f"]),
    ] {
        assert_eq!(tables(sql), named, "{sql}");
    }
}
