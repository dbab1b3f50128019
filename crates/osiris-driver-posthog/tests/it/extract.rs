//! What arrives, and that all of it arrives.

use osiris_core::{Code, ErrorKind};
use osiris_stand_ins::posthog::{DistinctId, Event, Person, PostHog, PostHogOptions, Session, Trouble, uuid};
use osiris_testkit::{Bench, Rows};
use serde_json::{Value, json};

use crate::support::{MINUTE, NOON, bench, events, ids, run, step};

#[tokio::test]
async fn events_become_rows_with_a_column_for_every_property() {
    let posthog = PostHog::start().unwrap();
    let first =
        Event::numbered(1, NOON + 1).with_properties(json!({"$browser": "Firefox", "n": 1, "nested": {"a": [1.10]}}));
    let second = Event::numbered(2, NOON + 2).with_properties(json!({"n": 2.5, "late": true, "Late": "x"}));
    posthog.insert_events(&[first, second]).await.unwrap();
    let bench = bench();
    let output = run(&bench, &posthog, json!({})).await.unwrap();
    let columns = [
        ("uuid", "VARCHAR"),
        ("event", "VARCHAR"),
        ("timestamp", "INSTANT"),
        ("distinct_id", "VARCHAR"),
        ("person_id", "VARCHAR"),
        ("created_at", "INSTANT"),
        ("elements_chain", "VARCHAR"),
        ("properties_$browser", "VARCHAR"),
        ("properties_n", "DOUBLE"),
        ("properties_nested", "JSON"),
        ("properties_late", "BOOLEAN"),
        ("properties_Late_2", "VARCHAR"),
    ];
    let mut expected = Rows::new(columns.map(|(name, _)| name)).with_types(columns.map(|(_, column)| column));
    let row = |cells: [Option<&str>; 12]| cells.map(|cell| cell.map(str::to_owned)).to_vec();
    let (one, two, person) = (uuid(1), uuid(2), uuid(6));
    expected.push(row([
        Some(&one),
        Some("pageview"),
        Some("2024-01-31 12:00:00.000001+00:00"),
        Some("user-1"),
        Some(&person),
        Some("2024-01-31 12:00:01.000001+00:00"),
        Some(""),
        Some("Firefox"),
        Some("1.0"),
        Some("{\"a\":[1.1]}"),
        None,
        None,
    ]));
    expected.push(row([
        Some(&two),
        Some("pageview"),
        Some("2024-01-31 12:00:00.000002+00:00"),
        Some("user-1"),
        Some(&person),
        Some("2024-01-31 12:00:01.000002+00:00"),
        Some(""),
        None,
        Some("2.5"),
        None,
        Some("true"),
        Some("x"),
    ]));
    let found = bench.rows(&output.table.unwrap()).await.unwrap();
    assert_eq!(expected.difference(&found), None);
}

