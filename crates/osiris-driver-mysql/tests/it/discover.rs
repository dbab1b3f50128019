//! Discovery against real tables.

use osiris_core::{Catalog, ErrorKind, ResourceKind};
use osiris_testkit::database::catalog::{fields, fingerprint_follows_columns, names, resource};
use osiris_testkit::services::MysqlOptions;
use serde_json::{Value, json};

use super::Server;
use super::subject::Mysql;

async fn discover(connection: &Value) -> osiris_core::Result<Catalog> {
    osiris_testkit::database::discover::<Mysql>(connection).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_views_are_listed_with_all_that_is_known_of_them() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    server
        .execute(
            "CREATE TABLE people (id BIGINT UNSIGNED NOT NULL, part INT NOT NULL, name VARCHAR(40) NULL, \
               `a b` DECIMAL(10,2) NOT NULL, `ů` DATETIME(6), flag BIT(1), extra JSON, raw VARBINARY(16), \
               hidden INT INVISIBLE, double_id BIGINT AS (id * 2), PRIMARY KEY (part, id)); \
             INSERT INTO people (id, part, `a b`) VALUES (1, 1, 1), (2, 1, 2), (3, 1, 3); \
             ANALYZE TABLE people; \
             CREATE VIEW adults AS SELECT id, name FROM people; \
             CREATE TABLE `Zebra``s` (`select` INT)",
        )
        .await
        .unwrap();
    if Server::IS_MARIADB {
        server.execute("CREATE SEQUENCE numbers").await.unwrap();
    }
    let catalog = discover(&server.connection()).await.unwrap();
    assert_eq!(names(&catalog), ["Zebra`s", "adults", "people"]);
    assert_eq!(resource(&catalog, "adults").kind, ResourceKind::View);
    let people = resource(&catalog, "people");
    assert_eq!((people.kind, people.estimated_row_count), (ResourceKind::Table, Some(3)));
    assert!(people.estimated_size_mb.unwrap() > 0.0);
    if !Server::IS_MARIADB {
        insta::assert_snapshot!(fields(people), @"
        4 a b: decimal (decimal(10,2)) None
        10 double_id: integer (bigint) null None
        7 extra: json (json) null None
        6 flag: boolean (bit(1)) null None
        9 hidden: integer (int) null None
        1 id: integer (bigint unsigned) key None
        3 name: string (varchar(40)) null Some(40)
        2 part: integer (int) key None
        8 raw: binary (varbinary(16)) null Some(16)
        5 ů: timestamp (datetime(6)) null None
        ");
        return;
    }
    insta::assert_snapshot!(fields(people), @"
    4 a b: decimal (decimal(10,2)) None
    10 double_id: integer (bigint(20)) null None
    7 extra: json (longtext) null Some(4294967295)
    6 flag: boolean (bit(1)) null None
    9 hidden: integer (int(11)) null None
    1 id: integer (bigint(20) unsigned) key None
    3 name: string (varchar(40)) null Some(40)
    2 part: integer (int(11)) key None
    8 raw: binary (varbinary(16)) null Some(16)
    5 ů: timestamp (datetime(6)) null None
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fingerprint_follows_columns_and_not_rows() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    fingerprint_follows_columns::<Mysql>(
        &server,
        &server.connection(),
        "ANALYZE TABLE t",
        "ALTER TABLE t MODIFY a BIGINT",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_every_one_that_the_account_sees_is_listed() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    server
        .execute(
            "CREATE DATABASE visible_db; CREATE TABLE visible_db.t (a INT); CREATE DATABASE hidden_db; \
             CREATE TABLE hidden_db.t (a INT); CREATE USER guest@'%' IDENTIFIED BY 'pw1'; \
             GRANT SELECT ON visible_db.* TO guest@'%'",
        )
        .await
        .unwrap();
    let guest = server.connection_with(json!({"user": "guest", "password": "pw1", "database": null}));
    assert_eq!(names(&discover(&guest).await.unwrap()), ["visible_db.t"]);
    let error = discover(&server.connection_with(json!({"user": "guest", "password": "pw1"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error:?}");
    assert!(error.hint().unwrap().contains("GRANT"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tables_take_a_few_queries() {
    const TABLES: usize = 1000;
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let engine = if Server::IS_MARIADB { "Aria" } else { "MyISAM" };
    let tables: String = (0..TABLES)
        .map(|number| format!("CREATE TABLE t{number} (a INT, b TEXT, PRIMARY KEY (a)) ENGINE={engine};"))
        .collect();
    server.execute(&tables).await.unwrap();
    let questions = async || -> i64 {
        let rows = server.rows("SHOW GLOBAL STATUS LIKE 'Questions'").await.unwrap();
        rows[0][1].as_deref().unwrap().parse().unwrap()
    };
    let before = questions().await;
    let catalog = discover(&server.connection()).await.unwrap();
    let asked = questions().await - before;
    assert_eq!(catalog.resources.len(), TABLES);
    assert!(catalog.resources.iter().all(|resource| resource.fields.len() == 2));
    assert!(asked < 20, "{asked} questions for {TABLES} tables");
}
