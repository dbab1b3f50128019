//! `osiris mcp`, driven over its standard streams as a client does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use osiris_e2e::{Program, Project, Signal};
use serde_json::{Value, json};

use crate::interrupted::has_started;
use crate::{READ, SLOW, sql, write};

/// The page about it.
const PAGE: &str = include_str!("../../docs/mcp.md");

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server and the client of it.
struct Session {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    next: u64,
}

impl Session {
    /// Starts the program, and begins the protocol.
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut session = Self::begin(&mut project.command(&[&["mcp"], arguments].concat()));
        let begun = session.request(
            "initialize",
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
        );
        assert_eq!(begun["result"]["serverInfo"]["name"], "osiris", "{begun}");
        session.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        session
    }

    fn begin(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { input: child.stdin.take(), child, lines, next: 0 }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}).to_string());
        self.next
    }

    #[track_caller]
    fn answer(&self, id: u64) -> Value {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).expect("no answer");
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no protocol: {line}"));
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            if message["id"] == id {
                return message;
            }
        }
    }

    #[track_caller]
    fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// What a tool answers, and whether it is an error.
    #[track_caller]
    fn call(&mut self, tool: &str, arguments: Value) -> (Value, bool) {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let document: Value = serde_json::from_str(text).unwrap();
        if document.is_object() {
            assert_eq!(answer["result"]["structuredContent"], document);
        }
        (document, answer["result"]["isError"] == true)
    }

    /// The document of a tool that does what it is asked.
    #[track_caller]
    fn document(&mut self, tool: &str, arguments: Value) -> Value {
        let (document, is_error) = self.call(tool, arguments);
        assert!(!is_error, "{tool}: {document}");
        document
    }

    /// The first error of a tool that refuses.
    #[track_caller]
    fn refusal(&mut self, tool: &str, arguments: Value) -> Value {
        let (document, is_error) = self.call(tool, arguments);
        assert!(is_error && document["ok"] == false, "{tool}: {document}");
        document["diagnostics"][0].clone()
    }

    /// Waits for the end; returns the exit code.
    fn ended(mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end_of_input(mut self) -> i32 {
        drop(self.input.take());
        self.ended()
    }
}

fn starter() -> Project {
    Project::starter(Program::built())
}

