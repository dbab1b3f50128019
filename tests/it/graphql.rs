//! The GraphQL example against a real engine, with trouble on the way.

use std::fs::File;

use osiris_e2e::{Ended, Program, Project};
use osiris_stand_ins::graphql::{Api, Options, Trouble};
use osiris_testkit::http_server::Reply;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

const TOKEN: &str = "t0ken/of+the=example";

fn server() -> Api {
    let credentials = Some(("authorization", format!("Bearer {TOKEN}")));
    Api::with_items(1234, Options { credentials, ..Options::default() })
}

fn run(project: &Project, api: &Api, token: &str, arguments: &[&str]) -> Ended {
    let mut command = project.command(arguments);
    command.env("GRAPHQL_URL", api.endpoint()).env("GRAPHQL_TOKEN", token);
    Ended::of(command.output().unwrap())
}

fn read(project: &Project, path: &str) -> SerializedFileReader<File> {
    SerializedFileReader::new(File::open(project.path(path)).unwrap()).unwrap()
}

#[test]
fn graphql_example_writes_every_item_though_the_server_has_trouble() {
    let (api, project) = (server(), Project::copy_of(Program::built(), "examples/graphql"));
    api.trouble([Trouble::None, Trouble::Instead(Reply::text(503, "busy")), Trouble::None, Trouble::Cut]);
    let ended = run(&project, &api, TOKEN, &["run", "pipeline.yaml"]).with_code(0);
    assert!(ended.stderr.contains("the ledger balances"), "{}", ended.stderr);
    assert_eq!(api.asked().len(), 13 + 2, "one request for each page, and two repetitions");
    let items = read(&project, "out/items.parquet");
    assert_eq!(items.metadata().file_metadata().num_rows(), 1234);
    let owners = read(&project, "out/owners.parquet");
    let mut counted: Vec<(Option<String>, i64)> = owners
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .map(|row| (row.get_string(0).ok().cloned(), row.get_long(1).unwrap()))
        .collect();
    counted.sort();
    // The items whose id ends in 9 have no owner; the others belong to the rest of their id divided by 3.
    let count = |rest: i64| i64::try_from((1..=1234).filter(|id| id % 10 != 9 && id % 3 == rest).count()).unwrap();
    let owner = |rest: i64| (Some(format!("owner {rest}")), count(rest));
    assert_eq!(counted, [(None, 123), owner(0), owner(1), owner(2)]);
}

#[test]
fn graphql_example_with_a_wrong_token_is_refused_and_shows_it_nowhere() {
    let (api, project) = (server(), Project::copy_of(Program::built(), "examples/graphql"));
    let ended = run(&project, &api, "another+s3cret==", &["run", "pipeline.yaml"]).with_code(1);
    assert!(ended.stderr.contains("auth"), "{}", ended.stderr);
    let doctor = run(&project, &api, "another+s3cret==", &["connections", "doctor", "@graphql.shop"]);
    assert_ne!(doctor.code, 0);
    for text in [&ended.stderr, &ended.stdout, &doctor.stderr, &doctor.stdout] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert!(!project.path("out/items.parquet").exists());
}

#[test]
fn graphql_example_can_be_discovered_and_tried_without_writing() {
    let (api, project) = (server(), Project::copy_of(Program::built(), "examples/graphql"));
    let found = run(
        &project,
        &api,
        TOKEN,
        &["components", "discover", "graphql.extractor", "--connection", "@graphql.shop", "--json"],
    );
    assert!(found.with_code(0).stdout.contains("itemsFrom"));
    let asked = api.asked().len();
    run(&project, &api, TOKEN, &["run", "pipeline.yaml", "--dry-run"]).with_code(0);
    assert_eq!(api.asked().len(), asked + 1, "one page");
    assert!(!project.path("out/items.parquet").exists());
}

/// A pipeline that reads items, with these further lines in the configuration of its extractor, and writes them to `out.csv`.
fn items_to_csv(project: &Project, query: &str, fields: &str) {
    project.write(
        "items.yaml",
        format!(
            "oml_version: \"0.1.0\"\nname: items\nsteps:\n  - id: items\n    component: graphql.extractor\n    mode: read\n    \
             config:\n      query: \"{query}\"\n      data_path: data.items.nodes\n{fields}  - id: out\n    component: \
             filesystem.csv_writer\n    mode: write\n    config: {{path: out.csv}}\n"
        ),
    );
}

