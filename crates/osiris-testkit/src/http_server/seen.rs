//! A request as the server got it.

use bytes::Bytes;
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A request that a [`HttpServer`](super::HttpServer) was sent.
#[derive(Debug, Clone)]
pub struct Seen {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Seen {
    pub(super) fn new(head: &Parts, body: Bytes) -> Self {
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body,
        }
    }

    /// `GET`, `POST` and so on.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, as it was sent.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands behind the question mark, as it was sent.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The names and values of what stands behind the question mark, decoded: `+` is a space.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers, their names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same without its body.
    pub(super) fn without_body(&self) -> Self {
        Self { body: Bytes::new(), ..self.clone() }
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p22_the_pairs_of_a_query_are_decoded() {
        let (head, ()) = hyper::Request::get("/rows?select=a+b&id=eq.1%262&flag").body(()).unwrap().into_parts();
        let seen = Seen::new(&head, Bytes::new());
        let pairs = seen.query_pairs();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("select", "a b"), ("id", "eq.1&2"), ("flag", "")]);
    }
}
