//! `.env` beside the connections file: secrets are added to it, and git does not get it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use osiris_core::{Error, Result};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::parse_dotenv;
use crate::file::replace;
use crate::source::SourceFile;

/// What a `.gitignore` may say that keeps `.env` out.
const IGNORES: [&str; 5] = [".env", "/.env", ".env*", "*.env", "**/.env"];

/// The text of the file with these variables; none where there are none.
///
/// # Errors
/// The file cannot be used, or a value cannot be written in it.
pub(super) fn with_variables(path: &Path, new: &[&(String, String)]) -> Result<Option<String>, Diagnostics> {
    if new.is_empty() {
        return Ok(None);
    }
    let old = if path.is_file() { SourceFile::read(path)?.text().to_owned() } else { String::new() };
    let parsed = |text: &str| parse_dotenv(SourceFile::from_text(".env", text).confidential());
    let mut expected: BTreeMap<String, String> = parsed(&old)?;
    let mut text = old;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (name, value) in new {
        text.push_str(&format!("{name}={}\n", quoted(value)));
        expected.insert(name.clone(), value.clone());
    }
    match parsed(&text) {
        Ok(found) if found == expected => Ok(Some(text)),
        _ => {
            let names: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).collect();
            let error = Error::validation(format!("a value cannot be written in .env: {}", names.join(", ")))
                .with_hint("set the variable in the environment, and the field to `${VARIABLE}`");
            Err(Diagnostic::from_core(&error).into())
        }
    }
}

/// A value that stands for itself.
fn quoted(value: &str) -> String {
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut text = String::from('"');
    for letter in value.chars() {
        match letter {
            '"' | '\\' | '$' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

/// Adds `.env` to the `.gitignore` of a directory in a repository of git, if none above it has it. Returns the file that was
/// changed.
///
/// # Errors
/// The file cannot be written.
pub(super) fn ignore(directory: &Path) -> Result<Option<PathBuf>> {
    let absolute = std::path::absolute(directory.join(".gitignore"))?;
    let Some(absolute) = absolute.parent() else { return Ok(None) };
    let Some(root) = absolute.ancestors().find(|above| above.join(".git").exists()) else { return Ok(None) };
    let within = absolute.ancestors().take_while(|above| above.starts_with(root));
    let is_ignored = |directory: &Path| {
        let text = fs::read_to_string(directory.join(".gitignore")).unwrap_or_default();
        text.lines().any(|line| IGNORES.contains(&line.trim()))
    };
    if within.into_iter().any(is_ignored) {
        return Ok(None);
    }
    let path = directory.join(".gitignore");
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(".env\n");
    replace(&path, text.as_bytes())?;
    Ok(Some(path))
}
