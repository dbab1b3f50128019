//! A GraphQL server on a real engine, over HTTP: with credentials, limits, both forms of rejecting a query, and
//! scripted faults.

#![expect(clippy::unwrap_used, reason = "it is part of a test, which ends at the first surprise")]

mod schema;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_graphql::{EmptyMutation, EmptySubscription, Schema};
use osiris_testkit::http_server::{HttpServer, Reply, Seen};
use serde_json::{Value, json};

pub use schema::Record;
use schema::{LargestPage, Query};

/// The items, which a test may change while the server runs.
#[derive(Clone, Default)]
pub struct Records(Arc<RwLock<Arc<Vec<Record>>>>);

impl Records {
    /// All of them.
    pub fn get(&self) -> Arc<Vec<Record>> {
        Arc::clone(&self.0.read().unwrap())
    }

    /// Replaces all of them.
    pub fn set(&self, records: Vec<Record>) {
        *self.0.write().unwrap() = Arc::new(records);
    }
}

/// The options of a server.
#[derive(Clone)]
pub struct Options {
    /// The header that a request must have, with its value.
    pub credentials: Option<(&'static str, String)>,
    /// The status of the response to a query that was not run.
    pub refused: u16,
    /// The most rows of a page, whatever is requested.
    pub largest_page: usize,
    /// The highest cost of a query that is run.
    pub complexity: Option<usize>,
    /// Whether introspection is allowed.
    pub introspection: bool,
    /// How long each response takes.
    pub delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: None,
            refused: 200,
            largest_page: 10_000,
            complexity: None,
            introspection: true,
            delay: Duration::ZERO,
        }
    }
}

/// A response other than the engine's.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// This response, whatever was requested.
    Instead(Reply),
    /// The engine's response, with less of its body than announced.
    Cut,
    /// The same as a complete response: truncated JSON.
    Truncated,
    /// The engine's response.
    None,
}

/// The server.
pub struct Api {
    /// Its items.
    pub records: Records,
    server: HttpServer,
    troubles: Arc<Mutex<VecDeque<Trouble>>>,
}

impl Api {
    /// A server without items.
    pub fn start(options: Options) -> Self {
        let (records, troubles) = (Records::default(), Arc::<Mutex<VecDeque<Trouble>>>::default());
        let handler = Self::handler(options, records.clone(), Arc::clone(&troubles));
        Self { records, server: HttpServer::start(handler).unwrap(), troubles }
    }

    /// A server with `count` items: `item 1` and so on.
    pub fn with_items(count: i64, options: Options) -> Self {
        let api = Self::start(options);
        api.records.set((1..=count).map(item).collect());
        api
    }

    /// The request handler, for a server that is started elsewhere.
    pub fn handler(
        options: Options,
        records: Records,
        troubles: Arc<Mutex<VecDeque<Trouble>>>,
    ) -> impl Fn(Seen) -> std::pin::Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync + 'static {
        let schema = Schema::build(Query, EmptyMutation, EmptySubscription)
            .data(records)
            .data(LargestPage(options.largest_page));
        let schema = if options.introspection { schema } else { schema.disable_introspection() };
        let schema = match options.complexity {
            Some(most) => schema.limit_complexity(most),
            None => schema,
        };
        let schema = schema.finish();
        move |seen| {
            let (schema, options) = (schema.clone(), options.clone());
            let trouble = troubles.lock().unwrap().pop_front().unwrap_or(Trouble::None);
            Box::pin(async move { answer(&schema, &options, &seen, trouble).await })
        }
    }

    /// What happens to the next requests, in order.
    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.lock().unwrap().extend(troubles);
    }

    /// The URL of the endpoint.
    pub fn endpoint(&self) -> String {
        format!("{}/graphql", self.server.url())
    }

    /// The variables of each request so far.
    pub fn asked(&self) -> Vec<Value> {
        self.server.requests().iter().map(|seen| seen.json()["variables"].take()).collect()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.server.requests()
    }
}

/// The item with this id: its name is `item <id>`, its flag is set for even ids.
pub fn item(id: i64) -> Record {
    Record { id, name: Some(format!("item {id}")), flag: Some(id % 2 == 0), ..Record::default() }
}

async fn answer(
    schema: &Schema<Query, EmptyMutation, EmptySubscription>,
    options: &Options,
    seen: &Seen,
    trouble: Trouble,
) -> Reply {
    if let Trouble::Instead(reply) = trouble {
        return reply;
    }
    if seen.path() != "/graphql" || seen.method() != "POST" {
        return Reply::text(404, "Not Found");
    }
    if let Some((name, value)) = &options.credentials
        && seen.header(name) != Some(value.as_str())
    {
        let error = json!({"message": "who are you?", "extensions": {"code": "UNAUTHENTICATED"}});
        return Reply::json(401, &json!({"errors": [error]}));
    }
    let Ok(request) = serde_json::from_slice::<async_graphql::Request>(seen.body()) else {
        return Reply::json(400, &json!({"errors": [{"message": "this is no GraphQL request"}]}));
    };
    let response = schema.execute(request).await;
    let mut body = serde_json::to_value(&response).unwrap();
    let refused = response.is_err() && body["errors"][0].get("path").is_none();
    if refused {
        // The specification requires no `data` for a query that was not run; this engine sends null.
        body.as_object_mut().unwrap().remove("data");
    }
    let reply = Reply::json(if refused { options.refused } else { 200 }, &body).after(options.delay);
    match trouble {
        Trouble::Cut => reply.cut_after(body.to_string().len() / 2),
        Trouble::Truncated => {
            let text = body.to_string();
            reply.body(text[..text.len() / 2].to_owned())
        }
        _ => reply,
    }
}
