//! Which rules call a method of a subject: the calls of the conformance suite, read from its source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::rules;
use crate::{Outcome, workspace};

const SUITE: &str = "crates/osiris-testkit/src/suite";
/// What the rules are tried with. Its methods call the subject as well.
const TRIAL: &str = "crates/osiris-testkit/src/trial.rs";
/// Its function that tries any rule.
const CONDUCTOR: &str = "conduct";
/// Stands for the subject where functions have the module that they are in.
const SUBJECT: &str = "subject";
/// Rules that are listed as the others but these, at most.
const MOST_EXCEPTIONS: usize = 8;

/// A function: its module, and its name.
type Function = (String, String);

/// The functions of the suite, and what each calls.
pub(super) struct Calls(BTreeMap<Function, BTreeSet<Function>>);

impl Calls {
    pub(super) fn read() -> Outcome<Self> {
        let directory = workspace::root().join(SUITE);
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        let mut calls = Self(BTreeMap::new());
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let module = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            calls.add(&module, &fs::read_to_string(&path).map_err(failed)?);
        }
        calls.add("trial", &workspace::read(TRIAL)?);
        Ok(calls)
    }

    fn add(&mut self, module: &str, source: &str) {
        let code = without_comments(source);
        let imports = imports(&code);
        for body in code.split("fn ").skip(1) {
            let name: String = body.chars().take_while(|c| is_word(*c)).collect();
            let called = calls(body, module, &imports).filter(|called| *called != (module.to_owned(), name.clone()));
            self.0.entry((module.to_owned(), name.clone())).or_default().extend(called);
        }
    }

    /// The rules whose functions call the method `name` of a subject, themselves or through others.
    pub(super) fn rules(&self, name: &str) -> String {
        let mut callers = BTreeSet::from([(SUBJECT.to_owned(), name.to_owned())]);
        loop {
            let calls_one = |called: &BTreeSet<Function>| !called.is_disjoint(&callers);
            let found = self.0.iter().filter(|(_, called)| calls_one(called)).map(|(caller, _)| caller.clone());
            let more: BTreeSet<Function> = found.chain(callers.iter().cloned()).collect();
            if more.len() == callers.len() {
                break;
            }
            callers = more;
        }
        if callers.contains(&("trial".to_owned(), CONDUCTOR.to_owned())) {
            return "all".to_owned();
        }
        let all = numbers(self.0.keys());
        let found = numbers(callers.iter());
        let others: Vec<&str> = all.difference(&found).map(String::as_str).collect();
        match (found.len(), others.len()) {
            (0, _) => "none".to_owned(),
            (_, 0) => "all".to_owned(),
            (found, missing) if found > missing && missing <= MOST_EXCEPTIONS => {
                format!("all but {}", others.join(", "))
            }
            _ => found.into_iter().collect::<Vec<_>>().join(", "),
        }
    }
}

/// The numbers of the rules that functions have in their names.
fn numbers<'a>(functions: impl Iterator<Item = &'a Function>) -> BTreeSet<String> {
    functions.filter_map(|(_, name)| rules::number(name)).collect()
}

/// The code in one line for each chain of calls, without comments.
fn without_comments(source: &str) -> String {
    let lines = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    lines.fold(String::new(), |mut code, line| {
        code.push_str(if line.starts_with('.') { "" } else { "\n" });
        code + line
    })
}

/// The names that come from other modules of the suite, with the modules.
fn imports(code: &str) -> BTreeMap<&str, &str> {
    let mut imports = BTreeMap::new();
    for statement in code.split("use super::").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        let Some((module, names)) = statement.split_once("::") else { continue };
        let names = names.split(|c: char| !is_word(c)).filter(|name| !name.is_empty());
        imports.extend(names.map(|name| (name, module)));
    }
    imports
}

/// The functions and the methods of a subject that are called in a body.
fn calls<'a>(
    body: &'a str,
    module: &'a str,
    imports: &'a BTreeMap<&str, &str>,
) -> impl Iterator<Item = Function> + use<'a> {
    body.match_indices('(').filter_map(move |(at, _)| {
        let before = &body[..at];
        let name = &before[before.trim_end_matches(is_word).len()..];
        let owner = &before[..before.len() - name.len()];
        let home = match owner.strip_suffix('.') {
            Some(receiver) if receiver.ends_with("subject()") || ends_with_word(receiver, SUBJECT) => SUBJECT,
            Some(receiver) if ends_with_word(receiver, "trial") || ends_with_word(receiver, "self") => "trial",
            Some(_) => return None,
            None => match owner.strip_suffix("::") {
                Some(path) => &path[path.trim_end_matches(is_word).len()..],
                None => imports.get(name).copied().unwrap_or(module),
            },
        };
        (!name.is_empty()).then(|| (home.to_owned(), name.to_owned()))
    })
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word).is_some_and(|rest| !rest.ends_with(is_word))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_belongs_to_the_rules_that_call_it_whatever_else_has_its_name() {
        let mut calls = Calls(BTreeMap::new());
        calls.add("trial", "fn conduct() { subject.service(); }\nfn job(&self) { self.subject\n    .prepare(1); }\nfn ready(&self) { self.job(); }\n");
        calls.add(
            "one",
            "use super::two::{written, other};\n/// `trial.subject().faults()`\nfn drv_001_a(trial: T) { written(trial); }\n\
             fn drv_002_b(trial: T) { trial.ready(); bench.prepare(2); }\nfn crt_001_c() { let written = 1; other(written); }\n",
        );
        calls.add(
            "two",
            "fn written(trial: T) { trial.subject().round_trips(); }\nfn other(n: u8) { x.round_trips() }\n",
        );
        assert_eq!(calls.rules("round_trips"), "DRV-001");
        assert_eq!(calls.rules("prepare"), "DRV-002");
        assert_eq!(calls.rules("faults"), "none");
        assert_eq!(calls.rules("service"), "all");
    }

    #[test]
    fn g59_the_rules_of_a_method_are_those_of_the_suite() {
        let calls = Calls::read().unwrap();
        assert_eq!(calls.rules("round_trips"), "DRV-028");
        assert_eq!(calls.rules("not_applicable"), "all");
        assert_eq!(calls.rules("invalid_configs"), "DRV-005");
        assert_eq!(calls.rules("modifying_configs"), "CRT-006");
        assert_eq!(calls.rules("writes_files"), "CRT-005");
        assert!(calls.rules("prepare").starts_with("all"), "{}", calls.rules("prepare"));
        let faults = calls.rules("faults");
        for rule in ["DRV-003", "DRV-009", "DRV-017", "DRV-022", "DRV-026", "CRT-002", "CRT-003", "CRT-007"] {
            assert!(faults.contains(rule), "{rule}: {faults}");
        }
        assert!(!faults.contains("DRV-028"), "{faults}");
    }
}
