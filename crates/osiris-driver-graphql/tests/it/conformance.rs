//! The component against the driver rules.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock};

use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_testkit::http_server::{HttpServer, Reply};
use osiris_testkit::{Fault, InvalidConfig, Job, Paging, Place, RateLimit, Sample, Subject, async_trait};
use serde_json::{Value, json};

use osiris_stand_ins::graphql::{Api, Options, Record};

osiris_testkit::conformance_suite!(extract, extractor, Items::default());

/// The servers of one test live as long as it does.
#[derive(Default)]
struct Items {
    api: OnceLock<Api>,
    others: Mutex<Vec<HttpServer>>,
}

const QUERY: &str = "query ($first: Int, $after: String) {
  items(first: $first, after: $after) { totalCount nodes { id name amount day at flag } pageInfo { hasNextPage endCursor } }
}";

fn config() -> Value {
    json!({
        "query": QUERY,
        "data_path": "data.items.nodes",
        "pagination_page_size_variable": "first",
        "retry_delay": 0.1,
    })
}

fn records(sample: Sample) -> Result<Vec<Record>> {
    let rows = sample.text()?;
    let mut records = Vec::new();
    for row in rows.rows() {
        let text = |index: usize| row[index].clone();
        let id = text(0).and_then(|id| id.parse().ok()).unwrap_or_default();
        let flag = text(5).map(|flag| flag == "true");
        records.push(Record { id, name: text(1), amount: text(2), day: text(3), at: text(4), flag });
    }
    Ok(records)
}

impl Items {
    fn api(&self) -> &Api {
        self.api.get_or_init(|| Api::start(Options::default()))
    }

    /// A job of two pages against a server with this limit.
    async fn limited(&self, place: &Place, limit: &RateLimit) -> Result<Job> {
        self.prepare(place, 4).await?;
        let answer = Api::handler(Options::default(), self.api().records.clone(), Default::default());
        let limit = limit.clone();
        let server = HttpServer::start(move |seen| {
            let (limit, answered) = (limit.clone(), answer(seen));
            async move { limit.answer(answered).await }
        })?;
        let mut config = config();
        config["pagination_page_size"] = json!(2);
        let limited = Job::new(config).connection(json!({"endpoint": format!("{}/graphql", server.url())}));
        self.others.lock().unwrap().push(server);
        Ok(limited.expecting(Sample::new(4).text()?))
    }

    /// A job against a server with these answers.
    fn scripted(&self, replies: impl IntoIterator<Item = Reply>) -> Result<Job> {
        let server = HttpServer::scripted(replies)?;
        let job = Job::new(config()).connection(json!({"endpoint": server.url()}));
        self.others.lock().unwrap().push(server);
        Ok(job)
    }
}

/// A page of the sample as the server would send it, without keeping more of it than that.
fn volume_page(sample: Sample, first: u64, after: u64) -> Result<String> {
    let end = (after + first).min(sample.rows());
    let page = Sample::new(end - after).starting_at(after).with_padding(192);
    let mut body = "{\"data\": {\"items\": {\"nodes\": [".to_owned();
    for (index, row) in page.text()?.rows().iter().enumerate() {
        let cell = |index: usize| row[index].as_ref().map_or(Value::Null, |text| json!(text));
        let comma = if index > 0 { "," } else { "" };
        let id = row[0].as_deref().unwrap_or_default();
        let line = write!(body, "{comma}{{\"id\":{id},\"name\":{},\"padding\":{}}}", cell(1), cell(6));
        line.map_err(|error| Error::unknown("no page").with_source(error))?;
    }
    let more = end < sample.rows();
    body.push_str(&format!("], \"pageInfo\": {{\"hasNextPage\": {more}, \"endCursor\": \"{end}\"}}}}}}}}"));
    Ok(body)
}

#[async_trait]
impl Subject for Items {
    fn component(&self) -> &'static str {
        crate::COMPONENT
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_graphql::register(registry)
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        self.api().records.set(records(sample)?);
        let types = ["BIGINT", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "BOOLEAN"];
        let connection = json!({"endpoint": self.api().endpoint(), "auth_type": "bearer", "auth_token": "a-token"});
        Ok(Job::new(config()).connection(connection).expecting(sample.text()?.with_types(types)))
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        let server = HttpServer::start(move |seen| {
            let variables = seen.json()["variables"].take();
            let after = variables["after"].as_str().and_then(|after| after.parse().ok()).unwrap_or(0);
            let first = variables["first"].as_u64().unwrap_or(1);
            let page = volume_page(sample, first, after).unwrap_or_default();
            std::future::ready(Reply::new(200).header("content-type", "application/json").body(page))
        })?;
        let mut config = config();
        config["query"] = json!(QUERY.replace("totalCount ", "").replace("amount day at flag", "padding"));
        config["pagination_page_size"] = json!(8192);
        let job = Job::new(config).connection(json!({"endpoint": server.url()}));
        self.others.lock().unwrap().push(server);
        Ok(Some(job))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let query = "mutation { a }";
        let config = json!({"query": query, "data_path": "data[", "pagination": {"page_size": 3}});
        vec![InvalidConfig::new(config, ["mutation", "data_path", "page_size"])]
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        self.api().records.set((1..=20).map(osiris_stand_ins::graphql::item).collect());
        let job = |config: Value| Job::new(config).connection(json!({"endpoint": self.api().endpoint()}));
        let with = |query: &str| {
            let mut config = config();
            config["query"] = json!(query);
            config
        };
        let guarded = Reply::json(401, &json!({"errors": [{"message": "no"}]}));
        let nobody = { HttpServer::scripted([Reply::new(200)])?.url() };
        let mut hurried = config();
        hurried["max_retries"] = json!(0);
        let silent = format!("http://127.0.0.1:{}/graphql", osiris_testkit::fault::silent_port()?);
        let silent = Job::new(hurried.clone()).connection(json!({"endpoint": silent, "timeout": 1}));
        let unknown = QUERY.replace("amount", "amnt");
        let broken = QUERY.replace("amount", "fragile");
        Ok(vec![
            Fault::new("a field that is not there", ErrorKind::Validation, job(with(&unknown))).found_by_dry_run(),
            Fault::new("a field that fails", ErrorKind::Unknown, job(with(&broken))).found_by_dry_run(),
            Fault::new("a web page", ErrorKind::Validation, self.scripted([Reply::text(200, "<html></html>")])?),
            Fault::new("a key that is wrong", ErrorKind::Auth, self.scripted([guarded])?).of_connection(),
            Fault::new("packets are lost", ErrorKind::Timeout, silent).of_connection(),
            Fault::new("nobody there", ErrorKind::Network, Job::new(hurried).connection(json!({"endpoint": nobody})))
                .of_connection(),
        ])
    }

    fn modifying_configs(&self) -> Vec<Value> {
        ["mutation { drop }", "subscription { items { id } }", "query A { items { nodes { id } } } mutation B { drop }"]
            .map(|query| json!({"query": query, "operation_name": "A"}))
            .into()
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let failing: osiris_driver_graphql::Connect = Arc::new(|_| Err(Error::network("there is no network here")));
        Some(osiris_driver_graphql::register_with_client(registry, failing))
    }

    fn paging(&self) -> Option<Paging> {
        Some(Paging::by("pagination_page_size"))
    }

    async fn prepare_throttled(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).await.map(Some)
    }

    async fn prepare_near_limit(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).await.map(Some)
    }

    fn resources(&self) -> Vec<String> {
        ["items", "itemsFrom", "itemPage", "item"].map(str::to_owned).into()
    }
}
