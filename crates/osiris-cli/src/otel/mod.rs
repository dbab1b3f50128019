//! A run as traces and metrics of OpenTelemetry, over OTLP. They are made of the records of a run when it has ended, and sent only
//! where a variable of OpenTelemetry names a collector. Whatever becomes of them is a warning at most.

mod client;
mod record;
mod signals;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use osiris::Environment;
use osiris::core::visible;
use osiris::pipeline::RunReport;

use crate::console::Console;
use client::CollectorClient;
use record::FinishedRun;

/// How long a run that has ended waits for the collector.
const LIMIT: Duration = Duration::from_secs(5);

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    traces: bool,
    metrics: bool,
    /// Whether no variable gives the service a name.
    unnamed: bool,
}

impl Wanted {
    /// By the variables of OpenTelemetry.
    fn of(environment: &Environment) -> Self {
        let get = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let is_disabled = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let wants = |signal: &str| {
            let endpoint =
                get("OTEL_EXPORTER_OTLP_ENDPOINT").or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")));
            let exporter = get(&format!("OTEL_{signal}_EXPORTER"));
            !is_disabled && endpoint.is_some() && exporter.as_deref() != Some("none")
        };
        let in_resource =
            |attributes: String| attributes.split(',').any(|pair| pair.trim().starts_with("service.name="));
        let unnamed = get("OTEL_SERVICE_NAME").is_none() && !get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(in_resource);
        Self { traces: wants("TRACES"), metrics: wants("METRICS"), unnamed }
    }
}

/// Sends what is known of a run that has ended, for at most a few seconds.
pub(crate) fn export(pipeline: &str, report: &RunReport, console: &Console) {
    let wanted = Wanted::of(&Environment::of_process());
    if !wanted.traces && !wanted.metrics {
        return;
    }
    let record = FinishedRun::of(pipeline, report);
    let (sender, ended) = mpsc::channel();
    // A thread of its own: what does not answer in time is left behind.
    let sending = thread::Builder::new().name("otel".to_owned()).spawn(move || {
        // Nobody listens any more when the time is over.
        let _ = sender.send(send(&record, wanted));
    });
    let problem = match sending.map(|_| ended.recv_timeout(LIMIT)) {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(problem))) => problem,
        Ok(Err(_)) => format!("the collector did not take them within {} s", LIMIT.as_secs()),
        Err(error) => error.to_string(),
    };
    let message = format!("the traces and metrics of this run are not all exported: {}", visible(&problem));
    console.warning(&message, Some("look at OTEL_EXPORTER_OTLP_ENDPOINT; the run itself is not affected"));
}

fn send(record: &FinishedRun, wanted: Wanted) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let client = CollectorClient::new(runtime.handle().clone(), LIMIT);
    let traces = if wanted.traces { signals::traces(record, &client, wanted.unnamed) } else { Ok(()) };
    let metrics = if wanted.metrics { signals::metrics(record, &client, wanted.unnamed) } else { Ok(()) };
    runtime.shutdown_background();
    // What the collector said is worth more than that an exporter failed.
    client.problem().map_or(traces.and(metrics), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(variables: &[(&str, &str)]) -> (bool, bool, bool) {
        let Wanted { traces, metrics, unnamed } = Wanted::of(&Environment::of(variables.iter().copied()));
        (traces, metrics, unnamed)
    }

    #[test]
    fn nothing_is_sent_unless_a_variable_names_the_collector() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert_eq!(wanted(&[]), (false, false, true));
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), (false, false, true));
        assert_eq!(wanted(&[endpoint]), (true, true, true));
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m")]), (false, true, true));
        assert_eq!(wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), (false, true, true));
        assert_eq!(wanted(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]), (false, false, true));
        assert_eq!(wanted(&[endpoint, ("OTEL_SERVICE_NAME", "lake")]), (true, true, false));
        assert_eq!(wanted(&[endpoint, ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=x")]), (true, true, false));
    }
}
