//! A secret is in no file of a run and on no stream, whatever happens.

use osiris_e2e::{Program, Project};

const SECRET: &str = "p@ss/w0rd+==";
/// The secret as a URL and base64 would have it.
const FORMS: [&str; 3] = [SECRET, "p%40ss%2Fw0rd%2B%3D%3D", "cEBzcy93MHJkKz09"];

#[track_caller]
fn assert_nowhere(project: &Project, texts: &[&str]) {
    for file in project.files().into_iter().filter(|file| file.starts_with(".osiris")) {
        let bytes = std::fs::read(project.path(&file)).unwrap();
        for form in FORMS {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{form} in {}", file.display());
        }
    }
    for form in FORMS {
        assert!(texts.iter().all(|text| !text.contains(form)), "{form} was printed: {texts:?}");
    }
}

/// A pipeline whose parameter is a secret: the only place where the components of this build take one.
fn with_secret_parameter() -> Project {
    let steps = "  - {id: orders, component: filesystem.csv_extractor, mode: read, config: {path: orders.csv}}\n  \
                 - {id: keyed, component: duckdb.processor, mode: transform, config: {query: \"SELECT nothing, length('${params.api_token}') AS n FROM orders\"}}\n";
    let pipeline =
        format!("oml_version: \"0.1.0\"\nname: test\nparams:\n  api_token: {{type: string}}\nsteps:\n{steps}");
    let project = Project::of(Program::built(), &pipeline);
    project.write("orders.csv", "order_id\n1\n");
    project
}

#[test]
fn a_secret_parameter_is_in_no_record_of_the_run() {
    let project = with_secret_parameter();
    let parameter = format!("api_token={SECRET}");
    let run = project.run(&["run", "pipeline.yaml", "-vv", "--log-level", "trace", "--param", &parameter]).with_code(1);
    assert!(run.stderr.contains("nothing"), "the SQL error is shown: {}", run.stderr);
    let shown = project.run(&["runs", "show", "--json"]).with_code(0);
    let plan = project.run(&["plan", "pipeline.yaml", "--json", "--param", &parameter]).with_code(0);
    assert_nowhere(&project, &[&run.stderr, &run.stdout, &shown.stdout, &plan.stdout]);
}

#[test]
fn a_secret_written_into_a_connection_is_not_shown_in_its_errors() {
    let project = with_secret_parameter();
    project.write(
        "osiris_connections.yaml",
        format!("version: 1\nconnections:\n  filesystem:\n    lake: {{base_dir: [1], password: \"{SECRET}\"}}\n"),
    );
    let text = project.read("pipeline.yaml").replace("{path:", "{connection: \"@filesystem.lake\", path:");
    project.write("pipeline.yaml", text);
    let run = project.run(&["run", "pipeline.yaml", "--param", "api_token=x"]).with_code(2);
    assert!(run.stderr.contains("password"), "{}", run.stderr);
    let listed = project.run(&["connections", "list", "--json"]).with_code(0);
    assert_nowhere(&project, &[&run.stderr, &listed.stdout]);
}

/// `key` of a connection is the key of the API, `key` of a step names columns: one is easily written for the other.
#[test]
fn s36_an_api_key_in_a_supabase_step_is_refused_and_not_printed() {
    for key in ["sb_secret_0123456789abcdef", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl"] {
        let steps = format!(
            "  - {{id: orders, component: filesystem.csv_extractor, mode: read, config: {{path: orders.csv}}}}\n  \
             - id: out\n    component: supabase.writer\n    mode: write\n    config:\n      table: t\n      mode: upsert\n      key: {key}\n"
        );
        let project = Project::of(Program::built(), &format!("oml_version: \"0.1.0\"\nname: test\nsteps:\n{steps}"));
        project.write("orders.csv", "order_id\n1\n");
        project.write(
            "osiris_connections.yaml",
            "version: 1\nconnections:\n  supabase:\n    default: {url: \"http://127.0.0.1:9\", key: x}\n",
        );
        for command in [&["validate", "pipeline.yaml"][..], &["plan", "pipeline.yaml", "--json"][..]] {
            let ran = project.run(command).with_code(2);
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            assert!(printed.contains("API key"), "{printed}");
            assert!(!printed.contains(key), "{printed}");
        }
    }
}
