//! A run that failed is reported to the webhook of `on_failure`.

use osiris_e2e::{Ended, Project, Running, Signal};
use osiris_testkit::http_server::{HttpServer, Reply};

use crate::interrupted::has_started;
use crate::{READ, SLOW, project, sql, write};

const TOKEN: &str = "T0123456789abcdef";

/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// What is said when a failure could not be posted.
const UNREPORTED: &str = "is not reported by `on_failure`";

/// A pipeline with this query, and the webhook in variables.
fn reported(query: &str) -> Project {
    let project = project(&[READ, &sql("sums", query), &write("out", "out.csv")].concat());
    project.write("osiris.yaml", "on_failure: {webhook: \"${HOOK}/services/${TOKEN}\"}\n");
    project
}

fn run(project: &Project, hook: &str, code: i32) -> Ended {
    run_with(project, hook, TOKEN, code)
}

fn run_with(project: &Project, hook: &str, token: &str, code: i32) -> Ended {
    end_of(project, &["run", "pipeline.yaml", "--log-level", "trace"], hook, token, code)
}

/// Neither the output, with all that is logged, nor any file has the token.
fn end_of(project: &Project, arguments: &[&str], hook: &str, token: &str, code: i32) -> Ended {
    let mut command = project.command(arguments);
    let ended = Ended::of(command.env("HOOK", hook).env("TOKEN", token).output().unwrap()).with_code(code);
    assert!(!ended.stderr.contains(token) && !ended.stdout.contains(token), "{}", ended.stderr);
    for file in project.files() {
        let bytes = std::fs::read(project.path(&file)).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{}", file.display());
    }
    ended
}

#[test]
fn a_failed_run_is_posted_once_and_the_address_is_shown_nowhere() {
    let server = HttpServer::scripted([Reply::text(200, "ok")]).unwrap();
    run(&reported("SELECT nothing FROM orders"), &server.url(), 1);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method(), requests[0].path()), ("POST", &*format!("/services/{TOKEN}")));
    let document = requests[0].json();
    for (field, value) in [("pipeline", "test"), ("status", "failed"), ("step", "sums")] {
        assert_eq!(document[field], value, "{document}");
    }
    assert_eq!((&document["version"], &document["exit_code"]), (&1.into(), &1.into()), "{document}");
    assert!(document["run_id"].is_string(), "{document}");
    assert!(document["error"]["message"].as_str().unwrap().contains("nothing"), "{document}");
}

#[test]
fn a_run_that_succeeds_is_not_posted() {
    let server = HttpServer::scripted([Reply::text(200, "ok")]).unwrap();
    run(&reported("SELECT * FROM orders"), &server.url(), 0);
    assert!(server.requests().is_empty());
}

#[test]
fn a_webhook_that_does_not_work_is_a_warning_and_changes_no_exit_code() {
    let server = HttpServer::scripted([Reply::text(500, TOKEN)]).unwrap();
    for hook in [&*server.url(), NOBODY] {
        let ended = run(&reported("SELECT nothing FROM orders"), hook, 1);
        let place = |text: &str| ended.stderr.find(text).unwrap_or_else(|| panic!("no {text}: {}", ended.stderr));
        // What became of the run does not wait for the webhook.
        assert!(place("rows in") < place(UNREPORTED), "{hook}: {}", ended.stderr);
    }
    assert_eq!(server.requests().len(), 1, "it is not called again");
    for (hook, advice) in [("ftp://host", "\nhint: expected a full URL such as"), ("", "`${HOOK}` has no value")] {
        let ended = run(&reported("SELECT nothing FROM orders"), hook, 1);
        assert!(ended.stderr.contains(UNREPORTED), "{hook}: {}", ended.stderr);
        assert!(ended.stderr.contains(advice), "{hook}: {}", ended.stderr);
    }
}

#[test]
fn a_redirect_of_the_webhook_that_is_refused_does_not_show_a_short_address() {
    let token = "q7x2k9z";
    let other = HttpServer::scripted([Reply::text(200, "ok")]).unwrap();
    let target = format!("{}/services/{token}", other.url_as("localhost"));
    let server = HttpServer::scripted([Reply::new(307).header("location", &target)]).unwrap();
    let ended = run_with(&reported("SELECT nothing FROM orders"), &server.url(), token, 1);
    assert!(ended.stderr.contains("refused the redirect: it sends data to another host"), "{}", ended.stderr);
    assert_eq!((server.requests().len(), other.requests().len()), (1, 0));
}

#[test]
fn a_dry_run_posts_nothing_and_does_not_look_at_the_webhook() {
    let server = HttpServer::scripted([Reply::text(200, "ok")]).unwrap();
    let dry = ["run", "pipeline.yaml", "--dry-run"];
    for hook in [&*server.url(), "ftp://host"] {
        let ended = end_of(&reported("SELECT nothing FROM orders"), &dry, hook, TOKEN, 1);
        assert!(!ended.stderr.contains("on_failure"), "{}", ended.stderr);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn an_interrupted_run_is_not_posted() {
    let server = HttpServer::scripted([Reply::text(200, "ok")]).unwrap();
    let project = reported(SLOW);
    let mut command = project.command(&["run", "pipeline.yaml"]);
    let mut running = Running::start(command.env("HOOK", server.url()).env("TOKEN", TOKEN));
    running.wait_until("the query runs", || has_started(&project, "sums"));
    running.signal(Signal::INT);
    running.ended().with_code(130);
    assert!(server.requests().is_empty());
}

#[test]
fn a_pipeline_that_is_refused_before_it_runs_is_posted_too() {
    let server = HttpServer::scripted([Reply::text(200, "ok"), Reply::text(200, "ok")]).unwrap();
    let project = reported("SELECT * FROM orders");
    let pipeline = project.read("pipeline.yaml");
    project.write("pipeline.yaml", pipeline.replace("path: orders.csv", "paht: orders.csv"));
    let ended = run(&project, &server.url(), 2);
    let document = server.requests()[0].json();
    for (field, value) in [("pipeline", "pipeline.yaml"), ("status", "not_started")] {
        assert_eq!(document[field], value, "{document}");
    }
    assert_eq!((&document["exit_code"], &document["run_id"]), (&2.into(), &().into()), "{document}");
    let error = &document["error"];
    assert_eq!((&error["kind"], &error["retryable"]), (&"validation".into(), &false.into()), "{document}");
    assert!(ended.stderr.contains(error["message"].as_str().unwrap()), "{document}: {}", ended.stderr);

    // There is nothing to be resumed.
    project.write("pipeline.yaml", pipeline);
    let resume = ["run", "pipeline.yaml", "--resume", "--json"];
    let printed = end_of(&project, &resume, &server.url(), TOKEN, 2).json();
    let document = server.requests()[1].json();
    assert_eq!((&document["status"], &document["exit_code"]), (&"not_started".into(), &2.into()), "{document}");
    assert_eq!(document["error"]["message"], printed["diagnostics"][0]["message"], "{document}");
}
