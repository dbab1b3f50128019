//! Real TLS, with authorities made for the test.

use std::path::{Path, PathBuf};

use osiris_core::ErrorKind;
use osiris_http::{HttpSettings, Request, TlsSettings};
use osiris_testkit::certificates::{Authority, self_signed};
use osiris_testkit::http_server::{HttpServer, Reply};

use crate::{client, settings};

fn server(authority: &Authority, name: &str) -> HttpServer {
    HttpServer::start_tls(authority, &[name], |_| std::future::ready(Reply::text(200, "trusted"))).unwrap()
}

fn trust(authority: &Authority) -> TlsSettings {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    authority.write(&path).unwrap();
    TlsSettings::with_ca_file(&path).unwrap()
}

async fn fetch(settings: HttpSettings) -> osiris_core::Result<String> {
    let client = client(settings);
    let page = client.fetch(&Request::get(client.url("")?)).await?;
    Ok(page.text()?.to_owned())
}

#[tokio::test]
async fn the_given_authority_is_trusted_and_no_other() {
    let (ours, others) = (Authority::new().unwrap(), Authority::new().unwrap());
    let server = server(&ours, "127.0.0.1");
    assert_eq!(fetch(settings(&server).with_tls(trust(&ours))).await.unwrap(), "trusted");
    for tls in [trust(&others), TlsSettings::system()] {
        let error = fetch(settings(&server).with_tls(tls)).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, false));
        assert!(error.message().contains("signed by an authority that is not trusted"), "{error:?}");
        assert!(error.hint().unwrap().contains("ssl_ca"));
    }
    assert_eq!(fetch(settings(&server).with_tls(TlsSettings::unverified())).await.unwrap(), "trusted");
}

#[tokio::test]
async fn a_server_whose_own_certificate_is_given_is_trusted_with_its_name_and_time() {
    let place = tempfile::tempdir().unwrap();
    for (host, until, refused) in [
        ("127.0.0.1", 2999, None),
        ("elsewhere.example", 2999, Some("for another host")),
        ("127.0.0.1", 2001, Some("has expired")),
    ] {
        let (certificate, key) = self_signed(place.path(), "server", &[host.to_owned()], until).unwrap();
        let answer = |_| std::future::ready(Reply::text(200, "trusted"));
        let server = HttpServer::start_with_certificate(&certificate, &key, answer).unwrap();
        let tls = TlsSettings::with_ca_file(&certificate).unwrap();
        let fetched = fetch(settings(&server).with_tls(tls)).await;
        match (fetched, refused) {
            (Ok(text), None) => assert_eq!(text, "trusted"),
            (Err(error), Some(refused)) => assert!(error.message().contains(refused), "{error:?}"),
            (fetched, _) => panic!("{host} {until}: {fetched:?}"),
        }
        let error = fetch(settings(&server).with_tls(trust(&Authority::new().unwrap()))).await.unwrap_err();
        assert!(!error.message().contains("handshake failed") && error.hint().unwrap().contains(' '), "{error:?}");
        if refused.is_none() {
            assert!(error.message().contains("certificate is that of an authority"), "{error:?}");
            assert!(error.hint().unwrap().contains("set `ssl_ca` to this certificate itself"), "{error:?}");
        }
    }
}

/// What a server with this certificate is answered by a client that trusts these.
async fn answer_of((certificate, key): &(PathBuf, PathBuf), ca: &Path) -> osiris_core::Result<String> {
    let answer = |_| std::future::ready(Reply::text(200, "trusted"));
    let server = HttpServer::start_with_certificate(certificate, key, answer).unwrap();
    fetch(settings(&server).with_tls(TlsSettings::with_ca_file(ca).unwrap())).await
}

#[tokio::test]
async fn a_servers_own_certificate_needs_no_authority_but_is_not_one() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let ours = authority.issue(place.path(), "ours", &["127.0.0.1".to_owned()]).unwrap();
    let elsewhere = authority.issue(place.path(), "elsewhere", &["elsewhere.example".to_owned()]).unwrap();
    assert_eq!(answer_of(&ours, &ours.0).await.unwrap(), "trusted");
    let error = answer_of(&elsewhere, &elsewhere.0).await.unwrap_err();
    assert!(error.message().contains("for another host"), "{error:?}");
    let error = answer_of(&ours, &elsewhere.0).await.unwrap_err();
    assert!(error.message().contains("an authority that is not trusted"), "{error:?}");
}

