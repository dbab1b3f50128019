//! The gateway of a project: removes `/rest/v1`, requires a key, and injects faults.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use osiris_core::Result;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;

use super::forward::{self, Answer};
use super::trouble::{Plan, Trouble};
use super::{Postgrest, sql, tokens};
use osiris_testkit::certificates::Authority;
use osiris_testkit::http_server::{HttpServer, Reply, Seen};

/// How a gateway behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct GatewayOptions {
    newer: bool,
    open: bool,
    moved_clock: i64,
}

impl GatewayOptions {
    /// Like Supabase's gateway in front of PostgREST 12.0.2.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the responses of PostgREST 16.2 where they differ.
    #[must_use]
    pub fn as_of_16(mut self) -> Self {
        self.newer = true;
        self
    }

    /// Without checking the key, as with a self-hosted PostgREST.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// With a clock that is so many seconds ahead of ours, as its `Date` header shows.
    #[must_use]
    pub fn with_clock_ahead(mut self, seconds: i64) -> Self {
        self.moved_clock = seconds;
        self
    }
}

/// A project's gateway. Stops when dropped.
pub struct Gateway {
    server: HttpServer,
    plan: Arc<Plan>,
}

/// The state of a gateway.
#[derive(Clone)]
struct Behind {
    rest: SocketAddr,
    admin: PgConnectOptions,
    options: GatewayOptions,
    plan: Arc<Plan>,
}

impl Gateway {
    /// A gateway in front of `rest`.
    ///
    /// # Errors
    /// When there is no port or no thread left.
    pub fn start(rest: &Postgrest) -> Result<Self> {
        Self::start_with(rest, GatewayOptions::new())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with(rest: &Postgrest, options: GatewayOptions) -> Result<Self> {
        let behind = Behind::new(rest, options);
        let plan = Arc::clone(&behind.plan);
        Ok(Self { server: HttpServer::start(move |seen| behind.clone().answer(seen))?, plan })
    }

    /// The same over TLS, with a certificate of `authority` for `127.0.0.1`.
    ///
    /// # Errors
    /// As for [`start`](Self::start), and when the certificate cannot be made.
    pub fn start_tls(rest: &Postgrest, authority: &Authority) -> Result<Self> {
        let behind = Behind::new(rest, GatewayOptions::new());
        let plan = Arc::clone(&behind.plan);
        let server = HttpServer::start_tls(authority, &["127.0.0.1"], move |seen| behind.clone().answer(seen))?;
        Ok(Self { server, plan })
    }

    /// The project's address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The fields of a connection with the service key.
    pub fn connection(&self) -> Value {
        json!({"url": self.url(), "key": tokens::service()})
    }

    /// The same with other fields: `null` removes one.
    pub fn connection_with(&self, fields: Value) -> Value {
        let mut connection = self.connection();
        if let (Value::Object(all), Value::Object(fields)) = (&mut connection, fields) {
            all.extend(fields);
            all.retain(|_, value| !value.is_null());
        }
        connection
    }

    /// A fault for the next request; several calls apply to one request after the other.
    pub fn next(&self, trouble: Trouble) {
        self.plan.add(None, trouble, None);
    }

    /// The same for requests with this method.
    pub fn next_for(&self, method: &str, trouble: Trouble) {
        self.plan.add(Some(method), trouble, None);
    }

    /// A fault for every `n`-th request with this method.
    pub fn every(&self, method: &str, n: usize, trouble: Trouble) {
        self.plan.add(Some(method), trouble, Some(n));
    }

    /// Removes all faults.
    pub fn calm(&self) {
        self.plan.clear();
    }

    /// The requests so far, in order.
    pub fn requests(&self) -> Vec<Seen> {
        self.server.requests()
    }
}

impl Behind {
    fn new(rest: &Postgrest, options: GatewayOptions) -> Self {
        Self { rest: rest.address(), admin: rest.admin().clone(), options, plan: Arc::default() }
    }

