//! More events than fit in memory: each page is made when it is requested, by a server that knows only how many there
//! are. Of the driver's conditions it reads the timestamps only.

use std::fmt::Write as _;

use chrono::NaiveDateTime;
use osiris_core::Result;
use osiris_stand_ins::posthog::uuid;
use osiris_testkit::http_server::{HttpServer, Reply, Seen};
use serde_json::{Value, json};

use crate::support::NOON;

/// Microseconds between two events: a few ten thousand lie in a lookback window.
const STEP: i64 = 10_000;
/// Bytes of a property that does nothing else.
const PADDING: usize = 150;

/// A server of so many events.
pub(crate) fn server(rows: u64) -> Result<HttpServer> {
    HttpServer::start(move |seen| std::future::ready(answer(&seen, i64::try_from(rows).unwrap())))
}

/// The fields of a connection to it.
pub(crate) fn connection(server: &HttpServer) -> Value {
    json!({"api_key": "phx_test", "project_id": 42, "region": "self_hosted", "custom_base_url": server.url()})
}

fn answer(seen: &Seen, rows: i64) -> Reply {
    let hogql = seen.json()["query"]["query"].as_str().unwrap().to_owned();
    let (condition, _) = hogql.split_once(" WHERE ").unwrap().1.split_once(" LIMIT ").unwrap();
    let timestamps: Vec<i64> = condition.split("toDateTime64('").skip(1).map(number).collect();
    // After a row there are two timestamps, before one as well.
    let first = if condition.contains("toString(uuid) > '") { timestamps[0] + 1 } else { timestamps[0] };
    let last = timestamps.last().unwrap() + i64::from(condition.contains("toString(uuid) <= '"));
    let (first, last) = (first.clamp(0, rows), last.clamp(0, rows));
    let types = |names: &[(&str, &str)]| names.iter().map(|(name, kind)| json!([name, kind])).collect::<Vec<_>>();
    if hogql.starts_with("SELECT count(") {
        let count = last - first;
        return Reply::json(200, &json!({"results": [[count]], "columns": ["n"], "types": types(&[("n", "UInt64")])}));
    }
    let limit: i64 = hogql.rsplit(' ').next().unwrap().parse().unwrap();
    let columns = [("uuid", "UUID"), ("timestamp", "DateTime64(6, 'UTC')"), ("properties", "String")];
    let names = columns.map(|(name, _)| name);
    let mut body = format!("{{\"columns\":{},\"types\":{},\"results\":[", json!(names), json!(types(&columns)));
    for number in first..last.min(first + limit) {
        if number > first {
            body.push(',');
        }
        let id = uuid(u64::try_from(number).unwrap());
        let timestamp = chrono::DateTime::from_timestamp_micros(NOON + number * STEP).unwrap();
        let padding = id.repeat(PADDING / 36);
        let _ = write!(
            body,
            "[\"{id}\",\"{}\",\"{{\\\"n\\\":{number},\\\"padding\\\":\\\"{padding}\\\"}}\"]",
            timestamp.format("%Y-%m-%dT%H:%M:%S%.6fZ")
        );
    }
    body.push_str("]}");
    Reply::new(200).header("content-type", "application/json").body(body)
}

/// The first event that is not before the timestamp at the beginning of `text`.
fn number(text: &str) -> i64 {
    let timestamp = NaiveDateTime::parse_from_str(text.split_once('\'').unwrap().0, "%Y-%m-%d %H:%M:%S%.f").unwrap();
    let after = timestamp.and_utc().timestamp_micros() - NOON;
    after.div_euclid(STEP) + i64::from(after.rem_euclid(STEP) > 0)
}
