//! Access and trust: credentials, headers, certificates, redirects.

use base64_of::basic;
use osiris_testkit::Bench;
use osiris_testkit::certificates::Authority;
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{bench, by_cursor, run_at, shown};
use osiris_stand_ins::graphql::{Api, Options, Records, item};

/// HTTP basic authentication as RFC 7617 writes it, for one pair.
mod base64_of {
    pub(super) fn basic() -> String {
        // reader:p@ss/w0rd+==
        "Basic cmVhZGVyOnBAc3MvdzByZCs9PQ==".to_owned()
    }
}

const TOKEN: &str = "p@ss/w0rd+==";

fn guarded(header: &'static str, value: String) -> Api {
    Api::with_items(3, Options { credentials: Some((header, value)), ..Options::default() })
}

fn connection(api: &Api, mut fields: Value) -> Value {
    fields["endpoint"] = json!(api.endpoint());
    fields
}

#[tokio::test]
async fn every_kind_of_credentials_is_sent_as_servers_want_it() {
    for (header, value, fields) in [
        ("authorization", format!("Bearer {TOKEN}"), json!({"auth_type": "bearer", "auth_token": TOKEN})),
        ("authorization", basic(), json!({"auth_type": "basic", "auth_username": "reader", "auth_token": TOKEN})),
        ("x-api-key", TOKEN.to_owned(), json!({"auth_type": "api_key", "auth_token": TOKEN})),
        (
            "x-shop-token",
            TOKEN.to_owned(),
            json!({"auth_type": "api_key", "auth_token": TOKEN, "auth_header_name": "X-Shop-Token"}),
        ),
        ("authorization", "Custom abc123".to_owned(), json!({"headers": {"Authorization": "Custom abc123"}})),
    ] {
        let api = guarded(header, value);
        let output = run_at(&bench(), connection(&api, fields.clone()), by_cursor("id")).await.unwrap();
        assert_eq!(output.rows, 3, "{fields}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_an_auth_error_that_shows_none() {
    let api = guarded("authorization", "Bearer right".to_owned());
    let wrong =
        connection(&api, json!({"auth_type": "bearer", "auth_token": TOKEN, "headers": {"X-Other": "hush-hush"}}));
    let error = run_at(&bench(), wrong, by_cursor("id")).await.unwrap_err();
    let text = shown(&error, &api);
    insta::assert_snapshot!(text, @"
    auth: step `items`: the server says: who are you?
      status: 401
      page: 1
    hint: check `auth_type`, `auth_token` and `headers` of the connection
    ");
    assert!(!text.contains(TOKEN) && !text.contains("hush-hush"));
}

#[test]
fn credentials_that_are_missing_are_named_before_anything_is_sent() {
    let bench = bench();
    let problems = |fields: Value| {
        let prepared = bench.prepare(crate::COMPONENT, &json!({}), &fields).unwrap();
        prepared.connection_problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(problems(json!({"endpoint": "http://a", "auth_type": "basic"})), @"
    missing field `auth_token`
    missing field `auth_username`
    ");
    insta::assert_snapshot!(problems(json!({"endpoint": "http://a", "auth_type": "bearer"})), @"
    missing field `auth_token`
    ");
    insta::assert_snapshot!(problems(json!({"auth_type": "token", "timeout": 0})), @"
    missing field `endpoint`
    auth_type: `token` is not one of none, bearer, basic, api_key
    timeout: 0 is too small: at least 1
    ");
    assert_eq!(problems(json!({"endpoint": "http://a"})), "");
    for (endpoint, wrong) in [
        ("ftp://h/graphql", "endpoint: the address is not an http or https URL"),
        ("h.example/graphql", "endpoint: the address is not a URL"),
        ("http://h:99999", "endpoint: the address is not a URL"),
        ("https://u:p@h/graphql", "endpoint: the address contains a user or a password"),
    ] {
        let found = problems(json!({"endpoint": endpoint}));
        assert!(found.starts_with(wrong) && !found.contains("u:p"), "{found}");
    }
}

/// A server with a certificate of an unknown authority.
fn encrypted(authority: &Authority) -> HttpServer {
    let records = Records::default();
    records.set((1..=3).map(item).collect());
    HttpServer::start_tls(authority, &["localhost"], Api::handler(Options::default(), records, Default::default()))
        .unwrap()
}

#[tokio::test]
async fn certificates_are_checked_by_the_authority_that_is_given() {
    let (ours, another) = (Authority::new().unwrap(), Authority::new().unwrap());
    let server = encrypted(&ours);
    let endpoint = format!("{}/graphql", server.url_as("localhost"));
    let bench: Bench = bench();
    ours.write(&bench.place().join("ours.pem")).unwrap();
    another.write(&bench.place().join("another.pem")).unwrap();
    for (fields, works) in [
        (json!({"ssl_ca": "ours.pem"}), true),
        (json!({"validate_ssl": false}), true),
        (json!({"ssl_ca": "another.pem"}), false),
        (json!({}), false),
    ] {
        let mut connection = fields.clone();
        connection["endpoint"] = json!(endpoint);
        let mut config = by_cursor("id");
        config["max_retries"] = json!(0);
        let outcome = run_at(&bench, connection, config).await;
        assert_eq!(outcome.is_ok(), works, "{fields}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(error.report().to_lowercase().contains("certificate"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_neither_credentials_nor_query() {
    let other = HttpServer::scripted([Reply::json(200, &json!({"data": {}}))]).unwrap();
    let target = format!("{}/graphql", other.url_as("localhost"));
    let server = HttpServer::scripted([Reply::new(307).header("location", &target)]).unwrap();
    let fields = json!({"endpoint": server.url(), "auth_type": "bearer", "auth_token": TOKEN, "headers": {"X-Key": "hush-hush"}});
    let error = run_at(&bench(), fields, by_cursor("id")).await.unwrap_err();
    let text = error.report().replace(&server.url(), "http://host").replace(&other.url_as("localhost"), "http://other");
    insta::assert_snapshot!(text, @"
    step `items`: reading a page: refused the redirect: it sends data to another host
      url: http://host/
      target: http://other/graphql
      status: 307
      page: 1
    hint: if that is intended, set the new address
    ");
    assert!(other.requests().is_empty());
}
