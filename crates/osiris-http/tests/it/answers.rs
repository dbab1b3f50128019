//! What answers mean: bodies, encodings, sizes, and the errors they become.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use osiris_core::{Error, ErrorKind, Secret};
use osiris_http::{Auth, Request};
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{client, settings};

fn brotli(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut text.as_ref(), &mut out, &Default::default()).unwrap();
    out
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// What a client that tries three times makes of this answer, and how often it has asked.
async fn answer(reply: Reply) -> (osiris_core::Result<String>, usize) {
    let server = HttpServer::start(move |_| std::future::ready(reply.clone())).unwrap();
    let client = client(settings(&server));
    let request = Request::get(client.url("").unwrap()).what("reading rows");
    let text = client.fetch(&request).await.and_then(|page| page.text().map(str::to_owned));
    (text, server.requests().len())
}

#[tokio::test]
async fn every_encoding_is_undone_and_connections_are_used_again() {
    let text = json!({"rows": vec!["a value that comes again"; 100]}).to_string();
    let plain = text.clone();
    let server = HttpServer::start(move |seen| {
        let reply = Reply::text(200, &plain);
        std::future::ready(match seen.path() {
            "/gzip" => reply.gzip(),
            "/br" => reply.encoded("br", brotli(&plain)),
            "/zstd" => reply.encoded("zstd", zstd::encode_all(plain.as_bytes(), 3).unwrap()),
            _ => reply,
        })
    })
    .unwrap();
    let client = client(settings(&server));
    for path in ["plain", "gzip", "br", "zstd"] {
        let page = client.fetch(&Request::get(client.url(path).unwrap())).await.unwrap();
        assert_eq!(page.text().unwrap(), text, "{path}");
    }
    assert_eq!(server.connections(), 1);
    let accepted = server.requests()[0].header("accept-encoding").unwrap().to_owned();
    assert!(["gzip", "br", "zstd"].iter().all(|coding| accepted.contains(coding)), "{accepted}");
    assert_eq!(client.counts().bytes, 4 * u64::try_from(text.len()).unwrap());
}

#[tokio::test]
async fn every_member_of_a_gzip_body_is_read_however_it_is_cut() {
    let half = "0123456789".repeat(5000);
    let body = [gzip(&half), gzip(""), gzip(&half)].concat();
    let cut = body.clone();
    let server = HttpServer::start(move |seen| {
        std::future::ready(match seen.path() {
            "/cut" => Reply::new(200).encoded("gzip", cut[..cut.len() - 3].to_vec()),
            "/none" => Reply::new(200).encoded("gzip", Vec::new()),
            _ => Reply::new(200).encoded("X-GZip", body.clone()),
        })
    })
    .unwrap();
    let client = client(settings(&server));
    let fetch = async |path| client.fetch(&Request::get(client.url(path).unwrap())).await;
    let page = fetch("").await.unwrap();
    assert!(page.text().unwrap() == half.repeat(2) && page.header("content-encoding").is_none());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(fetch("none").await.unwrap().text().unwrap(), "");
    let error = fetch("cut").await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true), "{error:?}");
}

#[tokio::test]
async fn zeros_behind_a_gzip_member_are_padding_and_anything_else_is_not_gzip() {
    let half = "0123456789".repeat(5000);
    for zeros in [1, 9, 5000] {
        for body in [[gzip(&half), vec![0; zeros]].concat(), [gzip(""), vec![0; zeros], gzip(&half)].concat()] {
            let (text, requests) = answer(Reply::new(200).encoded("gzip", body)).await;
            assert!((&*text.unwrap(), requests) == (&*half, 1), "{zeros}");
        }
    }
    let followed = [gzip("{}"), b"\n".to_vec()].concat();
    for body in [b"{}".to_vec(), half.into_bytes(), b"\x1f{not gzip either}".to_vec(), followed, vec![0; 9]] {
        let (text, requests) = answer(Reply::new(200).encoded("gzip", body)).await;
        let error = text.unwrap_err();
        assert_eq!(error.message(), "reading rows: the response is not gzip, as its header says");
        assert_eq!((error.kind(), error.is_retryable(), requests), (ErrorKind::Validation, false, 1), "{error:?}");
        assert!(error.hint().unwrap().contains("content-encoding"), "{error:?}");
    }
}

