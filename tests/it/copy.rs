//! `osiris copy`: one line from any source to any destination.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use osiris_e2e::{Ended, Program, Project};
use osiris_testkit::services::{Mariadb, Moto, Postgres};
use serde_json::Value;

/// A small file; its columns are not in the order of their names.
fn project() -> Project {
    let project = Project::empty(Program::built());
    project.write("orders.csv", "order_id,customer,amount\n1,a,10\n2,b,20\n3,a,30\n");
    project
}

/// The address of a database, its password as it is.
fn address(scheme: &str, connection: &Value) -> String {
    let text = |name: &str| match &connection[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let [user, password, host, port, database] = ["user", "password", "host", "port", "database"].map(text);
    format!("{scheme}://{user}:{password}@{host}:{port}/{database}")
}

#[test]
fn a_file_is_copied_into_another_format_and_back_in_the_order_of_its_columns() {
    let project = project();
    let copied = project.run(&["copy", "orders.csv", "orders.parquet"]).with_code(0);
    assert!(copied.stderr.contains("done: the ledger balances, 3 rows read, 3 written"), "{}", copied.stderr);
    project.run(&["copy", "orders.parquet", "out/"]).with_code(0);
    assert!(project.path("out/orders.parquet").is_file());
    project.run(&["copy", "out/orders.parquet", "again.csv", "--columns", "amount,customer"]).with_code(0);
    assert_eq!(project.read("again.csv"), "amount,customer\n10,a\n20,b\n30,a\n");
    project.run(&["copy", "orders.parquet", "orders.jsonl"]).with_code(0);
    assert!(project.read("orders.jsonl").starts_with("{\"order_id\":1,\"customer\":\"a\",\"amount\":10}\n"));
    project.run(&["copy", "orders.jsonl", "lines.parquet"]).with_code(0);
    project.run(&["copy", "lines.parquet", "lines.csv"]).with_code(0);
    assert_eq!(project.read("lines.csv"), project.read("orders.csv"));
    project.run(&["copy", "orders.jsonl", "orders.feather"]).with_code(0);
    project.run(&["copy", "orders.feather", "feather.csv"]).with_code(0);
    assert_eq!(project.read("feather.csv"), project.read("orders.csv"));
    project.run(&["copy", "orders.jsonl", "orders.json"]).with_code(0);
    assert!(project.read("orders.json").starts_with("[\n{\"order_id\":1,\"customer\":\"a\",\"amount\":10},\n"));
    project.run(&["copy", "orders.json", "document.csv"]).with_code(0);
    assert_eq!(project.read("document.csv"), project.read("orders.csv"));
    project.run(&["copy", "orders.csv", "orders.csv.gz"]).with_code(0);
    assert!(std::fs::read(project.path("orders.csv.gz")).unwrap().starts_with(b"\x1f\x8b"));
    project.run(&["copy", "orders.csv.gz", "unpacked.csv"]).with_code(0);
    assert_eq!(project.read("unpacked.csv"), project.read("orders.csv"));
    let refused = project.run(&["copy", "orders.csv", "orders.csv.xz"]).with_code(2);
    assert!(refused.stderr.contains("a file ending in `.xz` cannot be written"), "{}", refused.stderr);
    let absolute = project.path("orders.parquet");
    project
        .run(&["copy", absolute.to_str().unwrap(), "third.csv", "--where", "amount > 15", "--limit", "1"])
        .with_code(0);
    assert_eq!(project.read("third.csv"), "order_id,customer,amount\n2,b,20\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_copied_there_and_back() {
    let Some(moto) = Moto::start().await.unwrap() else { return };
    let project = project();
    let parameters = format!(
        "endpoint=http://{}&allow_http=true&access_key_id=AKIDOFATEST&secret_access_key=${{STORE_KEY}}",
        moto.address()
    );
    let address = format!("s3://lake/shop/orders.parquet?{parameters}");
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        Ended::of(command.env("STORE_KEY", "pw-of-the-store").output().unwrap())
    };
    let there = run(&["copy", "orders.csv", &address]).with_code(0);
    assert!(there.stderr.contains("done: the ledger balances, 3 rows read, 3 written"), "{}", there.stderr);
    assert!(moto.get("shop/orders.parquet").await.unwrap().unwrap().starts_with(b"PAR1"));
    run(&["copy", &address, "again.csv"]).with_code(0);
    assert_eq!(project.read("again.csv"), project.read("orders.csv"));
    let printed = run(&["copy", &address, "third.csv", "--print"]).with_code(0).stdout;
    assert!(printed.contains("s3://lake/shop/orders.parquet") && !printed.contains("pw-of-the-store"), "{printed}");
    // Over a connection of the project, below its prefix.
    let mut fields = moto.connection();
    fields["base_dir"] = "s3://lake/shop/".into();
    fields["secret_access_key"] = "${STORE_KEY}".into();
    project.write(
        "osiris_connections.yaml",
        serde_json::json!({"version": 1, "connections": {"filesystem": {"lake": fields}}}).to_string(),
    );
    run(&["copy", "@filesystem.lake/*.parquet", "@filesystem.lake/2024/orders.jsonl"]).with_code(0);
    assert_eq!(moto.keys().await.unwrap(), ["shop/2024/orders.jsonl", "shop/orders.parquet"]);
    run(&["connections", "doctor", "@filesystem.lake"]).with_code(0);
}

#[test]
fn a_sheet_of_a_workbook_is_copied_with_its_types() {
    let project = project();
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (row, (code, amount)) in (0..).zip([("007", 1.5), ("008", 2.5)]) {
        sheet.write_string(row + 1, 0, code).unwrap();
        sheet.write_number(row + 1, 1, amount).unwrap();
    }
    sheet.write_string(0, 0, "code").unwrap();
    sheet.write_string(0, 1, "amount").unwrap();
    book.save(project.path("book.xlsx")).unwrap();
    project.run(&["copy", "book.xlsx", "book.parquet"]).with_code(0);
    project.run(&["copy", "book.parquet", "book.jsonl"]).with_code(0);
    assert_eq!(project.read("book.jsonl"), "{\"code\":\"007\",\"amount\":1.5}\n{\"code\":\"008\",\"amount\":2.5}\n");
}

#[test]
fn standard_streams_are_csv_and_sql_runs_on_the_way() {
    let project = project();
    let query = "SELECT customer, sum(amount) AS amount FROM source GROUP BY ALL ORDER BY ALL";
    let mut command = project.command(&["copy", "-", "-", "--sql", query]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(project.read("orders.csv").as_bytes()).unwrap();
    drop(input);
    let output = Ended::of(child.wait_with_output().unwrap()).with_code(0);
    assert_eq!(output.stdout, "customer,amount\na,40\nb,20\n");
}

#[test]
fn a_sqlite_file_is_a_source_and_a_destination() {
    let project = project();
    project.run(&["copy", "orders.csv", "sqlite:app.db#orders"]).with_code(0);
    project.run(&["copy", "orders.csv", "sqlite:app.db", "--mode", "append"]).with_code(0);
    let counted = ["--query", "SELECT count(*) AS n, sum(amount) AS amount FROM orders"];
    project.run(&[&["copy", "sqlite:app.db", "counts.csv"][..], &counted].concat()).with_code(0);
    assert_eq!(project.read("counts.csv"), "n,amount\n6,120\n");
    project
        .run(&["copy", "sqlite:app.db#orders", "back.csv", "--where", "customer = 'b'", "--limit", "1"])
        .with_code(0);
    assert_eq!(project.read("back.csv"), "order_id,customer,amount\n2,b,20\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_goes_from_one_database_to_another_by_address_and_by_connection() {
    let Some(mysql) = Mariadb::start().await.unwrap() else { return };
    let Some(postgres) = Postgres::start().await.unwrap() else { return };
    let project = project();
    let from = address("mariadb", &mysql.connection());
    let to = address("postgresql", &postgres.connection());
    let table = format!("{from}.orders");
    // Into a table that is not there, and out of it.
    let loaded = project.run(&["copy", "orders.csv", &table]).with_code(0);
    assert!(loaded.stderr.contains("the password in the destination address"), "{}", loaded.stderr);
    let copied = project.run(&["copy", &table, &to]).with_code(0);
    assert!(copied.stderr.contains("3 rows read, 3 written"), "{}", copied.stderr);
    assert_eq!(postgres.value("SELECT sum(amount) FROM orders").await.unwrap().as_deref(), Some("60"));
    // By key, and by a query of the source's own.
    postgres.execute("ALTER TABLE orders ADD PRIMARY KEY (order_id)").await.unwrap();
    mysql.execute("UPDATE orders SET amount = 35 WHERE order_id = 3").await.unwrap();
    let upsert = ["--mode", "upsert", "--key", "order_id"];
    project.run(&[&["copy", &table, &format!("{to}/public.orders")][..], &upsert[..]].concat()).with_code(0);
    assert_eq!(postgres.value("SELECT sum(amount) FROM orders").await.unwrap().as_deref(), Some("65"));
    project.run(&["copy", &to, "out.csv", "--query", "SELECT count(*) AS n FROM orders"]).with_code(0);
    assert_eq!(project.read("out.csv"), "n\n3\n");
    // A connection of the project.
    let mut connection = postgres.connection();
    connection["password"] = "${LAKE_PASSWORD}".into();
    project
        .write("osiris_connections.yaml", format!("version: 1\nconnections: {{postgres: {{lake: {connection}}}}}\n"));
    let mut command = project.command(&["copy", "@postgres.lake.public.orders", "named.csv"]);
    let password = postgres.connection()["password"].as_str().unwrap().to_owned();
    let named = Ended::of(command.env("LAKE_PASSWORD", &password).output().unwrap()).with_code(0);
    assert!(!named.stderr.contains("warning"), "{}", named.stderr);
    assert_eq!(project.read("named.csv").lines().count(), 4);
    assert_password_is_nowhere(&project.path(".osiris"), &password);
}

fn assert_password_is_nowhere(directory: &Path, password: &str) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            assert_password_is_nowhere(&entry.path(), password);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(password.len()).any(|window| window == password.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_the_pipeline_that_runs() {
    let Some(postgres) = Postgres::start().await.unwrap() else { return };
    postgres.execute("CREATE TABLE t AS SELECT 1 AS id").await.unwrap();
    let project = project();
    let source = format!("{}.public.t", address("postgres", &postgres.connection()));
    let printed = project.run(&["copy", &source, "t.csv", "--print"]).with_code(0).stdout;
    let password = postgres.connection()["password"].as_str().unwrap().to_owned();
    assert!(!printed.contains(&password) && printed.contains("${SOURCE_PASSWORD}"), "{printed}");
    project.write("pipeline.yaml", &printed);
    let connections: String =
        printed.lines().filter_map(|line| line.strip_prefix("#   ")).map(|line| format!("{line}\n")).collect();
    project.write("osiris_connections.yaml", connections);
    let mut command = project.command(&["run", "pipeline.yaml"]);
    Ended::of(command.env("SOURCE_PASSWORD", &password).output().unwrap()).with_code(0);
    assert_eq!(project.read("t.csv"), "id\n1\n");
    // The password as a parameter, and as the default of a variable.
    let parameter = "postgres://me@localhost/shop.t?password=123456";
    let default = "postgres://me:${SOURCE_PW:-123456}@localhost/shop.t";
    for address in [parameter, default] {
        let printed = project.run(&["copy", address, "t.csv", "--print"]).with_code(0);
        assert!(!printed.stdout.contains("123456"), "{}", printed.stdout);
        assert!(printed.stdout.contains("password: \"${SOURCE_PASSWORD}\""), "{}", printed.stdout);
    }
    // The variable in the address itself.
    let named = source.replace(&password, "${SOURCE_PASSWORD}");
    let mut command = project.command(&["copy", &named, "u.csv"]);
    let copied = Ended::of(command.env("SOURCE_PASSWORD", &password).output().unwrap()).with_code(0);
    assert!(!copied.stderr.contains("warning"), "{}", copied.stderr);
}

#[test]
fn an_address_that_leads_nowhere_is_refused_before_anything_is_written() {
    let project = project();
    for (arguments, message, hint) in [
        (["ftp://host/a.parquet", "out.csv"].as_slice(), "unknown scheme `ftp`", "s3"),
        (&["s3://bucket/a.parquet?colour=red", "out.csv"], "unknown parameter `colour`", "osiris components show"),
        (&["s3://me:pw@bucket/a.csv", "out.csv"], "an address of a store has no user", "`@filesystem.alias/key`"),
        (&["orders.csv", "https://example.com/a.csv"], "a file of a web server can only be read", "`s3://`"),
        (
            &["orders.csv", "s3://bucket/a.csv", "--mode", "append"],
            "cannot be appended to an object",
            "max_rows_per_file",
        ),
        (&["http://example.com/a.csv", "out.csv"], "without encryption", "allow_http"),
        (&["book.ods", "out.csv"], "save it as an Excel workbook (.xlsx)", "rows.csv"),
        (&["orders.csv", "out.xlsx"], "workbooks are not written: write CSV", "rows.csv.gz"),
        (
            &["orders.xml", "out.csv"],
            "known are Arrow IPC (.arrow, .feather, .arrows), CSV (.csv, .tsv, .txt, also compressed), Excel (.xlsx, .xlsm), JSON (.json, also compressed)",
            "rows.csv",
        ),
        (&["nothing.csv", "out.csv"], "nothing.csv", ""),
        (&["*.csv", "out/"], "has no name that a file", "DIRECTORY/rows.parquet"),
        (&["*.csv", "sqlite:a.db"], "the destination address names no table", "`sqlite:FILE#TABLE`"),
        (&["@mysql.shop", "out.csv"], "the source address names no table", "`@mysql.shop.TABLE`"),
        (
            &["mysql://root@localhost/shop", "out.csv"],
            "the source address names no table",
            "osiris discover mysql.extractor",
        ),
        (&["mysql://root@localhost/shop.*", "out.csv"], "`out.csv` is one destination", "such as `out/`"),
        (&["mysql://root@localhost/shop.*", "out/", "--sql", "SELECT 1"], "--sql runs on the rows of one table", ""),
        (&["orders.csv", "@postgres.lake.*"], "`*` is a pattern", "name one table"),
        (&["mysql://root@localhost:many/shop.t", "out.csv"], "invalid port", "%40"),
        (
            &["mysql://root@localhost/shop.t?colour=red", "out.csv"],
            "unknown parameter `colour`",
            "osiris components show",
        ),
        (&["orders.csv", "out.csv", "--key", "order_id"], "no field for --key", ""),
        (&["orders.csv", "out.csv", "--where", "amount > 1"], "no field for --where", "--sql"),
        (&["@mysqll.shop.orders", "out.csv"], "unknown component `mysqll.extractor`", "mysql.extractor"),
        (&["@mysql.shop.orders", "out.csv"], "@mysql.shop", "osiris_connections.yaml"),
        (&["orders.csv", "@posthog.main.events"], "`posthog` cannot be the destination of a copy", ""),
        (&["@graphql.api.users", "out.csv"], "a copy cannot say what to read from `graphql`", "write a pipeline"),
        (&["@orders", "out.csv"], "an address that begins with `@` does not name a connection", "`@mysql.shop.orders`"),
        (&["mysql://root:pw@db/shop.t?ssl_ca=/etc/ca@corp.pem", "out.csv"], "more than one `@`", "`%40`"),
        (&["jdbc:mysql://root:pw@db/shop.t", "out.csv"], "cannot parse an address", "mysql"),
    ] {
        let refused = project.run(&[&["copy"], arguments].concat());
        assert!(
            refused.code == 2
                || matches!(arguments[0], "nothing.csv" | "http://example.com/a.csv") && refused.code == 1,
            "{arguments:?}: {}",
            refused.stderr
        );
        assert!(refused.stderr.contains(message), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(hint), "{arguments:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains("pw@"), "a password is on the screen: {}", refused.stderr);
    }
    assert!(!project.path("out.csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_says_why_and_cannot_be_resumed() {
    let Some(postgres) = Postgres::start().await.unwrap() else { return };
    postgres.execute("CREATE TABLE t (id int CHECK (id < 2))").await.unwrap();
    let project = project();
    let to = format!("{}.t", address("postgres", &postgres.connection()));
    let sql = ["--sql", "SELECT order_id AS id FROM source"];
    let failed = project.run(&[&["copy", "orders.csv", &to][..], &sql].concat()).with_code(3);
    let reason = "new row for relation \"t\" violates check constraint \"t_id_check\"";
    assert!(failed.stderr.contains(&format!("  2 rows from row 2: {reason}\n")), "{}", failed.stderr);
    assert!(!failed.stderr.contains("--resume"), "{}", failed.stderr);
    assert_eq!(postgres.value("SELECT count(*) FROM t").await.unwrap().as_deref(), Some("0"));
    let refused = project.run(&["run", "--resume"]);
    assert!(refused.stderr.contains("was not started from a file"), "{}", refused.stderr);
    // The rows themselves.
    let shown = project.run(&["runs", "rejects"]).with_code(0);
    assert!(shown.stdout.contains("{\"id\":2}") && shown.stdout.contains(reason), "{}", shown.stdout);
    let csv = project.run(&["runs", "rejects", "--csv", "--limit", "1"]).with_code(0).stdout;
    let quoted = reason.replace('"', "\"\"");
    let row = format!("destination,2,,\"{quoted}\",\"{{\"\"id\"\":2}}\"\n");
    assert_eq!(csv, format!("step,row_number,column,reason,row\n{row}"));
    let json = project.run(&["runs", "rejects", "--json"]).with_code(0).json();
    assert_eq!((&json[0]["total"], &json[0]["reasons"][0]["rows"]), (&2.into(), &2.into()));
    assert_eq!(json[0]["rows"][1]["row_number"], 3);
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let unknown = project.run(&["runs", "rejects", &id, "nowhere"]).with_code(2);
    assert!(unknown.stderr.contains("its steps: source, transform, destination"), "{}", unknown.stderr);
}
