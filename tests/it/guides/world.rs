//! What a reader has besides a directory: servers, and the variables that name them.

use std::path::Path;

use osiris_e2e::{Ended, Project, Running, is_seconds, steady};
use osiris_stand_ins::posthog::{Event, PostHog};
use osiris_stand_ins::supabase::{Gateway, Postgrest, tokens};
use osiris_testkit::http_server::{HttpServer, Reply};
use osiris_testkit::services::{Mariadb, Moto, Postgres};
use serde_json::{Value, json};

use super::page::{Command, Database};

/// 2024-01-31T12:00:00Z, in microseconds.
const NOON: i64 = 1_706_702_400_000_000;
/// Says how the program is built, which `cargo xtask ci` does.
const BUILDING: &str = include_str!("../../../ARCHITECTURE.md");

pub(super) struct World {
    mysql: Mariadb,
    postgres: Postgres,
    api: HttpServer,
    posthog: PostHog,
    store: Moto,
    supabase: Option<(Postgrest, Gateway)>,
}

impl World {
    /// None when tests with servers are left out.
    pub(super) async fn start() -> Option<Self> {
        let mysql = Mariadb::start().await.unwrap()?;
        let postgres = Postgres::start().await.unwrap()?;
        let orders = json!({
            "nodes": [{"id": "1", "total": 10, "createdAt": "2024-01-01T09:00:00Z"}],
            "pageInfo": {"hasNextPage": false, "endCursor": "1"},
        });
        let api = HttpServer::scripted([Reply::json(200, &json!({"data": {"orders": orders}}))]).unwrap();
        let posthog = PostHog::start().unwrap();
        posthog.insert_events(&[Event::numbered(1, NOON), Event::numbered(2, NOON + 1)]).await.unwrap();
        let store = Moto::start().await.unwrap()?;
        Some(Self { mysql, postgres, api, posthog, store, supabase: None })
    }

    /// Starts the REST API, which sees the tables that are there by then. Whether there is one.
    pub(super) async fn serve_rest(&mut self) -> bool {
        if self.supabase.is_none() {
            let Some(rest) = Postgrest::start(&self.postgres).await.unwrap() else { return false };
            let gateway = Gateway::start(&rest).unwrap();
            self.supabase = Some((rest, gateway));
        }
        true
    }

    /// Runs statements.
    pub(super) async fn execute(&self, project: &Project, database: &Database<'_>, sql: &str) {
        match database {
            Database::Mysql => self.mysql.execute(sql).await.unwrap(),
            Database::Postgres => self.postgres.execute(sql).await.unwrap(),
            Database::Sqlite(file) => crate::sqlite::execute(&project.path(file), sql).await,
        }
    }

    /// Does what a line of a page says, and checks what the page says of it.
    pub(super) fn check(&self, project: &Project, command: &Command<'_>) {
        let line = command.line;
        if line.starts_with("cargo ") {
            assert!(BUILDING.contains(line), "`{line}` is not how the program is built");
            return;
        }
        let ended = self.run(project, line);
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, command.code, "{line}:\n{printed}");
        // In any order: steps run in parallel.
        let lines: Vec<Vec<String>> = printed.lines().map(words).collect();
        for expected in &command.prints {
            assert!(lines.contains(&words(expected)), "`{line}` does not print\n{expected}\nbut\n{printed}");
        }
    }

    fn run(&self, project: &Project, line: &str) -> Ended {
        let mut shell = project.shell(line);
        shell.envs(self.variables());
        Running::start(&mut shell).ended()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let mut variables = named("SHOP", &self.mysql.connection());
        variables.extend(named("LAKE", &self.postgres.connection()));
        variables.extend(named("POSTHOG", &self.posthog.connection()));
        let rest = self.supabase.as_ref().map(|(_, gateway)| ("SUPABASE_URL", gateway.url()));
        let others = [
            ("POSTHOG_URL", self.posthog.url()),
            ("API_URL", format!("{}/graphql", self.api.url())),
            ("API_TOKEN", "t0ken/of+the=example".to_owned()),
            ("SUPABASE_SERVICE_ROLE_KEY", tokens::service()),
            ("STORE_PREFIX", "s3://lake/shop/".to_owned()),
            ("STORE_ENDPOINT", format!("http://{}", self.store.address())),
            ("STORE_ALLOW_HTTP", "true".to_owned()),
            ("STORE_KEY_ID", "AKIDOFATEST".to_owned()),
            ("STORE_SECRET", "secret/of+the=store".to_owned()),
        ];
        variables.extend(others.into_iter().chain(rest).map(|(name, value)| (name.to_owned(), value)));
        variables
    }
}

/// The fields of a connection as variables, such as `SHOP_HOST`.
fn named(prefix: &str, connection: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = connection.as_object().into_iter().flatten();
    fields.map(|(name, value)| (format!("{prefix}_{}", name.to_ascii_uppercase()), text(value))).collect()
}

/// A line without what differs from run to run: ids of runs, times, the rates behind them, widths of columns, and the
/// milliseconds that the check of a connection took.
fn words(line: &str) -> Vec<String> {
    let line = steady(line, Path::new(""));
    let words = line.split_whitespace().take_while(|word| !is_seconds(word));
    let is_check = line.starts_with('@');
    words.enumerate().filter(|(index, _)| !(is_check && *index == 2)).map(|(_, word)| word.to_owned()).collect()
}

#[test]
fn lines_are_compared_without_times_and_widths_but_with_numbers_of_rows() {
    assert_eq!(words("a   3  3  0  0.03  115"), words("a  3  3  0     0.11"));
    assert_ne!(words("a   3  3  0  0.03  115"), words("a  3  2  0     0.03  115"));
    assert_eq!(words("done: 3 rows, 0.03 s"), words("done: 3 rows, 0.11 s"));
    assert_eq!(words("@sqlite.shop  ok  0  can be read"), words("@sqlite.shop  ok  12  can be read"));
}
