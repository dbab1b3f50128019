//! Objects of a store, through the components. The store is an imitation of S3 that checks no signature and no right.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use osiris_core::{Code, Error, ErrorKind, Health, HealthCategory, Inputs, Registry, ResolvedConnection};
use osiris_core::{StepOutput, StepRequest};
use osiris_testkit::certificates::Authority;
use osiris_testkit::http_server::{HttpServer, Reply};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::Moto;
use serde_json::{Value, json};

use crate::bench::{Bench, Table};

const ROWS: &str = "SELECT i AS n, 'x' || i AS t FROM range(1, 4) r(i)";
/// Rows of more than 8 MiB: what goes in several parts.
const MANY: &str = "SELECT i AS n, repeat('x', 90) AS t FROM range(200000) r(i)";
/// How long a test waits for what happens in the background.
const PATIENCE: Duration = Duration::from_secs(30);

async fn read(bench: &Bench, connection: Value, component: &str, config: Value) -> Result<Table, Error> {
    let output = bench.request(component, StepRequest::new("step"), (config, connection), Inputs::none()).await?;
    bench.table(output).await
}

async fn csv(bench: &Bench, connection: Value, path: &str) -> Result<Table, Error> {
    read(bench, connection, "filesystem.csv_extractor", json!({"path": path})).await
}

async fn write(
    bench: &Bench,
    connection: Value,
    component: &str,
    select: &str,
    config: Value,
) -> Result<StepOutput, Error> {
    let table = bench.make(select).await;
    bench.request(component, StepRequest::new("write"), (config, connection), Inputs::one(table)).await
}

/// The fields of a connection with further ones.
fn with(mut connection: Value, more: Value) -> Value {
    connection.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    connection
}

