//! DDL when rows are written over REST: over the database if the connection has it, else over an SQL endpoint of the
//! project. The API is notified, and polled until it has reloaded its schema.

use std::time::{Duration, Instant};

use osiris_core::{Error, ErrorKind, ExecutionContext, Result, event};
use osiris_http::{Method, Request};
use serde_json::json;

use super::refusal::is_not_noticed;
use super::statement::Statement;
use crate::client::{Client, Rest};
use crate::config::DdlChannel;

/// Makes PostgREST reload its schema cache (<https://docs.postgrest.org/en/v12/references/schema_cache.html>).
const RELOAD: &str = "NOTIFY pgrst, 'reload schema'";
/// How long the API may take to reload its schema cache.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);
/// Interval at which the notification is repeated: PostgREST may have been disconnected.
const REMIND_EVERY: Duration = Duration::from_secs(3);
const SHORTEST_DELAY: Duration = Duration::from_millis(20);
const MAX_DELAY: Duration = Duration::from_secs(1);
const CONTEXT: &str = "changing the table";

/// The channel of the statements.
pub(super) struct Ddl<'a> {
    pub(super) client: &'a Client,
    pub(super) rest: &'a Rest,
    pub(super) ctx: &'a ExecutionContext,
    pub(super) channel: DdlChannel,
    pub(super) table: String,
}

impl Ddl<'_> {
    /// Runs `sql` and notifies the API.
    ///
    /// # Errors
    /// When the database returns an error, or there is no channel for SQL.
    pub(super) async fn run(&self, sql: &str) -> Result<()> {
        self.ctx.log_event(event::DDL_ATTEMPT, json!({"table": self.table, "channel": self.way()}));
        match self.execute(&format!("{sql};\n{RELOAD};")).await {
            Ok(()) => {
                self.ctx.log_event(event::DDL_SUCCEEDED, json!({"table": self.table}));
                Ok(())
            }
            Err(error) => {
                self.ctx.log_event(event::DDL_FAILED, json!({"table": self.table, "error": error.message()}));
                Err(error)
            }
        }
    }

    /// Waits until the API accepts what `statement` would write, by polling.
    ///
    /// # Errors
    /// When it does not in time, or returns another error.
    pub(super) async fn wait(&self, statement: &Statement) -> Result<()> {
        let started = Instant::now();
        let (mut delay, mut reminded) = (SHORTEST_DELAY, started);
        loop {
            let error = match super::probe(statement).await {
                Ok(()) => return Ok(()),
                Err(error) if is_not_noticed(&error) => error,
                Err(error) => return Err(error),
            };
            if started.elapsed() > NOTICED_WITHIN {
                let hint =
                    "the table exists: reload the API's schema cache (NOTIFY pgrst, 'reload schema') and run again";
                let message = format!("table `{}` did not appear in the API within {NOTICED_WITHIN:?}", self.table);
                return Err(Error::new(ErrorKind::Timeout, message).with_hint(hint).with_source(error));
            }
            if reminded.elapsed() > REMIND_EVERY {
                self.execute(&format!("{RELOAD};")).await?;
                reminded = Instant::now();
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(MAX_DELAY);
        }
    }

    fn way(&self) -> &'static str {
        if self.is_direct() { "postgres" } else { "http_sql" }
    }

    fn is_direct(&self) -> bool {
        match self.channel {
            DdlChannel::Auto => self.client.has_direct(),
            DdlChannel::Postgres | DdlChannel::Psycopg2 => true,
            DdlChannel::HttpSql => false,
        }
    }

    async fn execute(&self, sql: &str) -> Result<()> {
        if self.is_direct() {
            let mut session = self.client.direct().await?.acquire().await?;
            session.execute(sql, CONTEXT).await?;
            session.release().await;
            return Ok(());
        }
        self.over_http(sql).await
    }

    async fn over_http(&self, sql: &str) -> Result<()> {
        let address = self.client.target().connection.rest.as_ref();
        let Some(endpoint) = address.map(|address| &address.sql) else {
            return Err(
                Error::validation("the connection has no REST API").with_hint("set `url` or `project_id`, and `key`")
            );
        };
        let key = endpoint.key.expose();
        let request = Request::new(Method::POST, endpoint.url.clone())
            .header("apikey", key)?
            .header("Authorization", &format!("Bearer {key}"))?
            .json(&json!({"query": sql}))?
            .what("running SQL over the project's API");
        match self.rest.http().fetch(&request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Adds advice if the endpoint is the problem.
    fn refused(&self, error: Error) -> Error {
        let status = error.context().iter().find(|(name, _)| *name == "status").map(|(_, status)| status.as_str());
        let trouble = match status {
            Some("404" | "405") => "the project has no SQL endpoint at this address",
            Some("401" | "403") => "the key may not run SQL",
            _ => return error,
        };
        let kind = if trouble.starts_with("the key") { ErrorKind::Permission } else { ErrorKind::Validation };
        Error::new(kind, format!("table `{}` cannot be created or altered over the API: {trouble}", self.table))
            .with_hint(
                "set `dsn` in the connection, or `sql_url` with `sql_key` (the Management API with a personal access token); or run \
                 `ddl_plan.sql` of the step's artifacts yourself",
            )
            .with_source(error)
    }
}
