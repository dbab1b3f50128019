//! The PostHog example against a stand-in: the first run, and a second one that reads what is new.

use osiris_e2e::{Ended, Program, Project, Running};
use osiris_stand_ins::posthog::{Event, PostHog};
use serde_json::json;

/// 2024-01-31T12:00:00Z, in microseconds.
const NOON: i64 = 1_706_702_400_000_000;
const DAY: i64 = 24 * 3600 * 1_000_000;

fn run(project: &Project, posthog: &PostHog) -> Ended {
    let connection = posthog.connection();
    let mut command = project.command(&["run", "pipeline.yaml"]);
    command.env("POSTHOG_API_KEY", connection["api_key"].as_str().unwrap());
    command.env("POSTHOG_PROJECT", connection["project_id"].to_string()).env("POSTHOG_URL", posthog.url());
    Running::start(&mut command).ended()
}

fn event(number: u64, timestamp: i64, user: &str, browser: &str) -> Event {
    let event = Event::numbered(number, timestamp).with_properties(json!({"$browser": browser, "unused": number}));
    Event { distinct_id: user.to_owned(), ..event }
}

#[test]
fn the_posthog_example_counts_users_per_day_and_goes_on_where_it_ended() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let posthog = PostHog::start().unwrap();
    let events: Vec<Event> = (0..2500)
        .map(|number| {
            let day = i64::try_from(number % 2).unwrap() * DAY;
            event(
                number,
                NOON + day,
                &format!("user-{}", number % 7),
                if number % 7 < 3 { "Firefox" } else { "Safari" },
            )
        })
        .collect();
    runtime.block_on(posthog.insert_events(&events)).unwrap();
    let project = Project::copy_of(Program::built(), "examples/posthog");
    let ended = run(&project, &posthog).with_code(0);
    assert!(ended.stderr.contains("2,500 rows read"), "{}", ended.stderr);
    let days = "day,actives,events,actives_on_firefox\n2024-01-31,7,1250,3\n2024-02-01,7,1250,3\n";
    assert_eq!(project.read("out/daily_actives.csv"), days);
    let state = project.read(".osiris/state/posthog-daily-actives/events.json");
    assert!(state.contains("2024-02-01T12:00:00.000000Z"), "{state}");

    let new = [event(5000, NOON + DAY + 1, "late", "Firefox"), event(5001, NOON + 2 * DAY, "new", "Opera")];
    runtime.block_on(posthog.insert_events(&new)).unwrap();
    run(&project, &posthog).with_code(0);
    let days = "day,actives,events,actives_on_firefox\n2024-02-01,1,1,1\n2024-02-02,1,1,0\n";
    assert_eq!(project.read("out/daily_actives.csv"), days);
}

#[test]
fn a_project_key_is_refused_before_anything_runs() {
    let posthog = PostHog::start().unwrap();
    let project = Project::copy_of(Program::built(), "examples/posthog");
    let mut command = project.command(&["run", "pipeline.yaml"]);
    command.env("POSTHOG_API_KEY", "phc_abcdefghi").env("POSTHOG_PROJECT", "42").env("POSTHOG_URL", posthog.url());
    let ended = Running::start(&mut command).ended().with_code(2);
    assert!(ended.stderr.contains("project keys (`phc_...`)"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("phc_abcdefghi") && posthog.queries() == 0, "{}", ended.stderr);
}