/// Waits until no upload is left.
async fn until_no_upload_is_left(moto: &Moto) {
    let deadline = Instant::now() + PATIENCE;
    while !moto.uploads().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "an upload stays incomplete");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_in_every_format() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let bench = Bench::new();
    for (format, ending) in [("csv", "csv"), ("csv", "csv.gz"), ("jsonl", "jsonl.zst"), ("parquet", "parquet")] {
        let config = json!({"path": format!("s3://lake/out/t.{ending}")});
        // The second one replaces the first.
        for select in ["SELECT 'old' AS n", ROWS] {
            let component = format!("filesystem.{format}_writer");
            write(&bench, moto.connection(), &component, select, config.clone()).await.unwrap();
        }
        let component = format!("filesystem.{format}_extractor");
        let table = read(&bench, moto.connection(), &component, config).await.unwrap();
        assert_eq!(table.rows(), [["1", "x1"], ["2", "x2"], ["3", "x3"]], "{ending}");
        assert_eq!(table.columns(), ["n BIGINT", "t VARCHAR"], "{ending}");
    }
    assert_eq!(moto.keys().await.unwrap().len(), 4);
    assert_eq!(bench.scratch(), 0, "nothing stays in the scratch directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_in_parts() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let bench = Bench::new();
    let config = json!({"path": "s3://lake/big.csv"});
    write(&bench, moto.connection(), "filesystem.csv_writer", MANY, config).await.unwrap();
    assert!(moto.get("big.csv").await.unwrap().unwrap().len() > 16 << 20);
    assert!(moto.uploads().await.unwrap().is_empty());
    assert_eq!(csv(&bench, moto.connection(), "s3://lake/big.csv").await.unwrap().output.rows, 200_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn globs_prefixes_and_partitions_are_read_as_from_a_disk() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let bench = Bench::new();
    for (key, text) in
        [("in/b.csv", "a\n2\n"), ("in/a.csv", "a\n1\n"), ("in/x/c.csv", "a\n3\n"), ("in/_d.csv", "b\n4\n")]
    {
        moto.put(key, text.as_bytes()).await.unwrap();
    }
    for (path, rows) in [("s3://lake/in/*.csv", 2), ("s3://lake/in/**/*.csv", 3), ("s3://lake/in", 3)] {
        assert_eq!(csv(&bench, moto.connection(), path).await.unwrap().rows().len(), rows, "{path}");
    }
    let below = with(moto.connection(), json!({"base_dir": "s3://lake/in/"}));
    let config = json!({"path": "*.csv", "add_filename": true});
    let named = read(&bench, below, "filesystem.csv_extractor", config).await.unwrap();
    assert_eq!(named.rows(), [["1", "a.csv"], ["2", "b.csv"]]);

    let select = "SELECT i AS n, 2020 + i % 2 AS year FROM range(4) r(i)";
    let parts = json!({"path": "s3://lake/pq/", "partition_by": ["year"], "mode": "append"});
    write(&bench, moto.connection(), "filesystem.parquet_writer", select, parts).await.unwrap();
    let keys = moto.keys().await.unwrap();
    assert!(keys.iter().filter(|key| key.starts_with("pq/year=202")).count() == 2, "{keys:?}");
    let component = "filesystem.parquet_extractor";
    let config = json!({"path": "s3://lake/pq", "filter": "year = 2021"});
    let table = read(&bench, moto.connection(), component, config).await.unwrap();
    assert_eq!(table.rows(), [["1", "2021"], ["3", "2021"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn appending_adds_objects_and_replaces_none() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let bench = Bench::new();
    let config = json!({"path": "s3://lake/log", "max_rows_per_file": 2, "mode": "append"});
    for _ in 0..2 {
        write(&bench, moto.connection(), "filesystem.csv_writer", ROWS, config.clone()).await.unwrap();
    }
    assert_eq!(moto.keys().await.unwrap().len(), 4);
    assert_eq!(csv(&bench, moto.connection(), "s3://lake/log/").await.unwrap().rows().len(), 6);
    for (config, says) in [
        (json!({"path": "s3://lake/a.csv", "mode": "append"}), "cannot be appended to an object"),
        (json!({"path": "s3://lake/log", "max_rows_per_file": 2}), "cannot be replaced at once"),
        (json!({"path": "s3://lake/log/"}), "is a prefix"),
        (json!({"path": "https://example.com/a.csv"}), "can only be read"),
    ] {
        let error = write(&bench, moto.connection(), "filesystem.csv_writer", ROWS, config).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.report().contains(says), "{}", error.report());
    }
    assert_eq!(moto.keys().await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_an_error_that_says_what_is() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let bench = Bench::new();
    moto.put("in/orders.csv", b"a\n1\n").await.unwrap();
    for (path, message, hint) in [
        ("s3://nowhere/in/a.csv", "the bucket `nowhere` does not exist", "`region`, `endpoint`"),
        ("s3://nowhere/in/*.csv", "the bucket `nowhere` does not exist", "`region`, `endpoint`"),
        ("s3://lake/in/order.csv", "`s3://lake/in/order.csv` does not exist", "did you mean `orders.csv`?"),
        ("s3://lake/in/*.tsv", "no object matches `s3://lake/in/*.tsv`", "`orders.csv`"),
    ] {
        let error = csv(&bench, moto.connection(), path).await.err().unwrap();
        assert_eq!((error.message(), error.code()), (message, Code::FileNotFound));
        assert!(error.hint().unwrap().contains(hint), "{path}: {:?}", error.hint());
        assert!(!error.report().contains("a secret of tests"), "{}", error.report());
    }
    moto.delete_bucket().await.unwrap();
    let config = json!({"path": "s3://lake/out.csv"});
    for select in [ROWS, MANY] {
        let gone = write(&bench, moto.connection(), "filesystem.csv_writer", select, config.clone()).await;
        assert_eq!(gone.err().unwrap().message(), "the bucket `lake` does not exist");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_no_path_leaves_the_prefix_of_its_connection() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let bench = Bench::new();
    for key in ["in/a.csv", "secret.csv"] {
        moto.put(key, b"a\n1\n").await.unwrap();
    }
    let fenced = with(moto.connection(), json!({"base_dir": "s3://lake/in"}));
    assert_eq!(csv(&bench, fenced.clone(), "a.csv").await.unwrap().rows().len(), 1);
    for path in
        ["../secret.csv", "%2e%2e/secret.csv", "s3://lake/secret.csv", "s3://lake/in/../secret.csv", "/etc/passwd"]
    {
        let error = csv(&bench, fenced.clone(), path).await.err().unwrap();
        assert!(error.kind() == ErrorKind::Permission || error.kind() == ErrorKind::Validation, "{path}");
        let config = json!({"path": path});
        write(&bench, fenced.clone(), "filesystem.csv_writer", ROWS, config).await.err().unwrap();
    }
    assert_eq!(moto.keys().await.unwrap(), ["in/a.csv", "secret.csv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_cut_goes_on_where_it_ended() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let proxy = Proxy::start(moto.address()).unwrap();
    let bench = Bench::new();
    let text = format!("a\n{}", "0123456789\n".repeat(200_000));
    moto.put("a.csv", text.as_bytes()).await.unwrap();
    proxy.set(Fault::Cut { direction: Direction::Down, after: 1 << 20 });
    let table = csv(&bench, moto.connection_at(proxy.port()), "s3://lake/a.csv").await.unwrap();
    assert_eq!(table.output.rows, 200_000);
    assert!(proxy.accepted() > 3, "it was not cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_an_upload_that_fails_or_is_cancelled_leaves_nothing() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let proxy = Proxy::start(moto.address()).unwrap();
    let bench = Bench::new();
    moto.put("a.csv", b"old").await.unwrap();
    let config = json!({"path": "s3://lake/a.csv"});
    // No part gets through.
    proxy.set(Fault::Cut { direction: Direction::Up, after: 4 << 20 });
    let connection = moto.connection_at(proxy.port());
    let failed = write(&bench, connection.clone(), "filesystem.csv_writer", MANY, config.clone()).await.err().unwrap();
    assert!(failed.is_retryable(), "{}", failed.report());
    until_no_upload_is_left(&moto).await;
    proxy.set(Fault::Stall { direction: Direction::Up, after: 4 << 20 });
    let cancelled = write(&bench, connection, "filesystem.csv_writer", MANY, config);
    assert!(tokio::time::timeout(Duration::from_secs(5), cancelled).await.is_err(), "it was not stalled");
    until_no_upload_is_left(&moto).await;
    assert_eq!(moto.get("a.csv").await.unwrap().as_deref(), Some(b"old".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_web_server_is_read() {
    let text = "a\n1\n2\n";
    let server = HttpServer::scripted([
        Reply::new(200).body(text),
        Reply::new(302).header("location", "/moved%20there.csv"),
        Reply::new(200).body(text),
        Reply::new(404),
    ])
    .unwrap();
    let bench = Bench::new();
    let path = format!("{}/data/a%20b.csv", server.url());
    let refused = csv(&bench, json!({}), &path).await.err().unwrap();
    assert!(refused.hint().unwrap().contains("allow_http"), "{}", refused.report());
    let allowed = json!({"allow_http": true});
    for _ in 0..2 {
        assert_eq!(csv(&bench, allowed.clone(), &path).await.unwrap().rows(), [["1"], ["2"]]);
    }
    let paths: Vec<String> = server.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths, ["/data/a%20b.csv", "/data/a%20b.csv", "/moved%20there.csv"]);
    let missing = csv(&bench, allowed.clone(), &path).await.err().unwrap();
    assert_eq!(missing.code(), Code::FileNotFound, "{}", missing.report());
    let several = csv(&bench, allowed, &format!("{}/*.csv", server.url())).await.err().unwrap();
    assert!(several.message().contains("no listing"), "{}", several.report());
}

/// An object as S3 answers it.
fn object(status: u16) -> Reply {
    Reply::new(status).body("a\n1\n").header("etag", "\"v1\"").header("last-modified", "Mon, 30 Nov 2026 10:00:00 GMT")
}

/// A connection to a server that answers as a test says.
fn scripted(replies: Vec<Reply>) -> (HttpServer, Value) {
    let server = HttpServer::scripted(replies).unwrap();
    let fields = json!({
        "endpoint": server.url(), "allow_http": true, "access_key_id": "AKIDOFATEST",
        "secret_access_key": "a secret of tests",
    });
    (server, fields)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_too_much_to_do_is_asked_again() {
    let busy = Reply::new(503).body("<Error><Code>SlowDown</Code></Error>");
    let part = object(206).header("content-range", "bytes 0-3/4");
    let (server, connection) = scripted(vec![object(200), busy, part]);
    let bench = Bench::new();
    assert_eq!(csv(&bench, connection, "s3://lake/a.csv").await.unwrap().rows(), [["1"]]);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_rejected_are_not_those_that_lack_a_right() {
    let says = |code: &str| Reply::new(403).body(format!("<Error><Code>{code}</Code><X>AKIDOFATEST</X></Error>"));
    let bench = Bench::new();
    for (code, kind) in [("SignatureDoesNotMatch", ErrorKind::Auth), ("AccessDenied", ErrorKind::Permission)] {
        // HEAD has no text: a listing is asked for the reason.
        let (_server, connection) = scripted(vec![Reply::new(403), says(code)]);
        let error = csv(&bench, connection, "s3://lake/a.csv").await.err().unwrap();
        assert_eq!(error.kind(), kind, "{}", error.report());
        assert!(error.hint().is_some() && !error.report().contains("AKIDOFATEST"), "{}", error.report());
    }
}

/// Writes to a store that answers no upload, whether it takes the object or not.
async fn written_without_an_answer(is_taken: bool) -> Result<StepOutput, Error> {
    let attempt = Mutex::new(None::<String>);
    let server = HttpServer::start(move |request| {
        let mut attempt = attempt.lock().unwrap();
        let reply = match request.method() {
            "PUT" => {
                let named = request.header("x-amz-meta-osirisattempt").filter(|_| is_taken);
                *attempt = named.map(str::to_owned);
                Reply::hang_up()
            }
            _ => match &*attempt {
                Some(attempt) => object(200).header("x-amz-meta-osirisattempt", attempt),
                None => Reply::new(404),
            },
        };
        std::future::ready(reply)
    })
    .unwrap();
    let connection = json!({"endpoint": server.url(), "allow_http": true});
    let config = json!({"path": "s3://lake/a.csv"});
    write(&Bench::new(), connection, "filesystem.csv_writer", "SELECT 1 AS a", config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_the_store_is_asked_where_the_answer_to_an_upload_is_lost() {
    let (taken, lost) = tokio::join!(written_without_an_answer(true), written_without_an_answer(false));
    assert_eq!(taken.unwrap().rows, 1);
    let lost = lost.err().unwrap();
    assert!(lost.kind() == ErrorKind::Network && lost.is_retryable(), "{}", lost.report());
}

async fn checked(connection: Value) -> Health {
    let mut registry = Registry::new();
    osiris_driver_filesystem::register(&mut registry).unwrap();
    let driver = registry.get("filesystem.csv_extractor").unwrap();
    let fields = connection.as_object().unwrap().clone();
    let connection = ResolvedConnection::from_fields(fields, driver.connection_schema());
    driver.family().check(&connection, Duration::from_secs(2)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_certificate_nobody_vouches_for_is_refused() {
    let authority = Authority::new().unwrap();
    let server = HttpServer::start_tls(&authority, &["127.0.0.1"], |_| std::future::ready(object(200))).unwrap();
    let sick = checked(json!({"base_dir": "s3://lake", "endpoint": server.url()})).await;
    assert_eq!(sick.category, HealthCategory::Network);
    assert!(sick.message.contains("certificate"), "{sick:?}");
    assert!(server.requests().is_empty());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authority.pem");
    authority.write(&file).unwrap();
    checked(json!({"base_dir": "s3://lake", "endpoint": server.url(), "ssl_ca": file})).await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_lists_the_store_of_a_connection() {
    assert!(checked(json!({"base_dir": "/data"})).await.ok);
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let proxy = Proxy::start(moto.address()).unwrap();
    let of = |base: &str| with(moto.connection_at(proxy.port()), json!({"base_dir": base}));
    let healthy = checked(of("s3://lake/in")).await;
    assert!(healthy.ok && healthy.details["bucket"] == "lake" && healthy.details["empty"] == "true", "{healthy:?}");
    assert_eq!(checked(of("s3://nowhere")).await.category, HealthCategory::Unknown);
    for (fault, category) in [(Fault::Refuse, HealthCategory::Network), (Fault::BLACK_HOLE, HealthCategory::Timeout)] {
        proxy.set(fault);
        let sick = checked(of("s3://lake/in")).await;
        assert!(!sick.ok && sick.category == category, "{sick:?}");
        assert!(!sick.message.contains("a secret of tests"), "{sick:?}");
    }
}
