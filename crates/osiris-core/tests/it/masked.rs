//! No error of the engine shows a value of a cell: whatever SQL does with it.

use std::collections::BTreeSet;

use osiris_core::store::{EngineError, SqlScript, statement_error, store_error};
use osiris_core::{Error, Store};

use crate::memory_store;

/// A value of each type and of each kind of text, all with something that is looked for in messages.
const VALUES: &[(&str, &str)] = &[
    ("a_text", "'hidden'"),
    ("quoted", "'hid''\"den hidden: (hidden'"),
    ("zone", "'Mars/hidden'"),
    ("pattern", "'[hidden'"),
    ("escape", "'hidden\\Z\\8'"),
    ("format", "'%hidden {} %d {:d} {'"),
    ("path", "'$hidden'"),
    ("malformed", "'{\"hidden\": '"),
    ("object", "'{\"hidden\": 4111111111111111}'::JSON"),
    ("list_of_json", "'[1, \"hidden\"]'::JSON"),
    ("number", "4111111111111111::BIGINT"),
    ("negative", "-4111111111111111::BIGINT"),
    ("huge", "170141183460469231731687303715884105727::HUGEINT - 4111111111111111"),
    ("amount", "41111111111111111111.4111::DECIMAL(38,10)"),
    ("float", "4.1111111e300::DOUBLE"),
    ("day", "DATE '9111-11-11'"),
    ("last_day", "DATE '5881580-07-10'"),
    ("moment", "TIMESTAMP '294247-01-10 04:00:54'"),
    ("span", "INTERVAL '411111 months'"),
    ("list", "[4111111111111111, 5, NULL]"),
    ("list_of_text", "['hidden', '(hidden']"),
    ("struct", "{'a': 'hidden', 'b': 4111111111111111}"),
    ("pairs", "[{'key': 'hidden', 'value': 1}, {'key': 'hidden', 'value': 2}]"),
    ("map", "MAP {'hidden': 4111111111111111}"),
    ("bytes", "'hidden\\xAA'::BLOB"),
    ("uuid", "'41111111-1111-1111-1111-111111111111'::UUID"),
    ("bits", "'1011101011011'::BIT"),
    ("variant", "'{\"hidden\": 1}'::JSON::VARIANT"),
    ("union", "union_value(hidden := 4111111111111111)"),
];

/// What no message may have in it.
const HIDDEN: [&str; 7] = ["hidden", "41111", "11111", "5881580", "294247", "170141183", "10111010"];

/// The values that are tried as a second argument.
const SECOND: [&str; 7] = ["a_text", "pattern", "path", "number", "negative", "day", "list"];

const TYPES: &[&str] = &[
    "BOOLEAN",
    "TINYINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(4,2)",
    "DECIMAL(38,30)",
    "VARCHAR",
    "BLOB",
    "BIT",
    "DATE",
    "TIME",
    "TIMETZ",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "INTERVAL",
    "UUID",
    "JSON",
    "INTEGER[]",
    "VARCHAR[]",
    "INTEGER[2]",
    "STRUCT(a INTEGER)",
    "STRUCT(a INTEGER, b INTEGER)",
    "MAP(VARCHAR, INTEGER)",
    "UNION(a INTEGER)",
    "ENUM('a', 'b')",
    "BIGNUM",
    "VARIANT",
];

/// A store with the values in one row of the table `cells`.
async fn cells() -> (Store, tempfile::TempDir) {
    let (store, directory) = memory_store();
    let values: Vec<String> = VALUES.iter().map(|(name, value)| format!("{value} AS \"{name}\"")).collect();
    // Two rows, so that nothing is a constant.
    let create = format!("CREATE TABLE main.cells AS SELECT {} FROM range(2)", values.join(", "));
    store.call(move |connection| run(connection, &create)).await.unwrap();
    (store, directory)
}

fn run(connection: &duckdb::Connection, sql: &str) -> Result<(), Error> {
    connection.execute_batch(sql).map_err(|error| statement_error(error, "the query failed", sql))
}

/// Runs a query and asserts that its error, if it has one, shows nothing. Returns the class.
#[track_caller]
fn shows_nothing(connection: &duckdb::Connection, sql: &str) -> Option<String> {
    let error = run(connection, sql).err()?;
    let engine = std::error::Error::source(&error).unwrap().downcast_ref::<EngineError>().unwrap();
    // These are about the SQL, which has the values in it here.
    if !matches!(&*engine.class, "Binder" | "Catalog" | "Parser" | "Syntax") {
        let shown = format!("{error:?} {}", error.report());
        let found = HIDDEN.iter().find(|hidden| shown.contains(*hidden));
        assert!(found.is_none(), "{sql}: {shown}");
    }
    Some(engine.class.clone())
}