#[test]
fn p1_items_that_are_null_end_the_run_unless_they_may_be_left_out() {
    let (api, project) = (server(), Project::copy_of(Program::built(), "examples/graphql"));
    let answer = serde_json::json!({"data": {"items": {"nodes": [{"id": 1}, null, {"id": 3}]}}});
    api.trouble(vec![Trouble::Instead(Reply::json(200, &answer)); 2]);
    items_to_csv(&project, "{ items { nodes { id } } }", "");
    let refused = run(&project, &api, TOKEN, &["run", "items.yaml"]).with_code(3);
    assert!(refused.stderr.contains("item 2 of page 1 is null"), "{}", refused.stderr);
    assert!(!project.path("out.csv").exists());
    items_to_csv(&project, "{ items { nodes { id } } }", "      null_items: skip\n");
    let run = run(&project, &api, TOKEN, &["run", "items.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n3\n");
    for said in ["null in the place of items", "1 row of the source ignored", "the ledger balances"] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
}

#[test]
fn p6_the_plan_names_the_first_page_and_fewer_rows_than_counted_end_the_run() {
    let (api, project) = (server(), Project::copy_of(Program::built(), "examples/graphql"));
    let answer = serde_json::json!({"data": {"items": {"totalCount": 9, "nodes": [{"id": 1}, {"id": 2}]}}});
    api.trouble(vec![Trouble::Instead(Reply::json(200, &answer)); 2]);
    items_to_csv(&project, "{ items { totalCount nodes { id } } }", "");
    let refused = run(&project, &api, TOKEN, &["run", "items.yaml"]).with_code(3);
    assert!(refused.stderr.contains("the server counts 9 rows, but returned 2"), "{}", refused.stderr);
    let query = "query ($page: Int) { items(page: $page) { nodes { id } } }";
    for (field, said) in [("", "pages from 1"), (", first_page: 0", "pages from 0")] {
        items_to_csv(&project, query, &format!("      pagination: {{style: page{field}}}\n"));
        let plan = run(&project, &api, TOKEN, &["plan", "items.yaml"]).with_code(0);
        assert!(plan.stdout.contains(said), "{}", plan.stdout);
    }
}

#[test]
fn g41_an_endpoint_in_the_step_needs_no_connection_where_nothing_is_secret() {
    let open = Api::with_items(3, Options::default());
    let project = Project::copy_of(Program::built(), "examples/graphql");
    let query = "{ items { nodes { id } } }";
    let fields = format!("      endpoint: {}\n", open.endpoint());
    items_to_csv(&project, query, &fields);
    // The default connection of the example would be sent elsewhere.
    let refused = run(&project, &open, TOKEN, &["run", "items.yaml"]).with_code(2);
    assert!(
        refused.stderr.contains("would send the data and secrets of @graphql.shop elsewhere"),
        "{}",
        refused.stderr
    );
    std::fs::remove_file(project.path("osiris_connections.yaml")).unwrap();
    run(&project, &open, TOKEN, &["run", "items.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
    items_to_csv(&project, query, &format!("{fields}      auth_type: bearer\n      auth_token: {TOKEN}\n"));
    let refused = run(&project, &open, TOKEN, &["run", "items.yaml"]).with_code(2);
    assert!(refused.stderr.contains("`auth_token` is a secret and must not be written"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(TOKEN), "{}", refused.stderr);
    items_to_csv(&project, query, "      timeout: 5\n");
    let refused = run(&project, &open, TOKEN, &["run", "items.yaml"]).with_code(2);
    assert!(refused.stderr.contains("no connection given"), "{}", refused.stderr);
}

#[test]
fn g81_a_step_may_add_headers_that_carry_no_credential() {
    let (api, project) = (server(), Project::copy_of(Program::built(), "examples/graphql"));
    let query = "{ items(first: 2) { nodes { id } } }";
    items_to_csv(&project, query, "      headers: {X-Trace: trace-1234}\n");
    let ended = run(&project, &api, TOKEN, &["run", "items.yaml"]).with_code(0);
    assert!(ended.stderr.contains("adds the header `X-Trace` to its connection"), "{}", ended.stderr);
    assert_eq!(api.requests()[0].header("x-trace"), Some("trace-1234"));
    for header in ["Authorization", "Cookie", "X-Api-Key", "x-auth-token", "Host"] {
        items_to_csv(&project, query, &format!("      headers: {{X-Trace: a, {header}: not-a-real-value}}\n"));
        let refused = run(&project, &api, TOKEN, &["run", "items.yaml"]).with_code(2);
        assert!(
            refused.stderr.contains(&format!("the header `{header}` may carry a credential")),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("not-a-real-value"), "{}", refused.stderr);
    }
    assert_eq!(api.requests().len(), 1);
}
