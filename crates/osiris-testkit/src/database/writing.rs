//! A server, a store, and a short way to write from one to the other.

use osiris_core::{ErrorKind, StepFailure, StepOutput, TableRef};
use serde_json::{Value, json};

use super::{DatabaseDriver, DatabaseServer};
use crate::{Bench, InputTable};

/// A bench and the server it writes to.
pub struct Writing<D: DatabaseDriver> {
    /// The server.
    pub server: D::Server,
    /// Where steps run.
    pub bench: Bench,
    /// The connection of [`write`](Self::write).
    pub connection: Value,
}

impl<D: DatabaseDriver> Writing<D> {
    /// Over any server. Nothing when tests that need it are left out.
    pub async fn new() -> Option<Self> {
        Some(Self::over(D::Server::start().await.unwrap()?))
    }

    fn over(server: D::Server) -> Self {
        let bench = Bench::new(D::register).unwrap();
        let connection = D::connection(&server, json!({}));
        Self { server, bench, connection }
    }

    /// Over a server of the test's own, started like this. Nothing when tests that need it are left out.
    pub async fn with(options: <D::Server as DatabaseServer>::Options) -> Option<Self> {
        Some(Self::over(D::Server::start_with(options).await.unwrap()?))
    }

    /// Writes the table that `data` makes.
    ///
    /// # Errors
    /// When the step fails.
    pub async fn write(&self, config: Value, data: impl Into<InputTable>) -> Result<StepOutput, StepFailure> {
        let input = self.bench.table("source", data).await.unwrap();
        self.write_table(config, &input).await
    }

    /// Writes a table that is there.
    ///
    /// # Errors
    /// When the step fails.
    pub async fn write_table(&self, config: Value, input: &TableRef) -> Result<StepOutput, StepFailure> {
        self.bench.step("write", D::WRITER, config).connection(self.connection.clone()).input(input).run().await
    }

    /// Writes and expects a validation error; its whole text.
    pub async fn refused(&self, config: Value, data: impl Into<InputTable>) -> String {
        let failure = self.write(config, data).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Validation, "{:?}", failure.error);
        failure.error.report().replace(&format!("`{}.", self.server.database()), "`test.")
    }

    /// The rows of a query at the server, as [`lines`].
    pub async fn shown(&self, sql: &str) -> String {
        match self.server.rows(sql).await {
            Ok(rows) => lines(&rows),
            Err(error) => panic!("{sql}: {error:?}\n{}", self.server.log()),
        }
    }

    /// Runs statements at the server.
    pub async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap();
    }

    /// Whether the server has no table.
    pub async fn server_has_no_table(&self) -> bool {
        self.server.rows(D::Server::TABLES).await.unwrap().is_empty()
    }

    /// The rejects of the last write: number, column, reason.
    pub async fn rejects(&self) -> String {
        let rows =
            self.bench.query("SELECT row_number, \"column\", reason FROM rejects.write ORDER BY 1").await.unwrap();
        lines(rows.rows())
    }
}

/// Rows as one text: fields with `|` between, `-` for NULL, a line for each row.
pub fn lines(rows: &[Vec<Option<String>>]) -> String {
    let line = |row: &Vec<Option<String>>| {
        row.iter().map(|field| field.as_deref().unwrap_or("-").to_owned()).collect::<Vec<_>>().join("|")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `{"table": "t"}` and more fields.
pub fn config(fields: Value) -> Value {
    let mut config = json!({"table": "t"});
    for (name, value) in fields.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    config
}
