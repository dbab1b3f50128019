//! Discovery by introspection, and the doctor.

use std::time::Duration;

use osiris_core::{Catalog, Error, HealthCategory};
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{COMPONENT, bench, shown};
use osiris_stand_ins::graphql::{Api, Options};

async fn discover(api: &Api) -> Result<Catalog, Error> {
    let bench = bench();
    let connection = bench.connection(COMPONENT, &json!({"endpoint": api.endpoint()})).unwrap();
    bench.driver(COMPONENT).unwrap().family().discover(&connection, None).await
}

#[tokio::test]
async fn every_list_and_object_of_the_query_type_is_a_resource_with_the_fields_of_its_rows() {
    let catalog = discover(&Api::with_items(1, Options::default())).await.unwrap();
    let fields = |name: &str| {
        let resource = catalog.resources.iter().find(|resource| resource.name == name).unwrap();
        let mut fields: Vec<_> = resource.fields.iter().collect();
        fields.sort_by_key(|field| field.ordinal);
        let line = |field: &&osiris_core::ResourceField| {
            let null = if field.nullable { " null" } else { "" };
            format!("{} {} ({}){null}", field.name, field.field_type, field.native_type)
        };
        fields.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let names: Vec<&str> = catalog.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["item", "itemPage", "items", "itemsFrom"], "a plain value such as `version` is none");
    insta::assert_snapshot!(fields("items"), @"
    id integer (Int!)
    name string (String) null
    amount string (String) null
    day string (String) null
    at string (String) null
    flag boolean (Boolean) null
    owner object (Owner) null
    labels object (Labels!)
    fragile integer (Int) null
    ");
    assert_eq!(fields("itemsFrom"), fields("items"));
    assert_eq!(fields("itemPage"), fields("items"));
}

#[tokio::test]
async fn a_server_that_hides_its_schema_is_told_apart_from_one_that_is_not_there() {
    for refused in [200, 400] {
        let api = Api::with_items(1, Options { introspection: false, refused, ..Options::default() });
        let error = discover(&api).await.unwrap_err();
        assert!(error.message() == "the server does not allow introspection", "{}", shown(&error, &api));
    }
}

#[tokio::test]
async fn p10h_a_field_that_needs_arguments_is_marked() {
    let named = |kind: &str, name: &str| json!({"kind": kind, "name": name});
    let argument = |name: &str, default: Value, of: Value| json!({"name": name, "defaultValue": default, "type": of});
    let needed = json!({"kind": "NON_NULL", "name": null});
    let args = json!([
        argument("unit", json!(null), needed.clone()),
        argument("digits", json!("2"), needed),
        argument("at", json!(null), named("SCALAR", "String")),
    ]);
    let field = |name: &str, args: Value, of: Value| json!({"name": name, "args": args, "type": of});
    let item = json!({"kind": "OBJECT", "name": "Item", "fields": [
        field("price", args, named("SCALAR", "Float")),
        field("size", json!([]), named("SCALAR", "BigInt")),
    ]});
    let query =
        json!({"kind": "OBJECT", "name": "Query", "fields": [field("items", json!([]), named("OBJECT", "Item"))]});
    let schema = json!({"queryType": {"name": "Query"}, "types": [query, item]});
    let server = HttpServer::scripted([Reply::json(200, &json!({"data": {"__schema": schema}}))]).unwrap();
    let bench = bench();
    let connection = bench.connection(COMPONENT, &json!({"endpoint": server.url()})).unwrap();
    let catalog = bench.driver(COMPONENT).unwrap().family().discover(&connection, None).await.unwrap();
    let fields: Vec<_> = catalog.resources[0]
        .fields
        .iter()
        .map(|field| (field.field_type.as_str(), field.native_type.as_str()))
        .collect();
    assert_eq!(fields, [("double", "Float, needs arguments: unit"), ("string", "BigInt")]);
}

async fn check(fields: Value, limit: Duration) -> osiris_core::Health {
    let bench = bench();
    let connection = bench.connection(COMPONENT, &fields).unwrap();
    bench.driver(COMPONENT).unwrap().family().check(&connection, limit).await
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let limit = Duration::from_secs(20);
    let api = Api::with_items(1, Options { introspection: false, ..Options::default() });
    let health = check(json!({"endpoint": api.endpoint()}), limit).await;
    assert!(health.ok, "{health:?}");
    assert_eq!(health.message, "the endpoint answers queries; its query type is `Query`");
    assert_eq!((health.details["query_type"].as_str(), health.details["tls"].as_str()), ("Query", "none"));

    let guarded =
        Api::with_items(1, Options { credentials: Some(("authorization", "Bearer x".into())), ..Options::default() });
    let page = HttpServer::scripted([Reply::text(200, "<html>hello</html>")]).unwrap();
    let other = HttpServer::scripted([Reply::json(200, &json!({"hello": "there"}))]).unwrap();
    let gone = { HttpServer::scripted([Reply::new(200)]).unwrap().url() };
    for (endpoint, category) in [
        (guarded.endpoint(), HealthCategory::Auth),
        (page.url(), HealthCategory::Unknown),
        (other.url(), HealthCategory::Unknown),
        (format!("{}/nothing-here", api.endpoint()), HealthCategory::Unknown),
        (gone, HealthCategory::Network),
    ] {
        let health = check(json!({"endpoint": endpoint}), limit).await;
        assert_eq!((health.ok, health.category), (false, category), "{health:?}");
        assert!(health.message.contains(':'), "it says what to do: {}", health.message);
    }
}

#[tokio::test]
async fn the_doctor_keeps_to_its_limit() {
    let server = HttpServer::scripted([Reply::new(200).after(Duration::from_secs(600))]).unwrap();
    let health = check(json!({"endpoint": server.url()}), Duration::from_millis(300)).await;
    assert_eq!(health.category, HealthCategory::Timeout, "{health:?}");
}