#[tokio::test]
async fn properties_can_stay_together_and_be_chosen() {
    let posthog = PostHog::start().unwrap();
    let properties = json!({"a": 1, "b": {"c": 12345678901234567890_u64}, "$d": "x"});
    posthog.insert_events(&[Event::numbered(1, NOON).with_properties(properties)]).await.unwrap();
    let cells = |fields: Value, select: &'static str| {
        let posthog = posthog.clone();
        async move {
            let bench = bench();
            run(&bench, &posthog, fields).await.unwrap();
            let rows = bench.query(&format!("SELECT {select} FROM steps.events")).await.unwrap();
            (rows.columns().to_vec(), rows.rows()[0].iter().map(|cell| cell.clone().unwrap()).collect::<Vec<_>>())
        }
    };
    let (_, json) = cells(json!({"flatten": "json"}), "properties").await;
    assert_eq!(json, [r#"{"a":1,"b":{"c":12345678901234567890},"$d":"x"}"#.to_owned()], "as PostHog wrote it");
    let (_, json) = cells(json!({"flatten": "json", "properties": ["b", "missing"]}), "properties").await;
    assert_eq!(json, [r#"{"b":{"c":12345678901234567890}}"#]);
    let (columns, row) = cells(json!({"properties": ["$d", "missing"]}), "COLUMNS('properties.*')").await;
    assert_eq!((columns, row), (vec!["properties_$d".to_owned()], vec!["x".to_owned()]));
}

#[tokio::test]
async fn persons_sessions_and_distinct_ids_are_read_too() {
    let posthog = PostHog::start().unwrap();
    let person = |number: u64, created_at| Person {
        id: uuid(number),
        created_at,
        properties: json!({"email": format!("p{number}@example.com")}),
        is_identified: number == 1,
    };
    posthog.insert_persons(&[person(1, NOON), person(2, 5)]).await.unwrap();
    let session = |id: &str, start, urls: &[&str]| Session {
        session_id: id.to_owned(),
        distinct_id: "user-1".to_owned(),
        start,
        end: start + MINUTE,
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
    };
    posthog.insert_sessions(&[session("s2", NOON, &["/a", "/b"]), session("s1", NOON, &["/"])]).await.unwrap();
    let ids = ["it's", "back\\slash", "ů", ""].map(|id| DistinctId { distinct_id: id.to_owned(), person_id: uuid(1) });
    posthog.insert_distinct_ids(&ids).await.unwrap();

    let found = |data_type: &'static str, select: &'static str| {
        let posthog = posthog.clone();
        async move {
            let bench = bench();
            // Persons without `initial_since` are read from the beginning.
            let fields = json!({"data_type": data_type});
            let step = bench.step("events", "posthog.extractor", fields).connection(posthog.connection());
            let output = if data_type == "sessions" {
                run(&bench, &posthog, json!({"data_type": data_type})).await
            } else {
                step.run().await
            };
            output.unwrap();
            bench.query(&format!("SELECT {select} FROM steps.events")).await.unwrap()
        }
    };
    let persons = found("persons", "created_at, is_identified, person_properties_email").await;
    let expected = Rows::new(["created_at", "is_identified", "person_properties_email"])
        .row(["1970-01-01 00:00:00.000005+00:00", "false", "p2@example.com"])
        .row(["2024-01-31 12:00:00+00:00", "true", "p1@example.com"]);
    assert_eq!(persons.rows().len(), 2);
    assert_eq!(persons.rows()[0][2], expected.rows()[0][2]);
    let sessions = found("sessions", "session_id, \"$urls\", \"$pageview_count\", \"$is_bounce\"").await;
    let expected = Rows::new(["session_id", "$urls", "$pageview_count", "$is_bounce"])
        .with_types(["VARCHAR", "JSON", "BIGINT", "BOOLEAN"])
        .row(["s1", "[\"/\"]", "1", "true"])
        .row(["s2", "[\"/a\",\"/b\"]", "2", "false"]);
    assert_eq!(expected.difference(&sessions), None);
    let distinct = found("person_distinct_ids", "distinct_id, person_id").await;
    let expected = ids
        .iter()
        .fold(Rows::new(["distinct_id", "person_id"]), |rows, id| rows.row([id.distinct_id.clone(), uuid(1)]));
    assert_eq!(expected.difference(&distinct), None);
}

#[tokio::test]
async fn a_page_boundary_among_equal_timestamps_loses_nothing() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, std::iter::repeat_n(NOON + 7, 1050))).await.unwrap();
    let bench = bench();
    let output = run(&bench, &posthog, json!({"page_size": 100})).await.unwrap();
    assert_eq!((output.rows, output.counts.read, output.counts.deduplicated), (1050, 1050, 0));
    let mut found = ids(&bench, "uuid").await;
    found.sort();
    assert_eq!(found, posthog.event_ids().await.unwrap());
    let pages = bench.metrics().matching("metric", "pages_fetched");
    assert_eq!(pages[0]["value"], 11);
    // The count for the progress, eleven pages, the empty one that is the end, the count that proves it, and the one before the window.
    assert_eq!(posthog.queries(), 15);
}

