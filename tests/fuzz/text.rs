//! Text that only parsers of ours see: the pipeline file, the guards of MySQL, PostgreSQL and SQLite, variables.

use std::sync::Arc;

use osiris_core::{config::ConfigSchema, connection};
use osiris_pipeline::{Diagnostics, SourceFile};
use osiris_sql::guard::{MySqlModes, PostgresModes, ReadingStatement, SqlDialect};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::json;

use crate::{Verdict, fuzz};

#[test]
fn pipeline_files() {
    fuzz("pipeline files", include_str!("corpus/pipeline.txt"), |text| {
        let source = Arc::new(SourceFile::from_text("pipeline.yaml", text));
        let mut diagnostics = Diagnostics::default();
        let pipeline = osiris_pipeline::parse(&source, &mut diagnostics);
        prop_assert!(pipeline.is_some() || diagnostics.has_errors(), "no pipeline and no error");
        // The message, its place and the lines around it can be shown.
        drop(diagnostics.sorted().render(false, None));
        Ok(())
    });
}

fn guarded(sql: &str, dialect: SqlDialect) -> Verdict {
    match ReadingStatement::parse(sql, dialect) {
        Ok(reading) => {
            // What is sent is what was checked.
            let again = ReadingStatement::parse(reading.text(), dialect);
            prop_assert!(again.is_ok(), "accepted {sql:?}, then refused its own text {:?}", reading.text());
            let again = again.unwrap();
            prop_assert_eq!((again.text(), again.kind()), (reading.text(), reading.kind()));
        }
        Err(refusal) => {
            prop_assert!(sql.is_char_boundary(refusal.offset()), "{} at {}", refusal.message(), refusal.offset())
        }
    }
    Ok(())
}

#[test]
fn the_guard_of_mysql() {
    fuzz("guard of MySQL", include_str!("corpus/mysql.txt"), |sql| {
        MySqlModes::ALL.into_iter().try_for_each(|modes| guarded(sql, SqlDialect::MySql(modes)))
    });
}

#[test]
fn the_guard_of_postgresql() {
    fuzz("guard of PostgreSQL", include_str!("corpus/postgres.txt"), |sql| {
        PostgresModes::ALL.into_iter().try_for_each(|modes| guarded(sql, SqlDialect::Postgres(modes)))
    });
}

#[test]
fn the_guard_of_sqlite() {
    fuzz("guard of SQLite", include_str!("corpus/sqlite.txt"), |sql| guarded(sql, SqlDialect::Sqlite));
}

#[test]
fn variables() {
    const SECRET: &str = "${HOST} ' \" ; \n - x: y";
    let lookup = |name: &str| {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)), "asked for {name:?}");
        match name {
            "HOST" => Some("db".to_owned()),
            "SECRET" => Some(SECRET.to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    };
    fuzz("variables", include_str!("corpus/variables.txt"), |text| {
        let mut value = json!({"host": text, "list": [text, {"a/b": text}]});
        let done = osiris_core::substitute::substitute(&mut value, &lookup);
        // The shape stays, and the same text becomes the same everywhere.
        let host = value["host"].as_str().map(str::to_owned);
        prop_assert!(host.is_some(), "no longer a text");
        prop_assert_eq!(value, json!({"host": host, "list": [host, {"a/b": host}]}));
        prop_assert!(done.problems.len().is_multiple_of(3), "{} problems", done.problems.len());
        if !text.contains("${") {
            prop_assert_eq!(host.as_deref(), Some(text));
        }
        Ok(())
    });
}

#[test]
fn connections() {
    fuzz("connections", include_str!("corpus/variables.txt"), |text| {
        let reference: connection::ConnectionRef = "@lake.main".parse().unwrap();
        let schema = ConfigSchema::of::<osiris_driver_filesystem::FilesystemConnection>();
        let definition = json!({"base_dir": "lake"});
        let overrides = json!({"base_dir": text});
        let (definition, overrides) = (definition.as_object().unwrap(), overrides.as_object().unwrap());
        let (resolved, _) = connection::resolve(&reference, definition, overrides, &schema, &|_| Some("..".to_owned()));
        // Whatever a step says, what the connection says stays the outermost.
        let base = &resolved.fields()["base_dir"];
        prop_assert!(*base == "lake" || base[0] == "lake", "{base}");
        Ok(())
    });
}
