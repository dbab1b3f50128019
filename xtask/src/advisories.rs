//! `cargo xtask ci --only advisories`: what ships has no known fault, foreign licence or source, but for the exceptions in
//! `deny.toml`. Each of them says why it does no harm, and until which day it stands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Outcome, shell, tools, workspace};

/// How `cargo deny` is run.
struct Deny {
    /// Its rules.
    rules: PathBuf,
    /// Variables for it.
    environment: BTreeMap<String, String>,
}

/// What became of the check of the advisories themselves.
#[derive(Debug, PartialEq, Eq)]
enum Checked {
    /// None of them applies.
    Yes,
    /// Their database cannot be reached from here.
    No,
}

pub(crate) fn check() -> Outcome {
    if run()? == Checked::No {
        println!("NOT CHECKED: advisories, because their database cannot be reached from here");
    }
    Ok(())
}

/// The same for a release, which is not made without them.
pub(crate) fn require() -> Outcome {
    match run()? {
        Checked::Yes => Ok(()),
        Checked::No => Err("the advisories could not be checked: their database cannot be reached from here\n\
                            hint: nothing is published without it; try again with a network"
            .to_owned()),
    }
}

fn run() -> Outcome<Checked> {
    tools::DENY.ensure()?;
    let deny = Deny { rules: workspace::root().join("deny.toml"), environment: BTreeMap::new() };
    exceptions(&workspace::read("deny.toml")?, today()?)?;
    shell::run(&mut deny.command(&["--locked", "check", "bans", "licenses", "sources"]))?;
    deny.advisories()
}

impl Deny {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = shell::cargo(&["deny", "--config"]);
        command.arg(&self.rules).args(words).envs(&self.environment);
        command
    }

    /// The database is fetched. An exception for an advisory that applies to nothing is an error like an advisory that applies.
    fn advisories(&self) -> Outcome<Checked> {
        if shell::run(&mut self.command(&["fetch", "db"])).is_err() {
            return Ok(Checked::No);
        }
        let words = ["--locked", "--offline", "check", "--deny", "advisory-not-detected", "advisories"];
        shell::run(&mut self.command(&words)).map(|()| Checked::Yes)
    }
}

/// A day: year, month, day of the month.
type Day = (i64, i64, i64);

/// Checks the exceptions in the text of `deny.toml`, and returns the ids of the advisories.
fn exceptions(rules: &str, today: Day) -> Outcome<Vec<String>> {
    let list = rules.lines().skip_while(|line| line.trim() != "ignore = [").skip(1);
    let entries = list.map(str::trim).take_while(|line| *line != "]");
    entries.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|entry| exception(entry, today)).collect()
}

fn exception(entry: &str, today: Day) -> Outcome<String> {
    let field = |name: &str| Some(entry.split_once(&format!("{name} = \""))?.1.split_once('"')?.0);
    let id = field("id")
        .ok_or_else(|| format!("deny.toml: `{entry}`: an exception is `{{ id = \"...\", reason = \"...\" }}`"))?;
    let wrong = |what: &str| Err(format!("deny.toml: the exception for {id} {what}"));
    let Some((why, until)) = field("reason").and_then(|reason| reason.rsplit_once("; until ")) else {
        return wrong("does not say why it does no harm and until when: `reason = \"...; until YYYY-MM-DD\"`");
    };
    if why.split_whitespace().count() < 3 {
        return wrong("does not say why it does no harm");
    }
    let Some(last) = day(until) else {
        return wrong("does not end with the day until which it stands: `; until YYYY-MM-DD`");
    };
    if last < today {
        return wrong(&format!("ended on {until}: see whether there is a fix, and if not why it may stand for longer"));
    }
    Ok(id.to_owned())
}

fn day(text: &str) -> Option<Day> {
    let numbers: Vec<i64> = text.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [year, month @ 1..=12, day @ 1..=31] if text.len() == 10 => Some((year, month, day)),
        _ => None,
    }
}

fn today() -> Outcome<Day> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    Ok(civil(i64::try_from(since.as_secs() / 86_400).map_err(|error| error.to_string())?))
}