#[tokio::test]
async fn a_later_run_takes_what_is_new_and_what_is_late_and_nothing_twice() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..500).map(|second| NOON + second * 1_000_000))).await.unwrap();
    let first = bench();
    let output = run(&first, &posthog, json!({})).await.unwrap();
    let state = output.state.unwrap();
    assert_eq!(state["state"]["events"]["last_timestamp"], "2024-01-31T12:08:19.000000Z");
    assert_eq!(state["state"]["events"]["recent_ids"].as_array().unwrap().len(), 500);

    // New ones, one of the last microsecond that was read, and one that is ten minutes late.
    let late = events(1000, [NOON + 499 * 1_000_000, NOON - 100 * 1_000_000, NOON + 20 * MINUTE]);
    posthog.insert_events(&late).await.unwrap();
    let second = bench();
    let output = step(&second, &posthog, json!({})).state(state).run().await.unwrap();
    let mut found = ids(&second, "uuid").await;
    found.sort();
    let mut expected: Vec<String> = late.iter().map(|event| event.uuid.clone()).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!((output.counts.read, output.counts.deduplicated), (503, 500));
    assert_eq!(second.metrics().matching("metric", "rows_deduplicated")[0]["value"], 500);
    let state = output.state.unwrap();
    assert_eq!(state["state"]["events"]["last_timestamp"], "2024-01-31T12:20:00.000000Z");
    // The window ends with the last row: what is older is forgotten.
    assert_eq!(state["state"]["events"]["recent_ids"].as_array().unwrap().len(), 202);

    let third = bench();
    let output = step(&third, &posthog, json!({"deduplication_enabled": false})).state(state).run().await.unwrap();
    assert_eq!((output.rows, output.counts.deduplicated), (202, 0));
}

#[tokio::test]
async fn p11_events_that_arrive_after_the_lookback_window_are_counted() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..60).map(|minute| NOON + minute * MINUTE))).await.unwrap();
    let late =
        |bench: &Bench| bench.metrics().matching("metric", "rows_late").first().map(|line| line["value"].clone());
    let first = bench();
    let state = run(&first, &posthog, json!({})).await.unwrap().state.unwrap();
    assert_eq!(late(&first), None, "nothing was counted before");

    posthog.insert_events(&events(1000, (0..10).map(|second| NOON + 20 * MINUTE + second * 1_000_000))).await.unwrap();
    let second = bench();
    let output = step(&second, &posthog, json!({})).state(state.clone()).run().await.unwrap();
    assert_eq!((output.rows, late(&second)), (0, Some(json!(10))));
    let third = bench();
    step(&third, &posthog, json!({})).state(output.state.unwrap()).run().await.unwrap();
    assert_eq!(late(&third), Some(json!(0)), "they are told once");

    // Where the counts say nothing: other events, a window that reads some of them, no count.
    for config in
        [json!({"event_types": ["x"]}), json!({"lookback_window_minutes": 60}), json!({"late_check_hours": 0})]
    {
        let other = bench();
        let step = step(&other, &posthog, config.clone()).own_state(state["state"].clone()).unwrap();
        step.run().await.unwrap();
        assert_eq!(late(&other), None, "{config}");
    }
}

#[tokio::test]
async fn a_count_of_late_events_that_is_no_number_ends_no_run() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..60).map(|minute| NOON + minute * MINUTE))).await.unwrap();
    let state = run(&bench(), &posthog, json!({})).await.unwrap().state.unwrap();
    let counted = |state: &Value| state["state"]["events"]["counted"].is_object();
    assert!(counted(&state), "{state}");
    // The answer before the count is one of rows.
    step(&bench(), &posthog, json!({})).dry_run().run().await.unwrap();
    posthog.script([Some(Trouble::Repeat)]);
    posthog.insert_events(&events(1000, [NOON + 60 * MINUTE])).await.unwrap();
    let bench = bench();
    let output = step(&bench, &posthog, json!({})).state(state).run().await.unwrap();
    assert_eq!((output.rows, bench.metrics().matching("metric", "rows_late").len()), (1, 0));
    assert!(counted(&output.state.unwrap()), "it is counted anew");
}

#[tokio::test]
async fn a_flat_state_of_an_older_version_goes_on_where_it_ended() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..60).map(|minute| NOON + minute * MINUTE))).await.unwrap();
    let state = json!({
        "last_timestamp": "2024-01-31T12:30:00+00:00", "last_uuid": uuid(30),
        "recent_uuids": (0..=30).map(uuid).collect::<Vec<_>>(),
    });
    let bench = bench();
    // It does not say which source it is of: it is used once the user says so.
    let failure = step(&bench, &posthog, json!({})).state(state.clone()).run().await.unwrap_err();
    assert!(failure.error.report().contains("osiris state accept PIPELINE events"), "{}", failure.error.report());
    let output = step(&bench, &posthog, json!({})).own_state(state).unwrap().run().await.unwrap();
    assert_eq!((output.rows, output.counts.deduplicated), (29, 16));
    assert_eq!(output.state.unwrap()["state"]["events"]["last_uuid"], uuid(59));
}

