//! The component against the driver rules.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use osiris_core::{Error, ErrorKind, Registry, Result, RetryPolicy};
use osiris_driver_sampleapi::{Connect, register_with_client};
use osiris_http::HttpClient;
use osiris_testkit::{Fault, InvalidConfig, Job, Paging, Place, RateLimit, Sample, Subject, async_trait, fault};
use serde_json::{Value, json};

use crate::api::{Api, Behaviour};

osiris_testkit::conformance_suite!(extract, extractor, Orders::default());

/// The servers of a test live as long as it does.
#[derive(Default)]
struct Orders(Mutex<Vec<Api>>);

impl Orders {
    fn job(&self, sample: Sample, behaviour: Behaviour) -> Result<Job> {
        let api = Api::start(sample, behaviour)?;
        let job = Job::new(json!({"resource": "orders"})).connection(api.connection());
        self.0.lock().unwrap().push(api);
        Ok(job)
    }

    /// A job of two pages from an API with this limit.
    fn limited(&self, limit: &RateLimit) -> Result<Job> {
        self.expected(4, 2, Behaviour { limit: Some(limit.clone()), ..Behaviour::default() })
    }

    fn expected(&self, rows: u64, page_size: u64, behaviour: Behaviour) -> Result<Job> {
        let types = ["BIGINT", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "BOOLEAN"];
        let job = self.job(Sample::new(rows), behaviour)?;
        let connection = job.connection_fields().clone();
        let job = Job::new(json!({"resource": "orders", "page_size": page_size})).connection(connection);
        Ok(job.expecting(Sample::new(rows).text()?.with_types(types)))
    }
}

#[async_trait]
impl Subject for Orders {
    fn component(&self) -> &'static str {
        "sampleapi.extractor"
    }

    /// With one short wait between two attempts: the rules try many failures.
    fn register(&self, registry: &mut Registry) -> Result<()> {
        let connect: Connect = Arc::new(|settings| {
            let retry = RetryPolicy { initial_delay: Duration::from_millis(1), ..RetryPolicy::times(2) };
            HttpClient::new(settings.with_retry(retry))
        });
        register_with_client(registry, connect)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let failing: Connect = Arc::new(|_| Err(Error::network("no network").with_connection_failed()));
        Some(register_with_client(registry, failing))
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        self.expected(rows, 1000, Behaviour::default())
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        self.job(sample, Behaviour::default()).map(Some)
    }

    fn minimal_config(&self) -> Option<Value> {
        Some(json!({"resource": "orders"}))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![InvalidConfig::new(json!({"resource": "orders/1"}), ["resource"])]
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let job = self.job(Sample::new(10), Behaviour::default())?;
        let connection = |name: &str, value: &str| {
            let mut fields = job.connection_fields().clone();
            fields[name] = json!(value);
            Job::new(job.config().clone()).connection(fields)
        };
        let mut stalled = job.connection_fields().clone();
        stalled["url"] = json!(format!("http://127.0.0.1:{}", fault::stalled_port()?));
        stalled["timeout"] = json!(1);
        let stalled = Job::new(job.config().clone()).connection(stalled);
        let unknown = Job::new(json!({"resource": "nothing"})).connection(job.connection_fields().clone());
        Ok(vec![
            Fault::new("no such resource", ErrorKind::Validation, unknown).found_by_dry_run(),
            Fault::new("a key that is wrong", ErrorKind::Auth, connection("api_key", "wrong"))
                .of_connection()
                .found_by_dry_run(),
            Fault::new("the connection stalls", ErrorKind::Timeout, stalled).of_connection(),
            Fault::new("nobody listens", ErrorKind::Network, connection("url", "http://127.0.0.1:9")).of_connection(),
        ])
    }

    fn paging(&self) -> Option<Paging> {
        Some(Paging::by("page_size"))
    }

    async fn prepare_throttled(&self, _: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(limit).map(Some)
    }

    async fn prepare_near_limit(&self, _: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(limit).map(Some)
    }

    fn resources(&self) -> Vec<String> {
        vec!["orders".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[("CRT-006", "its configuration has no statements")]
    }
}
