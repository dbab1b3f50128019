//! Where credentials go, and where not.

use osiris_core::{ErrorKind, Secret};
use osiris_http::{Auth, HttpSettings, ProxySettings, Request};
use osiris_testkit::http_server::{HttpServer, Reply, Seen};

use crate::{client, settings};

fn with_credentials(settings: HttpSettings) -> HttpSettings {
    settings
        .with_auth(Auth::Bearer(Secret::new("the-token")))
        .unwrap()
        .with_secret_header("apikey", &Secret::new("the-key"))
        .unwrap()
        .with_header("x-tenant", "the-tenant")
        .unwrap()
}

fn credentials_of(seen: &Seen) -> [Option<String>; 4] {
    ["authorization", "apikey", "x-tenant", "x-own"].map(|name| seen.header(name).map(str::to_owned))
}

/// A server that redirects everything below `/to` to `target`.
fn redirecting(status: u16, target: String) -> HttpServer {
    HttpServer::start(move |seen| {
        std::future::ready(match seen.path() {
            "/to" => Reply::new(status).header("location", &target),
            _ => Reply::text(200, "here"),
        })
    })
    .unwrap()
}

#[tokio::test]
async fn every_way_of_saying_who_we_are_is_sent() {
    let server = HttpServer::scripted([Reply::new(204)]).unwrap();
    let basic = Auth::Basic { user: "me".into(), password: Secret::new("p@ss") };
    let key = Auth::Header { name: "X-API-Key".into(), value: Secret::new("k") };
    for auth in [Auth::None, Auth::Bearer(Secret::new("t")), basic, key] {
        let client = client(settings(&server).with_auth(auth).unwrap());
        client.fetch(&Request::get(client.url("").unwrap())).await.unwrap();
    }
    let seen = server.requests();
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[1].header("authorization"), Some("Bearer t"));
    assert_eq!(seen[2].header("authorization"), Some("Basic bWU6cEBzcw=="));
    assert_eq!(seen[3].header("x-api-key"), Some("k"));
    let error = settings(&server).with_auth(Auth::Bearer(Secret::new("line\nbreak"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(!error.report().contains("break\""), "{error:?}");
}

#[tokio::test]
async fn a_redirect_on_the_same_host_keeps_them_and_the_body() {
    for status in [307, 308] {
        let server = redirecting(status, "/there".to_owned());
        let client = client(with_credentials(settings(&server)));
        let request = Request::post(client.url("to").unwrap()).json(&[1]).unwrap().header("x-own", "o").unwrap();
        client.fetch(&request).await.unwrap();
        let seen = server.requests();
        assert_eq!((seen[1].method(), seen[1].path(), seen[1].json()), ("POST", "/there", serde_json::json!([1])));
        assert_eq!(credentials_of(&seen[1]), credentials_of(&seen[0]));
        assert!(credentials_of(&seen[1]).iter().all(Option::is_some));
    }
}

#[tokio::test]
async fn another_host_gets_a_bare_get_and_nothing_else() {
    let other = HttpServer::scripted([Reply::text(200, "public")]).unwrap();
    let server = redirecting(302, other.url_as("localhost"));
    let client = client(with_credentials(settings(&server)));
    let request = Request::get(client.url("to").unwrap()).header("x-own", "o").unwrap();
    assert_eq!(client.fetch(&request).await.unwrap().text().unwrap(), "public");
    assert_eq!(credentials_of(&other.requests()[0]), [const { None }; 4]);

    let server = redirecting(307, other.url_as("localhost"));
    let client = crate::client(with_credentials(settings(&server)));
    let error = client.fetch(&Request::post(client.url("to").unwrap()).json(&[1]).unwrap()).await.unwrap_err();
    assert!(error.message().contains("it sends data to another host"), "{error:?}");
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_that_would_lose_what_is_sent_is_refused() {
    for status in [301, 302, 303] {
        let server = redirecting(status, "/there".to_owned());
        let client = client(settings(&server));
        let error = client.fetch(&Request::post(client.url("to").unwrap()).json(&[1]).unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.message().contains("it drops the body of the request"), "{error:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn redirects_in_a_circle_have_an_end() {
    let server = redirecting(302, "/to".to_owned());
    let client = client(settings(&server));
    let error = client.fetch(&Request::get(client.url("to").unwrap())).await.unwrap_err();
    assert!(error.message().contains("more than 5 redirects"), "{error:?}");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn a_full_address_elsewhere_gets_none_of_them() {
    let other = HttpServer::scripted([Reply::new(204)]).unwrap();
    let server = HttpServer::scripted([Reply::new(204)]).unwrap();
    let client = client(with_credentials(settings(&server)));
    client.fetch(&Request::get(client.url(&format!("{}/next", other.url())).unwrap())).await.unwrap();
    assert_eq!(credentials_of(&other.requests()[0]), [const { None }; 4]);
}

#[tokio::test]
async fn addresses_are_joined_below_the_base() {
    let client = client(HttpSettings::new("https://example.com/rest/v1/").unwrap());
    for (path, url) in [
        ("rows", "https://example.com/rest/v1/rows"),
        ("/rows?a=b%20c", "https://example.com/rest/v1/rows?a=b%20c"),
        ("http://other.example/x", "http://other.example/x"),
    ] {
        assert_eq!(client.url(path).unwrap().as_str(), url);
    }
    let request = Request::get(client.url("rows").unwrap()).query([("select", "a b"), ("id", "eq.1&2")]);
    assert_eq!(request.url().query(), Some("select=a+b&id=eq.1%262"));
    for wrong in ["example.com", "ftp://example.com", "https://user:pass@example.com", "http://"] {
        let error = HttpSettings::new(wrong).unwrap_err();
        assert!(!error.report().contains("pass@"), "{error:?}");
    }
}

#[tokio::test]
async fn a_proxy_is_used_with_its_own_credentials_and_only_where_it_should() {
    let proxy = HttpServer::start(|_| std::future::ready(Reply::text(200, "by proxy"))).unwrap();
    let server = HttpServer::scripted([Reply::text(200, "direct")]).unwrap();
    let through =
        || ProxySettings::through(&proxy.url()).unwrap().with_credentials("me", Secret::new("proxy-password"));
    let client = client(HttpSettings::new("http://api.invalid").unwrap().with_proxy(through()));
    let page = client.fetch(&Request::get(client.url("rows").unwrap())).await.unwrap();
    assert_eq!(page.text().unwrap(), "by proxy");
    let seen = &proxy.requests()[0];
    assert_eq!(seen.header("proxy-authorization"), Some("Basic bWU6cHJveHktcGFzc3dvcmQ="));
    assert_eq!(seen.header("host"), Some("api.invalid"));

    let except = through().with_exceptions(["127.0.0.1".to_owned()]);
    let client = crate::client(settings(&server).with_proxy(except));
    assert_eq!(client.fetch(&Request::get(client.url("").unwrap())).await.unwrap().text().unwrap(), "direct");
    assert!(ProxySettings::through("http://user:pass@proxy.invalid").is_err());
}

#[tokio::test]
async fn who_refuses_by_explanation_sees_headers_and_status() {
    let server = HttpServer::scripted([Reply::new(416).header("content-range", "*/2500")]).unwrap();
    let settings = settings(&server).with_explain(|failure| {
        let range = failure.header("content-range")?.to_owned();
        Some(failure.error_of(ErrorKind::Validation, format!("{}: {range}", failure.status())).into())
    });
    let client = client(settings);
    let error = client.fetch(&Request::get(client.url("").unwrap())).await.unwrap_err();
    assert_eq!(error.message(), "416: */2500");
}
