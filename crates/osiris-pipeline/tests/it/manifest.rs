//! The manifest of a plan.

use insta::assert_snapshot;

use crate::components::{Case, GOOD, plan};

#[test]
fn the_manifest_is_deterministic_and_complete() {
    let mut manifest = plan(GOOD).manifest();
    assert_eq!(manifest, plan(GOOD).manifest());
    for (_, fingerprint) in manifest["fingerprints"].as_object_mut().unwrap() {
        assert!(fingerprint.as_str().unwrap().starts_with("sha256:"));
        *fingerprint = "...".into();
    }
    for (_, component) in manifest["components"].as_object_mut().unwrap() {
        component["schema"] = "...".into();
    }
    assert_snapshot!(serde_json::to_string_pretty(&manifest).unwrap(), @r#"
    {
      "components": {
        "db.extractor": {
          "mode": "read",
          "schema": "...",
          "version": "1.2.3"
        },
        "file.writer": {
          "mode": "write",
          "schema": "...",
          "version": "1.0.0"
        },
        "sql.processor": {
          "mode": "transform",
          "schema": "...",
          "version": "1.0.0"
        }
      },
      "fingerprints": {
        "components": "...",
        "params": "...",
        "pipeline": "..."
      },
      "name": "movies",
      "oml_version": "0.1.0",
      "params": {
        "limit": 10,
        "since": "2024-01-01"
      },
      "profile": null,
      "steps": [
        {
          "component": "db.extractor",
          "config": {
            "batch_size": 10,
            "query": "SELECT * FROM movies\nWHERE updated_at >= '2024-01-01'\n"
          },
          "connection": "@db.movies",
          "connection_overrides": {},
          "id": "extract-movies",
          "input_step": null,
          "inputs": [],
          "mode": "read",
          "needs": [],
          "resume": "store",
          "retry": {
            "backoff": "linear",
            "initial_delay_ms": 10,
            "max_attempts": 5,
            "max_delay_ms": 20,
            "patience_ms": 0
          },
          "timeout_ms": 1500
        },
        {
          "component": "sql.processor",
          "config": {
            "query": "SELECT count(*) FROM \"extract-movies\""
          },
          "connection": null,
          "connection_overrides": {},
          "id": "stats",
          "input_step": null,
          "inputs": [
            {
              "key": null,
              "step": "extract-movies"
            }
          ],
          "mode": "transform",
          "needs": [
            "extract-movies"
          ],
          "resume": null,
          "retry": {
            "backoff": "exponential",
            "initial_delay_ms": 1000,
            "max_attempts": 3,
            "max_delay_ms": 30000,
            "patience_ms": 90000
          },
          "timeout_ms": null
        },
        {
          "component": "file.writer",
          "config": {
            "path": "out/stats.parquet"
          },
          "connection": null,
          "connection_overrides": {},
          "id": "write-stats",
          "input_step": null,
          "inputs": [
            {
              "key": "table",
              "step": "stats"
            }
          ],
          "mode": "write",
          "needs": [
            "stats"
          ],
          "resume": null,
          "retry": {
            "backoff": "exponential",
            "initial_delay_ms": 1000,
            "max_attempts": 3,
            "max_delay_ms": 30000,
            "patience_ms": 90000
          },
          "timeout_ms": null
        }
      ]
    }
    "#);
}

#[test]
fn fingerprints_change_with_what_they_stand_for_and_nothing_else() {
    let prints = |case: Case<'_>, text: &str| {
        let manifest = case.plan(text).unwrap().manifest();
        ["pipeline", "params", "components"].map(|name| manifest["fingerprints"][name].as_str().unwrap().to_owned())
    };
    let base = prints(Case::default(), GOOD);
    assert_eq!(base, prints(Case::default(), &format!("# a comment\n{GOOD}")));
    let other = prints(Case { params: &[("limit", "11")], ..Case::default() }, GOOD);
    assert!(base[0] == other[0] && base[1] != other[1] && base[2] == other[2]);
    let other = prints(Case::default(), &GOOD.replace("SELECT *", "SELECT id"));
    assert!(base[0] != other[0] && base[1] == other[1] && base[2] == other[2]);
}

