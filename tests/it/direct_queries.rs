//! What a query returns goes directly into a writer: with the types that it would have had in a table.

use std::fs::File;

use osiris_e2e::{Program, Project};
use osiris_testkit::services::Postgres;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

/// A column of each type that SQL can give: a row of values, and one of NULLs.
const EVERY_TYPE: &str = "SELECT one.* FROM range(2) LEFT JOIN (SELECT
  true AS bool, 1::TINYINT AS i8, 1::SMALLINT AS i16, 1::INTEGER AS i32, 1::BIGINT AS i64, 1::HUGEINT AS i128,
  1::UTINYINT AS u8, 1::USMALLINT AS u16, 1::UINTEGER AS u32, 1::UBIGINT AS u64, 1::UHUGEINT AS u128,
  0.1::FLOAT AS f32, 0.1::DOUBLE AS f64, 1.50::DECIMAL(38, 2) AS dec, 'ä' AS txt, '{\"a\":1}'::JSON AS js,
  '\\xAA'::BLOB AS bytes, '01010'::BIT AS bits, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID AS id,
  DATE '2026-11-29' AS d, TIME '01:02:03.4' AS t, TIMESTAMP '2026-11-29 01:02:03.456789' AS ts,
  TIMESTAMP_NS '2026-11-29 01:02:03.456789' AS ns, TIMESTAMPTZ '2026-11-29 01:02:03+01' AS instant,
  INTERVAL '14 months 3 days' AS span, 'b'::ENUM('a', 'b') AS choice, 123::BIGNUM AS num,
  ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID, NULL] AS ids, [1, 2]::INTEGER[2] AS pair,
  {'a': '1'::BIT, 'b': [1]} AS nested, MAP {'k': 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID} AS pairs) one ON range = 0 ORDER BY range";

struct Query(Project);

impl Query {
    fn into_writer(writer: &str) -> Self {
        let sql = json!(EVERY_TYPE);
        let steps = format!(
            "  - {{id: all, component: duckdb.processor, mode: transform, config: {{query: {sql}}}}}\n  - {writer}\n"
        );
        Self(Project::with_steps(Program::built(), &steps))
    }

    /// Runs it, directly or through a table.
    fn run(&self, directly: bool) {
        let _ = std::fs::remove_dir_all(self.0.path(".osiris"));
        let table: &[&str] = if directly { &[] } else { &["--jobs", "1"] };
        self.0.run(&[&["run", "pipeline.yaml"], table].concat()).with_code(0);
        let run = self.0.runs().pop().unwrap();
        let events = self.0.lines(&run, "events.jsonl");
        let announced = events.iter().find(|event| event["event"] == "inputs_resolved").unwrap();
        assert_eq!(announced["rows"], if directly { Value::Null } else { json!(2) });
    }
}

#[test]
fn a_file_gets_the_types_of_the_query() {
    let query = Query::into_writer(
        "{id: file, component: filesystem.parquet_writer, mode: write, config: {path: out.parquet}}",
    );
    let written = [false, true].map(|directly| {
        query.run(directly);
        let file = SerializedFileReader::new(File::open(query.0.path("out.parquet")).unwrap()).unwrap();
        let rows: Vec<String> = file.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        (file.metadata().file_metadata().schema().clone(), rows)
    });
    assert_eq!(written[0], written[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_table_gets_the_types_of_the_query() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let query = Query::into_writer(
        "{id: load, component: postgres.writer, mode: write, config: {connection: \"@postgres.db\", table: all_types, mode: overwrite, create_if_missing: true}}",
    );
    let connections = json!({"version": 1, "connections": {"postgres": {"db": server.connection()}}});
    query.0.write("osiris_connections.yaml", connections.to_string());
    let mut made = Vec::new();
    for directly in [false, true] {
        query.run(directly);
        let columns = "SELECT string_agg(format('%s %s', column_name, data_type), E'\\n' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'all_types'";
        let row = "SELECT string_agg(all_types::text, ';' ORDER BY i8) FROM all_types";
        made.push([server.value(columns).await.unwrap(), server.value(row).await.unwrap()]);
        server.execute("DROP TABLE all_types").await.unwrap();
    }
    assert_eq!(made[0], made[1]);
    assert!(made[0][0].as_ref().is_some_and(|columns| columns.contains("id uuid")), "{made:?}");
}