#[tokio::test]
async fn no_cast_shows_what_it_cannot_cast() {
    let (store, _directory) = cells().await;
    let classes = store.call(|connection| {
        let casts = VALUES.iter().flat_map(|(name, _)| TYPES.iter().map(move |to| (name, to)));
        let failed = casts
            .filter_map(|(name, to)| shows_nothing(connection, &format!("SELECT CAST(\"{name}\" AS {to}) FROM cells")));
        Ok(failed.collect::<Vec<_>>())
    });
    let classes = classes.await.unwrap();
    assert!(classes.len() > 200, "{} casts failed", classes.len());
    assert!(classes.iter().any(|class| class == "Conversion"), "{classes:?}");
}

/// The functions that a query may call, with the numbers of arguments they take; none for any number.
fn functions(connection: &duckdb::Connection) -> Vec<(String, Option<usize>)> {
    let sql = "SELECT DISTINCT function_name, CASE WHEN varargs IS NULL THEN len(parameters) END
               FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro') ORDER BY ALL";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let is_word = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let allowed = |name: &str| SqlScript::parse(&format!("SELECT {name}(a) FROM t")).is_ok();
    rows.map(Result::unwrap).filter(|(name, _): &(String, _)| is_word(name) && allowed(name)).collect()
}

#[tokio::test]
async fn no_function_shows_what_it_is_given() {
    let (store, _directory) = cells().await;
    let failed = store.call(|connection| {
        let mut failed = BTreeSet::new();
        for (function, arguments) in functions(connection) {
            for (first, _) in VALUES {
                if arguments.is_none_or(|count| count == 1) {
                    let sql = format!("SELECT {function}(\"{first}\") FROM cells");
                    failed.extend(shows_nothing(connection, &sql).map(|class| (function.clone(), class)));
                }
                let seconds = if arguments.is_none_or(|count| count == 2) { &SECOND[..] } else { &[] };
                for second in seconds {
                    let sql = format!("SELECT {function}(\"{first}\", \"{second}\") FROM cells");
                    failed.extend(shows_nothing(connection, &sql).map(|class| (function.clone(), class)));
                }
            }
        }
        Ok(failed)
    });
    let failed = failed.await.unwrap();
    let classes: BTreeSet<&str> = failed.iter().map(|(_, class)| class.as_str()).collect();
    for class in ["Conversion", "Invalid Input", "Not implemented", "Out of Range"] {
        assert!(classes.contains(class), "{classes:?}");
    }
    assert!(failed.len() > 200, "{} functions failed", failed.len());
}

#[tokio::test]
async fn no_operator_and_no_constraint_shows_a_cell() {
    let (store, _directory) = cells().await;
    let check = store.call(|connection| {
        for operator in [
            "+",
            "-",
            "*",
            "/",
            "//",
            "%",
            "**",
            "<<",
            ">>",
            "&",
            "|",
            "^",
            "~",
            "||",
            "->",
            "->>",
            "LIKE",
            "SIMILAR TO",
            "AT TIME ZONE",
        ] {
            for (first, _) in VALUES {
                for (second, _) in VALUES {
                    shows_nothing(connection, &format!("SELECT \"{first}\" {operator} \"{second}\" FROM cells"));
                }
            }
        }
        for (first, _) in VALUES {
            for sql in [
                "SELECT -(\"V\") FROM cells",
                "SELECT \"V\"[\"V\"] FROM cells",
                "SELECT [\"V\"][number] FROM cells",
                "SELECT 'a' LIKE 'a' ESCAPE \"V\" FROM cells",
                "SELECT substring(\"V\", number, number) FROM cells",
                "SELECT regexp_replace(\"V\", \"V\", \"V\") FROM cells",
                "SELECT strptime(\"V\", '%Y') FROM cells",
                "SELECT strptime(\"V\", ['%Y', '%d']) FROM cells",
                "SELECT date_diff(\"V\", day, day) FROM cells",
                "SELECT printf(\"V\", \"V\", \"V\") FROM cells",
                "SELECT make_date(number, number, number) FROM cells",
                "SELECT error(\"V\") FROM cells",
                "SELECT error('for ' || \"V\"::VARCHAR) FROM cells",
                "SELECT assert_true(false, \"V\"::VARCHAR) FROM cells",
                "SELECT (SELECT \"V\" FROM cells)",
                "SELECT sum(\"V\" * number * number) FROM cells",
                "SELECT list_aggregate([\"V\"], 'sum') FROM cells",
                "CREATE TEMP TABLE k (a VARCHAR PRIMARY KEY); INSERT INTO k SELECT \"V\" FROM cells",
                "CREATE TEMP TABLE c (a VARCHAR CHECK (length(a) < 3)); INSERT INTO c SELECT \"V\" FROM cells",
                "CREATE TEMP TABLE n (a TINYINT); INSERT INTO n SELECT \"V\" FROM cells",
            ] {
                shows_nothing(connection, &sql.replace("\"V\"", &format!("\"{first}\"")));
                let _ =
                    connection.execute_batch("DROP TABLE IF EXISTS k; DROP TABLE IF EXISTS c; DROP TABLE IF EXISTS n");
            }
        }
        Ok(())
    });
    check.await.unwrap();
}

