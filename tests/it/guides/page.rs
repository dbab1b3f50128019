//! A page as its reader takes it: blocks to be done from top to bottom.
//!
//! * A block that begins with a comment with a file's name, such as `# shop.yaml`, is that file. So is one whose language is followed by the
//!   name, as in `csv orders.csv`: CSV has no comments, and its reader is to take it as it is.
//! * A `sql` block begins with its database: `-- MySQL: shop`, `-- PostgreSQL: lake` or `-- SQLite: shop.db`.
//! * In a `console` block a line that begins with `$ ` is a command, and the lines below it are lines that it prints; `...` stands for
//!   others. A command ends with 0, or with what `# exit code 3` behind it says.
//! * A block that begins with `# sling: ` or `# dlt: ` belongs to another program.
//! * `<!-- new directory -->` begins an empty one.

const NEW_DIRECTORY: &str = "<!-- new directory -->";
const OTHERS: [&str; 2] = ["# sling: ", "# dlt: "];

/// What a reader does.
pub(super) enum Block<'a> {
    File { name: &'a str, text: &'a str },
    Sql { database: Database<'a>, text: &'a str },
    Commands(Vec<Command<'a>>),
}

/// Who gets SQL.
pub(super) enum Database<'a> {
    Mysql,
    Postgres,
    Sqlite(&'a str),
}

/// A line for the shell.
pub(super) struct Command<'a> {
    pub(super) line: &'a str,
    pub(super) code: i32,
    pub(super) prints: Vec<&'a str>,
}

/// The blocks of a page, cut where a new directory begins.
pub(super) fn parts(page: &str) -> Vec<Vec<Block<'_>>> {
    page.split(NEW_DIRECTORY).map(blocks).collect()
}

fn blocks(part: &str) -> Vec<Block<'_>> {
    part.split("```").skip(1).step_by(2).filter_map(Block::parse).collect()
}

impl<'a> Block<'a> {
    /// None for what belongs to another program.
    fn parse(fenced: &'a str) -> Option<Self> {
        let (info, text) = fenced.split_once('\n')?;
        if let Some((_, name)) = info.split_once(' ') {
            return Some(Self::File { name, text });
        }
        let first = text.lines().next().unwrap_or_default();
        if OTHERS.iter().any(|other| first.starts_with(other)) {
            return None;
        }
        Some(match info {
            "console" => Self::Commands(commands(text)),
            "sql" => Self::Sql { database: Database::parse(first), text },
            _ => {
                let name =
                    first.strip_prefix("# ").filter(|name| info != "csv" && name.contains('.') && !name.contains(' '));
                let name = name.unwrap_or_else(|| panic!("no test can do this block:\n{text}"));
                Self::File { name, text }
            }
        })
    }
}

impl<'a> Database<'a> {
    fn parse(first: &'a str) -> Self {
        match first.strip_prefix("-- ").and_then(|database| database.split_once(": ")) {
            Some(("MySQL", _)) => Self::Mysql,
            Some(("PostgreSQL", _)) => Self::Postgres,
            Some(("SQLite", file)) => Self::Sqlite(file),
            _ => panic!("a block of SQL that begins with `{first}` and not with its database"),
        }
    }
}

fn commands(text: &str) -> Vec<Command<'_>> {
    let mut commands: Vec<Command<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (line, code) = match command.split_once("  # exit code ") {
                Some((line, code)) => (line, code.parse().expect("an exit code is a number")),
                None => (command, 0),
            };
            commands.push(Command { line, code, prints: Vec::new() });
        } else if let Some(command) = commands.last_mut().filter(|_| !line.trim().is_empty() && line != "...") {
            command.prints.push(line);
        }
    }
    commands
}

#[test]
fn blocks_are_files_statements_and_commands() {
    let page = "```csv a.csv\nn\n1\n```\n```yaml\n# sling: x.yaml\n```\n```sql\n-- SQLite: b.db\nSELECT 1;\n```\n\
                <!-- new directory -->\n```console\n$ one\n1\n...\n\n$ two  # exit code 3\n```\n";
    let parts = parts(page);
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert!(matches!(parts[0][0], Block::File { name: "a.csv", text: "n\n1\n" }));
    assert!(matches!(parts[0][1], Block::Sql { database: Database::Sqlite("b.db"), .. }));
    let Block::Commands(commands) = &parts[1][0] else { panic!("commands") };
    assert_eq!((commands[0].line, commands[0].code, &commands[0].prints[..]), ("one", 0, &["1"][..]));
    assert_eq!((commands[1].line, commands[1].code, commands[1].prints.len()), ("two", 3, 0));
}