#[tokio::test]
async fn g26_a_state_of_the_original_goes_on_where_it_ended() {
    let posthog = PostHog::start().unwrap();
    // A fresh start would begin 30 days before now, and read none of these.
    posthog.insert_events(&events(0, (0..60).map(|minute| NOON + minute * MINUTE))).await.unwrap();
    let state = json!({
        "events_state": {"last_timestamp": "2024-01-31T12:30:00+00:00", "last_uuid": uuid(30)},
        "recent_uuids": (0..=30).map(uuid).collect::<Vec<_>>(),
    });
    let output = step(&bench(), &posthog, json!({})).own_state(state).unwrap().run().await.unwrap();
    assert_eq!((output.rows, output.counts.deduplicated), (29, 16));
    let saved = output.state.unwrap()["state"].clone();
    assert_eq!(saved["events"]["last_uuid"], uuid(59));
    // A field that nobody reads is no fresh start.
    let unknown = json!({"events_state": {"last_timestamp": "2024-01-31T12:30:00Z"}, "offset": 5});
    let failure = step(&bench(), &posthog, json!({})).own_state(unknown).unwrap().run().await.unwrap_err();
    assert!(failure.error.report().contains("unknown fields: `offset`"), "{}", failure.error.report());
}

#[tokio::test]
async fn a_session_that_goes_on_is_taken_again_and_one_that_does_not_is_not() {
    let posthog = PostHog::start().unwrap();
    let session = |id: &str, end| Session {
        session_id: id.to_owned(),
        distinct_id: "u".to_owned(),
        start: NOON,
        end,
        urls: Vec::new(),
    };
    posthog.insert_sessions(&[session("over", NOON + 1), session("open", NOON + 1)]).await.unwrap();
    let state = run(&bench(), &posthog, json!({"data_type": "sessions"})).await.unwrap().state.unwrap();
    posthog.clear("sessions").await.unwrap();
    posthog.insert_sessions(&[session("over", NOON + 1), session("open", NOON + 2)]).await.unwrap();
    let bench = bench();
    step(&bench, &posthog, json!({"data_type": "sessions"})).state(state).run().await.unwrap();
    assert_eq!(ids(&bench, "session_id").await, ["open"]);
}

#[tokio::test]
async fn event_types_are_filtered_whatever_their_names() {
    let posthog = PostHog::start().unwrap();
    let names = ["it's", "back\\", "' OR 1=1 --", "$pageview", "ů"];
    let all: Vec<Event> = (0..).zip(names).map(|(number, name)| Event::numbered(number, NOON).named(name)).collect();
    posthog.insert_events(&all).await.unwrap();
    for (number, name) in (0..).zip(names) {
        let bench = bench();
        run(&bench, &posthog, json!({"event_types": [name]})).await.unwrap();
        assert_eq!(ids(&bench, "uuid").await, [uuid(number)], "{name}");
    }
}

#[tokio::test]
async fn an_empty_project_makes_an_empty_table() {
    for data_type in ["events", "persons", "sessions", "person_distinct_ids"] {
        let posthog = PostHog::start().unwrap();
        let bench = bench();
        let output = run(&bench, &posthog, json!({"data_type": data_type})).await.unwrap();
        assert_eq!(output.rows, 0);
        assert!(output.table.unwrap().schema().columns().len() >= 2, "{data_type}");
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_asked_in_smaller_pieces() {
    let options = PostHogOptions::default().with_execution_limit(400).with_largest_page(150);
    let posthog = PostHog::with(options).unwrap();
    // A month with one busy hour.
    let busy = (0..1200).map(|number| NOON + number * 3_000_000);
    let quiet = (0..100).map(|number| NOON - 20 * 24 * 60 * MINUTE + number * 200 * MINUTE);
    posthog.insert_events(&events(0, quiet.chain(busy))).await.unwrap();
    let bench = bench();
    let output = run(&bench, &posthog, json!({})).await.unwrap();
    assert_eq!((output.rows, output.counts.read), (1300, 1300));
    assert!(posthog.queries() < 300, "{} queries", posthog.queries());
    let mut found = ids(&bench, "uuid").await;
    found.sort();
    assert_eq!(found, posthog.event_ids().await.unwrap());
}

#[tokio::test]
async fn what_can_never_be_small_enough_is_an_error_that_says_so() {
    let posthog = PostHog::with(PostHogOptions::default().with_execution_limit(5)).unwrap();
    posthog.insert_events(&events(0, std::iter::repeat_n(NOON, 10))).await.unwrap();
    let error = run(&bench(), &posthog, json!({})).await.unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("took too long"), "{error:?}");
}

#[tokio::test]
async fn rows_that_come_in_while_it_reads_are_taken() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..1000).map(|number| NOON + number * 1000))).await.unwrap();
    // They arrive after the count and three pages: before the current position and after it.
    posthog.arrive_after(4, events(5000, [NOON + 500, NOON + 100_500, NOON + 900_500]));
    let bench = bench();
    let output = run(&bench, &posthog, json!({"page_size": 100})).await.unwrap();
    assert_eq!(output.rows, 1003);
    let mut found = ids(&bench, "uuid").await;
    found.sort();
    assert_eq!(found, posthog.event_ids().await.unwrap());
}