#[tokio::test]
async fn what_a_servers_own_certificate_signs_is_not_trusted() {
    let place = tempfile::tempdir().unwrap();
    let hosts = ["127.0.0.1".to_owned()];
    let (own, ca, both) = (place.path().join("own.pem"), place.path().join("ca.pem"), place.path().join("both.pem"));
    let (server, authority) = (Authority::of_server(&hosts).unwrap(), Authority::new().unwrap());
    server.write(&own).unwrap();
    authority.write(&ca).unwrap();
    std::fs::write(&both, [std::fs::read(&own).unwrap(), std::fs::read(&ca).unwrap()].concat()).unwrap();
    let signed = server.issue(place.path(), "signed", &hosts).unwrap();
    let issued = authority.issue(place.path(), "issued", &hosts).unwrap();
    assert_eq!(answer_of(&issued, &both).await.unwrap(), "trusted");
    for trusted in [&own, &both] {
        let error = answer_of(&signed, trusted).await.unwrap_err();
        assert!(error.message().contains("signed by one that is not that of an authority"), "{trusted:?}: {error:?}");
        assert!(error.hint().unwrap().contains("set `ssl_ca` to the one that it has now"), "{trusted:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_certificate_without_alternative_names_is_refused_with_how_to_make_one_that_has_them() {
    let place = tempfile::tempdir().unwrap();
    let ca = place.path().join("ca.pem");
    let authority = Authority::new().unwrap();
    authority.write(&ca).unwrap();
    for common_name in ["issued", "127.0.0.1"] {
        let issued = authority.issue(place.path(), common_name, &[]).unwrap();
        let signed = self_signed(place.path(), common_name, &[], 2999).unwrap();
        for (certificate, ca) in [(&issued, &ca), (&signed, &signed.0)] {
            let error = answer_of(certificate, ca).await.unwrap_err();
            assert!(error.message().contains("the server's certificate names no host"), "{error:?}");
            assert!(error.hint().unwrap().contains("-addext subjectAltName=DNS:HOST"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_tls_is_asked_once_without() {
    let server = server(&Authority::new().unwrap(), "127.0.0.1");
    let address = server.url().replace("https:", "http:");
    let error = fetch(HttpSettings::new(&address).unwrap()).await.unwrap_err();
    assert!(error.message().contains("does not answer as an HTTP server does"), "{error:?}");
    assert!(error.hint().unwrap().contains("use `https://`") && !error.is_retryable(), "{error:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let authority = Authority::new().unwrap();
    let server = server(&authority, "elsewhere.example");
    let error = fetch(settings(&server).with_tls(trust(&authority))).await.unwrap_err();
    assert!(error.message().contains("the server's certificate is for another host"), "{error:?}");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_an_untrusted_one() {
    let plain = HttpServer::scripted([Reply::new(204)]).unwrap();
    let address = plain.url().replace("http:", "https:");
    let error =
        fetch(HttpSettings::new(&address).unwrap().with_retry(osiris_core::RetryPolicy::never())).await.unwrap_err();
    assert!(error.message().contains("does not use TLS on this port"), "{error:?}");
}

#[tokio::test]
async fn an_encrypted_address_does_not_redirect_to_a_plain_one() {
    let plain = HttpServer::scripted([Reply::new(204)]).unwrap();
    let authority = Authority::new().unwrap();
    let target = plain.url();
    let server = HttpServer::start_tls(&authority, &["127.0.0.1"], move |_| {
        std::future::ready(Reply::new(302).header("location", &target))
    })
    .unwrap();
    let error = fetch(settings(&server).with_tls(trust(&authority))).await.unwrap_err();
    assert!(error.message().contains("it is not encrypted"), "{error:?}");
    assert_eq!(plain.requests().len(), 0);
}

#[test]
fn a_file_without_a_certificate_is_refused() {
    for pem in ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(TlsSettings::with_ca_pem(pem.as_bytes()).unwrap_err().kind(), ErrorKind::Validation, "{pem}");
    }
    let error = TlsSettings::with_ca_file(Path::new("/nowhere/ca.pem")).unwrap_err();
    assert!(error.report().contains("ssl_ca"), "{error:?}");
}
