//! `docs/recipes.md`: every file on it is valid, and those over files run.

use osiris_e2e::{Program, Project};

const PAGE: &str = include_str!("../../docs/recipes.md");

/// The files on the page: each is a block whose first line is a comment with its name.
fn files() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("```").skip(1).step_by(2).filter_map(|block| {
        let (_, text) = block.split_once('\n')?;
        let (first, rest) = text.split_once('\n')?;
        Some((first.strip_prefix("# ")?, if first.ends_with(".csv") { rest } else { text }))
    });
    blocks.collect()
}

fn project() -> Project {
    let project = Project::empty(Program::built());
    files().into_iter().for_each(|(name, text)| project.write(name, text));
    project
}

#[test]
fn every_recipe_is_valid() {
    let project = project();
    let pipelines: Vec<&str> =
        files().into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".yaml")).collect();
    assert!(pipelines.len() > 5, "{pipelines:?}");
    for pipeline in pipelines.into_iter().filter(|name| *name != "osiris_connections.yaml") {
        let mut command = project.command(&["validate", pipeline]);
        command.envs([("SHOP_PASSWORD", "x1y2z3"), ("LAKE_PASSWORD", "x1y2z3"), ("API_TOKEN", "x1y2z3")]);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{pipeline}: {text}");
    }
}

#[test]
fn the_recipes_over_files_give_what_they_say() {
    let project = project();
    let run = project.run(&["run", "bad-lines.yaml"]).with_code(0);
    assert!(run.stderr.contains("1 rejected"), "{}", run.stderr);
    project.run(&["copy", "out/orders.parquet", "orders.out.csv"]).with_code(0);
    assert_eq!(project.read("orders.out.csv"), "order_id,amount\n1,10.50\n2,7.00\n5,3.25\n");
    project.run(&["run", "many-files.yaml"]).with_code(0);
    project.run(&["copy", "out/days.parquet", "days.csv"]).with_code(0);
    assert_eq!(project.read("days.csv"), "n,filename\n1,in/2024-01.csv\n2,in/2024-02.csv\n");
}
