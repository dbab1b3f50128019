//! Whether an endpoint responds and accepts the credentials. Never fails; the core masks secrets in its messages.

use std::time::{Duration, Instant};

use osiris_core::{Error, Health, Result, RetryPolicy};
use serde_json::{Map, Value};

use crate::client::{Connect, ConnectionTarget, request};
use crate::config::ConnectionConfig;
use crate::error::GraphqlErrors;

/// The smallest query: every server has a query type, whose name can be requested.
const QUERY: &str = "{ __typename }";

/// How much of the limit is reserved for reporting the result.
const RESERVE: Duration = Duration::from_millis(100);

/// Sends the smallest query and waits at most `limit` for the response.
pub(crate) async fn check(connect: &Connect, connection: &ConnectionConfig, limit: Duration) -> Health {
    let started = Instant::now();
    let wait = limit.saturating_sub(RESERVE.min(limit / 10)).max(Duration::from_millis(1));
    let asked = tokio::time::timeout(wait, ask(connect, connection, wait)).await;
    let health = match asked {
        Ok(Ok(name)) => {
            let message = format!("the endpoint answers queries; its query type is `{name}`");
            Health::ok(started.elapsed(), message).with_detail("query_type", name)
        }
        Ok(Err(error)) => Health::failed(started.elapsed(), &error),
        Err(_) => {
            let error = Error::timeout(format!("no response within {} ms", wait.as_millis()))
                .with_hint("check `endpoint` and firewalls; raise the limit if the server is slow");
            Health::failed(started.elapsed(), &error)
        }
    };
    let encrypted = connection.endpoint.trim_start().to_lowercase().starts_with("https");
    let tls = match (encrypted, connection.validate_ssl, &connection.ssl_ca) {
        (false, ..) => "none",
        (true, false, _) => "not verified",
        (true, true, None) => "verified by the system's authorities",
        (true, true, Some(_)) => "verified by `ssl_ca`",
    };
    health.with_detail("tls", tls)
}

async fn ask(connect: &Connect, connection: &ConnectionConfig, wait: Duration) -> Result<String> {
    let client = connect(&ConnectionTarget::of_connection(connection, RetryPolicy::never(), wait))?;
    let request = request(&client, QUERY, None, &Map::new(), "querying the endpoint")?;
    let answer: Value = client.fetch_as(&request, |page| page.json()).await?;
    if let Some(errors) = GraphqlErrors::of(&answer) {
        return Err(errors.error(None));
    }
    match answer["data"]["__typename"].as_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(Error::validation("the response is not a GraphQL response")
            .with_hint("check `endpoint`: its path is often `/graphql`")),
    }
}
