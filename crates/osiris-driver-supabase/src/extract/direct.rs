//! The direct channel: converts PostgREST syntax to SQL for the PostgreSQL driver.

use osiris_core::{Error, ExecutionContext, Extracted, Result, Step, TableSink};
use osiris_driver_postgres::client::Client;
use osiris_driver_postgres::extract::{ExtractTask, SourceSql, TableSql, extract as read};

use super::SupabaseExtractor;
use crate::config::{ExtractorConfig, Order, SupabaseConnection};

/// Runs the extraction.
///
/// # Errors
/// For features that only REST supports, or when not all rows could be read.
pub(super) async fn extract(
    client: &Client,
    step: &Step<'_, SupabaseExtractor>,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let config = step.config();
    let sql = TableText::of(config)?;
    let source = match &config.query {
        Some(query) => SourceSql::Query(query),
        None => SourceSql::Table(sql.source(config, step.connection())),
    };
    let mut task = ExtractTask::new(step.id(), source);
    task.state = step.state();
    task.dry_run = step.dry_run();
    task.timeout = config.timeout;
    task.statement_timeout = config.statement_timeout;
    task.batch_size = config.batch_size;
    task.partition_by = config.partition_by.as_deref();
    task.partitions = config.partitions;
    task.cursor = config.cursor.as_ref();
    task.policies = config.policies;
    read(client, &task, out, ctx).await
}

/// The parts of the statement for a table.
struct TableText {
    list: String,
    condition: Option<String>,
    order_by: Option<String>,
}

impl TableText {
    fn of(config: &ExtractorConfig) -> Result<Self> {
        let only_rest = |field: &'static str| {
            move |why: String| {
                Error::validation(format!("`{field}`: {why}"))
                    .with_hint("read it over REST (`channel: rest` in the connection), or write a `query`")
            }
        };
        Ok(Self {
            list: config.select().sql().map_err(only_rest("select"))?,
            condition: config.filter.as_ref().map(|filter| filter.sql().map_err(only_rest("filter"))).transpose()?,
            order_by: config.order.as_ref().map(Order::sql),
        })
    }

    fn source<'a>(&'a self, config: &'a ExtractorConfig, connection: &'a SupabaseConnection) -> TableSql<'a> {
        TableSql {
            schema: config.schema(connection),
            table: config.table.as_deref().unwrap_or_default(),
            list: &self.list,
            condition: self.condition.as_deref(),
            order_by: self.order_by.as_deref(),
            limit: config.limit,
            offset: config.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(config: Value) -> Result<TableText> {
        TableText::of(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn notation_of_postgrest_becomes_sql() {
        let config = json!({"table": "t", "select": "id,n:name", "filter": {"x": "gte.1"}, "order": "x.desc"});
        let text = text(config).unwrap();
        assert_eq!(text.list, "\"id\" AS \"id\", \"name\" AS \"n\"");
        assert_eq!(text.condition.as_deref(), Some("(\"x\" >= '1')"));
        assert_eq!(text.order_by.as_deref(), Some("\"x\" DESC NULLS FIRST"));
    }

    #[test]
    fn what_only_rest_can_do_is_refused_with_the_way_out() {
        let error = text(json!({"table": "t", "select": "*,author(name)"})).err().unwrap();
        assert!(error.message().contains("`select`") && error.hint().is_some_and(|hint| hint.contains("REST")));
    }
}
