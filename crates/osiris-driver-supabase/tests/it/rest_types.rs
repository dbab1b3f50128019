//! Values over REST are the values of the direct channel: read both ways, written one way and compared by the server.

use serde_json::{Value, json};

use crate::rest_world::{World, table};

/// A column of each type, with values at the limits.
const SETUP: &str = r#"
    CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE DOMAIN positive AS int CHECK (value > 0);
    CREATE TYPE pair AS (a int, b text);
    CREATE TABLE t (
        id int PRIMARY KEY, b boolean, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, n numeric, m numeric(38,10),
        t text, vc varchar(20), bc char(5), u uuid, by bytea, d date, ti time, ts timestamp, tz timestamptz, iv interval,
        j json, jb jsonb, ia int[], ta text[][], e mood, p positive, bi bit(3), vb varbit, inet inet, money money, r int4range,
        v tsvector, c pair
    );
    INSERT INTO t VALUES (1, true, -32768, -2147483648, 9223372036854775807, 1.5e-45, 1.7976931348623157e308,
        12345678901234567890123456789012345678.123, 1234567890123456789012345678.0123456789, E'quote " back \\ tab \t ů 日本', 'vc', 'ab',
        '0123e567-e89b-12d3-a456-426614174000', '\x00ff10', '2024-02-29', '23:59:59.999999', '2024-02-29 23:59:59.999999',
        '2024-02-29 23:59:59.999999+05:45', '1 year 2 mons -3 days 04:05:06.789', '{"a": 1.10, "b": [null]}', '{"n": 12345678901234567890.10}',
        '{1,NULL,3}', '{{a,"b,c"},{NULL,""}}', 'sad', 5, B'101', B'1', '10.0.0.1/8', 12.34, '[1,5)', 'fat:1 cat:2', '(1,"x,y")');
    INSERT INTO t (id, f4, f8, d, ts, tz, t) VALUES (2, 'NaN', '-Infinity', 'infinity', '-infinity', 'infinity', '');
    INSERT INTO t (id, d, ts, tz, iv) VALUES (3, '0044-03-15 BC', '0001-01-01 00:00:00 BC', '12024-01-01 00:00:00+00', '-00:00:00.000001');
    INSERT INTO t (id) VALUES (4)"#;

#[tokio::test(flavor = "multi_thread")]
async fn both_channels_read_the_same_types_and_values() {
    let Some(world) = World::new(SETUP).await else { return };
    // What REST cannot know: how many digits a numeric has. Text is exact for both.
    let config = table(json!({"numeric": "text", "order": "id"}));
    let read = |step: &'static str, connection: Value| {
        world.bench.step(step, "supabase.extractor", config.clone()).connection(connection).run()
    };
    let rest = read("rest", world.gateway.connection()).await.unwrap().table.unwrap();
    let direct = read("direct", world.server.supabase_connection()).await.unwrap().table.unwrap();
    let types = |table: &osiris_core::TableRef| -> Vec<String> {
        table.schema().columns().iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
    };
    let differing: Vec<_> = types(&rest).into_iter().zip(types(&direct)).filter(|(one, other)| one != other).collect();
    assert!(differing.is_empty(), "{differing:?}");
    for column in rest.schema().names() {
        let sql = |table: &osiris_core::TableRef| format!("SELECT id, \"{column}\"::VARCHAR FROM {}", table.sql());
        let shown = |rows: osiris_testkit::Rows| format!("{:?}", rows.rows());
        let found = [&rest, &direct].map(sql);
        let (one, other) = (world.bench.query(&found[0]).await.unwrap(), world.bench.query(&found[1]).await.unwrap());
        assert_eq!(shown(one), shown(other), "{column}");
    }
    assert_eq!(
        world.bench.query(&format!("SELECT i8, n, m FROM {} WHERE id = 1", rest.sql())).await.unwrap().rows()[0],
        [
            "9223372036854775807",
            "12345678901234567890123456789012345678.123",
            "1234567890123456789012345678.0123456789"
        ]
        .map(|text| Some(text.to_owned()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_written_over_rest_as_it_was() {
    let Some(world) = World::new(&format!("{SETUP}; CREATE TABLE copy (LIKE t INCLUDING ALL)")).await else { return };
    let read = world.read(table(json!({"numeric": "text"}))).await.unwrap().table.unwrap();
    let config = json!({"table": "copy", "mode": "upsert", "key": "id"});
    let written = world.write_table(config, &read).await;
    let Ok(output) = written else { panic!("{}", world.rejects().await) };
    assert_eq!(output.rows, 4);
    let columns = world
        .rows("SELECT column_name FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position")
        .await;
    let mut differing = Vec::new();
    for column in columns.lines() {
        let sql = format!(
            "SELECT t.id, t.\"{column}\"::text, copy.\"{column}\"::text FROM t FULL JOIN copy USING (id) \
             WHERE t.\"{column}\"::text IS DISTINCT FROM copy.\"{column}\"::text"
        );
        let rows = world.rows(&sql).await;
        if !rows.is_empty() {
            differing.push(format!("{column}: {rows}"));
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_keep_every_digit_and_infinite_moments_follow_the_policy() {
    let Some(world) = World::new(SETUP).await else { return };
    let scaled =
        table(json!({"select": "id,m,price:n", "numeric_scale": 10, "filter": {"id": 1}, "decimal_overflow": "text"}));
    let refused = world.read(scaled).await.unwrap_err();
    assert!(refused.error.message().contains("`price`"), "{:?}", refused.error);
    let fits = table(json!({"select": "id,m", "numeric_scale": 10, "filter": {"id": 1}}));
    assert_eq!(world.shown(fits, "m, typeof(m)").await, "1234567890123456789012345678.0123456789|DECIMAL(38,10)");
    let nulls = table(json!({"select": "id,d,tz", "infinity": "null", "filter": {"id": 2}}));
    let output = world.read(nulls).await.unwrap();
    assert_eq!(output.counts.altered, 2);
    let error = table(json!({"select": "id,d", "infinity": "error"}));
    assert!(world.read(error).await.unwrap_err().error.message().contains("`d`"));
    let as_text = table(json!({"select": "id,iv", "interval": "text", "filter": {"id": 1}}));
    assert_eq!(world.shown(as_text, "iv").await, "1 year 2 mons -3 days +04:05:06.789");
}
