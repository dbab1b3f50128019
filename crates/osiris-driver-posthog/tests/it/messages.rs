//! What people read when something is wrong.

use std::time::Duration;

use osiris_core::{ErrorKind, HealthCategory};
use osiris_stand_ins::posthog::{PostHog, Trouble};
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::support::{NOON, bench, config, events, run};

/// How a run ends over this connection, as text.
async fn report(connection: Value) -> String {
    let bench = bench();
    let step = bench.step("events", "posthog.extractor", config(json!({}))).connection(connection);
    step.retry(osiris_core::RetryPolicy::never()).run().await.unwrap_err().error.report()
}

#[tokio::test]
async fn wrong_credentials_and_projects_are_told_with_what_to_do() {
    let posthog = PostHog::start().unwrap();
    let mut reports = Vec::new();
    for (field, value) in [
        ("api_key", json!("phc_project_key")),
        ("api_key", json!("phx_of_another_region")),
        ("api_key", json!("phx_without_scope")),
        ("project_id", json!(7)),
        ("project_id", json!("my project")),
        ("region", json!("eu")),
        ("custom_base_url", json!("localhost:8000")),
    ] {
        let mut connection = posthog.connection();
        connection[field] = value;
        let report = report(connection).await.replace(&posthog.url(), "http://posthog");
        assert!(!report.contains("phc_project") && !report.contains("phx_of"), "{report}");
        reports.push(report);
    }
    insta::assert_snapshot!(reports.join("\n\n"), @"
    step `events`: its connection is not valid: api_key: project keys (`phc_...`) can only send events; create a personal API key (`phx_...`) with the scope `query:read` in PostHog's user settings
    hint: fix it and run again

    step `events`: PostHog rejected the API key
      url: http://posthog/api/projects/42/query/
      status: 401
      the server says: Personal API key found in request Authorization header is invalid.
    hint: check `api_key`: a personal API key (`phx_...`) that has not been deleted, of the region `self_hosted` (the keys of `us`, `eu` and of a self-hosted PostHog are different ones)

    step `events`: the API key has no access to project 42
      url: http://posthog/api/projects/42/query/
      status: 403
      the server says: API key missing required scope 'query:read'
    hint: grant the key the scope `query:read` and access to the project and its organization

    step `events`: project 7 not found
      url: http://posthog/api/projects/7/query/
      status: 404
      the server says: Project not found.
    hint: check `project_id` (the number that the project's settings page shows) and `region`, which is `self_hosted`

    step `events`: its connection is not valid: project_id: invalid project id: expected the number that the project's settings page shows
    hint: fix it and run again

    step `events`: its connection is not valid: custom_base_url: conflicts with `region: eu`; remove it, or set `region: self_hosted`
    hint: fix it and run again

    step `events`: its connection is not valid: custom_base_url: the address is not an http or https URL; expected a full URL such as `https://api.example.com`
    hint: fix it and run again
    ");
}

#[tokio::test]
async fn answers_that_are_none_are_told_for_what_they_are() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, [NOON])).await.unwrap();
    let mut reports = Vec::new();
    for trouble in
        [Trouble::Html, Trouble::HugeError(10 << 20), Trouble::PutOff, Trouble::Cached, Trouble::Truncated(30)]
    {
        posthog.script(std::iter::repeat_n(Some(trouble), 5));
        let error = run(&bench(), &posthog, json!({})).await.unwrap_err().error;
        reports.push(format!("{} {}", error.kind(), error.report().replace(&posthog.url(), "http://posthog")));
    }
    insta::assert_snapshot!(reports.join("\n\n"), @"
    validation step `events`: the response is a web page: expected JSON
      content type: text/html; charset=utf-8
    hint: check the address: it may be that of a website, a login page or a proxy

    network step `events`: counting rows: the server answered 500 Internal Server Error
      url: http://posthog/api/projects/42/query/
      status: 500

    network step `events`: PostHog queued the query instead of answering it
    hint: try later: the server is busy

    network step `events`: PostHog answered from its cache, which lacks the latest rows
    hint: try later

    network step `events`: the response ended in the middle of the JSON
    ");
}