    async fn answer(self, seen: Seen) -> Reply {
        let trouble = self.plan.take(seen.method());
        if let Some(trouble) = trouble.as_ref().filter(|trouble| !trouble.passes_on()) {
            return trouble.reply();
        }
        let reply = self.route(&seen).await;
        match trouble {
            Some(trouble) => trouble.spoil(reply),
            None => reply,
        }
    }

    async fn route(&self, seen: &Seen) -> Reply {
        if let Some(refused) = self.refused(seen) {
            return refused;
        }
        if let Some(path) = seen.path().strip_prefix("/rest/v1") {
            return self.rest(seen, path).await;
        }
        if seen.path() == "/pg/query" && seen.method() == "POST" {
            return self.sql(seen).await;
        }
        Reply::json(404, &json!({"message": "no Route matched with those values"}))
    }

    /// The response to a request that the gateway itself refuses.
    fn refused(&self, seen: &Seen) -> Option<Reply> {
        if self.options.open {
            return None;
        }
        let said = |message: &str, hint: &str| Some(Reply::json(401, &json!({"message": message, "hint": hint})));
        match seen.header("apikey") {
            None => said("No API key found in request", "No `apikey` request header or url param was found."),
            Some(key) if !tokens::is_ours(key) => {
                said("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
            }
            Some(_) => None,
        }
    }

    async fn rest(&self, seen: &Seen, path: &str) -> Reply {
        let path = if path.is_empty() { "/" } else { path };
        let target = if seen.query().is_empty() { path.to_owned() } else { format!("{path}?{}", seen.query()) };
        let own = ["host", "connection", "content-length", "transfer-encoding", "apikey"];
        let headers: Vec<_> = seen.headers().filter(|(name, _)| !own.contains(name)).map(owned).collect();
        match forward::send(self.rest, seen.method(), &target, &headers, Bytes::copy_from_slice(seen.body())).await {
            Ok(answer) if self.options.newer => self.reply(newer(answer, seen)),
            Ok(answer) => self.reply(answer),
            Err(_) => Reply::json(503, &json!({"message": "name resolution failed"})).header("retry-after", "1"),
        }
    }

    fn reply(&self, answer: Answer) -> Reply {
        let mut reply = Reply::new(answer.status).body(answer.body);
        for (name, value) in &answer.headers {
            if name != "date" || self.options.moved_clock == 0 {
                reply = reply.header(name, value);
            }
        }
        match self.options.moved_clock {
            0 => reply,
            seconds => {
                let moved = Duration::from_secs(seconds.unsigned_abs());
                let now = SystemTime::now();
                let then = if seconds > 0 { now + moved } else { now - moved };
                reply.header("date", &httpdate::fmt_http_date(then))
            }
        }
    }

    /// The SQL service, for the service key only.
    async fn sql(&self, seen: &Seen) -> Reply {
        let role = seen.header("apikey").and_then(tokens::role);
        if role.as_deref() != Some("service_role") {
            return Reply::json(403, &json!({"message": "Forbidden"}));
        }
        match sql::run(&self.admin, seen.json()["query"].as_str().unwrap_or_default()).await {
            Ok(rows) => Reply::json(200, &Value::Array(rows)),
            Err(error) => Reply::json(400, &json!({"message": error.message()})),
        }
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The response of PostgREST 16.2 where that of 12.0.2 differs.
fn newer(mut answer: Answer, seen: &Seen) -> Answer {
    for (name, value) in &mut answer.headers {
        if answer.status == 503 && name == "retry-after" {
            "0".clone_into(value);
        }
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let table = seen.path().rsplit('/').next().unwrap_or_default();
    match (body["code"].as_str(), answer.status) {
        (Some("21000"), 400) => answer.status = 500,
        (Some("42P01"), 404) => {
            body["code"] = json!("PGRST205");
            body["message"] = json!(format!("Could not find the table 'public.{table}' in the schema cache"));
        }
        (Some("PGRST301"), 401) if body["message"].as_str().is_some_and(|said| said.contains("expired")) => {
            body["code"] = json!("PGRST303");
        }
        _ => return answer,
    }
    answer.body = body.to_string().into();
    answer
}