#[tokio::test]
async fn rows_that_a_page_lacks_are_found_by_the_count() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..950).map(|number| NOON + number / 3))).await.unwrap();
    posthog.script([None, None, Some(Trouble::Withhold(7)), None, Some(Trouble::Withhold(3))]);
    let bench = bench();
    let output = run(&bench, &posthog, json!({"page_size": 100})).await.unwrap();
    assert_eq!(output.rows, 950);
    assert_eq!(output.counts.read, output.rows + output.counts.deduplicated);
    let mut found = ids(&bench, "uuid").await;
    found.sort();
    assert_eq!(found, posthog.event_ids().await.unwrap());
}

#[tokio::test]
async fn rows_that_are_counted_and_never_given_are_an_integrity_error() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..950).map(|number| NOON + number))).await.unwrap();
    posthog.withhold_for_ever([uuid(400)]);
    let bench = bench();
    let error = run(&bench, &posthog, json!({"page_size": 100})).await.unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(bench.store().table("events").await.unwrap().is_none());
    insta::assert_snapshot!(error.report(), @"
    step `events`: PostHog counts 2 rows in a time range, but returned 1 in 3 attempts
      range begins: 2024-01-31T12:00:00.000399Z
    hint: nothing was stored: run it again, and report it to PostHog if it persists
    ");
}

#[tokio::test]
async fn rows_that_clickhouse_has_not_merged_yet_are_taken_once() {
    let posthog = PostHog::start().unwrap();
    let all = events(0, (0..300).map(|number| NOON + number / 2));
    posthog.insert_events(&all).await.unwrap();
    posthog.insert_events(&all[50..150]).await.unwrap();
    let bench = bench();
    let output = run(&bench, &posthog, json!({"page_size": 100})).await.unwrap();
    assert_eq!(output.rows, 300);
    let mut found = ids(&bench, "uuid").await;
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 300);
}

#[tokio::test]
async fn pages_that_do_not_lead_on_are_an_error() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..300).map(|number| NOON + number))).await.unwrap();
    posthog.script([None, None, Some(Trouble::Repeat)]);
    let error = run(&bench(), &posthog, json!({"page_size": 100})).await.unwrap_err().error;
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Integrity, "pagination loop: PostHog returned a page that ends where the one before it did")
    );
    assert_eq!(error.code(), Code::UnexpectedResponse);
}

#[tokio::test]
async fn a_project_of_another_time_zone_has_the_same_moments() {
    let posthog = PostHog::with(PostHogOptions::default().with_time_zone(2 * 3600)).unwrap();
    posthog.insert_events(&events(0, (0..250).map(|number| NOON + number * 300_000_000))).await.unwrap();
    let bench = bench();
    let output = run(&bench, &posthog, json!({"page_size": 100, "until": "2024-01-31T22:00:00Z"})).await.unwrap();
    assert_eq!(output.rows, 120);
    let last = bench.query("SELECT max(\"timestamp\")::VARCHAR AS last FROM steps.events").await.unwrap();
    assert_eq!(last.rows()[0][0].as_deref(), Some("2024-01-31 21:55:00"));
}

#[tokio::test]
async fn a_dry_run_reads_a_page_and_leaves_no_state() {
    let posthog = PostHog::start().unwrap();
    posthog.insert_events(&events(0, (0..5000).map(|number| NOON + number))).await.unwrap();
    let output = step(&bench(), &posthog, json!({})).dry_run().run().await.unwrap();
    assert_eq!((output.rows, output.state, posthog.queries()), (100, None, 1));
}
