//! The report of the REST API and the key.

use std::time::{Duration, SystemTime};

use osiris_core::{Error, ErrorKind, Result};
use osiris_http::{Method, Page};
use serde_json::Value;

use crate::client::Rest;
use crate::client::rest::ApiKey;
use osiris_driver_postgres::doctor::Report;

/// Tolerated clock difference.
const TOLERANCE: Duration = Duration::from_secs(60);

/// Reads the schema of the API.
///
/// # Errors
/// When the request fails.
pub(super) async fn report(rest: &Rest) -> Result<Report> {
    let request = rest.request(Method::GET, "public", "")?.header("Accept", "application/openapi+json")?;
    let asked = rest.http().fetch(&request.what("calling the REST API")).await;
    let page = asked.map_err(|error| explained(error, rest, SystemTime::now()))?;
    let document: Value = page.json()?;
    let version = document["info"]["version"].as_str().unwrap_or("of an unknown version").to_owned();
    // The schema of an API without tables has no definitions.
    let described = document["paths"].is_object();
    let tables = document["definitions"].as_object().map(|tables| tables.len()).or(described.then_some(0));
    let key = rest.key();
    let mut remarks = remarks(key, tables);
    remarks.extend(skew(&page, SystemTime::now()));
    let mut details =
        vec![("postgrest_version", version.clone()), ("role", key.role().unwrap_or("unknown").to_owned())];
    details.extend(tables.map(|tables| ("tables", tables.to_string())));
    Ok(Report::new(format!("the REST API responds (PostgREST {version})"), remarks, details))
}

fn remarks(key: &ApiKey, tables: Option<usize>) -> Vec<String> {
    let mut remarks = Vec::new();
    if matches!(key.role(), Some("anon" | "authenticated")) {
        remarks.push(format!(
            "the key is for the role `{}`: row level security applies, and a table without a policy shows and accepts no \
             rows: use the service role key for pipelines",
            key.role().unwrap_or_default()
        ));
    }
    match tables {
        Some(0) => remarks.push(
            "it shows no table of `public`: create one, expose the schema, or grant privileges to the role of the key"
                .to_owned(),
        ),
        None => remarks.push("it does not show its schema to this key".to_owned()),
        Some(_) => {}
    }
    remarks
}

/// A remark about the server's clock, if it differs from ours.
fn skew(page: &Page, now: SystemTime) -> Option<String> {
    let server = httpdate::parse_http_date(page.header("date")?).ok()?;
    apart(server, now)
}

fn apart(server: SystemTime, now: SystemTime) -> Option<String> {
    let (apart, direction) = match server.duration_since(now) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let seconds = apart.as_secs();
    (apart > TOLERANCE)
        .then(|| format!("the server's clock is {seconds} s {direction} this machine's: synchronize them"))
}

/// Adds hints about the key and the clocks to an error.
fn explained(error: Error, rest: &Rest, now: SystemTime) -> Error {
    if error.kind() != ErrorKind::Auth {
        return error;
    }
    let fact = |name: &str| error.context().iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let server = fact("server time").and_then(|date| httpdate::parse_http_date(&date).ok());
    if let Some(hint) = server.and_then(|server| apart(server, now)) {
        return error.with_hint(hint);
    }
    let key = rest.key();
    if let Some(expires) = key.expires().filter(|expires| *expires < now) {
        let hint = format!("the key expired on {}: create a new one", httpdate::fmt_http_date(expires));
        return error.with_hint(hint);
    }
    match (key.project(), hosted_project(rest)) {
        (Some(of), Some(asked)) if of != asked => error.with_hint(format!(
            "the key is of the project `{of}`, but the request goes to `{asked}`: use the key of that project"
        )),
        _ => error,
    }
}

/// The project reference in a URL of Supabase.
fn hosted_project(rest: &Rest) -> Option<&str> {
    rest.http().base_url().host_str()?.strip_suffix(".supabase.co").filter(|reference| !reference.contains('.'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use osiris_core::ConfigSchema;
    use serde_json::json;

    use super::*;
    use crate::client::{Client, Target};

    #[test]
    fn a_key_of_another_project_is_told_by_what_it_says_of_itself() {
        // {"role":"anon","ref":"other"}
        let key = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiIsInJlZiI6Im90aGVyIn0.c2lnbmF0dXJl";
        let connection = ConfigSchema::parse(&json!({"project_id": "abcdefgh", "key": key})).unwrap();
        let rest = Client::prepare(Target::new(&connection, Path::new("."))).unwrap().rest().unwrap();
        let told = explained(Error::auth("refused"), &rest, SystemTime::now());
        assert_eq!(
            told.hint(),
            Some("the key is of the project `other`, but the request goes to `abcdefgh`: use the key of that project")
        );
        assert_eq!(explained(Error::network("lost"), &rest, SystemTime::now()).hint(), None);
    }

    #[test]
    fn clocks_may_be_a_little_apart() {
        let now = SystemTime::now();
        assert_eq!(apart(now + Duration::from_secs(30), now), None);
        assert!(apart(now + Duration::from_secs(90), now).unwrap().contains("ahead"));
        assert!(apart(now - Duration::from_secs(90), now).unwrap().contains("behind"));
    }
}
