//! Traces and metrics of a run, as a collector receives them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use osiris_e2e::{Ended, Project};
use serde_json::Value;

use crate::program;

/// A request to the collector.
struct Received {
    path: String,
    head: String,
    body: String,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A collector that answers every request with `status`; its address and what it receives.
fn collector(status: &'static str) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if sender.send(receive(&stream.unwrap(), status)).is_err() {
                break;
            }
        }
    });
    (address, received)
}

fn receive(mut stream: &TcpStream, status: &str) -> Received {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "the request ends early: {head}");
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
    );
    stream.write_all(answer.as_bytes()).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Received { path, head, body: String::from_utf8(body).unwrap() }
}

fn run(project: &Project, arguments: &[&str], endpoint: &str) -> Ended {
    let mut command = project.command(&[&["run"], arguments].concat());
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=Zx81Spectrum48");
    Ended::of(command.env("OTEL_SERVICE_NAME", "lake").output().unwrap())
}

/// The text of an attribute, whatever its type.
fn attribute(of: &Value, name: &str) -> Option<String> {
    let found = of["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == name)?;
    let value = found["value"].as_object()?.values().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn spans(traces: &Value) -> Vec<Value> {
    traces["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no span `{name}`: {spans:?}"))
}

#[test]
fn a_run_is_one_trace_with_its_steps_and_attempts_below_and_metrics_beside() {
    let project = Project::starter(program());
    let (address, received) = collector("200 OK");
    let ended = run(&project, &["pipeline.yaml"], &address).with_code(0);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    let requests: Vec<Received> = received.try_iter().collect();
    let of = |path: &str| requests.iter().find(|request| request.path == path).unwrap();
    let (traces, metrics) = (of("/v1/traces"), of("/v1/metrics"));
    for request in [traces, metrics] {
        assert!(request.head.contains("api-key: zx81spectrum48") && request.head.contains("application/json"));
        let all = request.json();
        let resource = all["resourceSpans"].get(0).unwrap_or(&all["resourceMetrics"][0]);
        assert_eq!(attribute(&resource["resource"], "service.name").as_deref(), Some("lake"));
        assert!(!request.body.contains("Harbour Books"), "no value of a cell: {}", request.body);
    }
    let spans = spans(&traces.json());
    let whole = named(&spans, "run orders");
    assert_eq!(attribute(whole, "osiris.outcome").as_deref(), Some("done"));
    assert!(spans.iter().all(|span| span["traceId"] == whole["traceId"]), "one trace: {spans:?}");
    let step = named(&spans, "step customers");
    assert_eq!(step["parentSpanId"], whole["spanId"]);
    assert_eq!(attribute(step, "osiris.rows").as_deref(), Some("4"));
    assert!(attribute(step, "osiris.bytes_read").is_some(), "{step}");
    let attempts: Vec<&Value> = spans.iter().filter(|span| span["parentSpanId"] == step["spanId"]).collect();
    assert_eq!(attempts.len(), 1);
    assert!(
        metrics.body.contains("osiris.rows_read") && metrics.body.contains("osiris.bytes_read"),
        "{}",
        metrics.body
    );
}

#[test]
fn a_step_that_fails_has_the_code_of_its_error_and_no_text_of_it() {
    let project = Project::starter(program());
    project.write("data/customers.csv", "customer_id,name,country\nC-003,Harbour Books\n");
    let (address, received) = collector("200 OK");
    let ended = run(&project, &["pipeline.yaml"], &address);
    assert_ne!(ended.code, 0, "{}", ended.stdout);
    let traces = received.try_iter().find(|request| request.path == "/v1/traces").unwrap();
    let spans = spans(&traces.json());
    let codes: Vec<String> = spans.iter().filter_map(|span| attribute(span, "error.type")).collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| code.starts_with('E') && code.len() == 5), "{codes:?}");
    assert!(!traces.body.contains("Harbour"), "{}", traces.body);
}

#[test]
fn a_collector_that_refuses_is_away_or_does_not_answer_changes_nothing_but_a_warning() {
    let (refusing, _received) = collector("401 Unauthorized");
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap();
    for address in [refusing, format!("http://{away}"), format!("http://{silent_address}")] {
        let project = Project::starter(program());
        let began = Instant::now();
        let ended = run(&project, &["pipeline.yaml"], &address).with_code(0);
        assert!(began.elapsed() < Duration::from_secs(30), "{address}: {:?}", began.elapsed());
        assert!(
            ended.stderr.contains("warning: the traces and metrics of this run are not all exported"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("Zx81Spectrum48"), "{}", ended.stderr);
        assert_eq!(project.runs().len(), 1);
    }
}

#[test]
fn without_a_collector_and_in_a_dry_run_nothing_is_sent() {
    let project = Project::starter(program());
    let (address, received) = collector("200 OK");
    run(&project, &["pipeline.yaml", "--dry-run"], &address).with_code(0);
    let mut disabled = project.command(&["run", "pipeline.yaml"]);
    disabled.env("OTEL_EXPORTER_OTLP_ENDPOINT", &address).env("OTEL_SDK_DISABLED", "true");
    Ended::of(disabled.output().unwrap()).with_code(0);
    assert_eq!(received.try_iter().count(), 0);
}
