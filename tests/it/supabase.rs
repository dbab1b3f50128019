//! The Supabase examples against a real PostgREST behind a gateway, a real PostgreSQL and a real MySQL.

use osiris_e2e::{Ended, Program, Project};
use osiris_stand_ins::supabase::{Gateway, Postgrest, Trouble, tokens};
use osiris_testkit::services::{Mariadb, Postgres};
use serde_json::Value;

/// The examples, and the variables that name the servers.
struct World {
    project: Project,
    variables: Vec<(&'static str, String)>,
}

impl World {
    fn new(server: &Postgres, gateway: &Gateway) -> Self {
        let variables = vec![
            ("SUPABASE_URL", gateway.url()),
            ("SUPABASE_SERVICE_ROLE_KEY", tokens::service()),
            ("SUPABASE_DB_URL", server.dsn()),
            ("MYSQL_PASSWORD", String::new()),
        ];
        Self { project: Project::copy_of(Program::built(), "examples"), variables }
    }

    fn with_mysql(mut self, server: &Mariadb) -> Self {
        let fields = server.connection();
        let text = |name: &str| match &fields[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.variables.retain(|(name, _)| *name != "MYSQL_PASSWORD");
        self.variables.extend([
            ("MYSQL_HOST", text("host")),
            ("MYSQL_PORT", text("port")),
            ("MYSQL_USER", text("user")),
            ("MYSQL_PASSWORD", text("password")),
            ("MYSQL_DATABASE", text("database")),
        ]);
        self
    }

    fn run(&self, example: &str, arguments: &[&str]) -> Ended {
        let mut command = self.project.command(arguments);
        command.current_dir(self.project.path(example)).envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ended::of(command.output().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn supabase_example_loads_csv_over_rest_twice_though_connections_break_and_reads_it_again() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(api) = Postgrest::start(&server).await.unwrap() else { return };
    let gateway = Gateway::start(&api).unwrap();
    let world = World::new(&server, &gateway);
    for round in 0..2 {
        if round == 1 {
            gateway.every("POST", 6, Trouble::DropAnswer);
        }
        let load = world.run("supabase", &["run", "load.yaml"]).with_code(0);
        assert!(load.stderr.contains("done: the ledger balances, 5,042 rows read, 5,042 written"), "{}", load.stderr);
        assert_eq!(server.value("SELECT count(*) FROM flights").await.unwrap().as_deref(), Some("5026"));
        assert_eq!(server.value("SELECT count(*) FROM airlines").await.unwrap().as_deref(), Some("16"));
    }
    gateway.calm();
    world.run("supabase", &["run", "read.yaml"]).with_code(0);
    let delayed = world.project.read("supabase/out/delayed.csv");
    let counted = server.value("SELECT count(*) FROM flights WHERE carrier = 'UA' AND arr_delay >= 60").await.unwrap();
    assert_eq!((delayed.lines().count() - 1).to_string(), counted.unwrap());
    let delays: Vec<f64> =
        delayed.lines().skip(1).map(|line| line.split(',').nth(4).unwrap().parse().unwrap()).collect();
    assert!(delays.len() == 65 && delays.is_sorted_by(|one, next| one >= next), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn supabase_example_replaces_a_table_by_what_sql_makes_of_mysql() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(mysql) = Mariadb::start().await.unwrap() else { return };
    let Some(api) = Postgrest::start(&server).await.unwrap() else { return };
    let gateway = Gateway::start(&api).unwrap();
    let world = World::new(&server, &gateway).with_mysql(&mysql);
    world.run("mysql", &["run", "load.yaml"]).with_code(0);
    for _ in 0..2 {
        let report = world.run("supabase", &["run", "report.yaml"]).with_code(0);
        assert!(report.stderr.contains("the ledger balances"), "{}", report.stderr);
        let sql = "SELECT count(*) || '|' || max(mean_arrival_delay) FILTER (WHERE airline = 'United Air Lines Inc.' AND flights = 69) \
                   FROM punctuality";
        assert_eq!(server.value(sql).await.unwrap().as_deref(), Some("156|6"));
    }
    // Whoever reads it through a view, or may read it, still does after it was replaced.
    server.execute("CREATE VIEW shown AS SELECT * FROM punctuality").await.unwrap();
    world.run("supabase", &["run", "report.yaml"]).with_code(0);
    assert_eq!(server.value("SELECT count(*) FROM shown").await.unwrap().as_deref(), Some("156"));
}

#[tokio::test(flavor = "multi_thread")]
async fn supabase_connections_are_checked_and_no_key_is_shown() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(api) = Postgrest::start(&server).await.unwrap() else { return };
    let gateway = Gateway::start(&api).unwrap();
    let mut world = World::new(&server, &gateway);
    let healthy = world.run("supabase", &["connections", "doctor", "@supabase.api", "--json"]).with_code(0);
    assert_eq!(healthy.json()[0]["category"], "ok", "{}", healthy.stdout);
    world.variables.retain(|(name, _)| *name != "SUPABASE_SERVICE_ROLE_KEY");
    world.variables.push(("SUPABASE_SERVICE_ROLE_KEY", "wr0ng/key+==".to_owned()));
    let doctor = world.run("supabase", &["connections", "doctor", "@supabase.api"]).with_code(1);
    assert!(doctor.stdout.contains("@supabase.api  auth"), "{}", doctor.stdout);
    let refused = world.run("supabase", &["run", "load.yaml"]).with_code(1);
    for text in [&doctor.stdout, &doctor.stderr, &refused.stdout, &refused.stderr] {
        assert!(!text.contains("wr0ng"), "{text}");
    }
}
