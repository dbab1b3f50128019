//! The guides of `docs/`: every block is done, from top to bottom, with real servers. What a page may have is said in [`page`].

mod page;
mod world;

use std::fs;
use std::path::PathBuf;

use osiris_e2e::{Program, Project};

use page::{Block, Command, Database, parts};
use world::World;

const GETTING_STARTED: &str = include_str!("../../../docs/getting-started.md");
const INCREMENTAL: &str = include_str!("../../../docs/incremental.md");
const RECIPES: &str = include_str!("../../../docs/recipes.md");
const FROM_SLING: &str = include_str!("../../../docs/migrating-from-sling.md");
const FROM_DLT: &str = include_str!("../../../docs/migrating-from-dlt.md");

#[tokio::test(flavor = "multi_thread")]
async fn u54_getting_started_works_as_it_says() {
    let Some(mut world) = World::start().await else { return };
    follow(GETTING_STARTED, &mut world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u57_incremental_extraction_works_as_it_says() {
    let Some(mut world) = World::start().await else { return };
    follow(INCREMENTAL, &mut world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u55_recipes_work_as_they_say() {
    follow_with_a_shop(RECIPES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u60_what_comes_from_sling_works_as_it_says() {
    follow_with_a_shop(FROM_SLING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u60_what_comes_from_dlt_works_as_it_says() {
    follow_with_a_shop(FROM_DLT).await;
}

#[test]
fn every_page_with_commands_of_the_program_is_tested() {
    // Asked at run time: two checkouts may share a target directory.
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo"));
    let pages = fs::read_dir(package.parent().unwrap().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for path in pages.filter(|path| path.extension() == Some("md".as_ref())) {
        let page = fs::read_to_string(&path).unwrap();
        let is_tested = [GETTING_STARTED, INCREMENTAL, RECIPES, FROM_SLING, FROM_DLT].contains(&page.as_str());
        assert!(is_tested || !page.contains("\n$ osiris "), "{}", path.display());
    }
}

/// For a reader who has the tables of getting started.
async fn follow_with_a_shop(page: &str) {
    let Some(mut world) = World::start().await else { return };
    let mut blocks = parts(GETTING_STARTED).into_iter().flatten();
    let shop = blocks.find_map(|block| match block {
        Block::Sql { database: Database::Mysql, text } => Some(text),
        _ => None,
    });
    let nowhere = Project::empty(Program::built());
    world.execute(&nowhere, &Database::Mysql, shop.expect("the page makes tables")).await;
    follow(page, &mut world).await;
}

/// Does what a page says. A pipeline that none of its commands runs is run at the end of its part.
async fn follow(page: &str, world: &mut World) {
    for part in parts(page) {
        let project = Project::empty(Program::built());
        let mut pipelines: Vec<(&str, &str)> = Vec::new();
        for block in part {
            match block {
                Block::File { name, text } => {
                    project.write(name, text);
                    pipelines.retain(|(other, _)| *other != name);
                    if text.contains("\noml_version: ") {
                        pipelines.push((name, text));
                    }
                }
                Block::Sql { database, text } => world.execute(&project, &database, text).await,
                Block::Commands(commands) => {
                    for command in commands {
                        pipelines.retain(|(name, _)| !command.line.contains(&format!("run {name}")));
                        world.check(&project, &command);
                    }
                }
            }
        }
        for (name, text) in pipelines {
            if text.contains("supabase.") && !world.serve_rest().await {
                continue;
            }
            world.check(&project, &Command { line: &format!("osiris run {name}"), code: 0, prints: Vec::new() });
        }
    }
}
