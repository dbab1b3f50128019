//! When a request is sent again, and when not.

use std::time::{Duration, SystemTime};

use osiris_core::{Error, ErrorKind, NextTry, RetryPolicy};
use osiris_http::{Explained, HttpSettings, Repeat, Request, SimulatedClock};
use osiris_testkit::http_server::{HttpServer, Reply};

use crate::{client, settings};

#[tokio::test]
async fn an_answer_that_is_cut_or_never_comes_is_asked_for_again() {
    let cut = || Reply::text(200, "0123456789").cut_after(4);
    let server = HttpServer::scripted([cut(), Reply::hang_up(), Reply::text(200, "whole")]).unwrap();
    let client = client(settings(&server));
    let page = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap();
    assert_eq!(page.text().unwrap(), "whole");
    let counts = client.counts();
    assert_eq!((counts.requests, counts.repeated), (3, 2));
}

#[tokio::test]
async fn damaged_compression_is_asked_for_again() {
    let server = HttpServer::scripted([
        Reply::new(200).encoded("gzip", &b"\x1f\x8b\x08\0damaged and more"[..]),
        Reply::text(200, "whole").gzip(),
    ])
    .unwrap();
    let client = client(settings(&server));
    assert_eq!(client.fetch(&Request::get(client.url("").unwrap())).await.unwrap().text().unwrap(), "whole");
}

