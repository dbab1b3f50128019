//! The stand-in behaves like PostHog, in each point that the driver depends on.

use std::time::{Duration, Instant};

use osiris_core::{Result, Secret};
use osiris_http::{Auth, HttpClient, HttpSettings, Request};
use osiris_stand_ins::posthog::{PostHog, PostHogOptions, Trouble, uuid};
use serde_json::{Value, json};

use crate::support::{MINUTE, NOON, events};

/// Status, headers and body of an answer to this request.
async fn ask_with(posthog: &PostHog, key: &str, path: &str, body: &Value) -> (u16, Option<String>, Value) {
    let settings = HttpSettings::new(&posthog.url()).unwrap().with_auth(Auth::Bearer(Secret::new(key))).unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keep = std::sync::Arc::clone(&seen);
    let settings = settings.with_retry(osiris_core::RetryPolicy::never()).with_explain(move |failure| {
        let retry = failure.header("retry-after").map(str::to_owned);
        *keep.lock().unwrap() = Some((failure.status(), retry, failure.json().unwrap_or_default()));
        None
    });
    let client = HttpClient::new(settings).unwrap();
    let request = Request::post(client.url(path).unwrap()).json(body).unwrap();
    let answer: Result<_> = client.fetch(&request).await;
    match answer {
        Ok(page) => (page.status(), None, page.json().unwrap_or_default()),
        Err(error) => seen.lock().unwrap().take().ok_or(error).unwrap(),
    }
}

async fn ask(posthog: &PostHog, hogql: &str) -> (u16, Value) {
    let body = json!({"query": {"kind": "HogQLQuery", "query": hogql}, "refresh": "force_blocking", "name": "test"});
    let (status, _, body) = ask_with(posthog, "phx_test", "api/projects/42/query/", &body).await;
    (status, body)
}

async fn with_events(count: i64) -> PostHog {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..count).map(|number| NOON + number))).await.unwrap();
    posthog
}

