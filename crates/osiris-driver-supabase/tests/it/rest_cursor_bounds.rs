//! Where a run by a cursor may end, over REST: nothing that a later run would not read is passed over in silence.

use serde_json::{Value, json};

use crate::rest_world::{World, table};

#[tokio::test(flavor = "multi_thread")]
async fn over_rest_bounds_are_kept_as_over_the_database() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, c timestamptz); CREATE TABLE u (id int PRIMARY KEY, c timestamptz); \
                 INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-01-02'), (9, NULL)";
    let Some(world) = World::new(setup).await else { return };
    let with = |fields: Value| {
        let mut cursor = json!({"column": "c"});
        cursor.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        table(json!({"cursor": cursor}))
    };
    let report = async |config: Value, state: &Option<Value>| {
        world.read_from(config, state.clone()).await.unwrap_err().error.report()
    };
    // S21
    let error = report(with(json!({})), &None).await;
    assert!(error.contains("1 row has NULL"), "{error}");
    let first = world.read(with(json!({"nulls": "skip"}))).await.unwrap();
    assert_eq!((first.rows, first.counts.skipped), (2, 1));
    let included = world.read_from(with(json!({"nulls": "include"})), first.state.clone()).await.unwrap();
    assert_eq!(world.stored(&included, "id").await, "9");
    // S17
    let other = json!({"table": "u", "cursor": {"column": "c", "nulls": "skip"}});
    let error = report(other, &first.state).await;
    assert!(error.contains("table: `t` -> `u`"), "{error}");
    // S18
    for (value, why) in [("'infinity'", "infinite"), ("now() + interval '1 hour'", "in the future")] {
        world.execute(&format!("INSERT INTO t VALUES (3, {value})")).await;
        let error = report(with(json!({"nulls": "skip"})), &first.state).await;
        assert!(error.contains(why), "{value}: {error}");
        world.execute("DELETE FROM t WHERE id = 3").await;
    }
    // S19
    world.execute("DELETE FROM t WHERE id = 2").await;
    let error = report(with(json!({"nulls": "skip"})), &first.state).await;
    assert!(error.contains("at or after the saved one"), "{error}");
    world.execute("DELETE FROM t").await;
    let error = report(with(json!({"nulls": "skip"})), &first.state).await;
    assert!(error.contains("has no value left"), "{error}");
    let kept = with(json!({"allow_deletes": true}));
    assert_eq!(world.read_from(kept, first.state).await.unwrap().rows, 0);
    // S20
    let connection = world.gateway.connection();
    let prepared = |config| world.bench.prepare("supabase.extractor", &config, &connection).unwrap();
    let of_cursor = prepared(with(json!({})));
    let warnings = of_cursor.warnings();
    assert!(warnings[0].message.contains("committed late"), "{warnings:?}");
    assert!(prepared(with(json!({"lag": 60}))).warnings().is_empty());
}