/// The date of a day since 1970-01-01: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil(days: i64) -> Day {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TODAY: Day = (2026, 11, 29);

    #[test]
    fn s53_s54_s55_an_exception_without_a_reason_or_past_its_day_is_an_error() {
        let rules = |entry: &str| format!("[advisories]\nignore = [\n  # why\n  {entry},\n]\n");
        let check = |entry: &str| exceptions(&rules(entry), TODAY);
        let good = "{ id = \"RUSTSEC-2023-0071\", reason = \"only encrypts with a public key; until 2026-11-29\" }";
        assert_eq!(check(good).unwrap(), ["RUSTSEC-2023-0071"]);
        for (entry, said) in [
            ("\"RUSTSEC-2023-0071\"".to_owned(), "an exception is"),
            ("{ id = \"RUSTSEC-2023-0071\" }".to_owned(), "does not say why it does no harm and until when"),
            (good.replace("; until 2026-11-29", ""), "until when"),
            (good.replace("only encrypts with a public key", "no"), "does not say why it does no harm"),
            (good.replace("2026-11-29", "there is a fix"), "does not end with the day"),
            (good.replace("2026-11-29", "2026-13-01"), "does not end with the day"),
            (good.replace("2026-11-29", "2026-11-28"), "ended on 2026-11-28"),
            (good.replace("2026-11-29", "2025-12-31"), "ended on 2025-12-31"),
        ] {
            let error = check(&entry).unwrap_err();
            assert!(error.contains(said), "{entry}: {error}");
        }
    }

    #[test]
    fn s53_s54_s55_the_exceptions_of_the_project_stand_today() {
        let rules = workspace::read("deny.toml").unwrap();
        let ids = exceptions(&rules, today().unwrap()).unwrap();
        // None is missed by the way in which the list is read.
        assert_eq!(ids.len(), rules.matches("RUSTSEC-").count());
        assert_eq!((civil(0), civil(11_016), civil(20_786)), ((1970, 1, 1), (2000, 2, 29), (2026, 11, 29)));
    }

    /// A database of advisories with one about `rsa`, which this project depends on, where `cargo deny` fetches it.
    struct Database(PathBuf);

    impl Database {
        fn new() -> Self {
            let directory = workspace::target_dir().join(format!("advisories-{}", std::process::id()));
            let advisory = "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\npackage = \"rsa\"\ndate = \"2026-01-01\"\n\n\
                            [versions]\npatched = []\n```\n\n# A fault\n\nIt is faulty.\n";
            let crates = directory.join("db/crates/rsa");
            fs::create_dir_all(&crates).unwrap();
            fs::write(crates.join("RUSTSEC-2099-0001.md"), advisory).unwrap();
            let git = |words: &[&str]| {
                let identity =
                    ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"];
                let mut git = Command::new("git");
                shell::run(git.current_dir(directory.join("db")).args(identity).args(words)).unwrap();
            };
            git(&["init", "--quiet", "--initial-branch", "main"]);
            git(&["add", "--all"]);
            git(&["commit", "--quiet", "--message", "one advisory"]);
            Self(directory)
        }

        /// The rules of the project with other exceptions, and this database instead of that of RustSec.
        fn rules(&self, exceptions: &str, reachable: bool) -> Deny {
            let url = "https://advisories.invalid/db";
            let cache = self.0.join("cache");
            let text = format!(
                "[advisories]\nyanked = \"allow\"\ndb-path = \"{}\"\ndb-urls = [\"{url}\"]\nignore = [{exceptions}]\n",
                cache.display()
            );
            let rules = self.0.join("deny.toml");
            fs::write(&rules, text).unwrap();
            let mut environment = BTreeMap::new();
            if reachable {
                for (name, value) in [
                    ("GIT_CONFIG_COUNT", "1".to_owned()),
                    ("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", self.0.join("db").display())),
                    ("GIT_CONFIG_VALUE_0", url.to_owned()),
                ] {
                    environment.insert(name.to_owned(), value);
                }
            }
            Deny { rules, environment }
        }
    }

    impl Drop for Database {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn s53_s54_s55_an_advisory_fails_the_check_unless_it_is_excepted() {
        if !tools::DENY.is_there() {
            println!("SKIPPED: cargo-deny is not installed; `cargo xtask ci --only advisories` does it");
            return;
        }
        let database = Database::new();
        let excepted = "{ id = \"RUSTSEC-2099-0001\", reason = \"x\" }";
        assert_eq!(database.rules(excepted, false).advisories().unwrap(), Checked::No, "nothing was fetched yet");
        database.rules("", true).advisories().unwrap_err();
        assert_eq!(database.rules(excepted, true).advisories().unwrap(), Checked::Yes);
        // One that outlives its advisory.
        let more = format!("{excepted}, {{ id = \"RUSTSEC-2099-0002\", reason = \"x\" }}");
        database.rules(&more, true).advisories().unwrap_err();
    }
}
