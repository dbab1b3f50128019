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

#[test]
fn items_that_the_server_withholds_are_said_on_the_screen() {
    let (api, project) = (server(), Project::copy_of(Program::built(), "examples/graphql"));
    let answer = serde_json::json!({"data": {"items": {"nodes": [{"id": 1}, null, {"id": 3}]}}});
    api.trouble([Trouble::Instead(Reply::json(200, &answer))]);
    project.write(
        "nulls.yaml",
        "oml_version: \"0.1.0\"\nname: nulls\nsteps:\n  - id: items\n    component: graphql.extractor\n    mode: read\n    \
         config: {query: \"{ items { nodes { id } } }\", data_path: data.items.nodes}\n  - id: out\n    component: \
         filesystem.csv_writer\n    mode: write\n    config: {path: out.csv}\n",
    );
    let run = run(&project, &api, TOKEN, &["run", "nulls.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n3\n");
    assert!(run.stderr.contains("null in the place of items"), "{}", run.stderr);
}
