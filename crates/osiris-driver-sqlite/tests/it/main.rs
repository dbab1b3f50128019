#![allow(clippy::unwrap_used, missing_docs)]
use sqlx::{ConnectOptions, Executor, Row};
#[tokio::test]
async fn x() {
    let mut c = sqlx::sqlite::SqliteConnectOptions::new()
        .filename("/tmp/w/x.db")
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    c.execute("drop table if exists t; create table t(a integer primary key, b decimal(12,2), c text, d, e datetime, f blob, g numeric, s string)").await.unwrap();
    drop(c);
    let mut c =
        sqlx::sqlite::SqliteConnectOptions::new().filename("/tmp/w/x.db").read_only(true).connect().await.unwrap();
    println!("{}", c.fetch_one("select sqlite_version()").await.unwrap().get::<String, _>(0));
    println!("{:?}", c.execute("begin; select count(*) from t").await);
    println!("{:?}", c.execute("create temp view v as select a, b as x, c, d, e, f, g, s, a+1, a*1.5 as m, count(*) as n, c||'x' as cc, cast(d as text) as ct, cast(d as integer) ci, cast(d as real) cr, cast(d as blob) cb, cast(d as numeric) cn, cast(d as decimal(12,2)) cd, cast(d as datetime) cdt, d+1 as dd, null as nn, random() as r, max(e) as me, coalesce(a,'x') co, case when a then 1 else 'x' end cs, x'00' as bl, date('now') dn, sum(a) sa, sum(b) sb from t").await);
    for r in c.fetch_all("pragma table_xinfo(v)").await.unwrap() {
        println!("{} {:?}", r.get::<String, _>(1), r.get::<String, _>(2));
    }
    println!("{:?}", c.execute("create temp view v2 as select 1; drop table t").await);
    println!("{:?}", c.execute("drop view temp.v; pragma query_only=on; create temp table x(a)").await);
    println!("{:?}", c.execute("pragma query_only=off; create temp table x(a)").await);
    println!("{:?}", c.execute("attach '/tmp/w/other.db' as o; create table o.x(a)").await);
}
