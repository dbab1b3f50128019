//! The API as its documentation describes it, for tests. Replace it by a real server where one can be had.

use std::fmt::Write as _;

use osiris_core::Result;
use osiris_testkit::http_server::{HttpServer, Reply, Seen};
use osiris_testkit::{RateLimit, Sample};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "a-key";

/// A server with the rows of a sample as its resource `orders`.
pub(crate) struct Api {
    pub(crate) server: HttpServer,
}

/// How the server behaves.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// The limit that decides which requests are answered with 429.
    pub(crate) limit: Option<RateLimit>,
    /// Larger pages are refused.
    pub(crate) max_page: Option<u64>,
}

impl Api {
    pub(crate) fn start(sample: Sample, behaviour: Behaviour) -> Result<Self> {
        let server = HttpServer::start(move |seen| {
            let behaviour = behaviour.clone();
            async move {
                let answered = std::future::ready(answer(sample, behaviour.max_page, &seen));
                match &behaviour.limit {
                    Some(limit) => limit.answer(answered).await,
                    None => answered.await,
                }
            }
        })?;
        Ok(Self { server })
    }

    pub(crate) fn connection(&self) -> Value {
        json!({"url": self.server.url(), "api_key": KEY})
    }

    /// The sizes of the pages that were requested.
    pub(crate) fn page_sizes(&self) -> Vec<u64> {
        self.server.requests().iter().map(|seen| number(seen, "limit", 0)).collect()
    }
}

fn answer(sample: Sample, max_page: Option<u64>, seen: &Seen) -> Reply {
    let refused = |status, code| Reply::json(status, &json!({"error": {"code": code, "message": "refused"}}));
    let limit = number(seen, "limit", 100);
    if seen.header("authorization") != Some(&format!("Bearer {KEY}")) {
        return refused(401, "invalid_key");
    }
    if max_page.is_some_and(|max| limit > max) {
        return refused(413, "page_too_large");
    }
    match seen.path() {
        "/resources" => {
            let fields = json!([{"name": "id", "type": "integer"}, {"name": "name", "type": "string"}]);
            Reply::json(200, &json!({"data": [{"name": "orders", "fields": fields}]}))
        }
        "/resources/orders" => {
            let body = page(sample, number(seen, "cursor", 0), limit).unwrap();
            Reply::new(200).header("content-type", "application/json").body(body)
        }
        _ => refused(404, "unknown_resource"),
    }
}

fn number(seen: &Seen, name: &str, default: u64) -> u64 {
    let mut pairs = seen.query().split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map_or(default, |(_, value)| value.parse().unwrap())
}

/// The rows `from..` of the sample as the API sends them, without holding more of it than that.
fn page(sample: Sample, from: u64, limit: u64) -> Result<String> {
    let end = (from + limit).min(sample.rows());
    let rows = sample.slice(from, end - from).text()?;
    let mut body = "{\"data\": [".to_owned();
    for (index, row) in rows.rows().iter().enumerate() {
        let members = rows.columns().iter().zip(row).map(|(name, cell)| match (name.as_str(), cell) {
            (_, None) => format!("\"{name}\": null"),
            ("id" | "flag", Some(text)) => format!("\"{name}\": {text}"),
            (_, Some(text)) => format!("\"{name}\": {}", json!(text)),
        });
        let members: Vec<String> = members.collect();
        let comma = if index > 0 { "," } else { "" };
        write!(body, "{comma}{{{}}}", members.join(", ")).unwrap();
    }
    let next = if end < sample.rows() { json!(end.to_string()) } else { Value::Null };
    write!(body, "], \"next_cursor\": {next}, \"total\": {}}}", sample.rows()).unwrap();
    Ok(body)
}
