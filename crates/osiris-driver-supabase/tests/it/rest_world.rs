//! A project as the REST channel sees it: a database, PostgREST, the gateway; and a short way to read and write through it.

use osiris_core::{ErrorKind, StepFailure, StepOutput, TableRef};
use osiris_stand_ins::supabase::{Gateway, GatewayOptions, Postgrest, PostgrestOptions};
use osiris_testkit::services::Postgres;
use osiris_testkit::{Bench, InputTable};
use serde_json::{Value, json};

/// A project and a bench.
pub(crate) struct World {
    pub(crate) server: Postgres,
    pub(crate) api: Postgrest,
    pub(crate) gateway: Gateway,
    pub(crate) bench: Bench,
}

impl World {
    /// Nothing when tests that need the servers are left out.
    pub(crate) async fn new(setup: &str) -> Option<Self> {
        Self::with(setup, PostgrestOptions::new(), GatewayOptions::new()).await
    }

    /// The same with a PostgREST and a gateway of these options.
    pub(crate) async fn with(setup: &str, rest: PostgrestOptions, gateway: GatewayOptions) -> Option<Self> {
        let server = Postgres::start().await.unwrap()?;
        let api = Postgrest::start_with(&server, rest).await.unwrap()?;
        let gateway = Gateway::start_with(&api, gateway).unwrap();
        let bench = Bench::new(osiris_driver_supabase::register).unwrap();
        let world = Self { server, api, gateway, bench };
        if !setup.is_empty() {
            world.execute(setup).await;
            world.api.reload().await.unwrap();
        }
        Some(world)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap();
    }

    /// Reads.
    pub(crate) async fn read(&self, config: Value) -> Result<StepOutput, StepFailure> {
        self.read_from(config, None).await
    }

    /// The same from a saved state.
    pub(crate) async fn read_from(&self, config: Value, state: Option<Value>) -> Result<StepOutput, StepFailure> {
        let step = self.bench.step("read", "supabase.extractor", config).connection(self.gateway.connection());
        match state {
            Some(state) => step.state(state).run().await,
            None => step.run().await,
        }
    }

    /// Reads, and shows what `columns` of the step's table are, as `a|b`, with `-` for NULL.
    pub(crate) async fn shown(&self, config: Value, columns: &str) -> String {
        let output = self.read(config).await.unwrap_or_else(|failure| panic!("{:?}", failure.error));
        self.stored(&output, columns).await
    }

    /// The same of a step's table.
    pub(crate) async fn stored(&self, output: &StepOutput, columns: &str) -> String {
        let table = output.table.as_ref().unwrap().sql();
        let rows = self.bench.query(&format!("SELECT {columns} FROM {table}")).await.unwrap();
        lines(rows.rows())
    }

    /// Reads, and expects an error; its whole text.
    pub(crate) async fn unread(&self, config: Value, kind: ErrorKind) -> String {
        let failure = self.read(config).await.unwrap_err();
        assert_eq!(failure.error.kind(), kind, "{:?}", failure.error);
        failure.error.report()
    }

    /// Writes the table that `data` makes.
    pub(crate) async fn write(&self, config: Value, data: impl Into<InputTable>) -> Result<StepOutput, StepFailure> {
        let input = self.bench.table("source", data).await.unwrap();
        self.write_table(config, &input).await
    }

    /// Writes a table that is there.
    pub(crate) async fn write_table(&self, config: Value, input: &TableRef) -> Result<StepOutput, StepFailure> {
        let step = self.bench.step("write", "supabase.writer", config).connection(self.gateway.connection());
        step.input(input).run().await
    }

    /// Writes and expects an error of `kind`; its whole text.
    pub(crate) async fn refused(&self, config: Value, data: impl Into<InputTable>, kind: ErrorKind) -> String {
        let failure = self.write(config, data).await.unwrap_err();
        assert_eq!(failure.error.kind(), kind, "{:?}", failure.error);
        failure.error.report()
    }

    /// The rows of a query as one text.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        lines(&self.server.rows(sql).await.unwrap())
    }

    /// The rejects of the last write: number, column, reason.
    pub(crate) async fn rejects(&self) -> String {
        let sql = "SELECT row_number, \"column\", reason FROM rejects.write ORDER BY 1";
        lines(self.bench.query(sql).await.unwrap().rows())
    }

    /// How often the gateway got a request with this method.
    pub(crate) fn requests(&self, method: &str) -> usize {
        self.gateway.requests().iter().filter(|seen| seen.method() == method).count()
    }
}

fn lines(rows: &[Vec<Option<String>>]) -> String {
    let line = |row: &Vec<Option<String>>| {
        row.iter().map(|field| field.as_deref().unwrap_or("-").to_owned()).collect::<Vec<_>>().join("|")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `{"table": "t"}` and more fields.
pub(crate) fn table(fields: Value) -> Value {
    let mut config = json!({"table": "t"});
    if let (Value::Object(all), Value::Object(fields)) = (&mut config, fields) {
        all.extend(fields);
    }
    config
}