#[tokio::test]
async fn what_does_not_begin_as_zstd_does_is_not_zstd() {
    let text = "0123456789".repeat(5000);
    let cut = b"\x28\xb5\x2f{".to_vec();
    for (coding, body) in [("zstd", b"{}".to_vec()), ("zstd", cut), ("zstd", gzip(&text)), ("zstd, gzip", gzip(&text))]
    {
        let (read, requests) = answer(Reply::new(200).encoded(coding, body)).await;
        let error = read.unwrap_err();
        assert_eq!(error.message(), "reading rows: the response is not zstd, as its header says", "{coding}");
        assert_eq!((error.kind(), error.is_retryable(), requests), (ErrorKind::Validation, false, 1), "{error:?}");
        assert!(error.hint().unwrap().contains("content-encoding"), "{error:?}");
    }
}

#[tokio::test]
async fn codings_are_undone_in_the_opposite_order_in_one_line_or_several() {
    let text = "a value that comes again ".repeat(2000);
    let zstd = |plain: &[u8]| zstd::encode_all(plain, 3).unwrap();
    for (codings, body) in [
        (&["identity, gzip"][..], gzip(&text)),
        (&["gzip,identity"], gzip(&text)),
        (&["identity", "GZIP"], gzip(&text)),
        (&["gzip", ""], gzip(&text)),
        (&["br", "gzip"], gzip(brotli(&text))),
        (&["gzip, br"], brotli(gzip(&text))),
        (&["gzip", "zstd, identity"], zstd(&gzip(&text))),
        (&["zstd, br", "gzip"], gzip(brotli(zstd(text.as_bytes())))),
        (&["identity", "identity"], text.clone().into_bytes()),
    ] {
        let reply = codings.iter().fold(Reply::new(200), |reply, line| reply.header("content-encoding", line));
        let (read, requests) = answer(reply.body(body)).await;
        assert!((&*read.unwrap(), requests) == (&*text, 1), "{codings:?}");
    }
}

#[tokio::test]
async fn a_compressed_body_that_is_cut_is_asked_for_again() {
    let text = "a value that comes again ".repeat(2000);
    for (coding, mut body) in [
        ("gzip", gzip(&text)),
        ("br", brotli(&text)),
        ("zstd", zstd::encode_all(text.as_bytes(), 3).unwrap()),
        ("gzip, br", brotli(&gzip(&text)[..20])),
    ] {
        if coding != "gzip, br" {
            body.truncate(body.len() - 1);
        }
        let (read, requests) = answer(Reply::new(200).encoded(coding, body)).await;
        let error = read.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable(), requests), (ErrorKind::Network, true, 3), "{coding} {error:?}");
    }
}

#[tokio::test]
async fn headers_that_are_too_large_are_called_that_and_not_asked_for_again() {
    let many = (0..101).fold(Reply::text(200, "{}"), |reply, number| reply.header(&format!("x-{number}"), "1"));
    for reply in [many, Reply::text(200, "{}").header("x-long", &"1".repeat(4_000_000))] {
        let (read, requests) = answer(reply).await;
        let error = read.unwrap_err();
        assert!(error.message().starts_with("reading rows: the headers of the response are too large"), "{error:?}");
        assert!(error.hint().unwrap().contains("fewer or shorter headers"), "{error:?}");
        assert_eq!((error.kind(), error.is_retryable(), requests), (ErrorKind::Validation, false, 1));
    }
}

#[tokio::test]
async fn a_coding_that_was_not_asked_for_is_named_after_one_request() {
    for coding in ["gzip, deflate", "deflate", "compress", "gzip, gzip, gzip, gzip, gzip"] {
        let server =
            HttpServer::start(move |_| std::future::ready(Reply::new(200).encoded(coding, &b"{}"[..]))).unwrap();
        let client = client(settings(&server));
        let request = Request::get(client.url("").unwrap()).what("reading rows");
        let error = client.fetch(&request).await.unwrap_err();
        let said = format!("reading rows: the response is compressed with `{coding}`, which is not supported");
        assert_eq!((error.message(), error.kind()), (&*said, ErrorKind::Validation));
        assert_eq!(server.requests().len(), 1, "{coding}");
        assert_eq!(client.open(&request).await.unwrap_err().message(), said);
    }
    let server = HttpServer::scripted([Reply::new(200).encoded("identity", &b"plain"[..])]).unwrap();
    let client = client(settings(&server));
    assert_eq!(client.fetch(&Request::get(client.url("").unwrap())).await.unwrap().text().unwrap(), "plain");
}