#[test]
fn u51_the_tools_are_listed_and_the_end_of_the_input_ends_it() {
    let project = starter();
    let mut session = Session::start(&project, &[]);
    let names = |tools: &Value| -> Vec<String> {
        let tools = tools["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    let listed = session.request("tools/list", json!({}));
    let known = [
        "list_components",
        "show_component",
        "list_connections",
        "check_connection",
        "discover",
        "validate",
        "plan",
        "explain",
        "list_runs",
        "show_run",
    ];
    assert_eq!(names(&listed), known);
    assert_eq!(listed["result"]["tools"][1]["inputSchema"]["required"], json!(["name"]));
    assert_eq!(session.end_of_input(), 0);
    let mut session = Session::start(&project, &["--allow-run"]);
    assert_eq!(names(&session.request("tools/list", json!({}))).last().map(String::as_str), Some("run"));
    assert_eq!(session.end_of_input(), 0);
    assert_eq!(project.run(&["mcp"]).with_code(0).stdout, "");
}

/// The blocks of JSON in the page.
fn documented() -> Vec<Value> {
    let blocks = PAGE.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

#[test]
fn u51_the_page_says_what_is_so() {
    let project = starter();
    let documented = documented();
    let command = &documented[0]["mcpServers"]["osiris"];
    assert_eq!((&command["command"], &command["args"][0]), (&json!("osiris"), &json!("mcp")));
    let directory = project.directory().to_str().unwrap();
    let mut session = Session::start(&project, &[directory, "--allow-run"]);
    let listed = session.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<(&str, &str)> = rows.filter(|(name, _)| !name.contains(' ')).collect();
    assert_eq!(rows.len(), tools.len());
    for (tool, (name, rest)) in tools.iter().zip(rows) {
        assert_eq!(tool["name"], name);
        let arguments = rest.split('|').next().unwrap();
        for argument in tool["inputSchema"]["properties"].as_object().unwrap().keys() {
            assert!(arguments.contains(&format!("`{argument}`")), "{name}: {argument}");
        }
    }
    assert_eq!(session.end_of_input(), 0);
    let mut session = Session::start(&project, &[]);
    let (refused, is_error) = session.call("run", json!({"path": "pipeline.yaml"}));
    assert!(is_error);
    assert_eq!(refused, documented[1]);
    assert_eq!(session.end_of_input(), 0);
}

#[test]
fn u51_each_tool_answers_with_the_document_of_its_command() {
    let project = starter();
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let printed = |arguments: &[&str]| project.run(&[arguments, &["--json"]].concat()).with_code(0).json();
    let mut session = Session::start(&project, &[]);
    assert_eq!(session.document("list_components", json!({})), printed(&["components", "list"]));
    for name in ["duckdb.processor", "filesystem.extractor"] {
        assert_eq!(session.document("show_component", json!({"name": name})), printed(&["components", "show", name]));
    }
    let connections = session.document("list_connections", json!({}));
    assert_eq!(
        connections,
        json!([{"name": "@filesystem.data", "family": "filesystem", "default": false, "known": true}])
    );
    let checked = session.document("check_connection", json!({"connection": "@filesystem.data"}));
    assert_eq!(checked, printed(&["connections", "doctor", "@filesystem.data"]));
    let file = json!({"path": "pipeline.yaml"});
    assert_eq!(session.document("validate", file.clone()), printed(&["validate", "pipeline.yaml"]));
    let text = json!({"text": project.read("pipeline.yaml")});
    assert_eq!(session.document("validate", text)["steps"], 6);
    assert_eq!(session.document("plan", file), printed(&["plan", "pipeline.yaml"]));
    assert_eq!(session.document("explain", json!({"code": "E0401"})), printed(&["explain", "E0401"]));
    assert_eq!(session.document("explain", json!({})), printed(&["explain"]));
    let (listed, shown) = (session.document("list_runs", json!({})), session.document("show_run", json!({})));
    assert_eq!(listed[0]["run_id"], shown["run_id"]);
    assert_eq!(shown["ledger"], printed(&["runs", "show"])["ledger"]);
    assert_eq!(session.end_of_input(), 0);
}

#[test]
fn u51_tables_are_discovered() {
    let project = starter();
    project.run(&["copy", "data/orders.csv", "sqlite:app.db#orders"]).with_code(0);
    project.write("osiris_connections.yaml", "connections: {sqlite: {app: {path: app.db}}}\n");
    let mut session = Session::start(&project, &[]);
    let arguments = json!({"component": "sqlite.extractor", "connection": "@sqlite.app"});
    assert_eq!(session.document("discover", arguments)["resources"][0]["name"], "orders");
    let refused = session.refusal("discover", json!({"component": "duckdb.processor"}));
    assert_eq!(refused["message"], "`duckdb.processor` cannot discover");
}

#[test]
fn u51_what_is_wrong_is_an_error_object_and_the_session_goes_on() {
    let project = starter();
    let mut session = Session::start(&project, &[]);
    session.send("{not json");
    session.send("");
    let unknown = session.request("tools/call", json!({"name": "drop_table", "arguments": {}}));
    assert_eq!(unknown["error"]["code"], -32602);
    assert_eq!(unknown["error"]["message"], "unknown tool `drop_table`");
    assert_eq!(session.refusal("plan", json!({}))["message"], "expected either `path` or `text`");
    assert_eq!(session.refusal("plan", json!({"pth": "x"}))["hint"], "did you mean `path`?");
    assert_eq!(session.refusal("show_component", json!({}))["message"], "missing argument `name`");
    let broken = session.refusal("validate", json!({"text": "oml_version: \"0.1.0\"\nname: x\nsteps: []\nstep: 1\n"}));
    assert!(broken["line"].is_number() && broken["code"].is_string(), "{broken}");
    for path in ["../other.yaml", "/etc/hosts"] {
        let refused = session.refusal("plan", json!({"path": path}));
        assert_eq!(refused["message"], format!("`{path}` is not in the project's directory"));
    }
    assert_eq!(session.document("explain", json!({"code": "E0401"}))["codes"][0]["code"], "E0401");
    assert_eq!(session.end_of_input(), 0);
}

#[test]
fn u51_a_pipeline_runs_and_writes_only_where_the_user_allows_it() {
    let project = starter();
    let file = json!({"path": "pipeline.yaml"});
    let dry = json!({"path": "pipeline.yaml", "dry_run": true});
    let mut session = Session::start(&project, &[]);
    assert_eq!(session.refusal("run", dry.clone())["message"], "this server runs no pipelines");
    assert_eq!(session.end_of_input(), 0);
    let mut session = Session::start(&project, &["--allow-run"]);
    let refused = session.refusal("run", file.clone());
    assert!(refused["message"].as_str().unwrap().ends_with("writes, and this server writes nothing"), "{refused}");
    assert_eq!(session.document("run", dry)["outcome"], "done");
    assert!(!project.path("out").exists());
    assert_eq!(session.end_of_input(), 0);
    let mut session = Session::start(&project, &["--allow-run", "--allow-writes"]);
    let ledger = session.document("run", file);
    assert_eq!((&ledger["outcome"], &ledger["exit_code"]), (&json!("done"), &json!(0)));
    assert!(project.path("out/totals.parquet").is_file());
    project.write("print.yaml", project.read("pipeline.yaml").replace("path: out/large-orders.csv", "path: \"-\""));
    let refused = session.refusal("run", json!({"path": "print.yaml"}));
    assert!(refused["message"].as_str().unwrap().contains("uses a standard stream"), "{refused}");
    assert_eq!(session.end_of_input(), 0);
}

#[test]
fn u51_no_answer_shows_what_is_in_a_connection() {
    let project = starter();
    let password = "literal-pa55word";
    let connections = format!(
        "connections:\n  mysql:\n    shop: {{host: nowhere.invalid, port: 3307, user: clerk, password: {password}, database: warehouse}}\n  filesystem:\n    data: {{base_dir: data}}\n"
    );
    project.write("osiris_connections.yaml", connections);
    project.write(
        "shop.yaml",
        "oml_version: \"0.1.0\"\nname: shop\nsteps:\n  - {id: a, component: mysql.extractor, config: {connection: \"@mysql.shop\", table: t}}\n",
    );
    let mut session = Session::start(&project, &["--allow-run", "--allow-writes"]);
    let shop = json!({"path": "shop.yaml"});
    let calls = [
        ("list_connections", json!({})),
        ("check_connection", json!({})),
        ("discover", json!({"component": "mysql.extractor", "connection": "@mysql.shop"})),
        ("validate", shop.clone()),
        ("plan", shop.clone()),
        ("run", shop),
        ("list_runs", json!({})),
        ("show_run", json!({})),
    ];
    for (tool, arguments) in calls {
        let text = session.request("tools/call", json!({"name": tool, "arguments": arguments})).to_string();
        for value in [password, "nowhere.invalid", "clerk", "warehouse"] {
            assert!(!text.contains(value), "{tool} shows {value}: {text}");
        }
    }
    assert_eq!(session.end_of_input(), 0);
}

/// A pipeline that takes long, and a session in which it has begun.
fn running() -> (Project, Session) {
    let project = crate::project(&[READ, &sql("slow", SLOW), &write("out", "out.csv")].concat());
    let mut session = Session::start(&project, &["--allow-run", "--allow-writes"]);
    session.ask("tools/call", json!({"name": "run", "arguments": {"path": "pipeline.yaml"}}));
    let begun = Instant::now();
    while !has_started(&project, "slow") {
        assert!(begun.elapsed() < DEADLINE, "the query does not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    (project, session)
}

#[track_caller]
fn assert_rolled_back(project: &Project) {
    let runs = project.run(&["runs", "list", "--json"]).with_code(0).json();
    assert_eq!(runs[0]["outcome"], "interrupted", "{runs}");
    assert!(!project.path("out.csv").exists());
}

#[test]
fn u51_the_end_of_the_input_rolls_a_run_back() {
    let (project, session) = running();
    assert_eq!(session.end_of_input(), 0);
    assert_rolled_back(&project);
}

#[test]
fn u51_a_signal_rolls_a_run_back() {
    let (project, session) = running();
    let pid = rustix::process::Pid::from_child(&session.child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(session.ended(), 130);
    assert_rolled_back(&project);
}

#[test]
fn u51_a_request_that_is_cancelled_rolls_its_run_back_and_the_session_goes_on() {
    let (project, mut session) = running();
    let params = json!({"requestId": session.next});
    session.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).to_string());
    let begun = Instant::now();
    while session.document("list_runs", json!({}))[0]["outcome"] == "running" {
        assert!(begun.elapsed() < DEADLINE, "the run goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_rolled_back(&project);
    assert_eq!(session.end_of_input(), 0);
}
