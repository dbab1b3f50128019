//! Whatever the writer writes, the extractor reads back.

use osiris_testkit::Bench;
use proptest::prelude::*;
use serde_json::json;

/// A value of a type in SQL, made of a number; some of them are NULL.
const VALUES: [(&str, &str); 25] = [
    ("BOOLEAN", "s % 2 = 0"),
    ("TINYINT", "(s % 256) - 128"),
    ("UBIGINT", "hash(s)"),
    ("HUGEINT", "-(hash(s)::HUGEINT * (hash(s + 1) // 4)::HUGEINT)"),
    ("UHUGEINT", "hash(s)::UHUGEINT * hash(s + 1)::UHUGEINT"),
    ("FLOAT", "(hash(s) % 1000000)::FLOAT / 7"),
    (
        "DOUBLE",
        "CASE s % 5 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN '-inf'::DOUBLE WHEN 2 THEN '-0.0'::DOUBLE ELSE hash(s)::DOUBLE / 7 END",
    ),
    ("DECIMAL(38,9)", "(hash(s)::DECIMAL(38,9) / 1000)::DECIMAL(38,9)"),
    ("VARCHAR", "chr((s % 50000 + 1)::INTEGER) || '''\"' || chr(0)"),
    ("JSON", "'{\"a\": ' || s || '.10}'"),
    ("BLOB", "unhex(md5(s::VARCHAR))"),
    ("BIT", "(s % 1024)::INTEGER::BIT"),
    ("UUID", "md5(s::VARCHAR)::UUID"),
    ("DATE", "'-infinity'::DATE"),
    ("DATE", "DATE '2024-01-01' - (s % 2000000)::INTEGER"),
    ("TIME", "TIME '00:00:00' + to_microseconds((hash(s) % 86400000000)::BIGINT)"),
    (
        "TIMESTAMP",
        "CASE s % 3 WHEN 0 THEN 'infinity'::TIMESTAMP ELSE make_timestamp((hash(s) % 4000000000000000)::BIGINT - 2000000000000000) END",
    ),
    ("TIMESTAMP_NS", "make_timestamp_ns((hash(s) % 4000000000000000000)::BIGINT - 2000000000000000000)"),
    (
        "INTERVAL",
        "to_months((s % 100)::INTEGER - 50) + to_days((s % 1000)::INTEGER - 500) + to_microseconds((hash(s) % 1000000000000000000)::BIGINT)",
    ),
    ("ENUM('a', 'b', 'it''s')", "CASE s % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' ELSE 'it''s' END"),
    ("HUGEINT[]", "[s::HUGEINT * hash(s)::HUGEINT, NULL]"),
    ("UUID[2]", "[md5(s::VARCHAR)::UUID, NULL]"),
    ("STRUCT(a INTERVAL, \"b c\" BIT[])", "{'a': to_days((s % 9)::INTEGER), 'b c': [(s % 9)::INTEGER::BIT]}"),
    ("MAP(UUID, DECIMAL(5,2))", "MAP {md5(s::VARCHAR)::UUID: 1.25}"),
    ("BIGNUM", "(repeat('9', 60) || s)::BIGNUM"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_types_survive(seed in 0..1_000_000_u32, rows in 1..40_u32, is_view in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new(osiris_driver_duckdb::register).unwrap();
            let columns = VALUES.iter().enumerate().map(|(index, (declared, value))| {
                format!("CASE WHEN s % 7 <> {} THEN ({value})::{declared} END AS c{index}", index % 7)
            });
            let columns: Vec<String> = columns.collect();
            let query = format!("SELECT {} FROM range({seed}, {}) r(s)", columns.join(", "), seed + rows);
            let materialize = if is_view { "view" } else { "table" };
            let made = bench.step("made", "duckdb.processor", json!({"query": query, "materialize": materialize})).run().await;
            let made = made.unwrap_or_else(|failure| panic!("{}", failure.error.report())).table.unwrap();
            let connection = json!({"path": bench.place().join("a.duckdb"), "create_if_missing": true});
            let write = json!({"table": "t", "create_if_missing": true});
            let written = bench.step("write", "duckdb.writer", write).connection(connection.clone()).input(&made).run().await;
            written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
            let read = bench.step("back", "duckdb.extractor", json!({"table": "t"})).connection(connection).run().await;
            let back = read.unwrap_or_else(|failure| panic!("{}", failure.error.report())).table.unwrap();
            assert_eq!(made.schema(), back.schema());
            // By DuckDB's own comparison, and by what it prints: a negative zero is equal to zero.
            let text = "to_json(t)::VARCHAR";
            let other = format!(
                "SELECT count(*)::VARCHAR FROM (SELECT {text} FROM {0} t EXCEPT ALL SELECT {text} FROM {1} t)",
                made.sql(),
                back.sql()
            );
            assert_eq!(bench.query(&other).await.unwrap().rows()[0][0].as_deref(), Some("0"));
            assert_eq!(back.rows(), u64::from(rows));
        });
    }
}