fn rows(body: &Value) -> usize {
    body["results"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_answer_has_rows_columns_types_and_whether_there_is_more() {
    let posthog = with_events(3).await;
    let (status, body) = ask(&posthog, "SELECT uuid, timestamp FROM events ORDER BY timestamp LIMIT 2").await;
    assert_eq!(status, 200);
    assert_eq!(body["results"][1], json!([uuid(1), "2024-01-31T12:00:00.000001Z"]));
    assert_eq!(body["columns"], json!(["uuid", "timestamp"]));
    assert_eq!(body["types"], json!([["uuid", "UUID"], ["timestamp", "DateTime64(6, 'UTC')"]]));
    assert_eq!((&body["hasMore"], &body["limit"], &body["offset"]), (&json!(true), &json!(2), &json!(0)));
    assert_eq!(body["is_cached"], false);
}

#[tokio::test]
async fn without_a_limit_there_are_100_rows() {
    let posthog = with_events(150).await;
    let (_, body) = ask(&posthog, "SELECT uuid FROM events").await;
    assert_eq!((rows(&body), &body["hasMore"]), (100, &json!(true)));
}

#[tokio::test]
async fn a_limit_over_50_000_is_cut_in_silence() {
    let posthog = PostHog::start().unwrap();
    let select = "SELECT i::VARCHAR AS uuid, make_timestamp(i) AS timestamp FROM range(50001) t(i)";
    posthog.insert_select("events", select).await.unwrap();
    let (status, body) = ask(&posthog, "SELECT uuid FROM events LIMIT 60000").await;
    assert_eq!((status, rows(&body), &body["limit"]), (200, 50_000, &json!(50_000)));
}

#[tokio::test]
async fn an_offset_is_refused() {
    let posthog = with_events(3).await;
    let (status, body) = ask(&posthog, "SELECT uuid FROM events LIMIT 1 OFFSET 1").await;
    assert_eq!((status, &body["type"]), (400, &json!("validation_error")));
}

#[tokio::test]
async fn answers_are_cached_unless_refresh_says_otherwise() {
    let posthog = with_events(1).await;
    let count = |refresh: Value| {
        let posthog = posthog.clone();
        async move {
            let body =
                json!({"query": {"kind": "HogQLQuery", "query": "SELECT count() FROM events"}, "refresh": refresh});
            let (_, _, body) = ask_with(&posthog, "phx_test", "api/projects/42/query/", &body).await;
            (body["results"][0][0].as_i64().unwrap(), body["is_cached"].as_bool().unwrap())
        }
    };
    assert_eq!(count(json!("blocking")).await, (1, false));
    posthog.insert_events(&events(1, [NOON])).await.unwrap();
    assert_eq!(count(json!("blocking")).await, (1, true));
    assert_eq!(count(json!("force_blocking")).await, (2, false));
}

#[tokio::test]
async fn asynchronous_queries_are_put_off() {
    let posthog = with_events(1).await;
    let body = json!({"query": {"kind": "HogQLQuery", "query": "SELECT 1"}, "refresh": "force_async"});
    let (status, _, body) = ask_with(&posthog, "phx_test", "api/projects/42/query/", &body).await;
    assert_eq!((status, &body["query_status"]["complete"]), (202, &json!(false)));
}

#[tokio::test]
async fn moments_have_microseconds() {
    let posthog = with_events(10).await;
    let after = |digits: u32| {
        format!("SELECT uuid FROM events WHERE timestamp > toDateTime64('2024-01-31 12:00:00.000004', {digits}, 'UTC')")
    };
    assert_eq!(rows(&ask(&posthog, &after(6)).await.1), 5);
    assert_eq!(rows(&ask(&posthog, &after(3)).await.1), 9);
}

#[tokio::test]
async fn a_moment_without_a_zone_is_in_that_of_the_project() {
    let posthog = PostHog::with(PostHogOptions::default().with_time_zone(3600)).unwrap();
    posthog.insert_events(&events(0, [NOON, NOON + 90 * MINUTE])).await.unwrap();
    let from = |zone: &str| {
        format!("SELECT timestamp FROM events WHERE timestamp >= toDateTime64('2024-01-31 13:00:00', 6{zone})")
    };
    let (_, body) = ask(&posthog, &from("")).await;
    assert_eq!(body["results"], json!([["2024-01-31T13:00:00+01:00"], ["2024-01-31T14:30:00+01:00"]]));
    assert_eq!(rows(&ask(&posthog, &from(", 'UTC'")).await.1), 1);
}

#[tokio::test]
async fn keys_and_projects_are_checked_as_posthog_words_it() {
    let posthog = with_events(1).await;
    let body = json!({"query": {"kind": "HogQLQuery", "query": "SELECT 1"}});
    let (status, _, answer) = ask_with(&posthog, "phx_wrong", "api/projects/42/query/", &body).await;
    assert_eq!(status, 401);
    assert_eq!(
        answer,
        json!({
            "type": "authentication_error", "code": "authentication_failed",
            "detail": "Personal API key found in request Authorization header is invalid.", "attr": null,
        })
    );
    let (status, _, answer) = ask_with(&posthog, "phx_without_scope", "api/projects/42/query/", &body).await;
    assert_eq!((status, &answer["code"]), (403, &json!("permission_denied")));
    let (status, _, answer) = ask_with(&posthog, "phx_test", "api/projects/7/query/", &body).await;
    assert_eq!((status, &answer["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn a_field_that_is_not_there_is_named() {
    let posthog = with_events(1).await;
    let (status, body) = ask(&posthog, "SELECT nope FROM events").await;
    assert_eq!((status, &body["type"]), (400, &json!("validation_error")));
    assert_eq!((&body["detail"], &body["attr"]), (&json!("Unable to resolve field: nope"), &Value::Null));
}

#[tokio::test]
async fn a_person_cannot_be_selected_whole() {
    let posthog = with_events(1).await;
    assert_eq!(ask(&posthog, "SELECT person FROM events").await.0, 400);
}

#[tokio::test]
async fn too_many_requests_are_throttled_with_a_time_to_wait() {
    let posthog = PostHog::with(PostHogOptions::default().with_cloud_limits()).unwrap();
    let body = json!({"query": {"kind": "HogQLQuery", "query": "SELECT 1"}});
    let started = Instant::now();
    for _ in 0..240 {
        assert_eq!(ask(&posthog, "SELECT 1").await.0, 200);
    }
    // On a machine so slow that a minute has passed, there is nothing to see.
    if started.elapsed() < Duration::from_secs(55) {
        let (status, retry, answer) = ask_with(&posthog, "phx_test", "api/projects/42/query/", &body).await;
        assert_eq!((status, &answer["type"], &answer["code"]), (429, &json!("throttled_error"), &json!("throttled")));
        let seconds: u64 = retry.unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
        assert_eq!(answer["detail"], format!("Request was throttled. Expected available in {seconds} seconds."));
    }
}

#[tokio::test]
async fn more_than_three_queries_at_once_are_throttled_without_one() {
    let posthog = with_events(1).await;
    posthog.script(std::iter::repeat_n(Some(Trouble::Slow(Duration::from_millis(1))), 1));
    let body =
        json!({"query": {"kind": "HogQLQuery", "query": "SELECT count() FROM events"}, "refresh": "force_blocking"});
    // A fourth query that comes while three run is refused; how many come at the same time is not in our hands.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let burst = (0..24).map(|_| {
            let (posthog, body) = (posthog.clone(), body.clone());
            tokio::spawn(async move { ask_with(&posthog, "phx_test", "api/projects/42/query/", &body).await })
        });
        let mut refused = Vec::new();
        for answer in burst.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            if answer.0 == 429 {
                refused.push(answer);
            }
        }
        if let Some((_, retry, answer)) = refused.first() {
            assert_eq!((retry, &answer["type"]), (&None, &json!("throttled_error")));
            return;
        }
        assert!(Instant::now() < deadline, "24 queries at once were never four");
    }
}

#[tokio::test]
async fn a_query_over_too_many_rows_takes_too_long() {
    let posthog = PostHog::with(PostHogOptions::default().with_execution_limit(50)).unwrap();
    posthog.insert_events(&events(0, (0..100).map(|number| NOON + number))).await.unwrap();
    let (status, body) = ask(&posthog, "SELECT uuid FROM events LIMIT 1").await;
    assert_eq!(status, 504);
    assert!(body["detail"].as_str().unwrap().contains("max execution time"));
    let some = "SELECT uuid FROM events WHERE timestamp < toDateTime64('2024-01-31 12:00:00.000050', 6, 'UTC') LIMIT 1";
    assert_eq!(ask(&posthog, some).await.0, 200);
}

#[tokio::test]
async fn late_events_have_old_timestamps_and_many_share_one() {
    let posthog = with_events(5).await;
    posthog.arrive_after(1, events(100, [NOON - MINUTE, NOON - MINUTE]));
    let count = "SELECT count() FROM events WHERE timestamp = toDateTime64('2024-01-31 11:59:00', 6, 'UTC')";
    assert_eq!(ask(&posthog, count).await.1["results"][0][0], 0);
    assert_eq!(ask(&posthog, count).await.1["results"][0][0], 2);
}
