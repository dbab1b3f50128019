//! A server, a store, and a short way to write from one to the other over the direct channel.

use osiris_core::{ErrorKind, StepFailure, StepOutput, TableRef};
use osiris_testkit::services::{Postgres, PostgresOptions};
use osiris_testkit::{Bench, InputTable};
use serde_json::{Value, json};

/// A bench and the server it writes to.
pub(crate) struct Fixture {
    pub(crate) server: Postgres,
    pub(crate) bench: Bench,
    pub(crate) connection: Value,
}

impl Fixture {
    /// Nothing when tests that need the server are left out.
    pub(crate) async fn new() -> Option<Self> {
        Some(Self::over(Postgres::start().await.unwrap()?))
    }

    /// The same with a server of the test's own, started like this.
    pub(crate) async fn with(options: PostgresOptions) -> Option<Self> {
        Some(Self::over(Postgres::start_with(options).await.unwrap()?))
    }

    fn over(server: Postgres) -> Self {
        let bench = Bench::new(osiris_driver_supabase::register).unwrap();
        let connection = server.connection();
        Self { server, bench, connection }
    }

    /// Writes the table that `data` makes.
    pub(crate) async fn write(&self, config: Value, data: impl Into<InputTable>) -> Result<StepOutput, StepFailure> {
        let input = self.bench.table("source", data).await.unwrap();
        self.write_table(config, &input).await
    }

    /// Writes a table that is there.
    pub(crate) async fn write_table(&self, config: Value, input: &TableRef) -> Result<StepOutput, StepFailure> {
        self.bench.step("write", "supabase.writer", config).connection(self.connection.clone()).input(input).run().await
    }

    /// Writes and expects a validation error; its whole text.
    pub(crate) async fn refused(&self, config: Value, data: impl Into<InputTable>) -> String {
        let failure = self.write(config, data).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Validation, "{:?}", failure.error);
        failure.error.report()
    }

    /// See [`shown`].
    pub(crate) async fn shown(&self, sql: &str) -> String {
        shown(&self.server, sql).await
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap();
    }

    /// The rejects of the last write: number, column, reason.
    pub(crate) async fn rejects(&self) -> String {
        let rows =
            self.bench.query("SELECT row_number, \"column\", reason FROM rejects.write ORDER BY 1").await.unwrap();
        lines(rows.rows())
    }
}

/// The rows of a query as one text: fields with `|` between, `-` for NULL, a line for each row.
pub(crate) async fn shown(server: &Postgres, sql: &str) -> String {
    match server.rows(sql).await {
        Ok(rows) => lines(&rows),
        Err(error) => panic!("{sql}: {error:?}\n{}", server.log()),
    }
}

fn lines(rows: &[Vec<Option<String>>]) -> String {
    let line = |row: &Vec<Option<String>>| {
        row.iter().map(|field| field.as_deref().unwrap_or("-").to_owned()).collect::<Vec<_>>().join("|")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `{"table": "t"}` and more fields.
pub(crate) fn config(fields: Value) -> Value {
    let mut config = json!({"table": "t"});
    if let (Value::Object(all), Value::Object(fields)) = (&mut config, fields) {
        all.extend(fields);
    }
    config
}
