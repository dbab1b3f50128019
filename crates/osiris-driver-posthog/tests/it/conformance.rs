//! The rules of every driver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use osiris_core::{Error, ErrorKind, Registry, Result, RetryPolicy};
use osiris_driver_posthog::{Connect, Posthog, PosthogExtractor};
use osiris_http::HttpClient;
use osiris_stand_ins::posthog::{Event, PostHog, PostHogOptions, uuid};
use osiris_testkit::http_server::HttpServer;
use osiris_testkit::{
    Fault, Incremental, InvalidConfig, Job, Paging, Place, RateLimit, Rows, Sample, Subject, async_trait, fault,
};
use serde_json::{Value, json};

use crate::support::{NOON, config};
use crate::volume;

/// The stand-ins of a test, which run as long as it does.
#[derive(Default)]
struct Events {
    posthog: Mutex<Option<PostHog>>,
    others: Mutex<Vec<PostHog>>,
    volume: Mutex<Option<HttpServer>>,
}

impl Events {
    fn posthog(&self) -> Result<PostHog> {
        let mut posthog = self.posthog.lock().unwrap();
        match &*posthog {
            Some(posthog) => Ok(posthog.clone()),
            None => Ok(posthog.insert(PostHog::start()?).clone()),
        }
    }

    /// A job of several pages of a PostHog with this limit.
    async fn limited(&self, limit: &RateLimit) -> Result<Job> {
        let posthog = PostHog::with(PostHogOptions::default().limited_by(limit))?;
        posthog.insert_events(&all(250)).await?;
        self.others.lock().unwrap().push(posthog.clone());
        let job = Job::new(config(json!({"page_size": 100}))).connection(posthog.connection());
        Ok(job.expecting(expected(250)))
    }
}

fn all(rows: u64) -> Vec<Event> {
    (0..rows).map(|number| Event::numbered(number, NOON + i64::try_from(number).unwrap() / 4)).collect()
}

fn expected(rows: u64) -> Rows {
    let columns = [
        ("uuid", "VARCHAR"),
        ("event", "VARCHAR"),
        ("timestamp", "INSTANT"),
        ("distinct_id", "VARCHAR"),
        ("person_id", "VARCHAR"),
        ("created_at", "INSTANT"),
        ("elements_chain", "VARCHAR"),
        ("properties_n", "BIGINT"),
        ("properties_$browser", "VARCHAR"),
    ];
    let at = |number: u64, second: u32| match number / 4 {
        0 => format!("2024-01-31 12:00:0{second}+00:00"),
        micros if micros % 1000 == 0 => format!("2024-01-31 12:00:0{second}.{:03}+00:00", micros / 1000),
        micros => format!("2024-01-31 12:00:0{second}.{micros:06}+00:00"),
    };
    let rows = (0..rows).map(|n| {
        let cells = [&uuid(n), "pageview", &at(n, 0), "user-1", &uuid(6), &at(n, 1), "", &n.to_string(), "Firefox"];
        cells.map(str::to_owned)
    });
    let empty = Rows::new(columns.map(|(name, _)| name)).with_types(columns.map(|(_, column)| column));
    rows.fold(empty, Rows::row)
}

#[async_trait]
impl Subject for Events {
    fn component(&self) -> &'static str {
        "posthog.extractor"
    }

    /// Requests are sent again where a limit is tried, and not where the rules try many failures.
    fn register(&self, registry: &mut Registry) -> Result<()> {
        let attempts = if self.others.lock().unwrap().is_empty() { 1 } else { 2 };
        let connect: Connect = Arc::new(move |settings| {
            let retry = RetryPolicy { initial_delay: Duration::from_millis(1), ..RetryPolicy::times(attempts) };
            HttpClient::new(settings.with_retry(retry))
        });
        registry.family(Posthog::new(Arc::clone(&connect))).extractor(PosthogExtractor::with_client(connect)).add()
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let connect = Arc::new(|_| Err(Error::network("no client here").with_hint("this is a test")));
        Some(registry.extractor(PosthogExtractor::with_client(connect)).add())
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let posthog = self.posthog()?;
        posthog.clear("events").await?;
        posthog.insert_events(&all(rows)).await?;
        let config = config(json!({"page_size": 1000, "until": "2025-01-01"}));
        Ok(Job::new(config).connection(posthog.connection()).expecting(expected(rows)))
    }

    async fn prepare_incremental(&self, place: &Place) -> Result<Option<Incremental>> {
        let job = self.prepare(place, 5).await?;
        let with = |fields: Value| {
            let mut config = job.config().clone();
            config
                .as_object_mut()
                .into_iter()
                .for_each(|all| all.extend(fields.as_object().cloned().unwrap_or_default()));
            Job::new(config).connection(job.connection_fields().clone())
        };
        let mut elsewhere = job.connection_fields().clone();
        elsewhere["project_id"] = json!(7);
        Ok(Some(
            Incremental::new(with(json!({})))
                .same("smaller pages", with(json!({"page_size": 100})))
                .other("events of one name", with(json!({"event_types": ["$pageview"]})))
                .other("another project", with(json!({})).connection(elsewhere)),
        ))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let contradictions = json!({
            "data_type": "person_distinct_ids", "event_types": ["x"], "properties": ["p"], "initial_since": "2024-01-01",
        });
        vec![
            InvalidConfig::new(contradictions, ["event_types", "properties", "initial_since"]),
            InvalidConfig::new(json!({"initial_since": "2024-01-02", "until": "2024-01-01"}), ["until"]),
            InvalidConfig::new(json!({"initial_since": "yesterday"}), ["initial_since", "invalid timestamp"]),
        ]
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let posthog = self.posthog()?;
        posthog.insert_events(&[]).await?;
        let with = |name: &str, value: Value| {
            let mut connection = posthog.connection();
            connection[name] = value;
            Job::new(config(json!({}))).connection(connection)
        };
        let mut stalled = posthog.connection();
        stalled["custom_base_url"] = json!(format!("http://127.0.0.1:{}", fault::stalled_port()?));
        stalled["timeout"] = json!(1);
        let stalled = Job::new(config(json!({}))).connection(stalled);
        Ok(vec![
            Fault::new("the connection stalls", ErrorKind::Timeout, stalled).of_connection(),
            Fault::new("a key that is not known", ErrorKind::Auth, with("api_key", json!("phx_wrong")))
                .of_connection()
                .found_by_dry_run(),
            Fault::new("a key without the scope", ErrorKind::Permission, with("api_key", json!("phx_without_scope")))
                .of_connection()
                .found_by_dry_run(),
            Fault::new("no such project", ErrorKind::Validation, with("project_id", json!(7))).found_by_dry_run(),
            Fault::new("nobody listens", ErrorKind::Network, with("custom_base_url", json!("http://127.0.0.1:9")))
                .of_connection(),
        ])
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        let server = volume::server(sample.rows())?;
        let connection = volume::connection(&server);
        *self.volume.lock().unwrap() = Some(server);
        Ok(Some(Job::new(config(json!({"page_size": 10_000}))).connection(connection)))
    }

    fn paging(&self) -> Option<Paging> {
        Some(Paging::by("page_size").at_least(100))
    }

    async fn prepare_throttled(&self, _: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(limit).await.map(Some)
    }

    async fn prepare_near_limit(&self, _: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(limit).await.map(Some)
    }

    fn resources(&self) -> Vec<String> {
        ["events", "persons", "sessions", "person_distinct_ids"].map(str::to_owned).to_vec()
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[("CRT-006", "its configuration has no statements")]
    }
}

osiris_testkit::conformance_suite!(extract, posthog_extractor, Events::default());
