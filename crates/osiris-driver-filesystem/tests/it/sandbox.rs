//! What a path, a condition or a compressed file must not be able to do.

use std::io::Write;

use osiris_core::{ErrorKind, Inputs, Registry, StepRequest};
use serde_json::json;

use crate::bench::Bench;

fn numbers(bench: &Bench) -> impl Future<Output = ()> {
    bench.put("in/.env", "SECRET=1");
    let config = json!({"path": "in/n.parquet", "compression": "snappy"});
    async move {
        bench.write("filesystem.parquet_writer", "SELECT i AS n, 'x' AS t FROM range(10) r(i)", config).await.unwrap();
    }
}

#[tokio::test]
async fn s24_a_filter_is_a_condition_and_nothing_else() {
    let bench = Bench::new();
    numbers(&bench).await;
    for (filter, rows) in [("n > 6", 3), ("n IN (1, 2) -- two", 2), ("t LIKE 'x!%%' ESCAPE '!' OR n = 1", 1)] {
        let read = bench.parquet(json!({"path": "in/n.parquet", "filter": filter})).await.unwrap();
        assert_eq!(read.rows().len(), rows, "{filter}");
    }
    let secret = bench.path("in/.env").display().to_string();
    let stolen = bench.path("in/stolen.csv").display().to_string();
    for filter in [
        format!(
            "true) LIMIT 1; COPY (SELECT * FROM read_text('{secret}')) TO '{stolen}'; SELECT * FROM (SELECT 1) WHERE (true"
        ),
        "true); COMMIT; DELETE FROM steps.input; BEGIN; SELECT * FROM (SELECT 1) WHERE (true".to_owned(),
        format!("(SELECT count(*) FROM read_text('{secret}')) > 0"),
        "EXISTS (FROM steps.input)".to_owned(),
        "n = 1 OR query('SELECT 1') IS NULL".to_owned(),
        "count(*) > 1".to_owned(),
        "n = 1;".to_owned(),
    ] {
        let config = json!({"path": "in/n.parquet", "filter": filter});
        let mut registry = Registry::new();
        osiris_driver_filesystem::register(&mut registry).unwrap();
        let driver = registry.get("filesystem.parquet_extractor").unwrap();
        let prepared = driver.prepare(&config, None, &bench.path(""));
        let problems = prepared.config_problems();
        assert!(problems.iter().any(|problem| problem.pointer == "/filter" && problem.offset.is_some()), "{filter}");
        let error = bench.parquet(config).await.err().unwrap_or_else(|| panic!("accepted: {filter}"));
        assert_eq!(error.kind(), ErrorKind::Validation, "{filter}");
    }
    assert_eq!(bench.files(), ["in/.env", "in/n.parquet"]);
    assert_eq!(bench.query("SELECT count(*)::VARCHAR FROM steps.input").await, "10");
}

/// A step of a connection with this `base_dir`, as the connection and the step state it.
async fn read_below(bench: &Bench, base_dir: serde_json::Value, path: &str) -> Result<(), osiris_core::Error> {
    let step = (json!({"path": path}), json!({"base_dir": base_dir}));
    bench.request("filesystem.csv_extractor", StepRequest::new("step"), step, Inputs::none()).await.map(drop)
}

#[tokio::test]
async fn s28_a_step_narrows_the_base_dir_of_its_connection() {
    let bench = Bench::new();
    bench.put("lake/2024/a.csv", "a\n1\n").put("lake/b.csv", "a\n1\n").put("outside/c.csv", "a\n1\n");
    std::os::unix::fs::symlink(bench.path("outside"), bench.path("lake/link")).unwrap();
    read_below(&bench, json!(["lake", "2024"]), "a.csv").await.unwrap();
    read_below(&bench, json!(["lake", "."]), "b.csv").await.unwrap();
    let outside = bench.path("outside").display().to_string();
    for (inner, path) in [
        ("/", "c.csv"),
        (outside.as_str(), "c.csv"),
        ("..", "outside/c.csv"),
        ("../outside", "c.csv"),
        ("2024/../../outside", "c.csv"),
        ("link", "c.csv"),
        ("2024", "../b.csv"),
    ] {
        let error = read_below(&bench, json!(["lake", inner]), path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{inner}: {}", error.report());
    }
}

#[tokio::test]
async fn s33_a_compressed_file_holds_no_more_than_is_allowed() {
    let bench = Bench::new();
    let text = format!("a\n{}", "1\n".repeat(500_000));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bzip2.write_all(text.as_bytes()).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(text.as_bytes()).unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("t.csv", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(text.as_bytes()).unwrap();
    bench
        .put("t.csv.gz", gzip.finish().unwrap())
        .put("t.csv.bz2", bzip2.finish().unwrap())
        .put("t.csv.xz", xz.finish().unwrap())
        .put("t.csv.zst", zstd::stream::encode_all(text.as_bytes(), 3).unwrap())
        .put("t.csv.zip", zip.finish().unwrap().into_inner())
        .put("t.csv", &text);
    for ending in ["gz", "bz2", "xz", "zst", "zip"] {
        let path = format!("t.csv.{ending}");
        let exact = json!({"path": path, "max_uncompressed_bytes": text.len()});
        assert_eq!(bench.csv(exact).await.unwrap().rows().len(), 500_000, "{ending}");
        let error = bench.csv_error(json!({"path": path, "max_uncompressed_bytes": text.len() - 1})).await;
        assert!(error.contains("is larger than 1000001 bytes uncompressed"), "{ending}: {error}");
        assert!(error.contains("max_uncompressed_bytes"), "{ending}: {error}");
    }
    // It is not about files that are not compressed.
    bench.csv(json!({"path": "t.csv", "max_uncompressed_bytes": 1})).await.unwrap();
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn s33_xz_takes_no_more_than_256_mib() {
    let bench = Bench::new();
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(300 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(b"a\n1\n").unwrap();
    bench.put("t.csv.xz", encoder.finish().unwrap());
    let error = bench.csv_error(json!({"path": "t.csv.xz"})).await;
    assert!(error.contains("`t.csv.xz` needs more than 256 MiB of memory to decompress"), "{error}");
}

#[tokio::test]
async fn s27_a_writer_and_an_extractor_open_exact_files() {
    let bench = Bench::exact(&["out/old.parquet"]);
    let append = json!({"path": "out/old.parquet", "mode": "append"});
    let written = bench.write("filesystem.parquet_writer", "SELECT 1 AS a", append.clone()).await.unwrap();
    assert_eq!(written.counts.inserted, 1);
    bench.write("filesystem.parquet_writer", "SELECT 2 AS a", append).await.unwrap();
    let parts = json!({"path": "parts", "partition_by": ["p"]});
    bench.write("filesystem.parquet_writer", "SELECT i AS a, i % 2 AS p FROM range(4) r(i)", parts).await.unwrap();
    bench.put("a[1]*.csv", "a\n1\n").put("a1x.csv", "a\n2\n");
    assert_eq!(bench.parquet(json!({"path": "out/old.parquet"})).await.unwrap().rows(), [["1"], ["2"]]);
    assert_eq!(bench.parquet(json!({"path": "parts"})).await.unwrap().rows().len(), 4);
    assert_eq!(bench.csv(json!({"path": "a[1]*.csv"})).await.unwrap().rows(), [["1"]]);
    assert_eq!(bench.scratch(), 0);
}
