//! `osiris connections add`.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use osiris_e2e::{Program, Project};
use serde_json::json;

const FILE: &str = "osiris_connections.yaml";

fn project() -> Project {
    let project = Project::empty(Program::built());
    project.write("orders.csv", "order_id\n1\n");
    project.run(&["copy", "orders.csv", "sqlite:app.db#orders"]).with_code(0);
    project
}

#[test]
fn u11_a_connection_is_checked_and_added_and_all_lines_stay() {
    let project = project();
    let added = project.run(&["connections", "add", "sqlite.app", "--set", "path=app.db"]).with_code(0);
    assert!(added.stderr.contains("added @sqlite.app to osiris_connections.yaml"), "{}", added.stderr);
    assert_eq!(project.read(FILE), "version: 1\nconnections:\n  sqlite:\n    app:\n      path: \"app.db\"\n");
    let commented = "# ours\nconnections:\n  sqlite:  # files\n    app: {path: app.db}  # the shop\n\n# end\n";
    project.write(FILE, commented);
    let set = ["--set", "path=app.db", "--set", "busy_timeout=5", "--set", "read_only=true", "--json"];
    let added = project.run(&[&["connections", "add", "@sqlite.two"][..], &set].concat()).with_code(0).json();
    assert_eq!((&added["name"], &added["saved"]), (&json!("@sqlite.two"), &json!(true)));
    assert_eq!(added["health"]["ok"], true, "{added}");
    let lines = "    two:\n      path: \"app.db\"\n      busy_timeout: 5\n      read_only: true\n";
    assert_eq!(project.read(FILE), commented.replace("shop\n", &format!("shop\n{lines}")));
    assert!(!project.path(".env").exists());
}

#[test]
fn u11_a_secret_goes_to_dotenv_and_git_does_not_get_it() {
    let project = Project::empty(Program::built());
    std::fs::create_dir(project.path(".git")).unwrap();
    project.write(".env", "OTHER=x");
    std::fs::set_permissions(project.path(".env"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let secret = "it's \"$ecret\" # 1\\";
    let set = format!("password={secret}");
    let arguments =
        ["connections", "add", "mysql.my-shop", "--no-check", "--set", "host=db.example.com", "--set", &set];
    let added = project.run(&[&arguments[..], &["--set", "port=3307", "--json"]].concat()).with_code(0);
    assert!(!added.stdout.contains("$ecret") && !added.stderr.contains("$ecret"), "{}{}", added.stdout, added.stderr);
    assert!(added.stderr.contains("warning: a secret in `--set` is visible"), "{}", added.stderr);
    assert_eq!(added.json()["variables"], json!(["MYSQL_MY_SHOP_PASSWORD"]));
    let file = project.read(FILE);
    assert!(file.contains("      password: \"${MYSQL_MY_SHOP_PASSWORD}\"\n      port: 3307\n"), "{file}");
    assert!(project.read(".env").starts_with("OTHER=x\nMYSQL_MY_SHOP_PASSWORD="), "{}", project.read(".env"));
    assert_eq!(project.path(".env").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(project.read(".gitignore"), ".env\n");
    let listed = project.run(&["connections", "list", "--json"]).with_code(0).json();
    assert_eq!(listed[0]["variables"], json!({"MYSQL_MY_SHOP_PASSWORD": "set"}));
    // The same variable has another value.
    std::fs::remove_file(project.path(FILE)).unwrap();
    let other = ["connections", "add", "mysql.my-shop", "--no-check", "--set", "password=other"];
    let refused = project.run(&other).with_code(2);
    assert!(refused.stderr.contains("MYSQL_MY_SHOP_PASSWORD has another value already"), "{}", refused.stderr);
    assert!(!project.path(FILE).exists());
}

#[test]
fn u11_what_cannot_be_added_is_refused_and_nothing_is_written() {
    let project = project();
    project.write(FILE, "connections: {sqlite: {app: {path: app.db}}}\n");
    for (arguments, message) in [
        (&["sqlite.app", "--set", "path=app.db"][..], "@sqlite.app is in `osiris_connections.yaml` already"),
        (&["posthog.events"], "@posthog.events needs `api_key`, `project_id`"),
        (&["sqlite.two", "--set", "pth=app.db"], "did you mean `path`?"),
        (&["sqlite.two", "--set", "path=a", "--set", "path=b"], "`path` has two values"),
        (&["sqlite.two", "--set", "path=a", "--set", "busy_timeout=long"], "expected a number"),
        (&["sqlte.two", "--set", "path=a"], "sqlite"),
        (&["duckdb.two"], "@duckdb.two needs `path`"),
    ] {
        let refused = project.run(&[&["connections", "add"], arguments].concat()).with_code(2);
        assert!(refused.stderr.contains(message), "{arguments:?}: {}", refused.stderr);
    }
    let failing = ["connections", "add", "sqlite.two", "--set", "path=none/b.db"];
    let failed = project.run(&failing).with_code(1);
    assert!(failed.stderr.contains("@sqlite.two does not work: "), "{}", failed.stderr);
    assert_eq!(project.run(&[&failing[..], &["--json"]].concat()).with_code(1).json()["saved"], false);
    assert_eq!(project.read(FILE), "connections: {sqlite: {app: {path: app.db}}}\n");
    project.run(&[&failing[..], &["--no-check"]].concat()).with_code(0);
    assert_eq!(project.run(&["connections", "list", "--json"]).with_code(0).json().as_array().unwrap().len(), 2);
}

#[test]
fn u11_on_a_terminal_it_asks_and_a_secret_is_not_shown() {
    let project = Project::empty(Program::built());
    let arguments = ["connections", "add", "posthog.events", "--no-check"];
    let mut command = crate::terminal::on_a_terminal(&project, &arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = String::new();
    for (question, answer) in [
        ("api_key: ", "phx_0123456789abcdef"),
        ("project_id: ", "42"),
        ("field (enter: no more): ", "timeout"),
        ("timeout [", "7"),
        ("field (enter: no more): ", ""),
    ] {
        let from = shown.len();
        let mut byte = [0];
        while !shown[from..].contains(question) {
            output.read_exact(&mut byte).unwrap_or_else(|_| panic!("no {question}: {shown}"));
            shown.push(char::from(byte[0]));
        }
        writeln!(input, "{answer}").unwrap();
    }
    output.read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success(), "{shown}");
    assert!(!shown.contains("phx_0123456789abcdef") && shown.contains("42"), "{shown}");
    let file = project.read(FILE);
    assert!(file.contains("api_key: \"${POSTHOG_EVENTS_API_KEY}\"") && file.contains("timeout: 7"), "{file}");
    assert_eq!(project.read(".env"), "POSTHOG_EVENTS_API_KEY='phx_0123456789abcdef'\n");
}
