//! A database server for `cargo xtask bench`, in a process of its own.
#![expect(clippy::print_stdout, reason = "a program for the benchmarks, not a library")]

mod program;

use std::error::Error;
use std::io::BufRead as _;
use std::process::ExitCode;

use osiris_stand_ins::supabase::{Gateway, Postgrest};
use osiris_testkit::services::{Brand, MariadbBrand, MysqlBrand, MysqlOptions, MysqlServer, Postgres, PostgresOptions};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use program::ended;

const USAGE: &str = "usage: osiris-bench-serve mariadb | mysql | postgres | supabase";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ended(match words.as_slice() {
        ["mariadb"] => mysql::<MariadbBrand>().await,
        ["mysql"] => mysql::<MysqlBrand>().await,
        ["postgres"] => postgres().await,
        ["supabase"] => supabase().await,
        _ => Err(USAGE.into()),
    })
}

/// MariaDB or MySQL, as a server with 4 GB would have it. Commits do not wait for the disk, for nobody.
async fn mysql<B: Brand>() -> Result<(), Box<dyn Error>> {
    let options = MysqlOptions::new()
        .without_tls()
        .with_redo_log(1024)
        .with_setting("innodb_buffer_pool_size", "2G")
        .with_setting("innodb_flush_log_at_trx_commit", "0")
        .with_setting("secure_file_priv", "");
    let server = MysqlServer::<B>::start_with(options).await?;
    let server = server.ok_or_else(|| format!("there is no {}", B::SERVICE))?;
    let fields = server.connection_with(json!({"tls": "disabled"}));
    let [user, password] = ["user", "password"].map(|name| fields[name].as_str().unwrap_or_default());
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let url = format!("mysql://{}:{}@{}/{}", encoded(user), encoded(password), server.address()?, server.database());
    let directory = server.directory().ok_or("the server is not our own")?;
    // The client reads quotes and backslashes in an option as a string of C.
    let quoted = password.replace('\\', "\\\\").replace('"', "\\\"");
    let socket = directory.join("data/s.sock");
    let options = directory.join("client.cnf");
    let text = format!("[client]\nuser={user}\npassword=\"{quoted}\"\nsocket={}\n", socket.display());
    std::fs::write(&options, text)?;
    announce(&fields, &url, &options.display().to_string());
    for line in std::io::stdin().lock().lines() {
        server.execute(&line?).await?;
        println!("done");
    }
    Ok(())
}

/// As a server with 4 GB would have it, and the same for whoever uses it.
async fn start_postgres() -> Result<Postgres, Box<dyn Error>> {
    let options = PostgresOptions::new().with_setting("shared_buffers", "1GB").with_setting("max_wal_size", "4GB");
    Ok(Postgres::start_with(options).await?.ok_or("there is no PostgreSQL")?)
}

async fn postgres() -> Result<(), Box<dyn Error>> {
    let server = start_postgres().await?;
    announce(&server.connection_with(json!({"tls": "disabled"})), &server.dsn(), "");
    answer(&server).await
}

/// PostgreSQL with PostgREST before it.
async fn supabase() -> Result<(), Box<dyn Error>> {
    let server = start_postgres().await?;
    server.supabase_roles().await?;
    let postgrest = Postgrest::start(&server).await?.ok_or("there is no PostgREST")?;
    let gateway = Gateway::start(&postgrest)?;
    announce(&gateway.connection(), &server.dsn(), "");
    answer(&server).await
}

async fn answer(server: &Postgres) -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        server.execute(&line?).await?;
        println!("done");
    }
    Ok(())
}

/// Prints the fields of a connection, its address for other clients, and the file with the options of MySQL's own, with tabs between
/// them. From then on each line that is read is SQL of an administrator, and is answered; the server ends with its input.
fn announce(fields: &Value, url: &str, options: &str) {
    println!("{fields}\t{url}\t{options}");
}