#[tokio::test]
async fn a_403_that_asks_to_wait_is_a_rate_limit_whatever_the_driver_takes_a_403_for() {
    let wait = || Reply::new(403).header("retry-after", "0.2");
    let used_up = || {
        let reply = Reply::new(403).header("x-ratelimit-limit", "60");
        reply.header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "1")
    };
    let server = HttpServer::scripted([wait(), used_up(), Reply::text(200, "whole")]).unwrap();
    let settings = settings(&server).with_explain(|failure| {
        (failure.status() == 403).then(|| failure.error_of(ErrorKind::Permission, "no access").into())
    });
    let started = Instant::now();
    let page = client(settings.clone()).fetch(&Request::post(settings_url(&server))).await.unwrap();
    assert_eq!((page.text().unwrap(), server.requests().len()), ("whole", 3));
    assert!(started.elapsed() >= Duration::from_millis(1200), "{:?}", started.elapsed());
    let server = HttpServer::scripted([Reply::new(403).header("x-ratelimit-remaining", "5")]).unwrap();
    let error = client(self::settings(&server)).fetch(&Request::get(settings_url(&server))).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Permission, 1));
}

fn settings_url(server: &HttpServer) -> osiris_http::Url {
    osiris_http::Url::parse(&server.url()).unwrap()
}