#[tokio::test]
async fn a_post_whose_outcome_is_unknown_is_not_sent_again_and_says_so() {
    for fault in [Reply::hang_up(), Reply::text(201, "0123456789").cut_after(4), Reply::new(503), Reply::new(500)] {
        let server = HttpServer::start(move |_| std::future::ready(fault.clone())).unwrap();
        let client = client(settings(&server));
        let request = Request::post(client.url("rows").unwrap()).json(&[1]).unwrap().what("writing rows");
        let error = client.fetch(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(!error.is_retryable(), "a step's retries must not send it again either");
        assert!(error.report().contains("outcome: unknown"), "{error:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_post_is_sent_again_where_the_server_surely_did_nothing() {
    let server =
        HttpServer::scripted([Reply::new(429), Reply::new(503).header("x-code", "before"), Reply::new(201)]).unwrap();
    let explained = settings(&server).with_explain(|failure| {
        let error = failure.error_of(ErrorKind::Network, "the database is down");
        failure.header("x-code").map(|_| Explained::not_processed(error))
    });
    let client = client(explained);
    let page = client.fetch(&Request::post(client.url("").unwrap()).json(&[1]).unwrap()).await.unwrap();
    assert_eq!(page.status(), 201);
    assert!(server.requests().iter().all(|seen| seen.json() == serde_json::json!([1])));
}

#[tokio::test]
async fn a_post_that_only_reads_is_sent_again_when_it_says_so() {
    let server = HttpServer::scripted([Reply::hang_up(), Reply::new(500), Reply::text(200, "read")]).unwrap();
    let client = client(settings(&server));
    let request = Request::post(client.url("").unwrap()).json(&[1]).unwrap().repeat(Repeat::Always);
    assert_eq!(client.fetch(&request).await.unwrap().text().unwrap(), "read");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = HttpSettings::new(&format!("http://127.0.0.1:{port}")).unwrap();
    let client = client(settings.with_retry(RetryPolicy::never()));
    let error = client.fetch(&Request::post(client.url("").unwrap())).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true));
    assert!(error.message().contains("failed to connect to the server"), "{error:?}");
    let settings = HttpSettings::new("http://no-such-host.invalid").unwrap();
    let client = crate::client(settings.with_retry(RetryPolicy::never()));
    let error = client.fetch(&Request::post(client.url("").unwrap())).await.unwrap_err();
    assert!(error.message().contains("unknown host") && !error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn the_server_says_how_long_to_wait_in_seconds_or_by_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (header, seconds) in [("77", 77), ("Tue, 14 Nov 2023 22:15:20 GMT", 120)] {
        let server = HttpServer::scripted([Reply::new(429).header("retry-after", header), Reply::new(204)]).unwrap();
        let clock = SimulatedClock::starting_at(now);
        let client = client(settings(&server)).with_clock(std::sync::Arc::new(clock.clone()));
        client.fetch(&Request::get(client.url("").unwrap())).await.unwrap();
        assert_eq!(clock.elapsed(), Duration::from_secs(seconds), "{header}");
        assert_eq!(client.counts().rate_limit_wait, Duration::from_secs(seconds), "{header}");
    }
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_an_error_at_once_that_tells_it() {
    let server = HttpServer::scripted([Reply::new(429).header("retry-after", "3600")]).unwrap();
    let client = client(settings(&server));
    let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(error.is_retryable() && error.hint().unwrap().contains("run again after"), "{error:?}");
    assert!(error.report().contains("a longer wait than is allowed"), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn delays_grow_and_are_spread_by_chance() {
    let server = HttpServer::scripted([Reply::new(500)]).unwrap();
    let clock = SimulatedClock::default();
    let settings = HttpSettings::new(&server.url()).unwrap();
    let client =
        client(settings).with_clock(std::sync::Arc::new(clock.clone())).with_jitter(std::sync::Arc::new(|| 0.0));
    client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
    assert_eq!(clock.slept(), [500, 1000, 2000, 4000].map(Duration::from_millis));
}

#[tokio::test]
async fn a_refusal_inside_of_a_success_is_one_as_well() {
    let server = HttpServer::scripted([Reply::text(200, "THROTTLED"), Reply::text(200, "fine")]).unwrap();
    let clock = SimulatedClock::default();
    let client = client(settings(&server)).with_clock(std::sync::Arc::new(clock.clone()));
    let request = Request::post(client.url("").unwrap()).repeat(Repeat::Always);
    let text = client
        .fetch_as(&request, |page| match page.text()? {
            "THROTTLED" => Err(Error::network("throttled").with_retry_after(Duration::from_secs(9))),
            text => Ok(text.to_owned()),
        })
        .await
        .unwrap();
    assert_eq!((text.as_str(), clock.elapsed()), ("fine", Duration::from_secs(9)));
}

#[tokio::test]
async fn s46_no_server_makes_a_request_or_a_step_sleep_for_longer_than_allowed() {
    let policy = RetryPolicy::default();
    for (status, value) in [
        (429, "31536000"),
        (503, "31536000"),
        (429, "Thu, 01 Jan 2099 00:00:00 GMT"),
        (429, "1e30"),
        (429, "99999999999999999999999"),
    ] {
        let reply = Reply::new(status).header("retry-after", value);
        let server = HttpServer::start(move |_| std::future::ready(reply.clone())).unwrap();
        let clock = SimulatedClock::default();
        let client = client(settings(&server)).with_clock(std::sync::Arc::new(clock.clone()));
        let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
        assert!(error.is_retryable() && error.report().contains("not tried again"), "{error:?}");
        assert!(error.hint().unwrap().contains("run again after"), "{error:?}");
        let next = policy.next_try(1, Duration::ZERO, &error, 0.5);
        assert!(matches!(next, NextTry::TooFarAway(_)), "{value}: {next:?}");
        assert_eq!((clock.elapsed(), server.requests().len()), (Duration::ZERO, 1), "{value}");
        // The pace that it leaves does not delay other requests either.
        let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
        let next = policy.next_try(1, Duration::ZERO, &error, 0.5);
        assert!(!matches!(next, NextTry::After(delay) if delay > Duration::from_secs(300)), "{value}: {next:?}");
        assert!(clock.elapsed() <= Duration::from_secs(300), "{value}: {:?}", clock.elapsed());
    }
}

#[tokio::test]
async fn s64_a_server_that_is_away_for_a_minute_is_outlasted_where_patience_is_asked_for() {
    let clock = SimulatedClock::default();
    let away = clock.clone();
    let server = HttpServer::start(move |_| {
        std::future::ready(if away.elapsed() < Duration::from_secs(60) { Reply::new(503) } else { Reply::new(204) })
    })
    .unwrap();
    let settings = HttpSettings::new(&server.url()).unwrap().with_retry(RetryPolicy::default());
    let client = client(settings).with_clock(std::sync::Arc::new(clock.clone()));
    client.fetch(&Request::get(client.url("").unwrap())).await.unwrap();
    assert!(clock.elapsed() < Duration::from_secs(150), "{:?}", clock.elapsed());
}

#[tokio::test]
async fn s61_a_time_out_without_any_byte_is_a_failed_connection_and_one_within_an_answer_is_none() {
    for (reply, dead) in [
        (Reply::text(200, "late").after(Duration::from_secs(60)), true),
        (Reply::text(200, "0123456789").stall_after(3), false),
    ] {
        let server = HttpServer::start(move |_| std::future::ready(reply.clone())).unwrap();
        let client = client(settings(&server).with_request_timeout(Duration::from_secs(1)));
        let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
        assert_eq!((error.kind(), error.is_connection_failed()), (ErrorKind::Timeout, dead), "{error:?}");
    }
}

#[tokio::test]
async fn s61_a_request_on_a_dead_link_is_given_up_in_time_with_the_default_retries() {
    // How long each request takes until it is given up: hardly any time, and the default of a minute.
    for takes in [Duration::ZERO, Duration::from_secs(60)] {
        let clock = SimulatedClock::default();
        let passing = clock.clone();
        let server = HttpServer::start(move |_| {
            passing.advance(takes);
            std::future::ready(Reply::new(200).after(Duration::from_secs(3600)))
        })
        .unwrap();
        let settings = HttpSettings::new(&server.url()).unwrap().with_retry(RetryPolicy::default());
        let client = client(settings.with_request_timeout(Duration::from_millis(200)));
        let client = client.with_clock(std::sync::Arc::new(clock.clone()));
        let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
        assert_eq!((error.kind(), error.is_connection_failed()), (ErrorKind::Timeout, true), "{error:?}");
        // For as long as a server may take to restart, and not for an hour.
        let (elapsed, requests) = (clock.elapsed(), server.requests().len());
        assert!(elapsed >= Duration::from_secs(60) && elapsed <= Duration::from_secs(250), "{elapsed:?}");
        assert!((3..=12).contains(&requests), "{takes:?}: {requests} requests");
        // The step does not begin all over again: its own retries know what was tried.
        assert_eq!(RetryPolicy::default().next_try(1, Duration::ZERO, &error, 0.5), NextTry::Never, "{error:?}");
    }
}