#[tokio::test]
async fn what_the_user_has_written_and_the_words_of_an_error_stay() {
    let (store, _directory) = cells().await;
    let messages = store.call(|connection| {
        let message = |sql: &str| run(connection, sql).unwrap_err().message().to_owned();
        Ok([
            message("SELECT error('no orders today') FROM cells"),
            message("SELECT error('nothing for ' || a_text) FROM cells"),
            message("SELECT number::DECIMAL(4,2) FROM cells"),
            message("SELECT number * number FROM cells"),
            message("SELECT a_text ~ pattern FROM cells"),
        ])
    });
    let expected = [
        "no orders today",
        "nothing for ***",
        "Could not cast value *** to DECIMAL(4,2) when casting from source column number",
        "Overflow in multiplication of INT64 ***",
        "missing ]: ***",
    ];
    assert_eq!(messages.await.unwrap(), expected.map(|message| format!("the query failed: {message}")));
}

#[tokio::test]
async fn no_error_of_the_engine_shows_a_cell() {
    const CELL: &str = r#"('x"hidden'' (hidden' || chr(10) || '"hid: hidden' || i)"#;
    let (store, _directory) = memory_store();
    let mut classes = BTreeSet::new();
    for expression in [
        "CAST(CELL AS INTEGER)",
        "CAST(CELL AS INTEGER[])",
        "CAST(CELL AS UUID)",
        "CAST(CELL AS DATE)",
        "CAST(CELL AS TIMESTAMP)",
        "CAST(CELL AS ENUM('a', 'b'))",
        "CAST(CELL || '\\x' AS BLOB)",
        "CAST(CELL AS JSON)",
        r#"CAST('["hidden\ud83d' || i || '"]' AS JSON)"#,
        r#"CAST(CAST('{"a": "\"hidden' || i || '"}' AS JSON) AS INTEGER)"#,
        "CAST(7000000.56 + i AS DECIMAL(4,2))",
        "CAST(7000000 + i AS TINYINT)",
        "strptime(CELL, '%Y')",
        "regexp_matches('a', '(?P<' || CELL)",
        "regexp_matches('a', '(' || CELL)",
        r#"json_extract('["hidden\ud83d' || i || '"]', '$[0]')"#,
        r#"from_json_strict('{"b": "hidden' || i || '"}', '{"a": "INTEGER"}')"#,
        "(7000000::INTEGER + i::INTEGER) * 100000::INTEGER",
        "make_date(2020, 7000000 + i::INTEGER, 1)",
        "from_base64(CELL)",
        "date_part(CELL, DATE '2020-01-01')",
    ] {
        let select = format!("SELECT {} AS a FROM range(3) t(i)", expression.replace("CELL", CELL));
        let failed = store.call(move |connection| {
            let ran = connection.execute_batch(&select);
            ran.map_err(|error| store_error(error, "the query failed"))
        });
        let error = failed.await.expect_err(expression);
        let shown = format!("{error:?} {}", error.report());
        assert!(!shown.contains("hidden") && !shown.contains("7000000"), "{expression}: {shown}");
        let source = std::error::Error::source(&error).unwrap();
        classes.insert(source.downcast_ref::<EngineError>().unwrap().class.clone());
    }
    let key = format!("INSERT INTO k SELECT {CELL} FROM range(1) t(i);").repeat(2);
    let failed = store.call(move |connection| {
        let ran = connection.execute_batch(&format!("CREATE TEMP TABLE k (a VARCHAR PRIMARY KEY); {key}"));
        ran.map_err(|error| store_error(error, "the query failed"))
    });
    let error = failed.await.unwrap_err();
    assert!(error.message().contains("constraint") && !format!("{error:?}").contains("hidden"), "{error:?}");
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), ["Conversion", "Invalid Input", "Out of Range"]);
}