#[test]
fn the_manifest_holds_no_secret_and_no_path_of_the_machine() {
    let pipeline = GOOD
        .replace("limit: {type", "api_token: {default: hunter3-long}\n  limit: {type")
        .replace("SELECT *", "SELECT 'hunter2'");
    let text = plan(&pipeline).manifest().to_string();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!text.contains("hunter3"), "{text}");
    assert!(!text.contains("project"), "{text}");
}

#[test]
fn a_table_is_known_by_what_it_depends_on() {
    let prints = |case: Case<'_>, text: &str| -> Vec<String> {
        let plan = case.plan(text).unwrap();
        plan.steps().iter().map(|step| step.request.fingerprint.clone().unwrap()).collect()
    };
    let base = prints(Case::default(), GOOD);
    let same = |other: &[String]| base.iter().zip(other).map(|(a, b)| a == b).collect::<Vec<_>>();
    let retried = GOOD.replace("max_attempts: 5", "max_attempts: 6");
    assert_eq!(same(&prints(Case::default(), &retried)), [true, true, true]);
    let rotated = Case { variables: &[("DB_PASSWORD", "hunter3")], ..Case::default() };
    assert_eq!(same(&prints(rotated, GOOD)), [true, true, true]);
    let moved = Case { variables: &[("DB_HOST", "elsewhere")], ..Case::default() };
    assert_eq!(same(&prints(moved, GOOD)), [false, false, false]);
    let counted = GOOD.replace("count(*)", "sum(id)");
    assert_eq!(same(&prints(Case::default(), &counted)), [true, false, false]);
    assert_eq!(same(&prints(Case { dry_run: true, ..Case::default() }, GOOD)), [false, false, false]);
}

#[test]
fn g15_no_token_gets_into_a_manifest_whatever_field_it_stands_in() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl";
    for token in [jwt, "sb_secret_0123456789", "sb_publishable_0123456789"] {
        let pipeline = format!(
            "oml_version: \"0.1.0\"\nname: p\nparams: {{where: \"{token}\"}}\nsteps:\n  \
             - {{id: a, component: db.extractor, config: {{query: \"SELECT '{token}'\"}}}}\n  \
             - {{id: b, component: file.writer, config: {{path: \"out/{token}.csv\", columns: [\"{token}\"]}}}}\n"
        );
        let manifest = plan(&pipeline).manifest().to_string();
        assert!(!manifest.contains(token), "{manifest}");
        assert!(manifest.contains("SELECT '***'") && manifest.contains("out/***"), "{manifest}");
    }
}

#[test]
fn g31_the_metadata_of_a_pipeline_is_kept_in_the_manifest_without_its_secrets() {
    let head = "oml_version: \"0.1.0\"\nname: p\nmetadata: {owner: me, tags: [a, b], api_key: hunter2-long, page: {auth_token: [hunter3-long], url: \"https://u:hunter4-long@h\", note: sb_secret_0123456789}}\n";
    let steps = "steps:\n  - {id: a, component: db.extractor, config: {query: q}}\n";
    let manifest = plan(&format!("{head}{steps}")).manifest();
    let expected = serde_json::json!({
        "owner": "me", "tags": ["a", "b"], "api_key": "***",
        "page": {"auth_token": ["***"], "url": "https://u:***@h", "note": "***"},
    });
    assert_eq!(manifest["metadata"], expected);
    // A fingerprint of a secret would let one guess it.
    let other = plan(&format!("{}{steps}", head.replace("hunter2-long", "hunter5-long"))).manifest();
    assert_eq!(manifest["fingerprints"], other["fingerprints"]);
}