#[tokio::test]
async fn each_status_becomes_an_error_of_its_kind_with_what_the_server_says() {
    let server = HttpServer::start(|seen| {
        let status = seen.path().trim_start_matches('/').parse().unwrap();
        std::future::ready(Reply::json(status, &json!({"detail": "Unable to resolve field: nope", "attr": null})))
    })
    .unwrap();
    let client = client(settings(&server));
    for (status, kind, requests) in [
        (400, ErrorKind::Validation, 1),
        (401, ErrorKind::Auth, 1),
        (403, ErrorKind::Permission, 1),
        (404, ErrorKind::Validation, 1),
        (408, ErrorKind::Timeout, 3),
        (429, ErrorKind::Network, 3),
        (500, ErrorKind::Network, 3),
        (504, ErrorKind::Timeout, 3),
    ] {
        let before = server.requests().len();
        let request = Request::get(client.url(&format!("{status}?secret=query")).unwrap()).what("reading rows");
        let error = client.fetch(&request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(server.requests().len() - before, requests, "{status}");
        let report = error.report();
        assert!(report.starts_with(&format!("reading rows: the server answered {status}")), "{report}");
        assert!(report.contains("Unable to resolve field: nope") && !report.contains("query"), "{report}");
    }
}

#[tokio::test]
async fn a_vendors_code_decides_whether_a_500_is_tried_again() {
    let server =
        HttpServer::start(|_| std::future::ready(Reply::json(500, &json!({"code": "21000", "message": "twice"}))))
            .unwrap();
    let explained = settings(&server).with_explain(|failure| {
        let code = failure.json()?.get("code")?.as_str()?.to_owned();
        (code == "21000").then(|| failure.error_of(ErrorKind::Validation, "a key comes twice in one batch").into())
    });
    let client = client(explained);
    let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Validation, false));
    assert_eq!(error.message(), "a key comes twice in one batch");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_error_of_ten_megabytes_is_cut_and_one_that_stalls_has_an_end() {
    let server = HttpServer::start(|seen| {
        let big = Reply::new(400).body(vec![b'x'; 10 << 20]);
        std::future::ready(if seen.path() == "/stall" { big.stall_after(1000) } else { big })
    })
    .unwrap();
    let lengths = std::sync::Arc::new(AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&lengths);
    let settings = settings(&server).with_request_timeout(Duration::from_millis(500)).with_explain(move |failure| {
        assert!(failure.is_cut());
        seen.store(failure.body().len(), Ordering::Relaxed);
        None
    });
    let client = client(settings);
    let error = client.fetch(&Request::get(client.url("big").unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(lengths.load(Ordering::Relaxed), 64 << 10);
    let error = client.fetch(&Request::get(client.url("stall").unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused_even_when_it_is_small_on_the_wire() {
    let spaces = " ".repeat(1 << 20);
    let twice = Reply::new(200).encoded("gzip, gzip", gzip(gzip(&spaces)));
    let br = Reply::new(200).encoded("br", brotli(" ".repeat(16 << 20)));
    for reply in [Reply::text(200, &spaces).gzip(), twice, br] {
        let server = HttpServer::start(move |_| std::future::ready(reply.clone())).unwrap();
        let client = client(settings(&server).with_response_limit(1000));
        let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
        assert!(error.message().contains("larger than 1000 bytes"), "{error:?}");
        assert!(error.hint().unwrap().contains("page size"));
        assert_eq!(server.requests().len(), 1, "it is not asked for again");
    }
}

#[tokio::test]
async fn a_web_page_instead_of_json_is_called_that() {
    let server = HttpServer::start(|seen| {
        let html = Reply::new(200).header("content-type", "text/html").body("\n<!doctype html><p>Log in</p>");
        std::future::ready(if seen.path() == "/empty" { Reply::new(200) } else { html })
    })
    .unwrap();
    let client = client(settings(&server));
    for (path, said) in [("", "is a web page: expected JSON"), ("empty", "is empty: expected JSON")] {
        let page = client.fetch(&Request::get(client.url(path).unwrap())).await.unwrap();
        let error = page.json::<Value>().unwrap_err();
        assert!(error.message().contains(said), "{error:?}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn truncated_json_is_asked_for_again() {
    let server =
        HttpServer::scripted([Reply::text(200, r#"{"a": [1, 2"#), Reply::text(200, r#"{"a": [1, 2]}"#)]).unwrap();
    let client = client(settings(&server));
    let request = Request::get(client.url("").unwrap());
    let value: Value = client.fetch_as(&request, |page| page.json()).await.unwrap();
    assert_eq!(value, json!({"a": [1, 2]}));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout_of_each_attempt() {
    let server =
        HttpServer::start(|_| std::future::ready(Reply::text(200, "late").after(Duration::from_secs(60)))).unwrap();
    let client = client(settings(&server).with_request_timeout(Duration::from_millis(500)));
    let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("no response within 500 ms"), "{error:?}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn all_attempts_together_have_an_end() {
    let server = HttpServer::start(|_| std::future::ready(Reply::text(200, "late").stall_after(2))).unwrap();
    let settings = settings(&server).with_total_timeout(Duration::from_millis(300));
    let client = client(settings.with_request_timeout(Duration::from_secs(60)));
    let started = Instant::now();
    let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.report().contains("total timeout"), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_stream_comes_in_pieces_and_a_cut_one_is_an_error() {
    let body = "0123456789".repeat(10_000);
    let whole = body.clone();
    let server = HttpServer::start(move |seen| {
        let reply = Reply::text(200, &body).header("content-range", "0-1/2");
        std::future::ready(if seen.path() == "/cut" { reply.cut_after(50_000) } else { reply })
    })
    .unwrap();
    let client = client(settings(&server));
    let mut stream = client.open(&Request::get(client.url("").unwrap())).await.unwrap();
    assert_eq!(stream.header("content-range"), Some("0-1/2"));
    let (mut text, mut pieces) = (Vec::new(), 0);
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.extend_from_slice(&piece);
        pieces += 1;
    }
    assert!(text == whole.as_bytes() && pieces > 1, "{pieces} pieces");
    let mut stream = client.open(&Request::get(client.url("cut").unwrap())).await.unwrap();
    let error = loop {
        match stream.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the end came too early"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[tokio::test]
async fn secrets_are_in_no_error() {
    let server = HttpServer::start(|_| {
        std::future::ready(Reply::json(400, &json!({"message": "your token s3cret-t0ken is wrong"})))
    })
    .unwrap();
    let client = client(settings(&server).with_auth(Auth::Bearer(Secret::new("s3cret-t0ken"))).unwrap());
    let error: Error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
    assert!(error.report().contains("your token *** is wrong"), "{error:?}");
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
}
