//! The saved state of a pipeline through the program: whose it is, when it is refused, how it is shown, removed and taken over.

use std::fs;

use osiris_e2e::{Ended, Program, Project, Running};
use osiris_stand_ins::posthog::{Event, PostHog};

/// 2024-01-31T12:00:00Z, in microseconds.
const NOON: i64 = 1_706_702_400_000_000;

const PIPELINE: &str = r#"oml_version: "0.1.0"
name: nightly
params: {page: {default: 1000}}
profiles:
  dev: {params: {page: 1000}}
  prod: {params: {page: 1000}}
steps:
  - {id: events, component: posthog.extractor, mode: read, config: {connection: "@posthog.shop", initial_since: "2024-01-01", page_size: 1000}}
  - {id: out, component: filesystem.csv_writer, mode: write, config: {path: "out.csv", columns: source}}
"#;

struct World {
    project: Project,
    posthog: PostHog,
}

impl World {
    fn new() -> Self {
        Self::of(20)
    }

    fn of(events: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let posthog = PostHog::start().unwrap();
        let events: Vec<Event> = (0..events).map(|number| Event::numbered(number, NOON)).collect();
        runtime.block_on(posthog.insert_events(&events)).unwrap();
        let project = Project::copy_of(Program::built(), "examples/posthog");
        project.write(
            "osiris_connections.yaml",
            "version: 1\nconnections:\n  posthog:\n    shop: {api_key: \"${KEY}\", project_id: \"${PROJECT}\", \
             region: self_hosted, custom_base_url: \"${URL}\"}\n",
        );
        project.write("nightly.yaml", PIPELINE);
        Self { project, posthog }
    }

    fn osiris(&self, arguments: &[&str], project_id: &str) -> Ended {
        let connection = self.posthog.connection();
        let mut command = self.project.command(arguments);
        command.env("KEY", connection["api_key"].as_str().unwrap());
        command.env("PROJECT", project_id).env("URL", self.posthog.url());
        Running::start(&mut command).ended()
    }

    fn project_id(&self) -> String {
        self.posthog.connection()["project_id"].to_string().trim_matches('"').to_owned()
    }
}

#[test]
fn s17_a_state_is_used_only_for_its_own_source_file_and_profile() {
    let world = World::new();
    let id = world.project_id();
    let first = world.osiris(&["run", "nightly.yaml", "--profile", "dev"], &id).with_code(0);
    assert!(first.stderr.contains("20 rows read"), "{}", first.stderr);
    let saved = world.project.read(".osiris/state/nightly/events.json");
    assert!(!saved.contains(world.posthog.connection()["api_key"].as_str().unwrap()), "{saved}");
    // Another profile, a copied file, another project: each is refused before a step runs, and says what differs.
    world.project.write("copy.yaml", PIPELINE);
    for (arguments, project, shown) in [
        (vec!["run", "nightly.yaml", "--profile", "prod"], id.as_str(), "profile: `dev` -> `prod`"),
        (vec!["run", "copy.yaml", "--profile", "dev"], &id, "pipeline file: `nightly.yaml` -> `copy.yaml`"),
        (vec!["run", "nightly.yaml", "--profile", "dev"], "4711", "connection.project_id: "),
    ] {
        let refused = world.osiris(&arguments, project).with_code(2);
        assert!(refused.stderr.contains(shown), "{}", refused.stderr);
        assert!(refused.stderr.contains("osiris state reset"), "{}", refused.stderr);
    }
    world.project.write("nightly.yaml", PIPELINE.replace("page_size", "event_types: [\"$pageview\"], page_size"));
    let refused = world.osiris(&["run", "nightly.yaml", "--profile", "dev"], &id).with_code(2);
    assert!(refused.stderr.contains("event_types: (none) -> `[\"$pageview\"]`"), "{}", refused.stderr);
    // How many rows are asked for at once makes no other source of it.
    world.project.write("nightly.yaml", PIPELINE.replace("page_size: 1000", "page_size: 100"));
    let again = world.osiris(&["run", "nightly.yaml", "--profile", "dev"], &id).with_code(0);
    assert!(again.stderr.contains("done"), "{}", again.stderr);
}