#[tokio::test]
async fn a_query_that_is_estimated_to_take_too_long_is_made_smaller_and_a_wrong_one_is_not_repeated() {
    let posthog = PostHog::start().unwrap();
    for (status, detail, said, is_once) in [
        (
            400,
            "Estimated query execution time (15.2 seconds) is too long.",
            "it took too long or too much memory",
            false,
        ),
        (413, "", "PostHog rejected the query as too large", false),
        (400, "Unable to resolve field: nope", "PostHog rejected the query", true),
    ] {
        let pages = move |seen: osiris_testkit::http_server::Seen| {
            let is_count = String::from_utf8_lossy(seen.body()).contains("count(");
            let counted = json!({"columns": ["count"], "results": [[1000]], "hasMore": false, "is_cached": false});
            std::future::ready(match is_count && !is_once {
                true => Reply::json(200, &counted),
                false => Reply::json(status, &json!({"detail": detail})),
            })
        };
        let server = HttpServer::start(pages).unwrap();
        let mut connection = posthog.connection();
        connection["custom_base_url"] = json!(server.url());
        let report = report(connection).await;
        assert!(report.contains(said), "{report}");
        assert_eq!(server.requests().len() == 1, is_once, "{} requests: {report}", server.requests().len());
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_credentials() {
    let posthog = PostHog::start().unwrap();
    let other = HttpServer::start(|_| std::future::ready(Reply::json(200, &json!({})))).unwrap();
    let address = format!("{}/api/projects/42/query/", other.url_as("localhost"));
    posthog.script(std::iter::repeat_n(Some(Trouble::Redirect(address)), 5));
    assert!(run(&bench(), &posthog, json!({})).await.is_err());
    assert!(other.requests().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn a_server_without_tls_and_one_that_is_not_there_are_network_errors() {
    let posthog = PostHog::start().unwrap();
    for address in [posthog.url().replace("http://", "https://"), "http://127.0.0.1:9".to_owned()] {
        let mut connection = posthog.connection();
        connection["custom_base_url"] = json!(address);
        let bench = bench();
        let step = bench.step("events", "posthog.extractor", config(json!({}))).connection(connection);
        let error = step.retry(osiris_core::RetryPolicy::never()).run().await.unwrap_err().error;
        assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
    }
}

#[test]
fn problems_of_a_configuration_come_all_at_once() {
    let bench = bench();
    let problems = |config: Value| {
        let problems = bench.config_problems("posthog.extractor", &config).unwrap();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let ranges = json!({
        "data_type": "event", "page_size": 50, "lookback_window_minutes": 61, "max_requests_per_minute": 0, "flatten": true, "evnt_types": [],
    });
    let contradictions = json!({
        "data_type": "sessions", "event_types": ["a"], "properties": ["p"], "initial_since": "2024-02-01", "until": "2024-02-01",
    });
    let empty = json!({"event_types": [""], "properties": []});
    insta::assert_snapshot!([ranges, contradictions, empty].map(problems).join("\n\n"), @"
    data_type: `event` is not one of events, persons, sessions, person_distinct_ids (did you mean `events`?)
    evnt_types: unknown field `evnt_types` (did you mean `event_types`?)
    flatten: expected `columns` or `json`, found `true`
    lookback_window_minutes: 61 is too large: at most 60
    max_requests_per_minute: 0 is too small: at least 1
    page_size: 50 is too small: at least 100

    event_types: `event_types` has no effect with `data_type: sessions`: only events have types (remove it)
    properties: `properties` has no effect with `data_type: sessions`: only events and persons have properties (remove it)
    until: must be after `initial_since`

    event_types.0: must not be empty
    properties: expected at least one name (remove it to keep all properties)
    ");
}

#[tokio::test]
async fn trouble_that_goes_by_is_waited_for() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..450).map(|number| NOON + number))).await.unwrap();
    posthog.script([
        Some(Trouble::Status(503)),
        None,
        Some(Trouble::HangUp),
        Some(Trouble::Cut(200)),
        Some(Trouble::Truncated(300)),
        Some(Trouble::TooManyAtOnce),
        Some(Trouble::Slow(Duration::from_millis(20))),
        Some(Trouble::Throttled(1)),
    ]);
    let bench = bench();
    let output = run(&bench, &posthog, json!({"page_size": 100})).await.unwrap();
    assert_eq!((output.rows, output.attempts), (450, 1));
    let metric = |name: &str| bench.metrics().matching("metric", name)[0]["value"].as_u64().unwrap();
    assert_eq!(metric("requests_repeated"), 6);
    assert_eq!(metric("requests_made"), posthog.server().requests().len() as u64);
    assert!(metric("rate_limit_wait_ms") >= 1000);
}

#[tokio::test]
async fn discovery_and_the_doctor_say_what_a_project_has() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, [NOON, NOON])).await.unwrap();
    let bench = bench();
    let driver = bench.driver("posthog.extractor").unwrap();
    let connection = bench.connection("posthog.extractor", &posthog.connection()).unwrap();
    let catalog = driver.family().discover(&connection, Some("events")).await.unwrap();
    let fields: Vec<String> =
        catalog.resources[0].fields.iter().map(|field| format!("{} {}", field.name, field.field_type)).collect();
    assert_eq!(catalog.resources[0].estimated_row_count, Some(2));
    insta::assert_snapshot!(fields.join(", "), @"
    created_at timestamp, distinct_id string, elements_chain string, event string, person_id string, properties json, timestamp timestamp, uuid string
    ");
    let health = driver.family().check(&connection, Duration::from_secs(2)).await;
    assert_eq!((health.category, health.details["project_id"].as_str()), (HealthCategory::Ok, "42"));
    let mut wrong = posthog.connection();
    wrong["api_key"] = json!("phx_wrong");
    let health =
        driver.family().check(&bench.connection("posthog.extractor", &wrong).unwrap(), Duration::from_secs(2)).await;
    assert_eq!(health.category, HealthCategory::Auth);
    insta::assert_snapshot!(health.message, @"
    PostHog rejected the API key: check `api_key`: a personal API key (`phx_...`) that has not been deleted, of the region `self_hosted` (the keys of `us`, `eu` and of a self-hosted PostHog are different ones)
    ");
}

#[tokio::test]
async fn g18_a_request_that_takes_longer_than_the_timeout_is_given_up_and_made_again() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, [NOON])).await.unwrap();
    let mut queries = Vec::new();
    for timeout in [60, 1] {
        posthog.script([Some(Trouble::Slow(Duration::from_millis(2500)))]);
        let before = posthog.queries();
        let mut connection = posthog.connection();
        connection["timeout"] = json!(timeout);
        let bench = bench();
        let step = bench.step("events", "posthog.extractor", config(json!({}))).connection(connection);
        assert_eq!(step.run().await.unwrap().rows, 1);
        queries.push(posthog.queries() - before);
    }
    assert_eq!(queries[1], queries[0] + 1, "{queries:?}");
}
