//! A run as spans and as values of metrics.

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::client::CollectorClient;
use super::record::{Attempt, FinishedRun, FinishedStep, Span};

/// What traces and metrics are by.
const SCOPE: &str = "osiris";

/// One trace: the run, its steps, their attempts.
pub(super) fn traces(run: &FinishedRun, client: &CollectorClient, unnamed: bool) -> Result<(), String> {
    let exporter = SpanExporter::builder().with_http().with_http_client(client.clone()).build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    let provider = SdkTracerProvider::builder().with_resource(resource(unnamed)).with_batch_exporter(exporter).build();
    let tracer = provider.tracer(SCOPE);
    let attributes = vec![
        KeyValue::new("osiris.run_id", run.run_id.clone()),
        KeyValue::new("osiris.pipeline", run.pipeline.clone()),
        KeyValue::new("osiris.outcome", run.outcome),
    ];
    let failed = (run.outcome != "done").then_some(run.outcome);
    let all = spanned(&tracer, &Context::new(), format!("run {}", run.pipeline), run.span, attributes, failed);
    run.steps.iter().for_each(|step| step_spans(&tracer, &all, run, step));
    all.span().end_with_timestamp(run.span.end);
    provider.shutdown().map_err(|error| error.to_string())
}

fn step_spans(tracer: &SdkTracer, parent: &Context, run: &FinishedRun, step: &FinishedStep) {
    let mut attributes = vec![
        KeyValue::new("osiris.step", step.id.clone()),
        KeyValue::new("osiris.component", step.component.clone()),
        KeyValue::new("osiris.outcome", step.status.clone()),
        KeyValue::new("osiris.rows", i64::try_from(step.rows).unwrap_or(i64::MAX)),
    ];
    attributes.extend(step.error_code.map(|code| KeyValue::new("error.type", code)));
    attributes
        .extend(run.metrics_of(&step.id).map(|metric| KeyValue::new(format!("osiris.{}", metric.name), metric.value)));
    let cx = spanned(tracer, parent, format!("step {}", step.id), step.span, attributes, step.error_code);
    for (number, Attempt { span, failed }) in (1_i64..).zip(&step.attempts) {
        let attributes = vec![KeyValue::new("osiris.attempt", number)];
        let cx = spanned(tracer, &cx, format!("attempt {number}"), *span, attributes, failed.as_deref());
        cx.span().end_with_timestamp(span.end);
    }
    cx.span().end_with_timestamp(step.span.end);
}

/// A span that has begun, as the context of those below it. A class or code of an error is its status.
fn spanned(
    tracer: &SdkTracer,
    parent: &Context,
    name: String,
    times: Span,
    attributes: Vec<KeyValue>,
    failed: Option<&str>,
) -> Context {
    let builder = SpanBuilder::from_name(name).with_start_time(times.start).with_attributes(attributes);
    let mut span = tracer.build_with_context(builder, parent);
    span.set_status(failed.map_or(Status::Ok, |failed| Status::error(failed.to_owned())));
    parent.with_span(span)
}

/// The last value of each metric of each step.
pub(super) fn metrics(run: &FinishedRun, client: &CollectorClient, unnamed: bool) -> Result<(), String> {
    let exporter = MetricExporter::builder().with_http().with_http_client(client.clone()).build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    let provider =
        SdkMeterProvider::builder().with_resource(resource(unnamed)).with_periodic_exporter(exporter).build();
    let meter = provider.meter(SCOPE);
    for metric in &run.metrics {
        let mut attributes = vec![KeyValue::new("osiris.pipeline", run.pipeline.clone())];
        attributes.extend(metric.step.clone().map(|step| KeyValue::new("osiris.step", step)));
        let gauge = meter.f64_gauge(format!("osiris.{}", metric.name)).with_unit(metric.unit.clone()).build();
        gauge.record(metric.value, &attributes);
    }
    provider.shutdown().map_err(|error| error.to_string())
}

/// What the variables say of the service, and its name where they say none.
fn resource(unnamed: bool) -> Resource {
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if unnamed { builder.with_service_name(SCOPE).build() } else { builder.build() }
}