#[test]
fn s17_a_state_is_shown_taken_over_and_removed() {
    let world = World::new();
    let id = world.project_id();
    let nothing = world.osiris(&["state", "show", "nightly.yaml"], &id).with_code(0);
    assert!(nothing.stderr.contains("no saved state"), "{}", nothing.stderr);
    world.osiris(&["run", "nightly.yaml"], &id).with_code(0);
    let shown = world.osiris(&["state", "show", "nightly.yaml"], &id).with_code(0);
    for part in ["component: posthog.extractor", "pipeline file: nightly.yaml", "2024-01-31T12:00:00"] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    // Renamed: refused, shown with the reason, taken over.
    world.project.write("renamed.yaml", PIPELINE);
    world.osiris(&["run", "renamed.yaml"], &id).with_code(2);
    let shown = world.osiris(&["state", "show", "renamed.yaml", "events", "--json"], &id).with_code(0);
    assert!(shown.stdout.contains("`nightly.yaml` -> `renamed.yaml`"), "{}", shown.stdout);
    world.osiris(&["state", "accept", "renamed.yaml", "events"], &id).with_code(0);
    let again = world.osiris(&["run", "renamed.yaml"], &id).with_code(0);
    assert!(!again.stderr.contains("20 written"), "{}", again.stderr);
    // A state of an early version does not say whose it is.
    world.project.write(".osiris/state/nightly/events.json", "{\"events\": {}}");
    let refused = world.osiris(&["run", "renamed.yaml"], &id).with_code(2);
    assert!(refused.stderr.contains("does not record its source"), "{}", refused.stderr);
    world.osiris(&["state", "reset", "renamed.yaml", "nope", "--yes"], &id).with_code(2);
    world.osiris(&["state", "reset", "renamed.yaml", "events", "--yes"], &id).with_code(0);
    let whole = world.osiris(&["run", "renamed.yaml"], &id).with_code(0);
    assert!(whole.stderr.contains("20 rows read"), "{}", whole.stderr);
    world.osiris(&["state", "reset", "renamed.yaml", "--yes"], &id).with_code(0);
    assert!(!world.project.path(".osiris/state/nightly/events.json").exists());
}

#[test]
fn s23_many_ids_are_in_a_file_beside_the_state_and_none_is_taken_twice() {
    let world = World::of(12_000);
    let id = world.project_id();
    let first = world.osiris(&["run", "nightly.yaml"], &id).with_code(0);
    assert!(first.stderr.contains("12,000 written"), "{}", first.stderr);
    let state = world.project.read(".osiris/state/nightly/events.json");
    assert!(state.len() < 2000, "{} bytes of state", state.len());
    let files = || {
        let files = fs::read_dir(world.project.path(".osiris/state/nightly/files/events"));
        files.map_or(0, Iterator::count)
    };
    assert_eq!(files(), 1);
    let second = world.osiris(&["run", "nightly.yaml", "--json"], &id).with_code(0).json();
    let counts = &second["steps"][0];
    assert_eq!((&counts["deduplicated"], &counts["stored"]), (&serde_json::json!(12_000), &serde_json::json!(0)));
    assert_eq!(files(), 1);
    // Without its file a state is worth nothing, and says so.
    fs::remove_dir_all(world.project.path(".osiris/state/nightly/files")).unwrap();
    let failed = world.osiris(&["run", "nightly.yaml"], &id).with_code(1);
    assert!(failed.stderr.contains("of the saved state is not there"), "{}", failed.stderr);
    world.osiris(&["state", "reset", "nightly.yaml", "--yes"], &id).with_code(0);
    world.osiris(&["run", "nightly.yaml"], &id).with_code(0);
    assert_eq!(files(), 1);
    world.osiris(&["state", "reset", "nightly.yaml", "events", "--yes"], &id).with_code(0);
    assert_eq!(files(), 0);
}
